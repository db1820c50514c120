//! Settings of an engine and the small answers of its calls.

use super::TickLength;
use crate::jitter::JitterConfig;

/// Settings of an [`Engine`](super::Engine).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EngineConfig {
    /// The length of a tick. Default 128 samples.
    pub tick: TickLength,
    /// Pan stereo listeners by delay instead of level (spec 5.7). Default off.
    pub delay_panning: bool,
    /// Form the mix of everybody at unity gain each tick, for recorders and audiences. Default off.
    pub main_mix: bool,
    /// Settings of the jitter buffers.
    pub jitter: JitterConfig,
    /// Two groups merge when their encoders have written so many identical blocks in a row. Default 256 (0.34 to
    /// 0.68 s): measured encoders need 64 at most, decoders 143. Values below 4 count as 4: a datagram reaches back so
    /// far.
    pub merge_blocks: u16,
    /// Each waiting merge costs one encode per block. With more of them than this, groups whose mixes are digital
    /// silence merge after 4 blocks. Default 150: never.
    pub merges_waiting_max: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            tick: TickLength::default(),
            delay_panning: false,
            main_mix: false,
            jitter: JitterConfig::default(),
            merge_blocks: 256,
            merges_waiting_max: 150,
        }
    }
}

/// What a channel may do.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Role {
    /// Neither: not identified yet, or in the lobby. Its fade-in stands still and nothing is sent to it.
    #[default]
    Waiting,
    /// Hears the others but is not heard: muted by the host.
    Listener,
    /// Is heard, but nothing is sent to it.
    Player,
    /// Plays and listens.
    Musician,
}

impl Role {
    /// Whether the others hear it.
    #[must_use]
    pub const fn plays(self) -> bool {
        matches!(self, Self::Player | Self::Musician)
    }

    /// Whether audio is sent to it.
    #[must_use]
    pub const fn listens(self) -> bool {
        matches!(self, Self::Listener | Self::Musician)
    }
}

/// What became of a datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Push {
    /// At least one of its blocks is in the jitter buffer.
    Stored,
    /// All its blocks came too late, twice, or from far outside the expected sequence numbers.
    Unused,
    /// It does not have the size of the channel's format (spec 3.4); nothing was read. The peer may not have heard
    /// of a change yet.
    WrongSize,
    /// The channel has not announced its format.
    NoFormat,
    /// The channel is not open.
    Closed,
}
