//! Where the GOP cache begins: a position, not a copy (spec 9.3).

use rtmp_core::MediaKind;
use rtmp_core::media::MediaRole;

use super::settings::StreamSettings;
use super::update::{StreamSegment, is_frame};

/// So many audio messages in a row mean that the video has ended.
const AUDIO_RUN_MAX: u32 = 115;

/// Follows a stream and says where its GOP cache begins.
#[derive(Debug, Default)]
pub(super) struct Gop {
    start: Option<u64>,
    frames: u32,
    audio_run: u32,
    bytes: u64,
}

impl Gop {
    /// The segment it begins with; `None` while there is nothing to begin with.
    pub(super) fn start(&self) -> Option<u64> {
        self.start
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Segment `number` is appended. Only its first message can be a key frame.
    pub(super) fn append(&mut self, number: u64, segment: &StreamSegment, settings: &StreamSettings) {
        if segment.chunks.starts_with_key() {
            *self = Self { start: Some(number), ..Self::default() };
        }
        if self.start.is_none() {
            return;
        }
        for entry in segment.chunks.index().iter().filter(|entry| is_frame(entry)) {
            self.frames += 1;
            match entry.kind {
                MediaKind::Video if entry.role != MediaRole::Empty => self.audio_run = 0,
                _ => self.audio_run += 1,
            }
            let too_many = settings.play.gop_cache_frames_max.is_some_and(|max| self.frames > max);
            if too_many || self.audio_run > AUDIO_RUN_MAX {
                return self.clear();
            }
        }
        self.bytes += segment.memory_bytes() as u64;
        if self.bytes > settings.gop_bytes_max {
            self.clear();
        }
    }
}
