//! Shows in virtual time: an edge that runs for a day holds no more than after its first hours.
//!
//! Each show has publishers at two origins and at the edge, and viewers that come, go, stall and break off; origins die
//! and return, servers are not scheduled for a while, publishers change, the configuration is loaded anew. After it
//! nobody is there, and nothing may be left.
//!
//! `cargo test --release -p edge-cluster --test world -- --ignored --nocapture day` runs a day, and prints what is held
//! each hour.

use std::time::Duration;

use edge_cluster::config::EdgeConfig;
use edge_cluster::edge::EdgeOptions;

use crate::actors::Actor;
use crate::{World, heap, ms, secs};

/// Viewers at a time.
const VIEWERS: usize = 12;
/// Streams with a publisher at both origins, and one that is published at the edge.
const STREAMS: [&str; 3] = ["one", "two", "three"];

/// The most that was held in a show.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    /// Media at the edge, by its own account.
    media: usize,
    /// Media at both origins.
    origins: usize,
    /// By the allocator's account, after everybody has left: servers and network.
    allocated: usize,
}

/// How often things happened.
#[derive(Debug, Default)]
struct Tally {
    viewers: u64,
    left: u64,
    broken: u64,
    stalled: u64,
    deaths: u64,
    publishers: u64,
    freezes: u64,
    reloads: u64,
    pictures: u64,
    gaps: u64,
    judged: u64,
}

struct Soak {
    world: World,
    origins: [usize; 2],
    edge: usize,
    /// What each client is: a viewer, or the publisher of a stream at a server.
    places: Vec<Place>,
    sources: u8,
    tally: Tally,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Viewer,
    Publisher(&'static str, usize),
}

fn soak(seed: u64, shows: usize, show: Duration, every: Duration) {
    let mut soak = Soak::new(seed);
    let held: Vec<Held> = (0..shows)
        .map(|n| {
            let held = soak.show(show, every);
            eprintln!("show {n}: {held:?}");
            held
        })
        .collect();
    eprintln!("{:?}", soak.tally);
    let (early, late) = held.split_at(shows.div_ceil(3));
    let most = |held: &[Held], of: fn(&Held) -> usize| held.iter().map(of).max().unwrap_or_default();
    for (what, of, percent) in [
        // The most media that is held depends on how many lag behind at the same moment.
        ("media at the edge", (|held| held.media) as fn(&Held) -> usize, 75),
        ("media at the origins", |held| held.origins, 75),
        ("allocated in the end", |held| held.allocated, 1),
    ] {
        let (early, late) = (most(early, of), most(late, of));
        assert!(late <= early + early * percent / 100, "{what}: {early} bytes at first, {late} later");
    }
}

#[test]
fn an_hour_of_shows_holds_no_more_than_its_first_twenty_minutes() {
    soak(1, 6, secs(240), secs(600));
}

#[test]
#[ignore = "takes minutes, in release; see docs/reliability.md"]
fn a_day_of_shows_holds_no_more_than_its_first_hours() {
    soak(2, 24, secs(1_800), secs(3_600));
}

impl Soak {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        world.link.latency = ms(8);
        world.link.window_bytes = 32 << 10;
        let origins = ["a", "b"].map(|host| world.edge(host, 2, &[], "play { queue_length 10; }"));
        let edge = world.server("edge", 3, config(10), EdgeOptions::default());
        Self { world, origins, edge, places: Vec::new(), sources: 0, tally: Tally::default() }
    }

    fn show(&mut self, show: Duration, every: Duration) -> Held {
        let begin = self.world.now;
        let mut held = Held::default();
        for (stream, node) in self.wanted() {
            self.publish(stream, node);
        }
        while self.world.now < begin + show {
            let pause = ms(50 + self.world.chance.below(2_000));
            self.world.run(pause);
            self.something_happens();
            held.media = held.media.max(self.world.memory_bytes(self.edge));
            let at_origins = self.origins.map(|node| self.world.memory_bytes(node));
            held.origins = held.origins.max(at_origins.iter().sum());
        }
        self.calm_down_and_judge();
        self.everybody_goes();
        self.world.run((begin + every).saturating_duration_since(self.world.now));
        self.world.clients = Vec::new();
        self.places = Vec::new();
        for node in &mut self.world.nodes {
            node.events = Vec::new();
            node.queues.retain(|_, queue| !queue.is_empty());
        }
        held.allocated = heap::in_use();
        held
    }

    /// Who publishes what where.
    fn wanted(&self) -> Vec<(&'static str, usize)> {
        let [a, b] = self.origins;
        let [one, two, three] = STREAMS;
        vec![(one, a), (one, b), (two, a), (two, b), (three, self.edge)]
    }

    /// The number of an ended client of the same kind, or a new one.
    fn place(&mut self, actor: Actor, place: Place, node: usize) {
        let is_viewer = matches!(place, Place::Viewer);
        let free = (0..self.places.len()).find(|n| {
            let same = matches!(self.places[*n], Place::Viewer) == is_viewer;
            same && self.world.clients[*n].ended && self.world.line_of(*n).is_none()
        });
        match free {
            Some(number) => {
                self.count(number);
                self.places[number] = place;
                self.world.connect_as(number, actor, node);
            }
            None => {
                let number = self.world.connect(actor, node);
                assert_eq!(number, self.places.len());
                self.places.push(place);
            }
        }
    }

    fn count(&mut self, number: usize) {
        if let Place::Viewer = self.places[number] {
            let judge = self.world.clients[number].judge();
            self.tally.pictures += judge.pictures;
            self.tally.gaps += judge.gaps;
        }
    }

    fn publish(&mut self, stream: &'static str, node: usize) {
        let there = |(n, place): (usize, &Place)| {
            let same = matches!(place, Place::Publisher(s, at) if *s == stream && *at == node);
            same && !self.world.clients[n].ended && !self.world.clients[n].leaves
        };
        if !self.world.nodes[node].up || self.places.iter().enumerate().any(there) {
            return;
        }
        self.sources = self.sources.wrapping_add(1).max(1);
        let seed = self.world.chance.next();
        let mut actor = Actor::publisher(stream, self.sources, seed, self.world.now);
        actor.publishes().bytes = 300;
        // The time of some wraps around in the middle of the show.
        actor.publishes().base = (self.world.chance.below(1 << 20) as u32).wrapping_sub(1 << 19);
        self.place(actor, Place::Publisher(stream, node), node);
        self.tally.publishers += 1;
    }

    fn view(&mut self) {
        let there = self.viewers();
        if there.len() >= VIEWERS {
            return;
        }
        let stream = STREAMS[self.world.chance.below(3) as usize];
        let seed = self.world.chance.next();
        let mut actor = Actor::viewer(stream, seed, self.world.now);
        actor.judge_mut().may_repeat = true;
        actor.judge_mut().any_start = true;
        self.place(actor, Place::Viewer, self.edge);
        self.tally.viewers += 1;
    }

    fn viewers(&self) -> Vec<usize> {
        let clients = &self.world.clients;
        let lives = |n: &usize| !clients[*n].ended && !clients[*n].leaves;
        let is_viewer = |n: &usize| matches!(self.places[*n], Place::Viewer);
        (0..self.places.len()).filter(is_viewer).filter(lives).collect()
    }

    fn some_viewer(&mut self) -> Option<usize> {
        let there = self.viewers();
        let place = self.world.chance.below(there.len() as u64) as usize;
        there.get(place).copied()
    }

    fn something_happens(&mut self) {
        let now = self.world.now;
        match self.world.chance.below(20) {
            0..=6 => self.view(),
            7..=9 => {
                if let Some(viewer) = self.some_viewer() {
                    self.world.leave(viewer);
                    self.tally.left += 1;
                }
            }
            10 | 11 => {
                if let Some(viewer) = self.some_viewer() {
                    let time = ms(self.world.chance.below(15_000));
                    self.world.stall_client(viewer, now + time);
                    self.tally.stalled += 1;
                }
            }
            12 => {
                if let Some(viewer) = self.some_viewer() {
                    self.world.reset_client(viewer);
                    self.tally.broken += 1;
                }
            }
            13 => self.origin_dies_or_returns(),
            14 => self.publisher_changes(),
            15 | 16 => {
                let nodes = [self.edge, self.edge, self.origins[0], self.origins[1]];
                let node = nodes[self.world.chance.below(4) as usize];
                let time = if self.world.chance.one_in(4) { 2_000 } else { 40 };
                self.world.freeze(node, now + ms(time));
                self.tally.freezes += 1;
            }
            17 => {
                let queue = if self.world.chance.one_in(2) { 10 } else { 5 };
                self.world.reload(self.edge, config(queue));
                self.tally.reloads += 1;
            }
            _ => self.publishers_return(),
        }
    }

    fn origin_dies_or_returns(&mut self) {
        let origin = self.origins[self.world.chance.below(2) as usize];
        let up = !self.world.nodes[origin].up;
        self.world.kill(origin, up);
        self.tally.deaths += u64::from(!up);
        self.world.run(ms(20));
        self.publishers_return();
    }

    fn publishers_return(&mut self) {
        for (stream, node) in self.wanted() {
            self.publish(stream, node);
        }
    }

    fn publisher_changes(&mut self) {
        let clients = &self.world.clients;
        let there: Vec<usize> = (0..self.places.len())
            .filter(|n| matches!(self.places[*n], Place::Publisher(..)) && !clients[*n].ended)
            .collect();
        let Some(publisher) = there.get(self.world.chance.below(there.len() as u64) as usize) else { return };
        match self.world.chance.one_in(2) {
            true => self.world.leave(*publisher),
            false => self.world.reset_client(*publisher),
        }
        self.world.run(ms(300));
        self.publishers_return();
    }

    /// All servers work again: after some time every viewer sees its stream.
    fn calm_down_and_judge(&mut self) {
        for origin in self.origins {
            self.world.nodes[origin].up = true;
        }
        // Stalls end, origins are tried again after 10 s at most, a dead publisher blocks its name for 5 s.
        for pause in [8, 8, 18] {
            self.world.run(secs(pause));
            self.publishers_return();
        }
        for viewer in self.viewers() {
            let heard = self.world.clients[viewer].judge().heard;
            let silence = heard.map(|heard| self.world.now - heard);
            assert!(silence.is_some_and(|silence| silence < secs(3)), "a viewer is silent for {silence:?}");
            self.tally.judged += 1;
        }
    }

    fn everybody_goes(&mut self) {
        for number in 0..self.places.len() {
            if self.world.clients[number].ended || self.world.clients[number].leaves {
                continue;
            }
            match self.world.chance.one_in(4) {
                true => self.world.reset_client(number),
                false => self.world.leave(number),
            }
            let pause = ms(self.world.chance.below(300));
            self.world.run(pause);
        }
        self.world.run(secs(30));
        for number in 0..self.places.len() {
            self.count(number);
        }
        for node in 0..self.world.nodes.len() {
            let totals = self.world.snapshot(node).totals;
            let left = (totals.connections, totals.streams, self.world.memory_bytes(node));
            let host = &self.world.nodes[node].host;
            assert_eq!(left, (0, 0, 0), "connections, streams and media left at {host}");
            assert!(self.world.pulls(node).is_empty());
        }
    }
}

fn config(queue_length: u32) -> EdgeConfig {
    let vhost = format!("play {{ queue_length {queue_length}; }} extension {{ pull_wait_limit 0; }}");
    EdgeConfig::builder().origin("a").origin("b").vhost(&vhost).build().expect("a configuration")
}
