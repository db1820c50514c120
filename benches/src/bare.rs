//! What the codec alone costs.

use std::hint::black_box;

use jam_mixer::codec::{Codec, CodecError, Decode, Encode, EncoderSettings, OpusCustom, StreamSpec};
use jam_proto::{BlockCodec, Layout};

use crate::{cpu, signal};

/// Nanoseconds of processor time per block.
#[derive(Clone, Copy, Debug)]
pub struct BlockCost {
    /// Decoding a block.
    pub decode: f64,
    /// Encoding a block.
    pub encode: f64,
    /// Concealing a single lost block; every tenth block is lost.
    pub conceal: f64,
}

/// A stream of shipped clients with the name it goes by here.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    /// `opus_mono_normal` and so on.
    pub name: &'static str,
    /// Its format.
    pub spec: StreamSpec,
}

const fn named(name: &'static str, codec: BlockCodec, layout: Layout, block_bytes: u16) -> Named {
    Named { name, spec: StreamSpec { codec, layout, block_bytes } }
}

/// The streams of current clients (spec 3.3).
pub const STREAMS: [Named; 12] = [
    named("opus64_mono_low", BlockCodec::Opus64, Layout::Mono, 12),
    named("opus64_mono_normal", BlockCodec::Opus64, Layout::Mono, 22),
    named("opus64_mono_high", BlockCodec::Opus64, Layout::Mono, 36),
    named("opus64_stereo_low", BlockCodec::Opus64, Layout::Stereo, 24),
    named("opus64_stereo_normal", BlockCodec::Opus64, Layout::Stereo, 35),
    named("opus64_stereo_high", BlockCodec::Opus64, Layout::Stereo, 73),
    named("opus_mono_low", BlockCodec::Opus, Layout::Mono, 25),
    named("opus_mono_normal", BlockCodec::Opus, Layout::Mono, 45),
    named("opus_mono_high", BlockCodec::Opus, Layout::Mono, 82),
    named("opus_stereo_low", BlockCodec::Opus, Layout::Stereo, 47),
    named("opus_stereo_normal", BlockCodec::Opus, Layout::Stereo, 71),
    named("opus_stereo_high", BlockCodec::Opus, Layout::Stereo, 165),
];

/// The stream of most musicians, to which load tests relate their figures.
pub const REFERENCE: StreamSpec = STREAMS[7].spec;

/// Blocks per run: two thirds of a second of 128-sample blocks.
const BLOCKS: usize = 250;

/// Measures one stream with music, best of `runs`.
///
/// # Errors
///
/// Those of the codec.
pub fn measure(codec: &OpusCustom, spec: StreamSpec, runs: usize) -> Result<BlockCost, CodecError> {
    let pcm = signal::music(spec.codec.samples() * BLOCKS, spec.layout, 1);
    let mut encoder = codec.encoder(spec)?;
    let mut decoder = codec.decoder(spec)?;
    let bytes = usize::from(spec.block_bytes);
    let mut blocks = vec![0; bytes * BLOCKS];
    let mut heard = vec![0; spec.pcm_len()];
    let mut result = Ok(());

    let encode = cpu::best_ns_per_unit(runs, BLOCKS, || {
        for (pcm, block) in pcm.chunks_exact(spec.pcm_len()).zip(blocks.chunks_exact_mut(bytes)) {
            result = result.and_then(|()| encoder.encode(black_box(pcm), block));
        }
    });
    let decode = cpu::best_ns_per_unit(runs, BLOCKS, || {
        for block in blocks.chunks_exact(bytes) {
            result = result.and_then(|()| decoder.decode(Some(black_box(block)), &mut heard));
        }
    });
    let mut lost = cpu::Calls::default();
    for _ in 0..runs {
        for (number, block) in blocks.chunks_exact(bytes).enumerate() {
            result = result.and_then(|()| {
                if number % 10 == 0 {
                    lost.time(|| decoder.decode(None, &mut heard))
                } else {
                    decoder.decode(Some(block), &mut heard)
                }
            });
        }
    }
    result.map(|()| BlockCost { decode, encode, conceal: lost.median_ns() })
}

/// The bare cost of one musician per block, in nanoseconds: one decode plus one encode of [`REFERENCE`] by libopus
/// as it is ordinarily compiled, with the encoder settings of shipped servers.
///
/// Takes about 0.3 s of processor time.
///
/// # Errors
///
/// Those of the codec.
pub fn reference_ns() -> Result<f64, CodecError> {
    let cost = measure(&OpusCustom::plain(EncoderSettings::SHIPPED)?, REFERENCE, 20)?;
    Ok(cost.decode + cost.encode)
}
