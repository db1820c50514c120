//! How late blocks arrive: a sliding histogram, and the two questions the buffer asks it.
#![expect(clippy::indexing_slicing, reason = "every level is clamped to the LEVELS that the arrays have")]

/// Distinct lateness levels remembered. The level in use sits near the middle, so a rise and a fall by the largest
/// buffer size (20) both stay inside.
const LEVELS: usize = 48;
/// Where a fresh histogram puts its first level.
const CENTRE: i64 = 23;
/// How far the offset in use may wander (clock drift) before the histogram is shifted after it.
const WANDER: i64 = 2;

/// Counts of arrivals per lateness level over the last seconds.
///
/// The *lateness* of a block is the number of the get it arrived in time for minus its sequence number. Only
/// differences mean anything: played with offset `p`, exactly the blocks with a lateness of at most `p` are in
/// time. Blocks that never arrive are not in here, so loss cannot be taken for lateness.
///
/// Time is cut into periods (half a second each); the window is the current period and the last `window` complete
/// ones. Memory: `(PERIODS_MAX + 1) * 48 * 2` bytes, under 2 KiB.
#[derive(Clone, Debug)]
pub(super) struct Lateness {
    /// Lateness of level 0.
    base: i64,
    /// One histogram per period, a ring.
    periods: Box<[[u16; LEVELS]]>,
    /// The period being filled.
    current: usize,
    /// Complete periods since the last reset, at most `PERIODS_MAX`.
    complete: usize,
    /// Complete periods that count.
    window: usize,
    /// Sums of the current period and the window: what a fall is judged by.
    totals: [u32; LEVELS],
    /// The same over at least `RISE_PERIODS`: what a rise is judged by.
    long: [u32; LEVELS],
}

/// The longest window, in periods.
pub(super) const PERIODS_MAX: usize = 16;
/// A rise is judged by at least this many periods: chance brings two rare events close together now and then.
const RISE_PERIODS: usize = 16;
/// Complete periods that "of late" means, beside the one that is being filled.
const RECENT_PERIODS: usize = 1;

impl Lateness {
    pub(super) fn new() -> Self {
        Self {
            base: 0,
            periods: vec![[0; LEVELS]; PERIODS_MAX + 1].into_boxed_slice(),
            current: 0,
            complete: 0,
            window: 1,
            totals: [0; LEVELS],
            long: [0; LEVELS],
        }
    }

    /// Forgets everything; `lateness` becomes the middle.
    pub(super) fn reset(&mut self, lateness: i64, window: usize) {
        self.base = lateness - CENTRE;
        self.periods.fill([0; LEVELS]);
        self.totals = [0; LEVELS];
        self.long = [0; LEVELS];
        self.current = 0;
        self.complete = 0;
        self.window = window.min(PERIODS_MAX);
    }

    /// Notes one arrival. Lateness outside the range counts as the outermost level.
    pub(super) fn record(&mut self, lateness: i64) {
        let level = self.level(lateness);
        if let Some(period) = self.periods.get_mut(self.current)
            && period[level] < u16::MAX
        {
            period[level] += 1;
            self.totals[level] += 1;
            self.long[level] += 1;
        }
    }

    /// Ends the current period. `used` is the offset in use; the histogram is kept around it.
    pub(super) fn rotate(&mut self, used: i64) {
        self.current = (self.current + 1) % self.periods.len();
        self.complete = (self.complete + 1).min(PERIODS_MAX);
        if let Some(period) = self.periods.get_mut(self.current) {
            period.fill(0);
        }
        if (used - self.base - CENTRE).abs() > WANDER {
            self.shift(used - CENTRE);
        }
        self.sum();
    }

    /// Keeps the histogram around `used` after a jump of the offset.
    pub(super) fn follow(&mut self, used: i64) {
        if (used - self.base - CENTRE).abs() > WANDER {
            self.shift(used - CENTRE);
            self.sum();
        }
    }

    /// Moves all that has been recorded by `blocks`: the numbering of the blocks has lost so many.
    pub(super) const fn slide(&mut self, blocks: i64) {
        self.base += blocks;
    }

    /// Complete periods that count.
    pub(super) const fn window(&self) -> usize {
        self.window
    }

    pub(super) fn set_window(&mut self, periods: usize) {
        self.window = periods.clamp(1, PERIODS_MAX);
        self.sum();
    }

    /// Whether the window lies completely after the last reset.
    pub(super) const fn is_full(&self) -> bool {
        self.complete >= self.window
    }

    /// Arrivals in the window.
    pub(super) fn arrivals(&self) -> u32 {
        self.totals.iter().sum()
    }

    /// Arrivals that a rise is judged by.
    pub(super) fn arrivals_long(&self) -> u32 {
        self.long.iter().sum()
    }

    /// By how many blocks the offset `used` should rise, at most to `limit`.
    ///
    /// A rise by `n` must save at least `n * price` blocks of the window; the rise that saves most beyond its price
    /// wins. One stall that made ten blocks late in ten different degrees is therefore not answered by ten blocks
    /// of permanent delay, while a regular stall is absorbed completely.
    pub(super) fn rise(&self, used: i64, limit: i64, price: f32) -> i64 {
        let mut saved = 0;
        let mut best = 0;
        let mut best_net = 0.0;
        for offset in used + 1..=limit.min(self.base + LEVELS as i64 - 1) {
            saved += self.count(&self.long, offset);
            let net = saved as f32 - price * (offset - used) as f32;
            if net > best_net {
                best_net = net;
                best = offset - used;
            }
        }
        best
    }

    /// By how many blocks the offset `used` could fall, giving up at most `price` blocks of the window per block of
    /// delay saved.
    pub(super) fn fall(&self, used: i64, price: f32) -> i64 {
        let mut given_up = 0;
        let mut best = 0;
        let mut best_net = 0.0;
        for offset in (self.base..used).rev() {
            given_up += self.count(&self.totals, offset + 1);
            let net = price * (used - offset) as f32 - given_up as f32;
            if net > best_net {
                best_net = net;
                best = used - offset;
            }
        }
        // Below the fastest block nothing is given up any more only because nothing is left.
        best.min((used - self.fastest_of(&self.totals)).max(0))
    }

    /// The lateness of the fastest arrivals: the hundredth part that came earliest is disregarded.
    pub(super) fn fastest(&self) -> i64 {
        self.fastest_of(&self.long)
    }

    /// The same over the current period and the last one: what a delay that is asked for now may be measured by. A path
    /// that has become slower is soon not held to what it was.
    pub(super) fn fastest_of_late(&self) -> i64 {
        let mut totals = [0; LEVELS];
        let len = self.periods.len();
        for back in 0..=RECENT_PERIODS.min(self.complete) {
            let Some(period) = self.periods.get((self.current + len - back) % len) else { continue };
            for (total, &count) in totals.iter_mut().zip(period) {
                *total += u32::from(count);
            }
        }
        self.fastest_of(&totals)
    }

    fn fastest_of(&self, totals: &[u32; LEVELS]) -> i64 {
        let ignored = totals.iter().sum::<u32>() / 100;
        let mut below = 0;
        for (level, &count) in totals.iter().enumerate() {
            below += count;
            if below > ignored {
                return self.base + level as i64;
            }
        }
        self.base + CENTRE
    }

    /// Heap memory.
    pub(super) const fn memory_bytes() -> usize {
        size_of::<[u16; LEVELS]>() * (PERIODS_MAX + 1)
    }

    fn level(&self, lateness: i64) -> usize {
        (lateness - self.base).clamp(0, LEVELS as i64 - 1) as usize
    }

    fn count(&self, totals: &[u32; LEVELS], lateness: i64) -> u32 {
        usize::try_from(lateness - self.base).ok().and_then(|level| totals.get(level)).copied().unwrap_or(0)
    }

    /// Moves the origin; what leaves the range is added to the outermost level.
    fn shift(&mut self, base: i64) {
        let moved_by = base - self.base;
        self.base = base;
        for period in &mut self.periods {
            let mut moved = [0_u16; LEVELS];
            for (level, &count) in period.iter().enumerate() {
                let target = (level as i64).saturating_sub(moved_by).clamp(0, LEVELS as i64 - 1) as usize;
                moved[target] = moved[target].saturating_add(count);
            }
            *period = moved;
        }
    }

    fn sum(&mut self) {
        self.totals = [0; LEVELS];
        self.long = [0; LEVELS];
        let len = self.periods.len();
        for back in 0..=self.window.max(RISE_PERIODS).min(self.complete) {
            let Some(period) = self.periods.get((self.current + len - back) % len) else { continue };
            for (total, &count) in self.long.iter_mut().zip(period) {
                *total += u32::from(count);
            }
            if back == self.window {
                self.totals = self.long;
            }
        }
        if self.complete < self.window {
            self.totals = self.long;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(levels: &[(i64, u32)]) -> Lateness {
        let mut lateness = Lateness::new();
        lateness.reset(100, 4);
        for &(level, count) in levels {
            for _ in 0..count {
                lateness.record(level);
            }
        }
        lateness
    }

    #[test]
    fn one_late_block_does_not_pay_for_delay_but_two_do() {
        assert_eq!(filled(&[(100, 3000), (101, 1)]).rise(100, 120, 1.5), 0);
        assert_eq!(filled(&[(100, 3000), (101, 2)]).rise(100, 120, 1.5), 1);
    }

    #[test]
    fn a_single_stall_is_ignored_and_a_regular_one_absorbed() {
        let once: Vec<_> = (101..=111).map(|level| (level, 1)).collect();
        assert_eq!(filled(&once).rise(100, 120, 1.5), 0);
        let often: Vec<_> = (101..=111).map(|level| (level, 3)).collect();
        assert_eq!(filled(&often).rise(100, 120, 1.5), 11);
        assert_eq!(filled(&often).rise(100, 105, 1.5), 5);
    }

    #[test]
    fn a_fall_stops_at_the_fastest_block() {
        assert_eq!(filled(&[(100, 3000)]).fall(104, 0.7), 4);
        assert_eq!(filled(&[(100, 3000), (102, 5)]).fall(104, 0.7), 2);
        assert_eq!(filled(&[(100, 3000), (102, 5)]).fall(102, 0.7), 0);
    }

    #[test]
    fn arrivals_leave_the_window_after_its_length() {
        let mut lateness = filled(&[(103, 10)]);
        for _ in 0..4 {
            lateness.rotate(100);
            assert_eq!(lateness.arrivals(), 10);
        }
        lateness.rotate(100);
        assert_eq!(lateness.arrivals(), 0);
        assert!(lateness.is_full());
    }

    #[test]
    fn a_wandering_offset_shifts_the_histogram() {
        let mut lateness = filled(&[(100, 10), (103, 2)]);
        lateness.rotate(110);
        assert_eq!(lateness.fastest(), 100);
        lateness.rotate(135);
        assert_eq!(lateness.fastest(), 112, "what left the range counts as the outermost level");
        assert_eq!(lateness.arrivals(), 12);
    }
}
