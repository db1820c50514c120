//! Chance from a seed.

use std::time::Duration;

/// A small generator (SplitMix64) that spreads attempts over time. Not for secrets.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// `time` give or take a fifth, so that many streams that lost the same origin do not return in one moment.
    pub(super) fn around(&mut self, time: Duration) -> Duration {
        let per_mille = 800 + u32::try_from(self.next_u64() % 401).unwrap_or(200);
        time * per_mille / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_within_a_fifth_and_reach_both_sides() {
        let mut chance = Chance::new(1);
        let waits: Vec<_> = (0..2000).map(|_| chance.around(Duration::from_secs(10)).as_millis()).collect();
        let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
        assert!((8000..8100).contains(least) && (11_900..=12_000).contains(most), "{least} to {most}");
    }
}
