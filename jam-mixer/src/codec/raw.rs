//! Uncompressed blocks: interleaved 16-bit little-endian samples (spec 3.5).

use super::{Codec, CodecError, Decode, Encode, StreamSpec, expect_len};

/// The codec of uncompressed blocks. A lost block is silence.
///
/// It has exactly the streams whose block size is that of their samples: 128 or 256 bytes for 64 samples, 256 or
/// 512 for 128 samples.
#[derive(Clone, Copy, Debug, Default)]
pub struct Raw;

/// Encoder and decoder of uncompressed blocks; both are without state.
#[derive(Clone, Copy, Debug)]
pub struct RawCoder {
    spec: StreamSpec,
}

impl RawCoder {
    fn new(spec: StreamSpec) -> Result<Self, CodecError> {
        if spec.is_raw_size() { Ok(Self { spec }) } else { Err(spec.unsupported()) }
    }
}

impl Codec for Raw {
    type Encoder = RawCoder;
    type Decoder = RawCoder;

    fn encoder(&self, spec: StreamSpec) -> Result<RawCoder, CodecError> {
        RawCoder::new(spec)
    }

    fn decoder(&self, spec: StreamSpec) -> Result<RawCoder, CodecError> {
        RawCoder::new(spec)
    }
}

impl Encode for RawCoder {
    fn encode(&mut self, pcm: &[i16], block: &mut [u8]) -> Result<(), CodecError> {
        expect_len("pcm", pcm.len(), self.spec.pcm_len())?;
        expect_len("block", block.len(), usize::from(self.spec.block_bytes))?;
        for (bytes, sample) in block.chunks_exact_mut(2).zip(pcm) {
            bytes.copy_from_slice(&sample.to_le_bytes());
        }
        Ok(())
    }

    fn fork(&self) -> Self {
        *self
    }
}

impl Decode for RawCoder {
    fn decode(&mut self, block: Option<&[u8]>, pcm: &mut [i16]) -> Result<(), CodecError> {
        expect_len("pcm", pcm.len(), self.spec.pcm_len())?;
        let Some(block) = block else {
            pcm.fill(0);
            return Ok(());
        };
        expect_len("block", block.len(), usize::from(self.spec.block_bytes))?;
        let (bytes, _) = block.as_chunks::<2>();
        for (sample, bytes) in pcm.iter_mut().zip(bytes) {
            *sample = i16::from_le_bytes(*bytes);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use jam_proto::{BlockCodec, Layout};

    use super::*;

    #[test]
    fn samples_pass_unchanged_and_a_lost_block_is_silence() {
        let spec = StreamSpec { codec: BlockCodec::Opus64, layout: Layout::Stereo, block_bytes: 256 };
        let mut coder = Raw.encoder(spec).unwrap();
        let pcm: Vec<i16> = (0..128).map(|i| (i * 511 - 32_768) as i16).collect();
        let mut block = [0; 256];
        coder.encode(&pcm, &mut block).unwrap();
        let mut back = [1; 128];
        coder.decode(Some(&block), &mut back).unwrap();
        assert_eq!(back.as_slice(), pcm);
        coder.decode(None, &mut back).unwrap();
        assert_eq!(back, [0; 128]);
    }

    #[test]
    fn only_the_four_raw_sizes_exist() {
        for (codec, layout, bytes) in [
            (BlockCodec::Opus64, Layout::Mono, 128),
            (BlockCodec::Opus64, Layout::Stereo, 256),
            (BlockCodec::Opus, Layout::Mono, 256),
            (BlockCodec::Opus, Layout::Stereo, 512),
        ] {
            assert!(Raw.decoder(StreamSpec { codec, layout, block_bytes: bytes }).is_ok());
            let other = StreamSpec { codec, layout, block_bytes: bytes - 1 };
            assert_eq!(Raw.encoder(other).err(), Some(other.unsupported()));
        }
    }

    #[test]
    fn slices_of_a_wrong_length_are_refused() {
        let spec = StreamSpec { codec: BlockCodec::Opus64, layout: Layout::Mono, block_bytes: 128 };
        let mut coder = Raw.encoder(spec).unwrap();
        let error = coder.encode(&[0; 63], &mut [0; 128]).unwrap_err();
        assert_eq!(error, CodecError::WrongLength { what: "pcm", got: 63, want: 64 });
        let error = coder.decode(Some(&[0; 129]), &mut [0; 64]).unwrap_err();
        assert_eq!(error, CodecError::WrongLength { what: "block", got: 129, want: 128 });
    }
}
