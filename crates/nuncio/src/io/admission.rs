//! Who may come where a program decides about it, and what is kept of the request.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Uri};
use nuncio_model::{
    ErrorCode, Grants, Head, Identity, Namespace, Opening, Refusal, Secret, SocketId, UserId,
};
use nuncio_transport::Client;

use super::{Arrival, Io};
use crate::app::Nuncio;
use crate::auth::Token;

impl Arrival {
    /// A native client has no `auth` object.
    pub(crate) const fn native(identity: Identity) -> Self {
        Self {
            identity,
            auth: None,
            head: None,
        }
    }
}

impl Nuncio {
    /// What is kept of a request: its token alone, where no program asks for more.
    pub(crate) fn opening(&self, token: Option<&Token>, uri: &Uri, headers: &HeaderMap) -> Opening {
        match self.head(token, uri, headers) {
            Some(head) => Opening::Request(head),
            None => Opening::token_only(token.map(secret)),
        }
    }

    /// The head of a request, where a program has handlers that may ask for it.
    pub(crate) fn head(
        &self,
        token: Option<&Token>,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Option<Arc<Head>> {
        if !self.io.core.is_used() {
            return None;
        }
        let headers = headers.iter().map(|(name, value)| {
            let value = Bytes::copy_from_slice(value.as_bytes());
            (name.as_str().into(), value)
        });
        Some(Arc::new(Head {
            token: token.map(secret),
            query: uri.query().unwrap_or_default().into(),
            headers: headers.collect(),
        }))
    }

    /// A client of a server that verifies no tokens; its name is its id, once it has one.
    pub(crate) fn nobody(&self) -> Identity {
        Identity {
            user: UserId::parse("anonymous").expect("it is a name"),
            profile: None,
            exp: None,
            iat: None,
            token_id: None,
            grants: self.config.grants.clone(),
            join: Vec::new(),
        }
    }

    /// The same, with its name.
    pub(crate) fn named(&self, identity: Identity, id: SocketId) -> Identity {
        if self.authenticator.is_on() {
            return identity;
        }
        let user = UserId::parse(&id.to_string()).expect("an id is a name");
        Identity { user, ..identity }
    }

    /// Lets anybody into the namespaces of a program that verifies no tokens; others do not exist, but for the main one.
    pub(crate) fn anonymous(&self, client: &Client) -> Result<Identity, Refusal> {
        let namespace = &client.namespace;
        let exists =
            *namespace == Namespace::default() || self.io.core.handlers_of(namespace).is_some();
        if exists {
            return Ok(self.named(self.nobody(), client.id));
        }
        Err(Refusal::new(ErrorCode::NotFound, "Invalid namespace"))
    }

    /// Into which namespaces a client may. Where nothing but the configuration says so, a program's handlers add their own namespace to those.
    pub(crate) fn check_namespace(
        &self,
        namespace: &Namespace,
        grants: &Arc<Grants>,
    ) -> Result<(), Refusal> {
        let is_default = Arc::ptr_eq(grants, &self.config.grants);
        if is_default && self.io.core.handlers_of(namespace).is_some() {
            return Ok(());
        }
        grants.check_namespace(namespace)
    }
}

impl Io {
    /// Keeps the request of a native client until it is in.
    pub(crate) fn note_head(&self, client: SocketId, head: Arc<Head>) {
        self.core.heads.lock().insert(client, head);
    }

    /// Gives it up, once it is known who the client is.
    pub(crate) fn take_head(&self, client: &SocketId) -> Option<Arc<Head>> {
        self.core
            .is_used()
            .then(|| self.core.heads.lock().remove(client))?
    }
}

fn secret(token: &Token) -> Secret {
    Secret::from(token.as_str())
}
