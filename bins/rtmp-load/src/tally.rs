//! What all viewers of a thread experienced.

use std::collections::BTreeMap;

use crate::histogram::Histogram;
use crate::judge::{Faults, Given};

/// Faults told in words.
pub(crate) const EXAMPLES_MAX: usize = 8;

/// Sums over viewers; threads' tallies are merged at the end.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// From sending a frame to receiving it, while measuring, of viewers that keep up.
    pub(crate) latency: Histogram,
    /// The same, pictures only.
    pub(crate) video_latency: Histogram,
    /// From the beginning of the TCP connection to the first key frame.
    pub(crate) startup: Histogram,
    /// The same from the moment it was to join: what this program needs to begin with all of them counts, too.
    pub(crate) since_due: Histogram,
    /// Age of that key frame: how far behind the publisher a player that skips nothing stays.
    pub(crate) delay: Histogram,
    /// Connections begun.
    pub(crate) begun: u64,
    /// Viewers that got their first key frame, or first sound of a stream without pictures.
    pub(crate) started: u64,
    /// Viewers that left by themselves.
    pub(crate) left: u64,
    /// Refusals, by status.
    pub(crate) refused: BTreeMap<String, u64>,
    /// Connections that ended without the viewer's will, by cause.
    pub(crate) lost: BTreeMap<String, u64>,
    /// Times the server said that the stream is over.
    pub(crate) ended: u64,
    pub(crate) bytes: u64,
    pub(crate) faults: Faults,
    /// The first faults of the first viewers that had any.
    pub(crate) examples: Vec<String>,
    pub(crate) given: Given,
    /// What of `given` and `lost` concerns the viewers that stop reading or read slowly.
    pub(crate) slow: Slow,
}

/// Viewers that cannot keep up on purpose.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Slow {
    pub(crate) viewers: u64,
    /// Of those that stopped, how many received something after they went on.
    pub(crate) resumed: u64,
    pub(crate) disconnected: u64,
    pub(crate) resyncs: u64,
    pub(crate) skipped: u64,
}

impl Tally {
    pub(crate) fn merge(&mut self, other: Self) {
        self.latency.merge(&other.latency);
        self.video_latency.merge(&other.video_latency);
        self.startup.merge(&other.startup);
        self.since_due.merge(&other.since_due);
        self.delay.merge(&other.delay);
        self.begun += other.begun;
        self.started += other.started;
        self.left += other.left;
        for (mine, theirs) in [(&mut self.refused, other.refused), (&mut self.lost, other.lost)] {
            for (cause, count) in theirs {
                *mine.entry(cause).or_default() += count;
            }
        }
        self.ended += other.ended;
        self.bytes += other.bytes;
        self.faults.add(&other.faults);
        self.examples.extend(other.examples);
        self.examples.truncate(EXAMPLES_MAX);
        self.given.add(&other.given);
        self.slow.viewers += other.slow.viewers;
        self.slow.resumed += other.slow.resumed;
        self.slow.disconnected += other.slow.disconnected;
        self.slow.resyncs += other.slow.resyncs;
        self.slow.skipped += other.slow.skipped;
    }
}
