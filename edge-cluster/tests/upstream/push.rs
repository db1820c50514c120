//! Pushing and forwarding (spec 6.2 and 9.8).

use std::sync::Arc;
use std::time::Duration;

use edge_cluster::config::HostPort;
use edge_cluster::upstream::{
    Failover, Forward, ForwardSettings, OriginSettings, OwnAddresses, Patience, Push, PushEvent, PushPhase,
    PushSettings, UpstreamInput, UpstreamStream,
};
use rtmp_core::Media;
use rtmp_core::media::MediaRole;
use rtmp_core::message::{DataFrame, Status, status::code};

use crate::origin::{Behaviour, frame};
use crate::world::{World, start};

pub(crate) fn settings(list: &[&str]) -> PushSettings {
    let origins: Vec<HostPort> = list.iter().map(|host| host.parse().unwrap()).collect();
    PushSettings::new(OriginSettings::new(origins))
}

fn world_with(settings: PushSettings, all: &[&str]) -> World<Push> {
    let start = start();
    let push = Push::new(Arc::new(settings), UpstreamStream::new("v", "live", "show"), 7, start);
    World::new(push, start, all, 7)
}

fn world(n: usize) -> World<Push> {
    let all = ["a", "b", "c"];
    world_with(settings(&all[..n]), &all)
}

/// Video that arrived behind metadata and sequence header, which come first.
fn frames(received: &[Media]) -> Vec<Media> {
    let [metadata, header, rest @ ..] = received else { panic!("{received:?}") };
    let recognised = DataFrame::recognise(&metadata.payload);
    assert!(matches!(recognised, DataFrame::Set { .. }), "{recognised:?}");
    assert_eq!(header.role(), MediaRole::SequenceHeader);
    rest.to_vec()
}

fn expected(numbers: std::ops::RangeInclusive<u32>) -> Vec<Media> {
    numbers.map(frame).collect()
}

#[test]
fn row_11_a_publish_reaches_the_origin_unchanged() {
    let mut world = world(1);
    world.run_secs(0.5);
    assert_eq!(world.words(), ["connect a", "accepted", "join"]);
    world.publish_for(60);
    assert_eq!(frames(&world.origin("a").received), expected(1..=60), "times are those of the publisher");
    assert_eq!(world.machine.status().phase, PushPhase::Publishing);
    world.machine.stop();
    world.drain();
    assert_eq!(world.origin("a").farewells, 1, "the name is free at once");
    assert_eq!(world.words()[3..], ["left", "disconnect"]);
    assert_eq!(world.machine.poll_timeout(), None);
}

#[test]
fn row_11_the_commands_are_those_of_a_relay() {
    let mut world = world(1);
    world.run_secs(0.5);
    world.machine.stop();
    world.drain();
    let farewell = &world.farewells[0];
    let has = |name: &str| farewell.windows(name.len()).any(|part| part == name.as_bytes());
    assert!(has("FCUnpublish") && has("deleteStream"), "{farewell:?}");
    // The origin would have called a publish with `releaseStream` or `FCPublish` by another name.
    assert_eq!(world.origin("a").styles, ["flash-publish"]);
    assert_eq!(world.origin("a").connects[0].tc_url, "rtmp://v/live");
}

#[test]
fn row_11_each_origin_is_tried_once_before_the_publisher_is_refused() {
    let mut world = world(3);
    for host in ["a", "b"] {
        world.origin(host).behaviour = Behaviour::Closed;
    }
    world.origin("c").behaviour = Behaviour::Dark;
    world.run_secs(10.0);
    assert_eq!(
        world.words(),
        [
            "connect a",
            "failed a: connect: connection refused",
            "connect b",
            "failed b: connect: connection refused",
            "connect c",
            "disconnect",
            "failed c: connect: no answer in time",
            "refused NetStream.Publish.Rejected"
        ]
    );
    assert_eq!(world.trace.last().unwrap().0, Duration::from_millis(3040), "3 s for TCP");
    assert_eq!((world.machine.status().phase, world.machine.poll_timeout()), (PushPhase::Over, None));
}

#[test]
fn row_11_what_the_origin_says_about_the_name_is_passed_on() {
    for code in [code::PUBLISH_BAD_NAME, code::PUBLISH_DENIED] {
        let mut world = world(2);
        world.origin("a").behaviour = Behaviour::RefuseStream(Status::error(code, "busy"));
        world.run_secs(5.0);
        assert_eq!(
            world.words(),
            ["connect a".to_owned(), "disconnect".to_owned(), format!("refused {code}")]
        );
        let Some((_, PushEvent::Refused(status))) = world.events.last() else { panic!("{:?}", world.events) };
        assert_eq!(status.description, "busy");
    }
}

#[test]
fn row_11_an_origin_that_refuses_connect_is_not_the_last_word() {
    let mut world = world(2);
    let no = Status::error(code::CONNECT_REJECTED, "not here");
    world.origin("a").behaviour = Behaviour::RefuseConnect(no.clone());
    world.run_secs(1.0);
    assert_eq!(world.words().last(), Some(&"join"));

    let mut world = self::world(2);
    for host in ["a", "b"] {
        world.origin(host).behaviour = Behaviour::RefuseConnect(no.clone());
    }
    world.run_secs(1.0);
    assert_eq!(world.words().last(), Some(&"refused NetStream.Publish.Denied"));
    let Some((_, PushEvent::Refused(status))) = world.events.last() else { panic!("{:?}", world.events) };
    assert_eq!(status.description, "not here");
}

#[test]
fn row_11_an_origin_that_never_answers_the_publish_gets_the_media_after_five_seconds() {
    let mut world = world(2);
    world.origin("a").behaviour = Behaviour::Wordless;
    world.run_secs(6.0);
    assert_eq!(world.words(), ["connect a", "accepted", "join"]);
    assert_eq!(world.trace[1].0, Duration::from_millis(5020));
}

#[test]
fn a_mute_origin_is_left_after_five_seconds() {
    let mut world = world(2);
    world.origin("a").behaviour = Behaviour::Mute;
    world.run_secs(6.0);
    assert!(world.words().contains(&"failed a: handshake and commands took longer than 5s"));
    assert_eq!(world.words().last(), Some(&"join"));
}

#[test]
fn row_11_failover_in_mid_publish_replays_headers_and_the_newest_gop() {
    let mut world = world(2);
    world.run_secs(0.5);
    world.publish_for(40);
    world.kill("a");
    world.publish_for(40);
    assert_eq!(
        world.words()[3..],
        ["left", "failed a: connection closed by the server", "connect b", "join"],
        "the publisher is told only once"
    );
    // The newest key frame at the moment of the loss was number 26.
    assert_eq!(frames(&world.origin("b").received), expected(26..=80));
}

#[test]
fn row_11_a_publisher_is_given_up_after_ten_seconds_without_an_origin() {
    let mut world = world(2);
    world.run_secs(0.5);
    world.publish_for(300);
    world.origin("b").behaviour = Behaviour::Closed;
    world.kill("a");
    let lost = world.elapsed();
    world.run_secs(20.0);
    assert_eq!(world.words().last(), Some(&"gave up NetStream.Failed"));
    assert_eq!(world.trace.last().unwrap().0 - lost, Duration::from_secs(10));
    assert!(world.connects.len() > 10, "both were tried about once a second");
    assert_eq!(world.machine.status().phase, PushPhase::Over);
}

#[test]
fn row_11_a_publisher_whose_stream_found_another_origin_stays() {
    let mut world = world(2);
    world.run_secs(0.5);
    world.publish_for(10);
    world.kill("a");
    world.publish_for(500);
    assert_eq!(world.words().last(), Some(&"join"));
    assert_eq!(world.machine.status().phase, PushPhase::Publishing);
    assert_eq!(world.machine.poll_timeout(), None, "a running publish waits for nothing");
}

#[test]
fn row_11_a_name_that_is_still_busy_after_a_loss_is_asked_for_again() {
    let mut world = world(1);
    world.run_secs(0.5);
    world.publish_for(5);
    world.origin("a").behaviour = Behaviour::RefuseStream(Status::error(code::PUBLISH_BAD_NAME, "busy"));
    world.cut("a");
    world.run_secs(4.0);
    world.origin("a").behaviour = Behaviour::Up;
    world.run_secs(2.0);
    assert_eq!(world.words().last(), Some(&"join"), "{:?}", world.trace);
}

#[test]
fn row_11_an_origin_that_takes_and_drops_over_and_over_does_not_keep_the_publisher() {
    let mut world = world(1);
    while world.machine.status().phase != PushPhase::Over {
        world.run_secs(0.2);
        if world.machine.status().phase == PushPhase::Publishing {
            world.cut("a");
        }
        assert!(world.elapsed() < Duration::from_secs(30), "{:?}", world.trace);
    }
    assert_eq!(world.words().last(), Some(&"gave up NetStream.Failed"));
}

#[test]
fn row_11_without_failover_the_publisher_is_given_up_at_once() {
    let mut settings = settings(&["a", "b"]);
    settings.patience = Patience::Publisher { failover: Failover::Off, outage_max: Duration::from_secs(10) };
    let mut world = world_with(settings, &["a", "b"]);
    world.run_secs(0.5);
    world.kill("a");
    assert_eq!(
        world.words()[3..],
        ["left", "failed a: connection closed by the server", "gave up NetStream.Failed"]
    );
}

#[test]
fn an_origin_that_takes_no_bytes_is_left() {
    let mut world = world(2);
    world.run_secs(0.5);
    world.input(UpstreamInput::Stalled);
    world.run_secs(0.5);
    assert_eq!(
        world.words()[3..],
        ["left", "disconnect", "failed a: the server takes no bytes", "connect b", "join"]
    );
}

#[test]
fn a_running_publish_that_the_origin_ends_goes_elsewhere_unless_the_name_is_refused() {
    for (status, word) in [
        (Status::ok(code::UNPUBLISH_SUCCESS, "kicked"), "join"),
        (Status::error(code::FAILED, "broken"), "join"),
        (Status::error(code::PUBLISH_DENIED, "late, but no"), "gave up NetStream.Publish.Denied"),
    ] {
        let mut world = world(2);
        world.run_secs(0.5);
        world.server().send_status(&status).unwrap();
        world.run_secs(0.5);
        assert_eq!(world.words().last(), Some(&word), "{:?}", world.trace);
    }
}

#[test]
fn row_26_a_push_follows_redirects() {
    let mut world = world(1);
    world.origin("a").behaviour = Behaviour::RefuseStream(Status::redirect("rtmp://c/live"));
    world.run_secs(0.5);
    assert_eq!(world.words(), ["connect a", "disconnect", "redirected a>c", "connect c", "accepted", "join"]);
    // A running one is asked to move.
    assert!(world.server().request_reconnect(Some("rtmp://b/live"), "maintenance").unwrap());
    world.run_secs(0.5);
    assert_eq!(world.words()[6..], ["left", "disconnect", "redirected c>b", "connect b", "join"]);
    assert_eq!(world.origin("c").farewells, 1);
}

#[test]
fn a_push_never_goes_to_ourselves() {
    let mut settings = settings(&["127.0.0.1"]);
    settings.origin.own = Arc::new(OwnAddresses::new(["[::]:1935".parse().unwrap()], []));
    let mut world = world_with(settings, &[]);
    world.run_secs(1.0);
    assert_eq!(world.words().last(), Some(&"refused NetStream.Publish.Rejected"));
    assert_eq!(world.connects, []);
}

#[test]
fn row_22_a_reload_of_a_push_counts_from_the_next_attempt_on() {
    let mut world = world(1);
    world.run_secs(0.5);
    world.machine.reload(Arc::new(settings(&["c"])));
    world.kill("a");
    world.run_secs(2.0);
    assert_eq!(world.connected_to(), Some("c"));
}

fn forward(hosts: &[&str]) -> World<Forward> {
    let start = start();
    let mut origin = OriginSettings::new(Vec::new());
    origin.vhost = "for-origins-only".to_owned();
    let settings = ForwardSettings::new(origin, "a:19350".parse().unwrap());
    let forward = Forward::new(&settings, UpstreamStream::new("v", "live", "show"), 7, start);
    World::new(forward, start, hosts, 7)
}

#[test]
fn row_29_a_forward_sends_a_copy() {
    let mut world = forward(&["a"]);
    world.run_secs(0.5);
    world.publish_for(30);
    assert_eq!(frames(&world.origin("a").received), expected(1..=30));
    assert_eq!(world.origin("a").connects[0].tc_url, "rtmp://v:19350/live");
    world.machine.stop();
    world.drain();
    assert_eq!(world.origin("a").farewells, 1);
}

#[test]
fn row_29_a_forward_tries_every_three_seconds_for_ever_and_refuses_nobody() {
    let mut world = forward(&["a"]);
    world.origin("a").behaviour = Behaviour::Closed;
    world.run_secs(300.0);
    let pauses = world.connects.windows(2).map(|pair| (pair[1].0 - pair[0].0).as_secs_f64());
    let pauses: Vec<_> = pauses.collect();
    assert!(pauses.len() > 80 && pauses.iter().all(|pause| (2.4..3.7).contains(pause)), "{pauses:?}");
    world.origin("a").behaviour = Behaviour::RefuseStream(Status::error(code::PUBLISH_BAD_NAME, "busy"));
    world.run_secs(10.0);
    world.origin("a").behaviour = Behaviour::Up;
    world.run_secs(20.0);
    world.cut("a");
    world.run_secs(4.0);
    assert_eq!(world.machine.status().phase, PushPhase::Publishing);
    let ends = world
        .events
        .iter()
        .filter(|(_, event)| matches!(event, PushEvent::Refused(_) | PushEvent::GaveUp(_)));
    assert_eq!(ends.count(), 0);
}
