//! Connections, shards and time: everything a driver does, in one thread and without waiting.

mod outputs;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use edge_cluster::config::EdgeConfig;
use edge_cluster::edge::{
    Command, Edge, EdgeOptions, Event, FlvRequest, HOLD_BYTES, Input, PeerMessage, Question,
};
use edge_cluster::{ConnId, ShardId, StreamKey};
use rtmp_core::sim::{Delivery, End, LinkConfig, Pair};

use crate::chance::Chance;

/// A server of several shards.
pub(crate) struct Node {
    pub(crate) host: String,
    shards: Vec<Edge>,
    /// Between shards: ordered, with a delay.
    pub(crate) queues: BTreeMap<(u16, u16), VecDeque<(Instant, Parcel)>>,
    pub(crate) events: Vec<Event>,
    pub(crate) questions: Vec<Question>,
    /// Pulls under way, by connection.
    pulls: BTreeMap<ConnId, StreamKey>,
    pub(crate) up: bool,
    /// Its process is not scheduled until then; what is sent to it waits in the network.
    frozen: Option<Instant>,
}

pub(crate) enum Parcel {
    Peer(ShardId, PeerMessage),
    Adopt(ConnId, Box<edge_cluster::edge::MovedConnection>),
}

/// Who holds an end of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Holder {
    Server(usize, ShardId, ConnId),
    Client(usize),
    /// On its way from shard to shard.
    Moving(usize, ConnId),
    /// The end is closed.
    Nobody,
}

struct Line {
    pair: Pair,
    ends: [Side; 2],
}

struct Side {
    holder: Holder,
    unread: BytesMut,
    closing: bool,
    blocked: bool,
    closed_seen: bool,
}

impl Side {
    fn new(holder: Holder) -> Self {
        Self { holder, unread: BytesMut::new(), closing: false, blocked: false, closed_seen: false }
    }
}

/// A client's machine, as the net sees it.
pub(crate) trait Client {
    fn handle_input(&mut self, now: Instant, bytes: &mut BytesMut);
    fn handle_closed(&mut self, now: Instant);
    fn handle_timeout(&mut self, now: Instant);
    fn poll_timeout(&self) -> Option<Instant>;
    fn outgoing(&mut self) -> &mut BytesMut;
    /// It wants its connection closed.
    fn wants_close(&self) -> bool;
}

pub(crate) struct Net<C> {
    pub(crate) now: Instant,
    pub(crate) chance: Chance,
    pub(crate) nodes: Vec<Node>,
    pub(crate) clients: Vec<C>,
    lines: Vec<Line>,
    conns: u64,
    pub(crate) link: LinkConfig,
    /// Where all connections come from; `None` is each from another address.
    pub(crate) address: Option<[u8; 4]>,
    /// Bodies of responses over HTTP.
    pub(crate) bodies: BTreeMap<(usize, ConnId), BytesMut>,
    /// Outputs that had no effect to wait for.
    pub(crate) flv_accepted: BTreeSet<(usize, ConnId)>,
    /// Bytes that servers have sent, by connection.
    sent: BTreeMap<(usize, ConnId), u64>,
}

/// Smallest step of time.
const QUANTUM: Duration = Duration::from_millis(3);
const ENDS: [End; 2] = [End::Client, End::Server];

impl<C: Client> Net<C> {
    #[expect(clippy::disallowed_methods, reason = "any instant serves as the start of virtual time")]
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            now: Instant::now(),
            chance: Chance::new(seed),
            nodes: Vec::new(),
            clients: Vec::new(),
            lines: Vec::new(),
            conns: 0,
            link: LinkConfig::default(),
            address: None,
            bodies: BTreeMap::new(),
            flv_accepted: BTreeSet::new(),
            sent: BTreeMap::new(),
        }
    }

    pub(crate) fn server(
        &mut self,
        host: &str,
        shards: u16,
        config: EdgeConfig,
        options: EdgeOptions,
    ) -> usize {
        let config = Arc::new(config);
        let seed = self.chance.next();
        let shard =
            |shard| Edge::new(Arc::clone(&config), options.clone(), ShardId(shard), shards, seed, self.now);
        self.nodes.push(Node {
            host: host.to_owned(),
            shards: (0..shards).map(shard).collect(),
            queues: BTreeMap::new(),
            events: Vec::new(),
            questions: Vec::new(),
            pulls: BTreeMap::new(),
            up: true,
            frozen: None,
        });
        self.nodes.len() - 1
    }

    /// A client connects to a server; returns its number.
    pub(crate) fn connect(&mut self, client: C, node: usize) -> usize {
        self.clients.push(client);
        let number = self.clients.len() - 1;
        self.dial(Holder::Client(number), node);
        number
    }

    /// Another client takes the number of one that has ended.
    pub(crate) fn connect_as(&mut self, number: usize, client: C, node: usize) {
        assert!(self.line_of(number).is_none(), "client {number} is still connected");
        self.clients[number] = client;
        self.dial(Holder::Client(number), node);
    }

    fn dial(&mut self, from: Holder, node: usize) {
        self.conns += 1;
        let conn = ConnId::inbound(self.conns);
        let shards = self.nodes[node].shards.len() as u64;
        let shard = ShardId(self.chance.below(shards) as u16);
        let pair = Pair::new(self.link.clone(), self.chance.next());
        self.lines.push(Line { pair, ends: [Side::new(from), Side::new(Holder::Server(node, shard, conn))] });
        let line = self.lines.len() - 1;
        let address = self.address.unwrap_or([10, 0, (self.conns >> 8) as u8, self.conns as u8]);
        let peer = SocketAddr::from((address, 40_000));
        self.input(node, shard, Input::Accepted { conn, peer });
        self.flush(line, 0);
    }

    pub(crate) fn open_flv(&mut self, node: usize, request: FlvRequest) -> ConnId {
        self.conns += 1;
        let conn = ConnId::inbound(self.conns);
        let shard = ShardId(self.chance.below(self.nodes[node].shards.len() as u64) as u16);
        self.bodies.insert((node, conn), BytesMut::new());
        self.input(node, shard, Input::OpenFlv { conn, request: Box::new(request) });
        conn
    }

    pub(crate) fn command(&mut self, node: usize, command: &Command) {
        for shard in 0..self.nodes[node].shards.len() {
            self.input(node, ShardId(shard as u16), Input::Command(command.clone()));
        }
    }

    pub(crate) fn reload(&mut self, node: usize, config: EdgeConfig) {
        let config = Arc::new(config);
        for shard in 0..self.nodes[node].shards.len() {
            self.input(node, ShardId(shard as u16), Input::Reload(Arc::clone(&config)));
        }
    }

    pub(crate) fn answer(&mut self, node: usize, question: &Question, verdict: edge_cluster::edge::Verdict) {
        let shard = question.id.shard();
        self.input(node, shard, Input::Answer { question: question.id, verdict });
    }

    pub(crate) fn snapshot(&self, node: usize) -> edge_cluster::edge::Snapshot {
        let parts = self.nodes[node].shards.iter().map(|shard| shard.snapshot(self.now));
        let snapshot = edge_cluster::edge::Snapshot::merge(parts);
        for client in &snapshot.clients {
            assert_eq!(
                client.traffic.sent_bytes,
                self.sent_bytes(node, client.info.conn),
                "{:?}",
                client.info
            );
        }
        snapshot
    }

    fn sent_bytes(&self, node: usize, conn: ConnId) -> u64 {
        self.sent.get(&(node, conn)).copied().unwrap_or(0)
    }

    pub(crate) fn memory_bytes(&self, node: usize) -> usize {
        self.nodes[node].shards.iter().map(Edge::memory_bytes).sum()
    }

    /// Pulls of each stream that a server has under way.
    pub(crate) fn pulls(&self, node: usize) -> BTreeMap<StreamKey, usize> {
        let mut count = BTreeMap::new();
        for key in self.nodes[node].pulls.values() {
            *count.entry(key.clone()).or_default() += 1;
        }
        count
    }

    /// Lines of clients, for faults.
    pub(crate) fn line_of(&self, client: usize) -> Option<usize> {
        self.lines.iter().position(|line| line.ends[0].holder == Holder::Client(client))
    }

    pub(crate) fn stall_client(&mut self, client: usize, until: Instant) {
        if let Some(line) = self.line_of(client) {
            self.lines[line].pair.stall(End::Client, until);
        }
    }

    pub(crate) fn reset_client(&mut self, client: usize) {
        if let Some(line) = self.line_of(client) {
            self.lines[line].pair.reset();
        }
    }

    /// A server's process is not scheduled for a while.
    pub(crate) fn freeze(&mut self, node: usize, until: Instant) {
        self.nodes[node].frozen = Some(until);
    }

    fn is_frozen(&self, line: usize, end: usize) -> bool {
        match self.lines[line].ends[end].holder {
            Holder::Server(node, ..) | Holder::Moving(node, _) => self.nodes[node].frozen.is_some(),
            Holder::Client(_) | Holder::Nobody => false,
        }
    }

    /// All connections of a server break; while it is down nobody connects.
    pub(crate) fn kill(&mut self, node: usize, up: bool) {
        self.nodes[node].up = up;
        for line in &mut self.lines {
            let held = |side: &Side| matches!(side.holder, Holder::Server(of, ..) if of == node);
            if line.ends.iter().any(held) {
                line.pair.reset();
            }
        }
    }

    /// Lets time pass.
    pub(crate) fn run_until(&mut self, until: Instant, mut check: impl FnMut(&Self)) {
        while self.now < until {
            self.step();
            check(self);
            let next = self.next_time().map_or(until, |next| next.min(until));
            // Time goes in steps: what happens between two of them happens together, as in a driver that was busy.
            self.now = next.max(self.now + QUANTUM).min(until);
        }
    }

    fn next_time(&self) -> Option<Instant> {
        let lines = self.lines.iter().filter_map(|line| line.pair.poll_timeout());
        let shards = self.nodes.iter().flat_map(|node| node.shards.iter().filter_map(Edge::poll_timeout));
        let parcels = self.nodes.iter().flat_map(|node| node.queues.values());
        let parcels = parcels.filter_map(|queue| queue.front().map(|(at, _)| *at));
        let clients = self.clients.iter().filter_map(Client::poll_timeout);
        lines.chain(shards).chain(parcels).chain(clients).min()
    }

    fn step(&mut self) {
        for node in 0..self.nodes.len() {
            self.nodes[node].frozen.take_if(|until| *until <= self.now);
            if self.nodes[node].frozen.is_some() {
                continue;
            }
            self.deliver_parcels(node);
            for shard in 0..self.nodes[node].shards.len() {
                if self.nodes[node].shards[shard].poll_timeout().is_some_and(|at| at <= self.now) {
                    self.input(node, ShardId(shard as u16), Input::Timeout);
                    let next = self.nodes[node].shards[shard].poll_timeout();
                    assert!(next.is_none_or(|at| at > self.now), "a deadline that does not move");
                }
            }
        }
        for client in 0..self.clients.len() {
            if self.clients[client].poll_timeout().is_some_and(|at| at <= self.now) {
                self.clients[client].handle_timeout(self.now);
            }
        }
        for line in 0..self.lines.len() {
            for end in 0..2 {
                if !self.is_frozen(line, end) {
                    self.receive(line, end);
                }
            }
            for end in 0..2 {
                if !self.is_frozen(line, end) {
                    self.flush(line, end);
                }
            }
        }
        self.lines.retain(|line| line.ends.iter().any(|side| side.holder != Holder::Nobody));
    }

    fn deliver_parcels(&mut self, node: usize) {
        let now = self.now;
        let mut due = Vec::new();
        for ((_, to), queue) in &mut self.nodes[node].queues {
            while queue.front().is_some_and(|(at, _)| *at <= now) {
                due.extend(queue.pop_front().map(|(_, parcel)| (ShardId(*to), parcel)));
            }
        }
        for (to, parcel) in due {
            match parcel {
                Parcel::Peer(from, message) => self.input(node, to, Input::Peer { from, message }),
                Parcel::Adopt(conn, state) => {
                    let moving = |line: &Line| line.ends[1].holder == Holder::Moving(node, conn);
                    let line = self.lines.iter().position(moving);
                    if let Some(line) = line {
                        self.lines[line].ends[1].holder = Holder::Server(node, to, conn);
                    }
                    self.input(node, to, Input::Adopt { conn, state });
                    match line {
                        Some(line) => self.offer(line, 1),
                        None => self.input(node, to, Input::Closed { conn }),
                    }
                }
            }
        }
    }

    fn receive(&mut self, line: usize, end: usize) {
        let side = &mut self.lines[line].ends[end];
        if let Holder::Nobody = side.holder {
            // Nobody reads what still comes.
            let _ = self.lines[line].pair.receive(self.now, ENDS[end], &mut BytesMut::new());
            return;
        }
        if matches!(side.holder, Holder::Moving(..)) || side.closed_seen {
            return;
        }
        if side.unread.len() > HOLD_BYTES {
            return;
        }
        let mut bytes = std::mem::take(&mut side.unread);
        let delivery = self.lines[line].pair.receive(self.now, ENDS[end], &mut bytes);
        self.lines[line].ends[end].unread = bytes;
        match delivery {
            Delivery::Bytes => {
                self.offer(line, end);
                // The end may be right behind.
                self.receive(line, end);
            }
            Delivery::Nothing => {}
            Delivery::Closed | Delivery::Reset => self.closed(line, end),
        }
    }

    /// The other side, or the network, has closed.
    fn closed(&mut self, line: usize, end: usize) {
        let side = &mut self.lines[line].ends[end];
        side.closed_seen = true;
        let holder = std::mem::replace(&mut side.holder, Holder::Nobody);
        self.lines[line].pair.close(ENDS[end]);
        match holder {
            Holder::Server(node, shard, conn) => {
                self.nodes[node].pulls.remove(&conn);
                self.input(node, shard, Input::Closed { conn });
            }
            Holder::Client(client) => self.clients[client].handle_closed(self.now),
            Holder::Moving(..) | Holder::Nobody => {}
        }
    }

    fn offer(&mut self, line: usize, end: usize) {
        let side = &mut self.lines[line].ends[end];
        let mut bytes = std::mem::take(&mut side.unread);
        match side.holder {
            Holder::Server(node, shard, conn) => {
                self.nodes[node].shards[usize::from(shard.0)]
                    .handle_input(self.now, Input::Received { conn, bytes: &mut bytes });
                self.put_back(line, end, bytes);
                self.pump(node, shard);
            }
            Holder::Client(client) => {
                self.clients[client].handle_input(self.now, &mut bytes);
                self.put_back(line, end, bytes);
            }
            Holder::Moving(..) | Holder::Nobody => self.put_back(line, end, bytes),
        }
    }

    fn put_back(&mut self, line: usize, end: usize, bytes: BytesMut) {
        self.lines[line].ends[end].unread = bytes;
    }
}
