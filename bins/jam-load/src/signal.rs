//! What the musicians play: tones that loop without a seam, and the probe's sweeps.

use std::f64::consts::TAU;

use jam_mixer::codec::{Codec, CodecError, Encode, JamCodec, StreamSpec};
use jam_proto::AudioProps;

/// Blocks of one loop: 0.4 s at 128 samples, 0.2 s at 64. A multiple of four, so that datagrams divide it.
const LOOP_BLOCKS: usize = 152;
/// Length of the probe's sweep in samples.
const SWEEP: usize = 960;

/// Coded blocks, played round and round.
#[derive(Clone, Debug)]
pub(crate) struct Loop {
    blocks: Vec<Vec<u8>>,
}

impl Loop {
    /// A steady tone. `voice` chooses the pitch; `peak` is its amplitude, 0 to 1.
    pub(crate) fn tone(props: &AudioProps, voice: usize, peak: f64) -> Result<Self, CodecError> {
        let (samples, periods) = (Self::tone_samples(props), Self::tone_periods(props, voice));
        let wave = |n: usize| peak * (TAU * (periods * n) as f64 / samples as f64).sin();
        let pcm: Vec<f64> = (0..samples).map(wave).collect();
        Self::encode(props, &pcm)
    }

    /// Samples after which a tone begins anew.
    pub(crate) fn tone_samples(props: &AudioProps) -> usize {
        LOOP_BLOCKS * props.codec.samples()
    }

    /// Periods of a voice's tone in that time: a whole number, so that the loop's end meets its beginning. Voices are
    /// 7 Hz apart.
    pub(crate) fn tone_periods(props: &AudioProps, voice: usize) -> usize {
        Self::tone_samples(props) * (200 + 7 * voice) / 48_000
    }

    /// Silence with one sweep that begins at [`sweep_start`].
    pub(crate) fn sweep(props: &AudioProps, blocks: usize) -> Result<Self, CodecError> {
        let mut pcm = vec![0.0; blocks.next_multiple_of(4) * props.codec.samples()];
        for (n, s) in sweep().into_iter().enumerate() {
            pcm[sweep_start(props) + n] = 0.5 * s;
        }
        Self::encode(props, &pcm)
    }

    /// Encodes the signal twice in a row and keeps the second round, in which the encoder already knows the end.
    fn encode(props: &AudioProps, pcm: &[f64]) -> Result<Self, CodecError> {
        let spec = StreamSpec { codec: props.codec, layout: props.layout, block_bytes: props.block_bytes };
        let mut encoder = JamCodec::default().encoder(spec)?;
        let pcm: Vec<i16> = pcm
            .iter()
            .flat_map(|s| std::iter::repeat_n((s * 32_767.0).round() as i16, props.layout.sides()))
            .collect();
        let mut blocks = Vec::new();
        for round in 0..2 {
            for block in pcm.chunks_exact(spec.pcm_len()) {
                let mut coded = vec![0; usize::from(props.block_bytes)];
                encoder.encode(block, &mut coded)?;
                if round == 1 {
                    blocks.push(coded);
                }
            }
        }
        Ok(Self { blocks })
    }

    /// The block at a position that grows for ever.
    pub(crate) fn block(&self, position: u64) -> &[u8] {
        &self.blocks[(position % self.blocks.len() as u64) as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.blocks.len()
    }
}

/// The first sample of the sweep within the probe's loop: in the middle of a block, so that an error of a few samples
/// does not change the block.
pub(crate) fn sweep_start(props: &AudioProps) -> usize {
    4 * props.codec.samples() + props.codec.samples() / 2
}

/// 20 ms from 300 Hz to 3 kHz, faded in and out: what also the smallest blocks carry.
pub(crate) fn sweep() -> Vec<f64> {
    (0..SWEEP)
        .map(|n| {
            let t = n as f64 / 48_000.0;
            let length = SWEEP as f64 / 48_000.0;
            let phase = 300.0 * t + (3_000.0 - 300.0) * t * t / (2.0 * length);
            let window = 0.5 - 0.5 * (TAU * n as f64 / SWEEP as f64).cos();
            window * (TAU * phase).sin()
        })
        .collect()
}

/// Where in `pcm` the sweep begins, and how well it matches there (1 is perfect). `None` if `pcm` is too short.
pub(crate) fn find_sweep(pcm: &[f64]) -> Option<(usize, f64)> {
    let sweep = sweep();
    let energy: f64 = sweep.iter().map(|s| s * s).sum();
    pcm.windows(SWEEP)
        .enumerate()
        .map(|(at, window)| {
            let product: f64 = window.iter().zip(&sweep).map(|(a, b)| a * b).sum();
            let power: f64 = window.iter().map(|a| a * a).sum();
            let match_ = if power > 1e-6 { product / (power * energy).sqrt() } else { 0.0 };
            (at, match_)
        })
        .max_by(|a, b| a.1.total_cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use jam_mixer::codec::Decode as _;
    use jam_proto::audio::Quality;
    use jam_proto::{BlockCodec, BlockFactor, Layout, Sequence};

    use super::*;

    fn props(codec: BlockCodec, layout: Layout, quality: Quality) -> AudioProps {
        let block_bytes = quality.block_bytes(codec, layout);
        AudioProps { codec, layout, block_bytes, factor: BlockFactor::One, sequence: Sequence::With }
    }

    fn decode(props: &AudioProps, coded: &Loop) -> Vec<f64> {
        let spec = StreamSpec { codec: props.codec, layout: props.layout, block_bytes: props.block_bytes };
        let mut decoder = JamCodec::default().decoder(spec).unwrap();
        let mut out = Vec::new();
        let mut pcm = vec![0; spec.pcm_len()];
        for position in 0..coded.len() as u64 {
            decoder.decode(Some(coded.block(position)), &mut pcm).unwrap();
            out.extend(pcm.iter().step_by(props.layout.sides()).map(|s| f64::from(*s) / 32_768.0));
        }
        out
    }

    #[test]
    fn a_tone_loops_with_its_amplitude() {
        for (codec, quality) in [(BlockCodec::Opus, Quality::Normal), (BlockCodec::Opus64, Quality::Raw)] {
            let props = props(codec, Layout::Stereo, quality);
            let pcm = decode(&props, &Loop::tone(&props, 3, 0.25).unwrap());
            let settled = &pcm[pcm.len() / 2..];
            let rms = (settled.iter().map(|s| s * s).sum::<f64>() / settled.len() as f64).sqrt();
            assert!((rms / (0.25 / 2f64.sqrt()) - 1.0).abs() < 0.05, "{codec:?} {rms}");
        }
    }

    #[test]
    fn the_sweep_is_found_where_the_codec_puts_it() {
        // Coding delay: none for raw, one block for Opus Custom (spec 3.2).
        for (codec, quality, delay) in [
            (BlockCodec::Opus, Quality::Raw, 0),
            (BlockCodec::Opus, Quality::Low, 128),
            (BlockCodec::Opus, Quality::High, 128),
            (BlockCodec::Opus64, Quality::Low, 64),
            (BlockCodec::Opus64, Quality::High, 64),
        ] {
            for layout in [Layout::Mono, Layout::Stereo] {
                let props = props(codec, layout, quality);
                let pcm = decode(&props, &Loop::sweep(&props, 40).unwrap());
                let (at, match_) = find_sweep(&pcm).unwrap();
                assert!(at.abs_diff(sweep_start(&props) + delay) <= 1, "{codec:?} {quality:?} {at}");
                assert!(match_ > 0.8, "{codec:?} {quality:?} {match_}");
            }
        }
    }
}
