//! Namespaces whose events a program of the server handles: what they mean, and what it asks its clients.

use nuncio_model::{Json, Now, Request, Vocabulary};
use nuncio_socketio::Payload;

use super::{Output, Session};
use crate::budget::Cost;
use crate::call::Kind;

impl Session {
    /// The answer to a question of a program. Others ask nothing.
    pub(super) fn handle_ack(
        &mut self,
        namespace: &nuncio_socketio::Namespace,
        id: u64,
        args: &Payload,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let charged = self
            .budget
            .charge(Cost::Control, now.instant, &self.settings.rate);
        if charged.is_err() || self.vocabulary(namespace) == Vocabulary::BuiltIn {
            return;
        }
        let Some(member) = self.member_in(namespace).map(|member| member.number) else {
            return;
        };
        let request = Request::Answer {
            ack: id,
            data: Json::from_checked(args.json().clone()),
            attachments: args.attachments().into(),
        };
        self.ask(member, None, request, Kind::Other, out);
    }

    /// What the events of a namespace mean; before the client is in, nothing of its own.
    pub(super) fn vocabulary(&self, namespace: &nuncio_socketio::Namespace) -> Vocabulary {
        let mut members = self.members.iter();
        let member = members.find(|member| member.namespace == *namespace);
        member.map_or(Vocabulary::BuiltIn, |member| member.vocabulary)
    }
}
