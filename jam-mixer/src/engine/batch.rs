//! A tick's work, cut into one job per thread.

use super::TickPhase;
use super::source::Source;
use crate::codec::Codec;
use crate::job::Job;
use crate::mix::group::Group;
use crate::mix::kernel::LISTENERS;
use crate::mix::mixer::{self, Path, Scratch};
use crate::mix::planes::Planes;
use jam_proto::Layout;
use smallvec::SmallVec;
use std::sync::Arc;

/// The share of one thread: sources to decode, or groups to mix and encode.
pub(crate) struct Batch<C: Codec> {
    pub phase: TickPhase,
    pub sources: Vec<Box<Source<C>>>,
    pub groups: Vec<Box<Group<C::Encoder>>>,
    /// What the groups are mixed from; shared with the other threads while mixing.
    pub planes: Option<Arc<Planes>>,
    scratch: Scratch,
}

impl<C: Codec> Batch<C> {
    pub(crate) fn new() -> Self {
        let phase = TickPhase { number: 0, samples: 0 };
        Self { phase, sources: Vec::new(), groups: Vec::new(), planes: None, scratch: Scratch::default() }
    }

    /// Bytes held between ticks, when sources and groups are at home.
    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.sources.capacity() * size_of::<Box<Source<C>>>()
            + self.groups.capacity() * size_of::<Box<Group<C::Encoder>>>()
            + self.scratch.memory_bytes()
    }

    /// The same at most, for ticks of `samples`, without the lists of sources and groups.
    pub(crate) fn memory_bytes_max(samples: usize) -> usize {
        size_of::<Self>() + Scratch::memory_bytes_max(samples)
    }
}

impl<C: Codec> Job for Batch<C> {
    fn run(&mut self) {
        for source in &mut self.sources {
            source.decode(&self.phase);
        }
        // Given up here, so that the last thread to finish leaves the planes with one owner.
        let Some(planes) = self.planes.take() else { return };
        for layout in [Layout::Mono, Layout::Stereo] {
            mix_together(&mut self.groups, layout, &self.phase, &planes, &mut self.scratch);
        }
        for group in &mut self.groups {
            if group.path != Path::Dense {
                let path = group.path;
                mixer::mix_one(&planes, &mut group.mix(&self.phase), path, &mut self.scratch);
            }
            group.encode(&self.phase);
        }
    }
}

/// Mixes the groups that listen to most sources, several at a time.
fn mix_together<E: crate::codec::Encode>(
    groups: &mut [Box<Group<E>>],
    layout: Layout,
    phase: &TickPhase,
    planes: &Planes,
    scratch: &mut Scratch,
) {
    let mut mixes = groups
        .iter_mut()
        .filter(|group| group.path == Path::Dense && group.spec.layout == layout)
        .map(|group| group.mix(phase));
    loop {
        let mut together: SmallVec<[_; LISTENERS]> = mixes.by_ref().take(LISTENERS).collect();
        if together.is_empty() {
            return;
        }
        mixer::mix_dense(planes, &mut together, scratch);
    }
}
