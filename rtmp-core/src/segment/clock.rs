//! The time a viewer is told.

use crate::{MediaKind, Timestamp};

/// What to add to the times of a stream so that they go on where its source jumped, in milliseconds modulo 2^32.
///
/// Segments hold the times of the source and this beside them, so the same bytes serve viewers that want the times
/// as they are and viewers that want them without jumps.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Correction {
    /// Makes up for all jumps.
    pub jumps: i32,
    /// Makes up for changes of the source only.
    pub sources: i32,
}

/// How a viewer's times come from those of the stream (spec 9.6 of the edge).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TimePolicy {
    /// Moved by so many milliseconds, jumps and all.
    Shifted(i32),
    /// The first audio or video message is at 0; jumps are kept unless the source changes. Never below 0: an earlier
    /// message moves the start. Data messages are at 0.
    FromZero,
    /// Near 0 at the start (a stream that begins at up to 250 ms begins one millisecond earlier, any other at 9 ms)
    /// and without jumps. Never below 0, and data messages at 0, as above.
    Smooth,
}

/// Tells one viewer the times of a stream.
///
/// ```
/// use rtmp_core::segment::{Clock, Correction, TimePolicy};
/// use rtmp_core::{MediaKind, Timestamp};
///
/// let mut clock = Clock::new(TimePolicy::Smooth);
/// let none = Correction::default();
/// let mut video = |millis, correction| {
///     clock.time(MediaKind::Video, Timestamp::from_millis(millis), correction).millis()
/// };
/// assert_eq!(video(5_000, none), 9);
/// assert_eq!(video(5_040, none), 49);
/// assert_eq!(video(90_000, Correction { jumps: -84_950, sources: 0 }), 59);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    policy: TimePolicy,
    /// Viewer's time minus corrected time, once there was a message.
    shift: Option<i32>,
    /// The last time was so late that a set top bit does not mean a time below 0.
    is_late: bool,
    /// The latest time told of audio and video.
    latest: Timestamp,
    /// What was left out in front of the next message leaves no gap.
    closes_gap: bool,
}

/// What SRS calls a jump counts against time 0, too.
const SMALL_START: u32 = 250;
const START: u32 = 9;
/// A gap is a step of more milliseconds, and becomes a step of so many.
const GAP: i32 = 250;
const STEP: i32 = 10;
/// Times from here on, 12.4 days, are late.
const LATE: u32 = 1 << 30;

impl Clock {
    /// A clock in front of the first message.
    pub fn new(policy: TimePolicy) -> Self {
        let shift = match policy {
            TimePolicy::Shifted(shift) => Some(shift),
            TimePolicy::FromZero | TimePolicy::Smooth => None,
        };
        Self { policy, shift, is_late: false, latest: Timestamp::ZERO, closes_gap: false }
    }

    /// The policy.
    pub fn policy(&self) -> TimePolicy {
        self.policy
    }

    /// The viewer's time of the next message, which has `timestamp` in the stream.
    pub fn time(&mut self, kind: MediaKind, timestamp: Timestamp, correction: Correction) -> Timestamp {
        let corrected = timestamp.shifted(self.correction(correction));
        match (self.policy, kind) {
            (TimePolicy::Shifted(shift), _) => return timestamp.shifted(shift),
            (TimePolicy::FromZero | TimePolicy::Smooth, MediaKind::Data) => return Timestamp::ZERO,
            (TimePolicy::FromZero | TimePolicy::Smooth, MediaKind::Audio | MediaKind::Video) => {}
        }
        let mut shift = self.shift.unwrap_or_else(|| self.start(timestamp).since(corrected));
        if std::mem::take(&mut self.closes_gap) && self.shift.is_some() && self.policy == TimePolicy::Smooth {
            let step = corrected.shifted(shift).since(self.latest);
            if step > GAP {
                shift = shift.wrapping_sub(step).wrapping_add(STEP);
            }
        }
        let mut time = corrected.shifted(shift);
        self.shift = Some(shift);
        if self.is_below_zero(time) {
            self.shift = Some(Timestamp::ZERO.since(corrected));
            time = Timestamp::ZERO;
        }
        self.is_late = time.millis() >= LATE;
        if time.since(self.latest) > 0 {
            self.latest = time;
        }
        time
    }

    /// The viewer itself wanted nothing for a while: with [`TimePolicy::Smooth`] the next audio or video goes on where
    /// the last one was, in its time. The other policies show what was left out.
    pub fn close_gap(&mut self) {
        self.closes_gap = true;
    }

    /// Goes on with another policy: without a step from now on when that one corrects times, else at the stream's own
    /// times. `now` is the correction of the next message.
    pub fn change(&mut self, policy: TimePolicy, now: Correction) {
        let before = self.correction(now);
        self.policy = policy;
        self.shift = match policy {
            TimePolicy::Shifted(shift) => Some(shift),
            _ => self.shift.map(|shift| shift.wrapping_add(before).wrapping_sub(self.correction(now))),
        };
    }

    /// Whether a message of `kind` is told a time of its own, whatever the time of the one before.
    pub(super) fn is_fixed(&self, kind: MediaKind) -> bool {
        kind == MediaKind::Data && !matches!(self.policy, TimePolicy::Shifted(_))
    }

    /// Whether the clock would stay as it is at a message of this time, and which time it would tell.
    pub(super) fn steady_time(
        &self,
        kind: MediaKind,
        timestamp: Timestamp,
        correction: Correction,
    ) -> Option<Timestamp> {
        let mut next = *self;
        let time = next.time(kind, timestamp, correction);
        (next.shift == self.shift).then_some(time)
    }

    pub(super) fn has_same_base(&self, other: &Self) -> bool {
        self.shift == other.shift
    }

    fn correction(&self, correction: Correction) -> i32 {
        match self.policy {
            TimePolicy::Shifted(_) => 0,
            TimePolicy::FromZero => correction.sources,
            TimePolicy::Smooth => correction.jumps,
        }
    }

    fn start(&self, first: Timestamp) -> Timestamp {
        match self.policy {
            TimePolicy::Smooth if first.millis() > SMALL_START => Timestamp::from_millis(START),
            TimePolicy::Smooth => Timestamp::from_millis(first.millis().saturating_sub(1)),
            TimePolicy::FromZero | TimePolicy::Shifted(_) => Timestamp::ZERO,
        }
    }

    fn is_below_zero(&self, time: Timestamp) -> bool {
        !self.is_late && time.since(Timestamp::ZERO) < 0
    }
}
