//! The small values that every part of a jam shares: channel numbers, gains, pans, audio formats.

use std::fmt;

/// The slot of a connected musician on a server: 0 to 149 (spec 2.2, message 24).
///
/// Shipped clients index arrays of 150 with it, so a larger number cannot be built.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ChannelId(u8);

impl ChannelId {
    /// How many slots a server can have at most.
    pub const COUNT_MAX: usize = 150;

    /// A slot number; `None` from 150 on.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if (number as usize) < Self::COUNT_MAX { Some(Self(number)) } else { None }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The number as an index into per-channel tables.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How loud a listener wants a source: the 16-bit number of the wire, 32768 is 1.0 (message 13).
///
/// Kept as the wire's number so that two musicians' mixes can be compared exactly.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Gain(pub u16);

impl Gain {
    /// Silence.
    pub const ZERO: Self = Self(0);
    /// The level as sent: 1.0.
    pub const UNITY: Self = Self(0x8000);

    /// The linear factor, 0.0 to 1.99997.
    #[must_use]
    pub fn factor(self) -> f32 {
        f32::from(self.0) / 32768.0
    }
}

impl Default for Gain {
    fn default() -> Self {
        Self::UNITY
    }
}

/// Where a stereo listener wants a source: 0 is left, 16384 centre, 32768 right (message 30).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Pan(u16);

impl Pan {
    /// Fully left.
    pub const LEFT: Self = Self(0);
    /// Both sides at full level.
    pub const CENTRE: Self = Self(0x4000);
    /// Fully right.
    pub const RIGHT: Self = Self(0x8000);

    /// A pan from the wire's number; what lies beyond the right edge is clamped to it.
    #[must_use]
    pub const fn new(wire: u16) -> Self {
        if wire > Self::RIGHT.0 { Self::RIGHT } else { Self(wire) }
    }

    /// The number on the wire, 0 to 32768.
    #[must_use]
    pub const fn wire(self) -> u16 {
        self.0
    }

    /// The position from 0.0 (left) to 1.0 (right).
    #[must_use]
    pub fn position(self) -> f32 {
        f32::from(self.0) / 32768.0
    }
}

impl Default for Pan {
    fn default() -> Self {
        Self::CENTRE
    }
}

/// Mono or stereo.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Layout {
    /// One side.
    Mono,
    /// Two sides, interleaved left first.
    Stereo,
}

impl Layout {
    /// 1 or 2.
    #[must_use]
    pub const fn sides(self) -> usize {
        match self {
            Self::Mono => 1,
            Self::Stereo => 2,
        }
    }
}

/// The block length of a coded stream (message 20, codec field).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum BlockCodec {
    /// 128 samples, 2.667 ms: codec number 2.
    Opus,
    /// 64 samples, 1.333 ms: codec number 3.
    Opus64,
}

impl BlockCodec {
    /// Samples per block and side, at 48 kHz.
    #[must_use]
    pub const fn samples(self) -> usize {
        match self {
            Self::Opus => 128,
            Self::Opus64 => 64,
        }
    }
}

/// How many blocks travel in one datagram (message 20, block size factor).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum BlockFactor {
    /// One block per datagram.
    One,
    /// Two blocks per datagram.
    Two,
    /// Four blocks per datagram.
    Four,
}

impl BlockFactor {
    /// 1, 2 or 4.
    #[must_use]
    pub const fn blocks(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Four => 4,
        }
    }
}

/// Whether each block is followed by its sequence byte (message 20, flags).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Sequence {
    /// Blocks only: clients before 3.6 and the first moments of a connection.
    Without,
    /// One byte per block that counts blocks and wraps.
    With,
}

/// The audio format of one connection, both directions (message 20, spec 3.3 and 3.4).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct AudioProps {
    /// The block length.
    pub codec: BlockCodec,
    /// Mono or stereo.
    pub layout: Layout,
    /// Bytes of one coded block, without its sequence byte.
    pub block_bytes: u16,
    /// Blocks per datagram.
    pub factor: BlockFactor,
    /// Whether blocks carry a sequence byte.
    pub sequence: Sequence,
}

impl AudioProps {
    /// Bytes of one raw block: 16-bit samples, interleaved (spec 3.5).
    #[must_use]
    pub const fn raw_block_bytes(codec: BlockCodec, layout: Layout) -> u16 {
        (2 * codec.samples() * layout.sides()) as u16
    }

    /// Whether the coded size says "uncompressed": there is no codec number for it (spec 3.5).
    #[must_use]
    pub const fn is_raw_size(&self) -> bool {
        self.block_bytes == Self::raw_block_bytes(self.codec, self.layout)
    }

    /// Bytes of one block on the wire, with its sequence byte if there is one: the "base network size".
    #[must_use]
    pub const fn wire_block_bytes(&self) -> usize {
        self.block_bytes as usize + matches!(self.sequence, Sequence::With) as usize
    }

    /// Bytes of one audio datagram; one of any other size is not audio of this format.
    #[must_use]
    pub const fn datagram_bytes(&self) -> usize {
        self.wire_block_bytes() * self.factor.blocks()
    }

    /// Datagrams per second in each direction, times 1000.
    #[must_use]
    pub const fn datagrams_per_1000_s(&self) -> u32 {
        (48_000_000 / (self.codec.samples() * self.factor.blocks())) as u32
    }
}

/// A jitter buffer size as message 10 carries it: 1 to 20 blocks, or 21 for automatic.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum JitterSize {
    /// The server chooses.
    Auto,
    /// So many blocks, 1 to 20.
    Blocks(u8),
}

impl JitterSize {
    /// Reads the wire's number; `None` for 0 and from 22 on.
    #[must_use]
    pub const fn from_wire(blocks: u16) -> Option<Self> {
        match blocks {
            1..=20 => Some(Self::Blocks(blocks as u8)),
            21 => Some(Self::Auto),
            _ => None,
        }
    }

    /// The wire's number.
    #[must_use]
    pub const fn wire(self) -> u16 {
        match self {
            Self::Auto => 21,
            Self::Blocks(n) => n as u16,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channel_numbers_end_where_shipped_clients_arrays_end() {
        assert_eq!(ChannelId::new(149).map(ChannelId::number), Some(149));
        assert_eq!(ChannelId::new(150), None);
    }

    #[test]
    fn a_pan_beyond_the_right_edge_is_clamped() {
        assert_eq!(Pan::new(65_535), Pan::RIGHT);
        assert!((Pan::CENTRE.position() - 0.5).abs() < f32::EPSILON);
    }

    #[test]
    fn jitter_sizes_follow_the_wire() {
        assert_eq!(JitterSize::from_wire(0), None);
        assert_eq!(JitterSize::from_wire(20), Some(JitterSize::Blocks(20)));
        assert_eq!(JitterSize::from_wire(21), Some(JitterSize::Auto));
        assert_eq!(JitterSize::from_wire(22), None);
    }

    #[test]
    fn a_datagram_holds_factor_blocks_and_their_sequence_bytes() {
        let props = AudioProps {
            codec: BlockCodec::Opus,
            layout: Layout::Stereo,
            block_bytes: 71,
            factor: BlockFactor::Two,
            sequence: Sequence::With,
        };
        assert_eq!(props.datagram_bytes(), 144);
        assert_eq!(AudioProps::raw_block_bytes(BlockCodec::Opus, Layout::Stereo), 512);
    }
}
