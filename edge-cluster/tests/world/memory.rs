//! The limit of media memory of a whole server.

use edge_cluster::config::EdgeConfig;
use edge_cluster::edge::{EdgeOptions, Event};

use crate::{World, ms, secs};

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
