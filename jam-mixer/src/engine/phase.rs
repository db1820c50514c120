//! Where a tick stands in the blocks of both codec modes.

use jam_proto::BlockCodec;
use std::ops::Range;

/// The length of a tick (spec 5.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TickLength {
    /// 64 samples, 1.333 ms: fast update.
    Samples64,
    /// 128 samples, 2.667 ms.
    #[default]
    Samples128,
}

impl TickLength {
    /// Samples per side.
    #[must_use]
    pub const fn samples(self) -> usize {
        match self {
            Self::Samples64 => 64,
            Self::Samples128 => 128,
        }
    }
}

/// One tick among the others. Everything follows from its number, so it is the same for all channels: listeners of
/// one mode are always encoded in the same ticks and count their blocks together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TickPhase {
    /// The number of the tick since the start.
    pub number: u64,
    /// Samples of a tick.
    pub samples: usize,
}

impl TickPhase {
    /// The blocks of a mode that become complete in this tick.
    pub(crate) fn blocks(&self, codec: BlockCodec) -> Range<u64> {
        let block = codec.samples() as u64;
        let (start, end) = (self.number * self.samples as u64, (self.number + 1) * self.samples as u64);
        start / block..end / block
    }

    /// Blocks of a mode that a source must decode for this tick. A 128-sample block on a 64-sample server lasts for
    /// two ticks; it is decoded in the even one, encoding falls into the odd one.
    pub(crate) fn blocks_due(&self, codec: BlockCodec) -> usize {
        match (codec.samples(), self.samples) {
            (64, 128) => 2,
            (128, 64) => usize::from(self.is_even()),
            _ => 1,
        }
    }

    /// The same for this tick and those after it, `ticks` in all.
    pub(crate) fn blocks_due_within(&self, codec: BlockCodec, ticks: u32) -> u32 {
        match (codec.samples(), self.samples) {
            (64, 128) => ticks.saturating_mul(2),
            (128, 64) => ticks / 2 + ticks % 2 * u32::from(self.is_even()),
            _ => ticks,
        }
    }

    /// Where in a decoded buffer this tick begins, in samples.
    pub(crate) fn pcm_offset(&self, codec: BlockCodec) -> usize {
        if codec.samples() > self.samples && !self.is_even() { self.samples } else { 0 }
    }

    /// Where in a buffer to encode the mix of this tick goes, in samples.
    pub(crate) fn mix_offset(&self, codec: BlockCodec) -> usize {
        self.pcm_offset(codec)
    }

    fn is_even(&self) -> bool {
        self.number.is_multiple_of(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_due_within_some_ticks_are_those_of_each() {
        for samples in [64, 128] {
            for codec in [BlockCodec::Opus, BlockCodec::Opus64] {
                for first in 0..4 {
                    for ticks in 0..9 {
                        let phase = |number| TickPhase { number, samples };
                        let each =
                            (first..first + u64::from(ticks)).map(|n| phase(n).blocks_due(codec) as u32);
                        assert_eq!(phase(first).blocks_due_within(codec, ticks), each.sum::<u32>());
                    }
                }
            }
        }
    }

    #[test]
    fn blocks_follow_each_other_without_gap_in_every_combination() {
        for samples in [64, 128] {
            for codec in [BlockCodec::Opus, BlockCodec::Opus64] {
                let mut next = 0;
                let mut decoded = 0;
                for number in 0..16 {
                    let phase = TickPhase { number, samples };
                    let blocks = phase.blocks(codec);
                    assert_eq!(blocks.start, next);
                    next = blocks.end;
                    decoded += phase.blocks_due(codec);
                    // What was decoded always covers the tick.
                    assert!(decoded * codec.samples() >= (number as usize + 1) * samples);
                    assert!(phase.pcm_offset(codec) + samples <= codec.samples().max(samples));
                }
                assert_eq!(next, 16 * samples as u64 / codec.samples() as u64);
            }
        }
    }
}
