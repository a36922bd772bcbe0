//! What a client said when it came.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use nuncio_model::{Head, Identity, Secret};
use serde::de::DeserializeOwned;

/// The request that opened a client's connection, and what came with its wish to join the namespace: Socket.IO's `socket.handshake`.
pub struct Handshake {
    pub(super) auth: Option<Secret>,
    pub(super) head: Option<Arc<Head>>,
    pub(super) address: IpAddr,
    pub(super) unix_ms: u64,
    pub(super) identity: Option<Identity>,
}

impl Handshake {
    /// The `auth` object of a Socket.IO client. A native client has none, which reads as `null`.
    ///
    /// # Errors
    /// When it is not what is wanted.
    pub fn auth<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        let auth = self.auth.as_ref();
        serde_json::from_str(auth.map_or("null", |auth| auth.reveal()))
    }

    /// The first header of a name, whatever its case, when it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers();
        headers.find_map(|(known, value)| {
            let is_it = known.eq_ignore_ascii_case(name);
            is_it.then(|| std::str::from_utf8(value).ok())?
        })
    }

    /// All headers of the request in their order, the names in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let headers = self.head.iter().flat_map(|head| head.headers.iter());
        headers.map(|(name, value)| (&**name, &value[..]))
    }

    /// A value of the request's query, decoded. Socket.IO clients add `EIO`, `transport` and others.
    pub fn query(&self, name: &str) -> Option<String> {
        let query = self.head.as_ref()?.query.as_bytes();
        let mut pairs = form_urlencoded::parse(query);
        pairs
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    /// The client's address, as a trusted proxy tells it.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// When it asked to join.
    pub fn time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.unix_ms)
    }

    /// Who the client is, by a token that was verified; `None` where the server verifies none.
    pub const fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }
}

/// Without what could be a token.
impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("address", &self.address)
            .field("unix_ms", &self.unix_ms)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}
