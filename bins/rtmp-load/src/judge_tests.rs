//! Streams with one thing wrong with each.

use super::*;
use crate::source::{Source, SourceSettings};

const SETTINGS: SourceSettings = SourceSettings { bitrate: 400_000, audio: 64_000, fps: 25, gop: 25 };

/// Headers and four seconds of a stream.
fn stream(settings: SourceSettings, epoch: u16) -> Vec<Media> {
    let mut source = Source::new(settings, 7, epoch);
    let mut messages = source.headers();
    while source.due().as_secs() < 4 {
        let now = Nanos(source.due().as_nanos() as i64);
        messages.push(source.next(now));
    }
    messages
}

fn judge<'a>(messages: impl IntoIterator<Item = &'a Media>) -> Judge {
    let mut judge = Judge::new(7, 1, 0, Nanos(1_000_000_000));
    for media in messages {
        let now = coded(media).and_then(Stamp::read).map_or(Nanos(0), |stamp| stamp.sent);
        judge.take(media, now);
    }
    judge
}

fn is(media: &Media, kind: MediaKind, sequence: u64) -> bool {
    media.kind == kind && coded(media).and_then(Stamp::read).is_some_and(|stamp| stamp.sequence == sequence)
}

fn place(messages: &[Media], kind: MediaKind, sequence: u64) -> usize {
    messages.iter().position(|media| is(media, kind, sequence)).expect("such a frame")
}

#[test]
fn a_whole_stream_is_faultless() {
    let judge = judge(&stream(SETTINGS, 0));
    assert_eq!(judge.faults, Faults::default());
    assert_eq!((judge.given.resyncs, judge.given.stalls, judge.given.unstamped), (0, 0, 0));
    assert_eq!(judge.given.frames, 100 + 173);
}

#[test]
fn sound_alone_and_pictures_alone_are_faultless() {
    for settings in [SourceSettings { fps: 0, ..SETTINGS }, SourceSettings { audio: 0, ..SETTINGS }] {
        assert_eq!(judge(&stream(settings, 0)).faults, Faults::default());
    }
}

#[test]
fn a_missing_picture_is_a_gap_unless_a_key_frame_follows() {
    let mut messages = stream(SETTINGS, 0);
    messages.remove(place(&messages, MediaKind::Video, 30));
    assert_eq!(judge(&messages).faults, Faults { gaps: 1, lost: 1, ..Faults::default() });

    let mut messages = stream(SETTINGS, 0);
    let (from, to) = (place(&messages, MediaKind::Video, 30), place(&messages, MediaKind::Video, 50));
    let left_out = messages.drain(from..to).count() as u64;
    let judge = judge(&messages);
    assert_eq!(judge.faults, Faults::default(), "a jump to a key frame");
    assert_eq!((judge.given.resyncs, judge.given.skipped), (1, left_out));
}

#[test]
fn missing_sound_is_a_gap_unless_pictures_are_missing_beside_it() {
    let mut messages = stream(SETTINGS, 0);
    messages.remove(place(&messages, MediaKind::Audio, 60));
    assert_eq!(judge(&messages).faults, Faults { gaps: 1, lost: 1, ..Faults::default() });

    // The sound comes in front of the key frame instead of behind it.
    let mut messages = stream(SETTINGS, 0);
    let (from, to) = (place(&messages, MediaKind::Video, 30), place(&messages, MediaKind::Video, 50));
    messages.drain(from..to);
    messages.swap(from, from + 1);
    let judge = judge(&messages);
    assert_eq!(judge.faults, Faults::default());
    assert_eq!(judge.given.resyncs, 1);
}

#[test]
fn repeated_and_reordered_frames_are_noticed() {
    let mut messages = stream(SETTINGS, 0);
    let at = place(&messages, MediaKind::Video, 30);
    messages.insert(at, messages[at].clone());
    assert_eq!(judge(&messages).faults, Faults { repeated: 1, ..Faults::default() });

    let mut messages = stream(SETTINGS, 0);
    let (a, b) = (place(&messages, MediaKind::Video, 30), place(&messages, MediaKind::Video, 31));
    messages.swap(a, b);
    let faults = judge(&messages).faults;
    assert!(faults.gaps > 0 && faults.repeated > 0 && faults.backwards > 0, "{faults:?}");
}

#[test]
fn headers_and_a_key_frame_come_first() {
    let messages = stream(SETTINGS, 0);
    let frames = messages.len() as u64 - 3;
    assert_eq!(judge(&messages[3..]).faults, Faults { before_header: frames, ..Faults::default() });

    let joined = place(&messages, MediaKind::Video, 23);
    let late = messages[..3].iter().chain(&messages[joined..]);
    assert_eq!(judge(late).faults, Faults { before_key: 2, ..Faults::default() });
}

#[test]
fn media_time_follows_the_publishers() {
    let mut messages = stream(SETTINGS, 0);
    for media in &mut messages {
        media.timestamp = media.timestamp.shifted(-77);
    }
    assert_eq!(judge(&messages).faults, Faults::default(), "a constant shift is the server's choice");
    let at = place(&messages, MediaKind::Video, 30);
    messages[at].timestamp = messages[at].timestamp.shifted(1);
    assert_eq!(judge(&messages).faults, Faults { shifted: 2, ..Faults::default() }, "there and back");
}

#[test]
fn changed_bytes_and_frames_of_others_are_noticed() {
    let mut messages = stream(SETTINGS, 0);
    let at = place(&messages, MediaKind::Video, 30);
    let mut payload = messages[at].payload.to_vec();
    payload[100] ^= 1;
    messages[at].payload = payload.into();
    assert_eq!(judge(&messages).faults, Faults { corrupt: 1, ..Faults::default() });

    let mut other = Source::new(SETTINGS, 8, 0);
    let mut messages = stream(SETTINGS, 0);
    messages.insert(3, other.next(Nanos(0)));
    assert_eq!(judge(&messages).faults, Faults { foreign: 1, ..Faults::default() });
}

#[test]
fn a_publisher_may_come_back_but_its_old_frames_may_not() {
    let mut messages = stream(SETTINGS, 0);
    let end = messages.last().expect("frames").timestamp.millis() + 10;
    let mut second = stream(SETTINGS, 1);
    for media in &mut second {
        media.timestamp = media.timestamp + end;
    }
    let stale = messages[60].clone();
    messages.extend(second);
    let whole = judge(&messages);
    assert_eq!((whole.faults, whole.given.restarts), (Faults::default(), 1));

    messages.push(Media { timestamp: Timestamp::from_millis(end + 10_000), ..stale });
    assert_eq!(judge(&messages).faults, Faults { foreign: 1, ..Faults::default() });
}
