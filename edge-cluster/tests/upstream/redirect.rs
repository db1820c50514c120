//! Origins that send a pull elsewhere (spec 5.2, 5.3; Enhanced RTMP).

use std::sync::Arc;

use edge_cluster::upstream::OwnAddresses;
use rtmp_core::message::Status;

use crate::origin::Behaviour;
use crate::pull::{order, settings, world, world_with};

#[test]
fn row_26_a_redirect_is_followed_at_once() {
    let mut world = world(1);
    world.origin("a").behaviour = Behaviour::RefuseStream(Status::redirect("rtmp://d:19350/live"));
    world.run_secs(1.0);
    assert_eq!(
        world.words(),
        ["connect a", "disconnect", "redirected a>d", "connect d", "accepted", "source"]
    );
    assert_eq!(world.connects[1].1.port, 19350);
    // The names stay ours; only host and port of the redirect are used.
    assert_eq!(world.origin("d").connects[0].tc_url, "rtmp://v.example:19350/live");
    assert_eq!(world.machine.rotation(), 1, "a redirect is nobody's turn");
    // Good for one attempt: then it is the origin's turn again.
    world.kill("d");
    world.run_secs(4.0);
    assert_eq!(world.connects[2].1.host, "a");
}

#[test]
fn row_26_redirects_have_a_depth() {
    let mut world = world_with(settings(&["a"]), &["a", "b", "c", "d", "e"], 7);
    for (from, to) in [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e")] {
        let to = format!("rtmp://{to}/live");
        world.origin(from).behaviour = Behaviour::RefuseStream(Status::redirect(&to));
    }
    world.run_secs(2.0);
    assert_eq!(order(&world), "abcd");
    assert!(world.words().contains(&"failed d: more than 3 redirects in a row"), "{:?}", world.words());
}

#[test]
fn row_26_redirects_in_a_circle_or_to_ourselves_fail() {
    for (url, error) in [
        ("rtmp://a/live", "failed b: redirected in a circle, to a:1935"),
        ("rtmp://127.0.0.1:21100/live", "failed b: connect: the target is a listener of this server"),
        ("rtmps://c/live", "failed b: redirected to \"rtmps://c/live\", which cannot be used"),
        ("nonsense", "failed b: redirected to \"nonsense\", which cannot be used"),
        ("rtmp://evil/live", "failed b: redirected to evil:1935, which is not allowed"),
    ] {
        let mut settings = settings(&["a"]);
        settings.redirects.hosts = Some(["a", "b", "127.0.0.1"].map(str::to_owned).to_vec());
        settings.origin.own = Arc::new(OwnAddresses::new(["0.0.0.0:21100".parse().unwrap()], []));
        let mut world = world_with(settings, &["a", "b"], 7);
        let to_b = Status::redirect("rtmp://b/live");
        world.origin("a").behaviour = Behaviour::RefuseConnect(to_b);
        world.origin("b").behaviour = Behaviour::RefuseStream(Status::redirect(url));
        world.run_secs(2.0);
        assert!(world.words().contains(&error), "{url}: {:?}", world.words());
        assert_eq!(order(&world), "ab", "{url}");
    }
}

#[test]
fn an_enhanced_origin_may_ask_us_to_connect_again() {
    let mut world = world(1);
    world.run_secs(2.0);
    assert!(world.server().request_reconnect(Some("rtmp://d/live"), "maintenance").unwrap());
    world.run_secs(1.0);
    assert_eq!(
        world.words()[3..],
        ["ended Redirected", "disconnect", "redirected a>d", "connect d", "accepted", "source"]
    );
    // To the same server, but not over and over.
    world.run_secs(12.0);
    assert!(world.server().request_reconnect(Some("/live"), "again").unwrap());
    world.run_secs(1.0);
    assert!(world.server().request_reconnect(None, "and again").unwrap());
    world.run_secs(1.0);
    assert_eq!(order(&world)[..3], *"add");
    assert!(world.words().contains(&"failed d: redirected in a circle, to d:1935"), "{:?}", world.words());
}
