//! A codec that costs nothing: a block carries the first sample of its sound.

use jam_mixer::codec::{Codec, CodecError, Decode, Encode, StreamSpec};

pub(crate) struct Plain;

pub(crate) struct Coder;

impl Codec for Plain {
    type Encoder = Coder;
    type Decoder = Coder;

    fn encoder(&self, _: StreamSpec) -> Result<Coder, CodecError> {
        Ok(Coder)
    }

    fn decoder(&self, _: StreamSpec) -> Result<Coder, CodecError> {
        Ok(Coder)
    }
}

impl Encode for Coder {
    fn encode(&mut self, pcm: &[i16], block: &mut [u8]) -> Result<(), CodecError> {
        block[..2].copy_from_slice(&pcm[0].to_le_bytes());
        Ok(())
    }

    fn fork(&self) -> Self {
        Self
    }
}

impl Decode for Coder {
    fn decode(&mut self, block: Option<&[u8]>, pcm: &mut [i16]) -> Result<(), CodecError> {
        pcm.fill(block.map_or(0, |block| i16::from_le_bytes([block[0], block[1]])));
        Ok(())
    }
}
