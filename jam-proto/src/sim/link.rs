//! One direction between two nodes of a simulated network.

use crate::rng::Rng;
use std::time::{Duration, Instant};

/// How a link loses datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Loss {
    /// Never.
    #[default]
    None,
    /// Each on its own with this probability.
    Random(f64),
    /// In runs: this share of all datagrams, in bursts of this mean length (two states, good and bad).
    Bursts {
        /// The share lost in the long run, 0.0 to below 1.0.
        share: f64,
        /// How many in a row on average, 1.0 or more.
        mean_length: f64,
    },
}

impl Loss {
    /// Loss in runs; see [`Loss::Bursts`].
    #[must_use]
    pub const fn bursts(share: f64, mean_length: f64) -> Self {
        Self::Bursts { share, mean_length }
    }
}

/// What happened on one link.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct LinkStats {
    /// Given to the link.
    pub datagrams_sent: u64,
    /// Lost by chance or by [`Link::lose_next`].
    pub datagrams_lost: u64,
    /// Dropped because the queue in front of the rate limit was full.
    pub datagrams_queue_full: u64,
    /// Dropped because they were longer than the MTU.
    pub datagrams_too_long: u64,
    /// Delivered twice.
    pub datagrams_duplicated: u64,
    /// Held back so that later ones overtake them.
    pub datagrams_reordered: u64,
}

/// One direction between two nodes. All settings may change while datagrams are under way; those keep their arrival.
///
/// Jitter alone never reorders: a later datagram arrives with or after an earlier one, as on most real paths. Reordering
/// is asked for on its own.
#[derive(Clone, Debug)]
pub struct Link {
    delay: Duration,
    jitter: Duration,
    loss: Loss,
    in_burst: bool,
    lose_next: u32,
    duplicate: f64,
    reorder: Reorder,
    hold: Duration,
    rate: Option<Rate>,
    mtu: usize,
    last_arrival: Option<Instant>,
    rng: Rng,
    stats: LinkStats,
}

#[derive(Clone, Copy, Debug)]
enum Reorder {
    Never,
    Chance(f64),
    Every { n: u32, seen: u32 },
}

#[derive(Clone, Copy, Debug)]
struct Rate {
    bytes_per_s: u64,
    queue_bytes: u64,
    free_at: Option<Instant>,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: Loss::None,
            in_burst: false,
            lose_next: 0,
            duplicate: 0.0,
            reorder: Reorder::Never,
            hold: Duration::from_millis(10),
            rate: None,
            mtu: usize::MAX,
            last_arrival: None,
            rng: Rng::new(0),
            stats: LinkStats::default(),
        }
    }
}

impl Link {
    pub(super) fn seeded(mut self, rng: Rng) -> Self {
        self.rng = rng;
        self
    }

    /// The shortest time from sending to arrival.
    pub fn delay(&mut self, delay: Duration) -> &mut Self {
        self.delay = delay;
        self
    }

    /// The most that is added to the delay; each datagram draws its own share, evenly spread.
    pub fn jitter(&mut self, jitter: Duration) -> &mut Self {
        self.jitter = jitter;
        self
    }

    /// How datagrams get lost.
    pub fn loss(&mut self, loss: Loss) -> &mut Self {
        self.loss = loss;
        self.in_burst = false;
        self
    }

    /// Loses the next datagrams for certain.
    pub fn lose_next(&mut self, count: u32) -> &mut Self {
        self.lose_next = count;
        self
    }

    /// Delivers a datagram twice with this probability.
    pub fn duplicate(&mut self, probability: f64) -> &mut Self {
        self.duplicate = probability;
        self
    }

    /// Holds a datagram back with this probability and for this long, so that later ones overtake it.
    pub fn reorder(&mut self, probability: f64, hold: Duration) -> &mut Self {
        self.reorder = Reorder::Chance(probability);
        self.hold = hold;
        self
    }

    /// Holds every `n`-th datagram back for this long (never for 0).
    pub fn reorder_every(&mut self, n: u32, hold: Duration) -> &mut Self {
        self.reorder = Reorder::Every { n, seen: 0 };
        self.hold = hold;
        self
    }

    /// Lets through so many bytes per second; up to `queue_bytes` wait their turn and the rest is dropped at the tail.
    /// 0 bytes per second means no limit.
    pub fn rate(&mut self, bytes_per_s: u64, queue_bytes: u64) -> &mut Self {
        self.rate = (bytes_per_s > 0).then_some(Rate { bytes_per_s, queue_bytes, free_at: None });
        self
    }

    /// Drops datagrams with more than so many bytes of payload.
    pub fn mtu(&mut self, payload_bytes: usize) -> &mut Self {
        self.mtu = payload_bytes;
        self
    }

    /// What happened so far.
    #[must_use]
    pub const fn stats(&self) -> LinkStats {
        self.stats
    }

    /// When a datagram sent now arrives: not at all, once, or twice.
    pub(super) fn carry(&mut self, now: Instant, bytes: usize) -> [Option<Instant>; 2] {
        self.stats.datagrams_sent += 1;
        if bytes > self.mtu {
            self.stats.datagrams_too_long += 1;
            return [None, None];
        }
        let Some(leaves) = self.queue(now, bytes as u64) else {
            self.stats.datagrams_queue_full += 1;
            return [None, None];
        };
        if self.loses() {
            self.stats.datagrams_lost += 1;
            return [None, None];
        }
        let first = self.arrival(leaves);
        if !self.rng.chance(self.duplicate) {
            return [Some(first), None];
        }
        self.stats.datagrams_duplicated += 1;
        [Some(first), Some(self.arrival(leaves))]
    }

    /// When the sender's line has taken the datagram; `None` when its queue is full.
    fn queue(&mut self, now: Instant, bytes: u64) -> Option<Instant> {
        let Some(rate) = &mut self.rate else { return Some(now) };
        let free_at = rate.free_at.map_or(now, |at| at.max(now));
        let waiting = (free_at - now).as_nanos() * u128::from(rate.bytes_per_s) / 1_000_000_000;
        if waiting > 0 && waiting + u128::from(bytes) > u128::from(rate.queue_bytes) {
            return None;
        }
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate.bytes_per_s);
        let leaves = free_at + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        rate.free_at = Some(leaves);
        Some(leaves)
    }

    fn loses(&mut self) -> bool {
        if self.lose_next > 0 {
            self.lose_next -= 1;
            return true;
        }
        match self.loss {
            Loss::None => false,
            Loss::Random(probability) => self.rng.chance(probability),
            Loss::Bursts { share, mean_length } => {
                // A two-state chain whose time in the bad state is `share` and whose visits last `mean_length`.
                let leave_bad = 1.0 / mean_length.max(1.0);
                let enter_bad = leave_bad * share / (1.0 - share).max(f64::EPSILON);
                let flip = if self.in_burst { leave_bad } else { enter_bad };
                if self.rng.chance(flip) {
                    self.in_burst = !self.in_burst;
                }
                self.in_burst
            }
        }
    }

    fn arrival(&mut self, leaves: Instant) -> Instant {
        let at = leaves + self.delay + self.jitter.mul_f64(self.rng.unit());
        if self.holds_back() {
            self.stats.datagrams_reordered += 1;
            return at + self.hold;
        }
        let at = self.last_arrival.map_or(at, |last| last.max(at));
        self.last_arrival = Some(at);
        at
    }

    fn holds_back(&mut self) -> bool {
        match &mut self.reorder {
            Reorder::Never => false,
            Reorder::Chance(probability) => self.rng.chance(*probability),
            Reorder::Every { n, seen } => {
                *seen += 1;
                let due = *n > 0 && *seen >= *n;
                if due {
                    *seen = 0;
                }
                due
            }
        }
    }
}
