//! Private messages of the backend.

use nuncio_model::{Push, quote};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Begun, Command, Work, asked};
use crate::api::failure::{Code, Failure};
use crate::api::value::{AnyJson, Ns, namespace};

/// A `message:private` of the backend, in no history.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "PrivateRequest", extend("examples" = [{ "to": "ann", "content": "psst" }]))]
pub(in crate::api) struct Private {
    /// A user's id, which reaches all its sessions, or a session's.
    #[schemars(extend("minLength" = 1, "maxLength" = 255))]
    to: String,
    /// What it says.
    content: AnyJson,
    /// The namespace.
    #[serde(default)]
    ns: Option<Ns>,
}

/// How far a private message went.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PrivateSent")]
pub(in crate::api) struct Sent {
    /// Sessions that it was handed to, at least one.
    sessions: u32,
}

impl Command for Private {
    type Answer = Sent;

    fn begin(self, work: &Work) -> Result<Begun<Sent>, Failure> {
        let namespace = namespace(self.ns);
        work.check_namespace(&namespace)?;
        work.check_size(self.content.0.as_bytes().len())?;
        let push = Push::Private {
            from: None,
            from_user: None,
            content: self.content.0,
            ts: work.now.unix_ms,
        };
        let node = &work.app.node;
        let recipients = node.recipients(&namespace, &self.to);
        if recipients.is_empty() {
            return Err(nobody(&self.to));
        }
        let sent = asked(|done| node.push_kept(&recipients, &push, done));
        Ok(Box::pin(async move {
            match sent.await? {
                0 => Err(nobody(&self.to)),
                sessions => Ok(Sent { sessions }),
            }
        }))
    }
}

fn nobody(to: &str) -> Failure {
    let message = format!("no user or session {} is connected", quote(to));
    Failure::new(Code::NotFound, message)
}
