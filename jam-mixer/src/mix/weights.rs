//! The factors of one mix: gains, pans and fades of its sources, multiplied out.

use super::{gains::GainMatrix, planes::Side, set::ChannelSet};
use jam_proto::{ChannelId, Layout, Pan};

/// What a source is multiplied with on its way into a mix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Term {
    pub left: f32,
    pub right: f32,
    /// Delay panning: samples the left side is late; negative for the right side.
    pub delay: i8,
}

impl Term {
    /// A source at `gain` (fader and fades multiplied) and `pan` (spec 5.7).
    pub(crate) fn new(gain: f32, pan: Pan, layout: Layout, delay_panning: bool) -> Self {
        match (layout, delay_panning) {
            (Layout::Mono, _) => Self { left: gain, right: gain, delay: 0 },
            (Layout::Stereo, true) => Self { left: gain, right: gain, delay: delay_samples(pan) },
            (Layout::Stereo, false) => {
                Self { left: gain * left_factor(pan), right: gain * right_factor(pan), delay: 0 }
            }
        }
    }
}

/// `2 * min(0.5, 1 - p)`: full level on both sides at the centre.
pub(crate) fn left_factor(pan: Pan) -> f32 {
    2.0 * (1.0 - pan.position()).min(0.5)
}

/// `2 * min(0.5, p)`.
pub(crate) fn right_factor(pan: Pan) -> f32 {
    2.0 * pan.position().min(0.5)
}

/// `round(126 * (p - 0.5))`, halves away from zero: -63 to 63 samples.
pub(crate) fn delay_samples(pan: Pan) -> i8 {
    (126.0 * (pan.position() - 0.5)).round() as i8
}

/// The terms of one mix for every possible source, and which of them are trivial.
pub(crate) struct Weights {
    left: [f32; ChannelId::COUNT_MAX],
    right: [f32; ChannelId::COUNT_MAX],
    delay: [i8; ChannelId::COUNT_MAX],
    /// Sources taken as they are: factor 1 on both sides, no delay.
    pub unit: ChannelSet,
    /// Sources that are heard at all.
    pub heard: ChannelSet,
    /// Sources whose sides differ in factor or delay.
    pub sided: ChannelSet,
    /// Sources one side of which is late.
    pub late: ChannelSet,
}

impl Weights {
    pub(crate) fn new() -> Self {
        Self {
            left: [0.0; ChannelId::COUNT_MAX],
            right: [0.0; ChannelId::COUNT_MAX],
            delay: [0; ChannelId::COUNT_MAX],
            unit: ChannelSet::default(),
            heard: ChannelSet::default(),
            sided: ChannelSet::default(),
            late: ChannelSet::default(),
        }
    }

    /// The factor and the delay of a source on a side.
    pub(crate) fn of(&self, source: ChannelId, side: Side) -> (f32, usize) {
        let late = self.delay[source.index()];
        match side {
            Side::Mid => (self.left[source.index()], 0),
            Side::Left => (self.left[source.index()], usize::from(late.max(0).unsigned_abs())),
            Side::Right => (self.right[source.index()], usize::from(late.min(0).unsigned_abs())),
        }
    }

    /// The factors of a side, by channel.
    pub(crate) fn factors(&self, side: Side) -> &[f32; ChannelId::COUNT_MAX] {
        match side {
            Side::Mid | Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    pub(crate) fn set(&mut self, source: ChannelId, term: Term) {
        self.left[source.index()] = term.left;
        self.right[source.index()] = term.right;
        self.delay[source.index()] = term.delay;
        self.unit.set(source, term == Term { left: 1.0, right: 1.0, delay: 0 });
        self.heard.set(source, term.left != 0.0 || term.right != 0.0);
        self.sided.set(source, term.left.to_bits() != term.right.to_bits() || term.delay != 0);
        self.late.set(source, term.delay != 0);
    }
}

/// The fade-in of every channel, 0 to 1 (spec 5.6).
pub(crate) type Fades = [f32; ChannelId::COUNT_MAX];

/// The rules that make a term out of faders and fades.
pub(crate) struct Rules<'a> {
    pub gains: &'a GainMatrix,
    pub fades: &'a Fades,
    pub delay_panning: bool,
}

impl Rules<'_> {
    /// How `listener` hears `source`: fader, both fades (its own signal only with the source's), pan.
    pub(crate) fn term(&self, listener: ChannelId, source: ChannelId, layout: Layout) -> Term {
        let own = if source == listener { 1.0 } else { self.fades[listener.index()] };
        let gain = self.gains.gain(listener, source).factor() * self.fades[source.index()] * own;
        Term::new(gain, self.gains.pan(listener, source), layout, self.delay_panning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panning_keeps_full_level_on_both_sides_at_the_centre() {
        for (position, left, right) in
            [(0.0, 1.0, 0.0), (0.25, 1.0, 0.5), (0.5, 1.0, 1.0), (0.75, 0.5, 1.0), (1.0, 0.0, 1.0)]
        {
            let pan = Pan::new((position * 32768.0) as u16);
            assert_eq!((left_factor(pan), right_factor(pan)), (left, right), "{position}");
        }
    }

    #[test]
    fn delay_panning_reaches_63_samples() {
        for (wire, delay) in
            [(0, -63), (0x4000, 0), (0x8000, 63), (0x4000 + 130, 0), (0x4000 + 131, 1), (0x4000 - 131, -1)]
        {
            assert_eq!(delay_samples(Pan::new(wire)), delay, "{wire}");
        }
    }
}
