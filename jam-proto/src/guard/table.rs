//! A table for strangers: so many entries, the one unused for longest makes room, every operation in constant time.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};

/// No entry.
const NONE: u32 = u32::MAX;

/// A bounded map that forgets what was touched longest ago.
#[derive(Debug)]
pub(crate) struct Table<K, V> {
    index: HashMap<K, u32, SeededHash>,
    slots: Vec<Slot<K, V>>,
    /// Slots without an entry.
    free: Vec<u32>,
    newest: u32,
    oldest: u32,
    entries_max: usize,
}

#[derive(Debug)]
struct Slot<K, V> {
    key: K,
    value: Option<V>,
    newer: u32,
    older: u32,
}

impl<K: Copy + Eq + Hash, V> Table<K, V> {
    /// An empty table; memory is taken as entries come.
    pub(crate) fn new(entries_max: usize, seed: u64) -> Self {
        Self {
            index: HashMap::with_hasher(SeededHash(seed)),
            slots: Vec::new(),
            free: Vec::new(),
            newest: NONE,
            oldest: NONE,
            entries_max: entries_max.clamp(1, NONE as usize - 1),
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let at = *self.index.get(key)?;
        self.slots.get(at as usize)?.value.as_ref()
    }

    /// Looks without making the entry newer.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = *self.index.get(key)?;
        self.slots.get_mut(at as usize)?.value.as_mut()
    }

    /// The entry, made newest; a fresh one if there is none. What had to go for it comes back too.
    pub(crate) fn touch_or(&mut self, key: K, fresh: impl FnOnce() -> V) -> (Option<&mut V>, Option<(K, V)>) {
        let mut evicted = None;
        let at = if let Some(&at) = self.index.get(&key) {
            self.unlink(at);
            at
        } else {
            if self.index.len() >= self.entries_max {
                evicted = self.remove_oldest();
            }
            let slot = Slot { key, value: Some(fresh()), newer: NONE, older: NONE };
            let at = match self.free.pop() {
                Some(at) => {
                    if let Some(place) = self.slots.get_mut(at as usize) {
                        *place = slot;
                    }
                    at
                }
                None => {
                    self.slots.push(slot);
                    self.slots.len() as u32 - 1
                }
            };
            self.index.insert(key, at);
            at
        };
        self.link_newest(at);
        (self.slots.get_mut(at as usize).and_then(|slot| slot.value.as_mut()), evicted)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.index.remove(key)?;
        self.unlink(at);
        self.free.push(at);
        self.slots.get_mut(at as usize)?.value.take()
    }

    /// Makes an entry the newest.
    pub(crate) fn touch(&mut self, key: &K) -> Option<&mut V> {
        let at = *self.index.get(key)?;
        self.unlink(at);
        self.link_newest(at);
        self.slots.get_mut(at as usize)?.value.as_mut()
    }

    /// The entry that would make room for a fresh one, if there is no room.
    pub(crate) fn next_evicted(&self) -> Option<&V> {
        (self.index.len() >= self.entries_max)
            .then(|| self.slots.get(self.oldest as usize)?.value.as_ref())?
    }

    fn remove_oldest(&mut self) -> Option<(K, V)> {
        let key = self.slots.get(self.oldest as usize)?.key;
        self.remove(&key).map(|value| (key, value))
    }

    /// Keys and entries, in an order that depends on the inputs alone.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (K, &mut V)> {
        self.slots.iter_mut().filter_map(|slot| slot.value.as_mut().map(|value| (slot.key, value)))
    }

    /// As [`Table::iter_mut`], to look only.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.slots.iter().filter_map(|slot| slot.value.as_ref().map(|value| (slot.key, value)))
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot<K, V>>()
            + self.free.capacity() * size_of::<u32>()
            // A hash table keeps a key, a value and a control byte per place, and fills seven of eight places.
            + self.index.capacity() * 8 / 7 * (size_of::<(K, u32)>() + 1)
    }

    fn unlink(&mut self, at: u32) {
        let Some((newer, older)) = self.slots.get(at as usize).map(|slot| (slot.newer, slot.older)) else {
            return;
        };
        match self.slots.get_mut(newer as usize) {
            Some(slot) => slot.older = older,
            None if self.newest == at => self.newest = older,
            None => {}
        }
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = newer,
            None if self.oldest == at => self.oldest = newer,
            None => {}
        }
    }

    fn link_newest(&mut self, at: u32) {
        let second = self.newest;
        if let Some(slot) = self.slots.get_mut(at as usize) {
            slot.newer = NONE;
            slot.older = second;
        }
        match self.slots.get_mut(second as usize) {
            Some(slot) => slot.newer = at,
            None => self.oldest = at,
        }
        self.newest = at;
    }
}

/// A fast keyed hash for small keys such as addresses.
///
/// Tables of this crate are small, so a peer that finds collisions gains a few comparisons at most; the seed keeps it
/// from preparing them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeededHash(pub(crate) u64);

impl BuildHasher for SeededHash {
    type Hasher = FoldHasher;

    fn build_hasher(&self) -> FoldHasher {
        FoldHasher { state: self.0 ^ FoldHasher::ODD }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct FoldHasher {
    state: u64,
}

impl FoldHasher {
    /// An odd number without pattern: 2^64 divided by the golden ratio.
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

    fn fold(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(Self::ODD);
        self.state = (product as u64) ^ ((product >> 64) as u64).rotate_left(32);
    }
}

impl Hasher for FoldHasher {
    fn finish(&self) -> u64 {
        self.state
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.fold(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            for (to, from) in last.iter_mut().zip(rest) {
                *to = *from;
            }
            self.fold(u64::from_le_bytes(last));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.fold(u64::from(value));
    }

    fn write_u16(&mut self, value: u16) {
        self.fold(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.fold(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.fold(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.fold(value as u64);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_entry_unused_for_longest_makes_room() {
        let mut table = Table::new(2, 1);
        for key in ["a", "b", "a", "c"] {
            table.touch_or(key, || key);
        }
        assert_eq!((table.get(&"a"), table.get(&"b"), table.get(&"c")), (Some(&"a"), None, Some(&"c")));
    }

    proptest! {
        #[test]
        fn the_table_behaves_like_a_list_with_the_newest_first(
            calls in prop::collection::vec((0_u8..4, 0_u8..8), 0..200), entries_max in 1_usize..6,
        ) {
            let mut table = Table::new(entries_max, 3);
            let mut model: Vec<u8> = Vec::new();
            for (call, key) in calls {
                match call {
                    0 | 1 => {
                        let (_, evicted) = table.touch_or(key, || key);
                        let full = model.len() == entries_max && !model.contains(&key);
                        prop_assert_eq!(evicted.map(|(k, _)| k), if full { model.pop() } else { None });
                        model.retain(|k| *k != key);
                        model.insert(0, key);
                    }
                    2 => {
                        prop_assert_eq!(table.touch(&key).copied(), model.contains(&key).then_some(key));
                        if model.contains(&key) {
                            model.retain(|k| *k != key);
                            model.insert(0, key);
                        }
                    }
                    _ => {
                        prop_assert_eq!(table.remove(&key).is_some(), model.contains(&key));
                        model.retain(|k| *k != key);
                    }
                }
                prop_assert_eq!(table.len(), model.len());
                let oldest = model.last().filter(|_| model.len() == entries_max);
                prop_assert_eq!(table.next_evicted(), oldest);
                prop_assert!((0..8).all(|k| table.get(&k).is_some() == model.contains(&k)));
                prop_assert_eq!(table.iter().count(), model.len());
                prop_assert!(table.memory_bytes() < 2_000);
            }
        }
    }
}
