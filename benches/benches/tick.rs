//! Whole ticks of the engine, beside the bare cost of the codec.
//!
//! The reference benches are one decode plus one encode per musician by libopus as it is ordinarily compiled, times
//! the number of musicians.

use benches::bare::{self, REFERENCE};
use benches::room::{Mixes, Room};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use jam_mixer::Inline;
use jam_mixer::codec::StreamSpec;
use jam_proto::AudioProps;

fn ticks(criterion: &mut Criterion) {
    let reference_ns = bare::reference_ns().expect("the reference stream exists");
    for musicians in [10, 50, 150] {
        let mut group = criterion.benchmark_group(format!("tick_{musicians}"));
        group.sample_size(20).throughput(Throughput::Elements(musicians as u64));
        for (name, mixes) in
            [("equal", Mixes::Equal), ("different", Mixes::Different), ("all_moved", Mixes::AllMoved)]
        {
            let mut room = Room::new(musicians, REFERENCE, mixes).expect("the reference stream exists");
            let report = room.report();
            println!(
                "tick_{musicians}/{name}: {} decoded, {} encoded, {} shared, {} groups, bare codec {:.0} us",
                report.decoded,
                report.encodes,
                report.encodes_shared,
                report.groups,
                reference_ns * musicians as f64 / 1_000.0,
            );
            group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                bencher.iter(|| room.tick(&mut Inline));
            });
        }
        group.finish();
    }
}

/// Raw blocks: what is left is the mixer.
fn mixer(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mix_kernel");
    group.sample_size(20);
    let raw = StreamSpec {
        block_bytes: AudioProps::raw_block_bytes(REFERENCE.codec, REFERENCE.layout),
        ..REFERENCE
    };
    for musicians in [10, 50, 150] {
        for (name, mixes) in
            [("equal", Mixes::Equal), ("different", Mixes::Different), ("all_moved", Mixes::AllMoved)]
        {
            let mut room = Room::new(musicians, raw, mixes).expect("raw streams exist");
            group.throughput(Throughput::Elements(musicians as u64));
            group.bench_function(BenchmarkId::new(name, musicians), |bencher| {
                bencher.iter(|| room.tick(&mut Inline));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, ticks, mixer);
criterion_main!(benches);
