//! Random stories: everything may happen, and what must hold does.

use std::time::Duration;

use edge_cluster::config::EdgeConfig;
use edge_cluster::edge::EdgeOptions;
use rtmp_core::message::PauseState;
use rtmp_core::sim::LinkConfig;

use crate::{World, ms, secs};

/// Media one server may hold in these stories: two streams of some kilobytes per second, a queue of ten seconds, on up
/// to four shards.
const MEMORY_MAX: usize = 24 << 20;

/// How many stories are told; `EDGE_WORLD_SEEDS` says otherwise.
fn seeds() -> u64 {
    std::env::var("EDGE_WORLD_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(20)
}

#[test]
fn whatever_happens_viewers_get_whole_pictures_in_order_and_the_stream_comes_back() {
    let from = std::env::var("EDGE_WORLD_FROM").ok().and_then(|from| from.parse().ok()).unwrap_or(0);
    for seed in from..from + seeds() {
        let told = std::panic::catch_unwind(|| Story::new(seed).tell());
        if let Err(panic) = told {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

struct Story {
    world: World,
    origins: Vec<usize>,
    edge: usize,
    /// Streams are published at the edge for now, not at the origins.
    at_edge: bool,
    /// Media the edge may hold.
    memory_max: usize,
    publishers: Vec<(usize, usize, &'static str)>,
    viewers: Vec<(usize, &'static str)>,
    sources: u8,
}

/// A configuration of the edge: its `play` block may change at any time.
fn settings(world: &mut World) -> EdgeConfig {
    let mut one_of = |choices: &[&'static str]| choices[world.chance.below(choices.len() as u64) as usize];
    let play = format!(
        "{} {} {} queue_length {};",
        one_of(&["gop_cache on;", "gop_cache on;", "gop_cache off;"]),
        one_of(&["", "mw_latency 0;", "mw_latency 100;", "mw_msgs 2;"]),
        one_of(&["", "", "", "send_min_interval 2;"]),
        one_of(&["10", "5"]),
    );
    let latency = one_of(&["min_latency on;", ""]);
    let size = one_of(&["", "chunk_size 4096;", "chunk_size 128;"]);
    let vhost = format!("{latency} {size} play {{ {play} }} extension {{ pull_wait_limit 0; }}");
    EdgeConfig::builder().origin("a").origin("b").vhost(&vhost).build().expect("a configuration")
}

const STREAMS: [&str; 2] = ["one", "two"];

/// Source of a publisher that comes in between.
const STRANGER: u8 = 255;

impl Story {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        let mut link = LinkConfig::default();
        link.latency = Duration::from_micros(world.chance.below(40_000));
        link.window_bytes = 8192 << world.chance.below(4);
        if world.chance.one_in(3) {
            link.bandwidth = Some(60_000 + world.chance.below(400_000) as u32);
        }
        world.link = link;
        let origins: Vec<_> = ["a", "b"]
            .into_iter()
            .map(|host| {
                let shards = 1 + world.chance.below(2) as u16;
                world.edge(host, shards, &[], "play { queue_length 10; }")
            })
            .collect();
        let latency = if world.chance.one_in(2) { "min_latency on;" } else { "" };
        let vhost = format!("{latency} play {{ queue_length 10; }} extension {{ pull_wait_limit 0; }}");
        let shards = 1 + world.chance.below(4) as u16;
        let config =
            EdgeConfig::builder().origin("a").origin("b").vhost(&vhost).build().expect("a configuration");
        let mut options = EdgeOptions::default();
        let mut memory_max = MEMORY_MAX;
        if world.chance.one_in(4) {
            let limit = 10_000 + world.chance.below(500_000);
            options.media_bytes_max = Some(limit);
            // What one read brings is let go before the next one: a window of 64 KiB, in messages that cost more than
            // their bytes.
            memory_max = limit as usize + (96 << 10) * usize::from(shards);
        }
        let edge = world.server("edge", shards, config, options);
        let at_edge = world.chance.one_in(3);
        Self {
            world,
            origins,
            edge,
            at_edge,
            memory_max,
            publishers: Vec::new(),
            viewers: Vec::new(),
            sources: 0,
        }
    }

    fn tell(mut self) {
        for stream in STREAMS {
            self.publish_everywhere(stream);
        }
        self.world.run(ms(500));
        for _ in 0..30 {
            self.something_happens();
            let pause = ms(50 + self.world.chance.below(900));
            self.world.run(pause);
            let held = self.world.memory_bytes(self.edge);
            assert!(held < self.memory_max, "{held} bytes held");
        }
        self.calm_down();
    }

    fn publish_everywhere(&mut self, stream: &'static str) {
        for node in self.published_at() {
            self.publish(node, stream);
        }
    }

    fn published_at(&self) -> Vec<usize> {
        if self.at_edge { vec![self.edge] } else { self.origins.clone() }
    }

    /// An origin may be behind the edge: what it pulls from there when its publisher leaves begins earlier.
    fn viewers_may_see_pictures_again(&mut self) {
        for (viewer, _) in &self.viewers {
            self.world.clients[*viewer].judge_mut().may_repeat = true;
        }
    }

    /// Publishers go from the edge to the origins, or back.
    fn publishers_move(&mut self) {
        self.at_edge = !self.at_edge;
        self.viewers_may_see_pictures_again();
        for (publisher, _, _) in std::mem::take(&mut self.publishers) {
            match self.world.chance.one_in(2) {
                true => self.world.leave(publisher),
                false => self.world.reset_client(publisher),
            }
        }
        let pause = ms(self.world.chance.below(2000));
        self.world.run(pause);
        STREAMS.into_iter().for_each(|stream| self.publish_everywhere(stream));
    }

    fn publish(&mut self, node: usize, stream: &'static str) {
        if !self.world.nodes[node].up {
            return;
        }
        self.sources = (self.sources + 1) % STRANGER;
        let publisher = self.world.publish(node, stream, self.sources);
        self.world.clients[publisher].publishes().bytes = 50 + self.world.chance.below(1500) as usize;
        self.publishers.push((publisher, node, stream));
    }

    /// Somebody tries to publish at the edge as well, and gets the stream for a moment where nobody has it.
    fn somebody_else_publishes(&mut self) {
        let stream = STREAMS[self.world.chance.below(2) as usize];
        let stranger = self.world.publish(self.edge, stream, STRANGER);
        self.viewers_may_see_pictures_again();
        let pause = ms(self.world.chance.below(1500));
        self.world.run(pause);
        self.world.leave(stranger);
    }

    fn something_happens(&mut self) {
        let now = self.world.now;
        match self.world.chance.below(15) {
            0..=4 => {
                let stream = STREAMS[self.world.chance.below(2) as usize];
                let viewer = self.world.view(self.edge, stream);
                let judge = self.world.clients[viewer].judge_mut();
                judge.may_repeat = !self.at_edge;
                // Sound goes on ahead of pictures where its queue is cut behind the newest key frame.
                judge.has_paused = self.memory_max < MEMORY_MAX;
                // Without a GOP cache it may begin anywhere.
                judge.any_start = true;
                self.viewers.push((viewer, stream));
            }
            5 | 6 => {
                if let Some(viewer) = self.some_viewer() {
                    self.world.leave(viewer);
                }
            }
            7 => {
                if let Some(viewer) = self.some_viewer() {
                    let time = ms(self.world.chance.below(8_000));
                    self.world.stall_client(viewer, now + time);
                }
            }
            8 => {
                if let Some(viewer) = self.some_viewer() {
                    self.world.reset_client(viewer);
                }
            }
            9 => {
                let origin = self.origins[self.world.chance.below(2) as usize];
                let up = !self.world.nodes[origin].up || self.world.chance.one_in(2);
                self.world.kill(origin, up);
                self.world.run(ms(1));
                self.return_to(origin);
            }
            10 => {
                // A publisher goes, or its connection breaks, and another one comes.
                if self.publishers.is_empty() {
                    return;
                }
                let place = self.world.chance.below(self.publishers.len() as u64) as usize;
                let (publisher, node, stream) = self.publishers.swap_remove(place);
                self.viewers_may_see_pictures_again();
                match self.world.chance.one_in(2) {
                    true => self.world.leave(publisher),
                    false => self.world.reset_client(publisher),
                }
                self.world.run(ms(300));
                self.publish(node, stream);
            }
            11 => {
                let config = settings(&mut self.world);
                self.world.reload(self.edge, config);
            }
            12 => {
                if let Some(viewer) = self.some_viewer() {
                    self.pause(viewer, PauseState::Paused);
                    self.world.run(ms(self.world.chance.clone().below(3000)));
                    self.pause(viewer, PauseState::Playing);
                }
            }
            13 if self.world.chance.one_in(2) => self.publishers_move(),
            14 => self.somebody_else_publishes(),
            _ => {}
        }
    }

    /// A viewer that does not play (yet, or any more) cannot pause.
    fn pause(&mut self, viewer: usize, state: PauseState) {
        let now = self.world.now;
        let _ = self.world.clients[viewer].connection.pause(now, state, 0);
        self.world.clients[viewer].judge_mut().has_paused = true;
    }

    fn some_viewer(&mut self) -> Option<usize> {
        let place = self.world.chance.below(self.viewers.len() as u64) as usize;
        self.viewers.get(place).map(|(viewer, _)| *viewer)
    }

    /// Publishers whose server has died connect again.
    fn return_to(&mut self, node: usize) {
        self.publishers.retain(|(publisher, _, _)| !self.world.clients[*publisher].ended);
        for stream in STREAMS {
            let there = |(_, at, name): &(usize, usize, &str)| *at == node && *name == stream;
            let wanted = !self.at_edge || node == self.edge;
            if wanted && !self.publishers.iter().any(there) {
                self.publish(node, stream);
            }
        }
    }

    /// Everything works again: after some time every viewer that is still there sees its stream.
    fn calm_down(&mut self) {
        for origin in self.origins.clone() {
            self.world.nodes[origin].up = true;
        }
        self.world.run(secs(8));
        for node in self.published_at() {
            self.return_to(node);
        }
        // Stalls end, origins are tried again after 10 s at most, a dead publisher blocks its name for 5 s.
        self.world.run(secs(8));
        for node in self.published_at() {
            self.return_to(node);
        }
        self.world.run(secs(16));
        let now = self.world.now;
        for (viewer, stream) in std::mem::take(&mut self.viewers) {
            let actor = &self.world.clients[viewer];
            if actor.ended || actor.leaves {
                continue;
            }
            let heard = actor.judge().heard;
            let silence = heard.map(|heard| now - heard);
            assert!(
                silence.is_some_and(|silence| silence < secs(3)),
                "viewer of {stream}: silent for {silence:?}"
            );
        }
        let held = self.world.memory_bytes(self.edge);
        assert!(held < self.memory_max, "{held} bytes held");
    }
}
