//! Counters of a stream.

use rtmp_core::media::MediaRole;
use rtmp_core::{Media, MediaKind};

use crate::edge::{AudioSnapshot, VideoSnapshot};

/// What came from the sources of a stream, and what the current one is.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct IngestStats {
    /// Bytes of payload from all sources.
    pub bytes: u64,
    /// Messages from all sources.
    pub messages: u64,
    /// Audio messages from all sources, headers included.
    pub audio: u64,
    /// Video messages from all sources, headers included.
    pub video: u64,
    /// Key frames from all sources.
    pub key_frames: u64,
    /// Messages that were not passed on: pictures in front of a later source's first key frame, and payloads that are
    /// longer than any message can be.
    pub dropped: u64,
    /// Frames of a source that came again which viewers have had, and did not get again.
    pub repeated: u64,
    /// Headers that were not repeated because viewers have them.
    pub headers_reduced: u64,
    /// The picture of the current source, or of the last one.
    pub picture: Option<VideoSnapshot>,
    /// The sound of the current source, or of the last one.
    pub sound: Option<AudioSnapshot>,
}

impl IngestStats {
    pub(super) fn begin(&mut self) {
        (self.picture, self.sound) = (None, None);
    }

    pub(super) fn count(&mut self, media: &Media, role: MediaRole) {
        self.bytes += media.payload.len() as u64;
        self.messages += 1;
        self.audio += u64::from(media.kind == MediaKind::Audio);
        self.video += u64::from(media.kind == MediaKind::Video);
        self.key_frames += u64::from(role == MediaRole::KeyFrame);
    }
}

/// A hub in numbers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct HubStats {
    /// Viewers now, upstream ones included.
    pub viewers: usize,
    /// Viewers of FLV tags among them.
    pub flv_viewers: usize,
    /// Segments held now.
    pub segments: usize,
    /// Viewers that were too slow and went on later in the stream, so far.
    pub resyncs: u64,
    /// Messages those viewers did not get, so far.
    pub dropped: u64,
    /// Messages that were written for one viewer alone, so far.
    pub private_messages: u64,
    /// Segments the hub did not get, so far.
    pub gaps: u64,
}
