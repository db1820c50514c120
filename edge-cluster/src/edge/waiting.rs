//! Pulls that never had media: random names of streams must not become any number of them (spec 5.3).

use std::collections::BTreeMap;
use std::net::IpAddr;

/// How many there are on a shard, and for which addresses.
#[derive(Debug, Default)]
pub(super) struct WaitingPulls {
    all: usize,
    of_ip: BTreeMap<IpAddr, usize>,
}

impl WaitingPulls {
    pub(super) fn begin(&mut self, ip: IpAddr) {
        self.all += 1;
        *self.of_ip.entry(ip).or_default() += 1;
    }

    /// It has ended, or waits no longer.
    pub(super) fn end(&mut self, ip: IpAddr) {
        self.all = self.all.saturating_sub(1);
        if let Some(count) = self.of_ip.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                self.of_ip.remove(&ip);
            }
        }
    }

    /// Whether one more may begin.
    pub(super) fn have_room(&self, ip: IpAddr, most: usize, most_of_ip: usize) -> bool {
        self.all < most && self.of_ip.get(&ip).is_none_or(|count| *count < most_of_ip) && most_of_ip > 0
    }

    pub(super) fn count(&self) -> usize {
        self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_limited_for_an_address_and_in_all_and_cost_nothing_when_they_are_over() {
        let [a, b, c] = [1, 2, 3].map(|n| IpAddr::from([10, 0, 0, n]));
        let mut waiting = WaitingPulls::default();
        [a, a, b].into_iter().for_each(|ip| waiting.begin(ip));
        let room = |waiting: &WaitingPulls| [a, b, c].map(|ip| waiting.have_room(ip, 4, 2));
        assert_eq!(room(&waiting), [false, true, true]);
        waiting.begin(c);
        assert_eq!(room(&waiting), [false; 3]);
        waiting.end(a);
        assert_eq!(room(&waiting), [true; 3]);
        [a, b, c].into_iter().for_each(|ip| waiting.end(ip));
        assert_eq!((waiting.count(), waiting.of_ip.len()), (0, 0));
        assert!(!waiting.have_room(a, 1, 0) && !waiting.have_room(a, 0, 1));
    }
}
