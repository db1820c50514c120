//! A virtual player: when the next picture should be on the screen, and whether it had come by then.

use rtmp_core::Timestamp;

use crate::clock::Nanos;

/// Starts with the first picture once its buffer's time has passed, and waits whenever it runs dry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Playout {
    buffer: Nanos,
    /// When the picture with this media time is shown.
    anchor: Option<(Nanos, Timestamp)>,
}

impl Playout {
    pub(crate) fn new(buffer: Nanos) -> Self {
        Self { buffer, anchor: None }
    }

    /// A picture came; how many nanoseconds too late, if it was.
    pub(crate) fn take(&mut self, timestamp: Timestamp, now: Nanos) -> Option<i64> {
        let Some((shown, of)) = self.anchor else {
            self.anchor = Some((Nanos(now.0 + self.buffer.0), timestamp));
            return None;
        };
        let due = Nanos(shown.0 + i64::from(timestamp.since(of)) * 1_000_000);
        let late = now.since(due);
        // Everything behind a late picture is shown later too.
        let shown = if late > 0 { now } else { due };
        self.anchor = Some((shown, timestamp));
        (late > 0).then_some(late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_player_stalls_when_its_buffer_is_used_up_and_then_goes_on() {
        let mut playout = Playout::new(Nanos(500_000_000));
        let mut at =
            |media: u32, wall: i64| playout.take(Timestamp::from_millis(media), Nanos(wall * 1_000_000));
        assert_eq!(at(40_000, 0), None);
        assert_eq!(at(40_040, 539), None, "still in the buffer");
        assert_eq!(at(40_080, 600), Some(20_000_000), "should have been shown at 580");
        assert_eq!(at(40_120, 640), None, "the player waited, so this is in time");
        assert_eq!(at(40_160, 681), Some(1_000_000));
    }
}
