//! `nuncio man`: manual pages, from the definitions that the command line is read by.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Command};

use crate::{command, print};

/// The arguments of `nuncio man`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ManArgs {
    /// The command whose page is printed; without it that of the whole program.
    #[arg(conflicts_with = "out")]
    page: Option<String>,
    /// Write all pages into this folder instead, which is made where it is missing.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  nuncio man | man -l -
  nuncio man publish | man -l -
  nuncio man --out ~/.local/share/man/man1";

/// Prints a page, or writes all.
///
/// # Errors
/// When there is no such command, or the folder cannot be written.
pub(crate) fn run(args: &ManArgs) -> Result<()> {
    let pages = pages();
    if let Some(folder) = &args.out {
        return write(&pages, folder);
    }
    let wanted = args
        .page
        .as_ref()
        .map_or_else(|| "nuncio".to_owned(), |name| format!("nuncio-{name}"));
    let page = pages.iter().find(|page| page.name == wanted);
    let page = page.with_context(|| format!("there is no page {wanted}: see `nuncio help`"))?;
    print(&page.roff)
}

/// A page of section 1.
struct Page {
    name: String,
    roff: String,
}

fn write(pages: &[Page], folder: &Path) -> Result<()> {
    let told = || format!("{} cannot be written", folder.display());
    std::fs::create_dir_all(folder).with_context(told)?;
    for page in pages {
        let path = folder.join(format!("{}.1", page.name));
        std::fs::write(path, &page.roff).with_context(told)?;
    }
    print(&format!(
        "{} pages are in {}\n",
        pages.len(),
        folder.display()
    ))
}

/// The program's page, and one for each command under it.
fn pages() -> Vec<Page> {
    let mut pages = Vec::new();
    collect(&command(), "nuncio".to_owned(), &mut pages);
    pages
}

fn collect(command: &Command, name: String, pages: &mut Vec<Page>) {
    let visible = |command: &&Command| !command.is_hide_set() && command.get_name() != "help";
    for subcommand in command.get_subcommands().filter(visible) {
        collect(
            subcommand,
            format!("{name}-{}", subcommand.get_name()),
            pages,
        );
    }
    let mut roff = Vec::new();
    let man = clap_mangen::Man::new(command.clone().display_name(&name)).title(&name);
    man.render(&mut roff).expect("memory takes everything");
    let roff = String::from_utf8(roff).expect("names and descriptions are UTF-8");
    let roff = ragged(&ascii(&roff));
    pages.insert(0, Page { name, roff });
}

/// The page with a ragged right side: lines with flags and addresses in them cannot be stretched well.
fn ragged(roff: &str) -> String {
    let lines = roff.lines().map(|line| match line.starts_with(".TH") {
        true => format!("{line}\n.ad l\n"),
        false => format!("{line}\n"),
    });
    lines.collect()
}

/// Signs beyond ASCII as roff names them (groff_char(7)): formatters differ in what they take a byte for.
fn ascii(roff: &str) -> String {
    let mut text = String::with_capacity(roff.len());
    for sign in roff.chars() {
        if sign.is_ascii() {
            text.push(sign);
        } else {
            text += &format!("\\[u{:04X}]", u32::from(sign));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_that_names_its_flags() {
        let pages = pages();

        assert_eq!(pages[0].name, "nuncio");
        for command in command().get_subcommands() {
            let name = format!("nuncio-{}", command.get_name());
            if name == "nuncio-help" {
                continue;
            }
            let page = pages
                .iter()
                .find(|page| page.name == name)
                .unwrap_or_else(|| panic!("{name}"));
            assert!(page.roff.contains(".TH") && page.roff.is_ascii(), "{name}");
            for flag in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
                if let Some(long) = flag.get_long() {
                    let written = long.replace('-', "\\-");
                    assert!(page.roff.contains(&written), "{name}: {long}");
                }
            }
        }
    }
}
