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
        let Some(last) = self.last.replace(timestamp) else { return self.correction };
        let step = timestamp.since(last);
        let instead = STEP.wrapping_sub(step);
        let Correction { jumps, sources } = &mut self.correction;
        if is_new {
            *sources = sources.wrapping_add(instead);
        }
        if is_new || step.unsigned_abs() > STEP_MAX {
            *jumps = jumps.wrapping_add(instead);
        }
        self.correction
    }
}
