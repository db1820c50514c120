//! Names of streams cost nothing once they are left.

use edge_cluster::config::EdgeConfig;
use edge_cluster::edge::EdgeOptions;

use crate::{World, ms, secs};

#[test]
fn names_that_nobody_has_are_forgotten_at_once_and_streams_that_ended_in_bounded_number() {
    let mut world = World::new(23);
    let config = EdgeConfig::builder().build().expect("a configuration");
    let mut options = EdgeOptions::default();
    options.unused_streams_max = 4;
    let server = world.server("a", 1, config, options);
    let viewers: Vec<_> = (0..6).map(|n| world.view(server, &format!("random{n}"))).collect();
    world.run(secs(1));
    assert_eq!(world.snapshot(server).streams.len(), 6);
    viewers.into_iter().for_each(|viewer| world.leave(viewer));
    world.run(ms(500));
    assert_eq!(world.snapshot(server).streams.len(), 0, "nobody ever saw anything of them");

    let publishers: Vec<_> = (0..12).map(|n| world.publish(server, &format!("show{n}"), 1)).collect();
    world.run(secs(1));
    assert_eq!(world.snapshot(server).streams.len(), 12);
    publishers.into_iter().for_each(|publisher| world.leave(publisher));
    world.run(ms(500));
    let remembered = world.snapshot(server).streams.len();
    assert!((1..=4).contains(&remembered), "{remembered}");
    world.run(secs(4));
    assert_eq!(world.snapshot(server).streams.len(), 0);
}

#[test]
fn a_stream_that_ends_again_and_again_is_remembered_each_time() {
    let mut world = World::new(24);
    let config = EdgeConfig::builder().build().expect("a configuration");
    let mut options = EdgeOptions::default();
    options.unused_streams_max = 4;
    let server = world.server("a", 1, config, options);
    for time in 0..10 {
        let publisher = world.publish(server, "show", 1);
        world.run(secs(1));
        world.leave(publisher);
        world.run(ms(500));
        assert_eq!(world.snapshot(server).streams.len(), 1, "forgotten, time {time}");
    }
    world.run(secs(4));
    assert_eq!(world.snapshot(server).streams.len(), 0);
}
