//! When the play position moves, and what size is announced.

use super::{JitterBuffer, PERIODS_PER_S, Phase};

/// Windows in periods: right after the start, usually, and at most.
const WINDOW_START: usize = PERIODS_PER_S as usize;
const WINDOW_USUAL: usize = 2 * PERIODS_PER_S as usize;
const WINDOW_MAX: usize = 8 * PERIODS_PER_S as usize;
/// The start ends after this many periods; the mixer fades a newcomer in for as long (spec 5.6).
const START_PERIODS: u32 = 3 * PERIODS_PER_S as u32;
/// A window that was enlarged is halved again after this many periods without a rise.
const FORGIVE_PERIODS: u32 = 60 * PERIODS_PER_S as u32;
/// The first size is announced after this many periods, when a fall right after the start has taken place.
const ANNOUNCE_FIRST_PERIODS: u32 = 3;
/// A smaller size is announced when it has held for this many periods.
const ANNOUNCE_PERIODS: u32 = 15 * PERIODS_PER_S as u32;
/// How long a due splice waits for a lost block or silence, in halves of a period.
const PATIENCE_HALF_PERIODS: i64 = 3;
/// One late block in the window never justifies delay; a second one does.
const RISE_BLOCKS_MIN: f32 = 1.5;
/// Two late blocks within so many gets are answered at once.
const AT_ONCE_GETS: i64 = 32;
pub(super) const NEVER_LATE: (i64, i64) = (i64::MIN / 2, 0);

impl JitterBuffer {
    /// Forgets what has been learnt about the link; the next seconds are a start.
    pub(super) fn restart_window(&mut self) {
        self.pending = 0;
        self.age = 0;
        self.since_fall = u32::MAX;
        self.since_rise = 0;
        self.last_late = NEVER_LATE;
        self.lateness.reset(self.offset(), WINDOW_START);
    }

    /// After a late arrival: is more delay worth its price?
    pub(super) fn consider_rise(&mut self, lateness: i64) {
        let limit = self.lateness.fastest_of_late() + self.limit() - 1;
        if lateness > limit {
            // No size of this buffer reaches that far: waiting for it would only cost sound. If all come as late, the
            // play position is set anew.
            return;
        }
        self.pending = self.pending.max(0);
        let price = (self.delay_price * self.lateness.arrivals_long() as f32).max(RISE_BLOCKS_MIN);
        let used = self.offset() + self.pending;
        let asked = self.rise_at_once(lateness).map_or(0, |asked| asked.min(limit) - used);
        let rise = self.lateness.rise(used, limit, price).max(asked);
        if rise > 0 {
            self.pending += rise;
            self.move_from = self.gets;
            self.note_rise();
        }
    }

    /// The offset that two late blocks in quick succession ask for: the link has become slower, or a drifting sender
    /// has reached the deadline. Two blocks before the same get are one stall and ask for nothing.
    fn rise_at_once(&mut self, lateness: i64) -> Option<i64> {
        let (get, previous) = self.last_late;
        if get == self.gets {
            self.last_late.1 = previous.min(lateness);
            return None;
        }
        self.last_late = (self.gets, lateness);
        (self.gets - get <= AT_ONCE_GETS).then_some(lateness.min(previous))
    }

    pub(super) fn note_rise(&mut self) {
        let window = self.lateness.window();
        if !self.is_starting() && (self.since_fall as usize) < 4 * window {
            self.lateness.set_window((2 * window).min(WINDOW_MAX));
        }
        self.since_rise = 0;
    }

    const fn is_starting(&self) -> bool {
        self.age < START_PERIODS
    }

    /// Every half second: is there delay to spare, and is there a size to announce?
    pub(super) fn end_period(&mut self) {
        if self.phase == Phase::Idle {
            return;
        }
        self.lateness.rotate(self.offset());
        self.age = self.age.saturating_add(1);
        self.since_rise = self.since_rise.saturating_add(1);
        self.since_fall = self.since_fall.saturating_add(1);
        if self.age == START_PERIODS {
            self.lateness.set_window(WINDOW_USUAL);
        }
        if self.is_manual() {
            self.consider_return();
            return;
        }
        if self.since_rise >= FORGIVE_PERIODS && self.lateness.window() > WINDOW_USUAL {
            self.lateness.set_window(self.lateness.window() / 2);
            self.since_rise = 0;
        }
        self.consider_fall();
        self.consider_announcing();
    }

    fn consider_fall(&mut self) {
        let expected = self.lateness.window() as i64 * self.period_gets;
        let arrivals = self.lateness.arrivals();
        if self.pending != 0 || !self.lateness.is_full() || i64::from(arrivals) < expected / 4 {
            return;
        }
        let price = self.delay_price * arrivals as f32 / 2.0;
        let fall = self.lateness.fall(self.offset(), price);
        if fall > 0 {
            // One at a time; half of a large surplus, which only a change of the route or the sender leaves behind.
            self.pending = -(fall / 2).max(1);
            let patience = if self.is_starting() { 0 } else { self.period_gets * PATIENCE_HALF_PERIODS / 2 };
            self.move_from = self.gets + patience;
            self.since_fall = 0;
        }
    }

    /// A manual size: back towards where the first block waited, one block at a time, when the last seconds needed no
    /// more.
    fn consider_return(&mut self) {
        if !self.is_starting() && self.lateness.window() < WINDOW_MAX {
            self.lateness.set_window(WINDOW_MAX);
        }
        let usual = self.lateness.fastest() + self.start_ahead();
        if self.offset() > usual {
            self.consider_fall();
            self.pending = self.pending.max(-1);
        }
    }

    fn consider_announcing(&mut self) {
        if self.age < ANNOUNCE_FIRST_PERIODS {
            return;
        }
        let needed = self.offset() + self.pending - self.lateness.fastest() + 1;
        let mut needed = needed.max(self.batch).clamp(1, self.auto_size_max) as u8;
        if let Some(announced) = self.announced {
            if needed == announced {
                self.smaller_for = 0;
                return;
            }
            if needed < announced {
                self.smaller_max = if self.smaller_for == 0 { needed } else { self.smaller_max.max(needed) };
                self.smaller_for += 1;
                if self.smaller_for < ANNOUNCE_PERIODS {
                    return;
                }
                needed = self.smaller_max;
            }
        }
        self.smaller_for = 0;
        self.announced = Some(needed);
        self.resized = self.announced;
    }
}
