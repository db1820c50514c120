//! Opus Custom: CELT at 48 kHz in blocks of 128 or 64 samples, constant bit rate (spec 3.1 to 3.3).
//!
//! The coders are those of libopus 1.6.1, compiled by the build script with private symbol names, so the program
//! may contain any other copy of libopus. `docs/codec.md` describes build, settings and measurements.

mod ffi;
mod packets;
mod settings;
mod silence;

use std::fmt;

use self::ffi::{BITRATE_MAX, DecoderState, EncoderState, Flavour, Length, Setting};
pub use self::packets::OpusPackets;
pub use self::settings::{EncoderSettings, ModeSettings};
use self::silence::Silence;
use super::{Codec, CodecError, Decode, Encode, StreamSpec, expect_len};

/// The smallest block: clients announce 10 bytes at least (spec 2.2, message 20).
pub const BLOCK_BYTES_MIN: u16 = 10;
/// The largest block the codec library accepts.
pub const BLOCK_BYTES_MAX: u16 = 1275;

/// Above this many bits per second and side, an explicit bit rate makes some library versions write fewer bytes
/// than asked for (spec 3.2).
const EXPLICIT_BITRATE_MAX_PER_SIDE: usize = 260_000;

/// The Opus Custom codec in the two modes of shipped clients.
#[derive(Clone, Debug, Default)]
pub struct OpusCustom {
    settings: EncoderSettings,
    flavour: Flavour,
}

impl OpusCustom {
    /// The codec with other encoder settings than the default.
    ///
    /// # Errors
    ///
    /// [`CodecError::InvalidSetting`] names the setting that is out of range.
    pub fn new(settings: EncoderSettings) -> Result<Self, CodecError> {
        settings.validate()?;
        Ok(Self { settings, flavour: Flavour::Tuned })
    }

    /// The codec compiled as libopus' own build files do it, without what this crate does for speed.
    ///
    /// It is the yardstick of benches and tests and has no advantage over [`OpusCustom::new`].
    ///
    /// # Errors
    ///
    /// [`CodecError::InvalidSetting`] names the setting that is out of range.
    #[cfg(feature = "plain-opus")]
    pub fn plain(settings: EncoderSettings) -> Result<Self, CodecError> {
        settings.validate()?;
        Ok(Self { settings, flavour: Flavour::Plain })
    }

    /// The codec as a processor without the newer instruction sets runs it.
    ///
    /// # Errors
    ///
    /// [`CodecError::InvalidSetting`] names the setting that is out of range.
    #[cfg(feature = "plain-opus")]
    pub fn baseline(settings: EncoderSettings) -> Result<Self, CodecError> {
        settings.validate()?;
        Ok(Self { settings, flavour: Flavour::Baseline })
    }

    /// The settings its encoders get.
    #[must_use]
    pub const fn settings(&self) -> EncoderSettings {
        self.settings
    }
}

impl Codec for OpusCustom {
    type Encoder = OpusCustomEncoder;
    type Decoder = OpusCustomDecoder;

    fn encoder(&self, spec: StreamSpec) -> Result<OpusCustomEncoder, CodecError> {
        check_size(spec)?;
        let mode = self.settings.of(spec.codec);
        let mut state = EncoderState::new(self.flavour, Length::Block(spec.codec), spec.layout)?;
        for (setting, value) in [
            (Setting::VariableBitrate, 0),
            (Setting::Complexity, i32::from(mode.complexity)),
            (Setting::PacketLossPercent, i32::from(mode.packet_loss_percent)),
            (Setting::Bitrate, bitrate(spec)),
        ] {
            state.set(setting, value).map_err(|code| CodecError::EncodeFailed { code })?;
        }
        Ok(OpusCustomEncoder { state, spec, silence: Silence::default() })
    }

    fn decoder(&self, spec: StreamSpec) -> Result<OpusCustomDecoder, CodecError> {
        check_size(spec)?;
        let state = DecoderState::new(self.flavour, Length::Block(spec.codec), spec.layout)?;
        Ok(OpusCustomDecoder { state, spec, silence: Silence::default() })
    }
}

const fn check_size(spec: StreamSpec) -> Result<(), CodecError> {
    if spec.block_bytes < BLOCK_BYTES_MIN || spec.block_bytes > BLOCK_BYTES_MAX {
        return Err(spec.unsupported());
    }
    Ok(())
}

/// The bit rate that makes the library fill a block: the computed one as shipped programs set it, or "maximum"
/// where the library would cap it (spec 3.2).
fn bitrate(spec: StreamSpec) -> i32 {
    let rate = usize::from(spec.block_bytes) * 8 * 48_000 / spec.codec.samples();
    if rate > EXPLICIT_BITRATE_MAX_PER_SIDE * spec.layout.sides() {
        return BITRATE_MAX;
    }
    i32::try_from(rate).unwrap_or(BITRATE_MAX)
}

/// An encoder of [`OpusCustom`].
///
/// All-zero samples cost next to nothing once they have lasted for a moment (at most 0.2 s): the encoder has then
/// settled in a state in which every block of silence is the same, and skips the work. The bytes are those it would
/// have written, then and afterwards.
pub struct OpusCustomEncoder {
    state: EncoderState,
    spec: StreamSpec,
    silence: Silence,
}

impl Encode for OpusCustomEncoder {
    fn encode(&mut self, pcm: &[i16], block: &mut [u8]) -> Result<(), CodecError> {
        let want = usize::from(self.spec.block_bytes);
        expect_len("pcm", pcm.len(), self.spec.pcm_len())?;
        expect_len("block", block.len(), want)?;
        if self.silence.settled(silence::is_silent(pcm)) {
            silence::write_block(block, self.spec.layout);
            return Ok(());
        }
        match self.state.encode(pcm, block) {
            Ok(got) if got == want => Ok(()),
            Ok(got) => Err(CodecError::ShortBlock { got, want }),
            Err(code) => Err(CodecError::EncodeFailed { code }),
        }
    }

    fn fork(&self) -> Self {
        Self { state: self.state.fork(), spec: self.spec, silence: self.silence }
    }
}

impl fmt::Debug for OpusCustomEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpusCustomEncoder").field("spec", &self.spec).finish_non_exhaustive()
    }
}

/// A decoder of [`OpusCustom`].
///
/// The first byte of a block says mono or stereo; the decoder obeys it and still writes the layout of its own
/// stream. After a lost or undecodable block the sound of the following blocks recovers within a few blocks.
/// Concealment of a long gap fades to the background noise heard before the gap, not to silence; whoever wants
/// silence stops asking for it. Blocks of silence cost next to nothing once they have lasted for a moment.
pub struct OpusCustomDecoder {
    state: DecoderState,
    spec: StreamSpec,
    silence: Silence,
}

impl Decode for OpusCustomDecoder {
    fn decode(&mut self, block: Option<&[u8]>, pcm: &mut [i16]) -> Result<(), CodecError> {
        expect_len("pcm", pcm.len(), self.spec.pcm_len())?;
        if let Some(block) = block {
            expect_len("block", block.len(), usize::from(self.spec.block_bytes))?;
        }
        if self.silence.settled(block.is_some_and(|block| silence::is_block(block, self.spec.layout))) {
            pcm.fill(0);
            return Ok(());
        }
        let bytes = block.map_or(0, <[u8]>::len);
        self.state.decode(block, pcm).map_err(|code| CodecError::Undecodable { bytes, code })
    }
}

impl fmt::Debug for OpusCustomDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpusCustomDecoder").field("spec", &self.spec).finish_non_exhaustive()
    }
}
