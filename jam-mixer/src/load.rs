//! Whether there is room for one more musician.

use std::time::Duration;

/// When newcomers are refused because the machine cannot mix for more people.
///
/// Musicians who play are never degraded: the server refuses the next one instead of making everybody's delay grow.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct OverloadConfig {
    /// Newcomers are refused while the mean work of a tick, with one musician more, would be above this share of the
    /// tick. Default 0.8.
    pub refuse_above: f32,
    /// They are let in again once it is below this share. Default 0.7.
    pub accept_below: f32,
    /// Newcomers are also refused while more than this share of the ticks of the last second or so ended late.
    /// Default 0.02.
    pub late_above: f32,
}

impl Default for OverloadConfig {
    fn default() -> Self {
        Self { refuse_above: 0.8, accept_below: 0.7, late_above: 0.02 }
    }
}

/// Follows the work of the ticks; the driver reports it, because only the driver has a clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    config: OverloadConfig,
    /// Exponential mean of work / period.
    mean: f32,
    /// Exponential mean of "work took longer than the period".
    late: f32,
    ticks: u32,
    refusing: bool,
}

/// About one second of 128-sample ticks.
const WEIGHT: f32 = 1.0 / 375.0;
/// Nothing is concluded from fewer ticks than this: the first ones touch cold memory.
const TICKS_MIN: u32 = 100;

impl Load {
    pub(crate) const fn new(config: OverloadConfig) -> Self {
        Self { config, mean: 0.0, late: 0.0, ticks: 0, refusing: false }
    }

    /// Takes the work of one tick; `Some` when the verdict changes: `true` to refuse newcomers.
    pub(crate) fn report(&mut self, work: Duration, period: Duration, musicians: usize) -> Option<bool> {
        let share = work.as_secs_f32() / period.as_secs_f32();
        // The first second is a plain mean, later ones forget.
        self.ticks = self.ticks.saturating_add(1);
        let weight = WEIGHT.max(1.0 / self.ticks as f32);
        self.mean += (share - self.mean) * weight;
        self.late += (f32::from(u8::from(share > 1.0)) - self.late) * weight;
        if self.ticks < TICKS_MIN {
            return None;
        }
        let with_one_more = self.mean * (musicians + 1) as f32 / musicians.max(1) as f32;
        let is_too_much = if self.refusing {
            with_one_more > self.config.accept_below || self.late > self.config.late_above / 2.0
        } else {
            with_one_more > self.config.refuse_above || self.late > self.config.late_above
        };
        // One musician cannot overload a machine that runs at all: a stranger's burst of work must not lock the second
        // one out.
        let verdict = musicians > 1 && is_too_much;
        (verdict != self.refusing).then(|| {
            self.refusing = verdict;
            verdict
        })
    }

    /// Forgets everything, because the last musician has left; `true` if newcomers were refused.
    pub(crate) fn rest(&mut self) -> bool {
        std::mem::replace(self, Self::new(self.config)).refusing
    }

    /// The mean share of a tick that is spent working, 0 to 1 and beyond.
    pub(crate) const fn mean(&self) -> f32 {
        self.mean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_micros(2667);

    fn run(load: &mut Load, ticks: usize, work_us: u64, musicians: usize) -> Vec<bool> {
        (0..ticks).filter_map(|_| load.report(Duration::from_micros(work_us), PERIOD, musicians)).collect()
    }

    #[test]
    fn newcomers_are_refused_before_the_tick_is_full_and_let_in_when_there_is_room() {
        let mut load = Load::new(OverloadConfig::default());
        assert_eq!(run(&mut load, 1000, 1000, 40), []);
        assert_eq!(run(&mut load, 3000, 2200, 90), [true]);
        assert_eq!(run(&mut load, 3000, 2000, 84), [], "between the two bounds the verdict stays");
        assert_eq!(run(&mut load, 3000, 1500, 60), [false]);
    }

    #[test]
    fn one_long_tick_changes_nothing() {
        let mut load = Load::new(OverloadConfig::default());
        assert_eq!(run(&mut load, 1000, 500, 20), []);
        assert_eq!(run(&mut load, 1, 40_000, 20), []);
        assert_eq!(run(&mut load, 1000, 500, 20), []);
    }

    #[test]
    fn a_lone_musician_is_never_the_last() {
        let mut load = Load::new(OverloadConfig::default());
        assert_eq!(run(&mut load, 1000, 2600, 1), []);
        assert_eq!(run(&mut load, 1000, 2600, 2), [true]);
        assert_eq!(run(&mut load, 1000, 2600, 1), [false], "nor when others have left");
    }
}
