//! Asking origins about clients (spec 7).

use std::sync::Arc;
use std::time::Duration;

use edge_cluster::config::HostPort;
use edge_cluster::upstream::{
    AttemptError, OriginSettings, OwnAddresses, Probe, ProbeClient, ProbeEvent, ProbeRefusal, ProbeSettings,
};
use rtmp_core::amf::Object;
use rtmp_core::amf::amf0::Value;
use rtmp_core::message::{Connect, Status, status::code};

use crate::origin::Behaviour;
use crate::world::{World, start};

fn settings() -> ProbeSettings {
    let origins: Vec<HostPort> = ["a", "b"].map(|host| host.parse().unwrap()).to_vec();
    ProbeSettings::new(OriginSettings::new(origins))
}

fn world_with(settings: ProbeSettings) -> World<Probe> {
    let connect = Connect {
        tc_url: "rtmp://edge.example/live?token=a/b=".into(),
        app: "live?token=a/b=".into(),
        page_url: Some("http://page".into()),
        swf_url: Some("http://player.swf".into()),
        arguments: vec![Value::Object(Object::new().with("token", "t"))],
        ..Connect::default()
    };
    let start = start();
    let probe = Probe::new(Arc::new(settings), ProbeClient::from(&connect), 7, start);
    World::new(probe, start, &["a", "b", "c"], 7)
}

fn refusal(world: &World<Probe>) -> &ProbeRefusal {
    match world.events.last() {
        Some((_, ProbeEvent::Refused(refusal))) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn row_20_the_origin_hears_what_the_client_said_and_nothing_more() {
    let mut world = world_with(settings());
    world.run_secs(10.0);
    assert_eq!(world.words(), ["connect a", "disconnect", "accepted"]);
    assert!(world.trace[2].0 < Duration::from_millis(200));
    let origin = world.origin("a");
    assert_eq!(origin.names, [""; 0], "no stream is asked for");
    let [connect] = &origin.connects[..] else { panic!("{:?}", origin.connects) };
    assert_eq!(connect.tc_url, "rtmp://edge.example/live?token=a/b=");
    assert_eq!(connect.app, "live?token=a/b=");
    assert_eq!(connect.page_url, Some("http://page".into()));
    assert_eq!(connect.swf_url, Some("http://player.swf".into()));
    assert_eq!(connect.arguments, [Value::Object(Object::new().with("token", "t"))]);
    assert!(world.farewells.iter().all(|farewell| farewell.is_empty()));
    assert_eq!(world.machine.poll_timeout(), None);
}

#[test]
fn row_20_the_first_origin_that_is_there_decides() {
    for (behaviour, expected) in [
        (
            Behaviour::RefuseConnect(Status::error(code::CONNECT_REJECTED, "token")),
            "refused by the origin: NetConnection.Connect.Rejected token",
        ),
        (
            Behaviour::RefuseConnect(Status::redirect("rtmp://c/live")),
            "refused by the origin: NetConnection.Connect.Rejected RTMP 302 Redirect",
        ),
        (Behaviour::Mute, "no answer within 5s"),
    ] {
        let mut world = world_with(settings());
        world.origin("a").behaviour = behaviour;
        world.run_secs(10.0);
        assert_eq!(refusal(&world).to_string(), expected);
        assert_eq!(world.connects.len(), 1, "b is not asked");
    }
}

#[test]
fn row_20_an_origin_that_hangs_up_refuses() {
    let mut world = world_with(settings());
    world.origin("a").behaviour = Behaviour::Mute;
    world.run_secs(1.0);
    world.cut("a");
    assert_eq!(*refusal(&world), ProbeRefusal::Failed(AttemptError::Closed));
    assert_eq!(world.connects.len(), 1);
}

#[test]
fn row_20_origins_that_are_not_there_are_passed_over() {
    let mut world = world_with(settings());
    world.origin("a").behaviour = Behaviour::Closed;
    world.run_secs(10.0);
    assert_eq!(
        world.words(),
        ["connect a", "failed a: connect: connection refused", "connect b", "disconnect", "accepted"]
    );
    let mut world = world_with(settings());
    for host in ["a", "b"] {
        world.origin(host).behaviour = Behaviour::Closed;
    }
    world.run_secs(10.0);
    assert_eq!(*refusal(&world), ProbeRefusal::Unreachable);
}

#[test]
fn row_20_a_probe_takes_five_seconds_at_most() {
    let mut world = world_with(settings());
    for host in ["a", "b"] {
        world.origin(host).behaviour = Behaviour::Dark;
    }
    world.run_secs(10.0);
    assert_eq!(*refusal(&world), ProbeRefusal::TimedOut(Duration::from_secs(5)));
    assert_eq!(world.trace.last().unwrap().0, Duration::from_secs(5));
    let connects: Vec<_> = world.connects.iter().map(|(at, _)| at.as_secs()).collect();
    assert_eq!(connects, [0, 3], "3 s for TCP each");
}

#[test]
fn a_probe_never_asks_ourselves_and_may_be_stopped() {
    let mut own = settings();
    own.origin.origins[0] = "localhost".parse().unwrap();
    own.origin.own = Arc::new(OwnAddresses::new(["0.0.0.0:1935".parse().unwrap()], []));
    let mut world = world_with(own);
    world.drain();
    assert_eq!(
        world.words(),
        ["failed localhost: connect: the target is a listener of this server", "connect b"]
    );
    world.machine.stop();
    world.run_secs(10.0);
    assert_eq!(world.words()[2..], ["disconnect"]);
}
