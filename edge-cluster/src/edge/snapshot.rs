//! What an edge is doing, in numbers: plain copies for the HTTP API, metrics and logs (spec 11).

use std::sync::Arc;
use std::time::Duration;

use super::client::ClientInfo;
use super::event::UpstreamKind;
use crate::conn::{ConnId, ShardId};
use crate::key::StreamKey;

/// Bytes in both directions, with the rates of the last 30 seconds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Traffic {
    /// Bytes sent so far.
    pub sent_bytes: u64,
    /// Bytes received so far.
    pub received_bytes: u64,
    /// Kilobits per second sent, over the last 30 seconds.
    pub sent_kbps_30s: u32,
    /// Kilobits per second received, over the last 30 seconds.
    pub received_kbps_30s: u32,
}

impl Traffic {
    /// Adds another one.
    pub fn add(&mut self, other: Self) {
        self.sent_bytes += other.sent_bytes;
        self.received_bytes += other.received_bytes;
        self.sent_kbps_30s = self.sent_kbps_30s.saturating_add(other.sent_kbps_30s);
        self.received_kbps_30s = self.received_kbps_30s.saturating_add(other.received_kbps_30s);
    }
}

/// A vhost and what it carries.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct VhostSnapshot {
    /// `vid-` and seven characters.
    pub id: Arc<str>,
    /// Name of its block.
    pub name: Arc<str>,
    /// Whether it serves clients.
    pub enabled: bool,
    /// Publishers and viewers.
    pub clients: u32,
    /// Streams with a source.
    pub streams: u32,
    /// Traffic with its clients and upstream servers.
    pub traffic: Traffic,
}

/// The picture of a stream, as far as it is known.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct VideoSnapshot {
    /// `H264`, `HEVC`, `AV1` ...
    pub codec: String,
    /// Profile of the codec, empty when unknown.
    pub profile: String,
    /// Level of the codec, empty when unknown.
    pub level: String,
    /// Pixels per line, 0 when unknown.
    pub width: u32,
    /// Lines, 0 when unknown.
    pub height: u32,
}

/// The sound of a stream, as far as it is known.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct AudioSnapshot {
    /// `AAC`, `MP3`, `OPUS` ...
    pub codec: String,
    /// Profile of the codec, empty when unknown.
    pub profile: String,
    /// Samples per second, 0 when unknown.
    pub sample_rate: u32,
    /// Channels, 0 when unknown.
    pub channels: u32,
}

/// Where a stream comes from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum SourceSnapshot {
    /// Nobody sends it (yet, or any more).
    #[default]
    None,
    /// A client publishes it.
    Publisher {
        /// [`ClientInfo::client_id`].
        client_id: Arc<str>,
    },
    /// It is pulled.
    Origin {
        /// `host:port` of the origin.
        origin: String,
    },
}

/// A stream and what it carries.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StreamSnapshot {
    /// `vid-` and seven characters, as in [`ClientInfo::stream_id`].
    pub id: Arc<str>,
    /// Its name.
    pub key: StreamKey,
    /// Where its media comes from.
    pub source: SourceSnapshot,
    /// How long its source has been there.
    pub live: Option<Duration>,
    /// Publisher and viewers, over all shards.
    pub clients: u32,
    /// Audio and video messages of the source so far.
    pub frames: u64,
    /// Sent to viewers and received from the source.
    pub traffic: Traffic,
    /// The picture.
    pub video: Option<VideoSnapshot>,
    /// The sound.
    pub audio: Option<AudioSnapshot>,
    /// Bytes of media held for the viewers, over all shards; shared bytes count once per shard.
    pub memory_bytes: u64,
}

/// A client and what it gets or sends.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClientSnapshot {
    /// Who it is.
    pub info: Arc<ClientInfo>,
    /// Time since it connected.
    pub alive: Duration,
    /// Its traffic.
    pub traffic: Traffic,
    /// Messages that wait for it, if it is a viewer.
    pub waiting: u64,
}

/// A published stream on its way to another server.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OutletSnapshot {
    /// A push or a forward.
    pub kind: UpstreamKind,
    /// The stream.
    pub key: StreamKey,
    /// Our connection to the server.
    pub conn: ConnId,
    /// `host:port` of the server.
    pub target: String,
    /// Time since the connection was wanted.
    pub alive: Duration,
    /// Its traffic.
    pub traffic: Traffic,
    /// Messages that wait for it.
    pub waiting: u64,
}

/// Counters of a shard, or of all of them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Totals {
    /// Connections open now, upstream ones included.
    pub connections: u64,
    /// Viewers now.
    pub viewers: u64,
    /// Publishers now.
    pub publishers: u64,
    /// Streams known now.
    pub streams: u64,
    /// Clients accepted so far.
    pub accepted: u64,
    /// Clients refused so far.
    pub refused: u64,
    /// Connections to upstream servers begun so far.
    pub upstream_attempts: u64,
    /// Viewers that were too slow and went on at a later key frame, so far.
    pub resyncs: u64,
    /// Bytes sent and received so far.
    pub sent_bytes: u64,
    /// Bytes received so far.
    pub received_bytes: u64,
    /// Bytes of media held now.
    pub memory_bytes: u64,
    /// Bytes of media that may be held.
    pub media_bytes_max: u64,
    /// How often media was let go because of that limit, so far.
    pub media_sheds: u64,
    /// Bytes let go by that, so far.
    pub media_shed_bytes: u64,
}

/// What a shard, or the whole edge, is doing at one moment.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// The shards that are in it.
    pub shards: Vec<ShardId>,
    /// All vhosts, by name.
    pub vhosts: Vec<VhostSnapshot>,
    /// All streams, by key.
    pub streams: Vec<StreamSnapshot>,
    /// All clients, by connection.
    pub clients: Vec<ClientSnapshot>,
    /// All pushes and forwards that are taken, by connection.
    pub outlets: Vec<OutletSnapshot>,
    /// The sums.
    pub totals: Totals,
}

impl Snapshot {
    /// Puts the shards of one edge together.
    pub fn merge(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut whole = Self::default();
        for part in parts {
            whole.shards.extend(part.shards);
            part.vhosts.into_iter().for_each(|vhost| whole.add_vhost(vhost));
            part.streams.into_iter().for_each(|stream| whole.add_stream(stream));
            whole.clients.extend(part.clients);
            whole.outlets.extend(part.outlets);
            whole.totals.add(part.totals);
        }
        whole.vhosts.sort_by(|a, b| a.name.cmp(&b.name));
        whole.streams.sort_by(|a, b| a.key.cmp(&b.key));
        whole.clients.sort_by_key(|client| client.info.conn);
        whole.outlets.sort_by_key(|outlet| outlet.conn);
        // A stream is known on every shard that has viewers of it.
        whole.totals.streams = whole.streams.len() as u64;
        for vhost in &mut whole.vhosts {
            let of_vhost = |stream: &&StreamSnapshot| {
                stream.key.vhost == vhost.name && stream.source != SourceSnapshot::None
            };
            vhost.streams = whole.streams.iter().filter(of_vhost).count() as u32;
        }
        whole
    }

    fn add_vhost(&mut self, vhost: VhostSnapshot) {
        match self.vhosts.iter_mut().find(|known| known.name == vhost.name) {
            Some(known) => {
                known.clients += vhost.clients;
                known.traffic.add(vhost.traffic);
            }
            None => self.vhosts.push(vhost),
        }
    }

    fn add_stream(&mut self, stream: StreamSnapshot) {
        // Sorted by key within each part; a linear search would be quadratic in the number of streams.
        let place = self.streams.binary_search_by(|known| known.key.cmp(&stream.key));
        match place {
            Ok(place) => {
                let Some(known) = self.streams.get_mut(place) else { return };
                let StreamSnapshot {
                    source, live, clients, frames, traffic, video, audio, memory_bytes, ..
                } = stream;
                if source != SourceSnapshot::None {
                    known.source = source;
                }
                known.live = known.live.or(live);
                known.clients += clients;
                known.frames += frames;
                known.traffic.add(traffic);
                known.video = known.video.take().or(video);
                known.audio = known.audio.take().or(audio);
                known.memory_bytes += memory_bytes;
            }
            Err(place) => self.streams.insert(place, stream),
        }
    }
}

impl Totals {
    /// Adds those of another shard.
    pub fn add(&mut self, other: Self) {
        self.connections += other.connections;
        self.viewers += other.viewers;
        self.publishers += other.publishers;
        self.streams += other.streams;
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.upstream_attempts += other.upstream_attempts;
        self.resyncs += other.resyncs;
        self.sent_bytes += other.sent_bytes;
        self.received_bytes += other.received_bytes;
        self.memory_bytes += other.memory_bytes;
        self.media_bytes_max = self.media_bytes_max.saturating_add(other.media_bytes_max);
        self.media_sheds += other.media_sheds;
        self.media_shed_bytes += other.media_shed_bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(source: SourceSnapshot, clients: u32) -> StreamSnapshot {
        StreamSnapshot {
            id: "vid-1".into(),
            key: StreamKey::new("v", "live", "show"),
            source,
            live: None,
            clients,
            frames: 0,
            traffic: Traffic { sent_bytes: 10, ..Traffic::default() },
            video: None,
            audio: None,
            memory_bytes: 5,
        }
    }

    #[test]
    fn a_stream_of_two_shards_is_one() {
        let publisher = SourceSnapshot::Publisher { client_id: "abcdefgh".into() };
        let part = |shard, source: &SourceSnapshot| Snapshot {
            shards: vec![ShardId(shard)],
            vhosts: vec![VhostSnapshot {
                id: "vid-0".into(),
                name: "v".into(),
                enabled: true,
                clients: 2,
                streams: 1,
                traffic: Traffic::default(),
            }],
            streams: vec![stream(source.clone(), 2)],
            ..Snapshot::default()
        };
        let whole = Snapshot::merge([part(0, &SourceSnapshot::None), part(1, &publisher)]);
        assert_eq!(whole.streams.len(), 1);
        assert_eq!(whole.streams[0].source, publisher);
        assert_eq!((whole.streams[0].clients, whole.streams[0].traffic.sent_bytes), (4, 20));
        assert_eq!((whole.vhosts[0].clients, whole.vhosts[0].streams, whole.totals.streams), (4, 1, 1));
    }
}
