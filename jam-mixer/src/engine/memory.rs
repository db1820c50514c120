//! How much an engine holds, and how much it can hold.

use super::batch::Batch;
use super::source::Source;
use super::{CHANNELS, Engine, EngineConfig, Slot};
use crate::codec::Codec;
use crate::jitter::JitterBuffer;
use crate::job::Job;
use crate::meter::Level;
use crate::mix::gains::GainMatrix;
use crate::mix::group::Group;
use crate::mix::groups::Groups;
use crate::mix::planes::Planes;
use jam_proto::ChannelId;
use std::any::Any;

/// Samples of the longest block, or of the longest tick, on both sides.
const PCM_MAX: usize = 2 * 128;
/// The longest coded block that is let in (spec 3.5); raw ones are shorter.
const BLOCK_BYTES_MAX: usize = 1275;
/// The longest datagram: four blocks, each with its sequence byte.
const DATAGRAM_BYTES_MAX: usize = 4 * (BLOCK_BYTES_MAX + 1);

impl<C: Codec> Engine<C> {
    /// Bytes held now, without the machine itself and without what the coders hold inside.
    ///
    /// There is at most one decoder for each open channel, and one encoder for each channel and each mix group.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let slots = self.slots.iter().flatten();
        let sources: usize = slots.filter_map(|slot| slot.source.as_deref()).map(source_bytes).sum();
        self.slots.capacity() * size_of::<Option<Slot<C>>>()
            + sources
            + self.gains.memory_bytes()
            + self.groups.memory_bytes()
            + self.planes.memory_bytes()
            + self.levels.capacity() * size_of::<(ChannelId, Level)>()
            + self.resized.capacity() * size_of::<(ChannelId, u8)>()
            + self.wire.capacity()
            + self.datagrams.capacity() * size_of::<(ChannelId, (u32, u32))>()
            + self.jobs.iter().chain(&self.spare_jobs).map(|job| job_bytes::<C>(&**job)).sum::<usize>()
            + (self.jobs.capacity() + self.spare_jobs.capacity()) * size_of::<Box<dyn Job>>()
            + self.main_mix.capacity() * size_of::<i16>()
            + self.main_sums.iter().map(|sum| sum.capacity() * size_of::<f32>()).sum::<usize>()
    }

    /// What [`memory_bytes`](Self::memory_bytes) never exceeds with `channels` open at most and `jobs` threads.
    #[must_use]
    pub fn memory_bytes_max(config: &EngineConfig, channels: usize, jobs: usize) -> usize {
        let samples = config.tick.samples();
        let source =
            size_of::<Source<C>>() + JitterBuffer::memory_bytes_max(BLOCK_BYTES_MAX) + 4 * 2 * PCM_MAX;
        // A group that is split exists beside its parts until the tick is over.
        let groups = channels + 1;
        // Tables grow in powers of two.
        let table = |entries: usize, bytes: usize| entries.next_power_of_two() * bytes;
        let datagrams = 2 * channels * (DATAGRAM_BYTES_MAX + size_of::<(ChannelId, (u32, u32))>());
        let fixed = CHANNELS
            * (size_of::<Option<Slot<C>>>()
                + size_of::<(ChannelId, u8)>() * 2
                + 2 * size_of::<(ChannelId, (u32, u32))>());
        fixed
            + channels * source
            + GainMatrix::memory_bytes_max(channels)
            + Groups::<C::Encoder>::memory_bytes_max(groups, BLOCK_BYTES_MAX, PCM_MAX)
            + Planes::memory_bytes_max(samples, config.delay_panning, channels)
            + 2 * datagrams
            + 2 * jobs.max(1)
                * (Batch::<C>::memory_bytes_max(samples)
                    + table(
                        channels.max(4),
                        size_of::<Box<Source<C>>>() + size_of::<Box<Group<C::Encoder>>>(),
                    )
                    + 4 * size_of::<Box<dyn Job>>())
            + 2 * (2 * samples * size_of::<i16>() + 2 * samples * size_of::<f32>())
    }
}

fn source_bytes<C: Codec>(source: &Source<C>) -> usize {
    size_of::<Source<C>>() + source.memory_bytes()
}

fn job_bytes<C: Codec>(job: &dyn Job) -> usize {
    let job: &dyn Any = job;
    job.downcast_ref().map_or(0, Batch::<C>::memory_bytes)
}
