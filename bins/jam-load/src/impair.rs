//! A bad network between the musicians and the server, on the sending side.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use jam_proto::rng::Rng;

use crate::clock::Nanos;

/// What happens to datagrams on their way to the server; what the server sends is left alone, so that its own losses
/// stay visible.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Impairment {
    /// Share of datagrams that vanish, 0 to 1.
    pub(crate) loss: f64,
    /// Each datagram is delayed by a random time up to this.
    pub(crate) jitter: Duration,
    /// Share of datagrams held back until the next one has left, 0 to 1.
    pub(crate) reorder: f64,
}

/// How long a datagram that is to be overtaken waits: two datagrams of the longest period.
const HOLD: Duration = Duration::from_millis(11);

/// When it leaves, its number for equal times, whose it is, and the datagram.
type Waiting = (Nanos, u64, usize, Vec<u8>);

/// Datagrams under way. Bounded: a datagram leaves after the jitter and [`HOLD`] at the latest.
#[derive(Debug)]
pub(crate) struct Network {
    impairment: Impairment,
    random: Rng,
    waiting: BinaryHeap<Reverse<Waiting>>,
    order: u64,
    /// Datagrams dropped on purpose.
    pub(crate) dropped: u64,
}

impl Network {
    pub(crate) fn new(impairment: Impairment, seed: u64) -> Self {
        Self { impairment, random: Rng::new(seed), waiting: BinaryHeap::new(), order: 0, dropped: 0 }
    }

    /// Decides what happens to a datagram of `musician`; true means "send it now".
    pub(crate) fn passes(&mut self, now: Nanos, musician: usize, payload: &[u8]) -> bool {
        let Impairment { loss, jitter, reorder } = self.impairment;
        if self.random.chance(loss) {
            self.dropped += 1;
            return false;
        }
        let mut delay = jitter.mul_f64(self.random.unit());
        if self.random.chance(reorder) {
            delay += HOLD;
        }
        if delay.is_zero() {
            return true;
        }
        self.order += 1;
        self.waiting.push(Reverse((now.plus(delay), self.order, musician, payload.to_vec())));
        false
    }

    /// The next datagram whose time has come.
    pub(crate) fn due(&mut self, now: Nanos) -> Option<(usize, Vec<u8>)> {
        let Reverse((at, ..)) = self.waiting.peek()?;
        if *at > now {
            return None;
        }
        self.waiting.pop().map(|Reverse((_, _, musician, payload))| (musician, payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_takes_about_its_share_and_counts_it() {
        let mut network = Network::new(Impairment { loss: 0.05, ..Impairment::default() }, 7);
        let passed = (0..10_000).filter(|_| network.passes(Nanos(0), 0, &[1])).count() as u64;
        assert_eq!(passed + network.dropped, 10_000);
        assert!((400..600).contains(&network.dropped), "{}", network.dropped);
    }

    #[test]
    fn jitter_delays_within_its_bound_and_loses_nothing() {
        let mut network =
            Network::new(Impairment { jitter: Duration::from_millis(3), ..Impairment::default() }, 7);
        for n in 0..100 {
            assert!(!network.passes(Nanos(0), n, &[1]));
        }
        let early = std::iter::from_fn(|| network.due(Nanos(1_500_000))).count();
        let rest = std::iter::from_fn(|| network.due(Nanos(3_000_000))).count();
        assert!((20..80).contains(&early));
        assert_eq!(early + rest, 100);
    }

    #[test]
    fn reordering_holds_a_datagram_behind_its_successor() {
        let mut network = Network::new(Impairment { reorder: 1.0, ..Impairment::default() }, 7);
        assert!(!network.passes(Nanos(0), 3, &[9]));
        assert_eq!(network.due(Nanos(10_000_000)), None);
        assert_eq!(network.due(Nanos(11_000_000)), Some((3, vec![9])));
    }
}
