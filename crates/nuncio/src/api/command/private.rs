//! Private messages of the backend.

use nuncio_model::{Push, quote};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Begun, Command, Work, ready};
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
        match node.push_to(&node.recipients(&namespace, &self.to), &push) {
            0 => {
                let message = format!("no user or session {} is connected", quote(&self.to));
                Err(Failure::new(Code::NotFound, message))
            }
            sessions => Ok(ready(Sent { sessions })),
        }
    }
}
