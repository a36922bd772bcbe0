//! The lines of a script: what to send, and what to wait for.

use std::time::Duration;

use nuncio::config::parse_duration;

use super::input::{self, Dialect, Input, InputError};
use super::pattern::Pattern;

/// One line.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Something to do.
    Do(Input),
    /// A message that has this must come, after those that were expected before.
    Expect(Pattern),
    /// The server must close, with this code if there is one.
    ExpectClose(Option<u16>),
    /// Nothing for so long.
    Wait(Duration),
    /// How long each expectation waits from here on.
    Timeout(Duration),
}

/// What is wrong with a script.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {error}")]
pub(super) struct ScriptError {
    /// `line 7 of chat.txt`, or `--execute "…"`.
    place: String,
    error: StepError,
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub(super) enum StepError {
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("the regular expression is not valid: {0}")]
    Regex(#[from] regex_lite::Error),
    #[error("/expect needs what to expect: /expect JSON|TEXT|/REGEX/")]
    Nothing,
    #[error("{word:?} is no duration: 500ms, 5s, 1m")]
    Duration { word: String },
    #[error("{word:?} is no close code")]
    Code { word: String },
}

/// Reads a whole script. Empty lines, and those that begin with `#`, mean nothing.
///
/// # Errors
/// The first line that is wrong.
pub(super) fn parse(dialect: Dialect, name: &str, text: &str) -> Result<Vec<Step>, ScriptError> {
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|(number, line)| {
            step(dialect, line).map_err(|error| ScriptError {
                place: format!("line {} of {name}", number + 1),
                error,
            })
        })
        .collect()
}

/// Reads a line of `--execute`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse_line(dialect: Dialect, line: &str) -> Result<Step, ScriptError> {
    step(dialect, line).map_err(|error| ScriptError {
        place: format!("--execute {line:?}"),
        error,
    })
}

fn step(dialect: Dialect, line: &str) -> Result<Step, StepError> {
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    Ok(match word {
        "/expect" if rest.is_empty() => return Err(StepError::Nothing),
        "/expect" => Step::Expect(Pattern::parse(rest)?),
        "/expect-close" if rest.is_empty() => Step::ExpectClose(None),
        "/expect-close" => Step::ExpectClose(Some(code(rest)?)),
        "/wait" => Step::Wait(duration(rest)?),
        "/timeout" => Step::Timeout(duration(rest)?),
        _ => Step::Do(input::parse(dialect, line)?),
    })
}

fn code(word: &str) -> Result<u16, StepError> {
    word.parse().map_err(|_| StepError::Code {
        word: word.to_owned(),
    })
}

fn duration(word: &str) -> Result<Duration, StepError> {
    parse_duration(word).map_err(|_| StepError::Duration {
        word: word.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_sends_expects_and_waits() {
        let text = "# greets\nhello\n\n/expect hello\n/timeout 1s\n/wait 500ms\n/expect-close 4000\n/close";

        let steps = parse(Dialect::Raw, "x", text).unwrap();

        assert!(matches!(
            &steps[..],
            [
                Step::Do(Input::Text(_)),
                Step::Expect(Pattern::Text(_)),
                Step::Timeout(_),
                Step::Wait(_),
                Step::ExpectClose(Some(4000)),
                Step::Do(Input::Close { code: 1000, .. }),
            ]
        ));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let error = |text| {
            parse(Dialect::Raw, "chat.txt", text)
                .unwrap_err()
                .to_string()
        };

        assert_eq!(
            error("a\n\n/wait long"),
            "line 3 of chat.txt: \"long\" is no duration: 500ms, 5s, 1m"
        );
        assert!(error("/expect").contains("needs what to expect"));
        assert!(error("/expect /(/").contains("regular expression"));
        assert!(error("/clsoe").contains("did you mean /close?"));
    }
}
