//! Pulling (spec 5.3).

use std::sync::Arc;
use std::time::Duration;

use edge_cluster::config::HostPort;
use edge_cluster::upstream::{
    OriginSettings, OwnAddresses, Pull, PullEvent, PullPhase, PullSettings, UpstreamStream,
};
use rtmp_core::amf::amf0::Value;
use rtmp_core::message::{Status, status::code};

use crate::origin::{Behaviour, not_found};
use crate::world::{World, start};

fn hosts(list: &[&str]) -> Vec<HostPort> {
    list.iter().map(|host| host.parse().unwrap()).collect()
}

pub(crate) fn settings(list: &[&str]) -> PullSettings {
    PullSettings::new(OriginSettings::new(hosts(list)))
}

pub(crate) fn world_with(settings: PullSettings, all: &[&str], seed: u64) -> World<Pull> {
    let start = start();
    let mut stream = UpstreamStream::new("v.example", "live", "show");
    stream.param = "?vhost=v.example&token=t".to_owned();
    let pull = Pull::new(Arc::new(settings), stream, seed, start);
    World::new(pull, start, all, seed)
}

/// Origins `a`, `b` ... of which the first `n` are configured.
pub(crate) fn world(n: usize) -> World<Pull> {
    let all = ["a", "b", "c", "d", "e"];
    world_with(settings(&all[..n]), &all, 7)
}

fn count(world: &World<Pull>, wanted: impl Fn(&PullEvent) -> bool) -> usize {
    world.events.iter().filter(|(_, event)| wanted(event)).count()
}

fn media(world: &World<Pull>) -> usize {
    count(world, |event| matches!(event, PullEvent::Media(_)))
}

/// Times of the connects, in seconds.
fn times(world: &World<Pull>) -> Vec<f64> {
    world.connects.iter().map(|(at, _)| (at.as_secs_f64() * 10.0).round() / 10.0).collect()
}

pub(crate) fn order(world: &World<Pull>) -> String {
    world.connects.iter().map(|(_, target)| &*target.host).collect()
}

#[test]
fn row_07_one_pull_makes_one_connection_and_delivers() {
    let mut world = world(2);
    world.run_secs(10.0);
    assert_eq!(world.words(), ["connect a", "accepted", "source"]);
    assert!((240..=250).contains(&media(&world)), "{} messages", media(&world));
    assert!(count(&world, |event| *event == PullEvent::BurstEnd) <= media(&world));
    let status = world.machine.status();
    assert_eq!((status.phase, status.attempts, status.sources), (PullPhase::Delivering, 1, 1));
    assert!(status.stats.bytes_received > 3000);
}

#[test]
fn row_08_the_next_origin_is_tried_at_once() {
    let mut world = world(2);
    world.run_secs(2.0);
    world.kill("a");
    world.run_secs(0.2);
    assert_eq!(
        world.words(),
        [
            "connect a",
            "accepted",
            "source",
            "ended Lost",
            "failed a: connection closed by the server",
            "connect b",
            "accepted",
            "source"
        ]
    );
    assert_eq!(world.connects[1].0, Duration::from_secs(2), "without any delay");
}

#[test]
fn row_21_the_origin_is_asked_for_the_vhost_and_told_what_a_relay_can() {
    let mut settings = settings(&["a:19350"]);
    settings.origin.vhost = "o.[vhost]".to_owned();
    settings.origin.identity = Some(edge_cluster::upstream::identity("x/1", "vid-1", 7, "10.0.0.1"));
    let mut world = world_with(settings, &["a"], 7);
    world.run_secs(1.0);
    let connect = world.origin("a").connects[0].clone();
    assert_eq!((connect.tc_url, connect.app), ("rtmp://o.v.example:19350/live".into(), "live".into()));
    let capabilities = connect.capabilities.unwrap();
    assert_eq!(capabilities.fourcc_list, ["*"]);
    assert!(capabilities.has(15));
    let said = connect.arguments[0].as_object().unwrap();
    assert_eq!(said.get("srs_id").and_then(Value::as_str), Some("vid-1"));
    assert_eq!(world.origin("a").names, ["show?token=t"]);
}

#[test]
fn the_turn_is_that_of_the_vectors() {
    let start = start();
    let mut world = world(2);
    for host in ["a", "b"] {
        world.origin(host).behaviour = Behaviour::Closed;
    }
    world.run_secs(30.0);
    assert!(order(&world).starts_with("ababab"), "{}", order(&world));
    // Another machine for the same stream goes on where the last one was.
    let mut stream = UpstreamStream::new("v", "live", "show");
    stream.rotation = 3;
    let mut pull = Pull::new(Arc::new(settings(&["a", "b"])), stream, 1, start);
    let first = pull.poll_output();
    assert!(format!("{first:?}").contains("host: \"b\""), "{first:?}");
    assert_eq!(pull.rotation(), 4);
}

#[test]
fn row_08_after_a_failed_round_waits_grow_to_ten_seconds() {
    let mut world = world(3);
    for host in ["a", "b", "c"] {
        world.origin(host).behaviour = Behaviour::Closed;
    }
    world.run_secs(60.0);
    let waits: Vec<_> =
        world.words().into_iter().filter(|word| word.starts_with("wait")).map(str::to_owned).collect();
    assert!(waits.len() >= 5, "{:?}", world.trace);
    let bounds = [(2.4, 3.6), (4.0, 6.0), (8.0, 12.0), (8.0, 12.0), (8.0, 12.0)];
    let real = world.events.iter().filter_map(|(_, event)| match event {
        PullEvent::RoundFailed { wait } => Some(wait.as_secs_f64()),
        _ => None,
    });
    for ((least, most), wait) in bounds.into_iter().zip(real) {
        assert!((least..=most).contains(&wait), "{wait} of {waits:?}");
    }
    // Three attempts, 20 ms each, then the wait.
    assert_eq!(times(&world)[..3], [0.0, 0.0, 0.0]);
    assert_eq!(order(&world)[..9], *"abcabcabc");
    assert_eq!(world.machine.status().phase, PullPhase::Waiting);
}

#[test]
fn row_08_all_down_then_one_back() {
    let mut world = world(2);
    world.run_secs(12.0);
    world.origin("b").behaviour = Behaviour::Closed;
    world.kill("a");
    world.run_secs(20.0);
    assert_eq!(world.machine.status().phase, PullPhase::Waiting);
    world.origin("b").behaviour = Behaviour::Up;
    world.run_secs(13.0);
    assert_eq!(world.connected_to(), Some("b"));
    assert_eq!(world.words().last(), Some(&"source"));
    // Good for ten seconds: the next loss begins anew with no wait, then with the shortest one.
    world.run_secs(11.0);
    let connects = world.connects.len();
    world.kill("b");
    world.run_secs(3.7);
    let after: Vec<_> = world.connects[connects..].iter().map(|(_, target)| &*target.host).collect();
    assert!(after.len() > 2, "{after:?} {:?}", world.trace);
}

#[test]
fn a_lasting_source_is_sought_again_at_once_even_with_one_origin() {
    let mut world = world(1);
    world.run_secs(11.0);
    world.cut("a");
    world.run_secs(0.1);
    assert_eq!(world.connects.len(), 2);
    // It did not last this time.
    world.cut("a");
    world.run_secs(2.0);
    assert_eq!((world.connects.len(), world.machine.status().phase), (2, PullPhase::Waiting));
}

#[test]
fn row_10_a_missing_stream_is_asked_for_again_until_it_is_published() {
    let mut world = world(2);
    world.origin("a").publishing = false;
    world.origin("b").behaviour = Behaviour::RefuseStream(not_found());
    world.run_secs(12.0);
    let words = world.words();
    assert_eq!(
        words[..4],
        ["connect a", "accepted", "disconnect", "failed a: no message for 5s"],
        "{words:?}"
    );
    assert_eq!(
        words[4..7],
        ["connect b", "disconnect", "failed b: refused: NetStream.Play.StreamNotFound no such stream"]
    );
    assert_eq!(words[7], "wait 3", "{words:?}");
    assert_eq!(world.machine.status().sources, 0);
    world.origin("a").publishing = true;
    world.run_secs(15.0);
    assert_eq!(world.machine.status().phase, PullPhase::Delivering);
}

#[test]
fn row_10_an_origin_where_the_stream_begins_while_we_wait_serves_without_a_new_connection() {
    let mut world = world(1);
    world.origin("a").publishing = false;
    world.run_secs(4.0);
    world.origin("a").publishing = true;
    world.run_secs(2.0);
    assert_eq!(world.words(), ["connect a", "accepted", "source"]);
}

#[test]
fn row_08_a_stalled_origin_is_left_after_five_seconds() {
    let mut world = world(2);
    world.run_secs(3.0);
    world.stall();
    world.run_secs(6.0);
    let gap = world.connects[1].0.as_secs_f64() - 3.0;
    assert!((4.9..=5.0).contains(&gap), "{gap}");
    assert!(world.words().contains(&"failed a: no message for 5s"));
    assert_eq!(world.connected_to(), Some("b"));
}

#[test]
fn row_08_an_origin_that_only_pings_is_left_after_ten_seconds_without_media() {
    let mut world = world(2);
    world.run_secs(3.0);
    world.origin("a").publishing = false;
    world.keep_alive();
    world.run_secs(11.0);
    let gap = world.connects[1].0.as_secs_f64() - 3.0;
    assert!((9.9..=10.0).contains(&gap), "{gap}");
    assert!(world.words().contains(&"failed a: no audio or video for 10s"));
}

#[test]
fn an_origin_that_only_pings_is_kept_while_there_is_no_publisher() {
    let mut world = world(2);
    world.origin("a").publishing = false;
    world.run_secs(1.0);
    world.keep_alive();
    world.run_secs(30.0);
    assert_eq!(world.words(), ["connect a", "accepted"]);
}

#[test]
fn the_publisher_may_leave_and_come_back_at_the_same_origin() {
    let mut world = world(2);
    world.run_secs(2.0);
    world.origin("a").publishing = false;
    let gone = Status::ok(code::PLAY_UNPUBLISH_NOTIFY, "gone");
    world.server().send_status(&gone).unwrap();
    world.run_secs(3.0);
    world.origin("a").publishing = true;
    world.run_secs(1.0);
    assert_eq!(world.words(), ["connect a", "accepted", "source", "ended Unpublished", "source"]);
    assert_eq!(world.machine.status().sources, 2);
}

#[test]
fn a_play_that_the_origin_ends_with_an_error_goes_elsewhere() {
    let mut world = world(2);
    world.run_secs(2.0);
    world.server().send_status(&Status::error(code::PLAY_FAILED, "disk")).unwrap();
    world.run_secs(0.5);
    assert_eq!(
        world.words()[3..],
        [
            "ended Lost",
            "disconnect",
            "failed a: ended by the server: NetStream.Play.Failed disk",
            "connect b",
            "accepted",
            "source"
        ]
    );
}

#[test]
fn silent_and_dark_origins_cost_at_most_five_seconds_each() {
    let mut world = world(3);
    world.origin("a").behaviour = Behaviour::Dark;
    world.origin("b").behaviour = Behaviour::Mute;
    world.run_secs(11.0);
    assert_eq!(
        world.words()[..7],
        [
            "connect a",
            "disconnect",
            "failed a: connect: no answer in time",
            "connect b",
            "disconnect",
            "failed b: handshake and commands took longer than 5s",
            "connect c"
        ]
    );
    assert_eq!(times(&world), [0.0, 5.0, 10.0]);
    assert_eq!(world.machine.status().phase, PullPhase::Delivering);
}

#[test]
fn an_origin_that_never_answers_the_play_is_left() {
    let mut world = world(2);
    world.origin("a").behaviour = Behaviour::Wordless;
    world.run_secs(6.0);
    assert_eq!(world.words()[2], "failed a: handshake and commands took longer than 5s");
    assert_eq!(world.connected_to(), Some("b"));
}

#[test]
fn own_listeners_are_never_connected_to() {
    let own = Arc::new(OwnAddresses::new(["0.0.0.0:1935".parse().unwrap()], []));
    let mut both = settings(&["127.0.0.1", "b"]);
    both.origin.own = Arc::clone(&own);
    let mut world = world_with(both, &["b"], 7);
    world.run_secs(1.0);
    assert_eq!(
        world.words(),
        [
            "failed 127.0.0.1: connect: the target is a listener of this server",
            "connect b",
            "accepted",
            "source"
        ]
    );
    let mut alone = settings(&["localhost"]);
    alone.origin.own = own;
    let mut world = world_with(alone, &[], 7);
    world.run_secs(30.0);
    assert_eq!(world.connects, []);
    assert!(world.machine.status().rounds_failed >= 3);
}

#[test]
fn row_22_a_reload_counts_from_the_next_attempt_on() {
    let mut world = world(1);
    world.run_secs(2.0);
    world.machine.reload(Arc::new(settings(&["c"])));
    world.run_secs(2.0);
    assert_eq!(world.connected_to(), Some("a"), "the running connection stays");
    world.kill("a");
    world.run_secs(4.0);
    assert_eq!(order(&world), "ac");
}

#[test]
fn row_09_a_stop_says_good_bye_and_ends_everything() {
    let mut world = world(1);
    world.run_secs(2.0);
    world.machine.stop();
    world.drain();
    assert_eq!(world.words()[3..], ["ended Stopped", "disconnect"]);
    assert_eq!(world.origin("a").farewells, 1);
    assert_eq!(world.machine.poll_timeout(), None);
    world.run_secs(30.0);
    assert_eq!(world.words().len(), 5);
    assert_eq!(world.machine.status().phase, PullPhase::Stopped);
}

/// The stream in the name of a viewer with this token.
fn token(token: &str) -> UpstreamStream {
    let mut stream = UpstreamStream::new("v.example", "live", "show");
    stream.param = format!("?token={token}");
    stream
}

/// Tokens that an origin has seen, without the rest of the name.
fn tokens(world: &mut World<Pull>, host: &str) -> String {
    let names = world.origin(host).names.iter();
    names.filter_map(|name| name.split_once("token=")).map(|(_, token)| token).collect()
}

#[test]
fn the_next_attempt_is_made_in_the_name_of_the_viewer_that_came_last() {
    let mut world = world(1);
    world.origin("a").behaviour = Behaviour::RefuseStream(not_found());
    world.run_secs(1.0);
    world.machine.ask_as(token("u"));
    world.machine.ask_as(token("v"));
    assert_eq!(tokens(&mut world, "a"), "t", "nothing is tried earlier for that");
    world.origin("a").behaviour = Behaviour::Up;
    world.run_secs(4.0);
    assert_eq!(tokens(&mut world, "a"), "tv");
    world.machine.ask_as(token("w"));
    world.run_secs(20.0);
    assert_eq!(tokens(&mut world, "a"), "tv", "the running attempt stays");
    world.cut("a");
    world.run_secs(1.0);
    assert_eq!(tokens(&mut world, "a"), "tvw", "a token that may have expired is replaced at once");
}

#[test]
fn newcomers_with_wrong_tokens_alternate_with_the_last_one_that_was_right_at_each_origin() {
    for n in 1..=4 {
        let mut world = world(n);
        world.run_secs(15.0);
        let hosts = ["a", "b", "c", "d"];
        for host in &hosts[..n] {
            world.origin(host).behaviour = Behaviour::RefuseStream(not_found());
            world.origin(host).names.clear();
        }
        world.machine.ask_as(token("x"));
        world.cut("a");
        world.run_secs(4.5);
        for host in &hosts[..n] {
            let seen = tokens(&mut world, host);
            assert!(seen.contains('t') && seen.contains('x'), "{host} of {n} has seen {seen}");
        }
    }
}

#[test]
fn an_origin_that_kept_a_viewer_waiting_has_taken_its_token() {
    let mut world = world(1);
    world.origin("a").publishing = false;
    world.run_secs(1.0);
    world.machine.ask_as(token("x"));
    // Nothing comes for five seconds, then the first wait is over.
    world.run_secs(8.0);
    assert_eq!(tokens(&mut world, "a"), "tt");
    world.run_secs(12.0);
    assert_eq!(tokens(&mut world, "a"), "ttx");
}
