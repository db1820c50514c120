//! Who wants whom how loud and where: the gain and pan matrix with a fingerprint per row.

use jam_proto::{ChannelId, Gain, Layout, Pan};

const CHANNELS: usize = ChannelId::COUNT_MAX;

/// One listener's faders.
#[derive(Clone, Copy)]
struct Row {
    gains: [Gain; CHANNELS],
    pans: [Pan; CHANNELS],
    /// Xor over the sources of a hash of (source, value); 0 for a row that nobody touched.
    gain_print: u64,
    pan_print: u64,
}

impl Row {
    const DEFAULT: Self =
        Self { gains: [Gain::UNITY; CHANNELS], pans: [Pan::CENTRE; CHANNELS], gain_print: 0, pan_print: 0 };
}

/// Gains and pans of every listener for every source, 90 KB for the largest room.
///
/// Slots nobody occupies hold unity and centre, so comparing whole rows compares the connected sources.
pub(crate) struct GainMatrix {
    /// Made when a listener moves a fader for the first time; until then [`Row::DEFAULT`].
    rows: Vec<Option<Box<Row>>>,
}

impl GainMatrix {
    pub(crate) fn new() -> Self {
        Self { rows: vec![None; CHANNELS] }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let rows = self.rows.iter().flatten().count();
        self.rows.capacity() * size_of::<Option<Box<Row>>>() + rows * size_of::<Row>()
    }

    /// The most [`memory_bytes`](Self::memory_bytes) can be with so many listeners.
    pub(crate) const fn memory_bytes_max(listeners: usize) -> usize {
        CHANNELS * size_of::<Option<Box<Row>>>() + listeners * size_of::<Row>()
    }

    fn row(&self, listener: ChannelId) -> &Row {
        self.rows[listener.index()].as_deref().unwrap_or(&Row::DEFAULT)
    }

    fn row_mut(&mut self, listener: ChannelId) -> &mut Row {
        self.rows[listener.index()].get_or_insert_with(|| Box::new(Row::DEFAULT))
    }

    pub(crate) fn gain(&self, listener: ChannelId, source: ChannelId) -> Gain {
        self.row(listener).gains[source.index()]
    }

    pub(crate) fn pan(&self, listener: ChannelId, source: ChannelId) -> Pan {
        self.row(listener).pans[source.index()]
    }

    /// Stores a gain and says whether it is another one than before.
    pub(crate) fn set_gain(&mut self, listener: ChannelId, source: ChannelId, gain: Gain) -> bool {
        let old = self.gain(listener, source);
        if old == gain {
            return false;
        }
        let row = self.row_mut(listener);
        row.gains[source.index()] = gain;
        row.gain_print ^= print(source, old.0, Gain::UNITY.0) ^ print(source, gain.0, Gain::UNITY.0);
        true
    }

    /// Stores a pan and says whether it is another one than before.
    pub(crate) fn set_pan(&mut self, listener: ChannelId, source: ChannelId, pan: Pan) -> bool {
        let old = self.pan(listener, source);
        if old == pan {
            return false;
        }
        let row = self.row_mut(listener);
        row.pans[source.index()] = pan;
        row.pan_print ^=
            print(source, old.wire(), Pan::CENTRE.wire()) ^ print(source, pan.wire(), Pan::CENTRE.wire());
        true
    }

    /// Puts all faders of `channel` and everybody's fader for it back to unity and centre (spec 5.3).
    ///
    /// `changed` hears of every listener whose faders were different.
    pub(crate) fn reset(&mut self, channel: ChannelId, mut changed: impl FnMut(ChannelId)) {
        self.rows[channel.index()] = None;
        for listener in (0..CHANNELS as u8).filter_map(ChannelId::new) {
            let gain = self.set_gain(listener, channel, Gain::UNITY);
            let pan = self.set_pan(listener, channel, Pan::CENTRE);
            if gain || pan {
                changed(listener);
            }
        }
    }

    /// Whether two listeners of `layout` want the same mix. Mono listeners hear no pan (spec 5.7).
    pub(crate) fn same_mix(&self, a: ChannelId, b: ChannelId, layout: Layout) -> bool {
        let (a, b) = (self.row(a), self.row(b));
        // The fingerprints are only a quick no: the rows themselves decide.
        a.gain_print == b.gain_print
            && a.gains == b.gains
            && (layout == Layout::Mono || (a.pan_print == b.pan_print && a.pans == b.pans))
    }
}

/// A well mixed number for a value of a source; 0 for the default so that untouched rows share print 0.
fn print(source: ChannelId, value: u16, default: u16) -> u64 {
    if value == default {
        return 0;
    }
    // The finaliser of splitmix64.
    let mut z = (u64::from(source.number()) << 16 | u64::from(value)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn channel(number: u8) -> ChannelId {
        ChannelId::new(number).unwrap()
    }

    proptest! {
        #[test]
        fn same_mix_means_equal_rows(
            calls in prop::collection::vec((0u8..3, 0u8..150, 0u16..3, 0u16..3, any::<bool>()), 0..60),
        ) {
            let mut matrix = GainMatrix::new();
            let mut model = vec![[(Gain::UNITY, Pan::CENTRE); CHANNELS]; 3];
            for (listener, source, gain, pan, reset) in calls {
                let (gain, pan) = (Gain(gain * 0x4000), Pan::new(pan * 0x4000));
                if reset && source < 3 {
                    matrix.reset(channel(source), |_| ());
                    model[usize::from(source)] = [(Gain::UNITY, Pan::CENTRE); CHANNELS];
                    for row in &mut model { row[usize::from(source)] = (Gain::UNITY, Pan::CENTRE); }
                } else {
                    matrix.set_gain(channel(listener), channel(source), gain);
                    matrix.set_pan(channel(listener), channel(source), pan);
                    model[usize::from(listener)][usize::from(source)] = (gain, pan);
                }
            }
            for a in 0..3u8 {
                for b in 0..3u8 {
                    let (x, y) = (&model[usize::from(a)], &model[usize::from(b)]);
                    prop_assert_eq!(matrix.same_mix(channel(a), channel(b), Layout::Stereo), x == y);
                    let gains = x.iter().zip(y).all(|(x, y)| x.0 == y.0);
                    prop_assert_eq!(matrix.same_mix(channel(a), channel(b), Layout::Mono), gains);
                }
            }
        }
    }

    #[test]
    fn a_reset_tells_who_had_other_faders() {
        let mut matrix = GainMatrix::new();
        assert!(matrix.set_gain(channel(4), channel(9), Gain::ZERO));
        assert!(!matrix.set_gain(channel(4), channel(9), Gain::ZERO));
        assert!(matrix.set_pan(channel(6), channel(9), Pan::LEFT));
        let mut changed = Vec::new();
        matrix.reset(channel(9), |listener| changed.push(listener.number()));
        assert_eq!(changed, [4, 6]);
        assert_eq!(matrix.gain(channel(4), channel(9)), Gain::UNITY);
        assert_eq!(matrix.pan(channel(6), channel(9)), Pan::CENTRE);
    }
}
