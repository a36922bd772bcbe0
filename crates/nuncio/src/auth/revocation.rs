//! Tokens that are not believed any more, before they end by themselves.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use nuncio_model::{Identity, UserId};

/// What is revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocation {
    /// The token with this `jti`.
    Token(String),
    /// All tokens of a user issued before a time, in seconds since the Unix epoch. Those that do not say when they were issued count as
    /// issued before.
    User {
        /// Whose.
        user: UserId,
        /// Tokens issued at this second or later are good.
        issued_before: u64,
    },
}

/// The list is full. Revoking must not fail silently, so nothing was dropped for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{max} revocations are kept, and none of them has ended; change auth.secrets to revoke every token"
)]
pub struct RevocationsFull {
    max: usize,
}

/// The list of revocations. Each is kept until no token that it hits can be valid any more.
#[derive(Debug, Default)]
pub struct Revocations {
    entries: RwLock<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    /// Until when, by `jti`.
    tokens: HashMap<Box<str>, u64>,
    users: HashMap<UserId, RevokedUser>,
}

#[derive(Debug)]
struct RevokedUser {
    issued_before: u64,
    until: u64,
}

impl Revocations {
    /// Most entries kept.
    pub const LEN_MAX: usize = 10_000;

    /// Revokes until `until`, when the last token that this hits has ended; both times in seconds since the Unix epoch. Sessions that are
    /// connected are not ended by it. O(1), or O(entries) when the list is full.
    ///
    /// # Errors
    /// [`RevocationsFull`]; nothing changed then.
    pub fn revoke(
        &self,
        revocation: Revocation,
        until: u64,
        now_unix_s: u64,
    ) -> Result<(), RevocationsFull> {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= Self::LEN_MAX {
            entries.forget_ended(now_unix_s);
        }
        if entries.len() >= Self::LEN_MAX && !entries.contains(&revocation) {
            return Err(RevocationsFull { max: Self::LEN_MAX });
        }
        entries.insert(revocation, until);
        Ok(())
    }

    /// Revocations that are kept, those included that have ended and were not forgotten yet.
    pub fn len(&self) -> usize {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.len()
    }

    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What holds at present, each with its end.
    pub(super) fn entries(&self, now_unix_s: u64) -> Vec<(Revocation, u64)> {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.forget_ended(now_unix_s);
        let tokens = entries.tokens.iter();
        let tokens = tokens.map(|(id, until)| (Revocation::Token(id.to_string()), *until));
        let users = entries.users.iter().map(|(user, revoked)| {
            let revocation = Revocation::User {
                user: user.clone(),
                issued_before: revoked.issued_before,
            };
            (revocation, revoked.until)
        });
        tokens.chain(users).collect()
    }

    /// Whether what an identity stands on is revoked.
    pub fn is_revoked(&self, identity: &Identity) -> bool {
        self.hit(&identity.user, identity.iat, identity.token_id.as_deref())
    }

    /// Whether a token with this `sub`, `iat` and `jti` is revoked.
    pub fn hit(&self, user: &UserId, iat: Option<u64>, token_id: Option<&str>) -> bool {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let is_token = |id: &str| entries.tokens.contains_key(id);
        let is_user = |user: &RevokedUser| iat.is_none_or(|iat| iat < user.issued_before);
        token_id.is_some_and(is_token) || entries.users.get(user).is_some_and(is_user)
    }
}

impl Entries {
    fn len(&self) -> usize {
        self.tokens.len() + self.users.len()
    }

    fn contains(&self, revocation: &Revocation) -> bool {
        match revocation {
            Revocation::Token(id) => self.tokens.contains_key(id.as_str()),
            Revocation::User { user, .. } => self.users.contains_key(user),
        }
    }

    fn forget_ended(&mut self, now: u64) {
        self.tokens.retain(|_, until| *until > now);
        self.users.retain(|_, user| user.until > now);
    }

    /// A second revocation never takes anything back from the first.
    fn insert(&mut self, revocation: Revocation, until: u64) {
        match revocation {
            Revocation::Token(id) => {
                let known = self.tokens.entry(id.into()).or_insert(until);
                *known = until.max(*known);
            }
            Revocation::User {
                user,
                issued_before,
            } => {
                let known = self.users.entry(user).or_insert(RevokedUser {
                    issued_before,
                    until,
                });
                known.issued_before = issued_before.max(known.issued_before);
                known.until = until.max(known.until);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_revoked_token_is_known_by_its_id() {
        let revocations = Revocations::default();

        revocations
            .revoke(Revocation::Token("t1".into()), 2000, 1000)
            .unwrap();

        assert!(revocations.is_revoked(&identity("ann", Some("t1"), Some(900))));
        assert!(!revocations.is_revoked(&identity("ann", Some("t2"), Some(900))));
        assert!(!revocations.is_revoked(&identity("ann", None, Some(900))));
    }

    #[test]
    fn a_revoked_user_needs_a_token_issued_later() {
        let revocations = Revocations::default();

        revocations.revoke(user("ann", 1000), 2000, 1000).unwrap();

        assert!(revocations.is_revoked(&identity("ann", None, Some(999))));
        assert!(
            revocations.is_revoked(&identity("ann", None, None)),
            "it does not say when it was issued"
        );
        assert!(!revocations.is_revoked(&identity("ann", None, Some(1000))));
        assert!(!revocations.is_revoked(&identity("bob", None, Some(999))));
    }

    #[test]
    fn a_second_revocation_takes_nothing_back() {
        let revocations = Revocations::default();
        revocations.revoke(user("ann", 1000), 2000, 1000).unwrap();

        revocations.revoke(user("ann", 500), 600, 1000).unwrap();

        assert!(revocations.is_revoked(&identity("ann", None, Some(999))));
    }

    #[test]
    fn a_full_list_forgets_what_has_ended_and_refuses_rather_than_drop_the_rest() {
        let revocations = Revocations::default();
        let token = |i: usize| Revocation::Token(i.to_string());
        for i in 0..Revocations::LEN_MAX {
            let until = if i == 0 { 1500 } else { 2000 };
            revocations.revoke(token(i), until, 1000).unwrap();
        }

        assert!(revocations.revoke(token(1_000_000), 2000, 1499).is_err());
        assert_eq!(
            revocations.revoke(token(1), 2000, 1499),
            Ok(()),
            "it is in the list already"
        );
        assert_eq!(revocations.revoke(token(1_000_000), 2000, 1500), Ok(()));
        assert!(revocations.is_revoked(&identity("ann", Some("1000000"), None)));
        assert!(!revocations.is_revoked(&identity("ann", Some("0"), None)));
    }

    fn user(name: &str, issued_before: u64) -> Revocation {
        let user = UserId::parse(name).unwrap();
        Revocation::User {
            user,
            issued_before,
        }
    }

    fn identity(user: &str, token_id: Option<&str>, iat: Option<u64>) -> Identity {
        Identity {
            user: UserId::parse(user).unwrap(),
            profile: None,
            exp: None,
            iat,
            token_id: token_id.map(Into::into),
            grants: Arc::default(),
            join: Vec::new(),
        }
    }
}
