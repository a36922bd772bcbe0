//! What the client asks for: polls, streams, and what it says.

use nuncio_model::{CloseCode, ErrorCode, Now, Refusal};
use nuncio_protocol::stream::Posting;
use nuncio_session::Output;
use tokio::sync::oneshot;

use super::super::mailbox::{Answer, Letter, RequestId};
use super::super::pipe::Pipe;
use super::super::reply::Reply;
use super::{Carrier, Driver, Phase, Sending};
use crate::app::{App, ClosedBy};
use crate::encoders::{POLLING, SSE};
use std::sync::Arc;

impl<A: App> Driver<A> {
    /// Takes what came in.
    pub(super) fn read(&mut self, outputs: &mut Vec<Output>, now: Now) {
        self.go_on_sending(outputs, now);
        for letter in self.mailbox.take() {
            match letter {
                Letter::Poll(id, cursor, answer) => self.handle_poll(id, cursor, answer, now),
                Letter::Stream(id, cursor, answer) => self.handle_stream(id, cursor, answer, now),
                Letter::Send(posting, answer) => {
                    self.handle_send(posting, answer);
                    self.go_on_sending(outputs, now);
                }
                Letter::Gone(id) => self.handle_gone(id, now),
            }
        }
    }

    fn handle_poll(&mut self, id: RequestId, cursor: u64, answer: Answer, now: Now) {
        if let Err(reply) = self.acknowledge(cursor) {
            let _ = answer.send(reply);
            return;
        }
        let until = now.instant + self.endpoint.options.poll_wait;
        self.replace_carrier(Carrier::Poll(id, answer, until));
    }

    fn handle_stream(
        &mut self,
        id: RequestId,
        cursor: Option<u64>,
        answer: oneshot::Sender<Result<Arc<Pipe>, Reply>>,
        now: Now,
    ) {
        let cursor = cursor.unwrap_or(self.kept.acknowledged());
        if let Err(reply) = self.acknowledge(cursor) {
            let _ = answer.send(Err(reply));
            return;
        }
        let pipe = Arc::new(Pipe::new(self.outbox.clone(), id));
        pipe.push([nuncio_protocol::stream::retry(self.endpoint.options.retry)]);
        for (number, item) in self.kept.after(cursor) {
            pipe.push([nuncio_protocol::stream::id(number), item.event().clone()]);
        }
        self.replace_carrier(Carrier::Stream(pipe.clone()));
        if answer.send(Ok(pipe)).is_err() {
            self.handle_gone(id, now);
        }
    }

    fn acknowledge(&mut self, cursor: u64) -> Result<(), Reply> {
        if self.kept.acknowledge(cursor) {
            return Ok(());
        }
        let (from, to) = (self.kept.acknowledged(), self.kept.newest());
        let message = format!(
            "cursor {cursor} is none of this session's: messages after {from} to {to} are kept; resume the session with what was seen last in each room"
        );
        Err(Reply::conflict(message))
    }

    /// The newer request takes the place of the older, which is answered at once.
    fn replace_carrier(&mut self, newer: Carrier) {
        let label = match &newer {
            Carrier::Stream(_) => SSE,
            Carrier::Nothing(_) | Carrier::Opening(_) | Carrier::Poll(..) => POLLING,
        };
        if let Some(client) = &mut self.client
            && client.encoder != label
        {
            self.shared.app.moved(client, label);
        }
        match std::mem::replace(&mut self.carrier, newer) {
            Carrier::Poll(_, answer, _) => {
                let _ = answer.send(Reply::Batch(self.kept.newest(), Vec::new()));
            }
            Carrier::Stream(pipe) => pipe.finish(),
            Carrier::Nothing(_) | Carrier::Opening(_) => {}
        }
    }

    fn handle_gone(&mut self, gone: RequestId, now: Now) {
        let is_carrier = match &self.carrier {
            Carrier::Poll(id, ..) => *id == gone,
            Carrier::Stream(pipe) => pipe.id == gone,
            Carrier::Opening(opening) => opening.id == gone,
            Carrier::Nothing(_) => false,
        };
        if !is_carrier {
            return;
        }
        if matches!(self.carrier, Carrier::Opening(_)) {
            // Nobody knows the session's token: nobody can come back for it.
            self.end(
                CloseCode::NO_STATUS,
                "the request was given up".into(),
                ClosedBy::Client,
                now,
            );
            self.phase = Phase::Done;
        }
        self.carrier = Carrier::Nothing(now.instant + self.endpoint.options.silence);
    }

    fn handle_send(&mut self, posting: Posting, answer: Answer) {
        let Posting {
            number,
            messages,
            close,
        } = posting;
        let reply = if self.client.is_none() {
            Reply::gone()
        } else if number == 0 || number > self.taken + 1 {
            let next = self.taken + 1;
            Reply::conflict(format!("the next body is number {next}, and not {number}"))
        } else if number <= self.taken && self.sending.is_none() {
            Reply::Taken(number)
        } else if let Some(sending) = &mut self.sending {
            if sending.number == number {
                // The same once more: its sender did not wait for the first one's answer.
                sending.answer = Some(answer);
                return;
            }
            let busy = Refusal::new(ErrorCode::RateLimited, "the body before is not taken yet");
            Reply::refused(&busy)
        } else {
            self.taken = number;
            self.sending = Some(Box::new(Sending {
                number,
                messages: messages.into_iter(),
                close,
                answer: Some(answer),
            }));
            return;
        };
        let _ = answer.send(reply);
    }

    /// Hands the session what was sent, as far as it takes more.
    fn go_on_sending(&mut self, outputs: &mut Vec<Output>, now: Now) {
        while !self.session.is_saturated()
            && let Some(sending) = &mut self.sending
        {
            match sending.messages.next() {
                Some(message) => {
                    self.shared.app.received(message.len());
                    self.session.handle_message(&message, now, outputs);
                    self.apply(outputs, now);
                }
                None => self.finish_sending(now),
            }
        }
    }

    fn finish_sending(&mut self, now: Now) {
        let Some(sending) = self.sending.take() else {
            return;
        };
        if let Some(answer) = sending.answer {
            let _ = answer.send(Reply::Taken(sending.number));
        }
        if let Some(code) = sending.close {
            self.end(code, "".into(), ClosedBy::Client, now);
            self.phase = Phase::Done;
        }
    }
}
