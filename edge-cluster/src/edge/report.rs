//! The numbers of a shard.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::session::Stage;
use super::snapshot::{
    ClientSnapshot, OutletSnapshot, Snapshot, SourceSnapshot, StreamSnapshot, Totals, Traffic, VhostSnapshot,
};
use super::streams::Stream;
use super::upstream::Owner;
use super::{Conn, Edge};
use crate::config::Operation;
use crate::conn::ConnId;

impl Edge {
    /// What this shard is doing.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let mut clients = Vec::new();
        let mut of_vhost: BTreeMap<Arc<str>, (u32, Traffic)> =
            self.retired.iter().map(|(name, traffic)| (Arc::clone(name), (0, *traffic))).collect();
        for (conn, entry) in self.conns.iter() {
            let Conn::Session(session) = entry else { continue };
            let (Stage::Playing(_) | Stage::Publishing(_), Some(info)) = (&session.stage, &session.client)
            else {
                continue;
            };
            of_vhost.entry(Arc::clone(&info.key.vhost)).or_default().0 += 1;
            clients.push(ClientSnapshot {
                info: Arc::clone(info),
                alive: now.saturating_duration_since(session.opened),
                traffic: session.meter.traffic_with(now, self.conns.sent_as_follower(conn)),
                waiting: self.waiting(&session.stage, info.conn),
            });
        }
        let mut streams: Vec<_> = self.streams.iter().map(|(_, stream)| of_stream(stream, now)).collect();
        streams.sort_by(|a, b| a.key.cmp(&b.key));
        for stream in &streams {
            of_vhost.entry(Arc::clone(&stream.key.vhost)).or_default().1.add(stream.traffic);
        }
        let live = |name: &str| {
            let live = streams.iter().filter(|stream| *stream.key.vhost == *name);
            live.filter(|stream| stream.source != SourceSnapshot::None).count() as u32
        };
        let vhosts = self.vhosts.iter().map(|vhost| {
            let (clients, traffic) = of_vhost.get(&vhost.name).copied().unwrap_or_default();
            VhostSnapshot {
                id: Arc::clone(&vhost.id),
                name: Arc::clone(&vhost.name),
                enabled: vhost.enabled,
                clients,
                streams: live(&vhost.name),
                traffic,
            }
        });
        Snapshot {
            shards: vec![self.shard],
            vhosts: vhosts.collect(),
            totals: self.totals(&clients, &streams),
            clients,
            streams,
            outlets: self.outlets(now),
        }
    }

    fn waiting(&self, stage: &Stage, conn: ConnId) -> u64 {
        let Stage::Playing(id) = stage else { return 0 };
        self.streams.get(*id).and_then(|stream| stream.hub.waiting_messages(conn)).unwrap_or(0)
    }

    /// The pushes and forwards that another server takes now.
    fn outlets(&self, now: Instant) -> Vec<OutletSnapshot> {
        let outlet = |(conn, entry): (ConnId, &Conn)| {
            let Conn::Upstream(upstream) = entry else { return None };
            let Owner::Outlet(id, number) = upstream.owner else { return None };
            let stream = self.streams.get(id)?;
            Some(OutletSnapshot {
                kind: upstream.owner.kind(),
                key: stream.key.clone(),
                conn,
                target: stream.home.as_ref()?.outlets.get(&number)?.machine.target()?.to_string(),
                alive: now.saturating_duration_since(upstream.opened),
                traffic: upstream.meter.traffic(now),
                waiting: stream.hub.waiting_messages(conn)?,
            })
        };
        self.conns.iter().filter_map(outlet).collect()
    }

    fn totals(&self, clients: &[ClientSnapshot], streams: &[StreamSnapshot]) -> Totals {
        let publishers =
            clients.iter().filter(|client| client.info.kind.operation() == Operation::Publish).count() as u64;
        let received = |conn: &Conn| match conn {
            Conn::Session(session) => session.meter.received,
            Conn::Upstream(upstream) => upstream.meter.received,
        };
        Totals {
            connections: self.conns.len() as u64,
            viewers: clients.len() as u64 - publishers,
            publishers,
            streams: streams.len() as u64,
            received_bytes: self.totals.received_bytes
                + self.conns.iter().map(|(_, conn)| received(conn)).sum::<u64>(),
            memory_bytes: streams.iter().map(|stream| stream.memory_bytes).sum(),
            media_bytes_max: self.media_limit() as u64,
            ..self.totals
        }
    }

    /// A stream is not known any more: its vhost keeps its counts.
    pub(super) fn retired(&mut self, stream: &Stream) {
        let traffic = self.retired.entry(Arc::clone(&stream.vhost.name)).or_default();
        traffic.sent_bytes += stream.meter.sent;
        if stream.is_home() {
            traffic.received_bytes += stream.meter.received;
        }
    }

    /// Bytes of media that all streams hold here.
    pub fn memory_bytes(&self) -> usize {
        self.streams.iter().map(|(_, stream)| stream.hub.memory_bytes()).sum()
    }
}

fn of_stream(stream: &Stream, now: Instant) -> StreamSnapshot {
    let mut traffic = stream.meter.traffic(now);
    let mut snapshot = StreamSnapshot {
        id: Arc::clone(&stream.id),
        key: stream.key.clone(),
        source: SourceSnapshot::None,
        live: None,
        clients: stream.viewers.len() as u32,
        frames: 0,
        traffic,
        video: None,
        audio: None,
        memory_bytes: stream.hub.memory_bytes() as u64,
    };
    let Some(home) = &stream.home else {
        // What came from its home was counted there.
        (traffic.received_bytes, traffic.received_kbps_30s) = (0, 0);
        snapshot.traffic = traffic;
        return snapshot;
    };
    if let Some(publisher) = home.publisher.as_ref().filter(|publisher| publisher.accepted) {
        snapshot.source = SourceSnapshot::Publisher { client_id: Arc::clone(&publisher.client.client_id) };
        snapshot.clients += 1;
    } else if let Some(run) = home.pull.as_ref().filter(|_| home.live_since.is_some()) {
        let origin = run.pull.status().target.map(|target| target.to_string()).unwrap_or_default();
        snapshot.source = SourceSnapshot::Origin { origin };
    }
    snapshot.live = home.live_since.map(|since| now.saturating_duration_since(since));
    let stats = home.ingest.stats();
    snapshot.frames = stats.audio + stats.video;
    snapshot.video = stats.picture.clone();
    snapshot.audio = stats.sound.clone();
    snapshot
}
