//! The stream a publisher sends: H.264 and AAC messages of the right sizes at the right times, filled with noise.

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use rtmp_core::amf::Object;
use rtmp_core::amf::amf0::{self, Value};
use rtmp_core::media::MediaRole;
use rtmp_core::{Media, MediaKind, Timestamp};

use crate::clock::Nanos;
use crate::stamp::{STAMP_BYTES, Stamp};

/// How many times as large a key frame is as the other frames.
const KEY_WEIGHT: u64 = 8;
/// Frame type and codec, packet type, composition time, length and header of one NAL unit.
const VIDEO_HEAD: usize = 10;
const AUDIO_HEAD: usize = 2;
const AAC_RATE: u64 = 44_100;
const AAC_SAMPLES: u64 = 1024;

/// What a stream consists of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SourceSettings {
    /// Bits per second of payload, audio included.
    pub(crate) bitrate: u64,
    /// Bits per second of it that are audio; 0 for none.
    pub(crate) audio: u64,
    /// Pictures per second; 0 for none.
    pub(crate) fps: u32,
    /// Pictures from key frame to key frame.
    pub(crate) gop: u64,
}

/// One stream from its beginning.
#[derive(Debug)]
pub(crate) struct Source {
    settings: SourceSettings,
    stream: u16,
    epoch: u16,
    pictures: u64,
    sounds: u64,
    noise: Bytes,
}

impl Source {
    pub(crate) fn new(settings: SourceSettings, stream: u16, epoch: u16) -> Self {
        let largest = settings.video_bytes(true).max(settings.audio_bytes());
        Self { settings, stream, epoch, pictures: 0, sounds: 0, noise: noise(largest + 4096) }
    }

    /// Metadata and sequence headers, which come before the first frame.
    pub(crate) fn headers(&self) -> Vec<Media> {
        let header = |kind, payload| Media { kind, timestamp: Timestamp::ZERO, payload };
        let mut headers = vec![header(MediaKind::Data, metadata(&self.settings))];
        if self.settings.audio > 0 {
            // AAC-LC, 44.1 kHz, stereo.
            headers.push(header(MediaKind::Audio, Bytes::from_static(&[0xaf, 0, 0x12, 0x10])));
        }
        if self.settings.fps > 0 {
            headers.push(header(MediaKind::Video, Bytes::from_static(AVC_HEADER)));
        }
        headers
    }

    /// When the next frame is due, from the beginning.
    pub(crate) fn due(&self) -> Duration {
        Duration::from_millis(u64::from(self.next_is().1))
    }

    /// The next frame, stamped with `now`.
    pub(crate) fn next(&mut self, now: Nanos) -> Media {
        let (kind, timestamp) = self.next_is();
        let (head, length, sequence): (&[u8], usize, u64) = match kind {
            MediaKind::Video => {
                let key = self.pictures.is_multiple_of(self.settings.gop);
                self.pictures += 1;
                let head = if key { b"\x17\x01\0\0\0\0\0\0\0\x65" } else { b"\x27\x01\0\0\0\0\0\0\0\x41" };
                (head, self.settings.video_bytes(key), self.pictures - 1)
            }
            _ => {
                self.sounds += 1;
                (b"\xaf\x01", self.settings.audio_bytes(), self.sounds - 1)
            }
        };
        let mut payload = BytesMut::with_capacity(length);
        payload.put_slice(head);
        if kind == MediaKind::Video {
            let nal = (length - VIDEO_HEAD + 1) as u32;
            payload[5..9].copy_from_slice(&nal.to_be_bytes());
        }
        let from = (sequence as usize * 97) % 4096;
        payload.put_slice(&self.noise[from..from + length - head.len()]);
        let (stream, epoch) = (self.stream, self.epoch);
        let stamp = Stamp { stream, epoch, sequence, sent: now, timestamp };
        stamp.put(&mut payload[head.len()..]);
        Media { kind, timestamp: Timestamp::from_millis(timestamp), payload: payload.freeze() }
    }

    /// Kind and media time of the next frame: whichever lane is behind, video first when they are equal.
    fn next_is(&self) -> (MediaKind, u32) {
        let video = (self.settings.fps > 0).then(|| self.pictures * 1000 / u64::from(self.settings.fps));
        let audio = (self.settings.audio > 0).then(|| self.sounds * AAC_SAMPLES * 1000 / AAC_RATE);
        match (video, audio) {
            (Some(video), Some(audio)) if audio < video => (MediaKind::Audio, audio as u32),
            (None, audio) => (MediaKind::Audio, audio.unwrap_or_default() as u32),
            (Some(video), _) => (MediaKind::Video, video as u32),
        }
    }
}

impl SourceSettings {
    /// Bytes of a video message.
    fn video_bytes(&self, key: bool) -> usize {
        let second = self.bitrate.saturating_sub(self.audio) / 8;
        let of_gop = second * self.gop / u64::from(self.fps.max(1));
        let unit = of_gop / (KEY_WEIGHT + self.gop - 1);
        let bytes = if key { unit * KEY_WEIGHT } else { unit };
        (bytes as usize).max(VIDEO_HEAD + STAMP_BYTES)
    }

    fn audio_bytes(&self) -> usize {
        let bytes = self.audio / 8 * AAC_SAMPLES / AAC_RATE;
        (bytes as usize).max(AUDIO_HEAD + STAMP_BYTES)
    }
}

/// The coded data of a frame, where its stamp is; `None` for headers and messages of other forms.
pub(crate) fn coded(media: &Media) -> Option<&[u8]> {
    let head = match (media.kind, media.role()) {
        (MediaKind::Video, MediaRole::KeyFrame | MediaRole::Frame) => VIDEO_HEAD,
        (MediaKind::Audio, MediaRole::Frame) => AUDIO_HEAD,
        _ => return None,
    };
    media.payload.get(head..)
}

/// A decoder configuration of High profile, level 3.1, 1280x720.
const AVC_HEADER: &[u8] = &[
    0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 0x18, 0x67, 0x64, 0, 0x1f, 0xac, 0xd9, 0x40, 0x50, 5,
    0xbb, 1, 0x10, 0, 0, 3, 0, 0x10, 0, 0, 3, 3, 0xc0, 0xf1, 0x83, 1, 0, 6, 0x68, 0xeb, 0xe3, 0xcb, 0x22,
    0xc0,
];

fn metadata(settings: &SourceSettings) -> Bytes {
    let mut object = Object::<Value>::new().with("encoder", "rtmp-load");
    if settings.fps > 0 {
        object = object.with("width", 1280_u32).with("height", 720_u32).with("framerate", settings.fps);
        object = object.with("videocodecid", 7_u32);
        object = object.with("videodatarate", (settings.bitrate - settings.audio) as f64 / 1000.0);
    }
    if settings.audio > 0 {
        object = object.with("audiocodecid", 10_u32).with("audiosamplerate", AAC_RATE as f64);
        object = object.with("audiodatarate", settings.audio as f64 / 1000.0);
    }
    let values = [Value::from("@setDataFrame"), Value::from("onMetaData"), Value::EcmaArray(object)];
    let mut payload = BytesMut::new();
    // Flat values of ours can always be written.
    let _ = amf0::encode_all(&values, &mut payload);
    payload.freeze()
}

/// Bytes that do not compress and hold no start codes worth mentioning.
fn noise(length: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let bytes = (0..length).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    });
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: SourceSettings = SourceSettings { bitrate: 1_000_000, audio: 64_000, fps: 25, gop: 50 };

    #[test]
    fn a_stream_has_the_bitrate_that_was_asked_for() {
        let mut source = Source::new(SETTINGS, 0, 0);
        let (mut bytes, mut keys, mut last) = (0, 0, 0);
        while source.due() < Duration::from_secs(20) {
            let media = source.next(Nanos(1));
            assert!(media.timestamp.millis() >= last, "in order");
            last = media.timestamp.millis();
            bytes += media.payload.len();
            keys += usize::from(media.role() == MediaRole::KeyFrame);
            let coded = coded(&media).expect("a frame");
            assert!(Stamp::is_intact(coded));
            assert_eq!(Stamp::read(coded).map(|stamp| stamp.timestamp), Some(last));
        }
        assert_eq!(keys, 10);
        let bits = bytes as f64 * 8.0 / 20.0;
        assert!((bits / 1e6 - 1.0).abs() < 0.02, "{bits}");
    }

    #[test]
    fn headers_are_recognised_as_what_they_are() {
        let headers = Source::new(SETTINGS, 0, 0).headers();
        let roles: Vec<_> = headers.iter().map(Media::role).collect();
        assert_eq!(roles, [MediaRole::Data, MediaRole::SequenceHeader, MediaRole::SequenceHeader]);
        assert!(headers.iter().all(|media| coded(media).is_none()));
    }

    #[test]
    fn either_lane_can_be_left_out() {
        let mut sound = Source::new(SourceSettings { fps: 0, ..SETTINGS }, 0, 0);
        let mut pictures = Source::new(SourceSettings { audio: 0, ..SETTINGS }, 0, 0);
        for _ in 0..100 {
            assert_eq!(sound.next(Nanos(0)).kind, MediaKind::Audio);
            assert_eq!(pictures.next(Nanos(0)).kind, MediaKind::Video);
        }
        assert_eq!((sound.headers().len(), pictures.headers().len()), (2, 2));
    }
}
