//! What the server says.

use std::time::{Duration, Instant};

use nuncio_model::{CallId, Command, Epoch, JoinRequest, RoomName};
use nuncio_protocol::client::{
    AuthOk, Failure, JoinAnswer, Reply, RoomAnswer, RoomPosition, Secret, ServerMessage, decode,
};
use nuncio_protocol::{Incoming, JoinForm};

use super::room::{Membership, Room, Verdict};
use super::{Action, Answer, CallError, Event, Phase, SentJoin, Session, Step};

impl Session {
    /// Takes one text of the server. What a newer server may say and this client does not know is ignored.
    pub fn handle_message(&mut self, text: &str, now: Instant) {
        self.heard_at = Some(now);
        if let Ok(message) = decode(text) {
            self.handle_decoded(message, now);
        }
    }

    fn handle_decoded(&mut self, message: ServerMessage, now: Instant) {
        match message {
            ServerMessage::Welcome(welcome) => {
                self.connection = Some(welcome.id);
                self.heartbeat = Some(welcome.heartbeat);
            }
            ServerMessage::AuthOk(auth) => self.handle_auth_ok(&auth, now),
            ServerMessage::Resumed { resume, rooms } => self.handle_resumed(&resume, &rooms, now),
            ServerMessage::Expiring(_) => self.actions.push_back(Action::AskToken),
            ServerMessage::Message(message) => {
                let (epoch, seq) = (message.epoch, message.seq);
                if self.takes(&message.room, epoch, seq) {
                    self.tell(Event::Message(message));
                }
            }
            ServerMessage::Event(event) => {
                let is_next = match (&event.room, event.seq) {
                    (Some(room), Some(seq)) => self.takes(&room.clone(), event.epoch, seq),
                    (Some(_), None) | (None, _) => true,
                };
                if is_next {
                    self.tell(Event::Event(event));
                }
            }
            ServerMessage::Private(private) => self.tell(Event::Private(private)),
            ServerMessage::Joined(room, user) => self.tell(Event::Joined(room, user)),
            ServerMessage::Left(room, user) => self.tell(Event::Left(room, user)),
            ServerMessage::Typing(room, user, typing) => {
                self.tell(Event::Typing(room, user, typing));
            }
            ServerMessage::Presence(user, status) => self.tell(Event::Presence(user, status)),
            ServerMessage::PresenceCount(room, count) => {
                self.tell(Event::PresenceCount(room, count));
            }
            ServerMessage::Position { room, reason } => self.handle_position(&room, &reason),
            ServerMessage::Removed(room, code) => {
                self.rooms.remove(&room);
                self.tell(Event::Removed(room, code));
            }
            ServerMessage::Reply(reply) => self.handle_reply(reply, now),
            ServerMessage::Error(failure) => self.tell(Event::Error(failure)),
            ServerMessage::Reconnect(after, _) => self.announced = Some(after),
            ServerMessage::Pong | ServerMessage::Unknown(_) => {}
        }
    }

    fn handle_auth_ok(&mut self, auth: &AuthOk, now: Instant) {
        self.resume = Some(auth.resume.reveal().to_owned());
        if matches!(self.phase, Phase::Entering { .. }) {
            self.session = self.connection;
            self.enter(false, now);
        }
    }

    fn handle_resumed(&mut self, resume: &Secret, rooms: &[RoomPosition], now: Instant) {
        self.resume = Some(resume.reveal().to_owned());
        let mut unwanted = Vec::new();
        for position in rooms {
            match self.rooms.get(&position.room) {
                // Its first join had no reply: it is asked for again, with the history that was wanted.
                Some(room) if room.position().is_none() => {}
                Some(_) => self.handle_room_back(position),
                None => unwanted.push(position.room.clone()),
            }
        }
        self.enter(true, now);
        for room in unwanted {
            self.send_now(Command::Leave(room));
        }
    }

    fn handle_room_back(&mut self, position: &RoomPosition) {
        let Some(room) = self.rooms.get_mut(&position.room) else {
            return;
        };
        let seen = room.position();
        if room.handle_joined(position) {
            let room = position.room.clone();
            self.tell(Event::Gap { room, seen });
        }
    }

    fn enter(&mut self, resumed: bool, now: Instant) {
        self.phase = Phase::Online { since: now };
        if let Some(session) = self.session {
            self.tell(Event::Online { session, resumed });
        }
        self.send_joins(now);
        self.send_calls(now);
    }

    /// Sends the joins of all rooms that are wanted and not yet asked for.
    pub(super) fn send_joins(&mut self, now: Instant) {
        if !self.is_online() || self.joins_paused_until.is_some_and(|until| now < until) {
            return;
        }
        self.joins_paused_until = None;
        let mut requests = Vec::new();
        for (name, room) in &mut self.rooms {
            if room.membership == Membership::Wanted {
                room.membership = Membership::Joining;
                requests.push(JoinRequest {
                    room: name.clone(),
                    since: room.position(),
                    history: room.history(),
                });
            }
        }
        for rooms in requests.chunks(ROOMS_PER_JOIN) {
            self.send_join(rooms.to_vec(), now);
        }
    }

    fn send_join(&mut self, requests: Vec<JoinRequest>, now: Instant) {
        let id = self.calls.next_id();
        let rooms = requests.iter().map(|request| request.room.clone());
        let sent = SentJoin {
            rooms: rooms.collect(),
            deadline: now + self.config.call_timeout,
        };
        self.joins.insert(id, sent);
        self.send(&Incoming::Command {
            id: Some(CallId::Number(id)),
            command: Command::Join(requests),
            form: JoinForm::Many,
        });
    }

    fn handle_reply(&mut self, reply: Reply, now: Instant) {
        let CallId::Number(id) = reply.ack else {
            return;
        };
        if let Phase::Entering {
            step: Step::Resume { id: own },
            deadline,
        } = self.phase
            && own == id
        {
            if reply.outcome.is_err() {
                // The session is gone: a new one begins on the same connection.
                let step = self.send_auth();
                self.phase = Phase::Entering { step, deadline };
            }
        } else if let Some(join) = self.joins.remove(&id) {
            match reply.outcome {
                Ok(data) => match JoinAnswer::parse(&data) {
                    Ok(JoinAnswer(rooms)) => self.handle_joined(rooms),
                    Err(_) => self.want_again(join.rooms),
                },
                Err(failure) => self.handle_join_refused(join, &failure, now),
            }
        } else {
            let settled = self.calls.handle_reply(id, reply.outcome, now);
            self.settle(settled);
            self.send_calls(now);
        }
    }

    fn handle_joined(&mut self, answers: Vec<RoomAnswer>) {
        for answer in answers {
            match answer {
                RoomAnswer::Joined { room, members } => {
                    self.handle_room_back(&room);
                    for ticket in self.joiners.remove(&room.room).unwrap_or_default() {
                        let room = room.clone();
                        let answer = Answer::Joined { room, members };
                        self.actions.push_back(Action::Settle(ticket, Ok(answer)));
                    }
                }
                RoomAnswer::Refused(room, failure) => self.refuse_room(&room, &failure),
            }
        }
    }

    /// The whole message was refused: for its rate it is sent again later, for anything else it is final.
    fn handle_join_refused(&mut self, join: SentJoin, failure: &Failure, now: Instant) {
        if matches!(&*failure.code, "RATE_LIMITED" | "UNAVAILABLE") {
            let pause = failure.retry_after.unwrap_or(Duration::from_secs(1));
            self.joins_paused_until = Some(now + pause);
            self.want_again(join.rooms);
            return;
        }
        for room in join.rooms {
            self.refuse_room(&room, failure);
        }
    }

    fn refuse_room(&mut self, room: &RoomName, failure: &Failure) {
        self.rooms.remove(room);
        let joiners = self.joiners.remove(room).unwrap_or_default();
        if joiners.is_empty() {
            self.tell(Event::Removed(room.clone(), failure.code.clone()));
        }
        for ticket in joiners {
            let refused = Err(CallError::Refused(failure.clone()));
            self.actions.push_back(Action::Settle(ticket, refused));
        }
    }

    fn handle_position(&mut self, position: &RoomPosition, reason: &str) {
        match self.rooms.get_mut(&position.room) {
            // The token joined a room that is joined again anyway, from where it was left.
            Some(_) if reason == "joined" => {}
            Some(room) => {
                let seen = room.position();
                if room.handle_position(position) {
                    let room = position.room.clone();
                    self.tell(Event::Gap { room, seen });
                }
            }
            None if reason == "joined" => {
                let room = Room::joined_by_token(position.position());
                self.rooms.insert(position.room.clone(), room);
            }
            None => {}
        }
    }

    /// Whether a publication is to be delivered; tells of a gap before it.
    fn takes(&mut self, name: &RoomName, epoch: Option<Epoch>, seq: u64) -> bool {
        let Some(room) = self.rooms.get_mut(name) else {
            return false;
        };
        let seen = room.position();
        match room.handle_publication(epoch, seq) {
            Verdict::Deliver => true,
            Verdict::Drop => false,
            Verdict::Gap => {
                let room = name.clone();
                self.tell(Event::Gap { room, seen });
                true
            }
        }
    }
}

/// Rooms of one `room:join`, fixed by the protocol.
const ROOMS_PER_JOIN: usize = 100;
