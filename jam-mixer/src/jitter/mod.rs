//! The jitter buffer of a server channel (spec 4).
//!
//! A musician's blocks arrive with jitter, out of order, twice or never; the mixer takes exactly one block per block
//! period. Between them stands a [`JitterBuffer`]: [`put`](JitterBuffer::put) every datagram,
//! [`get`](JitterBuffer::get) once per block period.
//!
//! ```text
//!  datagram ──put──▶ slots by sequence number ──get──▶ Slot::Block | Slot::Splice | Slot::Lost
//!                │                              ▲
//!                └─▶ histogram of lateness ─────┘ moves the play position, seldom and by single blocks
//! ```
//!
//! The buffer has no clock. Its unit of time is the get: a block that was put before the `g`-th get and carries the
//! sequence number `q` has the *lateness* `g - q`, and played with the offset `p` exactly the blocks with a lateness
//! of at most `p` are in time. That makes the choice of `p` a matter of counting, whatever the tick of the server
//! (64 or 128 samples), the block length and the number of blocks in a datagram. Blocks that never arrive have no
//! lateness: loss does not enlarge the buffer.
//!
//! **Automatic size.** The offset rises when that saves at least [`delay_price`](JitterConfig::delay_price) of all
//! blocks per block of delay, judged after every late block over the last seconds; it falls, by one spliced block,
//! when the same price says so with half the weight, over a window of 1 s after the start, 2 s later on and up to
//! 8 s on links where a fall has been regretted. `docs/jitter-buffer.md` has the whole story and measurements.
//!
//! **Manual size `n`.** No block ever waits longer than `n - 1` block periods; the offset starts at 2.7 ms,
//! late blocks push it towards `n - 1`, and it returns when 8 s have not needed it. `n` is raised to what a datagram or a tick
//! brings at once, because a smaller buffer could not pass the stream at all.
//!
//! # Examples
//!
//! ```
//! use jam_mixer::jitter::{JitterBuffer, JitterConfig, Put, Slot};
//! use jam_proto::{AudioProps, BlockCodec, BlockFactor, JitterSize, Layout, Sequence};
//!
//! let props = AudioProps {
//!     codec: BlockCodec::Opus,
//!     layout: Layout::Mono,
//!     block_bytes: 2,
//!     factor: BlockFactor::One,
//!     sequence: Sequence::With,
//! };
//! let mut buffer = JitterBuffer::new(&props, 1, JitterSize::Blocks(1), &JitterConfig::default());
//! assert_eq!(buffer.put(&[10, 11, 200], None), Put::Stored); // block [10, 11] with sequence byte 200
//! assert_eq!(buffer.get(), Slot::Block(&[10, 11]));
//! assert_eq!(buffer.get(), Slot::Lost);
//! ```

mod buffer;
mod lateness;
mod ring;

pub use buffer::JitterBuffer;

/// What the mixer gets for one block period.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Slot<'a> {
    /// The next block.
    Block(&'a [u8]),
    /// The buffer gets one block shorter: decode both in this order and cross-fade from the first into the second
    /// ([`splice`]), so that one block period of output comes from two blocks.
    Splice {
        /// The block that gives up its place; `None` is a lost block, to be concealed.
        first: Option<&'a [u8]>,
        /// The block after it.
        second: &'a [u8],
    },
    /// Nothing in time: conceal.
    Lost,
}

/// What became of a datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Put {
    /// At least one of its blocks is in the buffer.
    Stored,
    /// All its blocks came too late, twice, or from far outside the expected sequence numbers.
    Unused,
    /// It does not have the size of the announced format (spec 3.4); nothing was read.
    WrongSize,
}

/// What tunes the automatic size.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct JitterConfig {
    /// The share of all blocks that one more block of delay must save from being late. Default 0.002, which leaves
    /// about 0.05 % of the blocks late under random jitter. Clamped to 0.00001..=0.1.
    pub delay_price: f32,
    /// The largest automatic size in blocks, 1..=20 (clamped). Default 20.
    pub auto_size_max: u8,
}

impl Default for JitterConfig {
    fn default() -> Self {
        Self { delay_price: 0.002, auto_size_max: 20 }
    }
}

/// Counters of one buffer since it was made. Blocks unless the name says otherwise.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct JitterStats {
    /// Blocks of datagrams of the right size.
    pub blocks_received: u64,
    /// Sequence numbers that did not arrive within 128 blocks. Always 0 without sequence numbers.
    pub blocks_lost: u64,
    /// Blocks that arrived when their turn was over and could not be used.
    pub blocks_late: u64,
    /// Blocks that had been received before.
    pub blocks_duplicate: u64,
    /// Blocks in time that were given up to shorten the delay (the first of a splice, or pushed out).
    pub blocks_dropped: u64,
    /// Blocks too far from the expected sequence numbers to be used.
    pub blocks_stray: u64,
    /// Block periods without a block while the stream was running.
    pub blocks_concealed: u64,
    /// Block periods before the first block or during a pause.
    pub blocks_idle: u64,
    /// Block periods skipped by the mixer ([`JitterBuffer::skip`]).
    pub blocks_skipped: u64,
    /// Datagrams of another size than announced.
    pub datagrams_wrong_size: u64,
    /// Times the play position was set anew: start, after a pause, after a jump of the sender.
    pub resyncs: u64,
}

/// Cross-fades one block of interleaved samples from `first` into `second`, in place in `second` (linear).
///
/// Both hold the same number of samples of `sides` sides; what is longer is left as it is.
pub fn splice(first: &[i16], second: &mut [i16], sides: usize) {
    let sides = sides.max(1);
    let steps = (second.len() / sides).max(1) as i32;
    for (step, (old, new)) in first.chunks_exact(sides).zip(second.chunks_exact_mut(sides)).enumerate() {
        let weight = step as i32 + 1;
        for (&old, new) in old.iter().zip(new) {
            *new = ((i32::from(old) * (steps - weight) + i32::from(*new) * weight) / steps) as i16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_splice_starts_in_the_first_block_and_ends_in_the_second() {
        let mut second = [1000_i16, -1000, 1000, -1000, 1000, -1000, 1000, -1000];
        splice(&[0; 8], &mut second, 2);
        assert_eq!(second, [250, -250, 500, -500, 750, -750, 1000, -1000]);
    }

    #[test]
    fn a_splice_of_full_scale_does_not_overflow() {
        let mut second = [i16::MIN; 128];
        splice(&[i16::MAX; 128], &mut second, 1);
        assert_eq!(second[127], i16::MIN);
        assert!(second.windows(2).all(|pair| pair[1] <= pair[0]));
    }
}
