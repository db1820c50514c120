//! Recognising jumps of the source (spec 9.6).

use rtmp_core::Timestamp;
use rtmp_core::segment::Correction;

/// A step of more milliseconds, forwards or backwards, is a jump.
const STEP_MAX: u32 = 250;
/// What a jump is replaced with.
const STEP: i32 = 10;

/// Follows the times of audio and video and says how to correct them.
#[derive(Debug, Default)]
pub(super) struct Jitter {
    last: Option<Timestamp>,
    /// The latest time of those near `last`. Sound and pictures overtake each other by some milliseconds; another source
    /// goes on behind both.
    reached: Timestamp,
    correction: Correction,
    source_is_new: bool,
}

impl Jitter {
    /// Another source begins; whatever its times are, they do not follow.
    pub(super) fn begin(&mut self) {
        self.source_is_new = true;
    }

    /// The correction of the next audio or video message and of those behind it.
    pub(super) fn follow(&mut self, timestamp: Timestamp) -> Correction {
        let is_new = std::mem::take(&mut self.source_is_new);
        let Some(last) = self.last.replace(timestamp) else {
            self.reached = timestamp;
            return self.correction;
        };
        let step = timestamp.since(last);
        let ahead = timestamp.since(self.reached);
        let is_jump = step.unsigned_abs() > STEP_MAX;
        let Correction { jumps, sources } = &mut self.correction;
        if is_new {
            let instead = STEP.wrapping_sub(ahead);
            *sources = sources.wrapping_add(instead);
            *jumps = jumps.wrapping_add(instead);
        } else if is_jump {
            *jumps = jumps.wrapping_add(STEP.wrapping_sub(step));
        }
        // Many small steps back lead away from what was reached once.
        if is_new || is_jump || ahead > 0 || ahead.unsigned_abs() > STEP_MAX {
            self.reached = timestamp;
        }
        self.correction
    }
}
