//! The limit of media memory of a whole server, and what is left when everybody is gone.

use std::sync::Arc;
use std::time::Instant;

use edge_cluster::config::EdgeConfig;
use edge_cluster::edge::{Edge, EdgeOptions, Event, FlvRequest, Input};
use edge_cluster::{ConnId, ShardId};

use crate::{World, heap, ms, secs};

/// What streams hold that cannot be let go: newest segments, tables of viewers.
const REST: usize = 64 << 10;

fn limited(world: &mut World, shards: u16, limit: u64, vhost: &str) -> usize {
    let config = EdgeConfig::builder().vhost(vhost).build().expect("a configuration");
    let mut options = EdgeOptions::default();
    options.media_bytes_max = Some(limit);
    world.server("a", shards, config, options)
}

fn told(world: &World, server: usize) -> u64 {
    let shed = |event: &Event| match event {
        Event::MediaShed { bytes } => *bytes,
        _ => 0,
    };
    world.nodes[server].events.iter().map(shed).sum()
}

#[test]
fn streams_that_nobody_watches_lose_their_media_first() {
    for shards in [1, 3] {
        let mut world = World::new(30);
        let limit = 600_000 * u64::from(shards);
        let server = limited(&mut world, shards, limit, "min_latency on;");
        for source in 1..=12 * shards as u8 {
            let publisher = world.publish(server, &format!("show{source}"), source);
            world.clients[publisher].publishes().bytes = 2000;
        }
        world.run(ms(150));
        let viewers = [world.view(server, "show1"), world.view(server, "show2")];
        world.run_until(world.now + secs(10), |world| {
            let held = world.memory_bytes(server);
            assert!(held <= limit as usize + REST * usize::from(shards), "{held} bytes held");
        });
        let totals = world.snapshot(server).totals;
        assert_eq!(totals.media_bytes_max, limit);
        assert!(totals.media_sheds > 0);
        assert_eq!(totals.media_shed_bytes, told(&world, server));
        assert_eq!(totals.resyncs, 0);
        for viewer in viewers {
            let judge = world.clients[viewer].judge();
            assert!(judge.pictures > 200 && judge.gaps == 0, "{} {}", judge.pictures, judge.gaps);
        }
        // Streams that are watched keep their GOP caches: who comes now begins with a key frame.
        let late = world.view(server, "show1");
        world.run(ms(500));
        assert!(world.clients[late].judge().pictures > 0);
    }
}

#[test]
fn queues_are_cut_where_that_is_not_enough() {
    let mut world = World::new(31);
    let limit = 1_000_000;
    let server = limited(&mut world, 1, limit, "min_latency on;");
    let publisher = world.publish(server, "show", 1);
    world.clients[publisher].publishes().bytes = 3000;
    world.run(ms(500));
    let (slow, good) = (world.view(server, "show"), world.view(server, "show"));
    world.run(secs(1));
    let until = world.now + secs(20);
    world.stall_client(slow, until);
    // Eight seconds fit: the queue would hold thirty.
    world.run_until(until, |world| {
        let held = world.memory_bytes(server);
        assert!(held <= limit as usize + REST, "{held} bytes held");
    });
    world.run(secs(3));
    assert!(world.snapshot(server).totals.media_sheds > 0);
    // That it goes on with a key frame is what judges look at.
    assert!(world.clients[slow].judge().gaps > 0);
    assert!(world.clients[slow].judge().heard.is_some_and(|heard| world.now - heard < ms(500)));
    assert_eq!(world.clients[good].judge().gaps, 0);
}

#[test]
fn one_gop_above_the_limit_is_not_cached_and_everybody_keeps_up() {
    let mut world = World::new(32);
    let limit = 50_000;
    let server = limited(&mut world, 1, limit, "min_latency on;");
    let publisher = world.publish(server, "show", 1);
    world.clients[publisher].publishes().bytes = 3000;
    let viewer = world.view(server, "show");
    world.run_until(world.now + secs(5), |world| {
        let held = world.memory_bytes(server);
        assert!(held <= limit as usize + REST, "{held} bytes held");
    });
    let judge = world.clients[viewer].judge();
    assert!(judge.pictures > 100 && judge.gaps == 0, "{} {}", judge.pictures, judge.gaps);
}

#[test]
fn the_limit_is_that_of_the_configuration_and_follows_reloads() {
    let mut world = World::new(33);
    let config = |limit: &str| {
        let root = format!("extension {{ media_max_bytes {limit}; }}");
        EdgeConfig::builder().root(&root).build().expect("a configuration")
    };
    let server = world.server("a", 2, config("4m"), EdgeOptions::default());
    let publisher = world.publish(server, "show", 1);
    world.clients[publisher].publishes().bytes = 20_000;
    world.run(secs(5));
    assert_eq!(world.snapshot(server).totals.media_bytes_max, 4 << 20);
    assert_eq!(world.snapshot(server).totals.media_sheds, 0);
    world.reload(server, config("1m"));
    world.run(ms(100));
    let totals = world.snapshot(server).totals;
    assert_eq!(totals.media_bytes_max, 1 << 20);
    assert!(totals.media_sheds > 0 && totals.memory_bytes <= (1 << 20) / 2, "{totals:?}");
}

#[test]
fn a_crowd_that_has_left_takes_no_memory() {
    #[expect(clippy::disallowed_methods, reason = "any instant serves as the start of virtual time")]
    let mut now = Instant::now();
    let vhost = "http_remux { enabled on; }";
    let config = EdgeConfig::builder().vhost(vhost).build().expect("a configuration");
    let mut edge = Edge::new(Arc::new(config), EdgeOptions::default(), ShardId(0), 1, 1, now);
    let before = heap::in_use();
    let crowd = || (0..2_000).map(ConnId::inbound);
    for conn in crowd() {
        let request = FlvRequest {
            peer: ([10, 9, 9, 9], 1000).into(),
            host: "v.example".to_owned(),
            path: format!("/live/{conn:?}.flv"),
            query: String::new(),
            page_url: String::new(),
        };
        edge.handle_input(now, Input::OpenFlv { conn, request: Box::new(request) });
    }
    while edge.poll_output().is_some() {}
    assert_eq!(edge.snapshot(now).totals.viewers, 2_000);
    let with = heap::in_use();
    crowd().for_each(|conn| edge.handle_input(now, Input::Closed { conn }));
    while edge.poll_output().is_some() {}
    for _ in 0..2 {
        now = edge.poll_timeout().expect("the next sample");
        edge.handle_input(now, Input::Timeout);
    }
    let after = heap::in_use();
    assert!(after < before + (8 << 10), "{before} bytes, {with} with the crowd, {after} later");
}
