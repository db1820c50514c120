//! The rows of the compatibility checklist (spec 17) about times: those of messages, and when they are sent.

use edge_cluster::hub::{JoinKind, Lane};
use rtmp_core::MediaKind;

use crate::world::{
    MIN_LATENCY, World, audio, audio_header, cue_point, gop, inter, key, metadata, number, opening, settings,
    video_header,
};

#[test]
fn row_15_atc_keeps_times_and_headers_get_that_of_the_first_frame() {
    let mut world = World::new("min_latency on; play { atc on; }");
    world.push_each(&opening(50_000));
    world.push_each(&gop(60_000, 2));
    world.push_each(&[key(90_000, 0)]);
    world.push_each(&[inter(90_040, 0), cue_point(90_041)]);
    let viewer = world.viewer();
    assert_eq!(world.players[viewer].letters(), "MHSKVD");
    assert_eq!(world.players[viewer].times(), [90_000, 90_000, 90_000, 90_000, 90_040, 90_041]);
}

#[test]
fn row_15_atc_auto_follows_the_metadata() {
    for (value, expected) in [("true", 70_000), ("false", 9)] {
        let mut world = World::new("min_latency on; play { atc_auto on; }");
        world.push_each(&[metadata(0, "bravo_atc", value), key(70_000, 0)]);
        let viewer = world.viewer();
        assert_eq!(world.players[viewer].times()[1], expected);
    }
}

#[test]
fn row_15_mix_correct_puts_audio_and_video_in_order() {
    let mut world = World::new("min_latency on; play { mix_correct on; time_jitter off; }");
    let viewer = world.viewer();
    // Audio is 100 ms behind.
    let messages: Vec<_> = (0..50)
        .flat_map(|n| [if n == 0 { key(100, 0) } else { inter(100 + n * 20, n) }, audio(n * 20, n)])
        .collect();
    world.push_each(&messages);
    world.end();
    let times = world.players[viewer].times();
    assert_eq!(times.len(), messages.len());
    assert!(times.is_sorted(), "{times:?}");
    let of = |kind| world.players[viewer].got.iter().filter(move |media| media.kind == kind).map(number);
    assert!(of(MediaKind::Audio).is_sorted() && of(MediaKind::Video).is_sorted());

    let mut plain = World::new("min_latency on; play { time_jitter off; }");
    let viewer = plain.viewer();
    plain.push_each(&messages);
    assert!(!plain.players[viewer].times().is_sorted());
}

#[test]
fn row_15_another_source_goes_on_behind_the_sound_and_the_pictures_of_the_last_one() {
    for vhost in [MIN_LATENCY, "min_latency on; play { time_jitter zero; }"] {
        let mut world = World::new(vhost);
        let viewer = world.viewer();
        // Encoders end with a picture that is older than the sound they have sent.
        world.push_each(&[key(0, 0), audio(20, 0), inter(40, 1), audio(43, 1), audio(66, 2), inter(40, 2)]);
        world.begin();
        world.push_each(&[key(9_000, 3), audio(9_019, 3)]);
        let times = world.players[viewer].times();
        let (&latest, next) = (times[..6].iter().max().expect("times"), &times[6..]);
        assert_eq!(next, [latest + 10, latest + 29], "{vhost}: {times:?}");
    }
}

#[test]
fn row_15_one_kind_alone_does_not_wait_for_the_other() {
    let mut world = World::new("min_latency on; play { mix_correct on; }");
    let viewer = world.viewer();
    (0..30).for_each(|n| world.push(&[audio(n * 20, n)]));
    assert_eq!(world.players[viewer].got.len(), 30 - 9);
    world.ingest.configure(world.now, settings(MIN_LATENCY));
    world.settle();
    assert_eq!(world.players[viewer].got.len(), 30);
}

#[test]
fn row_16_messages_are_collected_for_mw_latency_unless_latency_matters() {
    let cases = [
        ("", 350),
        ("min_latency on;", 0),
        ("play { mw_latency 100; }", 100),
        ("min_latency on; play { mw_latency 200; }", 200),
        ("play { mw_latency 0; }", 0),
    ];
    for (vhost, latency) in cases {
        let mut world = World::new(vhost);
        let viewer = world.viewer();
        world.push(&[key(0, 0)]);
        assert_eq!(world.players[viewer].got.is_empty(), latency > 0, "{vhost}");
        if latency > 0 {
            world.advance(latency - 1);
            assert!(world.players[viewer].got.is_empty(), "{vhost}");
            world.push(&[inter(1, 1)]);
            world.advance(1);
        }
        let expected = if latency > 0 { "KV" } else { "K" };
        assert_eq!(world.players[viewer].letters(), expected, "{vhost}");
        assert_eq!(world.ingest.poll_timeout(), None);
    }
}

#[test]
fn row_16_audio_waits_for_the_next_picture_but_not_long() {
    let mut world = World::new("min_latency on; extension { audio_wait 40; }");
    let viewer = world.viewer();
    world.push(&[audio(0, 0)]);
    assert_eq!(world.players[viewer].letters(), "A", "there have been no pictures");
    world.push(&[key(10, 0)]);
    assert_eq!(world.players[viewer].letters(), "AK");
    world.push(&[audio(20, 1)]);
    world.advance(20);
    assert_eq!(world.players[viewer].letters(), "AK", "it waits");
    world.push(&[inter(50, 1)]);
    assert_eq!(world.players[viewer].letters(), "AKAV", "the picture takes it along, at once");
    world.push(&[audio(60, 2)]);
    world.advance(39);
    assert_eq!(world.players[viewer].letters(), "AKAV");
    world.advance(1);
    assert_eq!(world.players[viewer].letters(), "AKAVA", "it goes alone when no picture comes");
    world.advance(300);
    world.push(&[audio(400, 3)]);
    assert_eq!(world.players[viewer].letters(), "AKAVAA", "pictures have stopped: nothing waits for them");
}

#[test]
fn row_16_a_burst_of_old_media_is_cut_by_its_own_time_and_by_messages() {
    for (vhost, expected) in
        [("play { mw_latency 100; mw_msgs 0; }", 4), ("play { mw_latency 100; mw_msgs 9; }", 10)]
    {
        let mut world = World::new(vhost);
        let messages: Vec<_> = (0..20).map(|n| audio(n * 40, n)).collect();
        world.push(&messages);
        assert_eq!(world.segments[0].chunks.index().len(), expected);
    }
    let mut world = World::new("");
    world.push(&(0..300).map(|n| audio(0, n)).collect::<Vec<_>>());
    assert_eq!(
        world.segments.iter().map(|segment| segment.chunks.index().len()).collect::<Vec<_>>(),
        [128, 128]
    );
}

#[test]
fn row_16_send_min_interval_sends_one_message_at_a_time() {
    let mut world = World::new("min_latency on; play { send_min_interval 10; }");
    let viewer = world.viewer();
    world.push(&[key(0, 0), audio(3, 0), inter(40, 0), audio(43, 0)]);
    for expected in 1..=4 {
        assert_eq!(world.players[viewer].got.len(), expected);
        world.advance(10);
    }
    assert_eq!(world.players[viewer].writes, 4);
    assert_eq!(world.players[viewer].times(), [0, 3, 40, 43]);
    // With nothing to send nothing is waited for; the next message goes out at once.
    world.advance(10);
    assert_eq!(world.hub.poll_timeout(), None);
    world.push(&[inter(80, 0)]);
    assert_eq!(world.players[viewer].got.len(), 5);
    // An upstream server is not held back.
    let upstream = world.join(Lane::Chunks, JoinKind::Upstream);
    world.push(&[key(120, 0), inter(160, 0)]);
    assert_eq!(world.players[upstream].letters(), "KAVAVKV");
}

#[test]
fn row_8_another_source_goes_on_where_the_last_one_ended() {
    let mut world = World::new(MIN_LATENCY);
    let viewer = world.viewer();
    world.push_each(&opening(5_000));
    world.push_each(&gop(5_000, 3));
    world.end();
    world.begin();
    // The other origin begins its times at zero, in the middle of a GOP.
    world.push_each(&opening(0));
    world.push_each(&[inter(0, 0), audio(3, 0), inter(40, 0), audio(43, 0)]);
    let late = world.viewer();
    assert!(world.players[late].got.is_empty(), "no stale picture");
    world.push_each(&[key(80, 0), audio(83, 0)]);
    let player = &world.players[viewer];
    assert_eq!(player.letters(), "MHSKAVAVAAAKA", "headers are the same, pictures begin with a key frame");
    assert_eq!(player.times(), [0, 9, 9, 9, 12, 49, 52, 89, 92, 102, 142, 179, 182]);
    assert_eq!(world.players[late].letters(), "MHSKA");
    assert_eq!(world.ingest.epoch(), 2);
}

#[test]
fn row_8_headers_of_another_source_are_sent_where_they_differ() {
    let mut world = World::new(MIN_LATENCY);
    let viewer = world.viewer();
    world.push_each(&opening(0));
    world.push_each(&[key(0, 0)]);
    world.begin();
    world.push_each(&[metadata(0, "encoder", "x"), audio_header(0, 1), video_header(0, 9), key(0, 0)]);
    assert_eq!(world.players[viewer].letters(), "MHSKSK");
    assert_eq!(number(&world.players[viewer].got[4]), 9);
    // Somebody who begins now needs all of them.
    let late = world.viewer();
    assert_eq!(world.players[late].letters(), "MHSK");
}

#[test]
fn row_8_a_source_without_key_frames_is_not_held_back_for_ever() {
    let mut world = World::new(MIN_LATENCY);
    let viewer = world.viewer();
    world.push(&[key(0, 0)]);
    world.begin();
    world.push(&[inter(40, 0)]);
    world.advance(10_000);
    world.push(&[inter(10_040, 0)]);
    assert_eq!(world.players[viewer].letters(), "KV");
    assert_eq!(world.ingest.stats().dropped, 1);
}

#[test]
fn row_22_settings_reach_viewers_that_are_there() {
    let mut world = World::new("min_latency on; play { time_jitter off; }");
    let viewer = world.viewer();
    world.push_each(&[key(5_000, 0), inter(5_040, 0)]);
    for vhost in ["min_latency on;", "min_latency on; play { atc on; }"] {
        world.ingest.configure(world.now, settings(vhost));
        world.hub.configure(settings(vhost));
        let last = world.players[viewer].got.len() as u32;
        world.push_each(&[inter(5_000 + last * 40, 0), cue_point(7_000), inter(90_000 + last * 40, 0)]);
    }
    let expected = [5_000, 5_040, 5_080, 0, 5_090, 5_200, 7_000, 90_200];
    assert_eq!(world.players[viewer].times(), expected);
    world.hub.configure(settings("min_latency on; play { gop_cache off; }"));
    assert_eq!(world.hub.stats().segments, 0);
}

#[test]
fn row_28_the_times_of_a_viewer_that_paused_go_on_without_the_pause() {
    // Players that pause wait through a step of that length once more.
    for (mode, expected) in [("full", 213), ("zero", 60_000), ("off", 60_000)] {
        for chunk_size in [60_000, 4096] {
            let mut world = World::new(&format!("{MIN_LATENCY} play {{ time_jitter {mode}; }}"));
            let (viewer, other) = (world.viewer(), world.viewer());
            let conn = world.players[viewer].conn;
            // Another size means that messages are written for it alone.
            if chunk_size != 60_000 {
                world.hub.tell_chunk_size(conn, chunk_size);
            }
            world.push_each(&opening(0));
            world.push_each(&gop(0, 3));
            let before = *world.players[viewer].times().last().expect("a message");
            assert_eq!(before, 83);
            world.hub.pause(conn);
            // The source does not pause.
            (1..500).for_each(|n| world.push_each(&gop(n * 120, 3)));
            world.hub.resume(conn);
            world.push_each(&gop(60_000, 2));
            let player = &world.players[viewer];
            assert!(player.letters().ends_with("KAVAVAKAVA"), "{}", player.letters());
            let times = player.times();
            // The GOP that ran when it came back begins 10 ms after what it had; this is the next one.
            let times = &times[times.len() - 4..];
            let times_of_gop = [0, 3, 40, 43].map(|after| expected + after);
            assert_eq!(times, times_of_gop, "{mode} {chunk_size}");
            let others = world.players[other].times();
            assert_eq!(others[others.len() - 4], 60_000, "{mode}");
        }
    }
}

#[test]
fn row_28_a_pause_in_the_middle_of_a_segment_leaves_no_gap_either() {
    let mut world = World::new(MIN_LATENCY);
    let viewer = world.viewer();
    let conn = world.players[viewer].conn;
    world.push_each(&opening(0));
    world.push_each(&gop(0, 2));
    world.players[viewer].window = 5;
    world.push_each(&[inter(80, 80)]);
    world.hub.pause(conn);
    (1..100).for_each(|n| world.push_each(&gop(n * 120, 3)));
    world.hub.resume(conn);
    world.open(viewer, usize::MAX);
    let player = &world.players[viewer];
    assert!(player.letters().ends_with("AVKAVAVA"), "{}", player.letters());
    let times = player.times();
    assert_eq!(times[times.len() - 8..], [43, 80, 90, 93, 130, 133, 170, 173]);
}
