//! The end of connections.

use std::time::Instant;

use super::event::{CloseReason, Event};
use super::io::Output;
use super::session::{Asked, Stage, WaitsFor};
use super::{Conn, Edge, TimerKey};
use crate::conn::ConnId;

/// Whether the protocol has been told that the connection ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Told {
    Already,
    NotYet,
}

impl Edge {
    /// Ends a connection from our side: what waits is sent, then the driver closes it.
    pub(super) fn close(&mut self, now: Instant, conn: ConnId, reason: CloseReason) {
        self.close_after(now, conn, reason, Told::NotYet);
    }

    pub(super) fn close_after(&mut self, now: Instant, conn: ConnId, reason: CloseReason, told: Told) {
        if self.session(conn).is_none_or(|session| session.is_closing()) {
            return;
        }
        self.leave(now, conn);
        let Some(session) = self.session(conn) else { return };
        session.stage = Stage::Closing(reason.clone());
        if let (Told::NotYet, Some(rtmp)) = (told, session.rtmp()) {
            rtmp.close(None);
        }
        self.take_events(now, conn);
        self.timers.remove(TimerKey::Conn(conn));
        self.outputs.push_back(Output::Close { conn, reason });
    }

    /// The connection is gone.
    pub(super) fn on_closed(&mut self, now: Instant, conn: ConnId) {
        match self.conns.get(conn) {
            Some(Conn::Session(_)) => {
                self.leave(now, conn);
                self.timers.remove(TimerKey::Conn(conn));
                let Some(Conn::Session(session)) = self.conns.remove(conn) else { return };
                let reason = match session.stage {
                    Stage::Closing(reason) => reason,
                    _ => CloseReason::Peer,
                };
                let (sent_bytes, received_bytes) = (session.meter.sent, session.meter.received);
                let client = session.client;
                self.event(Event::Closed { conn, client, reason, sent_bytes, received_bytes });
                self.check_drained();
            }
            Some(Conn::Upstream(_)) => self.on_upstream_closed(now, conn),
            None => {}
        }
    }

    /// The client does not do or wait for anything any more.
    fn leave(&mut self, now: Instant, conn: ConnId) {
        let Some(session) = self.session(conn) else { return };
        match &session.stage {
            Stage::Playing(_) | Stage::Publishing(_) => self.leave_stream(now, conn),
            Stage::Deciding(deciding) => match deciding.waits_for {
                Some(WaitsFor::Owner(question)) => {
                    self.questions.remove(&question);
                }
                Some(WaitsFor::Probe) => self.cancel_probe(now, conn),
                Some(WaitsFor::Origin(stream)) => self.abandon_publish(now, conn, stream),
                None => {}
            },
            Stage::Idle | Stage::Closing(_) => {}
        }
    }

    /// A play or publish is over; the connection may stay.
    pub(super) fn leave_stream(&mut self, now: Instant, conn: ConnId) {
        let Some(session) = self.session(conn) else { return };
        match std::mem::take(&mut session.stage) {
            Stage::Playing(stream) => self.leave_viewer(now, conn, stream),
            Stage::Publishing(stream) => self.unpublish(now, conn, stream),
            other => session.stage = other,
        }
    }

    /// The request that is in front of the checks.
    pub(super) fn asked(&mut self, conn: ConnId) -> Option<Asked> {
        Some(self.session(conn)?.deciding()?.request)
    }
}
