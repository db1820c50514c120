//! The codec of a jam server: raw for raw block sizes, Opus Custom for all others.

use super::opus_custom::{OpusCustom, OpusCustomDecoder, OpusCustomEncoder};
use super::raw::RawCoder;
use super::{Codec, CodecError, Decode, Encode, Raw, StreamSpec};

/// Whether block sizes that equal the size of their samples mean uncompressed audio (spec 3.5).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RawBlocks {
    /// They do, as with shipped servers.
    #[default]
    Allowed,
    /// They do not: such blocks are Opus Custom, which is what servers without raw audio assume.
    Refused,
}

/// Raw and Opus Custom, chosen by the block size a client announces.
///
/// ```
/// use jam_mixer::codec::{Codec, JamCodec, JamEncoder, StreamSpec};
/// use jam_proto::{BlockCodec, Layout};
///
/// let codec = JamCodec::default();
/// let normal = StreamSpec { codec: BlockCodec::Opus, layout: Layout::Mono, block_bytes: 45 };
/// let raw = StreamSpec { block_bytes: 256, ..normal };
/// assert!(matches!(codec.encoder(normal)?, JamEncoder::OpusCustom(_)));
/// assert!(matches!(codec.encoder(raw)?, JamEncoder::Raw(_)));
/// # Ok::<(), jam_mixer::codec::CodecError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct JamCodec {
    opus: OpusCustom,
    raw: RawBlocks,
}

impl JamCodec {
    /// Both codecs, with the encoders of `opus`.
    #[must_use]
    pub const fn new(opus: OpusCustom, raw: RawBlocks) -> Self {
        Self { opus, raw }
    }

    fn is_raw(&self, spec: StreamSpec) -> bool {
        self.raw == RawBlocks::Allowed && spec.is_raw_size()
    }
}

impl Codec for JamCodec {
    type Encoder = JamEncoder;
    type Decoder = JamDecoder;

    fn encoder(&self, spec: StreamSpec) -> Result<JamEncoder, CodecError> {
        if self.is_raw(spec) {
            Raw.encoder(spec).map(JamEncoder::Raw)
        } else {
            self.opus.encoder(spec).map(JamEncoder::OpusCustom)
        }
    }

    fn decoder(&self, spec: StreamSpec) -> Result<JamDecoder, CodecError> {
        if self.is_raw(spec) {
            Raw.decoder(spec).map(JamDecoder::Raw)
        } else {
            self.opus.decoder(spec).map(JamDecoder::OpusCustom)
        }
    }
}

/// An encoder of [`JamCodec`].
#[derive(Debug)]
pub enum JamEncoder {
    /// Uncompressed blocks.
    Raw(RawCoder),
    /// Opus Custom blocks.
    OpusCustom(OpusCustomEncoder),
}

impl Encode for JamEncoder {
    fn encode(&mut self, pcm: &[i16], block: &mut [u8]) -> Result<(), CodecError> {
        match self {
            Self::Raw(coder) => coder.encode(pcm, block),
            Self::OpusCustom(encoder) => encoder.encode(pcm, block),
        }
    }

    fn fork(&self) -> Self {
        match self {
            Self::Raw(coder) => Self::Raw(coder.fork()),
            Self::OpusCustom(encoder) => Self::OpusCustom(encoder.fork()),
        }
    }
}

/// A decoder of [`JamCodec`].
#[derive(Debug)]
pub enum JamDecoder {
    /// Uncompressed blocks.
    Raw(RawCoder),
    /// Opus Custom blocks.
    OpusCustom(OpusCustomDecoder),
}

impl Decode for JamDecoder {
    fn decode(&mut self, block: Option<&[u8]>, pcm: &mut [i16]) -> Result<(), CodecError> {
        match self {
            Self::Raw(coder) => coder.decode(block, pcm),
            Self::OpusCustom(decoder) => decoder.decode(block, pcm),
        }
    }
}
