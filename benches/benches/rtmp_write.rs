//! Writing messages as chunks for one connection, beside the named third-party crate.
//!
//! Run with `cargo bench -p benches --bench rtmp_write`.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rml_rtmp::chunk_io::ChunkSerializer;
use rml_rtmp::messages::MessagePayload;
use rml_rtmp::time::RtmpTimestamp;
use rtmp_core::chunk::{ChunkWriter, Compression};
use rtmp_core::message::{Command, Status, status};
use rtmp_core::segment::{Framing, SegmentWriter};
use rtmp_core::{AmfLimits, Media, MediaKind, Timestamp};

fn media(n: u32, payload: &Bytes) -> Media {
    Media { kind: MediaKind::Video, timestamp: Timestamp::from_millis(n * 20), payload: payload.clone() }
}

fn write(c: &mut Criterion) {
    for (length, chunk_size) in
        [(1000, 4096), (10_000, 4096), (100_000, 4096), (100_000, 60_000), (100_000, 128)]
    {
        let payload = Bytes::from(vec![0x27; length]);
        let mut group = c.benchmark_group(format!("rtmp_write/{length}B_in_{chunk_size}B_chunks"));
        group.throughput(Throughput::Elements(1)).sample_size(20);
        group.bench_function("rtmp-core", |b| {
            let mut writer = ChunkWriter::new(Compression::Full);
            writer.set_chunk_size(chunk_size);
            let mut out = BytesMut::new();
            let mut n = 0;
            b.iter(|| {
                out.clear();
                n += 1;
                writer.write(&mut out, &media(n, &payload).message(1));
                black_box(out.len())
            });
        });
        group.bench_function("shared segment", |b| {
            let mut writer = SegmentWriter::new(Framing::Chunks { size: chunk_size });
            let mut n = 0;
            b.iter(|| {
                n += 1;
                writer.push(&media(n, &payload));
                black_box(writer.finish())
            });
        });
        group.bench_function("rml_rtmp", |b| {
            let mut writer = ChunkSerializer::new();
            writer.set_max_chunk_size(chunk_size, RtmpTimestamp::new(0)).expect("legal");
            let mut n = 0;
            b.iter(|| {
                n += 1;
                let message = MessagePayload {
                    timestamp: RtmpTimestamp::new(n * 20),
                    type_id: 9,
                    message_stream_id: 1,
                    data: payload.clone(),
                };
                black_box(writer.serialize(&message, false, true).expect("legal").bytes.len())
            });
        });
        group.finish();
    }
}

fn metadata(c: &mut Criterion) {
    let mut group = c.benchmark_group("rtmp_amf");
    let status = Status::ok(status::code::PLAY_START, "Started playing stream.").with("details", "show");
    let command = Command::new("onStatus", 0.0).with(status.to_value());
    let payload = command.payload().expect("a command");
    group.bench_function("write onStatus", |b| b.iter(|| black_box(command.payload())));
    group.bench_function("read onStatus", |b| {
        b.iter(|| {
            black_box(Command::parse(
                rtmp_core::message::MessageType::COMMAND,
                &payload,
                AmfLimits::default(),
            ))
        });
    });
    group.finish();
}

criterion_group!(benches, write, metadata);
criterion_main!(benches);
