//! The header of a video message, old and enhanced form (spec 8.1 and 8.3).

use super::enhanced::{Cursor, read_mod_ex};
use super::{FourCc, MediaRole, Tracks, TruncatedMedia, i24};

/// The kind of a picture.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FrameKind {
    /// Needs no other picture (1).
    Key,
    /// Needs earlier pictures (2).
    Inter,
    /// Needs earlier pictures, none needs it (3).
    Disposable,
    /// A key frame a server made (4).
    GeneratedKey,
    /// Not a picture but a command (5).
    Command,
    /// Not known.
    Other(u8),
}

impl FrameKind {
    fn from_bits(bits: u8) -> Self {
        match bits {
            1 => Self::Key,
            2 => Self::Inter,
            3 => Self::Disposable,
            4 => Self::GeneratedKey,
            5 => Self::Command,
            other => Self::Other(other),
        }
    }
}

/// A video codec as it is named on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum VideoCodec {
    /// The four bits of the old form: 7 is AVC, 12 is HEVC by convention, 2 is H.263.
    Legacy(u8),
    /// The enhanced form.
    FourCc(FourCc),
}

impl VideoCodec {
    /// AVC in the old form.
    pub const AVC: Self = Self::Legacy(7);
    /// HEVC in the old form, by convention of several networks.
    pub const HEVC: Self = Self::Legacy(12);
    /// AV1 in the old form, by the same convention.
    pub const AV1: Self = Self::Legacy(13);
}

/// What a video message holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum VideoPacket {
    /// Codec configuration.
    SequenceStart,
    /// Pictures.
    CodedFrames,
    /// End of the codec's stream.
    SequenceEnd,
    /// Pictures with composition time 0.
    CodedFramesX,
    /// Description, such as colour.
    Metadata,
    /// Codec configuration in the form of MPEG-2 transport streams.
    Mpeg2TsSequenceStart,
    /// A command to the player: 0 starts, 1 ends a seek.
    Command(u8),
    /// Not known.
    Other(u8),
}

/// The header of a video message.
///
/// ```
/// use rtmp_core::media::{FrameKind, VideoCodec, VideoTag};
///
/// let tag = VideoTag::parse(&[0x27, 0x01, 0x00, 0x00, 0x50, 0x41])?;
/// assert_eq!((tag.frame, tag.codec), (FrameKind::Inter, Some(VideoCodec::AVC)));
/// assert_eq!((tag.composition_millis, tag.body), (80, &[0x41][..]));
/// # Ok::<(), rtmp_core::media::TruncatedMedia>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct VideoTag<'a> {
    /// Whether it has the enhanced form.
    pub enhanced: bool,
    /// The kind of picture.
    pub frame: FrameKind,
    /// What the message holds.
    pub packet: VideoPacket,
    /// The codec; `None` for commands and for tracks with different codecs.
    pub codec: Option<VideoCodec>,
    /// Milliseconds from decoding to presentation.
    pub composition_millis: i32,
    /// Nanoseconds to add to the timestamp.
    pub nano_offset: Option<u32>,
    /// The tracks of a multitrack message.
    pub tracks: Option<Tracks<'a>>,
    /// What follows the header; the tracks of a multitrack message.
    pub body: &'a [u8],
}

impl<'a> VideoTag<'a> {
    /// Reads the header of a video payload.
    ///
    /// # Errors
    ///
    /// When the payload ends inside its header.
    pub fn parse(payload: &'a [u8]) -> Result<Self, TruncatedMedia> {
        let mut cursor = Cursor::new(payload);
        let [head] = cursor.array()?;
        if head & 0x80 == 0 { Self::parse_legacy(head, cursor) } else { Self::parse_enhanced(head, cursor) }
    }

    fn parse_legacy(head: u8, mut cursor: Cursor<'a>) -> Result<Self, TruncatedMedia> {
        let frame = FrameKind::from_bits(head >> 4);
        let codec = VideoCodec::Legacy(head & 0x0f);
        let mut packet = VideoPacket::CodedFrames;
        let mut composition_millis = 0;
        if frame == FrameKind::Command {
            let [command] = cursor.array()?;
            packet = VideoPacket::Command(command);
        } else if matches!(codec, VideoCodec::AVC | VideoCodec::HEVC | VideoCodec::AV1) {
            let [kind] = cursor.array()?;
            composition_millis = i24(cursor.array()?);
            packet = match kind {
                0 => VideoPacket::SequenceStart,
                1 => VideoPacket::CodedFrames,
                2 => VideoPacket::SequenceEnd,
                other => VideoPacket::Other(other),
            };
        }
        Ok(Self {
            enhanced: false,
            frame,
            packet,
            codec: Some(codec),
            composition_millis,
            nano_offset: None,
            tracks: None,
            body: cursor.rest,
        })
    }

    fn parse_enhanced(head: u8, mut cursor: Cursor<'a>) -> Result<Self, TruncatedMedia> {
        const METADATA: u8 = 4;
        const MULTITRACK: u8 = 6;
        let frame = FrameKind::from_bits(head >> 4 & 0x07);
        let (mut packet, nano_offset) = read_mod_ex(&mut cursor, head & 0x0f)?;
        let mut tag = Self {
            enhanced: true,
            frame,
            packet: VideoPacket::Other(packet),
            codec: None,
            composition_millis: 0,
            nano_offset,
            tracks: None,
            body: &[],
        };
        if frame == FrameKind::Command && packet != METADATA {
            let [command] = cursor.array()?;
            return Ok(Self { packet: VideoPacket::Command(command), ..tag });
        }
        if packet == MULTITRACK {
            let (real, tracks) = Tracks::parse(&mut cursor)?;
            packet = real;
            tag.tracks = Some(tracks);
            tag.codec = tracks.clone().next().map(|track| VideoCodec::FourCc(track.codec));
        } else {
            let codec = FourCc(cursor.array()?);
            if packet == 1 && codec.has_composition_time() {
                tag.composition_millis = i24(cursor.array()?);
            }
            tag.codec = Some(VideoCodec::FourCc(codec));
        }
        tag.packet = match packet {
            0 => VideoPacket::SequenceStart,
            1 => VideoPacket::CodedFrames,
            2 => VideoPacket::SequenceEnd,
            3 => VideoPacket::CodedFramesX,
            METADATA => VideoPacket::Metadata,
            5 => VideoPacket::Mpeg2TsSequenceStart,
            other => VideoPacket::Other(other),
        };
        tag.body = cursor.rest;
        Ok(tag)
    }

    /// What the message means to a relay. A key frame of other tracks than the default one is a frame: who begins there
    /// cannot show the picture that everybody shows.
    pub fn role(&self) -> MediaRole {
        match self.packet {
            VideoPacket::SequenceStart | VideoPacket::Mpeg2TsSequenceStart => MediaRole::SequenceHeader,
            VideoPacket::SequenceEnd => MediaRole::SequenceEnd,
            VideoPacket::Metadata => MediaRole::Description,
            VideoPacket::Command(_) => MediaRole::Command,
            VideoPacket::CodedFrames | VideoPacket::CodedFramesX | VideoPacket::Other(_) => {
                match self.frame {
                    FrameKind::Key | FrameKind::GeneratedKey if self.has_default_track() => {
                        MediaRole::KeyFrame
                    }
                    _ => MediaRole::Frame,
                }
            }
        }
    }

    fn has_default_track(&self) -> bool {
        self.tracks.is_none_or(|mut tracks| tracks.any(|track| track.id == 0))
    }
}
