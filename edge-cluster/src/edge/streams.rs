//! The streams of a shard.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::client::ClientInfo;
use super::meter::Meter;
use super::outlet::Outlet;
use super::room::give_back_room;
use super::shards::{Subscriber, Subscription};
use super::vhosts::Vhost;
use crate::conn::{ConnId, ShardId};
use crate::hub::{Hub, Ingest, StreamSettings};
use crate::key::StreamKey;
use crate::upstream::Pull;

/// How long a stream without source and viewers is remembered: its headers, and whose turn it is among the origins.
pub(super) const FORGET_AFTER: Duration = Duration::from_secs(3);

/// Names a stream within a shard.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct StreamId(u64);

/// A stream as a shard knows it.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) key: StreamKey,
    pub(super) id: Arc<str>,
    pub(super) vhost: Arc<Vhost>,
    pub(super) hub: Hub,
    /// Chunk size of the shared segments; fixed while the stream is known.
    pub(super) chunk_size: u32,
    pub(super) viewers: BTreeSet<ConnId>,
    /// Viewers of a stream that never had media, with the time until which they wait.
    pub(super) waiting: VecDeque<(Instant, ConnId)>,
    /// Media has come since the stream is known here.
    pub(super) had_media: bool,
    pub(super) meter: Meter,
    /// The source; only at home.
    pub(super) home: Option<Box<Home>>,
    /// The way to the home; only elsewhere.
    pub(super) subscription: Option<Subscription>,
    /// Nobody needs the stream since then; it stands in [`Streams::unused`].
    unused_since: Option<Instant>,
    /// Bytes of media in `hub` when they were last counted.
    pub(super) held: usize,
    /// Whether it stands in [`Streams::ready`].
    is_ready: bool,
}

/// The source side of a stream.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) ingest: Ingest,
    pub(super) publisher: Option<Publisher>,
    pub(super) pull: Option<PullRun>,
    /// The viewer that came last: origins are asked in its name.
    pub(super) asker: Option<Arc<ClientInfo>>,
    /// Whose turn it is among the origins.
    pub(super) rotation: u64,
    /// The push, or the forwards, of what is published here.
    pub(super) outlets: BTreeMap<u32, Outlet>,
    /// Whose turn it is among the origins for the next push.
    pub(super) push_rotation: u64,
    /// Shards that have viewers.
    pub(super) subscribers: BTreeMap<ShardId, Subscriber>,
    /// When the present source began.
    pub(super) live_since: Option<Instant>,
    /// Nobody watches the publisher since then.
    pub(super) idle_since: Option<Instant>,
}

/// A pull that runs.
#[derive(Debug)]
pub(super) struct PullRun {
    pub(super) pull: Pull,
    pub(super) conn: Option<ConnId>,
    /// The address of the viewer it began for, until it has media.
    pub(super) waits_for: Option<IpAddr>,
    /// Nobody watches; it ends at this time.
    pub(super) linger_until: Option<Instant>,
}

/// A client that publishes, or waits to.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) conn: ConnId,
    pub(super) client: Arc<ClientInfo>,
    /// It was told that it publishes.
    pub(super) accepted: bool,
    pub(super) last_media: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Streams {
    by_key: HashMap<StreamKey, StreamId>,
    table: BTreeMap<StreamId, Box<Stream>>,
    next: u64,
    /// Streams whose hub may have viewers to write to.
    ready: VecDeque<StreamId>,
    /// Streams that nobody needs, by the time since when.
    unused: BTreeSet<(Instant, StreamId)>,
}

impl Stream {
    /// Settings of hub and ingest as the vhost says now.
    pub(super) fn settings(&self) -> Arc<StreamSettings> {
        settings(&self.vhost, self.chunk_size)
    }

    pub(super) fn is_home(&self) -> bool {
        self.home.is_some()
    }

    /// Whether a pull has to begin when somebody wants to see it. A publisher that waits for the word of an origin is no
    /// source.
    pub(super) fn lacks_source(&self) -> bool {
        let lacks = |home: &Home| home.pull.is_none() && !home.is_published();
        self.vhost.cluster.is_edge() && self.home.as_deref().is_some_and(lacks)
    }

    /// Whether a pull waits for the first media there ever was.
    pub(super) fn waits_for_media(&self) -> bool {
        !self.had_media && self.home.as_ref().is_some_and(|home| home.pull.is_some())
    }

    /// Whether somebody wants to see it.
    pub(super) fn is_watched(&self) -> bool {
        let elsewhere = self.home.as_ref().is_some_and(|home| !home.subscribers.is_empty());
        !self.viewers.is_empty() || elsewhere
    }

    /// Since when nobody needs it.
    pub(super) fn unused_since(&self) -> Option<Instant> {
        self.unused_since
    }
}

impl Home {
    /// Whether a publisher is the source.
    pub(super) fn is_published(&self) -> bool {
        self.publisher.as_ref().is_some_and(|publisher| publisher.accepted)
    }
}

fn settings(vhost: &Vhost, chunk_size: u32) -> Arc<StreamSettings> {
    let mut settings = StreamSettings::from(&**vhost);
    settings.chunk_size = chunk_size;
    Arc::new(settings)
}

impl Streams {
    pub(super) fn find(&self, key: &StreamKey) -> Option<StreamId> {
        self.by_key.get(key).copied()
    }

    pub(super) fn get(&self, id: StreamId) -> Option<&Stream> {
        self.table.get(&id).map(|stream| &**stream)
    }

    pub(super) fn get_mut(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.table.get_mut(&id).map(|stream| &mut **stream)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (StreamId, &Stream)> {
        self.table.iter().map(|(id, stream)| (*id, &**stream))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (StreamId, &mut Stream)> {
        self.table.iter_mut().map(|(id, stream)| (*id, &mut **stream))
    }

    pub(super) fn ids(&self) -> Vec<StreamId> {
        self.table.keys().copied().collect()
    }

    /// The stream of this name, made when it is not known yet.
    pub(super) fn open(
        &mut self,
        now: Instant,
        client: &ClientInfo,
        vhost: &Arc<Vhost>,
        place: (ShardId, u16),
    ) -> StreamId {
        if let Some(id) = self.find(&client.key) {
            return id;
        }
        let id = StreamId(self.next);
        self.next += 1;
        let (shard, shards) = place;
        let settings = settings(vhost, vhost.chunk_size);
        let home = (client.key.home(shards) == shard).then(|| {
            Box::new(Home {
                ingest: Ingest::new(Arc::clone(&settings)),
                publisher: None,
                pull: None,
                asker: None,
                rotation: 0,
                outlets: BTreeMap::new(),
                push_rotation: 0,
                subscribers: BTreeMap::new(),
                live_since: None,
                idle_since: None,
            })
        });
        let stream = Stream {
            key: client.key.clone(),
            id: Arc::clone(&client.stream_id),
            vhost: Arc::clone(vhost),
            chunk_size: settings.chunk_size,
            hub: Hub::new(settings),
            viewers: BTreeSet::new(),
            waiting: VecDeque::new(),
            had_media: false,
            meter: Meter::new(now),
            home,
            subscription: None,
            unused_since: None,
            held: 0,
            is_ready: false,
        };
        self.by_key.insert(client.key.clone(), id);
        self.table.insert(id, Box::new(stream));
        id
    }

    pub(super) fn remove(&mut self, id: StreamId) -> Option<Box<Stream>> {
        let stream = self.table.remove(&id)?;
        self.by_key.remove(&stream.key);
        if let Some(since) = stream.unused_since {
            self.unused.remove(&(since, id));
        }
        Some(stream)
    }

    /// Nobody needs this stream for now. When more than `most` are remembered like that, the one to forget.
    pub(super) fn remember_unused(&mut self, now: Instant, id: StreamId, most: usize) -> Option<StreamId> {
        let stream = self.table.get_mut(&id)?;
        if stream.unused_since.is_none() {
            stream.unused_since = Some(now);
            self.unused.insert((now, id));
        }
        if self.unused.len() <= most {
            return None;
        }
        self.unused.first().map(|(_, oldest)| *oldest)
    }

    /// Somebody needs this stream.
    pub(super) fn use_again(&mut self, id: StreamId) {
        if let Some(stream) = self.table.get_mut(&id)
            && let Some(since) = stream.unused_since.take()
        {
            self.unused.remove(&(since, id));
        }
    }

    pub(super) fn give_back_room(&mut self, most: usize) {
        give_back_room(&mut self.by_key, most);
        give_back_room(&mut self.ready, most);
    }

    /// The hub of this stream may have viewers to write to.
    pub(super) fn mark_ready(&mut self, id: StreamId) {
        if let Some(stream) = self.table.get_mut(&id)
            && !std::mem::replace(&mut stream.is_ready, true)
        {
            self.ready.push_back(id);
        }
    }

    /// The next viewer to write to.
    pub(super) fn poll_ready(&mut self) -> Option<ConnId> {
        while let Some(id) = self.ready.front() {
            if let Some(stream) = self.table.get_mut(id) {
                if let Some(conn) = stream.hub.poll_ready() {
                    return Some(conn);
                }
                stream.is_ready = false;
            }
            self.ready.pop_front();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "any instant serves as the start of virtual time")]
    use super::*;
    use crate::config::EdgeConfig;
    use crate::edge::client::ClientKind;
    use crate::edge::vhosts::Vhosts;

    fn open(streams: &mut Streams, now: Instant, name: &str) -> StreamId {
        let config = EdgeConfig::builder().build().expect("a configuration");
        let vhosts = Vhosts::new(&config, 0);
        let vhost = vhosts.find("a").expect("the default vhost");
        let client = ClientInfo {
            conn: ConnId::inbound(1),
            client_id: "client".into(),
            peer: ([127, 0, 0, 1], 1935).into(),
            kind: ClientKind::FmlePublish,
            key: StreamKey::new(Arc::clone(&vhost.name), "live", name),
            stream: name.into(),
            param: "".into(),
            tc_url: "".into(),
            page_url: "".into(),
            swf_url: "".into(),
            arguments: [].into(),
            stream_id: "stream".into(),
        };
        streams.open(now, &client, vhost, (ShardId(0), 1))
    }

    #[test]
    fn only_streams_that_are_unused_count_and_each_of_them_once() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut streams = Streams::default();
        let [a, b, c] = ["a", "b", "c"].map(|name| open(&mut streams, start, name));
        for second in 0..100 {
            assert_eq!(streams.remember_unused(at(second), a, 2), None);
            assert_eq!(streams.remember_unused(at(second), a, 2), None, "it is counted already");
            streams.use_again(a);
        }
        assert!(streams.unused.is_empty(), "{:?}", streams.unused);
        assert_eq!(streams.remember_unused(at(101), b, 2), None);
        assert_eq!(streams.remember_unused(at(102), a, 2), None);
        streams.use_again(b);
        assert_eq!(streams.remember_unused(at(103), b, 2), None);
        assert_eq!(streams.remember_unused(at(104), c, 2), Some(a), "for the longest time");
        streams.remove(a);
        assert_eq!(streams.unused.len(), 2);
        assert_eq!(streams.remember_unused(at(105), a, 2), None, "it is not known any more");
    }
}
