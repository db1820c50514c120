//! The built-in stream as media messages: H.264 pictures and AAC silence.

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use rtmp_core::amf::Object;
use rtmp_core::amf::amf0::{Value, encode_all};
use rtmp_core::{Media, MediaKind, Timestamp};

use super::card::{self, PICTURES_PER_SECOND};
use super::encoder::Encoder;

/// Every so many pictures is a key picture: two seconds.
const GOP_PICTURES: u32 = 50;
const SAMPLE_RATE: u64 = 44_100;
const SAMPLES_PER_BLOCK: u64 = 1024;
/// AAC-LC, 44.1 kHz, one channel.
const AUDIO_CONFIG: [u8; 2] = [0x12, 0x08];
/// One channel without a single band, and the end: 23 ms of silence.
const SILENCE: [u8; 4] = [0, 0, 0, 0x07];

/// Makes the stream, message by message, in the order of time.
pub(crate) struct TestStream {
    encoder: Encoder,
    headers: std::vec::IntoIter<Media>,
    pictures: u32,
    blocks: u64,
}

impl TestStream {
    pub(crate) fn new() -> Self {
        let encoder = Encoder::new(card::SIZE);
        let headers =
            vec![metadata(), audio(Timestamp::ZERO, 0, &AUDIO_CONFIG), decoder_configuration(&encoder)];
        Self { encoder, headers: headers.into_iter(), pictures: 0, blocks: 0 }
    }

    /// The next message, and when it is due after the start.
    pub(crate) fn next(&mut self) -> (Duration, Media) {
        if let Some(header) = self.headers.next() {
            return (Duration::ZERO, header);
        }
        let picture_ms = u64::from(self.pictures) * 1000 / u64::from(PICTURES_PER_SECOND);
        let block_ms = self.blocks * SAMPLES_PER_BLOCK * 1000 / SAMPLE_RATE;
        let millis = picture_ms.min(block_ms);
        let timestamp = Timestamp::from_millis(millis as u32);
        let media = if block_ms <= picture_ms {
            self.blocks += 1;
            audio(timestamp, 1, &SILENCE)
        } else {
            self.picture(timestamp)
        };
        (Duration::from_millis(millis), media)
    }

    fn picture(&mut self, timestamp: Timestamp) -> Media {
        let picture = card::picture(self.pictures);
        let key = self.pictures.is_multiple_of(GOP_PICTURES);
        self.pictures = self.pictures.wrapping_add(1);
        let nal = if key { self.encoder.key(&picture) } else { self.encoder.inter(&picture) };
        let mut payload = BytesMut::with_capacity(9 + nal.len());
        payload.put_slice(&[if key { 0x17 } else { 0x27 }, 1, 0, 0, 0]);
        payload.put_u32(nal.len() as u32);
        payload.put_slice(&nal);
        Media { kind: MediaKind::Video, timestamp, payload: payload.freeze() }
    }
}

/// An AAC message: `packet` 0 is the configuration, 1 a block.
fn audio(timestamp: Timestamp, packet: u8, body: &[u8]) -> Media {
    let payload = Bytes::from([&[0xaf, packet], body].concat());
    Media { kind: MediaKind::Audio, timestamp, payload }
}

/// The AVC decoder configuration record in its message.
fn decoder_configuration(encoder: &Encoder) -> Media {
    let (sps, pps) = (encoder.sps(), encoder.pps());
    let mut payload = BytesMut::new();
    payload.put_slice(&[0x17, 0, 0, 0, 0]);
    // Version; profile, compatibility and level from the parameter set; lengths have four bytes; one set of each.
    payload.put_u8(1);
    payload.put_slice(sps.get(1..4).unwrap_or_default());
    payload.put_slice(&[0xff, 0xe1]);
    payload.put_u16(sps.len() as u16);
    payload.put_slice(&sps);
    payload.put_u8(1);
    payload.put_u16(pps.len() as u16);
    payload.put_slice(&pps);
    Media { kind: MediaKind::Video, timestamp: Timestamp::ZERO, payload: payload.freeze() }
}

fn metadata() -> Media {
    let properties = Object::new()
        .with("width", 640.0)
        .with("height", 360.0)
        .with("framerate", f64::from(PICTURES_PER_SECOND))
        .with("videocodecid", 7.0)
        .with("audiocodecid", 10.0)
        .with("audiosamplerate", SAMPLE_RATE as f64)
        .with("stereo", false)
        .with("encoder", crate::SIGNATURE);
    let values: [Value; 3] = ["@setDataFrame".into(), "onMetaData".into(), properties.into()];
    let mut payload = BytesMut::new();
    // Short names and numbers always have a form in AMF0.
    let _ = encode_all(&values, &mut payload);
    Media { kind: MediaKind::Data, timestamp: Timestamp::ZERO, payload: payload.freeze() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_in_the_order_of_time_and_every_two_seconds_is_a_key_picture() {
        let mut stream = TestStream::new();
        let messages: Vec<(Duration, Media)> = (0..1000).map(|_| stream.next()).collect();
        assert!(messages.is_sorted_by_key(|(due, _)| *due));
        let video: Vec<&Media> = messages
            .iter()
            .map(|(_, media)| media)
            .filter(|media| media.kind == MediaKind::Video && media.payload[1] == 1)
            .collect();
        let keys: Vec<u32> = video
            .iter()
            .filter(|media| media.payload[0] == 0x17)
            .map(|media| media.timestamp.millis())
            .collect();
        assert!(keys.starts_with(&[0, 2000, 4000, 6000]), "{keys:?}");
        assert_eq!(video[1].timestamp.millis(), 40);
        let bytes: usize = video.iter().map(|media| media.payload.len()).sum();
        assert!(bytes * 8 * 25 / video.len() < 300_000, "bits per second: {}", bytes * 8 * 25 / video.len());
    }
}
