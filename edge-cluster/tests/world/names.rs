//! Names of streams cost nothing once they are left.

use edge_cluster::config::EdgeConfig;
use edge_cluster::edge::{CloseReason, EdgeOptions, Event, FlvRequest, QuestionKind, Refusal, Verdict};
use rtmp_core::NameFault;

use crate::actors::Actor;
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

#[test]
fn names_that_cannot_be_used_are_refused_over_rtmp_and_http() {
    let mut world = World::new(53);
    let config = EdgeConfig::builder().vhost("http_remux { enabled on; }").build().expect("a configuration");
    let config_of_requests = config.clone();
    let mut options = EdgeOptions::default();
    options.ask_always = true;
    let server = world.server("a", 2, config, options);
    let refusals = |world: &mut World| {
        let events = std::mem::take(&mut world.nodes[server].events);
        let named = |event| match event {
            Event::Refused { refusal: Refusal::Name(fault), .. } => Some(fault),
            Event::Refused { refusal, .. } => panic!("{refusal:?}"),
            _ => None,
        };
        events.into_iter().filter_map(named).collect::<Vec<_>>()
    };
    let long = "a".repeat(600);
    for (tc_url, stream, code, fault) in [
        ("rtmp://v.example/live/../\\x", "show", "Connect.Rejected", NameFault::Backslash),
        ("rtmp://v.example/live/..", "show", "Connect.Rejected", NameFault::Upwards),
        (&format!("rtmp://v.example/{long}"), "show", "Connect.Rejected", NameFault::Length),
        // Only together do they make a name that is too long, or one that leads upwards.
        (
            &format!("rtmp://v.example/{}", &long[..500]),
            "more of the app/show",
            "Play.StreamNotFound",
            NameFault::Length,
        ),
        ("rtmp://v.example/live", ". ./show", "Play.StreamNotFound", NameFault::Upwards),
    ] {
        let viewer = Actor::stranger(tc_url, stream, 1, world.now);
        let viewer = world.connect(viewer, server);
        world.run(ms(300));
        assert_eq!(refusals(&mut world), [fault], "{tc_url} {stream}");
        let told = world.clients[viewer].refused.as_deref().unwrap_or_default();
        assert!(told.ends_with(code), "{told}");
    }
    // What no server could serve is known before an edge is asked, and its owner hears of it all the same.
    for (tc_url, stream, code, reason) in [
        ("rtmp://v.example/live\x07", "show", "Connect.Rejected", "tcUrl has control characters"),
        ("rtmp://v.example/live", "../show", "Play.StreamNotFound", "name leads upwards"),
        ("rtmp://v.example/live", "sh\row", "Play.StreamNotFound", "name has control characters"),
    ] {
        let viewer = Actor::stranger(tc_url, stream, 1, world.now);
        let viewer = world.connect(viewer, server);
        world.run(ms(300));
        let told = world.clients[viewer].refused.as_deref().unwrap_or_default();
        assert!(told.ends_with(code), "{told}");
        let events = std::mem::take(&mut world.nodes[server].events);
        let refusals = events.iter().filter_map(|event| match event {
            Event::Refused { refusal, .. } => Some(refusal.to_string()),
            _ => None,
        });
        assert_eq!(refusals.collect::<Vec<_>>(), [reason]);
        let closed = |event: &Event| matches!(event, Event::Closed { reason: CloseReason::Refused(_), .. });
        assert!(events.iter().any(closed), "{events:?}");
    }
    for (path, query, fault) in [
        ("/live/a\nb.flv", "", NameFault::Control),
        ("/live/a?x.flv", "", NameFault::Query),
        ("/live#/a.flv", "", NameFault::Query),
        ("/live/a\\b.flv", "", NameFault::Backslash),
        (&format!("/live/{long}.flv"), "", NameFault::Length),
        (&format!("/{long}/a.flv"), "", NameFault::Length),
        ("/live/a.flv", &"q".repeat(4097), NameFault::QueryLength),
    ] {
        let request = FlvRequest {
            peer: ([10, 9, 9, 9], 1000).into(),
            host: "v.example".to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            page_url: String::new(),
        };
        assert_eq!(request.refusal(&config_of_requests), Some(Refusal::Name(fault)), "{path}");
        world.open_flv(server, request);
        world.run(ms(10));
        assert_eq!(refusals(&mut world), [fault], "{path}");
    }
    assert!(world.nodes[server].questions.is_empty(), "nobody is asked about such names");
    assert!(world.snapshot(server).streams.is_empty());
}

#[test]
fn row_21_a_media_extension_is_left_out_of_the_key_and_nothing_else() {
    let mut world = World::new(54);
    let mut options = EdgeOptions::default();
    options.ask_always = true;
    let config = EdgeConfig::builder().build().expect("a configuration");
    let origin = world.server("origin", 1, config, options);
    let edge = world.edge("edge", 2, &["origin"], "");
    world.view(edge, "cam.mp4");
    world.publish(edge, "show.flv", 1);
    let mut asked = Vec::new();
    for _ in 0..8 {
        world.run(ms(200));
        for question in std::mem::take(&mut world.nodes[origin].questions) {
            world.answer(origin, &question, Verdict::Allow);
            let client = question.client;
            asked.push((question.kind, client.stream.to_string(), client.key.stream.to_string()));
        }
    }
    for (kind, stream, key) in
        [(QuestionKind::Play, "cam.mp4", "cam"), (QuestionKind::Publish, "show.flv", "show")]
    {
        assert!(asked.contains(&(kind, stream.to_owned(), key.to_owned())), "{asked:?}");
    }
    let mut streams: Vec<_> =
        world.snapshot(edge).streams.iter().map(|stream| stream.key.stream.to_string()).collect();
    streams.sort();
    assert_eq!(streams, ["cam", "show"]);
}
