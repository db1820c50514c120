//! What viewers that come later get first.

use bytes::Bytes;
use rtmp_core::media::{Headers, MediaRole};
use rtmp_core::{Media, MediaKind, Timestamp};

fn media(kind: MediaKind, payload: &[u8]) -> Media {
    Media { kind, timestamp: Timestamp::ZERO, payload: Bytes::copy_from_slice(payload) }
}

fn payloads(headers: &Headers) -> Vec<Vec<u8>> {
    headers.iter().map(|media| media.payload.to_vec()).collect()
}

const VIDEO_START: &[u8] = &[0x17, 0, 0, 0, 0, 1];
const AUDIO_START: &[u8] = &[0xaf, 0, 0x12, 0x10];

#[test]
fn metadata_comes_first_then_audio_then_video_whatever_the_order_they_came_in() {
    let mut headers = Headers::default();
    assert!(headers.remember(&media(MediaKind::Video, VIDEO_START)));
    assert!(headers.remember(&media(MediaKind::Audio, AUDIO_START)));
    let set = b"\x02\x00\x0d@setDataFrame\x02\x00\x0aonMetaData\x08\0\0\0\0\0\0\x09";
    assert!(headers.remember(&media(MediaKind::Data, set)));
    assert_eq!(payloads(&headers), [&set[16..], AUDIO_START, VIDEO_START]);
    assert_eq!(headers.bytes(), set.len() - 16 + 4 + 6);
    assert!(!headers.remember(&media(MediaKind::Video, &[0x17, 1, 0, 0, 0, 9])), "a key frame is no header");
    assert!(!headers.remember(&media(MediaKind::Data, b"\x02\x00\x0aonCuePoint")));
    let newer = &[0x17, 0, 0, 0, 0, 2];
    assert!(headers.remember(&media(MediaKind::Video, newer)));
    assert_eq!(payloads(&headers)[2], newer);
    assert!(!headers.remember(&media(MediaKind::Data, b"\x02\x00\x0f@clearDataFrame\x02\x00\x0aonMetaData")));
    assert!(headers.metadata().is_none());
    headers.clear();
    assert_eq!(headers.iter().count(), 0);
}

#[test]
fn each_track_keeps_its_own_header_until_a_newer_one_covers_it() {
    let track = |id: u8, data: u8| [b"\x96\x00hvc1".as_slice(), &[id, data]].concat();
    let both = b"\x96\x10hvc1\x00\x00\x00\x01\xaa\x01\x00\x00\x01\xbb";
    let mut headers = Headers::default();
    assert!(headers.remember(&media(MediaKind::Video, &track(0, 1))));
    assert!(headers.remember(&media(MediaKind::Video, &track(1, 1))));
    assert_eq!(payloads(&headers).len(), 2);
    assert!(headers.remember(&media(MediaKind::Video, &track(1, 2))));
    assert_eq!(payloads(&headers), [track(0, 1), track(1, 2)]);
    assert!(headers.remember(&media(MediaKind::Video, both)));
    assert_eq!(payloads(&headers), [both]);
    // One track of the two is newer now; the message of both still has to go first.
    assert!(headers.remember(&media(MediaKind::Video, &track(1, 3))));
    assert_eq!(payloads(&headers), [both.to_vec(), track(1, 3)]);
    // Colour and channel descriptions go behind the sequence headers they describe.
    let colour = b"\x94hvc1\x02\x00\x09colorInfo";
    assert!(headers.remember(&media(MediaKind::Video, colour)));
    assert_eq!(payloads(&headers)[2], colour);
}

#[test]
fn viewers_begin_at_key_frames_of_the_default_track() {
    let role = |payload: &[u8]| MediaRole::of(MediaKind::Video, payload);
    for (payload, expected) in [
        (&b"\x96\x03hvc1\x00k"[..], MediaRole::KeyFrame),
        (b"\x96\x03hvc1\x01k", MediaRole::Frame),
        (b"\xa6\x03hvc1\x00i", MediaRole::Frame),
        (b"\x96\x13hvc1\x01\0\0\x01k\x00\0\0\x01k", MediaRole::KeyFrame),
        (b"\x96\x13hvc1\x01\0\0\x01k\x02\0\0\x01k", MediaRole::Frame),
        (b"\x96\x23hvc1\x01\0\0\x01kav01\x00\0\0\x01k", MediaRole::KeyFrame),
        // The walk ends at a track that is cut.
        (b"\x96\x13hvc1\x01\0\0\x09k\x00\0\0\x01k", MediaRole::Frame),
        (b"\x96\x03hvc1", MediaRole::Frame),
    ] {
        assert_eq!(role(payload), expected, "{}", payload.escape_ascii());
    }
}

#[test]
fn the_memory_of_headers_has_a_bound() {
    let mut headers = Headers::default();
    for id in 0..=255_u8 {
        headers.remember(&media(MediaKind::Video, &[b"\x96\x00hvc1".as_slice(), &[id]].concat()));
    }
    assert_eq!(headers.iter().count(), 64);
    let mut headers = Headers::default();
    let long = [VIDEO_START, &vec![0; 900_000]].concat();
    assert!(headers.remember(&media(MediaKind::Video, &long)));
    let long = [AUDIO_START, &vec![0; 900_000]].concat();
    assert!(!headers.remember(&media(MediaKind::Audio, &long)));
    assert!(headers.bytes() < 2 << 20);
}
