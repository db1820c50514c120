//! What the codec alone costs on this machine, as a measure for servers.

use jam_mixer::codec::{
    Codec, CodecError, Decode, Encode, EncoderSettings, JamCodec, OpusCustom, RawBlocks, StreamSpec,
};
use jam_proto::AudioProps;

use crate::clock::Nanos;
use crate::signal::Loop;

/// Processor time of one block, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference {
    pub(crate) decode_micros: f64,
    pub(crate) encode_micros: f64,
}

impl Reference {
    pub(crate) fn total_micros(&self) -> f64 {
        self.decode_micros + self.encode_micros
    }

    /// The mean of two measurements.
    pub(crate) fn mean(self, other: Self) -> Self {
        Self {
            decode_micros: f64::midpoint(self.decode_micros, other.decode_micros),
            encode_micros: f64::midpoint(self.encode_micros, other.encode_micros),
        }
    }
}

/// Rounds of which the median counts, so that a disturbance of one does not matter.
const ROUNDS: usize = 7;
/// Blocks per round: enough for the clock's resolution, little enough to take 0.1 s in all.
const BLOCKS: u64 = 400;

/// Decodes and encodes blocks of this format with the encoder settings of shipped programs.
pub(crate) fn measure(props: &AudioProps) -> Result<Reference, CodecError> {
    let spec = StreamSpec { codec: props.codec, layout: props.layout, block_bytes: props.block_bytes };
    let codec = JamCodec::new(OpusCustom::new(EncoderSettings::SHIPPED)?, RawBlocks::Allowed);
    let (mut decoder, mut encoder) = (codec.decoder(spec)?, codec.encoder(spec)?);
    let music = Loop::tone(props, 20, 0.3)?;
    let mut pcm = vec![0i16; spec.pcm_len() * BLOCKS as usize];
    let mut coded = vec![0; usize::from(props.block_bytes)];
    let mut decode = Vec::new();
    let mut encode = Vec::new();
    for _ in 0..ROUNDS {
        let start = Nanos::thread_cpu();
        for (position, block) in pcm.chunks_exact_mut(spec.pcm_len()).enumerate() {
            decoder.decode(Some(music.block(position as u64)), block)?;
        }
        let between = Nanos::thread_cpu();
        for block in pcm.chunks_exact(spec.pcm_len()) {
            encoder.encode(block, &mut coded)?;
        }
        decode.push(between.since(start));
        encode.push(Nanos::thread_cpu().since(between));
    }
    Ok(Reference { decode_micros: median_micros(decode), encode_micros: median_micros(encode) })
}

fn median_micros(mut nanos: Vec<i64>) -> f64 {
    nanos.sort_unstable();
    nanos[nanos.len() / 2] as f64 / BLOCKS as f64 / 1000.0
}
