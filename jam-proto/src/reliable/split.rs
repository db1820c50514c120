//! Reassembly of split messages (spec 1.6).

use crate::message::id;

/// Body bytes of one part, except the last.
pub(super) const PART_BYTES: usize = 550;
/// A message cannot be longer than this many parts.
pub(super) const PARTS_MAX: usize = 36;
/// Shipped receivers assemble into a buffer of this size.
const ASSEMBLY_BYTES_MAX: usize = 20_000;

/// How many parts a body needs; `None` if it travels whole.
pub(super) fn parts_of(body_bytes: usize) -> Option<u8> {
    let parts = body_bytes.div_ceil(PART_BYTES);
    if (2..=PARTS_MAX).contains(&parts) { u8::try_from(parts).ok() } else { None }
}

/// A split message on its way in.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    id: u16,
    total: u8,
    next: u8,
    body: Vec<u8>,
}

/// What a part led to.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Part {
    /// More parts are missing.
    Stored,
    /// This was the last one.
    Complete { id: u16, body: Vec<u8> },
    /// The part makes no sense here; whatever was assembled is gone.
    Refused,
}

impl Assembly {
    /// Forgets what has been assembled.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.body.capacity()
    }

    /// Takes the body of one part.
    ///
    /// Two improvements over shipped programs: a part with index 0 always starts over, and the message's number and
    /// part count must stay the same.
    pub(super) fn push(&mut self, part: &[u8]) -> Part {
        let Some((&[id_lo, id_hi, total, index], data)) = part.split_first_chunk::<4>() else {
            self.clear();
            return Part::Refused;
        };
        let message_id = u16::from_le_bytes([id_lo, id_hi]);
        if index == 0 {
            self.clear();
            (self.id, self.total) = (message_id, total);
        }
        let fits = index < total
            && usize::from(total) <= PARTS_MAX
            && self.body.len().saturating_add(data.len()) <= ASSEMBLY_BYTES_MAX
            && !matches!(message_id, id::ACKN | id::SPLIT);
        if !fits || (self.id, self.total, self.next) != (message_id, total, index) {
            self.clear();
            return Part::Refused;
        }
        self.body.extend_from_slice(data);
        self.next = self.next.saturating_add(1);
        if self.next < total {
            return Part::Stored;
        }
        let body = std::mem::take(&mut self.body);
        self.clear();
        Part::Complete { id: message_id, body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(id: u16, total: u8, index: u8, data: &[u8]) -> Vec<u8> {
        let [lo, hi] = id.to_le_bytes();
        [&[lo, hi, total, index], data].concat()
    }

    #[test]
    fn parts_in_order_make_the_message() {
        let mut assembly = Assembly::default();
        assert_eq!(assembly.push(&part(18, 2, 0, b"ab")), Part::Stored);
        assert_eq!(assembly.push(&part(18, 2, 1, b"c")), Part::Complete { id: 18, body: b"abc".to_vec() });
        assert_eq!(assembly.push(&part(24, 1, 0, b"x")), Part::Complete { id: 24, body: b"x".to_vec() });
    }

    #[test]
    fn a_first_part_starts_over() {
        let mut assembly = Assembly::default();
        assert_eq!(assembly.push(&part(18, 3, 0, b"old")), Part::Stored);
        assert_eq!(assembly.push(&part(24, 2, 0, b"new ")), Part::Stored);
        assert_eq!(
            assembly.push(&part(24, 2, 1, b"one")),
            Part::Complete { id: 24, body: b"new one".to_vec() }
        );
    }

    #[test]
    fn parts_that_do_not_continue_are_refused_and_forget_the_rest() {
        for wrong in
            [part(18, 3, 2, b""), part(24, 3, 1, b""), part(18, 4, 1, b""), part(18, 1, 1, b""), vec![18]]
        {
            let mut assembly = Assembly::default();
            assert_eq!(assembly.push(&part(18, 3, 0, b"x")), Part::Stored);
            assert_eq!(assembly.push(&wrong), Part::Refused, "{wrong:?}");
            assert_eq!(assembly.push(&part(18, 3, 1, b"y")), Part::Refused);
        }
    }

    #[test]
    fn bounds_hold() {
        let mut assembly = Assembly::default();
        assert_eq!(assembly.push(&part(18, 37, 0, b"")), Part::Refused);
        assert_eq!(assembly.push(&part(18, 0, 0, b"")), Part::Refused);
        assert_eq!(assembly.push(&part(2001, 1, 0, b"")), Part::Refused);
        assert_eq!(assembly.push(&part(1, 1, 0, b"")), Part::Refused);
        assert_eq!(assembly.push(&part(18, 2, 0, &[0; 12_000])), Part::Stored);
        assert_eq!(assembly.push(&part(18, 2, 1, &[0; 12_000])), Part::Refused);
    }

    #[test]
    fn only_bodies_above_one_part_are_split() {
        assert_eq!(parts_of(0), None);
        assert_eq!(parts_of(550), None);
        assert_eq!(parts_of(551), Some(2));
        assert_eq!(parts_of(36 * 550), Some(36));
        assert_eq!(parts_of(36 * 550 + 1), None);
    }
}
