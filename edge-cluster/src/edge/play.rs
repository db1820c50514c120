//! Viewers.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, BufMut, BytesMut};
use rtmp_core::MediaKind;
use rtmp_core::message::{Status, status::code};

use super::Edge;
use super::client::ClientInfo;
use super::event::{CloseReason, Event};
use super::io::Output;
use super::refusal::Refusal;
use super::session::{Asked, Stage, Wire};
use super::streams::StreamId;
use super::vhosts::Vhost;
use crate::conn::ConnId;
use crate::hub::{Hub, HubEvent, Join, JoinKind, Lane};

impl Edge {
    /// The last step of a play: the client becomes a viewer.
    pub(super) fn acquire_play(
        &mut self,
        now: Instant,
        conn: ConnId,
        client: &Arc<ClientInfo>,
        vhost: &Arc<Vhost>,
    ) -> Result<(), Refusal> {
        let id = self.open_watched(now, client, vhost)?;
        let asked = self.asked(conn);
        let Some(stream) = self.streams.get_mut(id) else { return Err(Refusal::StreamNotFound) };
        let Some(super::Conn::Session(session)) = self.conns.get_mut(conn) else { return Ok(()) };
        let mut lane = Lane::Flv;
        let mut msid = 0;
        if let (Some(Asked::Play(request)), Wire::Rtmp(rtmp)) = (asked, &mut session.wire) {
            rtmp.configure(vhost.with_chunk_size(stream.chunk_size));
            // It waits for this answer.
            let _ = rtmp.accept(now, request);
            msid = rtmp.msid().unwrap_or(1);
            lane = Lane::Chunks;
        }
        session.stage = Stage::Playing(id);
        stream.viewers.insert(conn);
        stream.hub.join(conn, Join { msid, lane, kind: JoinKind::Viewer });
        if !stream.had_media
            && vhost.cluster.is_edge()
            && let Some(limit) = vhost.extension.pull_wait_limit
        {
            stream.waiting.push_back((now + limit, conn));
        }
        self.outputs.push_back(match lane {
            Lane::Flv => Output::FlvAccepted { conn },
            Lane::Chunks => Output::Nodelay { conn, on: vhost.tcp_nodelay },
        });
        self.event(Event::PlayBegan { client: Arc::clone(client) });
        self.settle(now, conn);
        self.read_on(conn);
        self.streams.mark_ready(id);
        self.review_stream(now, id);
        Ok(())
    }

    pub(super) fn leave_viewer(&mut self, now: Instant, conn: ConnId, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(id) {
            stream.viewers.remove(&conn);
            stream.waiting.retain(|(_, waiting)| *waiting != conn);
            if let Some(super::Conn::Session(session)) = self.conns.get_mut(conn) {
                finish_segment(&mut stream.hub, conn, session.private());
            }
            stream.hub.leave(conn);
        }
        if let Some(client) = self.session(conn).and_then(|session| session.client.clone()) {
            self.event(Event::PlayEnded { client });
        }
        self.review_stream(now, id);
    }

    pub(super) fn on_pause(&mut self, conn: ConnId, paused: bool) {
        let Some(hub) = self.hub_of_viewer(conn) else { return };
        match paused {
            true => hub.pause(conn),
            false => hub.resume(conn),
        }
        self.ready_of_viewer(conn);
    }

    pub(super) fn on_receive(&mut self, conn: ConnId, kind: MediaKind, wanted: bool) {
        let Some(hub) = self.hub_of_viewer(conn) else { return };
        hub.receive(conn, kind, wanted);
        self.ready_of_viewer(conn);
    }

    fn hub_of_viewer(&mut self, conn: ConnId) -> Option<&mut Hub> {
        let Stage::Playing(stream) = self.session(conn)?.stage else { return None };
        Some(&mut self.streams.get_mut(stream)?.hub)
    }

    fn ready_of_viewer(&mut self, conn: ConnId) {
        if let Some(stream) = self.session(conn).and_then(|session| session.stream()) {
            self.streams.mark_ready(stream);
            self.touch_stream(stream);
        }
    }

    /// Takes what the hub of a stream has to tell.
    pub(super) fn take_hub_events(&mut self, now: Instant, id: StreamId) {
        while let Some(event) = self.streams.get_mut(id).and_then(|stream| stream.hub.poll_event()) {
            match event {
                HubEvent::Resynced { viewer, dropped } => {
                    self.totals.resyncs += 1;
                    self.event(Event::Resynced { conn: viewer, dropped });
                }
                HubEvent::TooSlow { viewer } if viewer.is_outbound() => self.on_upstream_stalled(now, viewer),
                HubEvent::TooSlow { viewer } => self.close(now, viewer, CloseReason::TooSlow),
            }
        }
    }

    /// Viewers whose stream never came have waited long enough.
    pub(super) fn release_waiting(&mut self, now: Instant, id: StreamId) {
        while let Some(stream) = self.streams.get_mut(id)
            && let Some((until, conn)) = stream.waiting.front().copied()
            && until <= now
        {
            stream.waiting.pop_front();
            self.end_viewer(now, conn, Refusal::StreamNotFound);
        }
    }

    /// The stream cannot be had: its viewers have to go, here and on other shards.
    pub(super) fn end_viewers(&mut self, now: Instant, id: StreamId, refusal: &Refusal) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        let viewers = stream.viewers.clone();
        if let Some(home) = &mut stream.home {
            // No pull begins for those who are left while others go.
            home.asker = None;
            for (to, subscriber) in std::mem::take(&mut home.subscribers) {
                let message = subscriber.refused(stream.key.clone(), refusal.clone());
                self.outputs.push_back(Output::Peer { to, message });
            }
        }
        for conn in viewers {
            self.end_viewer(now, conn, refusal.clone());
        }
        self.review_stream(now, id);
    }

    /// Tells a viewer that there is nothing to see, and closes.
    pub(super) fn end_viewer(&mut self, now: Instant, conn: ConnId, refusal: Refusal) {
        let status = Status::error(code::PLAY_STREAM_NOT_FOUND, refusal.to_string());
        if let Some(rtmp) = self.session(conn).and_then(|session| session.rtmp()) {
            // It plays; a status that cannot be written leaves a closed connection.
            let _ = rtmp.end_stream(now, &status);
        }
        self.close(now, conn, CloseReason::Refused(refusal));
    }
}

/// Puts the rest of a segment that was partly sent in front of `private`: what is said next goes behind it.
pub(super) fn finish_segment(hub: &mut Hub, conn: ConnId, private: &mut BytesMut) {
    hub.pause(conn);
    let mut nothing = BytesMut::new();
    let Some(mut rest) = hub.outgoing(conn, &mut nothing).filter(|rest| rest.has_remaining()) else { return };
    let behind = private.split();
    while rest.has_remaining() {
        private.put(rest.copy_to_bytes(rest.remaining()));
    }
    private.put(behind);
}
