//! The layout of audio datagrams: blocks, each followed by its sequence byte if there is one (spec 3.4).

use crate::types::{AudioProps, BlockCodec, BlockFactor, Layout, Sequence};

/// The qualities that shipped clients offer (spec 3.3). Servers take other block sizes, too.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Quality {
    /// 12 to 47 bytes per block.
    Low,
    /// 22 to 71 bytes per block.
    Normal,
    /// 36 to 165 bytes per block, as since version 3.6.1.
    High,
    /// Uncompressed; only with servers that offer it (message 36).
    Raw,
}

impl Quality {
    /// Bytes of one block, without sequence byte.
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

    /// The audio format of a client at the start of a connection: one block per datagram, no sequence bytes.
    #[must_use]
    pub const fn props(self, codec: BlockCodec, layout: Layout) -> AudioProps {
        AudioProps {
            codec,
            layout,
            block_bytes: self.block_bytes(codec, layout),
            factor: BlockFactor::One,
            sequence: Sequence::Without,
        }
    }
}

/// One block of a datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Block<'a> {
    /// The coded (or raw) bytes, as many as [`AudioProps::block_bytes`].
    pub bytes: &'a [u8],
    /// The sequence byte, which counts blocks.
    pub sequence: Option<u8>,
}

/// A datagram whose size matches an audio format.
///
/// ```
/// use jam_proto::audio::AudioDatagram;
/// use jam_proto::{AudioProps, BlockCodec, BlockFactor, Layout, Sequence};
///
/// let props = AudioProps {
///     codec: BlockCodec::Opus64,
///     layout: Layout::Mono,
///     block_bytes: 12,
///     factor: BlockFactor::Two,
///     sequence: Sequence::With,
/// };
/// let datagram = [0xAA; 26];
/// let audio = AudioDatagram::parse(&props, &datagram).ok_or("wrong size")?;
/// assert_eq!(audio.blocks().map(|block| block.bytes.len()).collect::<Vec<_>>(), [12, 12]);
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AudioDatagram<'a> {
    payload: &'a [u8],
    wire_block_bytes: usize,
    sequence: Sequence,
}

impl<'a> AudioDatagram<'a> {
    /// Reads a datagram as audio of this format; `None` if its size differs, or if blocks would be empty.
    #[must_use]
    pub fn parse(props: &AudioProps, payload: &'a [u8]) -> Option<Self> {
        let fits = payload.len() == props.datagram_bytes() && props.block_bytes > 0;
        fits.then_some(Self { payload, wire_block_bytes: props.wire_block_bytes(), sequence: props.sequence })
    }

    /// The blocks, oldest first.
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = Block<'a>> + use<'a> {
        let sequence = self.sequence;
        self.payload.chunks_exact(self.wire_block_bytes).map(move |wire| match (sequence, wire) {
            (Sequence::With, [bytes @ .., sequence]) => Block { bytes, sequence: Some(*sequence) },
            _ => Block { bytes: wire, sequence: None },
        })
    }
}

/// Packs blocks into datagrams: numbers them and collects as many as a datagram holds.
///
/// The buffer is made once per format; packing allocates nothing.
///
/// ```
/// use jam_proto::audio::AudioPacker;
/// use jam_proto::{AudioProps, BlockCodec, BlockFactor, Layout, Sequence};
///
/// let props = AudioProps {
///     codec: BlockCodec::Opus,
///     layout: Layout::Mono,
///     block_bytes: 25,
///     factor: BlockFactor::Two,
///     sequence: Sequence::With,
/// };
/// let mut packer = AudioPacker::new(&props);
/// assert!(packer.push(&[1; 25]).is_none());
/// let datagram = packer.push(&[2; 25]).ok_or("two blocks make a datagram")?;
/// assert_eq!((datagram.len(), datagram[25], datagram[51]), (52, 0, 1));
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug)]
pub struct AudioPacker {
    buffer: Vec<u8>,
    filled: usize,
    wire_block_bytes: usize,
    sequence: Sequence,
    sequence_next: u8,
}

impl AudioPacker {
    /// A packer whose first block has sequence byte 0.
    #[must_use]
    pub fn new(props: &AudioProps) -> Self {
        Self {
            buffer: vec![0; props.datagram_bytes()],
            filled: 0,
            wire_block_bytes: props.wire_block_bytes(),
            sequence: props.sequence,
            sequence_next: 0,
        }
    }

    /// Changes the format: blocks collected so far are dropped, the sequence goes on.
    pub fn set_props(&mut self, props: &AudioProps) {
        *self = Self { sequence_next: self.sequence_next, ..Self::new(props) };
    }

    /// Adds a block; a complete datagram comes back, to be sent before the next block is added.
    ///
    /// A block that is too short is filled with zeros and one that is too long is cut: receivers accept only
    /// datagrams of exactly the announced size.
    pub fn push(&mut self, block: &[u8]) -> Option<&[u8]> {
        let sequence = self.sequence_next;
        self.sequence_next = sequence.wrapping_add(1);
        let end = self.filled.saturating_add(self.wire_block_bytes).min(self.buffer.len());
        let wire = self.buffer.get_mut(self.filled..end).unwrap_or_default();
        let room = match (self.sequence, wire) {
            (Sequence::With, [room @ .., byte]) => {
                *byte = sequence;
                room
            }
            (_, wire) => wire,
        };
        let bytes = block.len().min(room.len());
        let (taken, rest) = room.split_at_mut(bytes);
        taken.copy_from_slice(block.get(..bytes).unwrap_or_default());
        rest.fill(0);
        self.filled = end;
        if self.filled < self.buffer.len() {
            return None;
        }
        self.filled = 0;
        Some(&self.buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn props(factor: BlockFactor, sequence: Sequence) -> AudioProps {
        AudioProps { codec: BlockCodec::Opus64, layout: Layout::Mono, block_bytes: 12, factor, sequence }
    }

    #[test]
    fn what_is_packed_unpacks() {
        for factor in [BlockFactor::One, BlockFactor::Two, BlockFactor::Four] {
            for sequence in [Sequence::Without, Sequence::With] {
                let props = props(factor, sequence);
                let mut packer = AudioPacker::new(&props);
                let mut seen = Vec::new();
                for n in 0..=255_u8 {
                    let Some(datagram) = packer.push(&[n; 12]) else { continue };
                    let audio = AudioDatagram::parse(&props, datagram).unwrap();
                    for block in audio.blocks() {
                        assert_eq!(block.bytes.len(), 12);
                        assert_eq!(block.sequence, (sequence == Sequence::With).then_some(block.bytes[0]));
                        seen.push(block.bytes[0]);
                    }
                }
                assert_eq!(seen, (0..=255).collect::<Vec<_>>(), "{props:?}");
            }
        }
    }

    #[test]
    fn another_size_is_not_audio() {
        let props = props(BlockFactor::Two, Sequence::With);
        for bytes in [0, 1, 13, 25, 27, 52] {
            assert!(AudioDatagram::parse(&props, &vec![0; bytes]).is_none(), "{bytes} bytes");
        }
    }

    #[test]
    fn the_sequence_survives_a_change_of_format() {
        let mut packer = AudioPacker::new(&props(BlockFactor::Two, Sequence::Without));
        assert!(packer.push(&[1; 12]).is_none());
        packer.set_props(&props(BlockFactor::One, Sequence::With));
        let datagram = packer.push(&[2; 12]).unwrap();
        assert_eq!(datagram, [2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1]);
    }

    #[test]
    fn blocks_of_a_wrong_length_do_not_change_the_size() {
        let mut packer = AudioPacker::new(&props(BlockFactor::One, Sequence::Without));
        assert_eq!(packer.push(&[7; 40]), Some(&[7; 12][..]));
        assert_eq!(packer.push(&[8; 2]), Some(&[8, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..]));
    }
}
