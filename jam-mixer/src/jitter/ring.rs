//! The slots of a jitter buffer: coded blocks by sequence number, and which numbers have been received.
#![expect(clippy::indexing_slicing, reason = "slots are numbers modulo the length of the array")]

/// Blocks a buffer can hold: the largest size (20) and one whole datagram (4) that arrives early.
pub(super) const SLOTS: usize = 24;

/// A slot that holds nothing.
const EMPTY: i64 = i64::MIN;

/// A fixed number of equal slots. One allocation, made when the format becomes known.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    bytes: Box<[u8]>,
    block_bytes: usize,
    holds: [i64; SLOTS],
}

impl Ring {
    pub(super) fn new(block_bytes: usize) -> Self {
        Self { bytes: vec![0; block_bytes * SLOTS].into_boxed_slice(), block_bytes, holds: [EMPTY; SLOTS] }
    }

    /// Copies a block into its slot; whatever the slot held is gone.
    pub(super) fn store(&mut self, seq: i64, block: &[u8]) {
        let slot = slot(seq);
        let start = slot * self.block_bytes;
        if let Some(bytes) = self.bytes.get_mut(start..start + self.block_bytes)
            && bytes.len() == block.len()
        {
            bytes.copy_from_slice(block);
            self.holds[slot] = seq;
        }
    }

    pub(super) fn contains(&self, seq: i64) -> bool {
        self.holds[slot(seq)] == seq
    }

    /// Empties the slot of `seq`; true if it held that block. Its bytes stay readable until the next store.
    pub(super) fn take(&mut self, seq: i64) -> bool {
        let held = self.contains(seq);
        if held {
            self.holds[slot(seq)] = EMPTY;
        }
        held
    }

    /// The bytes of the slot in which `seq` is or was.
    pub(super) fn bytes(&self, seq: i64) -> &[u8] {
        let start = slot(seq) * self.block_bytes;
        self.bytes.get(start..start + self.block_bytes).unwrap_or_default()
    }

    pub(super) const fn clear(&mut self) {
        self.holds = [EMPTY; SLOTS];
    }

    pub(super) const fn memory_bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) const fn memory_bytes_max(block_bytes: usize) -> usize {
        block_bytes * SLOTS
    }
}

const fn slot(seq: i64) -> usize {
    seq.rem_euclid(SLOTS as i64) as usize
}

/// Which of the last 128 sequence numbers have been received: tells a duplicate from a late block, and loss.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    newest: i64,
    /// Bit `n`: `newest - n` has been received.
    received: u128,
    /// Bit `n`: `newest - n` belongs to the stream, so that it is lost if it never comes.
    expected: u128,
}

impl Seen {
    /// A stream of which `first` has been received.
    pub(super) const fn starting_with(first: i64) -> Self {
        Self { newest: first, received: 1, expected: 1 }
    }

    pub(super) const fn newest(&self) -> i64 {
        self.newest
    }

    /// Notes an arrival. `None` if it is a duplicate, otherwise how many older blocks are now given up as lost.
    pub(super) const fn note(&mut self, seq: i64) -> Option<u32> {
        if seq > self.newest {
            let steps = seq - self.newest;
            self.newest = seq;
            let missing = self.expected & !self.received;
            if steps >= 128 {
                self.received = 1;
                self.expected = u128::MAX;
                return Some(missing.count_ones() + (steps - 128) as u32);
            }
            self.received = (self.received << steps) | 1;
            self.expected = (self.expected << steps) | ((1 << steps) - 1);
            return Some((missing >> (128 - steps)).count_ones());
        }
        let age = self.newest - seq;
        if age >= 128 {
            return Some(0);
        }
        let bit = 1_u128 << age;
        if self.received & bit != 0 {
            return None;
        }
        self.received |= bit;
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_holds_the_block_that_was_stored_last() {
        let mut ring = Ring::new(2);
        ring.store(5, &[1, 2]);
        assert!(ring.contains(5));
        ring.store(5 + SLOTS as i64, &[3, 4]);
        assert!(!ring.contains(5));
        assert!(ring.take(5 + SLOTS as i64));
        assert!(!ring.take(5 + SLOTS as i64));
        assert_eq!(ring.bytes(5 + SLOTS as i64), [3, 4]);
    }

    #[test]
    fn a_block_of_another_size_is_not_stored() {
        let mut ring = Ring::new(2);
        ring.store(5, &[1, 2, 3]);
        assert!(!ring.contains(5));
    }

    #[test]
    fn duplicates_are_recognised_and_losses_counted_once_they_are_old() {
        let mut seen = Seen::starting_with(10);
        assert_eq!(seen.note(10), None);
        assert_eq!(seen.note(9), Some(0), "overtaken by the first");
        assert_eq!(seen.note(13), Some(0));
        assert_eq!(seen.note(11), Some(0), "late, not lost");
        assert_eq!(seen.note(11), None);
        assert_eq!(seen.note(13), None);
        // 12 never came: it is given up when it is 128 behind.
        let lost: u32 = (14..=139).map(|seq| seen.note(seq).unwrap()).sum();
        assert_eq!(lost, 0);
        assert_eq!(seen.note(140), Some(1));
        assert_eq!(seen.note(140 + 300), Some(300 - 128));
    }
}
