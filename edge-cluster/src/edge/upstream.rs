//! Connections that this shard opens: whose they are, and their way through the machine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtmp_core::Progress;

use super::event::{CloseReason, Event, UpstreamKind};
use super::io::Output;
use super::meter::Meter;
use super::streams::StreamId;
use super::vhosts::Vhost;
use super::{Conn, Edge};
use crate::config::{DEFAULT_VHOST, HostPort};
use crate::conn::ConnId;
use crate::upstream::{ConnectFailure, OwnAddresses, UpstreamInput};

/// A connection to an upstream server.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) owner: Owner,
    pub(super) opened: Instant,
    /// Its number in the machine that wanted it.
    attempt: u64,
    pub(super) meter: Meter,
    /// Set when the machine is done with it: the last bytes to send.
    pub(super) farewell: Option<BytesMut>,
}

/// The machine a connection belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Owner {
    Pull(StreamId),
    /// The push, or one of the forwards, of a stream.
    Outlet(StreamId, u32),
    /// The probe about this client.
    Probe(ConnId),
}

impl Owner {
    pub(super) fn kind(self) -> UpstreamKind {
        match self {
            Self::Pull(_) => UpstreamKind::Pull,
            Self::Outlet(_, super::outlet::PUSH) => UpstreamKind::Push,
            Self::Outlet(..) => UpstreamKind::Forward,
            Self::Probe(_) => UpstreamKind::Probe,
        }
    }
}

impl Edge {
    /// Listeners of this server that streams of `vhost` must not be asked for at, or sent to: all of them, unless its
    /// `cluster.vhost` is another vhost here that is no edge, where such a circle ends.
    pub(super) fn own_for(&self, vhost: &Vhost) -> Arc<OwnAddresses> {
        let asked = vhost.cluster.vhost.replace("[vhost]", &vhost.name);
        // A parameter `domain` of the client may still lead back: such a pull hears nothing and is given up.
        // The default vhost is not named to an origin: the host of the client is, which leads here again.
        let is_named = !asked.is_empty() && asked != DEFAULT_VHOST;
        let ends = |found: &Arc<Vhost>| !found.cluster.is_edge();
        if vhost.cluster.is_edge() && is_named && self.vhosts.find(&asked).is_some_and(ends) {
            return Arc::default();
        }
        Arc::clone(&self.options.own)
    }

    /// A machine wants a connection.
    pub(super) fn open_upstream(
        &mut self,
        now: Instant,
        owner: Owner,
        attempt: u64,
        target: HostPort,
        timeout: Duration,
    ) -> ConnId {
        let conn = ConnId::outbound(self.shard, self.totals.upstream_attempts);
        self.totals.upstream_attempts += 1;
        let upstream = Upstream { owner, opened: now, attempt, meter: Meter::new(now), farewell: None };
        self.conns.insert(conn, Conn::Upstream(Box::new(upstream)));
        let stream = match owner {
            Owner::Pull(id) | Owner::Outlet(id, _) => self.streams.get(id),
            Owner::Probe(_) => None,
        };
        let own = stream.map_or_else(|| Arc::clone(&self.options.own), |stream| self.own_for(&stream.vhost));
        let key = stream.map(|stream| stream.key.clone());
        self.event(Event::UpstreamConnecting { kind: owner.kind(), key, conn, target: target.clone() });
        self.outputs.push_back(Output::Connect { conn, target, own, timeout });
        conn
    }

    /// A machine is done with a connection: it says these bytes, and the driver closes it.
    pub(super) fn close_upstream(&mut self, conn: Option<ConnId>, farewell: BytesMut) {
        let Some(conn) = conn else { return };
        let Some(Conn::Upstream(upstream)) = self.conns.get_mut(conn) else { return };
        if upstream.farewell.is_none() {
            upstream.farewell = Some(farewell);
            self.outputs.push_back(Output::Close { conn, reason: CloseReason::Done });
        }
    }

    pub(super) fn on_upstream_bytes(&mut self, now: Instant, conn: ConnId, bytes: &mut BytesMut) {
        let before = bytes.len();
        loop {
            let left = bytes.len();
            let progress = self.upstream_input(now, conn, UpstreamInput::Received(bytes));
            // Paused on events that have been taken now; without progress it waits for its replies to be sent.
            if progress != Progress::Paused || bytes.len() == left {
                break;
            }
        }
        if let Some(Conn::Upstream(upstream)) = self.conns.get_mut(conn) {
            upstream.meter.received += (before - bytes.len()) as u64;
        }
    }

    pub(super) fn on_connected(&mut self, now: Instant, conn: ConnId) {
        // Only received bytes can be left over.
        let _ = self.upstream_input(now, conn, UpstreamInput::Connected);
    }

    pub(super) fn on_connect_failed(&mut self, now: Instant, conn: ConnId, reason: ConnectFailure) {
        let _ = self.upstream_input(now, conn, UpstreamInput::ConnectFailed(reason));
        self.forget_upstream(conn);
    }

    pub(super) fn on_upstream_closed(&mut self, now: Instant, conn: ConnId) {
        let _ = self.upstream_input(now, conn, UpstreamInput::Closed);
        self.forget_upstream(conn);
    }

    /// An upstream server takes nothing any more.
    pub(super) fn on_upstream_stalled(&mut self, now: Instant, conn: ConnId) {
        let _ = self.upstream_input(now, conn, UpstreamInput::Stalled);
    }

    fn forget_upstream(&mut self, conn: ConnId) {
        if let Some(Conn::Upstream(upstream)) = self.conns.remove(conn) {
            self.totals.received_bytes += upstream.meter.received;
        }
    }

    /// Gives the input to the machine the connection belongs to, and does what that wants.
    fn upstream_input(&mut self, now: Instant, conn: ConnId, input: UpstreamInput<'_>) -> Progress {
        let Some(Conn::Upstream(upstream)) = self.conns.get(conn) else { return Progress::NeedBytes };
        if upstream.farewell.is_some() {
            if let UpstreamInput::Received(bytes) = input {
                bytes.clear();
            }
            return Progress::NeedBytes;
        }
        let attempt = upstream.attempt;
        match upstream.owner {
            Owner::Pull(id) => self.pull_input(now, id, attempt, input),
            Owner::Outlet(id, number) => self.outlet_input(now, (id, number), attempt, input),
            Owner::Probe(client) => self.probe_input(now, client, attempt, input),
        }
    }
}
