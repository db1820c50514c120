//! Recognising a stream that comes again over another connection (spec 5.3).
//!
//! When an origin is lost, the next connection begins with the origin's GOP cache: pictures and sound that viewers have
//! had. They are left out, and what follows them goes on without a step in time and without waiting for a key frame.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rtmp_core::media::MediaRole;
use rtmp_core::{Media, MediaKind, Timestamp};

/// Messages remembered: more than ten seconds of pictures and sound.
const RECENT_MAX: usize = 1024;
/// A connection that repeats for longer is one of another stream that looks alike, or too far behind.
const REPEAT_MAX: Duration = Duration::from_secs(10);
/// Bytes kept of what is left out: as much as a GOP cache holds by default.
const LEFT_OUT_BYTES_MAX: usize = 32 << 20;
/// Bytes that are compared at the beginning, in the middle and at the end of a payload.
const SAMPLE: usize = 64;
/// Smaller key frames are too much like each other.
const KEY_BYTES_MIN: usize = 64;

/// What is to be done with a message of a source that came again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// Viewers have not had it.
    New,
    /// Viewers have had it.
    Repeated,
    /// It does not belong to what they have had: this is another source after all.
    Differs,
}

/// The latest frames of a stream, and where in them a source is that came again.
#[derive(Debug, Default)]
pub(super) struct Overlap {
    recent: VecDeque<Mark>,
    /// The newest one of sound and of pictures.
    newest: [Option<Mark>; 2],
    /// The source tells other times for the same frames than the one before it: by so much they are moved.
    shift: i32,
    repeats: Option<Repeats>,
}

#[derive(Debug)]
struct Repeats {
    until: Instant,
    /// Whether sound and pictures have come to what is new.
    is_past: [bool; 2],
    /// What was left out so far, as it came, and its bytes.
    left_out: Vec<Media>,
    bytes: usize,
}

/// A frame, as far as it takes to know it again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Mark {
    is_video: bool,
    timestamp: Timestamp,
    len: usize,
    digest: u64,
}

impl Mark {
    fn of(media: &Media, timestamp: Timestamp) -> Self {
        let is_video = media.kind == MediaKind::Video;
        Self { is_video, timestamp, len: media.payload.len(), digest: digest(&media.payload) }
    }

    fn is_like(&self, other: &Self) -> bool {
        Self { timestamp: other.timestamp, ..*self } == *other
    }
}

/// FNV-1a of samples. Whoever forges it is the origin, and harms its own stream alone.
fn digest(payload: &[u8]) -> u64 {
    let middle = (payload.len() / 2).min(payload.len().saturating_sub(SAMPLE));
    let samples = [0, middle, payload.len().saturating_sub(SAMPLE)];
    let bytes = samples.into_iter().flat_map(|from| payload.iter().skip(from).take(SAMPLE));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl Overlap {
    /// A source begins, after another one was lost: whether its first frame is one that viewers have had. Only key
    /// frames tell, because sound often repeats itself.
    pub(super) fn recognise(&mut self, now: Instant, first: &Media) -> bool {
        self.repeats = None;
        if first.role() != MediaRole::KeyFrame || first.payload.len() < KEY_BYTES_MIN {
            return false;
        }
        let mark = Mark::of(first, first.timestamp);
        let Some(had) = self.recent.iter().rev().find(|had| had.is_like(&mark)) else { return false };
        self.shift = had.timestamp.since(mark.timestamp);
        self.repeats =
            Some(Repeats { until: now + REPEAT_MAX, is_past: [false; 2], left_out: Vec::new(), bytes: 0 });
        true
    }

    /// What was left out of a source that is another one after all.
    pub(super) fn into_left_out(self) -> Vec<Media> {
        self.repeats.map(|repeats| repeats.left_out).unwrap_or_default()
    }

    /// The time of a message in the stream.
    pub(super) fn time(&self, timestamp: Timestamp) -> Timestamp {
        timestamp.shifted(self.shift)
    }

    /// Whether viewers have had this frame, as it came from the source.
    pub(super) fn judge(&mut self, now: Instant, media: &Media) -> Verdict {
        let Some(repeats) = &mut self.repeats else { return Verdict::New };
        let mark = Mark::of(media, media.timestamp.shifted(self.shift));
        let kind = usize::from(mark.is_video);
        let (Some(is_past), Some(newest)) = (repeats.is_past.get_mut(kind), self.newest.get(kind)) else {
            return Verdict::New;
        };
        if *is_past {
            return Verdict::New;
        }
        let is_behind = newest.is_none_or(|newest| mark.timestamp.since(newest.timestamp) > 0);
        if now < repeats.until && self.recent.contains(&mark) {
            *is_past = *newest == Some(mark);
            repeats.bytes += mark.len;
            if repeats.left_out.len() >= RECENT_MAX || repeats.bytes > LEFT_OUT_BYTES_MAX {
                return Verdict::Differs;
            }
            repeats.left_out.push(media.clone());
            if repeats.is_past == [true; 2] {
                self.repeats = None;
            }
            return Verdict::Repeated;
        }
        if !is_behind {
            return Verdict::Differs;
        }
        *is_past = true;
        if repeats.is_past == [true; 2] {
            self.repeats = None;
        }
        Verdict::New
    }

    /// Viewers get this frame.
    pub(super) fn note(&mut self, media: &Media) {
        let mark = Mark::of(media, media.timestamp);
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(mark);
        if let Some(newest) = self.newest.get_mut(usize::from(mark.is_video)) {
            *newest = Some(mark);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "any instant serves as the start of virtual time")]
    use super::*;
    use bytes::Bytes;

    fn key(millis: u32, megabytes: usize) -> Media {
        let payload = Bytes::from([&[0x17, 1, 0, 0, 0][..], &vec![7; megabytes << 20]].concat());
        Media { kind: MediaKind::Video, timestamp: Timestamp::from_millis(millis), payload }
    }

    #[test]
    fn what_is_left_out_is_bounded() {
        let now = Instant::now();
        let mut overlap = Overlap::default();
        let frames = [key(0, 15), key(40, 14), key(80, 13), key(120, 12)];
        frames.iter().for_each(|frame| overlap.note(frame));
        assert!(overlap.recognise(now, &frames[0]));
        let verdicts: Vec<Verdict> = frames.iter().map(|frame| overlap.judge(now, frame)).collect();
        assert_eq!(verdicts[..3], [Verdict::Repeated, Verdict::Repeated, Verdict::Differs]);
        assert_eq!(overlap.into_left_out(), frames[..2]);
    }

    #[test]
    fn only_the_latest_frames_are_remembered() {
        let mut overlap = Overlap::default();
        let frame = |n: u32| Media { timestamp: Timestamp::from_millis(n * 40), ..key(0, 0) };
        let tell = |n: u32| {
            let payload = Bytes::from([&[0x17, 1, 0, 0, 0][..], &[9; 80], &n.to_be_bytes()].concat());
            Media { payload, ..frame(n) }
        };
        (0..RECENT_MAX as u32 + 10).for_each(|n| overlap.note(&tell(n)));
        assert_eq!(overlap.recent.len(), RECENT_MAX);
        assert!(!overlap.recognise(Instant::now(), &tell(9)));
        assert!(overlap.recognise(Instant::now(), &tell(10)));
    }
}
