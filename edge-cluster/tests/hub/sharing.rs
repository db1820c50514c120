//! What is shared between viewers and between shards.

use bytes::{Buf, BytesMut};
use edge_cluster::ConnId;
use edge_cluster::hub::{Hub, HubEvent, Join, JoinKind, Lane, PrivateSink, Update};
use rtmp_core::Media;
use rtmp_core::MediaKind;

use crate::world::{
    MIN_LATENCY, World, audio, audio_header, inter, key, metadata, number, settings, start, video_header,
};

struct Nothing;

impl PrivateSink for Nothing {
    fn pending_bytes(&self) -> usize {
        0
    }

    fn send_media(&mut self, media: &Media) {
        panic!("no message is for one viewer alone: {media:?}");
    }
}

#[test]
fn viewers_that_keep_up_are_given_the_same_bytes() {
    let mut world = World::new(MIN_LATENCY);
    world.viewer();
    world.viewer();
    world.push(&[key(0, 0), audio(0, 0)]);
    world.ingest.push(world.now, &inter(40, 1));
    world.ingest.burst_end(world.now);
    let update = world.ingest.poll_update().expect("a segment");
    world.hub.apply(world.now, &update);
    let Update::Segment(segment) = &update else { panic!("{update:?}") };
    let mut seen = 0;
    while let Some(conn) = world.hub.poll_ready() {
        world.hub.prepare(world.now, conn, &mut Nothing);
        let mut private = BytesMut::new();
        let mut out = world.hub.outgoing(conn, &mut private).expect("watches");
        assert_eq!(out.chunk().as_ptr(), segment.chunks.wire().as_ptr());
        assert_eq!(out.remaining(), segment.chunks.wire().len());
        out.advance(out.remaining());
        seen += 1;
    }
    assert_eq!(seen, 2);
}

#[test]
fn a_viewer_that_keeps_up_gets_segments_as_a_whole() {
    let mut world = World::new(MIN_LATENCY);
    let viewer = world.viewer();
    world.push_each(&[key(0, 0), inter(40, 0), inter(80, 0)]);
    assert_eq!(world.players[viewer].wholes, 2, "the first one had a header of its own");
    world.players[viewer].window = 5;
    world.push_each(&[inter(120, 0), inter(160, 0)]);
    assert_eq!(world.players[viewer].wholes, 3, "not while one is partly sent");
    let stranger = ConnId::inbound(99);
    assert!(world.hub.take_whole(stranger).is_none());
}

#[test]
fn a_ready_viewer_is_listed_once_until_it_has_caught_up() {
    let mut hub = Hub::new(settings(MIN_LATENCY));
    let mut world = World::new(MIN_LATENCY);
    world.push_each(&[key(0, 0), inter(40, 0), inter(80, 0), inter(120, 0)]);
    let conn = ConnId::inbound(9);
    hub.join(conn, Join { msid: 1, lane: Lane::Chunks, kind: JoinKind::Viewer });
    let mut listed = 0;
    for segment in &world.segments {
        hub.apply(world.now, &Update::Segment(segment.clone()));
        listed += u32::from(hub.poll_ready() == Some(conn));
        assert_eq!(hub.poll_ready(), None);
    }
    assert_eq!(listed, 1, "it has not written yet");
    hub.leave(conn);
    assert_eq!(hub.poll_ready(), None);
    assert!(hub.outgoing(conn, &mut BytesMut::new()).is_none());
}

/// A hub on another shard that gets some of the segments.
fn remote(world: &mut World, segments: std::ops::Range<usize>) {
    for segment in &world.segments[segments] {
        world.hub.apply(world.now, &Update::Segment(segment.clone()));
    }
    world.settle();
}

#[test]
fn a_hub_that_did_not_get_some_segments_goes_on_with_spliced_headers() {
    let mut home = World::new(MIN_LATENCY);
    home.push_each(&[metadata(0, "a", "b"), audio_header(0, 1), video_header(0, 2)]);
    for second in 0..4 {
        home.push_each(&[
            key(second * 1000, second),
            audio(second * 1000 + 5, second),
            inter(second * 1000 + 40, second),
        ]);
        if second == 1 {
            home.push_each(&[video_header(2000, 7)]);
        }
    }
    let mut world = World::new("min_latency on; play { time_jitter off; }");
    let opening = home.hub.opening().expect("active");
    world.hub.apply(world.now, &opening);
    let viewer = world.viewer();
    world.segments = home.segments.clone();
    remote(&mut world, 0..6);
    let resumes = home.hub.newest_key().expect("a key frame") as usize;
    assert!(home.hub.segment(resumes as u64).expect("held").chunks.starts_with_key());
    remote(&mut world, resumes..home.segments.len());
    let player = &world.players[viewer];
    assert_eq!(player.letters(), "MHSKAVSKAV");
    assert_eq!(number(&player.got[6]), 7, "the header that was left out");
    assert_eq!(player.times()[3..], [0, 5, 40, 3000, 3000, 3005, 3040]);
    assert_eq!(world.hub.stats().gaps, 1);
}

#[test]
fn row_24_metadata_announces_what_comes_later() {
    use rtmp_core::flv::Content;
    for (name, before, behind) in [
        ("videocodecid", Content::AudioVideo, Content::AudioVideo),
        ("encoder", Content::Audio, Content::AudioVideo),
        ("audiocodecid", Content::Audio, Content::AudioVideo),
    ] {
        let mut world = World::new(MIN_LATENCY);
        world.push_each(&[metadata(0, name, "x")]);
        assert_eq!(world.hub.content(), None, "{name}: metadata alone is not enough");
        world.push_each(&[audio_header(0, 1)]);
        assert_eq!(world.hub.content(), Some(before), "{name}");
        world.push_each(&[video_header(0, 2)]);
        assert_eq!(world.hub.content(), Some(behind), "{name}");
        world.end();
        world.begin();
        world.push_each(&[video_header(0, 3), key(0, 0)]);
        assert_eq!(world.hub.content(), Some(Content::Video), "{name}: another source");
    }
}

#[test]
fn row_24_viewers_of_tags_share_them_and_begin_near_zero() {
    let mut world = World::new(MIN_LATENCY);
    world.push_each(&[metadata(9_000, "a", "b"), audio_header(9_000, 1), video_header(9_000, 2)]);
    world.push_each(&[key(9_000, 0), audio(8_980, 0), inter(9_040, 1)]);
    assert_eq!(world.hub.content(), Some(rtmp_core::flv::Content::AudioVideo));
    let chunks = world.hub.memory_bytes();
    let first = world.join(Lane::Flv, JoinKind::Viewer);
    assert!(world.hub.memory_bytes() > chunks);
    world.push_each(&[inter(9_080, 2), key(90_000, 3)]);
    let second = world.join(Lane::Flv, JoinKind::Viewer);
    world.push_each(&[inter(90_040, 4)]);
    assert_eq!(world.players[first].letters(), "MHSKAVVKV");
    assert_eq!(world.players[first].times(), [0, 9, 9, 9, 0, 60, 100, 110, 150]);
    assert_eq!(world.players[second].letters(), "MHSKV");
    assert_eq!(world.players[second].times(), [0, 110, 110, 110, 150]);
    assert_eq!(world.players[second].private.messages, 3, "only headers are its own");
    for player in [first, second] {
        world.hub.leave(world.players[player].conn);
    }
    assert!(world.hub.memory_bytes() <= chunks + 2000, "no tags without viewers of them");
}

#[test]
fn row_24_tags_of_one_kind_only() {
    let mut world = World::new(MIN_LATENCY);
    let viewer = world.join(Lane::Flv, JoinKind::Viewer);
    world.hub.receive(world.players[viewer].conn, MediaKind::Video, false);
    world.push_each(&[
        audio_header(0, 1),
        video_header(0, 2),
        key(0, 0),
        audio(3, 0),
        inter(40, 1),
        audio(43, 1),
    ]);
    assert_eq!(world.players[viewer].letters(), "HAA");
    assert_eq!(world.players[viewer].times(), [0, 3, 43]);
}

#[test]
fn a_source_with_another_chunk_size_reaches_viewers_that_are_there() {
    let mut home = World::new("min_latency on; chunk_size 128;");
    let mut hub = Hub::new(settings("min_latency on; chunk_size 4096;"));
    let conn = ConnId::inbound(1);
    hub.join(conn, Join { msid: 1, lane: Lane::Chunks, kind: JoinKind::Viewer });
    home.begin();
    hub.apply(start(), &home.hub.opening().expect("active"));
    assert_eq!(hub.chunk_size(), 128);
    home.push(&[key(0, 0)]);
    hub.apply(home.now, &Update::Segment(home.segments[0].clone()));
    assert_eq!(hub.poll_ready(), Some(conn));
    struct Count(u32);
    impl PrivateSink for Count {
        fn pending_bytes(&self) -> usize {
            0
        }
        fn send_media(&mut self, _: &Media) {
            self.0 += 1;
        }
    }
    let mut count = Count(0);
    hub.prepare(home.now, conn, &mut count);
    assert_eq!(count.0, 1);
}

const CROWD: std::ops::Range<u64> = 1_000..2_000;

fn crowd_joins(world: &mut World) {
    let join = Join { msid: 1, lane: Lane::Chunks, kind: JoinKind::Viewer };
    CROWD.for_each(|n| world.hub.join(ConnId::inbound(n), join));
}

fn crowd_leaves(world: &mut World) {
    CROWD.for_each(|n| world.hub.leave(ConnId::inbound(n)));
}

/// Nobody is written to yet, and nobody has asked for events.
fn apply_only(world: &mut World, media: &Media) {
    world.ingest.push(world.now, media);
    world.ingest.burst_end(world.now);
    while let Some(update) = world.ingest.poll_update() {
        world.hub.apply(world.now, &update);
    }
}

#[test]
fn a_crowd_that_has_left_takes_no_memory_and_those_who_stay_miss_nothing() {
    let mut world = World::new("min_latency on; play { gop_cache off; }");
    let fast = world.viewer();
    world.push_each(&[key(0, 0), inter(40, 1)]);
    let before = world.hub.memory_bytes();
    crowd_joins(&mut world);
    let (slow, late) = (world.viewer(), world.viewer());
    world.players[slow].window = 5;
    apply_only(&mut world, &inter(80, 2));
    assert!(world.hub.memory_bytes() > before + 200_000);
    crowd_leaves(&mut world);
    world.settle();
    world.push_each(&[inter(120, 3), key(160, 4), inter(200, 5)]);
    world.open(slow, usize::MAX);
    for (viewer, letters) in [(fast, "KVVVKV"), (slow, "VVKV"), (late, "VVKV")] {
        assert_eq!(world.players[viewer].letters(), letters, "viewer {viewer}");
    }
    let after = world.hub.memory_bytes();
    assert!(after < before + 2_000, "{before} bytes, {after} later");
}

/// A viewer that came after a crowd, which wants nothing.
fn behind_a_crowd(vhost: &str) -> (World, usize) {
    let mut world = World::new(vhost);
    crowd_joins(&mut world);
    CROWD.for_each(|n| world.hub.pause(ConnId::inbound(n)));
    let viewer = world.viewer();
    (world, viewer)
}

#[test]
fn a_viewer_that_waits_for_its_interval_waits_no_longer_when_a_crowd_leaves() {
    let (mut world, viewer) = behind_a_crowd("min_latency on; play { gop_cache off; send_min_interval 10; }");
    world.push_each(&[key(0, 0), inter(40, 1)]);
    assert_eq!(world.players[viewer].letters(), "K");
    crowd_leaves(&mut world);
    world.advance(20);
    assert_eq!(world.players[viewer].letters(), "KV");
}

#[test]
fn what_is_to_be_told_of_a_viewer_is_told_when_a_crowd_has_left() {
    let (mut world, viewer) = behind_a_crowd("min_latency on; play { gop_cache off; queue_length 1; }");
    world.players[viewer].window = 5;
    world.push(&[key(0, 0)]);
    (1..10).for_each(|n| apply_only(&mut world, &inter(n * 200, n)));
    crowd_leaves(&mut world);
    world.settle();
    let of = world.players[viewer].conn;
    assert!(
        matches!(world.events[..], [HubEvent::Resynced { viewer, .. }] if viewer == of),
        "{:?}",
        world.events
    );
}
