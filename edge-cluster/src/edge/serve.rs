//! Connections that were opened to us: bytes in, events of the protocol, deadlines.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use rtmp_core::message::PauseState;
use rtmp_core::{ConnectionConfig, Progress, ServerConnection, ServerEvent};

use super::event::{CloseReason, Event};
use super::ids::{client_id, mix};
use super::io::{MovedConnection, Output};
use super::meter::Meter;
use super::refusal::Refusal;
use super::session::{ConnectFacts, Session, Stage, Wire};
use super::{Conn, Edge, TimerKey};
use crate::conn::ConnId;
use rtmp_core::handshake::ProxyTrust;

impl Edge {
    pub(super) fn on_accepted(&mut self, now: Instant, conn: ConnId, peer: SocketAddr) {
        let trusted = self.config.connections.trusted_proxies.iter().any(|proxy| proxy.contains(peer.ip()));
        let greeting = match trusted {
            true => {
                let mut greeting = ConnectionConfig::clone(&self.greeting);
                greeting.proxy_trust = ProxyTrust::Trusted;
                Arc::new(greeting)
            }
            false => Arc::clone(&self.greeting),
        };
        let rtmp = ServerConnection::new(greeting, mix(self.seed ^ conn.get()), now);
        self.open_session(now, conn, peer, Wire::Rtmp(Box::new(rtmp)));
        self.touch_conn(conn);
    }

    /// Makes the session of a new connection.
    pub(super) fn open_session(&mut self, now: Instant, conn: ConnId, peer: SocketAddr, wire: Wire) {
        let client_id = client_id(self.seed, conn.get());
        let session = Session {
            wire,
            peer,
            opened: now,
            client_id: Arc::clone(&client_id),
            connect: ConnectFacts::default(),
            client: None,
            stage: Stage::Idle,
            meter: Meter::new(now),
            sent_before: 0,
            connect_allowed: false,
            holds_input: false,
        };
        self.totals.accepted += 1;
        self.conns.insert(conn, Conn::Session(Box::new(session)));
        self.event(Event::Opened { conn, peer, client_id });
    }

    pub(super) fn on_adopt(&mut self, now: Instant, conn: ConnId, state: MovedConnection) {
        self.conns.insert(conn, Conn::Session(state.session));
        self.advance(now, conn);
        self.settle(now, conn);
    }

    pub(super) fn on_received(&mut self, now: Instant, conn: ConnId, bytes: &mut BytesMut) {
        match self.conns.get_mut(conn) {
            Some(Conn::Session(_)) => self.on_session_bytes(now, conn, bytes),
            Some(Conn::Upstream(_)) => self.on_upstream_bytes(now, conn, bytes),
            None => bytes.clear(),
        }
    }

    fn on_session_bytes(&mut self, now: Instant, conn: ConnId, bytes: &mut BytesMut) {
        let mut asked_before = false;
        loop {
            let Some(session) = self.session(conn) else { return };
            session.holds_input = false;
            let before = bytes.len();
            let Some(rtmp) = session.rtmp() else {
                // Nothing is read from a request over HTTP once it was made.
                bytes.clear();
                return;
            };
            let result = rtmp.handle_input(now, bytes);
            session.meter.received += (before - bytes.len()) as u64;
            // What came before an error still counts; the error is why it ends.
            let end = match &result {
                Err(error) => CloseReason::Protocol(error.clone()),
                Ok(_) => CloseReason::Peer,
            };
            self.take_events_and_end(now, conn, &end);
            match result {
                Ok(Progress::NeedBytes) => break,
                Ok(Progress::Paused) => {
                    // Either events were waiting, which are taken now, or replies wait in `outgoing`.
                    if bytes.len() == before {
                        break;
                    }
                }
                Ok(Progress::Asking) => {
                    if asked_before && bytes.len() == before {
                        if let Some(session) = self.session(conn) {
                            session.holds_input = true;
                        }
                        break;
                    }
                    asked_before = true;
                }
                Err(_) => {
                    self.close(now, conn, end);
                    break;
                }
            }
        }
        if let Some(Stage::Publishing(stream)) = self.session(conn).map(|session| &session.stage) {
            let stream = *stream;
            self.burst_end(now, stream);
        }
        self.settle(now, conn);
    }

    /// Takes what the connection has to tell.
    pub(super) fn take_events(&mut self, now: Instant, conn: ConnId) {
        self.take_events_and_end(now, conn, &CloseReason::Peer);
    }

    /// The same; `end` is why the connection is over, if that is among it.
    fn take_events_and_end(&mut self, now: Instant, conn: ConnId, end: &CloseReason) {
        while let Some(event) = self.session(conn).and_then(Session::rtmp).and_then(|rtmp| rtmp.poll_event())
        {
            match event {
                // A refusal has closed the session already.
                ServerEvent::Closed => self.close(now, conn, end.clone()),
                event => self.on_server_event(now, conn, event),
            }
        }
    }

    fn on_server_event(&mut self, now: Instant, conn: ConnId, event: ServerEvent) {
        match event {
            ServerEvent::Media(media) => {
                if let Some(Stage::Publishing(stream)) = self.session(conn).map(|session| &session.stage) {
                    let stream = *stream;
                    self.on_published(now, stream, &media);
                }
            }
            ServerEvent::Handshaken(info) => {
                if let (Some(address), Some(session)) = (info.real_address, self.session(conn)) {
                    session.peer.set_ip(address.into());
                }
            }
            ServerEvent::ConnectRequested { request, connect } => {
                self.on_connect_requested(now, conn, request, &connect);
            }
            ServerEvent::PublishRequested { request, name, style, .. } => {
                self.on_publish_requested(now, conn, request, &name, style);
            }
            ServerEvent::PlayRequested { request, name, .. } => {
                self.on_play_requested(now, conn, request, &name);
            }
            ServerEvent::Refused(status) => {
                let refusal = Refusal::Request(status.description.as_ref().into());
                self.on_refused(now, conn, None, refusal);
            }
            ServerEvent::Pause(state) => self.on_pause(conn, state == PauseState::Paused),
            ServerEvent::Receive { kind, wanted } => self.on_receive(conn, kind, wanted),
            ServerEvent::Ended(_) => self.leave_stream(now, conn),
            _ => {}
        }
    }

    /// Shows the driver what came of a call: bytes to write, a new deadline.
    pub(super) fn settle(&mut self, now: Instant, conn: ConnId) {
        self.take_events(now, conn);
        if let Some(session) = self.session(conn)
            && !session.is_closing()
            && !session.private().is_empty()
        {
            self.outputs.push_back(Output::Write { conn });
        }
        self.touch_conn(conn);
    }

    /// The deadline of a connection has come.
    pub(super) fn on_conn_timeout(&mut self, now: Instant, conn: ConnId) {
        let Some(session) = self.session(conn) else { return };
        if session.is_closing() {
            return;
        }
        if session.deciding().is_some_and(|deciding| deciding.deadline.is_some_and(|at| at <= now)) {
            self.on_decision_timeout(now, conn);
        } else if let Err(error) = session.handle_timeout(now) {
            self.close(now, conn, CloseReason::Protocol(error));
        }
        self.settle(now, conn);
    }

    pub(super) fn touch_conn(&mut self, conn: ConnId) {
        if let Some(Conn::Session(session)) = self.conns.get(conn)
            && !session.is_closing()
        {
            self.timers.set(TimerKey::Conn(conn), session.poll_timeout());
        }
    }

    pub(super) fn session(&mut self, conn: ConnId) -> Option<&mut Session> {
        match self.conns.get_mut(conn)? {
            Conn::Session(session) => Some(session),
            Conn::Upstream(_) => None,
        }
    }

    pub(super) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}
