//! Bytes and the rate of the last 30 seconds.

use std::time::Instant;

use super::snapshot::Traffic;

/// How often [`Meter::sample`] is to be called; three samples make a rate.
pub(super) const SAMPLE_EVERY: std::time::Duration = std::time::Duration::from_secs(10);

/// Counts bytes of one connection or stream in both directions.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    pub(super) sent: u64,
    pub(super) received: u64,
    /// The counts of the last three samples, the oldest first.
    samples: [(Instant, u64, u64); 3],
}

impl Meter {
    pub(super) fn new(now: Instant) -> Self {
        Self { sent: 0, received: 0, samples: [(now, 0, 0); 3] }
    }

    /// Remembers the counts of this moment.
    pub(super) fn sample(&mut self, now: Instant) {
        self.samples.rotate_left(1);
        if let Some(last) = self.samples.last_mut() {
            *last = (now, self.sent, self.received);
        }
    }

    pub(super) fn traffic(&self, now: Instant) -> Traffic {
        self.traffic_with(now, 0)
    }

    /// The same, when `more` bytes were sent than it knows of.
    pub(super) fn traffic_with(&self, now: Instant, more: u64) -> Traffic {
        let total = self.sent + more;
        let [(since, sent, received), ..] = self.samples;
        let millis = u64::try_from(now.saturating_duration_since(since).as_millis()).unwrap_or(u64::MAX);
        // Bits per millisecond are kilobits per second.
        let rate = |bytes: u64| u32::try_from(bytes.saturating_mul(8) / millis.max(1)).unwrap_or(u32::MAX);
        Traffic {
            sent_bytes: total,
            received_bytes: self.received,
            sent_kbps_30s: rate(total.saturating_sub(sent)),
            received_kbps_30s: rate(self.received.saturating_sub(received)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "any instant serves as the start of virtual time")]
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_half_minute() {
        let start = Instant::now();
        let mut meter = Meter::new(start);
        for second in 1..=100_u32 {
            meter.sent += if second <= 50 { 100_000 } else { 1000 };
            let now = start + std::time::Duration::from_secs(second.into());
            if second % 10 == 0 {
                meter.sample(now);
            }
            if second == 50 {
                assert_eq!(meter.traffic(now).sent_kbps_30s, 800);
            }
        }
        let end = start + std::time::Duration::from_secs(100);
        assert_eq!(meter.traffic(end).sent_kbps_30s, 8);
        assert_eq!(meter.traffic(end).sent_bytes, 5_050_000);
    }
}
