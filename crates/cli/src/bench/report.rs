//! What a benchmark prints: a table or JSON, and where and when it was measured.

use std::fs;
use std::io::{self, Write};
use std::time::SystemTime;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::process;
use crate::date::date;

/// The place and day of a measurement, without which a number means little.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    processor: String,
    cores: u32,
    kernel: String,
    /// UTC, as 2026-11-22.
    date: String,
}

impl Machine {
    /// This one, today.
    pub(crate) fn here() -> Result<Self> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
        let processor = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name"))
            .unwrap_or(": unknown processor");
        let days = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)?
            .as_secs()
            / 86_400;
        Ok(Self {
            processor: processor.trim_start_matches([' ', '\t', ':']).to_owned(),
            cores: process::cores()?,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .to_owned(),
            date: date(days),
        })
    }

    /// One line for the head of a table.
    pub(crate) fn line(&self) -> String {
        format!(
            "{}, {} cores, Linux {}, {}",
            self.processor, self.cores, self.kernel, self.date
        )
    }
}

/// How a result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Writes `result` to standard output: itself as JSON, or the lines of `table`.
pub(crate) fn print(
    format: Format,
    result: &impl Serialize,
    table: impl FnOnce() -> String,
) -> Result<()> {
    let text = match format {
        Format::Table => table(),
        Format::Json => serde_json::to_string_pretty(result)?,
    };
    writeln!(io::stdout().lock(), "{}", text.trim_end())?;
    Ok(())
}

/// Columns padded to their widest cell; the first row is the heading, the first column is aligned left.
pub(crate) fn columns(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(column, cell)| match column {
            0 => format!("{cell:<0$}", width(0)),
            _ => format!("{cell:>0$}", width(column)),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// 12345678 as `12,345,678`.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if number < 0.0 {
        format!("-{grouped}")
    } else {
        grouped
    }
}

/// A bar on standard error, where that is a terminal; it disappears at the end.
pub(crate) fn progress(steps: u64) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("{msg:40} {wide_bar:.cyan} {pos}/{len} {eta}")?;
    Ok(ProgressBar::new(steps).with_style(style))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(thousands(999.4), "999");
        assert_eq!(thousands(12_345_678.0), "12,345,678");
        assert_eq!(thousands(-1_600.0), "-1,600");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            vec!["server".to_owned(), "us".to_owned()],
            vec!["floor".to_owned(), "3.07".to_owned()],
        ];

        assert_eq!(columns(&rows), "server    us\nfloor   3.07\n");
    }
}
