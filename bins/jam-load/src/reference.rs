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
/// Blocks per round and musician: with 40 musicians a round takes 30 ms.
const BLOCKS: u64 = 50;

/// Decodes and encodes blocks of this format for so many musicians: libopus as its own build files compile it, with
/// the encoder settings of shipped programs.
///
/// Each musician has a decoder and an encoder, used in turn as a server uses them: their states do not stay in the
/// processor's first cache, neither here nor there.
pub(crate) fn measure(props: &AudioProps, musicians: usize) -> Result<Reference, CodecError> {
    let spec = StreamSpec { codec: props.codec, layout: props.layout, block_bytes: props.block_bytes };
    let codec = JamCodec::new(OpusCustom::plain(EncoderSettings::SHIPPED)?, RawBlocks::Allowed);
    let mut coders = (0..musicians)
        .map(|_| Ok((codec.decoder(spec)?, codec.encoder(spec)?, vec![0i16; spec.pcm_len()])))
        .collect::<Result<Vec<_>, CodecError>>()?;
    let music = Loop::tone(props, 20, 0.3)?;
    let mut coded = vec![0; usize::from(props.block_bytes)];
    let mut decode = Vec::new();
    let mut encode = Vec::new();
    for _ in 0..ROUNDS {
        let (mut decoding, mut encoding) = (0, 0);
        for position in 0..BLOCKS {
            let start = Nanos::thread_cpu();
            for (musician, (decoder, _, pcm)) in coders.iter_mut().enumerate() {
                decoder.decode(Some(music.block(position + 3 * musician as u64)), pcm)?;
            }
            let between = Nanos::thread_cpu();
            for (_, encoder, pcm) in &mut coders {
                encoder.encode(pcm, &mut coded)?;
            }
            decoding += between.since(start);
            encoding += Nanos::thread_cpu().since(between);
        }
        decode.push(decoding);
        encode.push(encoding);
    }
    let blocks = BLOCKS * musicians as u64;
    Ok(Reference {
        decode_micros: median_micros(decode, blocks),
        encode_micros: median_micros(encode, blocks),
    })
}

fn median_micros(mut nanos: Vec<i64>, blocks: u64) -> f64 {
    nanos.sort_unstable();
    nanos[nanos.len() / 2] as f64 / blocks as f64 / 1000.0
}
