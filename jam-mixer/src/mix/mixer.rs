//! From planes and weights to the samples of a mix.

use super::kernel::{self, LISTENERS, Lanes};
use super::planes::{Planes, Side};
use super::set::ChannelSet;
use super::weights::Weights;
use crate::pcm;
use jam_proto::{ChannelId, Layout};

/// How the sums of one mix are formed; chosen by the number of terms, never by who else is mixed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Path {
    /// Nothing is heard.
    #[default]
    Silent,
    /// The shared sum, minus what is wanted differently, plus that with its own weight.
    Shared,
    /// Only the sources that are heard, one by one.
    Sparse,
    /// All sources, several listeners at once.
    Dense,
}

impl Path {
    /// The cheapest path for `weights` among these sources.
    pub(crate) fn choose(weights: &Weights, active: ChannelSet, settled: ChannelSet) -> Self {
        let heard = active.and(weights.heard);
        if heard.is_empty() {
            return Self::Silent;
        }
        let different = different(weights, active, settled);
        // A source that is wanted differently is subtracted and, if it is heard, added again.
        let corrections = settled.and(different).len() + heard.and(different).len();
        // One row of the matrix kernel costs about a third of adding a source alone.
        let (sparse, dense) = (heard.len(), active.len() / 3 + 1);
        let late = !active.and(weights.late).is_empty();
        match corrections < sparse && (late || corrections < dense) {
            true => Self::Shared,
            false if late || sparse <= dense => Self::Sparse,
            false => Self::Dense,
        }
    }
}

/// Active sources that a mix does not take from the shared sum as they are.
fn different(weights: &Weights, active: ChannelSet, settled: ChannelSet) -> ChannelSet {
    active.without(weights.unit.and(settled))
}

/// One mix to be formed.
pub(crate) struct Mix<'a> {
    pub weights: &'a Weights,
    pub layout: Layout,
    /// One tick of interleaved samples, overwritten.
    pub pcm: &'a mut [i16],
}

/// Room for the sums of [`LISTENERS`] mixes; reused from tick to tick.
#[derive(Default)]
pub(crate) struct Scratch {
    left: [Vec<f32>; LISTENERS],
    right: [Vec<f32>; LISTENERS],
    weights: Vec<[Lanes; LISTENERS]>,
}

impl Scratch {
    fn resize(&mut self, samples: usize) {
        for sums in self.left.iter_mut().chain(&mut self.right) {
            sums.resize(samples, 0.0);
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let sums: usize = self.left.iter().chain(&self.right).map(Vec::capacity).sum();
        sums * size_of::<f32>() + self.weights.capacity() * size_of::<[Lanes; LISTENERS]>()
    }

    /// The most [`memory_bytes`](Self::memory_bytes) can be for ticks of `samples`.
    pub(crate) const fn memory_bytes_max(samples: usize) -> usize {
        let weights = ChannelId::COUNT_MAX.next_power_of_two() * size_of::<[Lanes; LISTENERS]>();
        2 * LISTENERS * samples * size_of::<f32>() + weights
    }
}

/// Forms one mix by itself on any path; gives the same samples as [`mix_dense`] where that applies.
pub(crate) fn mix_one(planes: &Planes, mix: &mut Mix<'_>, path: Path, scratch: &mut Scratch) {
    scratch.resize(planes.samples());
    let (Scratch { left: [left, ..], right: [right, ..], .. }, weights) = (scratch, mix.weights);
    match (path, mix.layout) {
        (Path::Silent, _) => mix.pcm.fill(0),
        (_, Layout::Mono) => {
            one_side(planes, weights, path, Side::Mid, left);
            pcm::write_mono(mix.pcm, left);
        }
        (_, Layout::Stereo) => {
            one_side(planes, weights, path, Side::Left, left);
            if sides_differ(planes, weights) {
                one_side(planes, weights, path, Side::Right, right);
                pcm::write_stereo(mix.pcm, left, right);
            } else {
                pcm::write_stereo(mix.pcm, left, left);
            }
        }
    }
}

fn sides_differ(planes: &Planes, weights: &Weights) -> bool {
    planes.split() || !planes.active().and(weights.sided).is_empty()
}

fn one_side(planes: &Planes, weights: &Weights, path: Path, side: Side, sums: &mut [f32]) {
    let terms = if path == Path::Shared {
        sums.copy_from_slice(planes.sum(side));
        let different = different(weights, planes.active(), planes.settled());
        // Integers so far, hence exact; the weighted terms follow in ascending order.
        for channel in different.and(planes.settled()).iter() {
            kernel::subtract(sums, planes.source(side, channel, 0));
        }
        different
    } else {
        sums.fill(0.0);
        planes.active()
    };
    for channel in terms.and(weights.heard).iter() {
        let (weight, delay) = weights.of(channel, side);
        kernel::add_scaled(sums, planes.source(side, channel, delay), weight);
    }
}

/// Forms up to [`LISTENERS`] mixes of one layout together.
pub(crate) fn mix_dense(planes: &Planes, mixes: &mut [Mix<'_>], scratch: &mut Scratch) {
    scratch.resize(planes.samples());
    let Scratch { left, right, weights } = scratch;
    let stereo = mixes.first().is_some_and(|mix| mix.layout == Layout::Stereo);
    let split = stereo && mixes.iter().any(|mix| sides_differ(planes, mix.weights));
    let side = if stereo { Side::Left } else { Side::Mid };
    gather(weights, planes.channels(), mixes, side);
    kernel::matrix(left, planes.rows(side), planes.stride(), planes.lead(), weights, planes.samples());
    if split {
        gather(weights, planes.channels(), mixes, Side::Right);
        kernel::matrix(
            right,
            planes.rows(Side::Right),
            planes.stride(),
            planes.lead(),
            weights,
            planes.samples(),
        );
    }
    for ((mix, left), right) in mixes.iter_mut().zip(&*left).zip(&*right) {
        if stereo {
            pcm::write_stereo(mix.pcm, left, if split { right } else { left });
        } else {
            pcm::write_mono(mix.pcm, left);
        }
    }
}

/// The weights in the order the kernel reads them; missing listeners get zero.
fn gather(out: &mut Vec<[Lanes; LISTENERS]>, channels: &[ChannelId], mixes: &[Mix<'_>], side: Side) {
    const SILENT: [f32; ChannelId::COUNT_MAX] = [0.0; ChannelId::COUNT_MAX];
    let factors: [_; LISTENERS] =
        std::array::from_fn(|l| mixes.get(l).map_or(&SILENT, |mix| mix.weights.factors(side)));
    out.clear();
    out.extend(channels.iter().map(|&channel| factors.map(|factors| [factors[channel.index()]; 4])));
}
