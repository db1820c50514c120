//! Codecs of jam audio: the traits, [`Raw`] and [`OpusCustom`], and [`JamCodec`], which is both.
//!
//! ```text
//!                    StreamSpec (block length, layout, bytes per block)
//!                        │
//!   Codec::encoder ◀─────┴─────▶ Codec::decoder
//!        │                            │
//!   Encode: samples ──▶ block    Decode: block or loss ──▶ samples
//! ```
//!
//! Coders own their memory, allocate nothing per block, and hold no clock or randomness: the same blocks give the
//! same samples.

#[cfg(feature = "opus-custom")]
mod jam;
#[cfg(feature = "opus-custom")]
pub mod opus_custom;
mod raw;

#[cfg(feature = "opus-custom")]
pub use jam::{JamCodec, JamDecoder, JamEncoder, RawBlocks};
#[cfg(feature = "opus-custom")]
pub use opus_custom::{EncoderSettings, ModeSettings, OpusCustom, OpusPackets};
pub use raw::Raw;

use jam_proto::{AudioProps, BlockCodec, Layout};

/// One coded stream: block length, sides, bytes per block.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct StreamSpec {
    /// The block length.
    pub codec: BlockCodec,
    /// Mono or stereo.
    pub layout: Layout,
    /// Bytes of one coded block.
    pub block_bytes: u16,
}

impl StreamSpec {
    /// Whether the block size says "uncompressed": there is no codec number for it (spec 3.5).
    #[must_use]
    pub const fn is_raw_size(&self) -> bool {
        self.block_bytes == AudioProps::raw_block_bytes(self.codec, self.layout)
    }

    /// The error for a stream that a codec does not have.
    const fn unsupported(&self) -> CodecError {
        CodecError::Unsupported {
            bytes: self.block_bytes,
            samples: self.codec.samples(),
            sides: self.layout.sides(),
        }
    }

    /// Interleaved samples of one decoded block.
    #[must_use]
    pub const fn pcm_len(&self) -> usize {
        self.codec.samples() * self.layout.sides()
    }
}

impl From<AudioProps> for StreamSpec {
    fn from(props: AudioProps) -> Self {
        Self { codec: props.codec, layout: props.layout, block_bytes: props.block_bytes }
    }
}

/// Checks the length of a slice.
const fn expect_len(what: &'static str, got: usize, want: usize) -> Result<(), CodecError> {
    if got == want { Ok(()) } else { Err(CodecError::WrongLength { what, got, want }) }
}

/// Why a codec could not be made or did not accept a block.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The codec has no stream of this kind; announce another block size.
    #[error("no codec for {bytes} byte blocks of {samples} samples and {sides} side(s)")]
    Unsupported {
        /// Bytes of one coded block.
        bytes: u16,
        /// Samples of one block and side.
        samples: usize,
        /// 1 or 2.
        sides: usize,
    },
    /// The block is not one of this codec; treat it as lost.
    #[error("undecodable block of {bytes} bytes (codec error {code})")]
    Undecodable {
        /// Bytes of the block.
        bytes: usize,
        /// The codec library's own number.
        code: i32,
    },
    /// A slice does not have the length the stream needs.
    #[error("{what} has length {got}, the stream needs {want}")]
    WrongLength {
        /// Which slice.
        what: &'static str,
        /// Its length.
        got: usize,
        /// The length needed.
        want: usize,
    },
    /// The codec library refused to encode; nobody should see this, so report it with the number.
    #[error("the codec library could not encode a block (error {code})")]
    EncodeFailed {
        /// The library's own number.
        code: i32,
    },
    /// The encoder wrote fewer bytes than the block has; the block must not be sent.
    #[error("the encoder wrote {got} of {want} bytes")]
    ShortBlock {
        /// Bytes written.
        got: usize,
        /// Bytes of a block of this stream.
        want: usize,
    },
    /// A setting of the encoder is out of range.
    #[error("encoder setting {what} is {got}, the largest possible value is {max}")]
    InvalidSetting {
        /// Which setting.
        what: &'static str,
        /// Its value.
        got: u8,
        /// The largest value allowed.
        max: u8,
    },
    /// The codec library could not allocate its state.
    #[error("the codec library could not allocate its state (error {code})")]
    Allocation {
        /// The library's own number.
        code: i32,
    },
}

/// Makes the coders of a stream.
///
/// # For implementers
///
/// Coding must be deterministic: two encoders in the same state, fed the same samples, write the same bytes.
/// The sharing of encoders between listeners rests on it.
pub trait Codec: Send + Sync + 'static {
    /// The encoder of one stream.
    type Encoder: Encode;
    /// The decoder of one stream.
    type Decoder: Decode;

    /// An encoder in its initial state.
    ///
    /// # Errors
    ///
    /// [`CodecError::Unsupported`] if the codec has no such stream, [`CodecError::Allocation`] without memory.
    fn encoder(&self, spec: StreamSpec) -> Result<Self::Encoder, CodecError>;

    /// A decoder in its initial state.
    ///
    /// # Errors
    ///
    /// [`CodecError::Unsupported`] if the codec has no such stream, [`CodecError::Allocation`] without memory.
    fn decoder(&self, spec: StreamSpec) -> Result<Self::Decoder, CodecError>;
}

/// Turns samples into blocks of constant size.
pub trait Encode: Send + 'static {
    /// Fills `block` completely (constant bit rate) from one block of interleaved samples.
    ///
    /// # Errors
    ///
    /// [`CodecError::WrongLength`] if a slice does not fit the stream. [`CodecError::EncodeFailed`] and
    /// [`CodecError::ShortBlock`] if the codec library misbehaves; the content of `block` is then unspecified.
    fn encode(&mut self, pcm: &[i16], block: &mut [u8]) -> Result<(), CodecError>;

    /// A copy that continues bit for bit where this one stands.
    #[must_use]
    fn fork(&self) -> Self
    where
        Self: Sized;
}

/// Turns blocks into samples.
pub trait Decode: Send + 'static {
    /// Writes one block of interleaved samples. `None` means the block was lost; the decoder conceals it.
    ///
    /// # Errors
    ///
    /// [`CodecError::Undecodable`] for a block that is none, with `pcm` untouched; [`CodecError::WrongLength`] if
    /// a slice does not fit the stream.
    fn decode(&mut self, block: Option<&[u8]>, pcm: &mut [i16]) -> Result<(), CodecError>;
}
