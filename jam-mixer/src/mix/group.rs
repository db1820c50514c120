//! One mix, its encoder, and the last blocks that came out of it.

use super::mixer::{Mix, Path};
use super::set::ChannelSet;
use super::weights::Weights;
use crate::codec::{Encode, StreamSpec};
use crate::engine::TickPhase;
use crate::pcm;

/// Blocks kept for datagrams: the largest block size factor.
pub(crate) const BLOCKS_KEPT: u64 = 4;

/// Datagram formats of a tick: three factors, with and without sequence byte, two datagrams of each at most.
pub(crate) const FORMATS: usize = 3 * 2 * 2;

/// The place of a group in its table; a group is always smaller than the room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct GroupId(pub u8);

/// A group waits until its encoder writes what the other one writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Merging {
    pub into: GroupId,
    /// Consecutive identical blocks so far.
    pub identical: u16,
}

/// A datagram put together in this tick.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Packed {
    /// Where it starts and ends in the engine's bytes; empty if there is none.
    pub place: (u32, u32),
    /// The number of the block that has sequence byte 0 in it.
    pub sequence_base: u8,
}

impl Packed {
    /// Whether a listener that counts from `sequence_base` can get it too.
    pub(crate) const fn serves(&self, sequence_base: u8) -> bool {
        self.place.1 > self.place.0 && self.sequence_base == sequence_base
    }
}

/// Listeners with equal rows and the same coded stream: one mix, one encode.
pub(crate) struct Group<E> {
    pub id: GroupId,
    pub spec: StreamSpec,
    pub members: ChannelSet,
    pub weights: Weights,
    /// The weights do not fit the faders any more.
    pub stale: bool,
    pub path: Path,
    /// When it came into being; of two equal groups the older one stays.
    pub born: u64,
    /// The group it was split from and the tick of the split.
    pub parent: Option<(u64, u64)>,
    pub merging: Option<Merging>,
    /// Its only listener is still fading in: nobody else has this mix.
    pub alone: bool,
    /// Should look for equal groups.
    pub seeking: bool,
    /// This tick's mix is digital silence.
    pub silent: bool,
    pub encode_errors: u32,
    /// This tick's newest datagram of each format.
    pub datagrams: [Packed; FORMATS],
    encoder: E,
    pcm: Vec<i16>,
    blocks: Vec<u8>,
}

impl<E: Encode> Group<E> {
    pub(crate) fn new(id: GroupId, spec: StreamSpec, born: u64, encoder: E, tick_samples: usize) -> Self {
        let samples = spec.codec.samples().max(tick_samples);
        Self {
            id,
            spec,
            members: ChannelSet::default(),
            weights: Weights::new(),
            stale: true,
            path: Path::Silent,
            born,
            parent: None,
            merging: None,
            alone: false,
            seeking: true,
            silent: true,
            encode_errors: 0,
            datagrams: [Packed::default(); FORMATS],
            encoder,
            pcm: vec![0; samples * spec.layout.sides()],
            blocks: vec![0; usize::from(spec.block_bytes) * BLOCKS_KEPT as usize],
        }
    }

    /// A group that continues bit for bit where this one stands, without members.
    pub(crate) fn fork(&self, id: GroupId, born: u64, tick: u64) -> Self {
        Self {
            id,
            spec: self.spec,
            members: ChannelSet::default(),
            weights: Weights::new(),
            stale: true,
            path: Path::Silent,
            born,
            parent: Some((self.born, tick)),
            merging: None,
            alone: false,
            seeking: true,
            silent: self.silent,
            encode_errors: 0,
            datagrams: [Packed::default(); FORMATS],
            encoder: self.encoder.fork(),
            pcm: self.pcm.clone(),
            blocks: self.blocks.clone(),
        }
    }

    /// Bytes held, without what the encoder holds inside.
    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.pcm.capacity() * size_of::<i16>() + self.blocks.capacity()
    }

    /// The mix this group wants this tick, and where it goes.
    pub(crate) fn mix(&mut self, phase: &TickPhase) -> Mix<'_> {
        let sides = self.spec.layout.sides();
        let start = phase.mix_offset(self.spec.codec) * sides;
        let pcm = self.pcm.get_mut(start..start + phase.samples * sides).unwrap_or_default();
        Mix { weights: &self.weights, layout: self.spec.layout, pcm }
    }

    /// Codes what is complete after this tick's mix.
    pub(crate) fn encode(&mut self, phase: &TickPhase) {
        let sides = self.spec.layout.sides();
        let start = phase.mix_offset(self.spec.codec) * sides;
        self.silent = self.path == Path::Silent
            || self.pcm.get(start..start + phase.samples * sides).is_none_or(|mix| pcm::peak(mix) == 0);
        let (block_samples, block_bytes) = (self.spec.pcm_len(), usize::from(self.spec.block_bytes));
        for (index, pcm) in phase.blocks(self.spec.codec).zip(self.pcm.chunks_exact(block_samples)) {
            let at = (index % BLOCKS_KEPT) as usize * block_bytes;
            let Some(block) = self.blocks.get_mut(at..at + block_bytes) else { return };
            if self.encoder.encode(pcm, block).is_err() {
                // Cannot happen with a codec that keeps its word; the listener's decoder then conceals.
                block.fill(0);
                self.encode_errors += 1;
            }
        }
    }

    /// A block among the last four.
    pub(crate) fn block(&self, index: u64) -> &[u8] {
        let block_bytes = usize::from(self.spec.block_bytes);
        let at = (index % BLOCKS_KEPT) as usize * block_bytes;
        self.blocks.get(at..at + block_bytes).unwrap_or_default()
    }
}
