//! Who a client is and what it may do. Nothing is granted that is not written.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{ErrorCode, Json, Namespace, Refusal, RoomName, UserId, quote};

/// What a user may do in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// Become a member and receive.
    Join,
    /// Publish messages and events.
    Publish,
    /// List and count users.
    Presence,
    /// Read what was published before.
    History,
    /// Announce typing.
    Typing,
}

impl Right {
    /// The word in tokens, configuration and errors.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Publish => "publish",
            Self::Presence => "presence",
            Self::History => "history",
            Self::Typing => "typing",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of [`Right`]s.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(from = "Vec<Right>")]
pub struct Rights(u8);

impl Rights {
    /// No right at all.
    pub const NONE: Self = Self(0);
    /// Every right.
    pub const ALL: Self = Self(0b1_1111);

    /// Whether `right` is in the set.
    pub const fn has(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }

    /// The rights of either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl From<Vec<Right>> for Rights {
    fn from(rights: Vec<Right>) -> Self {
        Self(rights.into_iter().fold(0, |bits, right| bits | right.bit()))
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            Right::Join,
            Right::Publish,
            Right::Presence,
            Right::History,
            Right::Typing,
        ];
        f.debug_set()
            .entries(all.into_iter().filter(|&right| self.has(right)))
            .finish()
    }
}

/// A pattern of names, in which `*` stands for any run of characters: `chat:*`, `*:public`, `*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// Makes a pattern of any text.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole of `name` fits the pattern. O(length of name x number of stars).
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(first) else {
            return false;
        };
        let Some(last) = parts.next_back() else {
            return rest.is_empty();
        };
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

/// Rights in the rooms of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoomGrant {
    /// Which rooms.
    pub rooms: Pattern,
    /// What is allowed there.
    pub allow: Rights,
}

/// All that a client may do: from its token, the configuration or the backend's answer. The default grants nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Grants {
    /// Namespaces it may use.
    pub namespaces: Vec<Namespace>,
    /// Rights by room; the rights of all patterns that match add up.
    pub rooms: Vec<RoomGrant>,
    /// Users and sessions (patterns of ids) that it may send private messages to.
    pub private: Vec<Pattern>,
}

impl Grants {
    /// The rights in one room. O(number of grants).
    pub fn rights(&self, room: &str) -> Rights {
        let matching = self.rooms.iter().filter(|grant| grant.rooms.matches(room));
        matching.fold(Rights::NONE, |rights, grant| rights.union(grant.allow))
    }

    /// Checks one right in one room.
    ///
    /// # Errors
    /// [`ErrorCode::Forbidden`], naming the room and the missing right.
    pub fn check(&self, room: &RoomName, right: Right) -> Result<(), Refusal> {
        if self.rights(room).has(right) {
            return Ok(());
        }
        let message = format!(
            "room {} is not granted: the right {:?} is missing",
            quote(room),
            right.as_str()
        );
        Err(Refusal::new(ErrorCode::Forbidden, message))
    }

    /// Checks that private messages to `recipient` are allowed.
    ///
    /// # Errors
    /// [`ErrorCode::Forbidden`], naming the recipient.
    pub fn check_private(&self, recipient: &str) -> Result<(), Refusal> {
        if self
            .private
            .iter()
            .any(|pattern| pattern.matches(recipient))
        {
            return Ok(());
        }
        let message = format!(
            "private messages to {} are not granted: the grant \"private\" is missing",
            quote(recipient)
        );
        Err(Refusal::new(ErrorCode::Forbidden, message))
    }

    /// Checks that the namespace may be used.
    ///
    /// # Errors
    /// [`ErrorCode::Forbidden`], naming the namespace.
    pub fn check_namespace(&self, namespace: &Namespace) -> Result<(), Refusal> {
        if self.namespaces.contains(namespace) {
            return Ok(());
        }
        let message = format!("namespace {} is not granted", quote(namespace));
        Err(Refusal::new(ErrorCode::Forbidden, message))
    }
}

/// Who an authenticated client is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user, from `sub`.
    pub user: UserId,
    /// What the token says of the user for others to see; JSON `null` when nothing.
    pub profile: Option<Json>,
    /// When the token ends, in seconds since the Unix epoch.
    pub exp: Option<u64>,
    /// When it was issued, in the same unit: what revocation of a user compares with.
    pub iat: Option<u64>,
    /// The token's own id, by which it may be revoked.
    pub token_id: Option<Box<str>>,
    /// What it may do. Shared by all clients with the same grants.
    pub grants: Arc<Grants>,
    /// Rooms that it joins at once.
    pub join: Vec<RoomName>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, name, fits) in [
            ("*", "anything", true),
            ("chat:*", "chat:lobby", true),
            ("chat:*", "chat:", true),
            ("chat:*", "chats", false),
            ("*:public", "a:b:public", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*a", "a", false),
            ("lobby", "lobby", true),
            ("lobby", "lobby2", false),
            ("", "x", false),
        ] {
            assert_eq!(
                Pattern::new(pattern).matches(name),
                fits,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn nothing_is_granted_by_default() {
        let room = RoomName::parse("lobby").unwrap();

        let refusal = Grants::default().check(&room, Right::Join).unwrap_err();

        assert_eq!(refusal.code, ErrorCode::Forbidden);
        assert!(
            refusal.message.contains("\"lobby\"") && refusal.message.contains("\"join\""),
            "{refusal}"
        );
        assert!(
            Grants::default()
                .check_namespace(&Namespace::default())
                .is_err()
        );
        assert!(Grants::default().check_private("ann").is_err());
    }

    #[test]
    fn rights_of_all_matching_patterns_add_up() {
        let grant = |rooms, rights: Vec<Right>| RoomGrant {
            rooms: Pattern::new(rooms),
            allow: rights.into(),
        };
        let grants = Grants {
            rooms: vec![
                grant("*", vec![Right::Join]),
                grant("chat:*", vec![Right::Publish]),
            ],
            ..Grants::default()
        };

        assert!(
            grants.rights("chat:a").has(Right::Join) && grants.rights("chat:a").has(Right::Publish)
        );
        assert!(!grants.rights("news").has(Right::Publish));
    }
}
