//! Connections to other servers that fail, and how soon the next one follows.

use crate::{World, ms, secs};

#[test]
fn row_8_an_origin_that_refuses_costs_no_time() {
    let mut world = World::new(22);
    let origin = world.edge("origin", 1, &[], "");
    let edge = world.edge("edge", 2, &["nowhere", "origin"], "");
    world.publish(origin, "show", 1);
    world.run(secs(1));
    let viewer = world.view(edge, "show");
    world.run(ms(900));
    assert!(world.clients[viewer].judge().pictures > 0);
    assert_eq!(world.snapshot(edge).totals.upstream_attempts, 2);
}

#[test]
fn row_29_a_copy_comes_back_with_its_destination() {
    let mut world = World::new(23);
    let copy = world.edge("copy", 1, &[], "");
    // Nothing else of the stream waits for a time.
    let vhost = "min_latency on; extension { audio_wait 0; } forward { enabled on; destination copy; }";
    let server = world.edge("a", 1, &[], vhost);
    world.kill(copy, false);
    world.publish(server, "show", 1);
    world.run(secs(5));
    assert_eq!(world.snapshot(copy).totals.publishers, 0);
    world.nodes[copy].up = true;
    world.run(secs(4));
    assert_eq!(world.snapshot(copy).totals.publishers, 1, "it is tried every three seconds");
}
