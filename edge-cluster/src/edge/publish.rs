//! Publishers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rtmp_core::Media;

use super::Edge;
use super::client::ClientInfo;
use super::event::{CloseReason, Event};
use super::io::Output;
use super::refusal::Refusal;
use super::session::{Asked, Stage};
use super::streams::{Publisher, StreamId};
use super::vhosts::Vhost;
use crate::conn::ConnId;

/// A publisher that was silent for so long gives way to its successor (spec 4.4).
const TAKEOVER_SILENCE: Duration = Duration::from_secs(2);

impl Edge {
    /// The last step of a publish: the client gets the stream, unless somebody has it.
    pub(super) fn acquire_publish(
        &mut self,
        now: Instant,
        conn: ConnId,
        client: &Arc<ClientInfo>,
        vhost: &Arc<Vhost>,
    ) -> Result<(), Refusal> {
        let known = self.streams.find(&client.key);
        if let Some(present) = known.and_then(|id| self.publisher(id)) {
            let same = present.client.peer.ip() == client.peer.ip() && present.client.param == client.param;
            if !same || now.saturating_duration_since(present.last_media) < TAKEOVER_SILENCE {
                return Err(Refusal::Busy);
            }
            let present = present.conn;
            // It may be forgotten with its publisher.
            self.close(now, present, CloseReason::TakenOver);
        }
        let id = self.streams.open(now, client, vhost, (self.shard, self.shards));
        let Some(home) = self.streams.get_mut(id).and_then(|stream| stream.home.as_mut()) else {
            // The connection was moved to the home of its stream before.
            return Err(Refusal::Busy);
        };
        home.publisher =
            Some(Publisher { conn, client: Arc::clone(client), accepted: false, last_media: now });
        // It is needed from now on, however long the origin takes to decide.
        self.review_stream(now, id);
        if vhost.cluster.is_edge() {
            self.begin_push(now, conn, id, client);
        } else {
            self.begin_publish(now, conn, id);
        }
        Ok(())
    }

    /// Nothing is in the way: the client is told that it publishes, and viewers get it instead of a pull.
    pub(super) fn begin_publish(&mut self, now: Instant, conn: ConnId, id: StreamId) {
        let asked = self.asked(conn);
        let publisher = self.publisher(id).filter(|publisher| publisher.conn == conn);
        let Some(publisher) = publisher else { return };
        publisher.accepted = true;
        publisher.last_media = now;
        let client = Arc::clone(&publisher.client);
        self.stop_pull(now, id);
        let Some(stream) = self.streams.get_mut(id) else { return };
        let Some(home) = stream.home.as_mut() else { return };
        home.ingest.begin(now);
        home.live_since = Some(now);
        let vhost = Arc::clone(&stream.vhost);
        let Some(session) = self.session(conn) else { return };
        session.stage = Stage::Publishing(id);
        if let (Some(Asked::Publish(request)), Some(rtmp)) = (asked, session.rtmp()) {
            rtmp.configure(Arc::clone(&vhost.connection));
            // It waits for this answer.
            let _ = rtmp.accept(now, request);
        }
        self.outputs.push_back(Output::Nodelay { conn, on: vhost.tcp_nodelay });
        self.event(Event::PublishBegan { client: Arc::clone(&client) });
        self.begin_forwards(now, id, &client);
        self.pump(now, id);
        self.settle(now, conn);
        self.read_on(conn);
        self.review_stream(now, id);
    }

    fn publisher(&mut self, id: StreamId) -> Option<&mut Publisher> {
        self.streams.get_mut(id)?.home.as_mut()?.publisher.as_mut()
    }

    /// A message of the publisher.
    pub(super) fn on_published(&mut self, now: Instant, id: StreamId, media: &Media) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        stream.meter.received += media.payload.len() as u64;
        if let Some(home) = stream.home.as_mut() {
            if let Some(publisher) = home.publisher.as_mut() {
                publisher.last_media = now;
            }
            home.ingest.push(now, media);
        }
    }

    /// All messages of one read are in.
    pub(super) fn burst_end(&mut self, now: Instant, id: StreamId) {
        if let Some(home) = self.streams.get_mut(id).and_then(|stream| stream.home.as_mut()) {
            home.ingest.burst_end(now);
            self.pump(now, id);
        }
    }

    /// A publish is over.
    pub(super) fn unpublish(&mut self, now: Instant, conn: ConnId, id: StreamId) {
        let Some(home) = self.streams.get_mut(id).and_then(|stream| stream.home.as_mut()) else { return };
        let Some(publisher) = home.publisher.take_if(|publisher| publisher.conn == conn) else { return };
        home.ingest.end(now);
        home.live_since = None;
        self.stop_outlets(now, id);
        self.pump(now, id);
        self.event(Event::PublishEnded { client: publisher.client });
        self.review_stream(now, id);
    }

    /// A client that waited for the origin's word does not want to publish any more.
    pub(super) fn abandon_publish(&mut self, now: Instant, conn: ConnId, id: StreamId) {
        let Some(home) = self.streams.get_mut(id).and_then(|stream| stream.home.as_mut()) else { return };
        if home.publisher.take_if(|publisher| publisher.conn == conn).is_some() {
            self.stop_outlets(now, id);
            self.review_stream(now, id);
        }
    }
}
