//! One stream through an edge's hub, in memory: a burst is written once and offered to all viewers, a viewer joins.
//!
//! Run with `cargo bench -p benches --bench edge_hub`. The stream is that of `rtmp_fanout` (33 ms of 2.65 Mbit/s per
//! burst, a key frame every two seconds), so the two can be put side by side: what the hub adds to bare segments and
//! cursors is its policy, its headers and its lists. Every way ends with slices a vectored write would take.

use std::hint::black_box;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use edge_cluster::ConnId;
use edge_cluster::config::{LoadOptions, MemorySources, load};
use edge_cluster::hub::{Hub, Ingest, Join, JoinKind, Lane, PrivateSink, StreamSettings};
use rtmp_core::chunk::ChunkWriter;
use rtmp_core::{Media, MediaKind, Timestamp};

const BURSTS_PER_GOP: u32 = 60;
const JOIN: Join = Join { msid: 1, lane: Lane::Chunks, kind: JoinKind::Viewer };

/// A viewer's own bytes, written as its connection would.
#[derive(Default)]
struct Own {
    writer: ChunkWriter,
    bytes: BytesMut,
}

impl PrivateSink for Own {
    fn pending_bytes(&self) -> usize {
        self.bytes.len()
    }

    fn send_media(&mut self, media: &Media) {
        self.writer.write(&mut self.bytes, &media.message(1));
    }
}

/// A stream with its home beside it.
struct Stream {
    now: Instant,
    ingest: Ingest,
    hub: Hub,
    bursts: u32,
    key: Bytes,
    picture: Bytes,
    sound: Bytes,
}

impl Stream {
    #[expect(clippy::disallowed_methods, reason = "any instant serves as the start of virtual time")]
    fn new() -> Self {
        let conf = "listen 1935; vhost __defaultVhost__ { min_latency on; chunk_size 60000; }";
        let files = MemorySources::from([("conf", conf)]);
        let loaded = load(&files, "conf", &LoadOptions::default()).expect("a configuration");
        let settings = Arc::new(StreamSettings::from(loaded.config.vhost("any").expect("the default vhost")));
        let mut stream = Self {
            now: Instant::now(),
            ingest: Ingest::new(Arc::clone(&settings)),
            hub: Hub::new(settings),
            bursts: 0,
            key: frame(&[0x17, 1], 10_500),
            picture: frame(&[0x27, 1], 10_500),
            sound: frame(&[0xaf, 1], 200),
        };
        stream.ingest.begin(stream.now);
        for (kind, head) in [(MediaKind::Audio, &[0xaf, 0][..]), (MediaKind::Video, &[0x17, 0])] {
            stream.push(kind, 0, &frame(head, 40));
        }
        // A whole GOP, so that viewers have something to join.
        (0..=BURSTS_PER_GOP).for_each(|_| stream.burst());
        stream
    }

    fn push(&mut self, kind: MediaKind, millis: u32, payload: &Bytes) {
        let timestamp = Timestamp::from_millis(millis);
        self.ingest.push(self.now, &Media { kind, timestamp, payload: payload.clone() });
    }

    /// What 33 ms bring.
    fn burst(&mut self) {
        let millis = self.bursts * 33;
        let key = self.bursts.is_multiple_of(BURSTS_PER_GOP);
        let picture = if key { self.key.clone() } else { self.picture.clone() };
        let sound = self.sound.clone();
        self.bursts += 1;
        self.now += Duration::from_millis(33);
        self.push(MediaKind::Audio, millis, &sound);
        self.push(MediaKind::Video, millis + 5, &picture);
        self.push(MediaKind::Audio, millis + 23, &sound);
        self.ingest.burst_end(self.now);
        while let Some(update) = self.ingest.poll_update() {
            self.hub.apply(self.now, &update);
        }
    }

    /// Offers everything that waits to everybody, as a driver does, and counts the bytes.
    fn serve(&mut self, own: &mut [Own]) -> usize {
        let mut bytes = 0;
        while let Some(viewer) = self.hub.poll_ready() {
            let own = &mut own[viewer.get() as usize];
            self.hub.prepare(self.now, viewer, own);
            let Some(mut outgoing) = self.hub.outgoing(viewer, &mut own.bytes) else { continue };
            while outgoing.has_remaining() {
                let mut slices = [IoSlice::new(&[]); 64];
                let count = outgoing.chunks_vectored(&mut slices);
                let taken = slices[..count].iter().map(|slice| slice.len()).sum();
                outgoing.advance(taken);
                bytes += taken;
            }
        }
        bytes
    }
}

fn frame(head: &[u8], bytes: usize) -> Bytes {
    let mut frame = vec![0x5a; bytes];
    frame[..head.len()].copy_from_slice(head);
    frame.into()
}

fn fanout(c: &mut Criterion) {
    for viewers in [1, 100, 1000] {
        let mut group = c.benchmark_group(format!("edge_hub/{viewers}_viewers"));
        group.throughput(Throughput::Elements(viewers)).sample_size(20);
        group.bench_function("burst", |b| {
            let mut stream = Stream::new();
            let mut own: Vec<_> = (0..viewers).map(|_| Own::default()).collect();
            (0..viewers).for_each(|viewer| stream.hub.join(ConnId::inbound(viewer), JOIN));
            stream.serve(&mut own);
            b.iter(|| {
                stream.burst();
                black_box(stream.serve(&mut own))
            });
        });
        group.bench_function("all join a GOP of two seconds", |b| {
            let mut stream = Stream::new();
            b.iter_batched_ref(
                || (0..viewers).map(|_| Own::default()).collect::<Vec<_>>(),
                |own| {
                    (0..viewers).for_each(|viewer| stream.hub.join(ConnId::inbound(viewer), JOIN));
                    let bytes = stream.serve(own);
                    (0..viewers).for_each(|viewer| stream.hub.leave(ConnId::inbound(viewer)));
                    black_box(bytes)
                },
                BatchSize::LargeInput,
            );
        });
        group.finish();
    }
}

criterion_group!(benches, fanout);
criterion_main!(benches);
