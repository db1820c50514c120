//! What is inside audio and video messages, as far as a relay has to know: codecs, key frames, sequence headers,
//! tracks (spec section 8). Payloads are looked at, never changed.

mod audio;
mod enhanced;
mod headers;
mod video;

use bytes::Bytes;

pub use audio::{AudioCodec, AudioPacket, AudioTag, ChannelOrder};
pub use enhanced::{FourCc, MultitrackKind, Track, Tracks};
pub use headers::Headers;
pub use video::{FrameKind, VideoCodec, VideoPacket, VideoTag};

use crate::Timestamp;
use crate::chunk::{CSID_AUDIO, CSID_DATA, CSID_VIDEO, Message, MessageType};

/// A payload that ends before its own header does. Relay it as it is, but draw no conclusions.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("media header is cut after {0} bytes")]
pub struct TruncatedMedia(pub usize);

/// The three kinds of messages a stream consists of. In a [segment](crate::segment) each has its own *lane*.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum MediaKind {
    /// Audio.
    Audio,
    /// Video.
    Video,
    /// Metadata, text, cue points.
    Data,
}

impl MediaKind {
    /// All kinds, in the order of their index.
    pub const ALL: [Self; 3] = [Self::Audio, Self::Video, Self::Data];

    /// The kind of a message, when it is one of the three (aggregates are taken apart first).
    pub const fn of(kind: MessageType) -> Option<Self> {
        match kind {
            MessageType::AUDIO => Some(Self::Audio),
            MessageType::VIDEO => Some(Self::Video),
            MessageType::DATA | MessageType::DATA_AMF3 => Some(Self::Data),
            _ => None,
        }
    }

    /// The message type it is sent with.
    pub const fn message_type(self) -> MessageType {
        match self {
            Self::Audio => MessageType::AUDIO,
            Self::Video => MessageType::VIDEO,
            Self::Data => MessageType::DATA,
        }
    }

    /// The chunk stream it is sent on.
    pub const fn csid(self) -> u32 {
        match self {
            Self::Audio => CSID_AUDIO,
            Self::Video => CSID_VIDEO,
            Self::Data => CSID_DATA,
        }
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

/// One message of a stream, independent of any connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Media {
    /// Audio, video or data.
    pub kind: MediaKind,
    /// Its time.
    pub timestamp: Timestamp,
    /// Its payload. For data in AMF0 form: the format byte of AMF3 messages has been removed.
    pub payload: Bytes,
}

impl Media {
    /// The message on message stream `msid`.
    pub fn message(&self, msid: u32) -> Message {
        Message {
            csid: self.kind.csid(),
            timestamp: self.timestamp,
            kind: self.kind.message_type(),
            msid,
            payload: self.payload.clone(),
        }
    }

    /// What the message is for.
    pub fn role(&self) -> MediaRole {
        MediaRole::of(self.kind, &self.payload)
    }
}

/// What a message means to a relay.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MediaRole {
    /// Codec configuration: late viewers need the latest one first.
    SequenceHeader,
    /// A picture that needs no other one; a GOP begins here.
    KeyFrame,
    /// Any other audio or video.
    Frame,
    /// The codec's stream is over.
    SequenceEnd,
    /// Description inside audio or video (colour, channel layout): late viewers need the latest one.
    Description,
    /// A command to players; forward it, never keep it.
    Command,
    /// A data message.
    Data,
    /// No payload: silence for audio, nothing for video.
    Empty,
    /// A cut header; forward it, draw no conclusions.
    Unreadable,
}

impl MediaRole {
    /// Looks at the first bytes of a payload.
    ///
    /// ```
    /// use rtmp_core::media::{MediaKind, MediaRole};
    ///
    /// assert_eq!(MediaRole::of(MediaKind::Video, &[0x17, 0, 0, 0, 0, 1]), MediaRole::SequenceHeader);
    /// assert_eq!(MediaRole::of(MediaKind::Video, &[0x17, 1, 0, 0, 0, 9]), MediaRole::KeyFrame);
    /// assert_eq!(MediaRole::of(MediaKind::Audio, &[0xaf, 1, 0x21]), MediaRole::Frame);
    /// ```
    pub fn of(kind: MediaKind, payload: &[u8]) -> Self {
        if kind == MediaKind::Data {
            return Self::Data;
        }
        if payload.is_empty() {
            return Self::Empty;
        }
        let role = match kind {
            MediaKind::Video => VideoTag::parse(payload).map(|tag| tag.role()),
            _ => AudioTag::parse(payload).map(|tag| tag.role()),
        };
        role.unwrap_or(Self::Unreadable)
    }
}

pub(crate) fn u24(bytes: [u8; 3]) -> u32 {
    let [a, b, c] = bytes;
    u32::from_be_bytes([0, a, b, c])
}

/// A signed 24-bit number.
pub(crate) fn i24(bytes: [u8; 3]) -> i32 {
    (u24(bytes) << 8).cast_signed() >> 8
}
