//! One source after another: nothing of an earlier one is taken for the running one's.

use edge_cluster::hub::{JoinKind, Lane, Update};

use crate::world::{MIN_LATENCY, World, audio, gop, inter, key, number, opening, video_header};

#[test]
fn row_13_nobody_begins_with_pictures_of_an_earlier_source() {
    // One source ends before the next one begins, or is replaced by it.
    for ends in [true, false] {
        let mut world = World::new(MIN_LATENCY);
        let first = world.join(Lane::Chunks, JoinKind::Upstream);
        world.push_each(&opening(0));
        world.push_each(&gop(0, 25));
        if ends {
            world.end();
        }
        world.begin();
        assert_eq!(world.hub.newest_key(), None, "for another shard");
        for kind in [JoinKind::Viewer, JoinKind::Upstream] {
            let late = world.join(Lane::Chunks, kind);
            assert_eq!(world.players[late].letters(), "", "{kind:?}");
        }
        world.push_each(&[video_header(0, 7), inter(0, 0), key(40, 0), inter(80, 0)]);
        for player in &world.players[1..] {
            assert_eq!(player.letters(), "SKV");
        }
        assert!(world.players[first].letters().ends_with("ASKV"), "{}", world.players[first].letters());
    }
}

#[test]
fn the_end_of_an_earlier_source_is_not_that_of_the_running_one() {
    let mut world = World::new(MIN_LATENCY);
    world.begin();
    let earlier = world.hub.epoch();
    world.begin();
    world.push_each(&gop(0, 2));
    world.hub.apply(world.now, &Update::End { epoch: earlier, is_lost: false });
    assert!(world.hub.is_active());
    let viewer = world.viewer();
    assert_eq!(world.players[viewer].letters(), "KAVA");
}

#[test]
fn row_14_sound_alone_loses_its_oldest_part_whatever_there_was_before() {
    let mut world = World::new("min_latency on; play { queue_length 1; }");
    let viewer = world.viewer();
    world.push_each(&gop(0, 5));
    world.end();
    world.begin();
    let before = world.players[viewer].got.len();
    world.players[viewer].window = 0;
    (0..130).for_each(|n| world.push(&[audio(n * 20, n)]));
    world.open(viewer, usize::MAX);
    let got = &world.players[viewer].got[before..];
    assert!((75..85).contains(&number(&got[0])), "begins with {}", number(&got[0]));
    assert_eq!(number(&got[got.len() - 1]), 129);
}
