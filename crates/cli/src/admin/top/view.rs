//! What is looked at, and how keys change it.

use std::time::Duration;

use clap::ValueEnum;

use super::keys::Key;
use super::{INTERVAL_MAX, INTERVAL_MIN};

/// What the rooms are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Order {
    /// Messages a second.
    Rate,
    /// Users in the room.
    Users,
    /// Sessions in the room.
    Sessions,
    /// Messages so far.
    Messages,
    /// The name.
    Name,
}

impl Order {
    const fn next(self) -> Self {
        match self {
            Self::Rate => Self::Users,
            Self::Users => Self::Sessions,
            Self::Sessions => Self::Messages,
            Self::Messages => Self::Name,
            Self::Name => Self::Rate,
        }
    }

    /// As it is shown.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Users => "users",
            Self::Sessions => "sessions",
            Self::Messages => "messages",
            Self::Name => "name",
        }
    }
}

/// What a key asks for beyond the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    GoOn,
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Typing {
    /// Keys are commands.
    Commands,
    /// Keys are signs of the filter.
    Filter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Motion {
    Live,
    Paused,
}

/// How the server is looked at.
#[derive(Debug)]
pub(super) struct View {
    /// Where the server is.
    pub(super) base: String,
    pub(super) order: Order,
    pub(super) filter: String,
    /// Why the newest snapshot is not new.
    pub(super) trouble: Option<String>,
    interval: Duration,
    typing: Typing,
    motion: Motion,
}

impl View {
    pub(super) const fn new(base: String, order: Order, interval: Duration) -> Self {
        Self {
            base,
            order,
            filter: String::new(),
            trouble: None,
            interval,
            typing: Typing::Commands,
            motion: Motion::Live,
        }
    }

    pub(super) const fn interval(&self) -> Duration {
        self.interval
    }

    pub(super) fn is_paused(&self) -> bool {
        self.motion == Motion::Paused
    }

    pub(super) fn is_typing_filter(&self) -> bool {
        self.typing == Typing::Filter
    }

    pub(super) fn set_trouble(&mut self, trouble: Option<String>) {
        self.trouble = trouble;
    }

    /// Whether a room is to be seen.
    pub(super) fn shows(&self, room: &str) -> bool {
        let wanted = self.filter.to_lowercase();
        wanted.is_empty() || room.to_lowercase().contains(&wanted)
    }

    pub(super) fn handle(&mut self, key: Key) -> Wish {
        match (self.typing, key) {
            (_, Key::Interrupt) => return Wish::End,
            (Typing::Filter, key) => self.type_filter(key),
            (Typing::Commands, Key::Sign(sign)) => return self.command(sign),
            (Typing::Commands, Key::Escape) => self.filter.clear(),
            (Typing::Commands, Key::Enter | Key::Backspace) => {}
        }
        Wish::GoOn
    }

    fn type_filter(&mut self, key: Key) {
        match key {
            Key::Sign(sign) => self.filter.push(sign),
            Key::Backspace => {
                self.filter.pop();
            }
            Key::Escape => {
                self.filter.clear();
                self.typing = Typing::Commands;
            }
            Key::Enter | Key::Interrupt => self.typing = Typing::Commands,
        }
    }

    fn command(&mut self, sign: char) -> Wish {
        match sign {
            'q' | 'Q' => return Wish::End,
            's' => self.order = self.order.next(),
            'p' | ' ' => {
                self.motion = match self.motion {
                    Motion::Live => Motion::Paused,
                    Motion::Paused => Motion::Live,
                }
            }
            '/' => self.typing = Typing::Filter,
            '+' => self.interval = (self.interval / 2).max(INTERVAL_MIN),
            '-' => self.interval = (self.interval * 2).min(INTERVAL_MAX),
            _ => {}
        }
        Wish::GoOn
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::keys;
    use super::*;

    fn after(typed: &str) -> (View, Wish) {
        let mut view = View::new("http://a".to_owned(), Order::Rate, Duration::from_secs(1));
        let mut wish = Wish::GoOn;
        for key in typed
            .chars()
            .flat_map(|sign| keys(sign.to_string().as_bytes()))
        {
            wish = view.handle(key);
        }
        (view, wish)
    }

    #[test]
    fn q_ends_it_but_not_inside_of_a_filter() {
        assert_eq!(after("q").1, Wish::End);
        assert_eq!(after("/q").1, Wish::GoOn);
        assert_eq!(after("/q\r").0.filter, "q");
        assert_eq!(after("/q\rq").1, Wish::End);
        assert_eq!(after("/\x03").1, Wish::End);
    }

    #[test]
    fn a_filter_is_typed_mended_and_given_up() {
        let (view, _) = after("/Lobx\x7f\r");

        assert!(view.shows("the LOBBY") && !view.shows("staff"));
        assert!(after("/lob\x1b").0.shows("staff"));
        assert!(after("/lob\r\x1b").0.shows("staff"));
    }

    #[test]
    fn keys_sort_pause_and_change_the_pace_within_bounds() {
        assert_eq!(after("ss").0.order, Order::Sessions);
        assert_eq!(after("sssss").0.order, Order::Rate);
        assert!(after("p").0.is_paused() && !after("pp").0.is_paused());
        assert_eq!(after("-").0.interval(), Duration::from_secs(2));
        assert_eq!(after("++++++").0.interval(), INTERVAL_MIN);
        assert_eq!(after("----------").0.interval(), INTERVAL_MAX);
    }
}
