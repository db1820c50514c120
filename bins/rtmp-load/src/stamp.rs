//! What each frame carries besides filler: who sent it when, as which one, and a checksum.

use std::ops::Range;

use crate::clock::Nanos;

/// Bytes of a stamp at the front of a frame's coded data.
pub(crate) const STAMP_BYTES: usize = 36;

const MAGIC: [u8; 4] = *b"RLS1";
const CHECKSUM: Range<usize> = 32..36;

/// The stamp of one frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Stamp {
    /// Number of the stream in the run, so that a viewer notices frames of another one.
    pub(crate) stream: u16,
    /// Number of the publisher's connection: it grows when the publisher comes back.
    pub(crate) epoch: u16,
    /// Counts the frames of this kind.
    pub(crate) sequence: u64,
    /// When it was sent.
    pub(crate) sent: Nanos,
    /// Media time the publisher gave it, in milliseconds.
    pub(crate) timestamp: u32,
}

impl Stamp {
    /// Writes the stamp over the front of `coded` and the checksum of everything behind it.
    pub(crate) fn put(&self, coded: &mut [u8]) {
        let (stamp, rest) = coded.split_at_mut(STAMP_BYTES);
        stamp[..4].copy_from_slice(&MAGIC);
        stamp[4..6].copy_from_slice(&self.stream.to_be_bytes());
        stamp[6..8].copy_from_slice(&self.epoch.to_be_bytes());
        stamp[8..16].copy_from_slice(&self.sequence.to_be_bytes());
        stamp[16..24].copy_from_slice(&self.sent.0.to_be_bytes());
        stamp[24..28].copy_from_slice(&self.timestamp.to_be_bytes());
        stamp[28..32].copy_from_slice(&(rest.len() as u32).to_be_bytes());
        let sum = checksum(&stamp[..CHECKSUM.start], rest);
        stamp[CHECKSUM].copy_from_slice(&sum.to_be_bytes());
    }

    /// The stamp at the front of `coded`; `None` when this is not a frame of this program.
    pub(crate) fn read(coded: &[u8]) -> Option<Self> {
        let stamp = coded.get(..STAMP_BYTES)?;
        if stamp[..4] != MAGIC {
            return None;
        }
        Some(Self {
            stream: u16::from_be_bytes([stamp[4], stamp[5]]),
            epoch: u16::from_be_bytes([stamp[6], stamp[7]]),
            sequence: u64::from_be_bytes(stamp[8..16].try_into().ok()?),
            sent: Nanos(i64::from_be_bytes(stamp[16..24].try_into().ok()?)),
            timestamp: u32::from_be_bytes(stamp[24..28].try_into().ok()?),
        })
    }

    /// Whether all bytes of a frame are those that were sent.
    pub(crate) fn is_intact(coded: &[u8]) -> bool {
        let Some((stamp, rest)) = coded.split_at_checked(STAMP_BYTES) else { return false };
        stamp[28..32] == (rest.len() as u32).to_be_bytes()
            && stamp[CHECKSUM] == checksum(&stamp[..CHECKSUM.start], rest).to_be_bytes()
    }
}

fn checksum(stamp: &[u8], rest: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(stamp);
    sum.update(rest);
    sum.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_comes_back_and_any_change_is_noticed() {
        let stamp = Stamp {
            stream: 3,
            epoch: 2,
            sequence: 1 << 40,
            sent: Nanos(1_700_000_000_123_456_789),
            timestamp: 90_000,
        };
        let mut coded = vec![0xa5; 200];
        stamp.put(&mut coded);
        assert_eq!(Stamp::read(&coded), Some(stamp));
        assert!(Stamp::is_intact(&coded));
        assert!(!Stamp::is_intact(&coded[..199]), "cut");
        for at in 4..200 {
            coded[at] ^= 1;
            assert!(!Stamp::is_intact(&coded), "byte {at}");
            coded[at] ^= 1;
        }
        coded[0] = 0;
        assert_eq!(Stamp::read(&coded), None, "another program's frame");
        assert_eq!(Stamp::read(&[0; 8]), None);
    }
}
