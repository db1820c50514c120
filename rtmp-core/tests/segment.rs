//! Shared segments with splices against private writers.

mod common;

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use common::read_all;
use proptest::prelude::*;
use rtmp_core::chunk::{ChunkReader, ChunkWriter, Message, MessageType};
use rtmp_core::media::MediaRole;
use rtmp_core::message::{Control, UserControl};
use rtmp_core::segment::{
    Clock, Correction, Cursor, Framing, Outgoing, Ring, SEGMENT_BYTES, SLICES_MAX, SegmentWriter, Segments,
    TimePolicy,
};
use rtmp_core::{Limits, Media, MediaKind, Timestamp, flv};

fn media(kind: MediaKind, millis: u32, payload: Vec<u8>) -> Media {
    Media { kind, timestamp: Timestamp::from_millis(millis), payload: payload.into() }
}

fn video(millis: u32, first: u8, length: usize) -> Media {
    let mut payload = vec![first, 1, 0, 0, 0];
    payload.extend((0..length).map(|at| at as u8));
    media(MediaKind::Video, millis, payload)
}

const KEY: u8 = 0x17;
const INTER: u8 = 0x27;

fn drain(outgoing: &mut Outgoing<'_, Ring>, at_most: usize) -> Vec<u8> {
    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
    let count = outgoing.chunks_vectored(&mut slices);
    let mut bytes: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.iter().copied()).collect();
    bytes.truncate(at_most);
    assert!(bytes.len() <= outgoing.remaining());
    outgoing.advance(bytes.len());
    bytes
}

fn messages(wire: &[u8], chunk_size: u32) -> Vec<Message> {
    let mut all = BytesMut::new();
    ChunkWriter::default().write(&mut all, &Control::SetChunkSize(chunk_size).message());
    all.extend_from_slice(wire);
    let mut limits = Limits::default();
    limits.chunk_size_min = 1;
    limits.header_budget = u32::MAX;
    let mut read = read_all(&mut ChunkReader::new(&limits), &all, 1000).expect("a legal stream");
    read.remove(0);
    read
}

#[test]
fn a_viewer_that_keeps_up_gets_the_shared_bytes_themselves() {
    let mut writer = SegmentWriter::new(Framing::Chunks { size: 60_000 });
    let mut ring = Ring::default();
    let mut viewer = Cursor::new(1, 0, 0);
    let mut private = BytesMut::new();
    for n in 0..10 {
        writer.push(&video(n * 40, if n == 0 { KEY } else { INTER }, 1000));
        ring.push(Arc::new(writer.finish().expect("a message")));
        let mut outgoing = Outgoing::new(&mut private, &mut viewer, &ring);
        let shared = ring.segment(u64::from(n)).expect("pushed").wire();
        if n > 0 {
            assert_eq!(outgoing.chunk().as_ptr(), shared.as_ptr(), "the bytes are not copied");
            assert_eq!(outgoing.remaining(), shared.len());
        }
        outgoing.advance(outgoing.remaining());
    }
    assert_eq!((viewer.splices(), viewer.next()), (1, 10));
}

#[test]
fn only_a_viewer_that_keeps_up_gets_whole_segments() {
    let mut writer = SegmentWriter::new(Framing::Chunks { size: 60_000 });
    let mut ring = Ring::default();
    let mut viewer = Cursor::new(1, 0, 0);
    let mut private = BytesMut::new();
    let mut push = |ring: &mut Ring, millis| {
        writer.push(&video(millis, INTER, 1000));
        ring.push(Arc::new(writer.finish().expect("a message")));
    };
    push(&mut ring, 0);
    assert!(viewer.take_whole(&ring).is_none(), "the first one needs a header of its own");
    drain(&mut Outgoing::new(&mut private, &mut viewer, &ring), usize::MAX);
    assert!(viewer.take_whole(&ring).is_none(), "there is none");
    push(&mut ring, 40);
    let bytes = ring.segment(1).expect("pushed").wire().len();
    let before = viewer.sent_bytes();
    let whole = viewer.take_whole(&ring).expect("it keeps up");
    assert_eq!((whole.number(), whole.len(), viewer.next()), (1, bytes, 2));
    assert_eq!(viewer.sent_bytes(), before + bytes as u64);
    assert!(viewer.give_back(whole, &ring, 0));
    assert_eq!((viewer.next(), viewer.sent_bytes()), (1, before), "as if nothing had happened");
    let whole = viewer.take_whole(&ring).expect("again");
    assert!(viewer.give_back(whole, &ring, 7) && viewer.is_mid_segment());
    assert!(viewer.take_whole(&ring).is_none(), "one is partly sent");
    assert_eq!(drain(&mut Outgoing::new(&mut private, &mut viewer, &ring), usize::MAX).len(), bytes - 7);
    push(&mut ring, 80);
    push(&mut ring, 120);
    assert!(viewer.take_whole(&ring).is_none(), "two wait");
    drain(&mut Outgoing::new(&mut private, &mut viewer, &ring), usize::MAX);
    push(&mut ring, 160);
    let whole = viewer.take_whole(&ring).expect("it keeps up");
    assert!(!viewer.give_back(whole, &Ring::default(), 7), "the segment is gone");
}

#[test]
fn a_join_costs_twelve_bytes_per_lane_and_a_drop_eight() {
    let mut writer = SegmentWriter::new(Framing::Chunks { size: 60_000 });
    let mut ring = Ring::default();
    for second in 0..3 {
        writer.push(&video(second * 1000, KEY, 10));
        writer.push(&media(MediaKind::Audio, second * 1000 + 3, vec![0xaf, 1, 2]));
        ring.push(Arc::new(writer.finish().expect("messages")));
    }
    let shared = ring.segment(0).expect("pushed").wire().len();
    let mut viewer = Cursor::new(1, 0, 0);
    let mut private = BytesMut::new();
    // The first splice has twelve bytes in place of eight, in each of two lanes.
    let mut wire = drain(&mut Outgoing::new(&mut private, &mut viewer, &ring), shared + 2 * 4);
    assert_eq!(viewer.next(), 1);
    viewer.jump(2);
    let mut outgoing = Outgoing::new(&mut private, &mut viewer, &ring);
    assert_eq!(outgoing.remaining(), shared);
    wire.extend(drain(&mut outgoing, usize::MAX));
    drop(outgoing);
    let times: Vec<_> = messages(&wire, 60_000).iter().map(|m| (m.msid, m.timestamp.millis())).collect();
    assert_eq!(times, [(1, 0), (1, 3), (1, 2000), (1, 2003)]);
}

#[test]
fn an_extended_time_is_written_for_that_viewer_alone_and_repeated_on_its_chunks() {
    let mut writer = SegmentWriter::new(Framing::Chunks { size: 128 });
    let mut ring = Ring::default();
    writer.push(&video(0x0100_0000, KEY, 300));
    writer.push(&video(0x0100_0028, INTER, 300));
    ring.push(Arc::new(writer.finish().expect("messages")));
    let mut viewer = Cursor::new(1, 0, 0);
    let mut private = BytesMut::new();
    let wire = drain(&mut Outgoing::new(&mut private, &mut viewer, &ring), usize::MAX);
    let read = messages(&wire, 128);
    assert_eq!(read[0], video(0x0100_0000, KEY, 300).message(1));
    assert_eq!(read[1], video(0x0100_0028, INTER, 300).message(1));
    let mut private_writer = BytesMut::new();
    ChunkWriter::default().write(&mut private_writer, &read[0]);
    assert_eq!(wire[..private_writer.len()], private_writer[..]);
}

#[test]
fn private_bytes_wait_for_the_end_of_a_segment() {
    let mut writer = SegmentWriter::new(Framing::Chunks { size: 60_000 });
    let mut ring = Ring::default();
    for n in 0..2 {
        writer.push(&video(n * 40, INTER, 500));
        ring.push(Arc::new(writer.finish().expect("a message")));
    }
    let mut viewer = Cursor::new(1, 0, 0);
    let mut private = BytesMut::new();
    let mut wire = drain(&mut Outgoing::new(&mut private, &mut viewer, &ring), 100);
    assert!(viewer.is_mid_segment());
    // The ring lets the segment go; the viewer still gets all of it.
    ring.pop();
    ChunkWriter::default().write(&mut private, &Control::UserControl(UserControl::PingResponse(7)).message());
    wire.extend(drain(&mut Outgoing::new(&mut private, &mut viewer, &ring), usize::MAX));
    let kinds: Vec<_> = messages(&wire, 60_000).iter().map(|m| m.kind).collect();
    assert_eq!(kinds, [MessageType::VIDEO, MessageType::USER_CONTROL, MessageType::VIDEO]);
    assert!(private.is_empty());
    assert!(!viewer.is_mid_segment());
}

#[test]
fn a_key_frame_begins_a_segment_and_so_does_a_step_back_in_time() {
    let mut writer = SegmentWriter::new(Framing::Chunks { size: 60_000 });
    assert!(writer.push(&video(0, INTER, 1)).is_none());
    let before = writer.push(&video(40, KEY, 1)).expect("the inter frame");
    assert!(!before.starts_with_key());
    assert!(writer.push(&media(MediaKind::Audio, 41, vec![0xaf, 1])).is_none());
    let key = writer.push(&video(10, INTER, 1)).expect("a step back begins a segment");
    assert!(key.starts_with_key());
    assert_eq!(key.index().len(), 2);
    assert_eq!((key.first_timestamp().millis(), key.last_timestamp().millis()), (40, 41));
    assert!(writer.restart().is_some());
    assert!(writer.finish().is_none());
}

#[test]
fn a_segment_does_not_grow_without_bound() {
    let mut writer = SegmentWriter::new(Framing::Chunks { size: 60_000 });
    let pushed = (0..1000).find(|&n| writer.push(&video(n * 40, INTER, 10_000)).is_some());
    let pushed = pushed.expect("a segment is cut") as usize;
    assert!(pushed * 10_000 >= SEGMENT_BYTES - 20_000 && pushed * 10_000 <= SEGMENT_BYTES + 20_000);
}

#[test]
fn tags_are_shared_without_splices() {
    let mut writer = SegmentWriter::new(Framing::FlvTags);
    let mut ring = Ring::default();
    let sent = [video(5, KEY, 20), media(MediaKind::Audio, 6, vec![0xaf, 1, 9]), video(45, INTER, 7)];
    for media in &sent {
        assert!(writer.push(media).is_none());
    }
    ring.push(Arc::new(writer.finish().expect("messages")));
    let mut viewer = Cursor::new(1, 0, 0);
    let mut private = BytesMut::from(&flv::header(flv::Content::AudioVideo)[..]);
    let wire = drain(&mut Outgoing::new(&mut private, &mut viewer, &ring), usize::MAX);
    let mut file = BytesMut::from(&wire[..]);
    let mut reader = flv::Reader::new(1 << 20);
    let read: Vec<_> = std::iter::from_fn(|| reader.read(&mut file).expect("a legal file")).collect();
    assert_eq!(read, sent);
    assert_eq!(viewer.splices(), 0);
    assert_eq!(ring.segment(0).expect("pushed").media(1).as_ref(), Some(&sent[1]));
}

/// One step of a random life of a stream with one viewer.
#[derive(Clone, Debug)]
enum Step {
    Push(MediaKind, i32, u16, bool),
    Finish,
    Send(u16),
    Private,
    Jump,
    PrivateMedia,
    Correct(i32, i32),
}

fn policies() -> impl Strategy<Value = TimePolicy> {
    let shifted = any::<i32>().prop_map(TimePolicy::Shifted);
    prop_oneof![2 => shifted, 1 => Just(TimePolicy::FromZero), 2 => Just(TimePolicy::Smooth)]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kind = prop_oneof![Just(MediaKind::Audio), Just(MediaKind::Video), Just(MediaKind::Data)];
    let delta = prop_oneof![12 => 0..100_i32, 1 => -500..0_i32, 1 => Just(0x0100_0000_i32)];
    let push = (kind, delta, 0..900_u16, prop::bool::weighted(0.1));
    let step = prop_oneof![
        6 => push.prop_map(|(kind, delta, length, key)| Step::Push(kind, delta, length, key)),
        3 => Just(Step::Finish),
        4 => (0..1500_u16).prop_map(Step::Send),
        1 => Just(Step::Private),
        1 => Just(Step::Jump),
        1 => Just(Step::PrivateMedia),
        1 => (-9000..9000_i32, -9000..9000_i32).prop_map(|(jumps, sources)| Step::Correct(jumps, sources)),
    ];
    prop::collection::vec(step, 1..120)
}

#[test]
fn times_run_on_through_half_and_all_of_their_range() {
    for policy in [TimePolicy::Smooth, TimePolicy::FromZero] {
        let mut clock = Clock::new(policy);
        let mut time =
            |at: Timestamp| clock.time(MediaKind::Video, at, Correction::default()).since(Timestamp::ZERO);
        let start = Timestamp::from_millis(70_000);
        let first = time(start);
        // 250 days in steps of half a day.
        for step in 1..500_u32 {
            let passed = step.wrapping_mul(43_200_000);
            assert_eq!(time(start + passed), first.wrapping_add(passed.cast_signed()), "{policy:?} {step}");
        }
    }
}

#[test]
fn bytes_that_were_sent_are_counted() {
    let mut writer = SegmentWriter::new(Framing::Chunks { size: 60_000 });
    writer.push(&video(0, KEY, 100));
    let mut ring = Ring::starting_at(7);
    assert_eq!(ring.push(Arc::new(writer.finish().expect("a message"))), 7);
    let mut viewer = Cursor::new(1, 7, 0);
    let mut private = BytesMut::from(&[2, 0, 0][..]);
    let wire = drain(&mut Outgoing::new(&mut private, &mut viewer, &ring), usize::MAX);
    assert_eq!(viewer.sent_bytes(), wire.len() as u64);
    assert!(!viewer.is_mid_segment());
}

#[test]
fn a_viewer_may_follow_other_times_from_a_segment_on() {
    let mut writer = SegmentWriter::new(Framing::Chunks { size: 60_000 });
    let mut ring = Ring::default();
    for n in 0..4 {
        writer.push(&video(5_000 + n * 40, INTER, 10));
        ring.push(Arc::new(writer.finish().expect("a message")));
    }
    let mut viewer = Cursor::with_times(1, 0, TimePolicy::Smooth);
    let mut private = BytesMut::new();
    let first = ring.segment(0).expect("pushed").wire().len() + 4;
    let mut wire = drain(&mut Outgoing::new(&mut private, &mut viewer, &ring), first + 3);
    assert!(!viewer.set_times(TimePolicy::Shifted(0), Correction::default()), "not inside a segment");
    wire.extend(drain(&mut Outgoing::new(&mut private, &mut viewer, &ring), first - 4 - 3));
    assert!(viewer.set_times(TimePolicy::Shifted(0), Correction::default()));
    let second = ring.segment(2).expect("pushed").wire().len();
    wire.extend(drain(&mut Outgoing::new(&mut private, &mut viewer, &ring), second));
    assert!(viewer.set_times(TimePolicy::Smooth, Correction::default()));
    wire.extend(drain(&mut Outgoing::new(&mut private, &mut viewer, &ring), usize::MAX));
    let times: Vec<_> = messages(&wire, 60_000).iter().map(|m| m.timestamp.millis()).collect();
    assert_eq!(times, [9, 49, 5080, 5120], "a viewer that is corrected goes on without a step");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// A segment plus splices reads like what a private writer would have sent, wherever writes were cut, whatever was
    /// dropped, and wherever private messages went in between.
    #[test]
    fn segments_and_splices_equal_a_private_writer(
        steps in steps(), size in 1..700_u32, policy in policies(), msid in 1..9_u32,
    ) {
        let mut writer = SegmentWriter::new(Framing::Chunks { size });
        let mut ring = Ring::default();
        let mut viewer = Cursor::with_times(msid, 0, policy);
        let mut correction = Correction::default();
        let mut private = BytesMut::new();
        let mut private_writer = ChunkWriter::default();
        private_writer.set_chunk_size(size);
        let mut wire = Vec::new();
        let mut now = Timestamp::ZERO;
        // What the viewer has to read: shared messages by segment, private ones apart.
        let mut jumped: VecDeque<u64> = VecDeque::new();
        let mut shared: Vec<Vec<(Media, Correction)>> = vec![Vec::new()];
        let mut privates = Vec::new();
        let push = |ring: &mut Ring, shared: &mut Vec<Vec<(Media, Correction)>>, segment| {
            ring.push(Arc::new(segment));
            shared.push(Vec::new());
        };
        for (n, step) in steps.iter().enumerate() {
            match step {
                Step::Push(kind, delta, length, key) => {
                    now = now.shifted(*delta);
                    let first = if *key { KEY } else { INTER };
                    let payload = match kind {
                        MediaKind::Video => video(0, first, usize::from(*length)).payload,
                        _ => Bytes::from(vec![0xaf; usize::from(*length)]),
                    };
                    let media = Media { kind: *kind, timestamp: now, payload };
                    if let Some(segment) = writer.push(&media) {
                        push(&mut ring, &mut shared, segment);
                    }
                    shared.last_mut().expect("one open").push((media, correction));
                }
                Step::Finish => {
                    if let Some(segment) = writer.finish() {
                        push(&mut ring, &mut shared, segment);
                    }
                }
                Step::Send(count) => {
                    let whole = if private.is_empty() { viewer.take_whole(&ring) } else { None };
                    if let Some(whole) = whole {
                        let bytes = ring.segment(whole.number()).expect("kept").wire();
                        prop_assert_eq!((bytes.len(), viewer.next()), (whole.len(), ring.end()));
                        let sent = usize::from(*count).min(whole.len());
                        wire.extend_from_slice(&bytes[..sent]);
                        if sent < whole.len() {
                            prop_assert!(viewer.give_back(whole, &ring, sent));
                        }
                        prop_assert_eq!(viewer.sent_bytes(), wire.len() as u64);
                        continue;
                    }
                    let mut outgoing = Outgoing::new(&mut private, &mut viewer, &ring);
                    wire.extend(drain(&mut outgoing, usize::from(*count)));
                }
                Step::Private => {
                    let message = Control::UserControl(UserControl::PingResponse(n as u32)).message();
                    private_writer.write(&mut private, &message);
                    privates.push(message);
                }
                Step::PrivateMedia => {
                    let message = video(n as u32, INTER, 10).message(msid);
                    private_writer.write(&mut private, &message);
                    viewer.resend_header(MediaKind::Video);
                    privates.push(message);
                }
                Step::Correct(jumps, sources) => {
                    correction = Correction { jumps: *jumps, sources: *sources };
                    if let Some(segment) = writer.set_correction(correction) {
                        push(&mut ring, &mut shared, segment);
                    }
                }
                Step::Jump => {
                    if viewer.next() < ring.end() {
                        jumped.extend(viewer.next()..ring.end());
                        viewer.jump(ring.end());
                    }
                }
            }
        }
        loop {
            let mut outgoing = Outgoing::new(&mut private, &mut viewer, &ring);
            if outgoing.remaining() == 0 {
                break;
            }
            wire.extend(drain(&mut outgoing, usize::MAX));
        }
        let finished = ring.end() as usize;
        let mut clock = Clock::new(policy);
        let expected: Vec<_> = shared
            .iter()
            .take(finished)
            .enumerate()
            .filter(|(number, _)| !jumped.contains(&(*number as u64)))
            .flat_map(|(_, messages)| messages)
            .map(|(media, correction)| {
                let timestamp = clock.time(media.kind, media.timestamp, *correction);
                Media { timestamp, ..media.clone() }.message(msid)
            })
            .collect();
        let mut private_left = privates.iter().peekable();
        let mut seen = Vec::new();
        for message in messages(&wire, size) {
            if private_left.peek() == Some(&&message) {
                private_left.next();
            } else {
                seen.push(message);
            }
        }
        prop_assert_eq!(seen, expected);
        prop_assert!(private_left.next().is_none());
        for (number, segment) in ring.iter() {
            for (at, (media, correction)) in shared[number as usize].iter().enumerate() {
                prop_assert_eq!(segment.correction(), *correction);
                let whole = segment.media(at);
                prop_assert_eq!(whole.as_ref(), Some(media));
                prop_assert_eq!(segment.index()[at].role, media.role());
            }
            prop_assert!(!segment.index()[1..].iter().any(|entry| entry.role == MediaRole::KeyFrame));
        }
    }
}

#[test]
fn a_gap_is_closed_once_and_only_where_times_are_smooth() {
    for (policy, expected) in [
        (TimePolicy::Smooth, [9, 49, 59, 99, 5_099]),
        (TimePolicy::FromZero, [0, 40, 20_000, 20_040, 25_040]),
        (TimePolicy::Shifted(0), [5_000, 5_040, 25_000, 25_040, 30_040]),
    ] {
        let mut clock = Clock::new(policy);
        // In front of the first message there is no gap.
        clock.close_gap();
        let times = [5_000, 5_040, 25_000, 25_040, 30_040].map(|millis| {
            if millis == 25_000 {
                clock.close_gap();
                let data = clock.time(MediaKind::Data, Timestamp::from_millis(millis), Correction::default());
                assert_eq!(data.millis(), if policy == TimePolicy::Shifted(0) { millis } else { 0 });
            }
            clock.time(MediaKind::Video, Timestamp::from_millis(millis), Correction::default()).millis()
        });
        assert_eq!(times, expected, "{policy:?}");
    }
    // A step like any other is none.
    let mut clock = Clock::new(TimePolicy::Smooth);
    let times = [5_000, 5_200, 5_190].map(|millis| {
        clock.close_gap();
        clock.time(MediaKind::Audio, Timestamp::from_millis(millis), Correction::default()).millis()
    });
    assert_eq!(times, [9, 209, 199]);
}
