//! Standard Opus packets, for audiences outside the jam.
#![expect(clippy::indexing_slicing, reason = "never more samples are taken than there is room for")]

use std::fmt;

use jam_proto::Layout;

use super::ffi::{EncoderState, Flavour, Length, Setting};
use super::{BITRATE_MAX, BLOCK_BYTES_MAX, BLOCK_BYTES_MIN};
use crate::codec::CodecError;

/// Packets of 20 ms.
const PACKETS_PER_S: u32 = 50;
/// Listeners outside the jam have time, and there is one encoder for all of them.
const COMPLEXITY: i32 = 9;

/// Encodes 48 kHz samples into standard Opus packets of 20 ms with a constant bit rate: what Ogg, Matroska, WebRTC and
/// Enhanced RTMP carry.
///
/// It is the CELT part of Opus only, full band: right for music from about 48 kbit/s per side on, wasteful for
/// speech below that.
///
/// ```
/// use jam_mixer::codec::OpusPackets;
/// use jam_proto::Layout;
///
/// let mut encoder = OpusPackets::new(Layout::Stereo, 128_000)?;
/// let mut packets = Vec::new();
/// for _tick in 0..15 {
///     encoder.push(&[0; 256], |packet| packets.push(packet.to_vec()))?;
/// }
/// assert_eq!(packets.len(), 2); // 1,920 samples per side
/// assert_eq!(packets[0].len(), 320);
/// # Ok::<(), jam_mixer::codec::CodecError>(())
/// ```
pub struct OpusPackets {
    state: EncoderState,
    /// Samples of the coming packet.
    pcm: Vec<i16>,
    filled: usize,
    packet: Vec<u8>,
}

impl OpusPackets {
    /// Samples per side of a packet.
    pub const SAMPLES: usize = Length::PACKET_SAMPLES;
    /// Samples per side that a decoder drops at the start: the delay of the codec (`pre-skip` in Ogg).
    pub const PRE_SKIP: u16 = 120;

    /// An encoder of so many bits per second, rounded down to whole bytes per packet.
    ///
    /// # Errors
    ///
    /// [`CodecError::Unsupported`] below 4,000 and above 510,000 bits per second, [`CodecError::Allocation`] without
    /// memory.
    pub fn new(layout: Layout, bits_per_second: u32) -> Result<Self, CodecError> {
        let bytes = u16::try_from(bits_per_second / (8 * PACKETS_PER_S)).unwrap_or(u16::MAX);
        if !(BLOCK_BYTES_MIN..=BLOCK_BYTES_MAX).contains(&bytes) {
            return Err(CodecError::Unsupported { bytes, samples: Self::SAMPLES, sides: layout.sides() });
        }
        let mut state = EncoderState::new(Flavour::Tuned, Length::Packet, layout)?;
        for (setting, value) in [
            (Setting::VariableBitrate, 0),
            (Setting::Complexity, COMPLEXITY),
            // Whatever fills the packet.
            (Setting::Bitrate, BITRATE_MAX),
        ] {
            state.set(setting, value).map_err(|code| CodecError::EncodeFailed { code })?;
        }
        Ok(Self {
            state,
            pcm: vec![0; Self::SAMPLES * layout.sides()],
            filled: 0,
            packet: vec![0; usize::from(bytes)],
        })
    }

    /// Takes interleaved samples, any number of them, and hands each packet that becomes complete to `packet`.
    ///
    /// # Errors
    ///
    /// [`CodecError::EncodeFailed`] and [`CodecError::ShortBlock`] if the codec library misbehaves; the samples of that
    /// packet and the rest of `pcm` are then lost.
    pub fn push(&mut self, mut pcm: &[i16], mut packet: impl FnMut(&[u8])) -> Result<(), CodecError> {
        while !pcm.is_empty() {
            let room = &mut self.pcm[self.filled..];
            let count = room.len().min(pcm.len());
            let (now, later) = pcm.split_at(count);
            room[..count].copy_from_slice(now);
            self.filled += count;
            pcm = later;
            if self.filled == self.pcm.len() {
                self.filled = 0;
                let want = self.packet.len();
                match self.state.encode(&self.pcm, &mut self.packet) {
                    Ok(got) if got == want => packet(&self.packet),
                    Ok(got) => return Err(CodecError::ShortBlock { got, want }),
                    Err(code) => return Err(CodecError::EncodeFailed { code }),
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for OpusPackets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpusPackets").field("packet_bytes", &self.packet.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::ffi::DecoderState;
    use super::*;

    fn tone(samples: usize, sides: usize) -> Vec<i16> {
        (0..samples * sides)
            .map(|n| {
                let time = (n / sides) as f32 / 48_000.0;
                (8_000.0 * (std::f32::consts::TAU * (440.0 + 220.0 * (n % sides) as f32) * time).sin()) as i16
            })
            .collect()
    }

    #[test]
    fn packets_carry_the_sound_behind_a_full_band_header() {
        for (layout, toc) in [(Layout::Mono, 0xf8), (Layout::Stereo, 0xfc)] {
            let pcm = tone(48_000, layout.sides());
            let mut encoder = OpusPackets::new(layout, 96_000).unwrap();
            let mut decoder = DecoderState::new(Flavour::Tuned, Length::Packet, layout).unwrap();
            let mut heard = Vec::new();
            for chunk in pcm.chunks(256) {
                encoder
                    .push(chunk, |packet| {
                        assert_eq!((packet.len(), packet[0]), (240, toc));
                        let mut out = vec![0; 960 * layout.sides()];
                        decoder.decode(Some(packet), &mut out).unwrap();
                        heard.extend(out);
                    })
                    .unwrap();
            }
            assert_eq!(heard.len(), pcm.len());
            let delay = usize::from(OpusPackets::PRE_SKIP) * layout.sides();
            let (mut power, mut noise) = (0.0, 0.0);
            for (want, got) in pcm.iter().zip(&heard[delay..]) {
                power += f64::from(*want).powi(2);
                noise += (f64::from(*want) - f64::from(*got)).powi(2);
            }
            assert!(power > 100.0 * noise, "{layout:?}: {:.1} dB", 10.0 * (power / noise).log10());
        }
    }

    #[test]
    fn rates_that_no_packet_can_have_are_refused() {
        for rate in [0, 3_999, 510_400, u32::MAX] {
            let error = OpusPackets::new(Layout::Mono, rate).unwrap_err();
            assert!(matches!(error, CodecError::Unsupported { samples: 960, .. }), "{rate}: {error}");
        }
        for rate in [4_000, 510_000] {
            OpusPackets::new(Layout::Mono, rate).unwrap().push(&[0; 1_000], |_| ()).unwrap();
        }
    }
}
