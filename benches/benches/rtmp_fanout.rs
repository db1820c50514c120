//! One stream to many viewers, in memory: how long a burst takes to be offered to all of them, without any socket.
//!
//! Run with `cargo bench -p benches --bench rtmp_fanout`. A burst is 33 ms of a 2.65 Mbit/s stream: one picture of
//! 10,500 bytes and two audio messages of 200. Every way ends with slices a vectored write would take; what the kernel
//! does with them is not measured here and costs far more.

use std::hint::black_box;
use std::io::IoSlice;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rml_rtmp::chunk_io::ChunkSerializer;
use rml_rtmp::messages::MessagePayload;
use rml_rtmp::time::RtmpTimestamp;
use rtmp_core::chunk::ChunkWriter;
use rtmp_core::segment::{Cursor, Framing, Outgoing, Ring, SegmentWriter};
use rtmp_core::{Media, MediaKind, Timestamp};

const CHUNK_SIZE: u32 = 60_000;

fn burst(n: u32, video: &Bytes, audio: &Bytes) -> [Media; 3] {
    let at = |offset| Timestamp::from_millis(n * 33 + offset);
    [
        Media { kind: MediaKind::Audio, timestamp: at(0), payload: audio.clone() },
        Media { kind: MediaKind::Video, timestamp: at(5), payload: video.clone() },
        Media { kind: MediaKind::Audio, timestamp: at(23), payload: audio.clone() },
    ]
}

fn fanout(c: &mut Criterion) {
    let (video, audio) = (Bytes::from(vec![0x27; 10_500]), Bytes::from(vec![0xaf; 200]));
    for viewers in [1, 100, 1000] {
        let mut group = c.benchmark_group(format!("rtmp_fanout/{viewers}_viewers"));
        group.throughput(Throughput::Elements(viewers)).sample_size(20);
        group.bench_function("shared segment", |b| {
            let mut writer = SegmentWriter::new(Framing::Chunks { size: CHUNK_SIZE });
            let mut ring = Ring::default();
            let mut cursors: Vec<_> = (0..viewers).map(|_| (Cursor::new(1, 0, 0), BytesMut::new())).collect();
            let mut n = 0;
            b.iter(|| {
                n += 1;
                for media in burst(n, &video, &audio) {
                    if let Some(segment) = writer.push(&media) {
                        ring.push(Arc::new(segment));
                    }
                }
                ring.push(Arc::new(writer.finish().expect("a burst")));
                let mut bytes = 0;
                for (cursor, private) in &mut cursors {
                    let mut outgoing = Outgoing::new(private, cursor, &ring);
                    let mut slices = [IoSlice::new(&[]); 8];
                    let count = outgoing.chunks_vectored(&mut slices);
                    let taken = slices[..count].iter().map(|slice| slice.len()).sum();
                    outgoing.advance(taken);
                    bytes += taken;
                }
                ring.pop();
                black_box(bytes)
            });
        });
        group.bench_function("private writer", |b| {
            let mut writers: Vec<_> = (0..viewers)
                .map(|_| {
                    let mut writer = ChunkWriter::default();
                    writer.set_chunk_size(CHUNK_SIZE);
                    (writer, BytesMut::new())
                })
                .collect();
            let mut n = 0;
            b.iter(|| {
                n += 1;
                let messages = burst(n, &video, &audio).map(|media| media.message(1));
                let mut bytes = 0;
                for (writer, out) in &mut writers {
                    out.clear();
                    for message in &messages {
                        writer.write(out, message);
                    }
                    bytes += out.len();
                }
                black_box(bytes)
            });
        });
        group.bench_function("rml_rtmp", |b| {
            let mut writers: Vec<_> = (0..viewers)
                .map(|_| {
                    let mut writer = ChunkSerializer::new();
                    writer.set_max_chunk_size(CHUNK_SIZE, RtmpTimestamp::new(0)).expect("legal");
                    writer
                })
                .collect();
            let mut n = 0;
            b.iter(|| {
                n += 1;
                let messages = burst(n, &video, &audio).map(|media| MessagePayload {
                    timestamp: RtmpTimestamp::new(media.timestamp.millis()),
                    type_id: media.kind.message_type().0,
                    message_stream_id: 1,
                    data: media.payload,
                });
                let mut bytes = 0;
                for writer in &mut writers {
                    for message in &messages {
                        bytes += writer.serialize(message, false, true).expect("legal").bytes.len();
                    }
                }
                black_box(bytes)
            });
        });
        group.finish();
    }
}

criterion_group!(benches, fanout);
criterion_main!(benches);
