//! Lists of the server API: all pages of one, as a table or as lines of JSON.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::api::{Api, Query};
use super::output::{Format, Paint, grouped, terminal_width};
use super::table::{Column, Table};
use crate::print;

/// An entry of a list.
pub(super) trait Entry: DeserializeOwned {
    /// Where the list is.
    const PATH: &'static str;
    /// What its entries are called, there and here.
    const NAME: &'static str;
    /// What is shown of an entry.
    const COLUMNS: &'static [Column];

    /// The cells of its row.
    fn cells(&self) -> Vec<String>;
}

/// One page: its entries, how many there are on all pages, and where the next begins.
struct Page {
    entries: Vec<Box<RawValue>>,
    count: u64,
    next: Option<String>,
}

/// Entries a page: as many as the server gives at once.
const PAGE: usize = 1000;

/// Writes the first entries of a list, or all.
///
/// # Errors
/// What the API or the output says.
pub(super) async fn write<E: Entry>(
    api: &Api,
    mut query: Query<'_>,
    max: Option<usize>,
    format: Format,
) -> Result<()> {
    let mut table = Table::new(E::COLUMNS);
    let (mut left, mut shown) = (max.unwrap_or(usize::MAX), 0);
    query.push(("limit", String::new()));
    let count = loop {
        set(&mut query, "limit", left.min(PAGE).to_string());
        let page = page::<E>(&api.get(E::PATH, &query).await?)?;
        shown += page.entries.len();
        left = left.saturating_sub(page.entries.len());
        match format {
            Format::Json => print(&lines(&page.entries))?,
            Format::Table => add::<E>(&mut table, &page.entries)?,
        }
        match page.next {
            Some(next) if left > 0 => set(&mut query, "after", next),
            Some(_) | None => break page.count,
        }
    };
    if format == Format::Table {
        print(&table.render(terminal_width(), Paint::of_stdout()))?;
        print(&foot(E::NAME, shown as u64, count))?;
    }
    Ok(())
}

fn set<'a>(query: &mut Query<'a>, name: &'a str, value: String) {
    query.retain(|(known, _)| *known != name);
    query.push((name, value));
}

fn page<E: Entry>(text: &str) -> Result<Page> {
    let told = || format!("the answer is no page of {}", E::NAME);
    let mut fields: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(text).with_context(told)?;
    let entries = fields.remove(E::NAME).with_context(told)?;
    let count = fields.remove("count").with_context(told)?;
    let next = fields.remove("next");
    Ok(Page {
        entries: serde_json::from_str(entries.get()).with_context(told)?,
        count: serde_json::from_str(count.get()).with_context(told)?,
        next: next
            .map(|next| serde_json::from_str(next.get()))
            .transpose()?,
    })
}

/// As the server wrote them.
fn lines(entries: &[Box<RawValue>]) -> String {
    let lines = entries.iter().map(|entry| format!("{}\n", entry.get()));
    lines.collect()
}

fn add<E: Entry>(table: &mut Table, entries: &[Box<RawValue>]) -> Result<()> {
    for entry in entries {
        let entry: E = serde_json::from_str(entry.get())
            .with_context(|| format!("the answer has an entry that is none of {}", E::NAME))?;
        table.push(entry.cells());
    }
    Ok(())
}

fn foot(name: &str, shown: u64, count: u64) -> String {
    if shown < count {
        format!("{} of {} {name}\n", grouped(shown), grouped(count))
    } else {
        format!("{} {name}\n", grouped(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::rooms::Room;

    #[test]
    fn a_page_is_passed_on_as_the_server_wrote_it() {
        let text = r#"{"count":2,"rooms":[{"roomId":"a","sessions":1,"users":1,"epoch":"e","seq":7,"more":[1,2]}],"next":"a"}"#;

        let page = page::<Room>(text).unwrap();

        assert_eq!((page.count, page.next.as_deref()), (2, Some("a")));
        assert_eq!(
            lines(&page.entries),
            "{\"roomId\":\"a\",\"sessions\":1,\"users\":1,\"epoch\":\"e\",\"seq\":7,\"more\":[1,2]}\n"
        );
    }

    #[test]
    fn the_foot_says_how_many_there_are_when_not_all_are_shown() {
        assert_eq!(foot("rooms", 2, 1200), "2 of 1,200 rooms\n");
        assert_eq!(foot("rooms", 3, 3), "3 rooms\n");
    }
}
