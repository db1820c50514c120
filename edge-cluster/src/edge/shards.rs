//! Streams that have viewers on other shards than their home.
//!
//! ```text
//!   shard with viewers                         home of the stream
//!   ───────────────────                        ──────────────────
//!   first viewer ───────── Subscribe ────────▶ begins a pull, when nothing else is the source
//!                ◀──────── Update ──────────── the source and the latest GOP, then everything as it comes
//!                ───────── Credit ───────────▶ at most 1,024 segments or 32 MiB are under way; beyond, segments are
//!                                              left out until the next key frame
//!   later viewer ───────── AskAs ────────────▶ asks origins in its name, when that makes a difference
//!   last viewer  ───────── Unsubscribe ──────▶ lingers
//! ```

use std::sync::Arc;
use std::time::Instant;

use super::Edge;
use super::client::ClientInfo;
use super::io::Output;
use super::peer::PeerMessage;
use super::refusal::Refusal;
use super::streams::{Stream, StreamId};
use crate::conn::ShardId;
use crate::hub::{StreamSegment, Update};
use crate::key::StreamKey;

/// Segments under way to one subscriber.
const SEGMENTS_MAX: u32 = 1024;
/// Their bytes.
const BYTES_MAX: u64 = 32 << 20;
/// A subscriber gives credit after so many segments,
const CREDIT_SEGMENTS: u32 = 32;
/// or so many bytes.
const CREDIT_BYTES: u64 = 1 << 20;

/// A shard that has viewers of a stream whose home is here.
#[derive(Debug)]
pub(super) struct Subscriber {
    number: u64,
    segments: u32,
    bytes: u64,
    /// Segments were left out: it goes on at a key frame.
    behind: bool,
    /// There are key frames to wait for.
    sees_video: bool,
}

/// The subscription of a stream whose home is elsewhere.
#[derive(Debug)]
pub(super) struct Subscription {
    number: u64,
    /// The viewer whose name the home knows.
    asker: Arc<ClientInfo>,
    /// Taken, but not told yet.
    segments: u32,
    bytes: u64,
}

impl Subscriber {
    fn has_room(&self) -> bool {
        self.segments < SEGMENTS_MAX && self.bytes < BYTES_MAX
    }

    /// Whether this segment is for it.
    fn takes(&mut self, segment: &StreamSegment) -> bool {
        let chunks = &segment.chunks;
        self.sees_video |= chunks.starts_with_key();
        let joins = chunks.starts_with_key() || !self.sees_video;
        if !self.has_room() || (self.behind && !joins) {
            self.behind = true;
            return false;
        }
        self.behind = false;
        self.segments += 1;
        self.bytes += segment.chunks.wire().len() as u64;
        true
    }

    /// It will not get the stream.
    pub(super) fn refused(&self, key: StreamKey, refusal: Refusal) -> PeerMessage {
        PeerMessage::Refused { key, number: self.number, refusal }
    }

    /// Another source begins: it may have no pictures, and then there is no key frame to wait for.
    fn begin(&mut self) {
        self.sees_video = false;
    }
}

impl Edge {
    pub(super) fn on_peer(&mut self, now: Instant, from: ShardId, message: PeerMessage) {
        match message {
            PeerMessage::Subscribe { number, client } => self.on_subscribe(now, from, number, &client),
            PeerMessage::Unsubscribe { key, number } => self.on_unsubscribe(now, from, &key, number),
            PeerMessage::Update { key, number, update } => self.on_update(now, &key, number, &update),
            PeerMessage::Credit { key, number, segments, bytes } => {
                if let Some(subscriber) = self.subscriber(&key, from, number) {
                    subscriber.segments = subscriber.segments.saturating_sub(segments);
                    subscriber.bytes = subscriber.bytes.saturating_sub(bytes);
                }
            }
            PeerMessage::AskAs { number, client } => {
                if self.subscriber(&client.key, from, number).is_some()
                    && let Some(id) = self.streams.find(&client.key)
                {
                    self.ask_as(id, &client);
                }
            }
            PeerMessage::Refused { key, number, refusal } => {
                if let Some(id) = self.subscribed(&key, number) {
                    self.end_viewers(now, id, &refusal);
                }
            }
        }
    }

    /// Asks the home of a stream for it, once, and tells it of viewers in whose name origins are asked otherwise.
    pub(super) fn subscribe(&mut self, id: StreamId, client: &Arc<ClientInfo>) {
        let (shards, Some(stream)) = (self.shards, self.streams.get_mut(id)) else { return };
        let to = stream.key.home(shards);
        let message = match &mut stream.subscription {
            None => {
                let number = self.subscriptions;
                self.subscriptions += 1;
                let asker = Arc::clone(client);
                stream.subscription = Some(Subscription { number, asker, segments: 0, bytes: 0 });
                PeerMessage::Subscribe { number, client: Arc::clone(client) }
            }
            Some(told) if stream.vhost.cluster.is_edge() && !told.asker.asks_like(client) => {
                told.asker = Arc::clone(client);
                PeerMessage::AskAs { number: told.number, client: Arc::clone(client) }
            }
            Some(_) => return,
        };
        self.outputs.push_back(Output::Peer { to, message });
    }

    pub(super) fn unsubscribe(&mut self, id: StreamId) {
        let (shards, Some(stream)) = (self.shards, self.streams.get_mut(id)) else { return };
        let Some(subscription) = stream.subscription.take() else { return };
        let (to, key) = (stream.key.home(shards), stream.key.clone());
        let message = PeerMessage::Unsubscribe { key, number: subscription.number };
        self.outputs.push_back(Output::Peer { to, message });
    }

    fn on_subscribe(&mut self, now: Instant, from: ShardId, number: u64, client: &Arc<ClientInfo>) {
        let key = client.key.clone();
        let refused = |refusal| PeerMessage::Refused { key: key.clone(), number, refusal };
        let known = self.streams.find(&key).and_then(|id| self.streams.get(id));
        let vhost = match known {
            Some(stream) => Some(Arc::clone(&stream.vhost)),
            None => self.vhosts.named(&key.vhost).cloned(),
        };
        let Some(vhost) = vhost else {
            let message = refused(Refusal::VhostRemoved(Arc::clone(&key.vhost)));
            return self.outputs.push_back(Output::Peer { to: from, message });
        };
        let id = match self.open_watched(now, client, &vhost) {
            Ok(id) => id,
            Err(refusal) => {
                return self.outputs.push_back(Output::Peer { to: from, message: refused(refusal) });
            }
        };
        let mut subscriber = Subscriber { number, segments: 0, bytes: 0, behind: false, sees_video: false };
        let Some(stream) = self.streams.get_mut(id) else { return };
        let hub = &stream.hub;
        // The GOP may be there for other reasons, such as a push.
        let cached = hub.newest_key().filter(|_| stream.vhost.play.gop_cache);
        let segments = (cached.unwrap_or_else(|| hub.end())..hub.end())
            .filter_map(|number| hub.segment(number))
            .map(Arc::clone);
        for update in hub.opening().into_iter().chain(segments.map(Update::Segment)) {
            if let Update::Segment(segment) = &update
                && !subscriber.takes(segment)
            {
                break;
            }
            let message = PeerMessage::Update { key: key.clone(), number, update };
            self.outputs.push_back(Output::Peer { to: from, message });
        }
        if let Some(update) = hub.closing() {
            let message = PeerMessage::Update { key: key.clone(), number, update };
            self.outputs.push_back(Output::Peer { to: from, message });
        }
        if let Some(home) = stream.home.as_mut() {
            home.subscribers.insert(from, subscriber);
        }
        self.review_stream(now, id);
    }

    fn on_unsubscribe(&mut self, now: Instant, from: ShardId, key: &StreamKey, number: u64) {
        if self.subscriber(key, from, number).is_none() {
            return;
        }
        let Some(id) = self.streams.find(key) else { return };
        if let Some(home) = self.streams.get_mut(id).and_then(|stream| stream.home.as_mut()) {
            home.subscribers.remove(&from);
        }
        self.review_stream(now, id);
    }

    /// Sends an update to the shards that have viewers.
    pub(super) fn spread(&mut self, id: StreamId, update: &Update) {
        let Some(Stream { key, home: Some(home), .. }) = self.streams.get_mut(id) else { return };
        for (shard, subscriber) in &mut home.subscribers {
            match update {
                Update::Begin { continues: false, .. } => subscriber.begin(),
                Update::Segment(segment) if !subscriber.takes(segment) => continue,
                _ => {}
            }
            let message =
                PeerMessage::Update { key: key.clone(), number: subscriber.number, update: update.clone() };
            self.outputs.push_back(Output::Peer { to: *shard, message });
        }
    }

    fn on_update(&mut self, now: Instant, key: &StreamKey, number: u64, update: &Update) {
        let Some(id) = self.subscribed(key, number) else { return };
        self.apply(now, id, update);
        self.take_hub_events(now, id);
        self.streams.mark_ready(id);
        self.touch_stream(id);
        let shards = self.shards;
        let (Some(stream), Update::Segment(segment)) = (self.streams.get_mut(id), update) else { return };
        stream.meter.received += segment.chunks.wire().len() as u64;
        let Some(subscription) = stream.subscription.as_mut() else { return };
        subscription.segments += 1;
        subscription.bytes += segment.chunks.wire().len() as u64;
        if subscription.segments >= CREDIT_SEGMENTS || subscription.bytes >= CREDIT_BYTES {
            let (segments, bytes) = (subscription.segments, subscription.bytes);
            (subscription.segments, subscription.bytes) = (0, 0);
            let message = PeerMessage::Credit { key: key.clone(), number, segments, bytes };
            self.outputs.push_back(Output::Peer { to: key.home(shards), message });
        }
    }

    /// The stream of a subscription that is still wanted.
    fn subscribed(&self, key: &StreamKey, number: u64) -> Option<StreamId> {
        let id = self.streams.find(key)?;
        let subscription = self.streams.get(id)?.subscription.as_ref()?;
        (subscription.number == number).then_some(id)
    }

    fn subscriber(&mut self, key: &StreamKey, from: ShardId, number: u64) -> Option<&mut Subscriber> {
        let id = self.streams.find(key)?;
        let subscriber = self.streams.get_mut(id)?.home.as_mut()?.subscribers.get_mut(&from)?;
        (subscriber.number == number).then_some(subscriber)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rtmp_core::{Media, MediaKind, Timestamp};

    use super::*;
    use crate::config::EdgeConfig;
    use crate::hub::{Ingest, StreamSettings};

    fn segment(head: &'static [u8], bytes: usize) -> Arc<StreamSegment> {
        #[expect(clippy::disallowed_methods, reason = "any instant serves as the start of virtual time")]
        let now = Instant::now();
        let config = EdgeConfig::builder().vhost("min_latency on;").build().expect("a configuration");
        let vhost = config.vhost("a").expect("the default vhost");
        let mut ingest = Ingest::new(Arc::new(StreamSettings::from(vhost)));
        let kind = if head.first() == Some(&0xaf) { MediaKind::Audio } else { MediaKind::Video };
        let payload = Bytes::from([head, &vec![0; bytes]].concat());
        ingest.push(now, &Media { kind, timestamp: Timestamp::ZERO, payload });
        ingest.end(now);
        let updates = std::iter::from_fn(|| ingest.poll_update());
        let mut segments = updates.filter_map(|update| match update {
            Update::Segment(segment) => Some(segment),
            _ => None,
        });
        segments.next().expect("a segment")
    }

    fn key(bytes: usize) -> Arc<StreamSegment> {
        segment(&[0x17, 1, 0, 0, 0], bytes)
    }

    fn picture(bytes: usize) -> Arc<StreamSegment> {
        segment(&[0x27, 1, 0, 0, 0], bytes)
    }

    fn subscriber() -> Subscriber {
        Subscriber { number: 0, segments: 0, bytes: 0, behind: false, sees_video: false }
    }

    /// How many of very many it takes.
    fn taken(subscriber: &mut Subscriber, segment: &StreamSegment) -> usize {
        (0..3000).filter(|_| subscriber.takes(segment)).count()
    }

    #[test]
    fn so_many_segments_are_under_way_and_then_it_goes_on_at_a_key_frame() {
        let (mut subscriber, key, picture) = (subscriber(), key(0), picture(0));
        assert!(subscriber.takes(&key));
        assert_eq!(taken(&mut subscriber, &picture), 1023);
        assert!(!subscriber.takes(&key), "there is no credit yet");
        subscriber.segments -= 32;
        assert_eq!(taken(&mut subscriber, &picture), 0, "pictures are missing in front of it");
        assert!(subscriber.takes(&key));
        assert_eq!(taken(&mut subscriber, &picture), 31);
    }

    #[test]
    fn so_many_bytes_are_under_way() {
        let (mut subscriber, large) = (subscriber(), key(1 << 20));
        assert_eq!(taken(&mut subscriber, &large), 32, "of a mebibyte and a little more");
        subscriber.bytes -= 2 << 20;
        assert_eq!(taken(&mut subscriber, &large), 2);
    }

    #[test]
    fn nobody_waits_for_a_key_frame_of_a_source_that_is_over() {
        let (mut subscriber, sound) = (subscriber(), segment(&[0xaf, 1], 0));
        assert!(subscriber.takes(&key(0)));
        assert_eq!(taken(&mut subscriber, &picture(0)), 1023);
        subscriber.begin();
        subscriber.segments = 0;
        assert_eq!(taken(&mut subscriber, &sound), 1024, "the next source has no pictures");
    }
}
