//! Whole worlds in virtual time: servers of several shards, publishers and viewers, over links that stall and break.

mod actors;
mod chance;
mod heap;
mod memory;
mod names;
mod net;
mod retry;
mod rules;
mod shards;
mod soak;
mod sources;
mod stories;

use std::time::Duration;

use edge_cluster::config::EdgeConfig;
use edge_cluster::edge::EdgeOptions;

use actors::Actor;
use net::Net;

#[global_allocator]
static HEAP: heap::PerThread = heap::PerThread;

pub(crate) type World = Net<Actor>;

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl World {
    /// A server that pulls from and pushes to `origins`.
    pub(crate) fn edge(&mut self, host: &str, shards: u16, origins: &[&str], vhost: &str) -> usize {
        let config = origins.iter().fold(EdgeConfig::builder(), |config, origin| config.origin(*origin));
        let config = config.vhost(vhost).build().expect("a configuration");
        self.server(host, shards, config, EdgeOptions::default())
    }

    pub(crate) fn view(&mut self, node: usize, stream: &str) -> usize {
        let seed = self.chance.next();
        let viewer = Actor::viewer(stream, seed, self.now);
        self.connect(viewer, node)
    }

    pub(crate) fn publish(&mut self, node: usize, stream: &str, source: u8) -> usize {
        let seed = self.chance.next();
        let publisher = Actor::publisher(stream, source, seed, self.now);
        self.connect(publisher, node)
    }

    pub(crate) fn run(&mut self, time: Duration) {
        self.run_until(self.now + time, |net| net.check());
    }

    /// What holds at all times.
    fn check(&self) {
        for node in 0..self.nodes.len() {
            for (key, count) in self.pulls(node) {
                assert!(count <= 1, "{count} pulls of {key} at {}", self.nodes[node].host);
            }
        }
    }

    /// A client goes away politely.
    pub(crate) fn leave(&mut self, client: usize) {
        let actor = &mut self.clients[client];
        actor.connection.close().expect("always");
        actor.leaves = true;
    }
}
