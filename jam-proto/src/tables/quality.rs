//! The audio qualities people choose in a client, and the block sizes that shipped clients make of them (spec 3.3).

use std::fmt;

use crate::types::{AudioProps, BlockCodec, Layout};

/// An audio quality as shipped clients name it.
///
/// Servers must not depend on it: any block size may be announced. Tools and bots use it to sound like a client.
///
/// ```
/// use jam_proto::{BlockCodec, Layout, tables::Quality};
/// assert_eq!(Quality::Normal.block_bytes(BlockCodec::Opus, Layout::Stereo), 71);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Quality {
    /// The smallest blocks.
    Low,
    /// What clients start with.
    #[default]
    Normal,
    /// The largest coded blocks, in the sizes used since 3.6.1.
    High,
    /// Uncompressed; only the newest clients and servers.
    Raw,
}

impl Quality {
    /// All, from small to large.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Raw];

    /// Bytes of one coded block, without its sequence byte.
    #[must_use]
    pub const fn block_bytes(self, codec: BlockCodec, layout: Layout) -> u16 {
        match (self, codec, layout) {
            (Self::Low, BlockCodec::Opus64, Layout::Mono) => 12,
            (Self::Low, BlockCodec::Opus64, Layout::Stereo) => 24,
            (Self::Low, BlockCodec::Opus, Layout::Mono) => 25,
            (Self::Low, BlockCodec::Opus, Layout::Stereo) => 47,
            (Self::Normal, BlockCodec::Opus64, Layout::Mono) => 22,
            (Self::Normal, BlockCodec::Opus64, Layout::Stereo) => 35,
            (Self::Normal, BlockCodec::Opus, Layout::Mono) => 45,
            (Self::Normal, BlockCodec::Opus, Layout::Stereo) => 71,
            (Self::High, BlockCodec::Opus64, Layout::Mono) => 36,
            (Self::High, BlockCodec::Opus64, Layout::Stereo) => 73,
            (Self::High, BlockCodec::Opus, Layout::Mono) => 82,
            (Self::High, BlockCodec::Opus, Layout::Stereo) => 165,
            (Self::Raw, _, _) => AudioProps::raw_block_bytes(codec, layout),
        }
    }

    /// The word in command lines: `low`, `normal`, `high`, `raw`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Raw => "raw",
        }
    }

    /// The quality with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|quality| quality.name() == name)
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_shipped_clients() {
        let sizes = |codec, layout| Quality::ALL.map(|q| q.block_bytes(codec, layout));
        assert_eq!(sizes(BlockCodec::Opus64, Layout::Mono), [12, 22, 36, 128]);
        assert_eq!(sizes(BlockCodec::Opus64, Layout::Stereo), [24, 35, 73, 256]);
        assert_eq!(sizes(BlockCodec::Opus, Layout::Mono), [25, 45, 82, 256]);
        assert_eq!(sizes(BlockCodec::Opus, Layout::Stereo), [47, 71, 165, 512]);
    }

    #[test]
    fn names_are_read_back() {
        for quality in Quality::ALL {
            assert_eq!(Quality::from_name(quality.name()), Some(quality));
        }
        assert_eq!(Quality::from_name("max"), None);
    }
}
