//! Long silence without work.
//!
//! What the coders remember of a sound leaves their states within 1024 samples plus a few blocks of silence: after
//! that, a block of silence changes nothing that any later block depends on. (In the encoder two numbers go on
//! moving that only other modes read: a running mean for variable bit rate and a count of blocks without transient.
//! The decoder's state stays the same byte for byte.) The tests below hold the coders to that.

use jam_proto::Layout;

/// After so many silent blocks in a row a coder has settled; four times what was observed for 64-sample blocks.
const SETTLED: u8 = 128;

/// The first bytes of every block of silence after the header (spec 3.2); the rest is zero.
const BLOCK: [u8; 2] = [0xff, 0xfe];

/// How many silent blocks a coder has had in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Silence {
    blocks: u8,
}

impl Silence {
    /// Counts a block; whether the coder may skip it.
    pub(super) const fn settled(&mut self, silent: bool) -> bool {
        if !silent {
            self.blocks = 0;
            return false;
        }
        if self.blocks < SETTLED {
            self.blocks += 1;
            return false;
        }
        true
    }
}

/// Whether every sample is zero.
pub(super) fn is_silent(pcm: &[i16]) -> bool {
    // Without an early exit: sound is the usual case only for its first samples, and this form is vectorised.
    pcm.iter().fold(0, |any, sample| any | sample) == 0
}

const fn header(layout: Layout) -> u8 {
    match layout {
        Layout::Mono => 0x00,
        Layout::Stereo => 0x04,
    }
}

/// Writes the block that silence encodes to.
pub(super) fn write_block(block: &mut [u8], layout: Layout) {
    block.fill(0);
    for (byte, value) in block.iter_mut().zip([header(layout), BLOCK[0], BLOCK[1]]) {
        *byte = value;
    }
}

/// Whether this is the block that silence encodes to.
pub(super) fn is_block(block: &[u8], layout: Layout) -> bool {
    let Some((head, rest)) = block.split_first_chunk::<3>() else { return false };
    *head == [header(layout), BLOCK[0], BLOCK[1]] && rest.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use jam_proto::BlockCodec;
    use proptest::prelude::*;

    use super::super::ffi::{Flavour, Length};
    use super::super::{DecoderState, EncoderState, OpusCustom, Setting, bitrate};
    use super::*;
    use crate::codec::{Codec, Decode, Encode, EncoderSettings, ModeSettings, StreamSpec};

    /// A few sounds by number, among them silence.
    fn sound(kind: u8, number: usize, spec: StreamSpec) -> Vec<i16> {
        let mut noise = number as u32 | 1;
        (0..spec.pcm_len())
            .map(|n| {
                let time = (number * spec.pcm_len() + n) as f32;
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                match kind % 5 {
                    0 => 0,
                    1 => (9_000.0 * (time * 0.031).sin()) as i16,
                    2 => (noise >> 19) as i16,
                    3 => (4_000.0 * (time * 0.11).sin() + 3_000.0 * (time * 0.3).sin()) as i16,
                    _ => i16::from(n % 50 == 0) * 20_000,
                }
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// The coders with the short cut against the same states without it, over sound, a pause, and sound again.
        #[test]
        fn skipping_silence_changes_neither_blocks_nor_samples(
            opus64: bool, stereo: bool, block_bytes in 10..200_u16, complexity in 0..=10_u8, loss in 0..=40_u8,
            before in 0..5_u8, after in 0..5_u8, blocks_before in 0..300_usize, pause in 100..1_500_usize,
        ) {
            let codec = if opus64 { BlockCodec::Opus64 } else { BlockCodec::Opus };
            let layout = if stereo { Layout::Stereo } else { Layout::Mono };
            let spec = StreamSpec { codec, layout, block_bytes };
            let mode = ModeSettings { complexity, packet_loss_percent: loss };
            let settings = EncoderSettings { opus: mode, opus64: mode };

            let ours = OpusCustom::new(settings).unwrap();
            let (mut encoder, mut decoder) = (ours.encoder(spec).unwrap(), ours.decoder(spec).unwrap());
            let mut plain_encoder = EncoderState::new(Flavour::Tuned, Length::Block(codec), layout).unwrap();
            let mut plain_decoder = DecoderState::new(Flavour::Tuned, Length::Block(codec), layout).unwrap();
            for (setting, value) in [
                (Setting::VariableBitrate, 0),
                (Setting::Complexity, i32::from(complexity)),
                (Setting::PacketLossPercent, i32::from(loss)),
                (Setting::Bitrate, bitrate(spec)),
            ] {
                plain_encoder.set(setting, value).unwrap();
            }

            let mut block = vec![0; usize::from(block_bytes)];
            let mut plain_block = block.clone();
            let mut pcm = vec![0; spec.pcm_len()];
            let mut plain_pcm = pcm.clone();
            for number in 0..blocks_before + pause + 200 {
                let kind = match number {
                    n if n < blocks_before => before,
                    n if n < blocks_before + pause => 0,
                    _ => after,
                };
                let input = sound(kind, number, spec);
                encoder.encode(&input, &mut block).unwrap();
                plain_encoder.encode(&input, &mut plain_block).unwrap();
                prop_assert_eq!(&block, &plain_block, "block {}", number);
                decoder.decode(Some(&block), &mut pcm).unwrap();
                plain_decoder.decode(Some(&block), &mut plain_pcm).unwrap();
                prop_assert_eq!(&pcm, &plain_pcm, "samples of block {}", number);
            }
        }
    }

    #[test]
    fn a_lost_block_ends_the_short_cut() {
        let mut silence = Silence::default();
        let skipped = (0..200).filter(|_| silence.settled(true)).count();
        assert_eq!(skipped, 200 - usize::from(SETTLED));
        assert!(!silence.settled(false));
        assert!(!silence.settled(true));
    }

    #[test]
    fn the_block_of_silence_is_recognised_by_layout() {
        let mut block = [0xaa; 45];
        write_block(&mut block, Layout::Stereo);
        assert_eq!(block[..4], [0x04, 0xff, 0xfe, 0x00]);
        assert!(is_block(&block, Layout::Stereo));
        assert!(!is_block(&block, Layout::Mono));
        block[44] = 1;
        assert!(!is_block(&block, Layout::Stereo));
        assert!(!is_block(&block[..2], Layout::Stereo));
    }
}
