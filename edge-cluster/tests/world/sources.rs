//! Viewers of an edge keep their stream whatever its source becomes: a publisher here, a pull, another publisher.

use std::time::Duration;

use edge_cluster::config::EdgeConfig;
use edge_cluster::edge::{EdgeOptions, Event, QuestionKind, SourceSnapshot, UpstreamKind, Verdict};

use crate::{World, ms, secs};

#[test]
fn viewers_of_a_publisher_that_moves_to_the_origin_or_to_another_edge_go_on_there() {
    for (shards, to_origin) in [(1, true), (3, true), (1, false), (3, false)] {
        let mut world = World::new(40);
        let origin = world.edge("origin", 1, &[], "");
        let (here, elsewhere) =
            (world.edge("here", shards, &["origin"], ""), world.edge("elsewhere", shards, &["origin"], ""));
        let first = world.publish(here, "show", 1);
        world.run(secs(1));
        let viewers: Vec<_> = (0..4).map(|_| world.view(here, "show")).collect();
        world.run(secs(2));
        world.leave(first);
        world.run(secs(1));
        world.publish(if to_origin { origin } else { elsewhere }, "show", 2);
        world.run(secs(3));
        for viewer in viewers {
            let judge = world.clients[viewer].judge();
            assert_eq!(judge.sources, [1, 2], "{shards} shards, to the origin: {to_origin}");
            assert!(judge.heard.is_some_and(|heard| world.now - heard < ms(500)));
        }
    }
}

#[test]
fn who_comes_while_a_publish_waits_for_the_origin_sees_the_stream_when_it_is_refused() {
    // The publish waits from the second half of the first second to the middle of the third one.
    for (shards, pause) in [1, 3].into_iter().flat_map(|shards| (0..5).map(move |n| (shards, ms(300 * n)))) {
        let mut world = World::new(41);
        let origin = world.edge("origin", 1, &[], "");
        let edge = world.edge("edge", shards, &["origin"], "");
        world.publish(origin, "show", 1);
        world.run(secs(1));
        world.link.latency = ms(150);
        let second = world.publish(edge, "show", 2);
        world.run(pause);
        assert!(world.clients[second].refused.is_none(), "the origin has not answered yet");
        let viewer = world.view(edge, "show");
        world.run(secs(5));
        assert_eq!(world.clients[second].refused.as_deref(), Some("NetStream.Publish.BadName"));
        let pictures = world.clients[viewer].judge().pictures;
        assert!(pictures > 25, "{pictures} pictures, {shards} shards, {pause:?} behind the publish");
    }
}

#[test]
fn viewers_of_a_pull_notice_nothing_of_publishers_whom_the_origin_refuses() {
    for shards in [1, 3] {
        let mut world = World::new(42);
        let origin = world.edge("origin", 1, &[], "");
        let edge = world.edge("edge", shards, &["origin"], "");
        world.publish(origin, "show", 1);
        world.run(secs(1));
        let viewers: Vec<_> = (0..4).map(|_| world.view(edge, "show")).collect();
        world.run(secs(2));
        for source in 2..8 {
            let stranger = world.publish(edge, "show", source);
            world.run(ms(700));
            assert_eq!(world.clients[stranger].refused.as_deref(), Some("NetStream.Publish.BadName"));
        }
        let pulls =
            |event: &Event| matches!(event, Event::UpstreamConnecting { kind: UpstreamKind::Pull, .. });
        assert_eq!(world.nodes[edge].events.iter().filter(|event| pulls(event)).count(), 1);
        for viewer in viewers {
            let judge = world.clients[viewer].judge();
            assert_eq!((judge.gaps, &judge.sources[..]), (0, &[1][..]));
            assert!(judge.heard.is_some_and(|heard| world.now - heard < ms(500)));
        }
    }
}

#[test]
fn viewers_of_a_pull_get_a_publisher_whom_the_origin_takes_directly() {
    for shards in [1, 3] {
        let mut world = World::new(43);
        let origin = world.edge("origin", 1, &[], "");
        let edge = world.edge("edge", shards, &["origin"], "");
        let first = world.publish(origin, "show", 1);
        world.run(secs(1));
        let viewer = world.view(edge, "show");
        world.run(secs(2));
        world.leave(first);
        world.run(ms(300));
        world.publish(edge, "show", 2);
        world.run(secs(2));
        assert_eq!(world.pulls(edge).len(), 0, "the publisher has replaced the pull");
        let streams = world.snapshot(edge).streams;
        assert!(matches!(streams[0].source, SourceSnapshot::Publisher { .. }), "{:?}", streams[0].source);
        let judge = world.clients[viewer].judge();
        assert_eq!((judge.gaps, &judge.sources[..]), (1, &[1, 2][..]));
        assert!(judge.pictures > 90, "{} pictures", judge.pictures);
    }
}

#[test]
fn a_stream_is_not_forgotten_while_its_next_publisher_waits_for_the_origin() {
    let mut world = World::new(44);
    let origin = world.edge("origin", 1, &[], "");
    let edge = world.edge("edge", 2, &["origin"], "");
    let first = world.publish(edge, "show", 1);
    world.run(secs(1));
    world.leave(first);
    world.run(ms(500));
    let until = world.now + secs(4);
    world.freeze(origin, until);
    let second = world.publish(edge, "show", 2);
    world.run(secs(6));
    assert!(world.clients[second].publishes().accepted);
}

/// An origin whose owner is asked about everybody.
fn guarded_origin(world: &mut World) -> usize {
    let config = EdgeConfig::builder().build().expect("a configuration");
    let mut options = EdgeOptions::default();
    options.ask_always = true;
    world.server("origin", 1, config, options)
}

/// Runs while the owner of the origin allows every publish, and plays with this token.
fn run_guarded(world: &mut World, origin: usize, time: Duration, token: &str) {
    let until = world.now + time;
    while world.now < until {
        world.run(ms(20));
        for question in std::mem::take(&mut world.nodes[origin].questions) {
            let allowed = question.kind != QuestionKind::Play || &*question.client.param == token;
            let verdict = if allowed { Verdict::Allow } else { Verdict::deny("bad token") };
            world.answer(origin, &question, verdict);
        }
    }
}

#[test]
fn a_viewer_with_a_bad_token_does_not_keep_the_stream_from_the_next_one() {
    for (shards, seed) in [(1, 1), (4, 1), (4, 2), (4, 3), (4, 4)] {
        let mut world = World::new(seed);
        let origin = guarded_origin(&mut world);
        let edge = world.edge("edge", shards, &["origin"], "");
        world.publish(origin, "show", 1);
        run_guarded(&mut world, origin, secs(1), "?token=good");
        // On each shard somebody is first with a bad token, and the good one comes later.
        for _ in 0..8 {
            world.view(edge, "show?token=bad");
        }
        run_guarded(&mut world, origin, secs(1), "?token=good");
        let good = world.view(edge, "show?token=good");
        run_guarded(&mut world, origin, secs(4), "?token=good");
        let pictures = world.clients[good].judge().pictures;
        assert!(
            pictures > 0,
            "the next attempt, 3 s after the first one, is made in its name: {shards} shards"
        );
    }
}

#[test]
fn a_token_that_has_expired_is_replaced_by_that_of_a_later_viewer() {
    for (shards, seed) in [(1, 1), (4, 1), (4, 2), (4, 3), (4, 4)] {
        let mut world = World::new(seed);
        let origin = guarded_origin(&mut world);
        let edge = world.edge("edge", shards, &["origin"], "");
        world.publish(origin, "show", 1);
        run_guarded(&mut world, origin, secs(1), "?token=old");
        let viewers: Vec<_> = (0..8).map(|_| world.view(edge, "show?token=old")).collect();
        run_guarded(&mut world, origin, secs(15), "?token=old");
        let late = world.view(edge, "show?token=new");
        run_guarded(&mut world, origin, secs(2), "?token=new");
        world.kill(origin, true);
        world.publish(origin, "show", 2);
        run_guarded(&mut world, origin, secs(3), "?token=new");
        for viewer in viewers.into_iter().chain([late]) {
            assert_eq!(world.clients[viewer].judge().sources, [1, 2], "{shards} shards");
        }
    }
}

#[test]
fn a_publisher_that_comes_back_without_having_sent_anything_gets_its_stream_again() {
    for (shards, is_edge) in [(1, false), (3, false), (1, true), (3, true)] {
        let mut world = World::new(47);
        world.address = Some([10, 9, 9, 9]);
        world.edge("origin", 1, &[], "");
        let node = world.edge("here", shards, if is_edge { &["origin"] } else { &[] }, "");
        let first = world.publish(node, "show", 1);
        world.clients[first].publishes().silent = true;
        world.run(secs(3));
        assert!(world.clients[first].publishes().accepted);
        let second = world.publish(node, "show", 2);
        world.run(secs(1));
        assert!(world.clients[first].ended, "replaced, an edge: {is_edge}");
        assert!(world.clients[second].publishes().accepted, "{:?}", world.clients[second].refused);
    }
}

/// A configuration without the vhost of these tests.
fn other_vhost(origin: &str) -> EdgeConfig {
    let config = EdgeConfig::builder().origin(origin).root("vhost other.example { }");
    let mut config = config.build().expect("a configuration");
    config.vhosts.retain(|vhost| vhost.name == "other.example");
    config
}

fn connects(world: &World, node: usize) -> usize {
    let connects = |event: &&Event| matches!(event, Event::UpstreamConnecting { .. });
    world.nodes[node].events.iter().filter(connects).count()
}

#[test]
fn viewers_of_a_removed_vhost_go_with_its_pull_and_nothing_begins_it_again() {
    for shards in [1, 3] {
        let mut world = World::new(48);
        let origin = world.edge("origin", 1, &[], "");
        let edge = world.edge("edge", shards, &["origin"], "");
        world.publish(origin, "show", 1);
        world.run(secs(1));
        let viewers: Vec<_> = (0..6).map(|_| world.view(edge, "show")).collect();
        world.run(secs(2));
        world.reload(edge, other_vhost("origin"));
        world.run(secs(2));
        assert!(viewers.iter().all(|viewer| !world.clients[*viewer].ended), "the running pull stays");
        let before = connects(&world, edge);
        world.kill(origin, true);
        world.run(secs(1));
        for viewer in &viewers {
            let actor = &world.clients[*viewer];
            assert!(actor.ended && actor.statuses.iter().any(|code| code == "NetStream.Play.StreamNotFound"));
        }
        world.run(secs(10));
        assert_eq!(connects(&world, edge), before, "nothing says any more where its origins are");
        assert!(world.snapshot(edge).streams.is_empty());
    }
}

#[test]
fn viewers_of_a_removed_vhost_go_with_its_publisher() {
    for shards in [1, 3] {
        let mut world = World::new(49);
        world.edge("origin", 1, &[], "");
        let edge = world.edge("edge", shards, &["origin"], "");
        let publisher = world.publish(edge, "show", 1);
        world.run(secs(1));
        let viewers: Vec<_> = (0..6).map(|_| world.view(edge, "show")).collect();
        world.run(secs(2));
        world.reload(edge, other_vhost("origin"));
        world.run(secs(2));
        assert!(viewers.iter().all(|viewer| !world.clients[*viewer].ended));
        let before = connects(&world, edge);
        world.leave(publisher);
        world.run(secs(1));
        assert!(viewers.iter().all(|viewer| world.clients[*viewer].ended));
        assert_eq!(connects(&world, edge), before);
    }
}

#[test]
fn viewers_of_a_publisher_that_never_said_anything_do_not_become_waiting_pulls_without_limit() {
    for shards in [1, 3] {
        let mut world = World::new(50);
        world.edge("origin", 1, &[], "");
        let config = EdgeConfig::builder().origin("origin").build().expect("a configuration");
        let mut options = EdgeOptions::default();
        options.waiting_pulls_max = 0;
        let edge = world.server("edge", shards, config, options);
        let publisher = world.publish(edge, "show", 1);
        world.clients[publisher].publishes().silent = true;
        world.run(secs(1));
        let viewers: Vec<_> = (0..6).map(|_| world.view(edge, "show")).collect();
        world.run(secs(1));
        assert!(viewers.iter().all(|viewer| !world.clients[*viewer].ended));
        world.leave(publisher);
        world.run(secs(1));
        assert!(viewers.iter().all(|viewer| world.clients[*viewer].ended));
        assert!(world.pulls(edge).is_empty());
    }
}
