//! The header of an audio message, old and enhanced form (spec 8.2 and 8.3).

use super::enhanced::{Cursor, read_mod_ex};
use super::{FourCc, MediaRole, Tracks, TruncatedMedia};

/// An audio codec as it is named on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AudioCodec {
    /// The four bits of the old form: 10 is AAC, 2 is MP3, 7 and 8 are G.711.
    Legacy(u8),
    /// The enhanced form.
    FourCc(FourCc),
}

impl AudioCodec {
    /// AAC in the old form.
    pub const AAC: Self = Self::Legacy(10);
    /// MP3 in the old form.
    pub const MP3: Self = Self::Legacy(2);
    /// G.711 A-law.
    pub const G711_A: Self = Self::Legacy(7);
    /// G.711 mu-law.
    pub const G711_MU: Self = Self::Legacy(8);
    /// Speex.
    pub const SPEEX: Self = Self::Legacy(11);
    /// Opus in the old form, by convention of several networks.
    pub const OPUS: Self = Self::Legacy(13);
}

/// What an audio message holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AudioPacket {
    /// Codec configuration.
    SequenceStart,
    /// Sound.
    CodedFrames,
    /// End of the codec's stream.
    SequenceEnd,
    /// Layout of the channels.
    MultichannelConfig {
        /// How the layout is given.
        order: ChannelOrder,
        /// How many channels.
        channels: u8,
    },
    /// Not known.
    Other(u8),
}

/// How a channel layout is given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChannelOrder {
    /// Only the number is known.
    Unspecified,
    /// The usual order, with this mask of channels.
    Native(u32),
    /// One byte per channel follows in the body.
    Custom,
    /// Not known.
    Other(u8),
}

/// The header of an audio message.
///
/// ```
/// use rtmp_core::media::{AudioCodec, AudioPacket, AudioTag};
///
/// let tag = AudioTag::parse(&[0xaf, 0x00, 0x12, 0x10])?;
/// assert_eq!((tag.codec, tag.packet), (Some(AudioCodec::AAC), AudioPacket::SequenceStart));
/// assert_eq!((tag.rate_hz, tag.channels), (Some(44_100), Some(2)));
/// # Ok::<(), rtmp_core::media::TruncatedMedia>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AudioTag<'a> {
    /// Whether it has the enhanced form.
    pub enhanced: bool,
    /// What the message holds.
    pub packet: AudioPacket,
    /// The codec; `None` when a multitrack message has no track.
    pub codec: Option<AudioCodec>,
    /// The rate in the old header; AAC always says 44,100 there.
    pub rate_hz: Option<u32>,
    /// Bits per sample in the old header.
    pub bits: Option<u8>,
    /// Channels in the old header; AAC always says 2 there.
    pub channels: Option<u8>,
    /// Nanoseconds to add to the timestamp.
    pub nano_offset: Option<u32>,
    /// The tracks of a multitrack message.
    pub tracks: Option<Tracks<'a>>,
    /// What follows the header; the tracks of a multitrack message.
    pub body: &'a [u8],
}

const ENHANCED: u8 = 9;

impl<'a> AudioTag<'a> {
    /// Reads the header of an audio payload.
    ///
    /// # Errors
    ///
    /// When the payload ends inside its header. An empty payload is one; it means silence.
    pub fn parse(payload: &'a [u8]) -> Result<Self, TruncatedMedia> {
        let mut cursor = Cursor::new(payload);
        let [head] = cursor.array()?;
        if head >> 4 == ENHANCED {
            return Self::parse_enhanced(head & 0x0f, cursor);
        }
        let codec = AudioCodec::Legacy(head >> 4);
        let mut packet = AudioPacket::CodedFrames;
        if codec == AudioCodec::AAC {
            let [kind] = cursor.array()?;
            packet = match kind {
                0 => AudioPacket::SequenceStart,
                1 => AudioPacket::CodedFrames,
                other => AudioPacket::Other(other),
            };
        }
        Ok(Self {
            enhanced: false,
            packet,
            codec: Some(codec),
            rate_hz: Some(match head >> 2 & 0x03 {
                0 => 5_512,
                1 => 11_025,
                2 => 22_050,
                _ => 44_100,
            }),
            bits: Some(if head & 0x02 == 0 { 8 } else { 16 }),
            channels: Some(if head & 0x01 == 0 { 1 } else { 2 }),
            nano_offset: None,
            tracks: None,
            body: cursor.rest,
        })
    }

    fn parse_enhanced(packet: u8, mut cursor: Cursor<'a>) -> Result<Self, TruncatedMedia> {
        const MULTITRACK: u8 = 5;
        let (mut packet, nano_offset) = read_mod_ex(&mut cursor, packet)?;
        let mut tracks = None;
        let codec = if packet == MULTITRACK {
            let (real, walk) = Tracks::parse(&mut cursor)?;
            packet = real;
            tracks = Some(walk);
            walk.clone().next().map(|track| track.codec)
        } else {
            Some(FourCc(cursor.array()?))
        };
        let packet = match packet {
            0 => AudioPacket::SequenceStart,
            1 => AudioPacket::CodedFrames,
            2 => AudioPacket::SequenceEnd,
            // In a multitrack message each track has its own layout; it stays in the body.
            4 if tracks.is_none() => {
                let [order, channels] = cursor.array()?;
                let order = match order {
                    0 => ChannelOrder::Unspecified,
                    1 => ChannelOrder::Native(u32::from_be_bytes(cursor.array()?)),
                    2 => ChannelOrder::Custom,
                    other => ChannelOrder::Other(other),
                };
                AudioPacket::MultichannelConfig { order, channels }
            }
            other => AudioPacket::Other(other),
        };
        Ok(Self {
            enhanced: true,
            packet,
            codec: codec.map(AudioCodec::FourCc),
            rate_hz: None,
            bits: None,
            channels: None,
            nano_offset,
            tracks,
            body: cursor.rest,
        })
    }

    /// What the message means to a relay.
    pub fn role(&self) -> MediaRole {
        match self.packet {
            AudioPacket::SequenceStart => MediaRole::SequenceHeader,
            AudioPacket::SequenceEnd => MediaRole::SequenceEnd,
            AudioPacket::MultichannelConfig { .. } => MediaRole::Description,
            AudioPacket::Other(4) if self.enhanced => MediaRole::Description,
            AudioPacket::CodedFrames | AudioPacket::Other(_) => MediaRole::Frame,
        }
    }
}
