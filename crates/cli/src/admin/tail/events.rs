//! Server-sent events out of bytes (HTML Standard §9.2.6).

use std::time::Duration;

use anyhow::{Result, bail};

/// One event, or a change of the pause before the next connection.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    /// Where the stream stands with it.
    pub(super) id: Option<String>,
    pub(super) data: Option<String>,
    /// How long to wait before another connection.
    pub(super) retry: Option<Duration>,
}

/// Bytes that are no whole event yet. The server ends lines with a line feed.
#[derive(Debug, Default)]
pub(super) struct Events {
    bytes: Vec<u8>,
    /// Up to here there is no end of an event.
    searched: usize,
}

/// Largest event: more than the largest message that any server can be configured for.
const BYTES_MAX: usize = 64 * 1024 * 1024;

impl Events {
    /// Adds what came.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole event that says something. O(bytes of the event).
    ///
    /// # Errors
    /// When it does not end, or is not UTF-8.
    pub(super) fn next(&mut self) -> Result<Option<Event>> {
        loop {
            let from = self.searched.saturating_sub(1);
            let end = self.bytes[from..].windows(2).position(|two| two == b"\n\n");
            let Some(end) = end else {
                self.searched = self.bytes.len();
                if self.bytes.len() > BYTES_MAX {
                    bail!("an event has more than {BYTES_MAX} bytes: is this a nuncio server?");
                }
                return Ok(None);
            };
            let whole: Vec<u8> = self.bytes.drain(..from + end + 2).collect();
            self.searched = 0;
            let event = read(str::from_utf8(&whole)?);
            if event != Event::default() {
                return Ok(Some(event));
            }
        }
    }
}

fn read(text: &str) -> Event {
    let mut event = Event::default();
    for line in text.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => event.id = Some(value.to_owned()),
            "data" => match &mut event.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => event.data = Some(value.to_owned()),
            },
            "retry" => event.retry = value.parse().ok().map(Duration::from_millis),
            // A comment, or a field of another time.
            _ => {}
        }
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_whole_wherever_the_bytes_are_cut() {
        let stream = "retry: 2000\n\n:\n\nid: a.1\ndata: {\"grüße\":1}\n\ndata: b\ndata: c\n\n";
        for cut in 0..=stream.len() {
            let mut events = Events::default();
            let mut read = Vec::new();
            for part in [&stream.as_bytes()[..cut], &stream.as_bytes()[cut..]] {
                events.push(part);
                while let Some(event) = events.next().unwrap() {
                    read.push(event);
                }
            }

            assert_eq!(read.len(), 3, "cut at {cut}: {read:?}");
            assert_eq!(read[0].retry, Some(Duration::from_secs(2)));
            assert_eq!(read[1].id.as_deref(), Some("a.1"));
            assert_eq!(read[1].data.as_deref(), Some("{\"grüße\":1}"));
            assert_eq!(read[2].data.as_deref(), Some("b\nc"));
        }
    }

    #[test]
    fn half_an_event_is_none() {
        let mut events = Events::default();

        events.push(b"id: a.1\ndata: x\n");

        assert_eq!(events.next().unwrap(), None);
    }
}
