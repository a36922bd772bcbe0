//! Tables that fit the terminal.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::output::{Paint, harmless};

/// A column: its heading, and where its cells stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) head: &'static str,
    pub(super) align: Align,
}

/// On which side of their column cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    /// Numbers.
    Right,
}

impl Column {
    pub(super) const fn left(head: &'static str) -> Self {
        let align = Align::Left;
        Self { head, align }
    }

    pub(super) const fn right(head: &'static str) -> Self {
        let align = Align::Right;
        Self { head, align }
    }
}

/// Rows under headings.
#[derive(Debug)]
pub(super) struct Table {
    columns: &'static [Column],
    rows: Vec<Vec<String>>,
}

/// Signs between two columns.
const GAP: usize = 2;
/// A column of text is not made narrower than this.
const NARROWEST: usize = 8;

impl Table {
    pub(super) const fn new(columns: &'static [Column]) -> Self {
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    /// Adds a row, with a cell for each column.
    pub(super) fn push(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().map(|cell| harmless(&cell)).collect();
        self.rows.push(cells);
    }

    /// The lines, at most `width` columns each where that can be: the widest texts are cut.
    pub(super) fn render(&self, width: Option<usize>, paint: Paint) -> String {
        let widths = self.widths(width);
        let head = self.columns.iter().map(|column| column.head);
        let mut text = paint.style("1", self.line(head, &widths).trim_end());
        text.push('\n');
        for row in &self.rows {
            let line = self.line(row.iter().map(String::as_str), &widths);
            text += line.trim_end();
            text.push('\n');
        }
        text
    }

    fn widths(&self, total: Option<usize>) -> Vec<usize> {
        let widest = |(index, column): (usize, &Column)| {
            let cells = self.rows.iter().map(|row| row[index].width());
            cells.max().unwrap_or(0).max(column.head.width())
        };
        let mut widths: Vec<usize> = self.columns.iter().enumerate().map(widest).collect();
        let Some(total) = total else {
            return widths;
        };
        let gaps = GAP * widths.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > total {
            let texts = self.columns.iter().zip(&mut widths);
            let texts = texts.filter(|(column, _)| column.align == Align::Left);
            match texts.map(|(_, width)| width).max() {
                Some(width) if *width > NARROWEST => *width -= 1,
                Some(_) | None => break,
            }
        }
        widths
    }

    fn line<'a>(&self, cells: impl Iterator<Item = &'a str>, widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, column), &width) in cells.zip(self.columns).zip(widths) {
            let cell = cut(cell, width);
            let pad = " ".repeat(width.saturating_sub(cell.width()));
            match column.align {
                Align::Left => line += &(cell + &pad),
                Align::Right => line += &(pad + &cell),
            }
            line += &" ".repeat(GAP);
        }
        line
    }
}

/// The text in at most `width` columns, with a sign where something is missing.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let fits = text.chars().take_while(|sign| {
        let needed = sign.width().unwrap_or(0);
        let fits = needed <= left;
        left = left.saturating_sub(needed);
        fits
    });
    let mut shown: String = fits.collect();
    shown.push('…');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[Column::left("ROOM"), Column::right("SEQ")];

    fn table(rows: &[(&str, &str)]) -> Table {
        let mut table = Table::new(COLUMNS);
        for (room, seq) in rows {
            table.push([(*room).to_owned(), (*seq).to_owned()]);
        }
        table
    }

    #[test]
    fn numbers_stand_on_the_right() {
        let text = table(&[("lobby", "7"), ("a", "1234")]).render(None, Paint::Plain);

        assert_eq!(text, "ROOM    SEQ\nlobby     7\na      1234\n");
    }

    #[test]
    fn the_widest_text_is_cut_until_the_table_fits() {
        let text = table(&[("a-room-with-a-long-name", "1234567")]).render(Some(20), Paint::Plain);

        assert_eq!(text, "ROOM             SEQ\na-room-wit…  1234567\n");
        assert!(text.lines().all(|line| line.width() <= 20), "{text}");
    }

    #[test]
    fn a_sign_of_two_columns_counts_as_two() {
        let text = table(&[("你好", "1"), ("abcd", "2")]).render(None, Paint::Plain);

        assert_eq!(text, "ROOM  SEQ\n你好    1\nabcd    2\n");
        assert_eq!(cut("你好你好", 5), "你好…");
    }

    #[test]
    fn a_name_cannot_command_the_terminal() {
        let text = table(&[("a\x1b[2J", "1")]).render(None, Paint::Plain);

        assert!(!text.contains('\x1b'), "{text:?}");
    }
}
