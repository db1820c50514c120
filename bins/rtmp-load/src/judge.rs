//! What a viewer holds the server to, message by message.

use rtmp_core::media::MediaRole;
use rtmp_core::{Media, MediaKind, Timestamp};

use crate::clock::Nanos;
use crate::playout::Playout;
use crate::source::coded;
use crate::stamp::Stamp;

/// What went wrong, counted. None of it may happen, however slow the viewer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Faults {
    /// A frame came although its codec's sequence header had not.
    pub(crate) before_header: u64,
    /// The first picture of a viewer or after a new beginning was not a key frame.
    pub(crate) before_key: u64,
    /// Pictures are missing and what follows is no key frame, or sound is missing and no picture is.
    pub(crate) gaps: u64,
    /// Frames missing in those gaps.
    pub(crate) lost: u64,
    /// A frame came again, or behind one that was sent after it.
    pub(crate) repeated: u64,
    /// Media time went backwards within a lane.
    pub(crate) backwards: u64,
    /// Within one unbroken run of frames, media time moved against the publisher's.
    pub(crate) shifted: u64,
    /// The checksum is wrong.
    pub(crate) corrupt: u64,
    /// A frame of another stream, or of the publisher's earlier connection.
    pub(crate) foreign: u64,
}

impl Faults {
    /// Name and count of each.
    pub(crate) fn list(&self) -> [(&'static str, u64); 9] {
        [
            ("before_header", self.before_header),
            ("before_key", self.before_key),
            ("gaps", self.gaps),
            ("lost", self.lost),
            ("repeated", self.repeated),
            ("backwards", self.backwards),
            ("shifted", self.shifted),
            ("corrupt", self.corrupt),
            ("foreign", self.foreign),
        ]
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.before_header += other.before_header;
        self.before_key += other.before_key;
        self.gaps += other.gaps;
        self.lost += other.lost;
        self.repeated += other.repeated;
        self.backwards += other.backwards;
        self.shifted += other.shifted;
        self.corrupt += other.corrupt;
        self.foreign += other.foreign;
    }
}

/// What a viewer was given, faults apart.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Given {
    pub(crate) frames: u64,
    /// Frames without a stamp: another program publishes.
    pub(crate) unstamped: u64,
    /// Gaps that ended at a key frame, as they must.
    pub(crate) resyncs: u64,
    /// Frames left out in them.
    pub(crate) skipped: u64,
    /// The publisher came back.
    pub(crate) restarts: u64,
    /// Times the virtual player ran dry.
    pub(crate) stalls: u64,
    pub(crate) stalled: Nanos,
}

impl Given {
    pub(crate) fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.unstamped += other.unstamped;
        self.resyncs += other.resyncs;
        self.skipped += other.skipped;
        self.restarts += other.restarts;
        self.stalls += other.stalls;
        self.stalled.0 += other.stalled.0;
    }
}

/// One frame as the judge saw it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Seen {
    pub(crate) stamp: Option<Stamp>,
    /// It is the key frame that starts the picture.
    pub(crate) starts: bool,
}

/// One lane of what a viewer receives.
#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    headed: bool,
    next: Option<u64>,
    last: Option<Timestamp>,
    /// The server's media time minus the publisher's.
    shift: Option<i32>,
}

/// The judge of one viewer.
#[derive(Debug)]
pub(crate) struct Judge {
    stream: u16,
    /// Every frame's checksum of so many is looked at; 0 for none.
    check_every: u64,
    checked: u64,
    epoch: Option<u16>,
    video: Lane,
    audio: Lane,
    started: bool,
    /// Sound that is missing and not explained yet.
    audio_gap: u64,
    /// The picture was resynchronised and no sound has come since: it may have a gap too.
    resynced: bool,
    /// Sound alone may have gaps.
    has_video: bool,
    playout: Playout,
    pub(crate) given: Given,
    pub(crate) faults: Faults,
    /// The first fault in words.
    pub(crate) example: Option<String>,
}

impl Judge {
    /// `seed` spreads the frames whose checksums are looked at over the viewers.
    pub(crate) fn new(stream: u16, check_every: u64, seed: u64, buffer: Nanos) -> Self {
        Self {
            stream,
            check_every,
            checked: seed % check_every.max(1),
            epoch: None,
            video: Lane::default(),
            audio: Lane::default(),
            started: false,
            audio_gap: 0,
            resynced: false,
            has_video: false,
            playout: Playout::new(buffer),
            given: Given::default(),
            faults: Faults::default(),
            example: None,
        }
    }

    /// Looks at one message that arrived at `now`; `None` when it is no frame.
    pub(crate) fn take(&mut self, media: &Media, now: Nanos) -> Option<Seen> {
        let (before, frames) = (self.faults, self.given.frames);
        let waited_for = [self.video.next, self.audio.next];
        let seen = self.judge(media, now);
        if self.faults != before && self.example.is_none() {
            let changed =
                self.faults.list().into_iter().zip(before.list()).filter(|(now, before)| now != before);
            let names: Vec<_> = changed.map(|((name, _), _)| name).collect();
            let [picture, sound] = waited_for.map(Option::unwrap_or_default);
            let sequence = seen.and_then(|seen| seen.stamp).map(|stamp| stamp.sequence);
            self.example = Some(format!(
                "{}: {:?} {sequence:?} at {}, when picture {picture} and sound {sound} were next, after {frames} frames",
                names.join(", "),
                media.kind,
                media.timestamp,
            ));
        }
        seen
    }

    fn judge(&mut self, media: &Media, now: Nanos) -> Option<Seen> {
        let role = media.role();
        let is_video = media.kind == MediaKind::Video;
        if media.kind == MediaKind::Data {
            return None;
        }
        let lane = if is_video { &mut self.video } else { &mut self.audio };
        if role == MediaRole::SequenceHeader {
            lane.headed = true;
        }
        if lane.last.is_some_and(|last| media.timestamp.since(last) < 0) {
            self.faults.backwards += 1;
        }
        lane.last = Some(media.timestamp);
        if role != MediaRole::KeyFrame && role != MediaRole::Frame {
            return None;
        }
        self.given.frames += 1;
        self.faults.before_header += u64::from(!lane.headed);
        self.has_video |= is_video;
        let key = role == MediaRole::KeyFrame;
        let starts = is_video && key && !self.started;
        if is_video && !self.started {
            self.faults.before_key += u64::from(!key);
            self.started = key;
        }
        if is_video && let Some(late) = self.playout.take(media.timestamp, now) {
            self.given.stalls += 1;
            self.given.stalled.0 += late;
        }
        let coded = coded(media);
        let stamp = coded.and_then(Stamp::read);
        match (coded, stamp) {
            (Some(coded), Some(stamp)) => {
                self.checked += 1;
                if self.check_every > 0 && self.checked.is_multiple_of(self.check_every) {
                    self.faults.corrupt += u64::from(!Stamp::is_intact(coded));
                }
                self.order(media, &stamp, key);
            }
            _ => self.given.unstamped += 1,
        }
        Some(Seen { stamp, starts })
    }

    fn order(&mut self, media: &Media, stamp: &Stamp, key: bool) {
        if stamp.stream != self.stream || self.epoch.is_some_and(|epoch| stamp.epoch < epoch) {
            self.faults.foreign += 1;
            return;
        }
        if self.epoch != Some(stamp.epoch) {
            self.given.restarts += u64::from(self.epoch.is_some());
            self.epoch = Some(stamp.epoch);
            for lane in [&mut self.video, &mut self.audio] {
                (lane.next, lane.shift) = (None, None);
            }
            (self.audio_gap, self.resynced) = (0, false);
        }
        let is_video = media.kind == MediaKind::Video;
        let lane = if is_video { &mut self.video } else { &mut self.audio };
        let first = lane.next.is_none();
        let missing = lane.next.map_or(0, |next| stamp.sequence.wrapping_sub(next).cast_signed());
        lane.next = Some(stamp.sequence + 1);
        if missing < 0 {
            self.faults.repeated += 1;
            return;
        }
        let shift = media.timestamp.since(Timestamp::from_millis(stamp.timestamp));
        let moved = lane.shift.replace(shift).is_some_and(|before| before != shift);
        self.faults.shifted += u64::from(moved && missing == 0);
        let missing = missing.cast_unsigned();
        if is_video {
            self.order_video(first, missing, key);
        } else {
            self.order_audio(missing);
        }
    }

    fn order_video(&mut self, first: bool, missing: u64, key: bool) {
        if first && !key && self.given.restarts > 0 {
            self.faults.before_key += 1;
        }
        self.resynced = false;
        if missing > 0 {
            self.gap(missing, key);
            self.resynced = key;
        }
        // Sound left out beside the picture belongs to the same gap.
        let audio_gap = std::mem::take(&mut self.audio_gap);
        if audio_gap > 0 {
            if missing > 0 && key || first {
                self.given.skipped += audio_gap;
            } else {
                self.gap(audio_gap, false);
            }
        }
    }

    fn order_audio(&mut self, missing: u64) {
        let resynced = std::mem::take(&mut self.resynced);
        if missing == 0 {
            return;
        }
        if !self.has_video {
            self.gap(missing, true);
        } else if resynced {
            self.given.skipped += missing;
        } else {
            self.audio_gap += missing;
        }
    }

    fn gap(&mut self, missing: u64, excused: bool) {
        if excused {
            self.given.resyncs += 1;
            self.given.skipped += missing;
        } else {
            self.faults.gaps += 1;
            self.faults.lost += missing;
        }
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
