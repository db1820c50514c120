//! Room that tables do not need any more.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash};

/// A table whose room stays when its entries go.
pub(super) trait Table {
    fn len(&self) -> usize;
    fn capacity(&self) -> usize;
    fn shrink_to(&mut self, room: usize);
}

impl<T> Table for VecDeque<T> {
    fn len(&self) -> usize {
        self.len()
    }

    fn capacity(&self) -> usize {
        self.capacity()
    }

    fn shrink_to(&mut self, room: usize) {
        self.shrink_to(room);
    }
}

impl<K: Eq + Hash, V, S: BuildHasher> Table for HashMap<K, V, S> {
    fn len(&self) -> usize {
        self.len()
    }

    fn capacity(&self) -> usize {
        self.capacity()
    }

    fn shrink_to(&mut self, room: usize) {
        self.shrink_to(room);
    }
}

/// Gives room back when there is more than for `most` entries, and for four times those that are there. Half of it stays,
/// so that it is not needed again at once.
pub(super) fn give_back_room(table: &mut impl Table, most: usize) {
    let most = most.max(4 * table.len());
    if table.capacity() > most {
        table.shrink_to(most / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_given_back_when_it_is_far_more_than_needed() {
        let mut queue: VecDeque<u32> = (0..1_000).collect();
        let mut map: HashMap<u32, u32> = (0..1_000).map(|n| (n, n)).collect();
        let before = (queue.capacity(), map.capacity());
        give_back_room(&mut queue, 0);
        give_back_room(&mut map, 0);
        assert_eq!((queue.capacity(), map.capacity()), before);
        for left in [100, 10, 1, 0] {
            queue.truncate(left);
            map.retain(|n, _| *n < left as u32);
            give_back_room(&mut queue, 2_000);
            give_back_room(&mut map, 2_000);
            assert!(queue.capacity() <= 2_000);
            give_back_room(&mut queue, 0);
            give_back_room(&mut map, 0);
            let room = left..=4 * left;
            assert!(room.contains(&queue.capacity()) && room.contains(&map.capacity()), "{left} entries");
            assert_eq!((queue.len(), map.len()), (left, left));
        }
    }
}
