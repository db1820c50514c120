//! The rows of the compatibility checklist (spec 17) about what viewers get.

use edge_cluster::hub::{HubEvent, JoinKind, Lane, Shed};
use rtmp_core::{Media, MediaKind};

use crate::world::{
    MIN_LATENCY, World, audio, cue_point, gop, inter, key, media, metadata, number, opening, video_header,
};

#[test]
fn row_11_an_upstream_server_is_told_metadata_apart_from_viewers() {
    let mut world = World::new(MIN_LATENCY);
    let (viewer, upstream) = (world.viewer(), world.join(Lane::Chunks, JoinKind::Upstream));
    world.push_each(&opening(0));
    world.push_each(&gop(0, 3));
    let wholes = world.players[upstream].wholes;
    assert!(wholes > 0, "media is shared");
    // One that is late gets what is in front of the metadata, too, in the same way, and shares again behind it.
    world.players[upstream].window = 0;
    world.push_each(&[key(200, 0), metadata(240, "a", "b"), inter(240, 0), cue_point(250)]);
    world.open(upstream, usize::MAX);
    world.push_each(&[inter(280, 0), inter(320, 0)]);
    assert!(world.players[upstream].wholes > wholes);
    // One that comes later begins in front of the metadata.
    let late = world.join(Lane::Chunks, JoinKind::Upstream);
    world.push_each(&[inter(360, 0)]);
    assert_eq!(world.players[upstream].letters(), world.players[viewer].letters());
    assert!(world.players[late].letters().ends_with("KMVDVVV"), "{}", world.players[late].letters());
    let told = |player: usize| world.players[player].private.data;
    assert_eq!((told(viewer), told(upstream), told(late)), (0, 2, 2), "metadata, but not what is none");
}

#[test]
fn row_13_gop_cache_starts_at_the_key_frame() {
    let mut world = World::new(MIN_LATENCY);
    world.push_each(&opening(0));
    world.push_each(&gop(0, 25));
    world.push_each(&gop(1000, 5));
    let viewer = world.viewer();
    let player = &world.players[viewer];
    assert_eq!(player.letters(), "MHSKAVAVAVAVA");
    assert_eq!(player.times(), [0, 9, 9, 9, 12, 49, 52, 89, 92, 129, 132, 169, 172]);
}

#[test]
fn row_13_without_gop_cache_a_viewer_begins_with_whatever_comes() {
    let mut world = World::new("min_latency on; play { gop_cache off; }");
    world.push_each(&opening(0));
    world.push_each(&gop(0, 25));
    let viewer = world.viewer();
    assert!(world.players[viewer].got.is_empty());
    assert_eq!(world.hub.stats().segments, 0, "nothing is kept");
    world.push_each(&[inter(1000, 0), audio(1003, 0), key(1040, 0)]);
    assert_eq!(world.players[viewer].letters(), "MHSVAK");
}

#[test]
fn row_13_video_is_held_back_until_a_key_frame_where_that_is_asked_for() {
    let vhost = "min_latency on; play { gop_cache off; } extension { start_at_keyframe on; }";
    let mut world = World::new(vhost);
    world.push_each(&opening(0));
    world.push_each(&gop(0, 25));
    let viewer = world.viewer();
    world.push_each(&[inter(1000, 0), audio(1003, 0), inter(1040, 0), audio(1043, 0), key(1080, 0)]);
    world.push_each(&[audio(1083, 0), inter(1120, 0)]);
    assert_eq!(world.players[viewer].letters(), "MHSAAKAV");
    // The clock starts with the message that gave the headers their time.
    assert_eq!(world.players[viewer].times(), [0, 9, 9, 12, 52, 89, 92, 129]);
}

#[test]
fn row_13_the_gop_cache_ends_at_its_bytes_and_with_the_source() {
    let mut world = World::new("min_latency on; extension { gop_cache_max_bytes 65536; }");
    let large = |mut media: Media| {
        media.payload = [&media.payload[..], &[0; 5000]].concat().into();
        media
    };
    world.push(&[large(key(0, 0))]);
    (1..10).for_each(|n| world.push(&[large(inter(n * 40, n))]));
    assert!(world.hub.memory_bytes() > 40_000);
    (10..20).for_each(|n| world.push(&[large(inter(n * 40, n))]));
    assert!(world.hub.memory_bytes() < 20_000, "{}", world.hub.memory_bytes());
    world.push(&[large(key(1000, 0))]);
    assert_eq!(world.hub.stats().segments, 1);
    world.end();
    assert_eq!(world.hub.stats().segments, 0);
    let viewer = world.viewer();
    assert!(world.players[viewer].got.is_empty());
}

#[test]
fn row_13_the_gop_cache_ends_at_its_frames() {
    let mut world = World::new("min_latency on; play { gop_cache_max_frames 10; }");
    world.push_each(&gop(0, 5));
    let within = world.viewer();
    assert_eq!(world.players[within].letters(), "KAVAVAVAVA");
    world.push_each(&[inter(200, 0)]);
    let beyond = world.viewer();
    assert_eq!(world.players[beyond].letters(), "");
    assert!(world.hub.stats().segments <= 1, "nothing is kept");
    world.push_each(&gop(240, 1));
    let next = world.viewer();
    assert_eq!(world.players[next].letters(), "KA");
}

#[test]
fn row_14_a_viewer_that_was_stopped_goes_on_at_a_key_frame() {
    let mut world = World::new("min_latency on; play { queue_length 10; }");
    let (slow, fast) = (world.viewer(), world.viewer());
    world.push_each(&opening(0));
    world.push_each(&gop(0, 50));
    let before = world.players[slow].got.len();
    world.players[slow].window = 7;
    for second in 2..42 {
        world.push_each(&gop(second * 1000, 25));
        assert!(world.hub.stats().segments <= 11 * 50 + 50, "the queue is bounded");
    }
    let waiting = |player: usize| world.hub.waiting_messages(world.players[player].conn);
    assert_eq!(waiting(fast), Some(0));
    assert!(waiting(slow).is_some_and(|messages| (100..=600).contains(&messages)), "{:?}", waiting(slow));
    world.open(slow, usize::MAX);
    let rest = &world.players[slow].got[before..];
    // One message was partly sent; behind it comes a key frame.
    assert_eq!(rest[1].payload, key(0, number(&rest[1])).payload);
    assert!(number(&rest[1]) >= 31_000);
    assert_eq!(rest[1].timestamp.millis(), number(&rest[1]), "the viewer sees the time that is missing");
    assert_eq!(world.players[fast].got.len(), 3 + 2 * (50 + 40 * 25), "nobody else loses anything");
    let dropped: u64 = world
        .events
        .iter()
        .map(|event| match event {
            HubEvent::Resynced { dropped, .. } => *dropped,
            _ => 0,
        })
        .sum();
    assert_eq!(dropped as usize, world.players[fast].got.len() - world.players[slow].got.len());
    assert!(world.hub.stats().resyncs >= 1);
}

#[test]
fn row_14_the_queue_is_limited_in_bytes() {
    let mut world = World::new("min_latency on; extension { queue_max_bytes 1048576; }");
    let viewer = world.viewer();
    world.push_each(&opening(0));
    world.players[viewer].window = 0;
    for n in 0..400 {
        let mut frame = if n % 25 == 0 { key(n * 40, n) } else { inter(n * 40, n) };
        frame.payload = [&[0; 20_000][..], &n.to_be_bytes()].concat().into();
        frame.payload =
            [if n % 25 == 0 { &[0x17, 1, 0, 0, 0] } else { &[0x27_u8, 1, 0, 0, 0] }, &frame.payload[..]]
                .concat()
                .into();
        world.push(&[frame]);
        assert!(world.hub.memory_bytes() < (1 << 20) + 25 * 30_000 + 50_000, "{}", world.hub.memory_bytes());
    }
    world.open(viewer, usize::MAX);
    assert_eq!(&world.players[viewer].letters()[3..4], "K");
}

#[test]
fn row_14_a_socket_that_takes_nothing_for_30_seconds_is_given_up() {
    let mut world = World::new("min_latency on; play { queue_length 10; }");
    let (dead, slow) = (world.viewer(), world.viewer());
    world.push_each(&opening(0));
    (world.players[dead].window, world.players[slow].window) = (0, 0);
    for second in 0..34 {
        world.push_each(&gop(second * 1000, 25));
        world.open(slow, 10);
        world.advance(1000);
    }
    assert_eq!(too_slow(&world), 0);
    world.advance(5000);
    assert_eq!(too_slow(&world), 1);
    assert!(world.events.contains(&HubEvent::TooSlow { viewer: world.players[dead].conn }));
}

fn too_slow(world: &World) -> usize {
    world.events.iter().filter(|event| matches!(event, HubEvent::TooSlow { .. })).count()
}

#[test]
fn row_17_a_late_viewer_gets_metadata_and_the_latest_headers() {
    let mut world = World::new(MIN_LATENCY);
    world.push_each(&opening(0));
    world.push_each(&gop(0, 25));
    world.push_each(&[video_header(1000, 3), metadata(1000, "encoder", "y")]);
    world.push_each(&gop(1000, 2));
    let viewer = world.viewer();
    let player = &world.players[viewer];
    assert_eq!(player.letters(), "MHSKAVA");
    assert_eq!(player.got[0].payload, metadata(0, "encoder", "y").payload);
    assert_eq!((number(&player.got[1]), number(&player.got[2])), (1, 3));
}

#[test]
fn row_17_a_header_that_changes_reaches_viewers_in_its_place() {
    for (vhost, expected) in [("", "MHSKVSKVSK"), ("play { reduce_sequence_header on; }", "MHSKVSKVK")] {
        let mut world = World::new(&format!("{MIN_LATENCY} {vhost}"));
        let viewer = world.viewer();
        world.push_each(&opening(0));
        world.push_each(&[key(0, 0), inter(40, 0), video_header(80, 3), key(80, 0), inter(120, 0)]);
        world.push_each(&[video_header(160, 3), key(160, 0)]);
        assert_eq!(world.players[viewer].letters(), expected);
    }
}

#[test]
fn row_17_reduce_sequence_header_passes_metadata_that_differs() {
    let mut world = World::new("min_latency on; play { reduce_sequence_header on; }");
    let viewer = world.viewer();
    world.push_each(&[metadata(0, "a", "1"), metadata(0, "a", "1"), metadata(0, "a", "2"), key(0, 0)]);
    assert_eq!(world.players[viewer].letters(), "MMK");
    assert_eq!(world.ingest.stats().headers_reduced, 1);
}

#[test]
fn row_17_a_viewer_that_missed_a_header_gets_it_before_it_goes_on() {
    let mut world = World::new("min_latency on; play { queue_length 1; }");
    let viewer = world.viewer();
    world.push_each(&opening(0));
    world.push_each(&gop(0, 5));
    world.players[viewer].window = 5;
    world.push_each(&gop(1000, 25));
    world.push_each(&[video_header(2000, 7)]);
    world.push_each(&gop(2000, 25));
    world.push_each(&gop(3000, 25));
    let before = world.players[viewer].got.len();
    world.open(viewer, usize::MAX);
    assert!(
        world.players[viewer].letters()[before..].starts_with("KSK"),
        "{}",
        &world.players[viewer].letters()[before..]
    );
    assert_eq!(number(&world.players[viewer].got[before + 1]), 7);
    assert_eq!(
        world.players[viewer].got[before + 1].timestamp,
        world.players[viewer].got[before + 2].timestamp
    );
}

#[test]
fn row_17_duration_is_taken_out_of_metadata() {
    let mut world = World::new(MIN_LATENCY);
    let viewer = world.viewer();
    world.push(&[metadata(0, "duration", "60")]);
    assert_eq!(world.players[viewer].got[0].payload[..], *b"\x02\x00\x0aonMetaData\x03\x00\x00\x09");
}

#[test]
fn row_11_an_upstream_server_begins_at_the_newest_key_frame_and_keeps_times() {
    let mut world = World::new("min_latency on; play { gop_cache off; }");
    let first = world.join(Lane::Chunks, JoinKind::Upstream);
    world.push_each(&opening(7_000));
    world.push_each(&gop(7_000, 3));
    world.push_each(&gop(90_000, 3));
    world.hub.leave(world.players[first].conn);
    world.push_each(&[inter(90_120, 0)]);
    let second = world.join(Lane::Chunks, JoinKind::Upstream);
    assert_eq!(world.players[second].letters(), "MHSKAVAVAV");
    assert_eq!(world.players[second].times()[..4], [90_000, 90_000, 90_000, 90_000]);
    assert_eq!(world.players[first].times()[..5], [7_000, 7_000, 7_000, 7_000, 7_003]);
}

#[test]
fn row_11_what_is_kept_for_an_upstream_server_is_no_longer_than_a_queue() {
    // An encoder with intra refresh, one whose camera was switched off, and a GOP of many bytes.
    fn pictures(second: u32) -> Vec<Media> {
        (0..25).map(|n| inter(second * 1000 + n * 40, n)).collect()
    }
    fn sound(second: u32) -> Vec<Media> {
        (0..43).map(|n| audio(second * 1000 + n * 23, n)).collect()
    }
    fn large(second: u32) -> Vec<Media> {
        let enlarge = |mut media: Media| {
            media.payload = [&media.payload[..], &[0; 10_000]].concat().into();
            media
        };
        pictures(second).into_iter().map(enlarge).collect()
    }
    type Source = fn(u32) -> Vec<Media>;
    let streams: [(Source, usize); 3] = [(pictures, 10 * 25), (sound, 10 * 44), (large, 100)];
    for (second, most) in streams {
        for gop_cache in ["on", "off"] {
            let mut world = World::new(&format!(
                "min_latency on; play {{ gop_cache {gop_cache}; gop_cache_max_frames 100; queue_length 10; }} \
                 extension {{ queue_max_bytes 1048576; gop_cache_max_bytes 1048576; }}"
            ));
            let first = world.join(Lane::Chunks, JoinKind::Upstream);
            world.push_each(&opening(0));
            world.push_each(&[key(0, 0)]);
            for at in 0..60 {
                world.push_each(&second(at));
                assert!(world.hub.stats().segments <= most + 2, "{} of {most}", world.hub.stats().segments);
            }
            assert!(world.hub.stats().segments <= 1, "a part of a GOP is no use");
            world.hub.leave(world.players[first].conn);
            let next = world.join(Lane::Chunks, JoinKind::Upstream);
            assert_eq!(world.players[next].letters(), "", "the other one begins with what comes");
            world.push_each(&gop(60_000, 2));
            assert_eq!(world.players[next].letters(), "MHSKAVA");
        }
    }
}

#[test]
fn row_29_nothing_is_kept_for_a_destination_that_was_removed() {
    let mut world = World::new("min_latency on; play { gop_cache off; }");
    let forward = world.join(Lane::Chunks, JoinKind::Upstream);
    world.push_each(&gop(0, 25));
    world.hub.leave(world.players[forward].conn);
    world.push_each(&[inter(1000, 0)]);
    assert_eq!(world.hub.stats().segments, 51, "it may come again");
    world.hub.forget_upstreams();
    assert_eq!(world.hub.stats().segments, 0);
    world.push_each(&gop(1040, 25));
    assert_eq!(world.hub.stats().segments, 0);
}

#[test]
fn row_27_enhanced_codecs_pass_byte_for_byte_with_headers_and_key_frames_of_their_own() {
    let video = |head: u8, millis, body: &[u8]| {
        media(MediaKind::Video, millis, &[&[head][..], b"hvc1", body].concat())
    };
    let sound = |head: u8, millis, body: &[u8]| {
        media(MediaKind::Audio, millis, &[&[head][..], b"Opus", body].concat())
    };
    let mut world = World::new(MIN_LATENCY);
    let headers = [sound(0x90, 0, b"OpusHead"), video(0x90, 0, b"hvcC")];
    world.push_each(&headers);
    world.push_each(&[video(0x91, 0, b"\0\0\0old"), sound(0x91, 10, b"a"), video(0xa3, 40, b"inter")]);
    let kept = [video(0x91, 80, b"\0\0\0key"), sound(0x91, 90, b"b"), video(0xa1, 120, b"\0\0\x28bi")];
    world.push_each(&kept);
    let viewer = world.viewer();
    let expected: Vec<_> = headers.iter().chain(&kept).map(|media| media.payload.clone()).collect();
    let got: Vec<_> = world.players[viewer].got.iter().map(|media| media.payload.clone()).collect();
    assert_eq!(got, expected);
}

#[test]
fn row_27_a_gop_begins_at_a_key_frame_of_the_default_track() {
    let one = |head: u8, millis, id: u8| {
        media(MediaKind::Video, millis, &[&[head, 0x03][..], b"hvc1", &[id, id]].concat())
    };
    let many = |head: u8, millis, ids: [u8; 2]| {
        let track = |id: u8| [id, 0, 0, 1, id];
        media(
            MediaKind::Video,
            millis,
            &[&[head, 0x13][..], b"hvc1", &track(ids[0]), &track(ids[1])].concat(),
        )
    };
    // Keys of the default track, of another one, inter frames of both; then all tracks in one message.
    let alone = [one(0x96, 0, 0), one(0x96, 3, 1), one(0xa6, 40, 0), one(0xa6, 43, 1), one(0x96, 83, 1)];
    let together = [many(0x96, 80, [1, 0]), many(0x96, 120, [1, 2]), many(0xa6, 120, [0, 1])];
    for kept in [&alone[..], &together] {
        let mut world = World::new(MIN_LATENCY);
        world.push_each(&[key(0, 0), inter(0, 1)]);
        world.push_each(kept);
        for kind in [JoinKind::Viewer, JoinKind::Upstream] {
            let late = world.join(Lane::Chunks, kind);
            let got: Vec<_> = world.players[late].got.iter().map(|media| media.payload.clone()).collect();
            let expected: Vec<_> = kept.iter().map(|media| media.payload.clone()).collect();
            assert_eq!(got, expected, "{kind:?}");
        }
    }
}

#[test]
fn row_28_audio_and_video_can_be_switched_off_and_on() {
    let mut world = World::new(MIN_LATENCY);
    let viewer = world.viewer();
    let conn = world.players[viewer].conn;
    world.push_each(&opening(0));
    world.push_each(&gop(0, 2));
    world.hub.receive(conn, MediaKind::Video, false);
    world.push_each(&gop(80, 2));
    world.hub.receive(conn, MediaKind::Audio, false);
    world.push_each(&gop(160, 2));
    world.hub.receive(conn, MediaKind::Audio, true);
    world.hub.receive(conn, MediaKind::Video, true);
    world.push_each(&[inter(240, 0), audio(243, 0)]);
    world.push_each(&gop(280, 2));
    assert_eq!(world.players[viewer].letters(), "MHSKAVAAAAKAVA");
    let shared_again = world.players[viewer].private.messages;
    world.push_each(&gop(360, 2));
    assert_eq!(world.players[viewer].private.messages, shared_again);
    assert_eq!(world.players[viewer].times()[10..14], [280, 283, 320, 323]);
}

#[test]
fn row_28_a_kind_that_comes_back_brings_its_header() {
    let mut world = World::new(MIN_LATENCY);
    let viewer = world.viewer();
    let conn = world.players[viewer].conn;
    world.hub.receive(conn, MediaKind::Audio, false);
    world.hub.receive(conn, MediaKind::Video, false);
    world.push_each(&opening(0));
    world.push_each(&gop(0, 2));
    assert_eq!(world.players[viewer].letters(), "M");
    world.hub.receive(conn, MediaKind::Video, true);
    world.push_each(&gop(80, 2));
    assert_eq!(world.players[viewer].letters(), "MSKV");
    world.hub.receive(conn, MediaKind::Audio, true);
    world.push_each(&gop(160, 2));
    assert_eq!(world.players[viewer].letters(), "MSKVHKAVA");
}

#[test]
fn row_28_a_paused_viewer_gets_nothing_and_goes_on_with_a_key_frame() {
    let mut world = World::new(MIN_LATENCY);
    let viewer = world.viewer();
    let conn = world.players[viewer].conn;
    world.push_each(&opening(0));
    world.push_each(&gop(0, 2));
    world.hub.pause(conn);
    world.push_each(&gop(80, 2));
    world.push_each(&gop(160, 2));
    assert_eq!(world.players[viewer].letters(), "MHSKAVA");
    world.hub.resume(conn);
    world.settle();
    assert_eq!(world.players[viewer].letters(), "MHSKAVAKAVA");
    assert_eq!(world.players[viewer].times()[7], 160);
    // A short pause inside a GOP loses nothing.
    world.hub.pause(conn);
    world.push_each(&[inter(240, 0)]);
    world.hub.resume(conn);
    world.settle();
    world.push_each(&[inter(280, 0)]);
    assert_eq!(world.players[viewer].letters(), "MHSKAVAKAVAVV");
}

#[test]
fn little_is_written_ahead_for_a_viewer_that_takes_nothing() {
    let mut world = World::new(MIN_LATENCY);
    let viewer = world.viewer();
    world.hub.receive(world.players[viewer].conn, MediaKind::Video, false);
    world.players[viewer].window = 0;
    let sound = media(MediaKind::Audio, 0, &[[0xaf, 1].as_slice(), &[7; 2000]].concat());
    (0..200).for_each(|_| world.push(std::slice::from_ref(&sound)));
    world.open(viewer, 0);
    let waits = world.players[viewer].private.bytes.len();
    assert!((60_000..70_000).contains(&waits), "{waits} bytes");
    world.open(viewer, usize::MAX);
    assert_eq!(world.players[viewer].got.len(), 200);
}

#[test]
fn a_viewer_that_was_told_another_chunk_size_gets_messages_of_its_own() {
    let mut world = World::new("min_latency on; chunk_size 128;");
    let viewer = world.viewer();
    let conn = world.players[viewer].conn;
    world.hub.tell_chunk_size(conn, 4096);
    let large = media(MediaKind::Video, 0, &[[0x17, 1, 0, 0, 0].as_slice(), &[7; 1000]].concat());
    world.push(std::slice::from_ref(&large));
    assert_eq!(world.hub.stats().private_messages, 1);
    assert_eq!(world.players[viewer].got, [large]);
}

#[test]
fn memory_is_let_go_when_it_is_short() {
    let mut world = World::new(MIN_LATENCY);
    let viewer = world.viewer();
    world.push_each(&opening(0));
    world.players[viewer].window = 0;
    world.push_each(&gop(0, 25));
    assert_eq!(world.hub.shed(Shed::Queues), 0, "there is one GOP only");
    assert!(world.hub.shed(Shed::Everything) > 0);
    assert_eq!(world.hub.stats().segments, 0);
    world.open(viewer, usize::MAX);
    world.push_each(&[inter(1000, 0), audio(1003, 0), key(1040, 0)]);
    assert!(world.players[viewer].letters().ends_with("AK"), "{}", world.players[viewer].letters());
    assert!(!world.players[viewer].letters().contains('V'));
}

#[test]
fn nothing_is_sent_again_when_memory_is_let_go_behind_the_end_of_a_source() {
    let mut world = World::new("min_latency on; play { send_min_interval 10; }");
    let viewer = world.viewer();
    world.push_each(&opening(0));
    world.advance(1000);
    world.push(&[key(0, 0), audio(3, 0), inter(40, 1), audio(43, 1)]);
    world.push(&[inter(80, 2), audio(83, 2)]);
    for _ in 0..2 {
        world.advance(10);
    }
    let before = world.players[viewer].letters();
    assert!(before.ends_with("KAV"), "{before}");
    world.end();
    world.hub.shed(Shed::Everything);
    world.begin();
    world.push_each(&opening(5000));
    world.push_each(&[key(5000, 100), audio(5003, 100)]);
    for _ in 0..100 {
        world.advance(10);
    }
    let after = world.players[viewer].letters();
    assert!(!after[before.len()..].contains('V') && after.ends_with("KA"), "{before}, then {after}");
    assert!(world.players[viewer].times().is_sorted(), "{:?}", world.players[viewer].times());
}

#[test]
fn queues_are_let_go_before_the_gop_cache_is() {
    let mut world = World::new(MIN_LATENCY);
    let viewer = world.viewer();
    world.push_each(&opening(0));
    world.players[viewer].window = 0;
    world.push_each(&gop(0, 25));
    world.push_each(&gop(1000, 10));
    assert!(world.hub.shed(Shed::Queues) > 0);
    // The sound ahead of its key frame is not in the ring any more.
    assert_eq!(world.hub.stats().segments, 20);
    world.open(viewer, usize::MAX);
    assert!(world.players[viewer].letters().ends_with(&format!("KA{}", "VA".repeat(9))));
    assert_eq!(world.hub.shed(Shed::Queues), 0);
    let late = world.viewer();
    assert!(world.players[late].letters().starts_with("MHSKA"), "{}", world.players[late].letters());
}

#[test]
fn what_the_http_api_shows_is_read_from_headers_and_metadata() {
    let mut world = World::new(MIN_LATENCY);
    let avc = [0x17, 0, 0, 0, 0, 1, 100, 0, 31, 0xff];
    world.push(&[media(MediaKind::Video, 0, &avc), media(MediaKind::Audio, 0, &[0xaf, 0, 0x11, 0x90])]);
    let stats = world.ingest.stats();
    let picture = stats.picture.as_ref().expect("video");
    assert_eq!(
        (picture.codec.as_str(), picture.profile.as_str(), picture.level.as_str()),
        ("H264", "High", "3.1")
    );
    let mut whole = World::new(MIN_LATENCY);
    whole.push(&[media(MediaKind::Video, 0, &[0x17, 0, 0, 0, 0, 1, 100, 0, 40, 0xff])]);
    assert_eq!(whole.ingest.stats().picture.as_ref().expect("video").level, "4", "not 4.0");
    let sound = stats.sound.as_ref().expect("audio");
    assert_eq!((sound.codec.as_str(), sound.profile.as_str()), ("AAC", "LC"));
    assert_eq!((sound.sample_rate, sound.channels), (48_000, 2));
    assert_eq!((stats.audio, stats.video, stats.messages), (1, 1, 2));
}
