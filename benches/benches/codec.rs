//! The bare codec: encode, decode and conceal, for every stream of shipped clients.

use std::hint::black_box;

use benches::bare::STREAMS;
use benches::signal;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use jam_mixer::codec::{Codec, Decode, Encode, EncoderSettings, OpusCustom};

const BLOCKS: usize = 250;

fn codec(criterion: &mut Criterion) {
    let codecs = [
        ("plain", OpusCustom::plain(EncoderSettings::SHIPPED)),
        ("shipped_settings", OpusCustom::new(EncoderSettings::SHIPPED)),
        ("default", OpusCustom::new(EncoderSettings::default())),
    ];
    for (name, codec) in codecs {
        let codec = codec.expect("settings in range");
        let mut group = criterion.benchmark_group(format!("encode_{name}"));
        for stream in STREAMS {
            let spec = stream.spec;
            let pcm = signal::music(spec.codec.samples() * BLOCKS, spec.layout, 1);
            let mut encoder = codec.encoder(spec).expect("a shipped stream");
            let mut block = vec![0; usize::from(spec.block_bytes)];
            let mut input = pcm.chunks_exact(spec.pcm_len()).cycle();
            group.bench_function(BenchmarkId::from_parameter(stream.name), |bencher| {
                bencher.iter(|| encoder.encode(black_box(input.next().expect("endless")), &mut block));
            });
        }
        group.finish();
    }

    let codec = OpusCustom::default();
    let plain = OpusCustom::plain(EncoderSettings::SHIPPED).expect("settings in range");
    for (what, codec, lost_of_ten) in
        [("decode_plain", &plain, 0), ("decode", &codec, 0), ("decode_and_lose_one_of_ten", &codec, 1)]
    {
        let mut group = criterion.benchmark_group(what);
        for stream in STREAMS {
            let spec = stream.spec;
            let bytes = usize::from(spec.block_bytes);
            let pcm = signal::music(spec.codec.samples() * BLOCKS, spec.layout, 1);
            let mut encoder = codec.encoder(spec).expect("a shipped stream");
            let mut blocks = vec![0; bytes * BLOCKS];
            for (pcm, block) in pcm.chunks_exact(spec.pcm_len()).zip(blocks.chunks_exact_mut(bytes)) {
                encoder.encode(pcm, block).expect("a full block");
            }
            let mut decoder = codec.decoder(spec).expect("a shipped stream");
            let mut heard = vec![0; spec.pcm_len()];
            let mut input = blocks.chunks_exact(bytes).enumerate().cycle();
            group.bench_function(BenchmarkId::from_parameter(stream.name), |bencher| {
                bencher.iter(|| {
                    let (number, block) = input.next().expect("endless");
                    decoder.decode((number % 10 >= lost_of_ten).then_some(black_box(block)), &mut heard)
                });
            });
        }
        group.finish();
    }

    let spec = benches::bare::REFERENCE;
    let encoder = codec.encoder(spec).expect("a shipped stream");
    criterion.bench_function("fork_opus_mono", |bencher| bencher.iter(|| encoder.fork()));
    criterion.bench_function("new_encoder_opus_mono", |bencher| bencher.iter(|| codec.encoder(spec)));
    criterion.bench_function("new_decoder_opus_mono", |bencher| bencher.iter(|| codec.decoder(spec)));
}

criterion_group!(benches, codec);
criterion_main!(benches);
