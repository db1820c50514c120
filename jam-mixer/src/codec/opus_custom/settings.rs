//! What the encoders do with their processor time.

use jam_proto::BlockCodec;

use crate::codec::CodecError;

/// Settings of the encoders, per block length.
///
/// They change speed and sound, never the format: any client decodes any of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EncoderSettings {
    /// For blocks of 128 samples.
    pub opus: ModeSettings,
    /// For blocks of 64 samples.
    pub opus64: ModeSettings,
}

/// Settings of the encoders of one block length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ModeSettings {
    /// How much the encoder searches, 0 to 10.
    pub complexity: u8,
    /// Share of blocks the encoder expects to be lost, 0 to 100: it then predicts less from block to block.
    pub packet_loss_percent: u8,
}

impl EncoderSettings {
    /// The settings of shipped servers and clients (spec 3.2).
    pub const SHIPPED: Self = Self {
        opus: ModeSettings { complexity: 1, packet_loss_percent: 0 },
        opus64: ModeSettings { complexity: 5, packet_loss_percent: 35 },
    };

    /// The settings for one block length.
    #[must_use]
    pub const fn of(&self, codec: BlockCodec) -> ModeSettings {
        match codec {
            BlockCodec::Opus => self.opus,
            BlockCodec::Opus64 => self.opus64,
        }
    }

    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// [`CodecError::InvalidSetting`] names the setting that is out of range.
    pub const fn validate(&self) -> Result<(), CodecError> {
        if let Err(error) = self.opus.validate() {
            return Err(error);
        }
        self.opus64.validate()
    }
}

impl Default for EncoderSettings {
    /// As [`SHIPPED`](Self::SHIPPED), but complexity 4 for blocks of 64 samples.
    ///
    /// The encoders write the same bytes: what complexity 5 adds is a search for the pitch, whose result an expected
    /// loss above 8 % always discards. It takes half of the time.
    fn default() -> Self {
        Self { opus64: ModeSettings { complexity: 4, ..Self::SHIPPED.opus64 }, ..Self::SHIPPED }
    }
}

impl ModeSettings {
    const COMPLEXITY_MAX: u8 = 10;
    const PACKET_LOSS_PERCENT_MAX: u8 = 100;

    const fn validate(&self) -> Result<(), CodecError> {
        if self.complexity > Self::COMPLEXITY_MAX {
            return Err(CodecError::InvalidSetting {
                what: "complexity",
                got: self.complexity,
                max: Self::COMPLEXITY_MAX,
            });
        }
        if self.packet_loss_percent > Self::PACKET_LOSS_PERCENT_MAX {
            return Err(CodecError::InvalidSetting {
                what: "packet_loss_percent",
                got: self.packet_loss_percent,
                max: Self::PACKET_LOSS_PERCENT_MAX,
            });
        }
        Ok(())
    }
}
