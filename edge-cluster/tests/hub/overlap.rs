//! A source that is lost and comes again over another connection: nothing twice, nothing missing, nobody waits.

use edge_cluster::hub::{JoinKind, Lane};
use rtmp_core::{Media, MediaKind};

use crate::world::{MIN_LATENCY, World, audio, inter, media, number, opening, video_header};

/// A key frame of a length that is worth comparing.
fn key(millis: u32, number: u32) -> Media {
    let mut payload = vec![0x17, 1, 0, 0, 0];
    payload.extend([7; 100]);
    payload.extend(number.to_be_bytes());
    media(MediaKind::Video, millis, &payload)
}

/// Frames `from` to `to` of a stream with a key frame every ten pictures, `offset` ms later than the encoder sent them.
fn stream(from: u32, to: u32, offset: u32) -> Vec<Media> {
    let picture = |n: u32| match n % 10 {
        0 => key(n * 40 + offset, n),
        _ => inter(n * 40 + offset, n),
    };
    (from..to).flat_map(|n| [picture(n), audio(n * 40 + 3 + offset, n)]).collect()
}

/// The numbers of the frames of one kind that a player got.
fn frames(world: &World, player: usize, kind: MediaKind) -> Vec<u32> {
    let got = &world.players[player].got;
    got.iter().filter(|m| m.kind == kind && m.payload.get(1) == Some(&1)).map(number).collect()
}

fn pictures(world: &World, player: usize) -> Vec<u32> {
    frames(world, player, MediaKind::Video)
}

fn sounds(world: &World, player: usize) -> Vec<u32> {
    frames(world, player, MediaKind::Audio)
}

fn running(vhost: &str) -> (World, usize) {
    let mut world = World::new(vhost);
    world.begin_pull();
    world.push_each(&opening(0));
    let viewer = world.viewer();
    world.push_each(&stream(0, 25, 0));
    (world, viewer)
}

#[test]
fn row_15_viewers_of_a_lost_origin_get_each_frame_once() {
    // An origin counts the times of each player from zero, or tells those of the encoder.
    for (vhost, offset) in
        [(MIN_LATENCY, 5_000), (MIN_LATENCY, 0), ("min_latency on; play { time_jitter zero; }", 777)]
    {
        let (mut world, viewer) = running(vhost);
        world.lose();
        assert!(!world.hub.is_active());
        let meanwhile = world.viewer();
        world.begin_pull();
        world.push_each(&opening(offset));
        assert!(!world.hub.is_active(), "nothing is known yet");
        world.push_each(&stream(20, 40, offset));
        assert!(world.hub.is_active());
        let later = world.viewer();
        for (player, first) in [(viewer, 0), (meanwhile, 20), (later, 30)] {
            let each: Vec<u32> = (first..40).collect();
            assert_eq!(pictures(&world, player), each, "{vhost} {offset}");
            assert_eq!(sounds(&world, player), each, "{vhost} {offset}");
            let times = world.players[player].times();
            assert!(times.is_sorted() && times[times.len() - 1] - times[0] <= (40 - first) * 40, "{times:?}");
        }
        let letters = world.players[viewer].letters();
        assert_eq!(letters.matches(['M', 'S', 'H']).count(), 3, "headers are not repeated: {letters}");
        assert_eq!(world.ingest.stats().repeated, 10);
    }
}

#[test]
fn row_15_an_origin_may_be_lost_again_and_again() {
    let (mut world, viewer) = running(MIN_LATENCY);
    for turn in 1..5 {
        world.lose();
        world.begin_pull();
        world.push_each(&opening(0));
        world.push_each(&stream(20, 25 + turn, turn * 1_000));
    }
    assert_eq!(pictures(&world, viewer), (0..29).collect::<Vec<_>>());
    assert_eq!(sounds(&world, viewer), (0..29).collect::<Vec<_>>());
    assert!(world.players[viewer].times().is_sorted());
}

#[test]
fn row_15_an_origin_that_is_behind_repeats_until_it_has_caught_up() {
    let (mut world, viewer) = running(MIN_LATENCY);
    world.lose();
    world.begin_pull();
    world.push_each(&stream(10, 22, 0));
    world.advance(500);
    world.push_each(&stream(22, 30, 0));
    assert_eq!(pictures(&world, viewer), (0..30).collect::<Vec<_>>());
}

#[test]
fn row_15_a_gap_costs_what_is_missing_and_no_more() {
    let (mut world, viewer) = running(MIN_LATENCY);
    world.lose();
    world.begin_pull();
    world.push_each(&stream(20, 23, 0));
    world.push_each(&stream(27, 33, 0));
    let wanted: Vec<u32> = (0..25).chain(27..33).collect();
    assert_eq!(pictures(&world, viewer), wanted);
    assert!(world.players[viewer].times().is_sorted());
}

#[test]
fn row_15_another_source_begins_with_a_key_frame() {
    // It has other pictures from the beginning; or none that tell; or it looks alike at first.
    let other = |n: u32| [key(n * 40, 1_000 + n), inter(n * 40 + 40, 1_001 + n)];
    let unlike: Vec<Media> = [vec![inter(0, 5)], other(0).to_vec()].concat();
    let alike: Vec<Media> = [vec![key(800, 20), inter(840, 9_999)], other(50).to_vec()].concat();
    for (source, new) in [(unlike, vec![1_000, 1_001]), (alike, vec![20, 9_999, 1_050, 1_051])] {
        let (mut world, viewer) = running(MIN_LATENCY);
        world.lose();
        world.begin_pull();
        world.push_each(&[video_header(0, 9)]);
        world.push_each(&source);
        let wanted: Vec<u32> = (0..25).chain(new).collect();
        assert_eq!(pictures(&world, viewer), wanted);
        assert!(world.players[viewer].letters().contains("SK"), "the new header is in front");
        assert!(world.players[viewer].times().is_sorted());
    }
}

#[test]
fn row_13_pictures_of_a_source_that_does_not_come_again_are_let_go() {
    let (mut world, _) = running(MIN_LATENCY);
    world.lose();
    world.begin_pull();
    world.push_each(&opening(0));
    world.lose();
    assert!(world.hub.newest_key().is_some());
    world.end();
    world.end();
    assert_eq!(world.hub.newest_key(), None);
    let late = world.join(Lane::Chunks, JoinKind::Viewer);
    assert_eq!(world.players[late].letters(), "");
    // An orderly end says that the next source is another one.
    world.begin_pull();
    world.push_each(&stream(20, 22, 0));
    assert_eq!(pictures(&world, late), [20, 21]);
}

#[test]
fn a_publisher_that_comes_back_is_another_source() {
    let mut world = World::new(MIN_LATENCY);
    let viewer = world.viewer();
    world.begin();
    world.push_each(&stream(0, 12, 0));
    world.lose();
    world.begin();
    world.push_each(&stream(10, 12, 0));
    assert_eq!(pictures(&world, viewer), (0..12).chain(10..12).collect::<Vec<_>>());
}
