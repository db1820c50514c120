//! A table of connections.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::conn::ConnId;

/// For look-up only, as often as something is written. The numbers are our own, so nobody can choose them to collide.
pub(crate) type ConnMap<V> = HashMap<ConnId, V, BuildHasherDefault<Spread>>;

/// Spreads consecutive numbers over all bits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(byte.into());
        }
    }

    fn write_u64(&mut self, number: u64) {
        // Fibonacci hashing: 2^64 over the golden ratio.
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::ShardId;
    use std::collections::HashSet;

    #[test]
    fn numbers_in_a_row_get_different_places_and_tags() {
        let mut map = ConnMap::default();
        let ids = || (0..1_000).flat_map(|n| [ConnId::inbound(n), ConnId::outbound(ShardId(1), n)]);
        for (value, id) in ids().enumerate() {
            assert_eq!(map.insert(id, value), None);
        }
        assert!(ids().enumerate().all(|(value, id)| map.get(&id) == Some(&value)));
        // The table takes the place from the low bits and a tag of seven from the high ones.
        let hash = |n| {
            let mut spread = Spread::default();
            spread.write_u64(n);
            spread.finish()
        };
        let places: HashSet<u64> = (0..1_024).map(|n| hash(n) % 1_024).collect();
        let tags: HashSet<u64> = (0..1_024).map(|n| hash(n) >> 57).collect();
        assert!(places.len() > 900 && tags.len() == 128, "{} places, {} tags", places.len(), tags.len());
    }
}
