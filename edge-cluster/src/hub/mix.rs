//! Putting audio and video in the order of time (`mix_correct`, spec 9.6).

use std::collections::VecDeque;

use rtmp_core::{Media, MediaKind};

/// So many messages of one kind do not wait for the other kind any longer.
const RUN_MAX: usize = 10;

/// Messages that wait for earlier ones of the other kind. At most 10 of a kind.
#[derive(Debug, Default)]
pub(super) struct Mix {
    /// By time; equal times in the order of arrival.
    waiting: VecDeque<Media>,
    audio: usize,
}

impl Mix {
    /// Puts an audio or video message in; returns the earliest one when it is known to be that.
    pub(super) fn push(&mut self, media: Media) -> Option<Media> {
        self.audio += usize::from(media.kind == MediaKind::Audio);
        let later = |other: &&Media| other.timestamp.since(media.timestamp) > 0;
        let place = self.waiting.len() - self.waiting.iter().rev().take_while(later).count();
        self.waiting.insert(place, media);
        let video = self.waiting.len() - self.audio;
        let is_known = (self.audio > 0 && video > 0) || self.audio >= RUN_MAX || video >= RUN_MAX;
        if is_known { self.pop() } else { None }
    }

    /// The earliest one, whatever may come.
    pub(super) fn pop(&mut self) -> Option<Media> {
        let media = self.waiting.pop_front()?;
        self.audio -= usize::from(media.kind == MediaKind::Audio);
        Some(media)
    }
}
