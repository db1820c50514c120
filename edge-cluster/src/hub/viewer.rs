//! One viewer of a hub.

use std::sync::Arc;
use std::time::Instant;

use rtmp_core::media::Headers;
use rtmp_core::segment::{Cursor, TimePolicy};
use rtmp_core::{Media, MediaKind};

use super::settings::StreamSettings;
use super::update::{StreamSegment, Summary};
use crate::conn::ConnId;

/// What a viewer is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lane {
    /// RTMP chunks.
    Chunks,
    /// FLV tags.
    Flv,
}

/// Who gets the media.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum JoinKind {
    /// Somebody who watches: the vhost's `play` settings hold.
    Viewer,
    /// Another server: it gets the times as they are, and begins at the newest key frame whatever `gop_cache` says, if
    /// that is not farther back than a queue may be. The next one does, too, when it leaves
    /// ([`Hub::forget_upstreams`](super::Hub::forget_upstreams)).
    Upstream,
}

/// How somebody joins a stream.
#[derive(Clone, Copy, Debug)]
pub struct Join {
    /// The message stream of its connection; nothing for FLV.
    pub msid: u32,
    /// Chunks or tags.
    pub lane: Lane,
    /// Who it is.
    pub kind: JoinKind,
}

/// Takes messages for one viewer alone: its connection, or a writer of FLV tags.
pub trait PrivateSink {
    /// Bytes that wait to be sent, so that a slow viewer does not make them grow.
    fn pending_bytes(&self) -> usize;
    /// Appends a message.
    fn send_media(&mut self, media: &Media);
}

/// A number no segment has: a cursor there gets nothing.
pub(super) const PARKED: u64 = u64::MAX;

#[derive(Debug)]
pub(super) struct Viewer {
    pub(super) conn: ConnId,
    pub(super) cursor: Cursor,
    pub(super) place: Place,
    pub(super) lane: Lane,
    pub(super) kind: JoinKind,
    pub(super) wants_audio: bool,
    pub(super) wants_video: bool,
    /// Headers of audio and video were left out because it did not want any.
    pub(super) misses: Misses,
    /// Inter frames are left out until a key frame.
    pub(super) waits_for_key: bool,
    /// Messages in front of this segment are written for it alone: an upstream server gets metadata in the form of
    /// encoders, which asks it to keep that for those who come later.
    pub(super) private_until: u64,
    /// It paused: its times are to go on as if it had not, because players wait through a gap once more (spec 9.7).
    pub(super) closes_gap: bool,
    /// It was told another chunk size than the segments have.
    pub(super) has_other_chunks: bool,
    pub(super) is_listed: bool,
    pub(super) is_given_up: bool,
    /// It began in a GOP that is longer than a queue may be; segments in front of this one are no overflow.
    pub(super) exempt_before: u64,
    /// One message per write: not before then.
    pub(super) next_send: Option<Instant>,
    /// Messages left out, when an event waits to tell.
    pub(super) dropped: Option<u64>,
    /// Bytes sent when a stall was last looked for, and since when they are so many.
    pub(super) progress: (u64, Option<Instant>),
}

/// Whose headers a viewer lacks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Misses {
    audio: bool,
    video: bool,
}

impl Misses {
    pub(super) fn any(self) -> bool {
        self.audio || self.video
    }

    pub(super) fn of(self, kind: MediaKind) -> bool {
        match kind {
            MediaKind::Audio => self.audio,
            MediaKind::Video => self.video,
            MediaKind::Data => false,
        }
    }

    pub(super) fn set(&mut self, kind: MediaKind, misses: bool) {
        match kind {
            MediaKind::Audio => self.audio = misses,
            MediaKind::Video => self.video = misses,
            MediaKind::Data => {}
        }
    }
}

/// Where a viewer is.
#[derive(Debug)]
pub(super) enum Place {
    /// It begins with the next segment.
    Waiting,
    /// It has to get the headers it does not know, then goes on at a segment.
    Begin { at: u64, known: Option<Arc<Headers>> },
    /// The cursor runs along.
    Shared,
    /// Messages are written for it alone; the cursor is parked.
    Private { at: u64, entry: usize },
    /// It wants nothing now. Messages in front of `entry` of segment `at` were written for it alone.
    Paused { at: u64, entry: usize, known: Option<Arc<Headers>> },
}

impl Viewer {
    pub(super) fn new(conn: ConnId, join: Join, policy: TimePolicy) -> Self {
        Self {
            conn,
            cursor: Cursor::with_times(join.msid, PARKED, policy),
            place: Place::Waiting,
            lane: join.lane,
            kind: join.kind,
            wants_audio: true,
            wants_video: true,
            misses: Misses::default(),
            waits_for_key: false,
            private_until: 0,
            closes_gap: false,
            has_other_chunks: false,
            is_listed: false,
            is_given_up: false,
            exempt_before: 0,
            next_send: None,
            dropped: None,
            progress: (0, None),
        }
    }

    /// The segment it gets next; `None` when it is not on its way.
    pub(super) fn position(&self) -> Option<u64> {
        match self.place {
            Place::Shared => Some(self.cursor.next()),
            Place::Begin { at, .. } | Place::Private { at, .. } => Some(at),
            Place::Waiting | Place::Paused { .. } => None,
        }
    }

    /// Whether messages must be written for it alone.
    pub(super) fn is_private(&self, settings: &StreamSettings) -> bool {
        let is_filtered = !self.wants_audio || !self.wants_video || self.waits_for_key;
        let is_told_metadata = self.position().is_some_and(|at| at < self.private_until);
        is_filtered || is_told_metadata || self.has_other_chunks || self.has_interval(settings)
    }

    /// Whether it gets one message per write.
    pub(super) fn has_interval(&self, settings: &StreamSettings) -> bool {
        self.kind == JoinKind::Viewer && !settings.play.send_min_interval.is_zero()
    }

    pub(super) fn wants(&self, kind: MediaKind) -> bool {
        match kind {
            MediaKind::Audio => self.wants_audio,
            MediaKind::Video => self.wants_video,
            MediaKind::Data => true,
        }
    }

    /// Whether messages are written for it alone and none of this segment's matters to it. A header that it does not
    /// want does matter: it may want it later.
    pub(super) fn has_nothing_in(&self, segment: &StreamSegment) -> bool {
        let Summary { audio, video, data, frames, .. } = segment.summary;
        let has_headers = frames < audio + video;
        let wants =
            has_headers || (self.wants_audio && audio > 0) || (self.wants_video && video > 0) || data > 0;
        !wants && matches!(self.place, Place::Private { entry: 0, .. })
    }

    /// From the next segment on, messages are written for it alone.
    pub(super) fn leave_shared(&mut self) {
        if let Place::Shared = self.place {
            self.park(Place::Private { at: self.cursor.next(), entry: 0 });
        }
    }

    /// Takes the cursor out of the ring; the segment that is partly sent is sent to its end.
    pub(super) fn park(&mut self, place: Place) {
        self.cursor.jump(PARKED);
        self.place = place;
    }

    /// The headers are out: the cursor runs along from `at` on.
    pub(super) fn share(&mut self, at: u64) {
        self.cursor.jump(at);
        MediaKind::ALL.into_iter().for_each(|kind| self.cursor.resend_header(kind));
        self.place = Place::Shared;
    }
}
