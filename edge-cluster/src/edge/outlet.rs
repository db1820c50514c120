//! Where published streams go beside the viewers here: to an origin (push), to fixed destinations (forward).

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use rtmp_core::message::Status;
use rtmp_core::{Media, Progress};

use super::Edge;
use super::client::ClientInfo;
use super::event::{CloseReason, Event, UpstreamKind};
use super::ids::mix;
use super::io::Output;
use super::play::finish_segment;
use super::refusal::Refusal;
use super::session::WaitsFor;
use super::source::upstream_stream;
use super::streams::{Stream, StreamId};
use super::upstream::Owner;
use crate::config::HostPort;
use crate::conn::ConnId;
use crate::hub::{Join, JoinKind, Lane, PrivateSink};
use crate::upstream::{
    Forward, ForwardSettings, OriginSettings, Push, PushEnd, PushEvent, PushSettings, UpstreamInput,
    UpstreamOutput, UpstreamStream,
};

/// Number of the push among the outlets of a stream; forwards follow.
pub(super) const PUSH: u32 = 0;

/// A push or a forward that runs.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) machine: Machine,
    conn: Option<ConnId>,
    /// What was left of a segment when the media ended.
    rest: BytesMut,
}

#[derive(Debug)]
pub(super) enum Machine {
    Push(Box<Push>),
    Forward(Box<Forward>),
}

impl Machine {
    fn handle_input(&mut self, now: Instant, attempt: u64, input: UpstreamInput<'_>) -> Progress {
        match self {
            Self::Push(push) => push.handle_input(now, attempt, input),
            Self::Forward(forward) => forward.handle_input(now, attempt, input),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Push(push) => push.handle_timeout(now),
            Self::Forward(forward) => forward.handle_timeout(now),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Push(push) => push.poll_timeout(),
            Self::Forward(forward) => forward.poll_timeout(),
        }
    }

    fn poll_output(&mut self) -> Option<UpstreamOutput<PushEvent>> {
        match self {
            Self::Push(push) => push.poll_output(),
            Self::Forward(forward) => forward.poll_output(),
        }
    }

    /// The server of the running or last attempt.
    pub(super) fn target(&self) -> Option<HostPort> {
        match self {
            Self::Push(push) => push.status().target,
            Self::Forward(forward) => forward.status().target,
        }
    }

    fn stop(&mut self) {
        match self {
            Self::Push(push) => push.stop(),
            Self::Forward(forward) => forward.stop(),
        }
    }

    pub(super) fn private(&mut self) -> &mut BytesMut {
        match self {
            Self::Push(push) => push.private(),
            Self::Forward(forward) => forward.private(),
        }
    }
}

impl PrivateSink for Machine {
    fn pending_bytes(&self) -> usize {
        match self {
            Self::Push(push) => push.pending_bytes(),
            Self::Forward(forward) => forward.pending_bytes(),
        }
    }

    fn send_media(&mut self, media: &Media) {
        // The hub sends between `Join` and `Left` only, and not more than fits.
        let _ = match self {
            Self::Push(push) => push.send_media(media),
            Self::Forward(forward) => forward.send_media(media),
        };
    }
}

impl Edge {
    /// A client wants to publish on an edge: an origin has to take the stream first.
    pub(super) fn begin_push(&mut self, now: Instant, conn: ConnId, id: StreamId, client: &ClientInfo) {
        if let Some(deciding) = self.session(conn).and_then(|session| session.deciding()) {
            deciding.waits_for = Some(WaitsFor::Origin(id));
        }
        let Some(stream) = self.streams.get(id) else { return };
        let settings = PushSettings::of(&stream.vhost, self.outlet_origin(stream));
        let mut upstream = upstream_stream(client);
        upstream.rotation = stream.home.as_ref().map_or(0, |home| home.push_rotation);
        let seed = mix(self.seed ^ self.totals.upstream_attempts);
        let push = Push::new(Arc::new(settings), upstream, seed, now);
        self.open_outlet(now, id, PUSH, Machine::Push(Box::new(push)));
    }

    /// A stream is published on an origin server: copies go to the destinations (spec 9.8).
    pub(super) fn begin_forwards(&mut self, now: Instant, id: StreamId, client: &ClientInfo) {
        let Some(stream) = self.streams.get(id) else { return };
        if stream.vhost.cluster.is_edge() {
            return;
        }
        let upstream: UpstreamStream = upstream_stream(client);
        let origin = self.outlet_origin(stream);
        let destinations = stream.vhost.forward.clone();
        for (number, destination) in (PUSH + 1..).zip(destinations) {
            let settings = ForwardSettings::new(origin.clone(), destination);
            let seed = mix(self.seed ^ self.totals.upstream_attempts);
            let forward = Forward::new(&settings, upstream.clone(), seed, now);
            self.open_outlet(now, id, number, Machine::Forward(Box::new(forward)));
        }
    }

    fn outlet_origin(&self, stream: &Stream) -> OriginSettings {
        let mut origin = OriginSettings::of(&self.config, &stream.vhost, self.own_for(&stream.vhost));
        // The shared segments are cut to this size.
        origin.connection.chunk_size = stream.chunk_size;
        if stream.vhost.cluster.identify {
            origin.identity.clone_from(&self.options.identity);
        }
        origin
    }

    /// The configuration may have changed: the push uses it at its next attempt, forwards begin anew when there are
    /// others (spec 1.8).
    pub(super) fn reload_outlets(&mut self, now: Instant, id: StreamId, forwards_changed: bool) {
        let Some(stream) = self.streams.get(id) else { return };
        let settings = Arc::new(PushSettings::of(&stream.vhost, self.outlet_origin(stream)));
        if let Some(Outlet { machine: Machine::Push(push), .. }) = self.outlet(id, PUSH) {
            push.reload(settings);
        }
        if !forwards_changed {
            return;
        }
        for number in self.outlet_numbers(id) {
            if number != PUSH {
                self.stop_outlet(now, id, number);
            }
        }
        let home = self.streams.get(id).and_then(|stream| stream.home.as_ref());
        let publisher = home.and_then(|home| home.publisher.as_ref()).filter(|publisher| publisher.accepted);
        if let Some(client) = publisher.map(|publisher| Arc::clone(&publisher.client)) {
            self.begin_forwards(now, id, &client);
        }
        if let Some(stream) = self.streams.get_mut(id)
            && stream.home.as_ref().is_none_or(|home| home.outlets.is_empty())
        {
            stream.hub.forget_upstreams();
        }
    }

    fn open_outlet(&mut self, now: Instant, id: StreamId, number: u32, machine: Machine) {
        let Some(home) = self.streams.get_mut(id).and_then(|stream| stream.home.as_mut()) else { return };
        home.outlets.insert(number, Outlet { machine, conn: None, rest: BytesMut::new() });
        self.drive_outlet(now, id, number);
    }

    /// The publisher is gone.
    pub(super) fn stop_outlets(&mut self, now: Instant, id: StreamId) {
        for number in self.outlet_numbers(id) {
            self.stop_outlet(now, id, number);
        }
    }

    fn stop_outlet(&mut self, now: Instant, id: StreamId, number: u32) {
        if let Some(outlet) = self.outlet(id, number) {
            outlet.machine.stop();
            self.drive_outlet(now, id, number);
            self.drop_outlet(id, number);
        }
    }

    fn drop_outlet(&mut self, id: StreamId, number: u32) {
        let Some(home) = self.streams.get_mut(id).and_then(|stream| stream.home.as_mut()) else { return };
        let Some(outlet) = home.outlets.remove(&number) else { return };
        if let Machine::Push(push) = &outlet.machine {
            home.push_rotation = push.rotation();
        }
        self.close_upstream(outlet.conn, BytesMut::new());
    }

    fn outlet(&mut self, id: StreamId, number: u32) -> Option<&mut Outlet> {
        self.streams.get_mut(id)?.home.as_mut()?.outlets.get_mut(&number)
    }

    fn outlet_numbers(&self, id: StreamId) -> Vec<u32> {
        let home = self.streams.get(id).and_then(|stream| stream.home.as_ref());
        home.map(|home| home.outlets.keys().copied().collect()).unwrap_or_default()
    }

    pub(super) fn outlet_input(
        &mut self,
        now: Instant,
        (id, number): (StreamId, u32),
        attempt: u64,
        input: UpstreamInput<'_>,
    ) -> Progress {
        let Some(outlet) = self.outlet(id, number) else { return Progress::NeedBytes };
        let progress = outlet.machine.handle_input(now, attempt, input);
        self.drive_outlet(now, id, number);
        progress
    }

    pub(super) fn on_outlets_timeout(&mut self, now: Instant, id: StreamId) {
        for number in self.outlet_numbers(id) {
            if let Some(outlet) = self.outlet(id, number) {
                outlet.machine.handle_timeout(now);
                self.drive_outlet(now, id, number);
            }
        }
    }

    /// Does what a push or forward wants.
    fn drive_outlet(&mut self, now: Instant, id: StreamId, number: u32) {
        while let Some(outlet) = self.outlet(id, number) {
            let Some(output) = outlet.machine.poll_output() else { break };
            match output {
                UpstreamOutput::Connect { attempt, target, timeout } => {
                    let conn = self.open_upstream(now, Owner::Outlet(id, number), attempt, target, timeout);
                    if let Some(outlet) = self.outlet(id, number) {
                        outlet.conn = Some(conn);
                    }
                }
                UpstreamOutput::Write => {
                    if let Some(conn) = outlet.conn {
                        self.outputs.push_back(Output::Write { conn });
                    }
                }
                UpstreamOutput::Disconnect { farewell, .. } => {
                    let conn = outlet.conn.take();
                    let mut last = std::mem::take(&mut outlet.rest);
                    last.extend_from_slice(&farewell);
                    self.close_upstream(conn, last);
                }
                UpstreamOutput::Event(event) => self.on_outlet_event(now, id, number, event),
            }
        }
        self.streams.mark_ready(id);
        self.touch_stream(id);
    }

    fn on_outlet_event(&mut self, now: Instant, id: StreamId, number: u32, event: PushEvent) {
        let kind = if number == PUSH { UpstreamKind::Push } else { UpstreamKind::Forward };
        let Some(stream) = self.streams.get_mut(id) else { return };
        let key = stream.key.clone();
        let Some(home) = stream.home.as_mut() else { return };
        let publisher = home.publisher.as_ref().map(|publisher| publisher.conn);
        let Some(outlet) = home.outlets.get_mut(&number) else { return };
        match event {
            PushEvent::Accepted => {
                if let (PUSH, Some(conn)) = (number, publisher) {
                    self.begin_publish(now, conn, id);
                }
            }
            PushEvent::Join { msid } => {
                let Some(conn) = outlet.conn else { return };
                outlet.rest.clear();
                stream.hub.join(conn, Join { msid, lane: Lane::Chunks, kind: JoinKind::Upstream });
                self.event(Event::UpstreamBegan { kind, key, conn });
            }
            PushEvent::Left { target, why } => {
                if let Some(conn) = outlet.conn {
                    finish_segment(&mut stream.hub, conn, &mut outlet.rest);
                    stream.hub.leave(conn);
                }
                let (reason, is_failure) = (why.to_string(), matches!(why, PushEnd::Lost(_)));
                self.event(Event::UpstreamEnded { kind, key, target, reason, is_failure });
            }
            PushEvent::AttemptFailed { target, error } => {
                self.event(Event::UpstreamFailed { kind, key, target, reason: error.to_string() });
            }
            PushEvent::RoundFailed { wait } => self.event(Event::UpstreamWaits { kind, key, wait }),
            PushEvent::Redirected { from, to } => {
                self.event(Event::UpstreamRedirected { kind, key, from, to });
            }
            PushEvent::Refused(status) => {
                let Some(conn) = publisher else { return };
                let refusal =
                    Refusal::Origin { code: (&*status.code).into(), reason: (&*status.description).into() };
                self.refuse(now, conn, None, refusal);
            }
            PushEvent::GaveUp(status) => {
                if let Some(conn) = publisher {
                    self.give_up_publisher(now, conn, &status);
                }
            }
        }
    }

    /// No origin keeps the stream: its publisher is told and has to go.
    fn give_up_publisher(&mut self, now: Instant, conn: ConnId, status: &Status) {
        if let Some(rtmp) = self.session(conn).and_then(|session| session.rtmp()) {
            rtmp.close(Some(status));
        }
        self.close(now, conn, CloseReason::OriginsLost);
    }
}
