//! The WebSockets of a connection: the one that is its transport, and the one that wants to become it.

use std::task::{Context, Poll};

use bytes::BytesMut;
use nuncio_engineio::Frame;
use nuncio_engineio::server::{SocketEnd, SocketId};
use nuncio_model::Now;
use nuncio_session::socketio::Output;
use nuncio_websocket::{Event, FrameError, Mask, State, encode_pong};

use super::{Driver, End, Registered, Scratch};
use crate::app::App;
use crate::io::{Direct, Woken};
use crate::sink::Wire;
use crate::socketio::frames;
use crate::socketio::link::{
    CLOSE_TIMEOUT, Duplex, LINGER, Link, Opened, Phase, Stream, server_side,
};
use crate::socketio::polling::Probe;

impl<A: App> Driver<A> {
    /// A second WebSocket is closed after its handshake: clients take a failed handshake for an error of the network.
    pub(super) fn handle_websocket(&mut self, opened: Opened, scratch: &mut Scratch, now: Now) {
        let Opened {
            stream,
            early,
            deflate,
        } = opened;
        let connection = server_side(self.endpoint.engine.payload_bytes_max, deflate);
        let Some(id) = self.engine.handle_websocket(now.instant) else {
            let last = nuncio_websocket::encode_close(None, "", Mask::None);
            return stream.farewell(last);
        };
        let polling = self.polling.get_or_insert_default();
        polling.probe = Some(Probe::new(id, stream, connection));
        self.handle_bytes(id, &mut early.to_vec(), scratch, now);
    }

    /// A packet of Engine.IO itself, or what a client missed that upgraded.
    pub(super) fn send(
        &mut self,
        socket: SocketId,
        frame: &Frame,
        handover: Option<&mut Handover>,
    ) {
        let item = frames::item_of(frame);
        match (handover, &mut self.polling) {
            (Some(handover), _) => handover.first.extend_from_slice(&item),
            (None, Some(polling)) if polling.is_probe(socket) => {
                if let Some(probe) = &mut polling.probe {
                    probe.out.extend_from_slice(&item);
                }
            }
            (None, _) => self.push(item),
        }
    }

    pub(super) fn close_socket(&mut self, socket: SocketId, now: Now) {
        if let Some(polling) = &mut self.polling
            && polling.is_probe(socket)
        {
            return polling.probe.take().map_or((), Probe::close);
        }
        let code = match self.end {
            End::With(code) => code,
            End::Open | End::Over => None,
        };
        let Some(link) = self.link.as_mut().filter(|link| link.id == socket) else {
            return;
        };
        let code = code.and_then(|code| nuncio_websocket::CloseCode::new(code.0));
        if let Some(frame) = link.connection.close(code, "", Mask::None) {
            self.outbox.finish(frame);
        }
        link.phase = Phase::Closing(now.instant + CLOSE_TIMEOUT);
    }

    pub(super) fn begin_handover(&mut self, socket: SocketId) -> Option<Handover> {
        let probe = self.polling.as_mut()?.probe.take()?;
        let Probe {
            stream,
            connection,
            out,
            ..
        } = probe;
        // Until the handover is done nothing reads or writes by it.
        self.link = Some(Link::new(socket, Box::new(Direct), connection));
        if let Some(Registered { mailbox, .. }) = &self.mailbox {
            mailbox.set_upgraded();
        }
        Some(Handover { stream, first: out })
    }

    pub(super) fn hand_over(&mut self, stream: Stream, mut first: BytesMut) {
        for frame in self
            .polling
            .iter_mut()
            .flat_map(|polling| polling.take_frames())
        {
            let frame = frame.for_websocket(self.engine.protocol(), self.engine.binary_support());
            first.extend_from_slice(&frames::item_of(&frame));
        }
        self.outbox.push_first(first.freeze());
        match (stream, self.outbox.sink()) {
            (Stream::Plain(stream), Wire::Late(late)) => {
                let _ = late.set(Box::new(stream));
                self.outbox.flush();
            }
            (Stream::Plain(stream), Wire::Direct(_) | Wire::Woken) => {
                self.carry_by(Box::new(stream));
            }
            (Stream::Other(stream), _) => self.carry_by(stream),
        }
        let form = self.form();
        if form.window.is_some() {
            self.seats.reencode(form.encoder());
        }
        self.seats.upgraded();
    }

    fn carry_by(&mut self, stream: Box<dyn Duplex>) {
        if let Some(link) = &mut self.link {
            link.io = Box::new(Woken::new(stream));
        }
    }

    pub(super) fn unstash(&mut self, scratch: &mut Scratch, now: Now) {
        if self.is_saturated() {
            return;
        }
        if let Some(link) = &mut self.link
            && let Some(mut stash) = link.stash.take()
        {
            let id = link.id;
            self.handle_bytes(id, &mut stash, scratch, now);
        }
    }

    pub(super) fn read(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch, now: Now) {
        let mut buffer = std::mem::take(&mut scratch.buffer);
        while let Some((id, read)) = self.poll_read(&mut buffer, cx) {
            match read {
                Ok(len) if len > 0 => self.handle_bytes(id, &mut buffer[..len], scratch, now),
                end => {
                    let end = end.map_or(SocketEnd::Failed, |_| SocketEnd::Closed);
                    self.lost(id, end, &mut scratch.outputs, now);
                }
            }
        }
        scratch.buffer = buffer;
    }

    /// Reads from the transport's WebSocket, or the one that wants to become it; `None` when there is nothing to read.
    fn poll_read(
        &mut self,
        buffer: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Option<(SocketId, std::io::Result<usize>)> {
        match (&mut self.link, &mut self.polling) {
            (Some(link), _) if link.phase == Phase::Done || link.stash.is_some() => None,
            (Some(link), _) => match link.io.poll_read(&self.outbox, buffer, cx) {
                Poll::Ready(read) => Some((link.id, read)),
                Poll::Pending => None,
            },
            (None, Some(polling)) => {
                let probe = polling.probe.as_mut()?;
                match probe.read(buffer, cx) {
                    Poll::Ready(len) => Some((probe.id, Ok(len))),
                    Poll::Pending => None,
                }
            }
            (None, None) => None,
        }
    }

    fn handle_bytes(
        &mut self,
        id: SocketId,
        mut input: &mut [u8],
        scratch: &mut Scratch,
        now: Now,
    ) {
        loop {
            if self.is_saturated() && !input.is_empty() {
                if let Some(link) = self.link.as_mut().filter(|link| link.id == id) {
                    link.stash = Some(Box::new(input.to_vec()));
                }
                return;
            }
            let Some(connection) = self.connection(id) else {
                return;
            };
            match connection.receive(&mut input, &mut scratch.inflater) {
                Ok(Some(event)) => self.handle_event(id, event, now),
                Ok(None) => return,
                Err(error) => self.fail(id, &error, now),
            }
            self.pump(&mut scratch.outputs, now);
        }
    }

    fn handle_event(&mut self, id: SocketId, event: Event<'_>, now: Now) {
        let frame = match event {
            Event::Text(text) => Frame::Text(text.into_owned().into()),
            Event::Binary(bytes) => Frame::Binary(bytes.into_owned().into()),
            Event::Ping(payload) => return self.pong(id, &payload),
            Event::Pong(_) => return,
            Event::Close { code, .. } => {
                self.seats.note_close(code);
                return self.end_socket(id, code, "", SocketEnd::Closed, now);
            }
        };
        self.engine.handle_frame(now.instant, id, frame);
    }

    fn pong(&mut self, id: SocketId, payload: &[u8]) {
        let may_send = self
            .connection(id)
            .is_some_and(|connection| connection.may_send());
        if !may_send {
            return;
        }
        let pong = encode_pong(payload, Mask::None);
        match self
            .polling
            .as_mut()
            .and_then(|polling| polling.probe.as_mut())
        {
            Some(probe) if probe.id == id => probe.out.extend_from_slice(&pong),
            Some(_) | None => self.push(pong),
        }
    }

    /// The peer broke a rule of RFC 6455: the close frame says which.
    fn fail(&mut self, id: SocketId, error: &FrameError, now: Now) {
        let code = Some(error.close_code());
        self.end_socket(id, code, &error.to_string(), SocketEnd::Failed, now);
    }

    /// A WebSocket gets its close frame, and Engine.IO is told of the end.
    fn end_socket(
        &mut self,
        id: SocketId,
        code: Option<nuncio_websocket::CloseCode>,
        reason: &str,
        end: SocketEnd,
        now: Now,
    ) {
        if let Some(link) = self.link.as_mut().filter(|link| link.id == id) {
            if let Some(frame) = link.connection.close(code, reason, Mask::None) {
                self.outbox.finish(frame);
            }
            link.phase = Phase::Closing(now.instant + CLOSE_TIMEOUT);
        } else if let Some(probe) = self
            .polling
            .as_mut()
            .and_then(|polling| polling.probe.take())
        {
            probe.close();
        }
        self.engine.handle_socket_end(now.instant, id, end);
    }

    /// The stream ended, or broke, before or after the closing handshake.
    fn lost(&mut self, id: SocketId, end: SocketEnd, outputs: &mut Vec<Output>, now: Now) {
        match self.link.as_mut().filter(|link| link.id == id) {
            Some(link) => link.phase = Phase::Done,
            None => {
                if let Some(polling) = &mut self.polling {
                    polling.probe = None;
                }
            }
        }
        self.engine.handle_socket_end(now.instant, id, end);
        self.pump(outputs, now);
    }

    fn connection(&mut self, id: SocketId) -> Option<&mut nuncio_websocket::Connection> {
        match (&mut self.link, &mut self.polling) {
            (Some(link), _) if link.id == id => Some(&mut link.connection),
            (_, Some(polling)) => {
                let probe = polling.probe.as_mut().filter(|probe| probe.id == id)?;
                Some(&mut probe.connection)
            }
            (_, None) => None,
        }
    }

    pub(super) fn write(&mut self, cx: &mut Context<'_>, outputs: &mut Vec<Output>, now: Now) {
        let Some(link) = &mut self.link else {
            if let Some(polling) = &mut self.polling
                && let Some(probe) = &mut polling.probe
            {
                probe.write(cx);
            }
            return;
        };
        if link.phase == Phase::Done {
            return;
        }
        match link.io.poll_write(&self.outbox, cx) {
            Poll::Pending => return,
            Poll::Ready(Err(_)) => {
                let id = link.id;
                return self.lost(id, SocketEnd::Failed, outputs, now);
            }
            Poll::Ready(Ok(())) => {}
        }
        if let Phase::Closing(_) = link.phase {
            // The last flush of all is done here, at once.
            self.outbox.flush();
            if link.connection.state() == State::Closed
                && self.outbox.is_drained()
                && link.io.poll_shutdown(&self.outbox, cx).is_ready()
            {
                link.phase = Phase::Lingering(now.instant + LINGER);
            }
        }
    }
}

/// A WebSocket that becomes the transport, and what must be written on it first.
pub(super) struct Handover {
    pub(super) stream: Stream,
    pub(super) first: BytesMut,
}
