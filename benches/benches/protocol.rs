//! What every datagram costs before its audio is decoded: classifying, parsing, the jitter buffer.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use jam_mixer::jitter::{JitterBuffer, JitterConfig};
use jam_proto::wire::{Frame, FrameWriter, crc16};
use jam_proto::{AudioProps, BlockCodec, BlockFactor, JitterSize, Layout, Sequence};

fn frames(criterion: &mut Criterion) {
    let mut writer = FrameWriter::new();
    let mut group = criterion.benchmark_group("crc_frame");
    for bytes in [0, 100, 550] {
        let frame = writer.frame(1001, 0, &vec![0x5a; bytes]);
        group.throughput(Throughput::Bytes(frame.len() as u64));
        group.bench_function(BenchmarkId::new("parse", bytes), |bencher| {
            bencher.iter(|| Frame::parse(black_box(&frame)).is_some());
        });
        group.bench_function(BenchmarkId::new("crc", bytes), |bencher| {
            bencher.iter(|| crc16(black_box(&frame)));
        });
    }
    // Audio is what fails to parse as a frame, nearly always in its first two bytes.
    let audio = [0x04_u8; 72];
    group.bench_function("audio_is_no_frame", |bencher| {
        bencher.iter(|| Frame::parse(black_box(&audio)).is_none());
    });
    // Raw silence looks like the beginning of a frame.
    let silence = [0_u8; 257];
    group.bench_function("raw_silence_is_no_frame", |bencher| {
        bencher.iter(|| Frame::parse(black_box(&silence)).is_none());
    });
    group.finish();
}

fn jitter(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("jitter_put_get");
    for (name, codec, layout, block_bytes) in [
        ("opus_mono_normal", BlockCodec::Opus, Layout::Mono, 45),
        ("opus_stereo_high", BlockCodec::Opus, Layout::Stereo, 165),
        ("opus64_mono_normal", BlockCodec::Opus64, Layout::Mono, 22),
    ] {
        for (size_name, size) in [("auto", JitterSize::Auto), ("fixed", JitterSize::Blocks(6))] {
            let props =
                AudioProps { codec, layout, block_bytes, factor: BlockFactor::One, sequence: Sequence::With };
            let mut buffer = JitterBuffer::new(&props, 1, size, &JitterConfig::default());
            let mut datagram = vec![0x55_u8; props.datagram_bytes()];
            group.bench_function(BenchmarkId::new(name, size_name), |bencher| {
                bencher.iter(|| {
                    if let Some(sequence) = datagram.last_mut() {
                        *sequence = sequence.wrapping_add(1);
                    }
                    black_box(buffer.put(black_box(&datagram), Some(1_000)));
                    black_box(buffer.get());
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, frames, jitter);
criterion_main!(benches);
