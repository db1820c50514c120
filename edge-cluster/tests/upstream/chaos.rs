//! Origins that change at random, from a seed: what must hold whatever happens.

use std::sync::Arc;
use std::time::Duration;

use edge_cluster::upstream::{
    Forward, ForwardSettings, OriginSettings, Pull, PullEvent, PullPhase, Push, PushEvent, PushPhase,
    UpstreamStream,
};
use rtmp_core::media::MediaRole;
use rtmp_core::message::{Status, status::code};

use crate::machine::Machine;
use crate::origin::{Behaviour, FRAME};
use crate::world::{World, start};

const HOSTS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// A small generator; the same seed gives the same story.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn host(&mut self) -> &'static str {
        HOSTS[self.below(HOSTS.len() as u64) as usize]
    }
}

fn behaviour(dice: &mut Dice) -> Behaviour {
    match dice.below(12) {
        0..=3 => Behaviour::Up,
        4..=5 => Behaviour::Closed,
        6 => Behaviour::Dark,
        7 => Behaviour::Mute,
        8 => Behaviour::RefuseConnect(Status::error(code::CONNECT_REJECTED, "no")),
        9 => Behaviour::RefuseStream(Status::error(code::PLAY_FAILED, "no")),
        10 => Behaviour::Wordless,
        _ => Behaviour::RefuseStream(Status::redirect(&format!("rtmp://{}/live", dice.host()))),
    }
}

/// One thing happens to one origin or to the connection.
fn disturb<M: Machine>(world: &mut World<M>, dice: &mut Dice) {
    let host = dice.host();
    match dice.below(8) {
        0..=2 => world.origin(host).behaviour = behaviour(dice),
        3 => world.kill(host),
        4 => world.cut(host),
        5 => {
            let origin = world.origin(host);
            origin.publishing = !origin.publishing;
        }
        6 if world.connected_to().is_some() => world.stall(),
        _ if world.connected_to().is_some() => world.keep_alive(),
        _ => {}
    }
}

fn all_good<M: Machine>(world: &mut World<M>) {
    for host in HOSTS {
        world.origin(host).behaviour = Behaviour::Up;
        world.origin(host).publishing = true;
    }
}

fn pull_story(seed: u64) -> World<Pull> {
    let mut dice = Dice(seed);
    let start = start();
    let used = 1 + dice.below(4) as usize;
    let settings = Arc::new(crate::pull::settings(&HOSTS[..used]));
    let pull = Pull::new(settings, UpstreamStream::new("v", "live", "show"), seed, start);
    let mut world = World::new(pull, start, &HOSTS, seed);
    for _ in 0..12 {
        world.run_for(Duration::from_millis(100 + dice.below(9000)));
        disturb(&mut world, &mut dice);
        if dice.below(6) == 0 {
            let used = 1 + dice.below(4) as usize;
            world.machine.reload(Arc::new(crate::pull::settings(&HOSTS[..used])));
        }
    }
    all_good(&mut world);
    world
}

/// `SourceBegan` and `SourceEnded` alternate, media lies between them, waits are kept and grow only.
fn check_pull(world: &World<Pull>, seed: u64) {
    let mut source = false;
    let mut burst = false;
    let mut resumes = None;
    let mut connects = world.connects.iter().map(|(at, _)| *at);
    for (at, event) in &world.events {
        match event {
            PullEvent::SourceBegan => assert!(!std::mem::replace(&mut source, true), "seed {seed}"),
            PullEvent::SourceEnded { .. } => {
                assert!(std::mem::replace(&mut source, false) && !burst, "seed {seed}");
            }
            PullEvent::Media(_) => {
                assert!(source, "seed {seed}");
                burst = true;
            }
            PullEvent::BurstEnd => assert!(std::mem::replace(&mut burst, false), "seed {seed}"),
            PullEvent::RoundFailed { wait } => {
                let nominal = [3, 5, 10].map(Duration::from_secs).into_iter();
                let mut fits =
                    nominal.filter(|nominal| *wait * 5 >= *nominal * 4 && *wait * 5 <= *nominal * 6);
                assert!(fits.next().is_some(), "seed {seed}: {wait:?}");
                resumes = Some(*at + *wait);
                assert!(!source, "seed {seed}: a source while everything has failed");
            }
            _ => {}
        }
        if let Some(due) = resumes.take_if(|due| *due <= world.elapsed()) {
            assert!(connects.any(|connect| connect == due), "seed {seed}: nothing at {due:?}");
        }
    }
}

#[test]
fn row_08_a_thousand_stories_end_with_the_stream() {
    for seed in 0..1000 {
        let mut world = pull_story(seed);
        world.run_secs(35.0);
        check_pull(&world, seed);
        let status = world.machine.status();
        assert_eq!(status.phase, PullPhase::Delivering, "seed {seed}: {:#?}", world.trace);
        let last = world.events.last().map(|(at, _)| *at).unwrap();
        assert!(world.elapsed() - last <= FRAME * 2, "seed {seed}: media is flowing");
        assert!(status.attempts < 200, "seed {seed}: {} attempts", status.attempts);
        world.machine.stop();
        world.drain();
        assert_eq!((world.connected_to(), world.machine.poll_timeout()), (None, None), "seed {seed}");
    }
}

#[test]
fn the_same_seed_tells_the_same_story() {
    for seed in 0..20 {
        let (one, other) = (pull_story(seed), pull_story(seed));
        assert_eq!((one.trace, one.events), (other.trace, other.events), "seed {seed}");
    }
}

/// `Join` and `Left` alternate, `Accepted` comes once, and nothing follows an end.
fn check_push<M: Machine<Event = PushEvent>>(world: &World<M>, seed: u64) {
    let (mut flows, mut accepted, mut over) = (false, 0, false);
    for (_, event) in &world.events {
        assert!(!over, "seed {seed}: {event:?} behind the end");
        match event {
            PushEvent::Join { .. } => {
                assert!(!std::mem::replace(&mut flows, true) && accepted == 1, "seed {seed}");
            }
            PushEvent::Left { .. } => assert!(std::mem::replace(&mut flows, false), "seed {seed}"),
            PushEvent::Accepted => accepted += 1,
            PushEvent::Refused(_) => {
                assert_eq!(accepted, 0, "seed {seed}");
                over = true;
            }
            PushEvent::GaveUp(_) => {
                assert!(accepted == 1 && !flows, "seed {seed}");
                over = true;
            }
            _ => {}
        }
    }
    assert!(accepted <= 1, "seed {seed}");
    for origin in world.origins.values() {
        // Each connection begins with metadata, then the sequence header, then a key frame (or the next frame there is).
        let mut previous = None;
        for media in &origin.received {
            match (media.role(), previous) {
                (MediaRole::Data, _) | (MediaRole::SequenceHeader, Some(MediaRole::Data)) => {}
                (MediaRole::KeyFrame, _) => {}
                (MediaRole::Frame, Some(MediaRole::KeyFrame | MediaRole::Frame)) => {}
                other => panic!("seed {seed}: {other:?}"),
            }
            previous = Some(media.role());
        }
    }
}

fn disturbed<M: Machine<Event = PushEvent>>(world: &mut World<M>, dice: &mut Dice) {
    world.publish_for(1);
    for _ in 0..10 {
        world.publish_for(5 + dice.below(60) as u32);
        disturb(world, dice);
        world.run_for(Duration::from_millis(dice.below(4000)));
    }
    all_good(world);
    world.publish_for(50);
}

#[test]
fn row_11_a_publisher_is_either_served_or_told() {
    let (mut served, mut told) = (0, 0);
    for seed in 0..1000 {
        let mut dice = Dice(seed);
        let start = start();
        let used = 1 + dice.below(3) as usize;
        let settings = Arc::new(crate::push::settings(&HOSTS[..used]));
        let push = Push::new(settings, UpstreamStream::new("v", "live", "show"), seed, start);
        let mut world = World::new(push, start, &HOSTS, seed);
        disturbed(&mut world, &mut dice);
        world.run_secs(20.0);
        check_push(&world, seed);
        match (world.machine.status().phase, &world.events.last().unwrap().1) {
            (PushPhase::Publishing, _) => served += 1,
            (PushPhase::Over, PushEvent::Refused(_) | PushEvent::GaveUp(_)) => told += 1,
            other => panic!("seed {seed}: {other:?} {:#?}", world.trace),
        }
    }
    assert!(served > 200 && told > 50, "{served} served, {told} told");
}

#[test]
fn row_29_a_forward_always_comes_back() {
    for seed in 0..300 {
        let mut dice = Dice(seed);
        let start = start();
        let settings = ForwardSettings::new(OriginSettings::new(Vec::new()), HOSTS[0].parse().unwrap());
        let forward = Forward::new(&settings, UpstreamStream::new("v", "live", "show"), seed, start);
        let mut world = World::new(forward, start, &HOSTS, seed);
        disturbed(&mut world, &mut dice);
        world.run_secs(20.0);
        check_push(&world, seed);
        assert_eq!(world.machine.status().phase, PushPhase::Publishing, "seed {seed}: {:#?}", world.trace);
    }
}
