//! A message as a line.

use serde_json::value::RawValue;

use super::follow::Message;
use crate::admin::output::{Format, Paint, harmless};
use crate::date::{date, time_of_day};

/// How messages are written.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) format: Format,
    paint: Paint,
    /// The day of the line before, in days since 1970-01-01.
    day: Option<u64>,
}

const MILLIS_PER_DAY: u64 = 24 * 60 * 60 * 1000;

impl Lines {
    pub(super) const fn new(format: Format, paint: Paint) -> Self {
        Self {
            format,
            paint,
            day: None,
        }
    }

    /// The line of a message, with the day before it where that is another.
    pub(super) fn line(&mut self, message: &Message) -> String {
        if self.format == Format::Json {
            return format!("{}\n", message.text);
        }
        let paint = self.paint;
        let mut line = String::new();
        if let Some(ts) = message.ts {
            line += &self.day_line(ts / MILLIS_PER_DAY);
            line += &paint.style("2", &time_of_day(ts / 1000));
            line.push(' ');
        }
        let room = message.room_id.as_deref().unwrap_or("-");
        line += &paint.style("36", &harmless(room));
        if let Some(seq) = message.seq {
            line += &paint.style("2", &format!(" #{seq}"));
        }
        if let Some(user) = &message.user_id {
            line.push(' ');
            line += &paint.style("1", &harmless(user));
        }
        line += ": ";
        line += &said(message, paint);
        line.push('\n');
        line
    }

    fn day_line(&mut self, day: u64) -> String {
        if self.day.replace(day) == Some(day) {
            return String::new();
        }
        let text = format!("-- {} UTC --", date(day));
        self.paint.style("2", &text) + "\n"
    }
}

fn said(message: &Message, paint: Paint) -> String {
    if let Some(content) = &message.content {
        return shown(content);
    }
    if let Some(event) = &message.event {
        let data = message.data.as_deref().map(shown).unwrap_or_default();
        let event = paint.style("33", &harmless(event));
        return format!("{event} {data}").trim_end().to_owned();
    }
    harmless(&message.text)
}

/// A text as it reads, anything else as JSON.
fn shown(json: &RawValue) -> String {
    let text: Result<String, _> = serde_json::from_str(json.get());
    harmless(text.as_deref().unwrap_or(json.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(lines: &mut Lines, text: &str) -> String {
        let mut message: Message = serde_json::from_str(text).unwrap();
        message.text = text.to_owned();
        lines.line(&message)
    }

    #[test]
    fn a_message_is_a_line_under_its_day() {
        let mut lines = Lines::new(Format::Table, Paint::Plain);

        let first = line(
            &mut lines,
            r#"{"type":"chat:message","roomId":"lobby","userId":"ann","seq":42,"content":"Hello","ts":1763820202123}"#,
        );
        let second = line(
            &mut lines,
            r#"{"type":"event","roomId":"board","seq":7,"event":"draw","data":{"x":1},"ts":1763820203000}"#,
        );

        assert_eq!(
            first,
            "-- 2025-11-22 UTC --\n14:03:22 lobby #42 ann: Hello\n"
        );
        assert_eq!(second, "14:03:23 board #7: draw {\"x\":1}\n");
    }

    #[test]
    fn what_is_said_cannot_command_the_terminal() {
        let mut lines = Lines::new(Format::Table, Paint::Plain);

        let text = line(
            &mut lines,
            r#"{"type":"chat:message","roomId":"a","seq":1,"content":"\u001b[2J\nx"}"#,
        );

        assert_eq!(text, "a #1: \\u{1b}[2J\\nx\n");
    }
}
