//! Reading a chunk stream in slices of 16 KiB (64 KiB where it says so), beside the named third-party crate.
//!
//! Run with `cargo bench -p benches --bench rtmp_read`. Throughput is payload; the copy into the read buffer, which a
//! socket's read would make, is part of our time and not of the other crate's, which copies by itself.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rml_rtmp::chunk_io::ChunkDeserializer;
use rtmp_core::chunk::{ChunkReader, ChunkWriter, Message, MessageType};
use rtmp_core::message::Control;
use rtmp_core::{Limits, Timestamp};

const SLICE: usize = 16 << 10;
const LARGE_SLICE: usize = 64 << 10;
const READ_BUFFER: usize = 128 << 10;

/// As many messages as make about 4 MB, after a Set Chunk Size.
fn stream(length: usize, chunk_size: u32) -> (Vec<u8>, usize) {
    let count = (4_000_000 / length).clamp(8, 20_000);
    let mut writer = ChunkWriter::default();
    let mut wire = BytesMut::new();
    writer.write(&mut wire, &Control::SetChunkSize(chunk_size).message());
    writer.set_chunk_size(chunk_size);
    let payload = Bytes::from(vec![0x27; length]);
    for n in 0..count {
        let timestamp = Timestamp::from_millis(n as u32 * 20);
        let payload = payload.clone();
        writer.write(&mut wire, &Message { csid: 6, timestamp, kind: MessageType::VIDEO, msid: 1, payload });
    }
    (wire.to_vec(), count)
}

fn ours(wire: &[u8], slice: usize) -> usize {
    let mut reader = ChunkReader::new(&Limits::default());
    let mut input = BytesMut::with_capacity(READ_BUFFER);
    let mut seen = 0;
    for piece in wire.chunks(slice) {
        // What a driver does: room for a whole read, then the read.
        if input.capacity() - input.len() < slice {
            input.reserve(READ_BUFFER - input.len());
        }
        input.extend_from_slice(piece);
        while let Some(message) = reader.read(&mut input).expect("legal") {
            seen += 1;
            black_box(message);
        }
    }
    seen
}

fn theirs(wire: &[u8], slice: usize) -> usize {
    let mut reader = ChunkDeserializer::new();
    let mut seen = 0;
    for piece in wire.chunks(slice) {
        let mut next = reader.get_next_message(piece).expect("legal");
        while let Some(message) = next {
            seen += 1;
            if message.type_id == 1 {
                let size = u32::from_be_bytes(message.data[..4].try_into().expect("four bytes"));
                reader.set_max_chunk_size(size as usize).expect("legal");
            }
            black_box(message);
            next = reader.get_next_message(&[]).expect("legal");
        }
    }
    seen
}

fn read(c: &mut Criterion) {
    let cases = [
        (200, 4096, SLICE),
        (1000, 4096, SLICE),
        (10_000, 4096, SLICE),
        (100_000, 4096, SLICE),
        (10_000, 60_000, SLICE),
        (20_000, 60_000, LARGE_SLICE),
        (50_000, 60_000, LARGE_SLICE),
        (1000, 128, SLICE),
        (100_000, 128, SLICE),
    ];
    for (length, chunk_size, slice) in cases {
        let (wire, count) = stream(length, chunk_size);
        let mut group = c.benchmark_group(format!("rtmp_read/{length}B_in_{chunk_size}B_chunks"));
        group.throughput(Throughput::Elements(count as u64)).sample_size(20);
        group.bench_function("rtmp-core", |b| b.iter(|| assert_eq!(ours(&wire, slice), count + 1)));
        group.bench_function("rml_rtmp", |b| b.iter(|| assert_eq!(theirs(&wire, slice), count + 1)));
        group.finish();
    }
}

criterion_group!(benches, read);
criterion_main!(benches);
