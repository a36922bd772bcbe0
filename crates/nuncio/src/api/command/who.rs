//! Whose sessions a command is about.

use std::sync::Arc;

use nuncio_model::{Namespace, SocketId, UserId, quote};
use nuncio_transport::Socket;

use super::Work;
use crate::api::failure::{Code, Failure};
use crate::api::value::{Session, User};
use crate::parking::Parked;

/// A session, or a user with all its sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    Session(SocketId),
    User(UserId),
}

impl Who {
    /// Exactly one of the two.
    pub(super) fn of(user: Option<User>, session: Option<Session>) -> Result<Self, Failure> {
        match (user, session) {
            (Some(user), None) => Ok(Self::User(user.0)),
            (None, Some(session)) => Ok(Self::Session(session.0)),
            (Some(_), Some(_)) => Err(Failure::invalid("userId and sessionId exclude each other")),
            (None, None) => Err(Failure::invalid("userId or sessionId is missing")),
        }
    }

    /// The sessions that are connected in a namespace.
    pub(super) fn sockets(&self, work: &Work, namespace: &Namespace) -> Vec<Arc<Socket>> {
        match self {
            Self::Session(id) => {
                let socket = work.app.node.socket(id);
                let here = socket.filter(|socket| socket.namespace == *namespace);
                here.into_iter().collect()
            }
            Self::User(user) => work.app.node.sockets_of(namespace, user),
        }
    }

    /// The same, and there must be one.
    pub(super) fn connected(
        &self,
        work: &Work,
        namespace: &Namespace,
    ) -> Result<Vec<Arc<Socket>>, Failure> {
        let sockets = self.sockets(work, namespace);
        if sockets.is_empty() {
            return Err(self.not_connected());
        }
        Ok(sockets)
    }

    pub(super) fn not_connected(&self) -> Failure {
        let message = match self {
            Self::Session(id) => format!("no session {id} is connected in this namespace"),
            Self::User(user) => format!("no user {} is connected in this namespace", quote(user)),
        };
        Failure::new(Code::NotFound, message)
    }

    /// Whether a session that waits for its client to return is meant.
    pub(super) fn is(&self, parked: &Parked, namespace: &Namespace) -> bool {
        let is_meant = match self {
            Self::Session(id) => parked.token.socket == *id,
            Self::User(user) => parked.user == *user,
        };
        is_meant && parked.namespace == *namespace
    }
}
