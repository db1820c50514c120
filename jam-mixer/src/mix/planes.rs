//! The decoded sources of one tick, laid out for mixing.
//!
//! Only sources that are not silent have a row, in ascending channel order. A *plane* holds one side of all of them:
//! what a mono listener hears of each ("mid"), and left and right. As long as every source is mono the three are the
//! same numbers and only one plane is written.

use super::{kernel, set::ChannelSet};
use jam_proto::{ChannelId, Layout};

/// Samples of the previous tick in front of each row when panning delays: the largest delay is 63.
pub(crate) const HISTORY: usize = 64;

/// Floats behind each row, so that the rows do not all fall into the same few sets of the first cache level.
const PADDING: usize = 16;

/// One side of the sources.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Mid,
    Left,
    Right,
}

/// Which planes this tick needs besides the one that always exists.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Need {
    /// Some listener is mono.
    pub mono: bool,
    /// Some listener is stereo.
    pub stereo: bool,
    /// Some listener mixes from the shared sums.
    pub sums: bool,
}

/// What a source contributes this tick.
pub(crate) struct SourceView<'a> {
    pub channel: ChannelId,
    pub layout: Layout,
    /// One tick, interleaved.
    pub pcm: &'a [i16],
    /// The last samples of the tick before, interleaved; empty unless panning delays.
    pub before: &'a [i16],
    /// Fully faded in: part of the shared sums.
    pub settled: bool,
}

#[derive(Default)]
struct Plane {
    rows: Vec<f32>,
    sum: Vec<f32>,
}

/// The sources of one tick; see the module.
pub(crate) struct Planes {
    samples: usize,
    lead: usize,
    rows: Vec<ChannelId>,
    row_of: [u8; ChannelId::COUNT_MAX],
    active: ChannelSet,
    settled: ChannelSet,
    /// Some source is stereo: the planes differ.
    split: bool,
    planes: [Plane; 3],
}

impl Planes {
    /// Planes for ticks of `samples`; with room for history if panning delays.
    pub(crate) fn new(samples: usize, delay_panning: bool) -> Self {
        Self {
            samples,
            lead: if delay_panning { HISTORY } else { 0 },
            rows: Vec::with_capacity(ChannelId::COUNT_MAX),
            row_of: [0; ChannelId::COUNT_MAX],
            active: ChannelSet::default(),
            settled: ChannelSet::default(),
            split: false,
            planes: Default::default(),
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let floats: usize = self.planes.iter().map(|p| p.rows.capacity() + p.sum.capacity()).sum();
        size_of::<Self>() + self.rows.capacity() * size_of::<ChannelId>() + floats * size_of::<f32>()
    }

    /// The most [`memory_bytes`](Self::memory_bytes) can be with so many sources.
    pub(crate) fn memory_bytes_max(samples: usize, delay_panning: bool, sources: usize) -> usize {
        let empty = Self::new(samples, delay_panning);
        // Rows are added one by one: a plane doubles when it is full.
        let rows = (sources.max(4) * empty.stride()).next_power_of_two();
        size_of::<Self>()
            + ChannelId::COUNT_MAX * size_of::<ChannelId>()
            + 3 * (2 * rows + 2 * samples) * size_of::<f32>()
    }

    /// Starts a tick without sources. `split` says that a stereo source will come.
    pub(crate) fn clear(&mut self, split: bool) {
        self.rows.clear();
        self.active = ChannelSet::default();
        self.settled = ChannelSet::default();
        self.split = split;
        self.planes.iter_mut().for_each(|plane| plane.rows.clear());
    }

    /// Adds the next source; channels ascend.
    pub(crate) fn push(&mut self, source: &SourceView<'_>, need: Need) {
        self.row_of[source.channel.index()] = self.rows.len() as u8;
        self.rows.push(source.channel);
        self.active.insert(source.channel);
        self.settled.set(source.channel, source.settled);
        if !self.split {
            self.push_side(Side::Mid, source);
            return;
        }
        if need.mono {
            self.push_side(Side::Mid, source);
        }
        if need.stereo {
            self.push_side(Side::Left, source);
            self.push_side(Side::Right, source);
        }
    }

    fn push_side(&mut self, side: Side, source: &SourceView<'_>) {
        let (lead, stride) = (self.lead, self.stride());
        let rows = &mut self.planes[side as usize].rows;
        let start = rows.len();
        rows.resize(start + stride, 0.0);
        let Some((history, current)) = rows.get_mut(start..).and_then(|row| row.split_at_mut_checked(lead))
        else {
            return;
        };
        if lead > 0 {
            // Right-aligned: the sample before the current tick is the last one of the history.
            let from = lead - (source.before.len() / source.layout.sides()).min(lead);
            convert(&mut history[from..], source.before, source.layout, side);
        }
        convert(current, source.pcm, source.layout, side);
    }

    /// Forms the sum of all settled sources at gain 1, per plane.
    ///
    /// Exact whatever the order: all terms are multiples of one half and the sum stays below 2^23.
    pub(crate) fn sum_up(&mut self, need: Need) {
        let (samples, lead, stride) = (self.samples, self.lead, self.stride());
        let sides: &[Side] = match (self.split, need.mono, need.stereo) {
            (false, ..) | (true, true, false) => &[Side::Mid],
            (true, false, _) => &[Side::Left, Side::Right],
            (true, true, true) => &[Side::Mid, Side::Left, Side::Right],
        };
        for &side in sides {
            let Plane { rows, sum } = &mut self.planes[side as usize];
            sum.clear();
            sum.resize(samples, 0.0);
            for (row, &channel) in rows.chunks_exact(stride).zip(&self.rows) {
                if self.settled.contains(channel) {
                    kernel::add(sum, row.get(lead..).unwrap_or_default());
                }
            }
        }
    }

    /// The sources with a row.
    pub(crate) fn active(&self) -> ChannelSet {
        self.active
    }

    /// The sources in the shared sums.
    pub(crate) fn settled(&self) -> ChannelSet {
        self.settled
    }

    /// The channels of the rows, ascending.
    pub(crate) fn channels(&self) -> &[ChannelId] {
        &self.rows
    }

    /// Samples per side and tick.
    pub(crate) fn samples(&self) -> usize {
        self.samples
    }

    /// Floats from row to row.
    pub(crate) fn stride(&self) -> usize {
        self.lead + self.samples + PADDING
    }

    /// Floats in front of the current tick in each row.
    pub(crate) fn lead(&self) -> usize {
        self.lead
    }

    /// Whether left and right differ.
    pub(crate) fn split(&self) -> bool {
        self.split
    }

    /// All rows of a side.
    pub(crate) fn rows(&self, side: Side) -> &[f32] {
        &self.planes[self.actual(side)].rows
    }

    /// The sum of the settled sources on a side.
    pub(crate) fn sum(&self, side: Side) -> &[f32] {
        &self.planes[self.actual(side)].sum
    }

    /// One side of `channel`, `delay` samples late (only with history). Empty for a source without a row.
    pub(crate) fn source(&self, side: Side, channel: ChannelId, delay: usize) -> &[f32] {
        if !self.active.contains(channel) {
            return &[];
        }
        let row = usize::from(self.row_of[channel.index()]);
        let start = row * self.stride() + self.lead - delay.min(self.lead);
        self.rows(side).get(start..start + self.samples).unwrap_or_default()
    }

    fn actual(&self, side: Side) -> usize {
        if self.split { side as usize } else { Side::Mid as usize }
    }
}

/// One side of interleaved samples as floats, unscaled. Mid is the mean of both sides, exact to one half.
fn convert(row: &mut [f32], pcm: &[i16], layout: Layout, side: Side) {
    let (pairs, _) = pcm.as_chunks::<2>();
    match (layout, side) {
        (Layout::Mono, _) => {
            for (out, &x) in row.iter_mut().zip(pcm) {
                *out = f32::from(x);
            }
        }
        (Layout::Stereo, Side::Mid) => {
            for (out, &[l, r]) in row.iter_mut().zip(pairs) {
                *out = (i32::from(l) + i32::from(r)) as f32 * 0.5;
            }
        }
        (Layout::Stereo, Side::Left) => {
            for (out, &[l, _]) in row.iter_mut().zip(pairs) {
                *out = f32::from(l);
            }
        }
        (Layout::Stereo, Side::Right) => {
            for (out, &[_, r]) in row.iter_mut().zip(pairs) {
                *out = f32::from(r);
            }
        }
    }
}
