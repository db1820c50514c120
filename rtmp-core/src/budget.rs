//! Small helpers of the machines: rates and chance, both without a clock of their own.

use std::time::{Duration, Instant};

/// A token bucket: `rate` per second in the long run, `burst` at once.
#[derive(Clone, Debug)]
pub(crate) struct Rate {
    tokens_micro: u64,
    burst_micro: u64,
    rate: u32,
    last: Instant,
}

const MICRO: u64 = 1_000_000;

impl Rate {
    pub(crate) fn new(rate: u32, burst: u32, now: Instant) -> Self {
        let burst_micro = u64::from(burst) * MICRO;
        Self { tokens_micro: burst_micro, burst_micro, rate, last: now }
    }

    /// Takes one token; `false` means the rate is exceeded.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        // A minute fills every bucket we use; the bound keeps the product small.
        let elapsed = now.saturating_duration_since(self.last).min(Duration::from_secs(60));
        self.last = self.last.max(now);
        let gained = u64::try_from(elapsed.as_micros()).unwrap_or(0).saturating_mul(u64::from(self.rate));
        self.tokens_micro = self.tokens_micro.saturating_add(gained).min(self.burst_micro);
        match self.tokens_micro.checked_sub(MICRO) {
            Some(rest) => {
                self.tokens_micro = rest;
                true
            }
            None => false,
        }
    }
}

/// A small generator (SplitMix64) for handshake filling. Not for secrets: nothing in RTMP is one.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(8) {
            let random = self.next_u64().to_le_bytes();
            for (byte, r) in part.iter_mut().zip(random) {
                *byte = r;
            }
        }
    }

    /// A number below `bound`, which is not 0.
    #[cfg(feature = "sim")]
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next_u64() % bound.max(1)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "any instant serves as the start of virtual time")]
    use super::*;

    #[test]
    fn a_rate_allows_its_burst_and_then_its_pace() {
        let start = Instant::now();
        let mut rate = Rate::new(2, 3, start);
        assert_eq!([(); 4].map(|()| rate.take(start)), [true, true, true, false]);
        assert!(rate.take(start + Duration::from_millis(500)));
        assert!(!rate.take(start + Duration::from_millis(500)));
        assert!(!rate.take(start + Duration::from_millis(999)));
        assert!(rate.take(start + Duration::from_millis(1000)));
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let (mut a, mut b) = ([0; 19], [0; 19]);
        Rng::new(7).fill(&mut a);
        Rng::new(7).fill(&mut b);
        assert_eq!(a, b);
        assert_ne!(a, [0; 19]);
    }
}
