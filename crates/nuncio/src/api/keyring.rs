//! Keys: who asks, what it may do, and how much at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nuncio_model::{Namespace, Pattern, RateBucket, RoomName, quote};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::failure::{Code, Failure};
use crate::config::{ApiConfig, ApiKey, Scope, Secret};

/// All keys of the API.
pub(crate) struct Keyring(Vec<Arc<Key>>);

/// One key, and what is going on with it.
pub(super) struct Key {
    pub(super) name: String,
    secret: Secret,
    scopes: Vec<Scope>,
    rooms: Option<Vec<Pattern>>,
    namespaces: Option<Vec<Namespace>>,
    places: Arc<Semaphore>,
    places_max: usize,
    rate: Mutex<RateBucket>,
    rate_per_second: u32,
}

impl Keyring {
    /// `None` without keys: then there is no API.
    pub(crate) fn new(keys: &[ApiKey], limits: &ApiConfig) -> Option<Self> {
        let keys: Vec<_> = keys
            .iter()
            .map(|key| Arc::new(Key::new(key, limits)))
            .collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// The key in the value of an `Authorization` header. Every key is compared in full, so that the time taken tells nothing of which was near.
    pub(super) fn find(&self, authorization: &[u8]) -> Option<Arc<Key>> {
        let (scheme, sent) = authorization.split_at_checked("Bearer ".len())?;
        if !scheme.eq_ignore_ascii_case(b"Bearer ") {
            return None;
        }
        let sent = sent.trim_ascii();
        let mut found = None;
        for key in &self.0 {
            if are_equal(key.secret.as_bytes(), sent) {
                found = Some(key);
            }
        }
        found.cloned()
    }
}

/// Compares in a time that depends on the lengths alone.
fn are_equal(a: &[u8], b: &[u8]) -> bool {
    let difference = a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b));
    a.len() == b.len() && std::hint::black_box(difference) == 0
}

impl Key {
    fn new(key: &ApiKey, limits: &ApiConfig) -> Self {
        Self {
            name: key.name.clone(),
            secret: key.key.clone(),
            scopes: key.scopes.clone(),
            rooms: key.rooms.clone(),
            namespaces: key.namespaces.clone(),
            places: Arc::new(Semaphore::new(limits.requests_max)),
            places_max: limits.requests_max,
            rate: Mutex::default(),
            rate_per_second: limits.rate_per_second,
        }
    }

    /// Takes a place for one request.
    pub(super) fn enter(&self) -> Result<OwnedSemaphorePermit, Failure> {
        self.places.clone().try_acquire_owned().map_err(|_| {
            let message = format!(
                "{} requests of this key are served already, as many as are allowed at once",
                self.places_max
            );
            Failure::rate_limited(message, Duration::from_secs(1))
        })
    }

    /// Takes one command of the key's budget.
    pub(super) fn charge(&self, now: Instant) -> Result<(), Failure> {
        let per_second = self.rate_per_second;
        let taken = self.rate.lock().take(now, per_second, per_second);
        taken.map_err(|after| Failure::rate_limited("Rate limit exceeded", after))
    }

    pub(super) fn check_scope(&self, scope: Scope) -> Result<(), Failure> {
        if self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin) {
            return Ok(());
        }
        let message = format!("the key lacks the scope {:?}", scope.as_str());
        Err(Failure::new(Code::Forbidden, message))
    }

    pub(super) fn check_namespace(&self, namespace: &Namespace) -> Result<(), Failure> {
        let Some(bound) = &self.namespaces else {
            return Ok(());
        };
        if bound.contains(namespace) {
            return Ok(());
        }
        let message = format!("the key is not for the namespace {}", quote(namespace));
        Err(Failure::new(Code::Forbidden, message))
    }

    /// Whether the key is for a room, by its name.
    pub(super) fn has_room(&self, room: &RoomName) -> bool {
        let bound = self.rooms.as_ref();
        bound.is_none_or(|bound| bound.iter().any(|pattern| pattern.matches(room)))
    }

    pub(super) fn check_room(&self, room: &RoomName) -> Result<(), Failure> {
        if self.has_room(room) {
            return Ok(());
        }
        let message = format!("the key is not for the room {}", quote(room));
        Err(Failure::new(Code::Forbidden, message))
    }

    /// Refuses a key that is bound to rooms what is not about a room.
    pub(super) fn check_free_of_rooms(&self) -> Result<(), Failure> {
        if self.rooms.is_none() {
            return Ok(());
        }
        let message = "the key is bound to rooms, and this is not about one";
        Err(Failure::new(Code::Forbidden, message))
    }

    /// Refuses a key that is bound to anything what holds everywhere.
    pub(super) fn check_free(&self) -> Result<(), Failure> {
        self.check_free_of_rooms()?;
        if self.namespaces.is_none() {
            return Ok(());
        }
        let message = "the key is bound to namespaces, and this holds in all of them";
        Err(Failure::new(Code::Forbidden, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn keyring() -> Keyring {
        let text = "[auth]\nsecrets = [\"a secret of at least thirty-two bytes\"]\n[api]\nrequests_max = 1\nrate_per_second = 2\nkeys = [\
            { name = \"a\", key = \"first-key-of-at-least-thirty-two-bytes\", scopes = [\"read\"], rooms = [\"chat:*\"] },\
            { name = \"b\", key = \"other-key-of-at-least-thirty-two-bytes\", scopes = [\"admin\"] }]";
        let config = Config::from_toml(text, std::path::Path::new("t")).unwrap();
        let checked = config.check().unwrap();
        Keyring::new(&checked.api_keys, &checked.config.api).unwrap()
    }

    #[test]
    fn a_key_is_found_by_the_whole_of_its_secret() {
        let keyring = keyring();
        let find = |text: &str| keyring.find(text.as_bytes()).map(|key| key.name.clone());

        let sent = "Bearer other-key-of-at-least-thirty-two-bytes";
        assert_eq!(find(sent).as_deref(), Some("b"));
        assert_eq!(
            find(&sent.replace("Bearer", "bearer")).as_deref(),
            Some("b")
        );
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Basic other-key-of-at-least-thirty-two-bytes",
            "other-key-of-at-least-thirty-two-bytes",
            &sent[..sent.len() - 1],
            &format!("{sent}x"),
        ] {
            assert_eq!(find(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_key_has_so_many_places_and_commands_as_configured() {
        let key = keyring().0[0].clone();
        let now = Instant::now();

        let place = key.enter().unwrap();
        assert_eq!(key.enter().unwrap_err().code, Code::RateLimited);
        drop(place);
        assert!(key.enter().is_ok());
        key.charge(now).unwrap();
        key.charge(now).unwrap();
        assert!(key.charge(now).unwrap_err().retry_after.is_some());
    }

    #[test]
    fn a_bound_key_reaches_what_it_is_bound_to() {
        let keyring = keyring();
        let room = |name| RoomName::parse(name).unwrap();

        assert!(keyring.0[0].check_room(&room("chat:a")).is_ok());
        assert!(keyring.0[0].check_room(&room("staff")).is_err());
        assert!(keyring.0[0].check_free_of_rooms().is_err());
        assert!(keyring.0[1].check_free().is_ok());
        assert!(keyring.0[0].check_scope(Scope::Publish).is_err());
        assert!(keyring.0[1].check_scope(Scope::Publish).is_ok());
    }
}
