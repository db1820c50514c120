//! One story per rule.

use edge_cluster::config::EdgeConfig;
use edge_cluster::edge::{
    CloseReason, Command, EdgeOptions, Event, QuestionKind, SourceSnapshot, UpstreamKind, Verdict,
};

use rtmp_core::message::PauseState;

use crate::{World, ms, secs};

#[test]
fn row_5_and_6_what_is_published_is_played_from_the_key_frame_on() {
    for shards in [1, 3] {
        let mut world = World::new(1);
        let server = world.edge("a", shards, &[], "");
        world.publish(server, "show", 1);
        world.run(ms(1500));
        let viewers: Vec<_> = (0..5).map(|_| world.view(server, "show")).collect();
        world.run(secs(3));
        for viewer in viewers {
            let judge = world.clients[viewer].judge();
            assert_eq!(judge.gaps, 0);
            assert!(judge.pictures >= 75 && judge.sounds >= 120, "{} {}", judge.pictures, judge.sounds);
        }
        let snapshot = world.snapshot(server);
        assert_eq!((snapshot.totals.viewers, snapshot.totals.publishers, snapshot.streams.len()), (5, 1, 1));
        assert!(matches!(snapshot.streams[0].source, SourceSnapshot::Publisher { .. }));
        assert_eq!(snapshot.streams[0].clients, 6);
    }
}

#[test]
fn row_7_many_viewers_at_once_make_one_pull() {
    let mut world = World::new(2);
    let origin = world.edge("origin", 2, &[], "");
    let edge = world.edge("edge", 3, &["origin"], "");
    world.publish(origin, "show", 1);
    world.run(secs(1));
    let viewers: Vec<_> = (0..30).map(|_| world.view(edge, "show")).collect();
    world.run(secs(3));
    for viewer in viewers {
        assert!(world.clients[viewer].judge().pictures > 60);
    }
    assert_eq!(world.snapshot(edge).totals.upstream_attempts, 1);
    assert_eq!(world.snapshot(origin).totals.viewers, 1);
}

#[test]
fn row_8_viewers_stay_when_their_origin_dies() {
    let mut world = World::new(3);
    let a = world.edge("a", 1, &[], "");
    let b = world.edge("b", 1, &[], "");
    let edge = world.edge("edge", 2, &["a", "b"], "");
    world.publish(a, "show", 1);
    world.publish(b, "show", 2);
    world.run(secs(1));
    let viewer = world.view(edge, "show");
    world.run(secs(3));
    let first = world.clients[viewer].judge().sources.clone();
    world.kill(usize::from(first[0] - 1), false);
    world.run(secs(3));
    let judge = world.clients[viewer].judge();
    assert_eq!(judge.sources.len(), 2, "the other origin took over");
    assert!(judge.heard.is_some_and(|heard| world.now - heard < secs(1)));
}

#[test]
fn row_8_where_both_origins_have_the_stream_of_one_encoder_the_viewer_gets_each_frame_once() {
    for shards in [1, 3] {
        let mut world = World::new(3);
        let origins = ["a", "b"].map(|host| world.edge(host, 1, &[], ""));
        let edge = world.edge("edge", shards, &["a", "b"], "");
        for origin in origins {
            world.publish(origin, "show", 1);
        }
        world.run(secs(1));
        let viewers = [(); 4].map(|()| world.view(edge, "show"));
        world.run(ms(2_300));
        let serving = origins.into_iter().find(|origin| world.snapshot(*origin).totals.viewers > 0);
        world.kill(serving.expect("one serves"), false);
        let newcomer = world.view(edge, "show");
        world.run(secs(3));
        for viewer in viewers.into_iter().chain([newcomer]) {
            // That nothing comes again, and that pictures do not begin inside a GOP, it would have said itself.
            let judge = world.clients[viewer].judge();
            assert_eq!((judge.gaps, judge.sources.as_slice()), (0, &[1][..]));
            assert!(judge.pictures > 75, "{} pictures", judge.pictures);
            assert!(judge.heard.is_some_and(|heard| world.now - heard < secs(1)));
        }
    }
}

#[test]
fn row_9_a_pull_lingers_and_a_viewer_that_comes_back_is_served_by_it() {
    let mut world = World::new(4);
    let origin = world.edge("origin", 1, &[], "");
    let edge = world.edge("edge", 2, &["origin"], "");
    world.publish(origin, "show", 1);
    world.run(secs(1));
    for _ in 0..5 {
        let viewer = world.view(edge, "show");
        world.run(secs(2));
        assert!(world.clients[viewer].judge().pictures > 25);
        world.leave(viewer);
        world.run(secs(2));
    }
    assert_eq!(world.snapshot(edge).totals.upstream_attempts, 1);
    world.run(secs(10));
    assert_eq!(world.snapshot(origin).totals.viewers, 0, "nobody watches: the pull has ended");
    assert!(world.snapshot(edge).streams.is_empty(), "and the stream is forgotten");
    assert_eq!(world.snapshot(edge).totals.connections, 0);
}

#[test]
fn row_10_a_viewer_that_comes_first_sees_the_stream_when_it_comes_and_is_released_when_it_does_not() {
    let mut world = World::new(5);
    let origin = world.edge("origin", 1, &[], "");
    let edge = world.edge("edge", 2, &["origin"], "extension { pull_wait_limit 30; }");
    let (early, hopeless) = (world.view(edge, "show"), world.view(edge, "never"));
    world.run(secs(10));
    world.publish(origin, "show", 1);
    world.run(secs(12));
    assert!(world.clients[early].judge().pictures > 0);
    assert!(!world.clients[hopeless].ended);
    world.run(secs(12));
    assert!(world.clients[hopeless].ended, "30 s are over");
    assert!(
        world.clients[hopeless].statuses.iter().any(|code| code == "NetStream.Play.StreamNotFound")
            || world.clients[hopeless].refused.as_deref() == Some("NetStream.Play.StreamNotFound")
    );
    assert!(!world.clients[early].ended);
}

#[test]
fn row_11_what_is_published_on_an_edge_reaches_the_origin_and_another_one_when_that_dies() {
    let mut world = World::new(6);
    let a = world.edge("a", 1, &[], "");
    let b = world.edge("b", 2, &[], "");
    let edge = world.edge("edge", 2, &["a", "b"], "");
    let publisher = world.publish(edge, "show", 1);
    world.run(secs(2));
    let nodes = [a, b];
    let holder = *nodes.iter().find(|node| world.snapshot(**node).totals.publishers == 1).expect("a push");
    let other = if holder == a { b } else { a };
    let (at_origin, at_edge) = (world.view(holder, "show"), world.view(edge, "show"));
    world.run(secs(2));
    assert!(world.clients[at_origin].judge().pictures > 25);
    world.kill(holder, false);
    world.run(secs(3));
    assert!(!world.clients[publisher].ended, "the publisher stays");
    assert_eq!(world.clients[at_edge].judge().gaps, 0, "viewers of the edge notice nothing");
    let late = world.view(other, "show");
    world.run(secs(2));
    assert!(world.clients[late].judge().pictures > 25, "the other origin has the stream");
}

#[test]
fn row_12_the_second_publisher_is_refused_and_the_successor_of_a_silent_one_is_not() {
    let mut world = World::new(7);
    let server = world.edge("a", 2, &[], "");
    let first = world.publish(server, "show", 1);
    world.run(secs(1));
    let second = world.publish(server, "show", 2);
    world.run(secs(1));
    assert_eq!(world.clients[second].refused.as_deref(), Some("NetStream.Publish.BadName"));
    assert!(!world.clients[first].ended);
    world.clients[first].publishes().silent = true;
    world.run(secs(6));
    assert!(world.clients[first].ended, "nothing for five seconds");
    let third = world.publish(server, "show", 3);
    world.run(secs(1));
    assert!(world.clients[third].publishes().accepted);
}

#[test]
fn the_origin_s_refusal_reaches_the_publisher_of_the_edge() {
    let mut world = World::new(8);
    let origin = world.edge("origin", 1, &[], "");
    let edge = world.edge("edge", 2, &["origin"], "");
    world.publish(origin, "show", 1);
    world.run(secs(1));
    let second = world.publish(edge, "show", 2);
    world.run(secs(2));
    assert_eq!(world.clients[second].refused.as_deref(), Some("NetStream.Publish.BadName"));
    assert!(world.snapshot(edge).clients.is_empty());
}

#[test]
fn row_13_without_gop_cache_viewers_of_all_shards_begin_where_the_stream_is() {
    let mut world = World::new(21);
    world.edge("origin", 1, &[], "");
    let edge = world.edge("edge", 3, &["origin"], "min_latency on; play { gop_cache off; }");
    world.publish(edge, "show", 1);
    world.run(ms(1800));
    let viewers: Vec<_> = (0..8).map(|_| world.view(edge, "show")).collect();
    for viewer in &viewers {
        world.clients[*viewer].judge_mut().any_start = true;
    }
    world.run(ms(120));
    for viewer in viewers {
        let pictures = world.clients[viewer].judge().pictures;
        assert!((1..=5).contains(&pictures), "{pictures} pictures in 120 ms");
    }
}

#[test]
fn row_18_rules_of_addresses_and_pages_refuse() {
    let mut world = World::new(9);
    let server = world.edge("a", 1, &[], "security { enabled on; allow play all; deny publish all; }");
    let (publisher, viewer) = (world.publish(server, "show", 1), world.view(server, "show"));
    let pages = world.edge("b", 1, &[], "refer { enabled on; play other.example; }");
    let stranger = world.view(pages, "show");
    world.run(secs(1));
    assert_eq!(world.clients[publisher].refused.as_deref(), Some("NetStream.Publish.Denied"));
    assert!(world.clients[viewer].refused.is_none());
    assert_eq!(world.clients[stranger].refused.as_deref(), Some("NetStream.Play.Failed"));
}

#[test]
fn row_19_the_owner_is_asked_in_order_and_its_answer_counts() {
    let mut world = World::new(10);
    let config = EdgeConfig::builder().build().expect("a configuration");
    let mut options = EdgeOptions::default();
    options.ask_always = true;
    let server = world.server("a", 2, config, options);
    let (publisher, viewer) = (world.publish(server, "show", 1), world.view(server, "show"));
    let mut asked = Vec::new();
    for _ in 0..4 {
        world.run(ms(200));
        for question in std::mem::take(&mut world.nodes[server].questions) {
            let verdict = match question.kind {
                QuestionKind::Play => Verdict::deny("not you"),
                _ => Verdict::Allow,
            };
            asked.push((question.client.kind.is_publish(), question.kind));
            world.answer(server, &question, verdict);
        }
    }
    let of =
        |publishes| asked.iter().filter(|(p, _)| *p == publishes).map(|(_, kind)| *kind).collect::<Vec<_>>();
    assert_eq!(of(true), [QuestionKind::Connect, QuestionKind::Publish]);
    assert_eq!(of(false), [QuestionKind::Connect, QuestionKind::Play]);
    world.run(secs(1));
    assert!(world.clients[publisher].publishes().accepted);
    assert_eq!(world.clients[viewer].refused.as_deref(), Some("NetStream.Play.Failed"));
    assert!(world.clients[viewer].ended);
}

#[test]
fn a_question_without_an_answer_refuses() {
    let mut world = World::new(11);
    let config = EdgeConfig::builder().build().expect("a configuration");
    let mut options = EdgeOptions::default();
    (options.ask_always, options.answer_timeout) = (true, secs(3));
    let server = world.server("a", 1, config, options);
    let viewer = world.view(server, "show");
    world.run(secs(5));
    assert!(world.clients[viewer].ended);
}

#[test]
fn row_20_token_traverse_asks_the_origin_about_each_client() {
    let mut world = World::new(12);
    let config = EdgeConfig::builder().build().expect("a configuration");
    let mut options = EdgeOptions::default();
    options.ask_always = true;
    let origin = world.server("origin", 1, config, options);
    let edge = world.edge("edge", 2, &["origin"], "cluster { token_traverse on; }");
    let (viewer, publisher) = (world.view(edge, "show"), world.publish(edge, "up", 1));
    world.run(secs(1));
    assert!(
        world.nodes[edge]
            .events
            .iter()
            .any(|event| matches!(event, Event::UpstreamConnecting { kind: UpstreamKind::Probe, .. }))
    );
    assert!(
        !world.clients[viewer].ended && !world.clients[publisher].ended,
        "the origin accepts every connect"
    );
    world.kill(origin, false);
    let late = world.view(edge, "other");
    world.run(secs(6));
    assert_eq!(
        world.clients[late].refused.as_deref(),
        Some("NetStream.Play.Failed"),
        "no origin can be asked"
    );
}

#[test]
fn a_kicked_client_goes_and_its_stream_is_free() {
    let mut world = World::new(13);
    let server = world.edge("a", 3, &[], "");
    let publisher = world.publish(server, "show", 1);
    world.run(secs(1));
    let conn = world.snapshot(server).clients[0].info.conn;
    world.command(server, &Command::Kick(conn));
    world.run(secs(1));
    assert!(world.clients[publisher].ended);
    let closed = |event: &Event| matches!(event, Event::Closed { reason: CloseReason::Kicked, .. });
    assert!(world.nodes[server].events.iter().any(closed));
    let next = world.publish(server, "show", 2);
    world.run(secs(1));
    assert!(world.clients[next].publishes().accepted);
}

#[test]
fn a_draining_server_asks_clients_away_and_closes_the_rest_at_its_limit() {
    let mut world = World::new(14);
    let config = EdgeConfig::builder().build().expect("a configuration");
    let mut options = EdgeOptions::default();
    options.drain_limit = secs(10);
    let server = world.server("a", 2, config, options);
    let (publisher, viewer) = (world.publish(server, "show", 1), world.view(server, "show"));
    world.run(secs(1));
    world.command(server, &Command::Drain);
    let late = world.view(server, "show");
    world.run(secs(5));
    assert!(world.clients[publisher].reconnect_asked && world.clients[viewer].reconnect_asked);
    assert!(world.clients[late].ended && !world.clients[viewer].ended);
    world.run(secs(8));
    assert!(world.clients[viewer].ended && world.clients[publisher].ended);
    let drained = world.nodes[server].events.iter().filter(|event| matches!(event, Event::Drained)).count();
    assert_eq!(drained, 2, "each shard says so once");
}

#[test]
fn row_22_reload_changes_origins_for_the_next_attempt_and_keeps_clients_of_a_removed_vhost() {
    let mut world = World::new(15);
    let a = world.edge("a", 1, &[], "");
    let b = world.edge("b", 1, &[], "");
    let edge = world.edge("edge", 2, &["a"], "");
    world.publish(a, "show", 1);
    world.publish(b, "show", 2);
    world.run(secs(1));
    let viewer = world.view(edge, "show");
    world.run(secs(2));
    world.reload(edge, EdgeConfig::builder().origin("b").build().expect("a configuration"));
    world.run(secs(2));
    assert_eq!(world.clients[viewer].judge().sources, [1], "the running pull stays");
    world.kill(a, false);
    world.run(secs(5));
    assert_eq!(world.clients[viewer].judge().sources, [1, 2]);
    let mut without = EdgeConfig::builder().root("vhost other.example { }").build().expect("a configuration");
    without.vhosts.retain(|vhost| vhost.name == "other.example");
    world.reload(edge, without);
    world.run(secs(2));
    assert!(!world.clients[viewer].ended, "it stays until it leaves");
    let late = world.view(edge, "show");
    world.run(secs(1));
    assert_eq!(world.clients[late].refused.as_deref(), Some("NetConnection.Connect.Rejected"));
}

#[test]
fn a_publisher_nobody_watches_is_cut_where_the_vhost_says_so() {
    let mut world = World::new(16);
    let server = world.edge("a", 1, &[], "publish { kickoff_for_idle 5; }");
    let publisher = world.publish(server, "show", 1);
    let viewer = world.view(server, "show");
    world.run(secs(8));
    assert!(!world.clients[publisher].ended);
    world.leave(viewer);
    world.run(secs(4));
    assert!(!world.clients[publisher].ended);
    world.run(secs(2));
    assert!(world.clients[publisher].ended);
}

#[test]
fn streams_that_nobody_has_are_waited_for_in_bounded_number() {
    let mut world = World::new(17);
    let config = EdgeConfig::builder().origin("nowhere").build().expect("a configuration");
    let mut options = EdgeOptions::default();
    options.waiting_pulls_max = 3;
    let edge = world.server("edge", 1, config, options);
    let viewers: Vec<_> = (0..6).map(|n| world.view(edge, &format!("random{n}"))).collect();
    world.run(secs(11));
    let refused = |world: &World, viewer: &usize| world.clients[*viewer].refused.is_some();
    assert_eq!(viewers.iter().filter(|viewer| refused(&world, viewer)).count(), 3);
    assert_eq!(world.snapshot(edge).streams.len(), 3, "nothing is left of what was refused");
    let waiting = viewers.iter().find(|viewer| !refused(&world, viewer)).expect("three wait");
    world.leave(*waiting);
    // A pull lingers for some seconds.
    world.run(secs(12));
    let next = world.view(edge, "another");
    world.run(secs(1));
    assert!(!refused(&world, &next), "there is room again");
}

#[test]
fn who_is_refused_again_and_again_leaves_no_stream_behind() {
    for shards in [1, 3] {
        let mut world = World::new(24);
        world.edge("origin", 1, &[], "");
        let config = EdgeConfig::builder().origin("origin").build().expect("a configuration");
        let mut options = EdgeOptions::default();
        options.waiting_pulls_max = 0;
        let edge = world.server("edge", shards, config, options);
        for n in 0..40 {
            let viewer = world.view(edge, &format!("random{n}"));
            world.run(ms(50));
            assert!(world.clients[viewer].refused.is_some() || !world.clients[viewer].statuses.is_empty());
        }
        world.run(secs(11));
        let streams = world.snapshot(edge).streams;
        assert!(streams.is_empty(), "{} streams on {shards} shards", streams.len());
    }
}

#[test]
fn row_29_copies_go_to_the_destinations_of_forward() {
    let mut world = World::new(18);
    let copy = world.edge("copy", 1, &[], "");
    let server = world.edge("a", 2, &[], "forward { enabled on; destination copy; }");
    let publisher = world.publish(server, "show", 1);
    world.run(secs(1));
    let viewer = world.view(copy, "show");
    world.run(secs(2));
    assert!(world.clients[viewer].judge().pictures > 25);
    let outlets = world.snapshot(server).outlets;
    assert_eq!(outlets.len(), 1);
    assert_eq!((outlets[0].kind, outlets[0].target.as_str()), (UpstreamKind::Forward, "copy:1935"));
    assert!(outlets[0].traffic.sent_bytes > 10_000 && outlets[0].alive > secs(2), "{:?}", outlets[0]);
    world.leave(publisher);
    world.run(secs(1));
    assert_eq!(world.snapshot(copy).totals.publishers, 0, "the copy ends with the stream");
    assert_eq!(world.snapshot(server).outlets, []);
}

#[test]
fn row_29_nothing_is_kept_for_destinations_that_a_reload_removed() {
    let mut world = World::new(50);
    world.edge("copy", 1, &[], "");
    let vhost = "min_latency on; play { gop_cache off; }";
    let server = world.edge("a", 1, &[], &format!("{vhost} forward {{ enabled on; destination copy; }}"));
    let publisher = world.publish(server, "show", 1);
    world.clients[publisher].publishes().bytes = 5000;
    world.run(secs(1));
    let most = |world: &mut World| {
        let mut most = 0;
        world.run_until(world.now + secs(3), |world| most = most.max(world.memory_bytes(server)));
        most
    };
    let before = most(&mut world);
    assert!(before > 50_000, "the GOP stays for a destination that is lost: {before}");
    world.reload(server, EdgeConfig::builder().vhost(vhost).build().expect("a configuration"));
    world.run(ms(200));
    let after = most(&mut world);
    assert!(after < 20_000, "{after} bytes held for nobody");
}

#[test]
fn a_viewer_that_is_gone_is_noticed_where_there_is_nothing_to_send() {
    for (limit, stays) in [("", false), ("extension { keepalive 0; }", true)] {
        let mut world = World::new(51);
        let origin = world.edge("origin", 1, &[], "");
        let config = EdgeConfig::builder().origin("origin").root(limit).build().expect("a configuration");
        let edge = world.server("edge", 2, config, EdgeOptions::default());
        let publisher = world.publish(origin, "show", 1);
        world.run(secs(1));
        let (gone, here) = (world.view(edge, "show"), world.view(edge, "show"));
        // While media goes out nobody is asked.
        world.run(secs(200));
        assert_eq!(world.snapshot(edge).totals.viewers, 2);
        assert_eq!(world.clients[here].connection.stats().pings_answered, 0);
        world.leave(publisher);
        world.run(secs(1));
        world.stall_client(gone, world.now + secs(100_000));
        world.run(secs(151));
        assert_eq!(world.snapshot(edge).totals.viewers, 1 + u64::from(stays));
        assert!(!world.clients[here].ended);
        world.leave(here);
        world.run(secs(10));
        assert_eq!(world.snapshot(edge).streams.is_empty(), !stays, "pulled for nobody");
    }
}

#[test]
fn a_viewer_that_pauses_for_minutes_has_to_go() {
    let mut world = World::new(52);
    let server = world.edge("a", 2, &[], "");
    world.publish(server, "show", 1);
    world.run(secs(1));
    let viewers = [world.view(server, "show"), world.view(server, "show")];
    world.run(secs(1));
    for viewer in viewers {
        world.clients[viewer].connection.pause(world.now, PauseState::Paused, 0).expect("it plays");
    }
    world.run(secs(170));
    assert!(!world.clients[viewers[0]].ended && !world.clients[viewers[1]].ended);
    world.clients[viewers[1]].connection.pause(world.now, PauseState::Paused, 0).expect("it plays");
    world.run(secs(15));
    assert!(world.clients[viewers[0]].ended && !world.clients[viewers[1]].ended);
}

#[test]
fn row_24_a_viewer_over_http_gets_an_flv_file_and_its_end() {
    let mut world = World::new(19);
    let server = world.edge("a", 3, &[], "http_remux { enabled on; }");
    let publisher = world.publish(server, "show", 1);
    world.run(secs(1));
    let request = |path: &str| edge_cluster::edge::FlvRequest {
        peer: ([10, 9, 9, 9], 1000).into(),
        host: "v.example:8080".to_owned(),
        path: path.to_owned(),
        query: String::new(),
        page_url: String::new(),
    };
    let (conn, wrong) =
        (world.open_flv(server, request("/live/show.flv")), world.open_flv(server, request("/live/show.ts")));
    world.run(secs(2));
    assert!(world.flv_accepted.contains(&(server, conn)) && !world.flv_accepted.contains(&(server, wrong)));
    let mut body = world.bodies.remove(&(server, conn)).expect("a body");
    assert_eq!(body[..5], *b"FLV\x01\x05");
    let mut reader = rtmp_core::flv::Reader::new(1 << 20);
    let mut tags = Vec::new();
    while let Some(tag) = reader.read(&mut body).expect("FLV") {
        tags.push(tag);
    }
    assert!(tags.len() > 60, "{} tags", tags.len());
    assert!(tags.windows(2).all(|pair| pair[1].timestamp.since(pair[0].timestamp) >= 0));
    world.leave(publisher);
    world.run(secs(1));
    let ended = |event: &Event| matches!(event, Event::Closed { reason: CloseReason::StreamEnded, .. });
    assert!(world.nodes[server].events.iter().any(ended));
}

#[test]
fn an_origin_can_decide_at_connect_so_that_probes_of_edges_mean_something() {
    let mut world = World::new(20);
    let early = "extension { connect_hook_early on; }";
    let config = EdgeConfig::builder().vhost(early).build().expect("a configuration");
    let mut options = EdgeOptions::default();
    options.ask_always = true;
    let origin = world.server("origin", 1, config, options);
    let edge = world.edge("edge", 2, &["origin"], "cluster { token_traverse on; }");
    let viewer = world.view(edge, "show");
    world.run(ms(200));
    let questions = std::mem::take(&mut world.nodes[origin].questions);
    assert_eq!(questions.len(), 1, "the probe waits");
    assert_eq!((questions[0].kind, &*questions[0].client.key.stream), (QuestionKind::Connect, ""));
    world.answer(origin, &questions[0], Verdict::deny("bad token"));
    world.run(ms(500));
    assert_eq!(world.clients[viewer].refused.as_deref(), Some("NetStream.Play.Failed"));
    assert!(world.clients[viewer].ended);
}
