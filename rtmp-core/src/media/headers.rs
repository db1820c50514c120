//! What a viewer that comes later has to get first.

use bytes::Bytes;
use smallvec::SmallVec;

use super::{AudioTag, Media, MediaKind, MediaRole, VideoTag};
use crate::message::DataFrame;

/// Messages kept at most; one stream with four tracks needs twelve.
const MESSAGES_MAX: usize = 64;
/// Bytes kept at most. Sequence headers have a few hundred bytes, metadata a few thousand.
const BYTES_MAX: usize = 2 << 20;

/// The latest metadata, sequence headers and descriptions of a stream, per track.
///
/// ```
/// use bytes::Bytes;
/// use rtmp_core::{Media, MediaKind, Timestamp, media::Headers};
///
/// let mut headers = Headers::default();
/// let payload = Bytes::from_static(&[0x17, 0, 0, 0, 0, 1]);
/// let header = Media { kind: MediaKind::Video, timestamp: Timestamp::ZERO, payload };
/// assert!(headers.remember(&header));
/// assert_eq!(headers.iter().collect::<Vec<_>>(), [&header]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Headers {
    metadata: Option<Media>,
    /// In the order a viewer gets them: audio before video, sequence headers before descriptions.
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    order: (MediaKind, bool),
    /// The tracks the message describes, ascending; 0 is the default track.
    tracks: SmallVec<[u8; 4]>,
    media: Media,
}

impl Headers {
    /// Looks at a message and keeps it when later viewers need it; says whether it did. A newer message replaces the
    /// older ones whose tracks it covers. At most 64 messages and 2 MiB are kept; beyond, a message is not kept.
    pub fn remember(&mut self, media: &Media) -> bool {
        if media.kind == MediaKind::Data {
            return self.remember_data(media);
        }
        let role = media.role();
        if role != MediaRole::SequenceHeader && role != MediaRole::Description {
            return false;
        }
        let order = (media.kind, role == MediaRole::Description);
        let tracks = tracks_of(media);
        self.entries
            .retain(|entry| entry.order != order || entry.tracks.iter().any(|track| !tracks.contains(track)));
        let place = self.entries.iter().position(|entry| entry.order > order).unwrap_or(self.entries.len());
        let kept = self.entries.len() < MESSAGES_MAX;
        if kept {
            self.entries.insert(place, Entry { order, tracks, media: own(media) });
        }
        kept && self.keep_bounds(place)
    }

    /// Forgets everything, because another source begins.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The messages a new viewer gets first, in order: metadata, audio, video.
    pub fn iter(&self) -> impl Iterator<Item = &Media> {
        self.metadata.iter().chain(self.entries.iter().map(|entry| &entry.media))
    }

    /// The metadata alone.
    pub fn metadata(&self) -> Option<&Media> {
        self.metadata.as_ref()
    }

    /// Bytes of payload kept.
    pub fn bytes(&self) -> usize {
        self.iter().map(|media| media.payload.len()).sum()
    }

    fn remember_data(&mut self, media: &Media) -> bool {
        let frame = DataFrame::recognise(&media.payload);
        if let DataFrame::Clear { .. } = frame {
            self.metadata = None;
        }
        let Some(payload) = frame.metadata().filter(|payload| payload.len() <= BYTES_MAX / 2) else {
            return false;
        };
        self.metadata = Some(own(&Media { payload: payload.clone(), ..*media }));
        true
    }

    /// Removes the entry at `place` again when there are too many bytes.
    fn keep_bounds(&mut self, place: usize) -> bool {
        let bytes: usize = self.entries.iter().map(|entry| entry.media.payload.len()).sum();
        if bytes <= BYTES_MAX / 2 {
            return true;
        }
        self.entries.remove(place);
        false
    }
}

/// A copy of its own: a header lives for hours and must not keep a read buffer alive.
fn own(media: &Media) -> Media {
    Media { payload: Bytes::copy_from_slice(&media.payload), ..*media }
}

fn tracks_of(media: &Media) -> SmallVec<[u8; 4]> {
    let tracks = match media.kind {
        MediaKind::Video => VideoTag::parse(&media.payload).ok().and_then(|tag| tag.tracks),
        _ => AudioTag::parse(&media.payload).ok().and_then(|tag| tag.tracks),
    };
    let Some(tracks) = tracks else { return SmallVec::from_slice(&[0]) };
    // Ids are bytes, so there are at most 256 different ones.
    let mut ids: SmallVec<[u8; 4]> = SmallVec::new();
    for track in tracks {
        if let Err(place) = ids.binary_search(&track.id) {
            ids.insert(place, track.id);
        }
    }
    ids
}
