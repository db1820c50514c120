//! Level meters as shipped clients expect them (spec 5.10).

/// Peaks at which each level from 1 on begins: `32767 * 10^((6.25 k - 50) / 20)`, rounded down, for k = 0 to 8.
///
/// A level is the number of entries below the peak.
const STEPS: [u16; 9] = [103, 212, 436, 897, 1842, 3783, 7770, 15956, 32767];

/// What a channel's meter shows: 0 (nothing) to 9 (overload).
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Level(u8);

impl Level {
    /// The level of a peak magnitude of 0 to 32768, in steps of 6.25 dB from -50 dBFS.
    #[must_use]
    pub fn of_peak(peak: u16) -> Self {
        Self(STEPS.iter().filter(|&&step| peak > step).count() as u8)
    }

    /// The number on the wire, 0 to 9.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// The meter of one channel: full-interval peak with a decay of one half per report.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    /// Largest peak since the last report.
    peak: u16,
    /// What was last reported.
    shown: u16,
}

impl Meter {
    pub(crate) fn hear(&mut self, peak: u16) {
        self.peak = self.peak.max(peak);
    }

    /// The level to report now.
    pub(crate) fn report(&mut self) -> Level {
        let decayed = if self.shown >= 2 { self.shown / 2 } else { 0 };
        self.shown = decayed.max(std::mem::take(&mut self.peak));
        Level::of_peak(self.shown)
    }
}

/// When levels are due: every 101 ticks of 128 samples, every 201 of 64.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LevelClock {
    halves: u16,
}

impl LevelClock {
    /// One tick of `samples` passes.
    pub(crate) fn tick(&mut self, samples: usize) -> bool {
        let due = self.halves > 200;
        if due {
            self.halves = 0;
        }
        self.halves += if samples == 64 { 1 } else { 2 };
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_follow_the_formula_of_shipped_servers() {
        for peak in 0..=32768u16 {
            let decibels = 20.0 * (f64::from(peak) / 32767.0).log10();
            let level = ((decibels + 50.0) * 8.0 / 50.0).max(0.0).ceil() as u8;
            assert_eq!(Level::of_peak(peak).number(), level, "peak {peak}");
        }
    }

    #[test]
    fn a_meter_shows_the_loudest_moment_and_then_decays_by_half() {
        let mut meter = Meter::default();
        [3, 20_000, 7].into_iter().for_each(|peak| meter.hear(peak));
        let shown: Vec<u8> = (0..12).map(|_| meter.report().number()).collect();
        assert_eq!(shown, [8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn levels_are_due_every_269_ms() {
        for (samples, period) in [(128, 101), (64, 201)] {
            let mut clock = LevelClock::default();
            let due: Vec<usize> = (1..=1000).filter(|_| clock.tick(samples)).collect();
            assert_eq!(due.first(), Some(&(period + 1)));
            assert!(due.windows(2).all(|pair| pair[1] - pair[0] == period), "{samples}");
        }
    }
}
