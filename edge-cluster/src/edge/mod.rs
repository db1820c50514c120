//! One shard of an edge: connections, who is asked when, which stream is where.
//!
//! ```text
//!   sockets ──Accepted, Received, Closed──▶ ┌──────┐ ──Write, Close, Connect, Move──▶ sockets
//!   shards  ──Peer, Adopt────────────────▶  │ Edge │ ──Peer, Move────────────────▶  shards
//!   owner   ──Answer, Command, Reload────▶  │      │ ──Ask, Event────────────────▶  owner
//!   clock   ──Timeout────────────────────▶  └──────┘ ◀─poll_timeout, outgoing(conn)─ driver
//! ```
//!
//! A stream has a *home*: the shard that a hash of its name chooses. Its source runs there: the connection of a
//! publisher moves there when it says what it publishes, pulls and pushes begin there. Viewers stay on the shard that
//! accepted them; the first viewer of a shard subscribes the shard at the home of the stream.
//!
//! # Where we differ from SRS
//!
//! - Viewers of an edge get what is published on it directly; SRS sends them through the origin.
//! - Checks come before the good news: a viewer that is refused was not told that it plays.
//! - An unknown vhost is refused at `connect` only when the `tcUrl` names it as a parameter: otherwise the name of the
//!   stream may still name another one. Then `publish` or `play` is refused.
//! - A viewer over HTTP is asked about with `on_play`, never with `on_connect`.
//! - A publisher that was silent for two seconds gives way to one of the same address with the same parameters.
//! - `kickoff_for_idle` counts viewers of all shards.
//! - Origins are asked for a stream in the name of the viewer that came last, not of the first one.
//! - Who wants to publish a stream that is pulled replaces the pull once an origin has taken the publish, not before.
//!
//! # Limits
//!
//! Limits are those of the whole edge ([`EdgeOptions`], [`EdgeConfig`]); each shard has an equal part. Above its part of
//! `media_bytes_max` a shard lets media go, in front of the next input, from the largest streams on, until an eighth is
//! free:
//!
//! 1. everything of streams that nobody watches here,
//! 2. what is older than the newest key frame: viewers that lag behind go on there,
//! 3. the rest of the GOP caches and queues.
//!
//! Viewers that keep up notice nothing of it.

mod client;
mod clock;
mod close;
mod conns;
mod control;
mod decide;
mod event;
mod ids;
mod io;
mod memory;
mod meter;
mod options;
mod outgoing;
mod outlet;
mod peer;
mod play;
mod probe;
mod publish;
mod question;
mod refusal;
mod report;
mod request;
mod room;
mod rules;
mod serve;
mod session;
mod shards;
mod snapshot;
mod source;
mod streams;
mod timers;
mod upstream;
mod vhosts;
mod waiting;
mod whole;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

pub use client::{ClientInfo, ClientKind};
pub use event::{CloseReason, Event, UpstreamKind};
pub use io::{Command, FlvRequest, HOLD_BYTES, Input, MovedConnection, Output};
pub use options::EdgeOptions;
pub use outgoing::EdgeOutgoing;
pub use peer::PeerMessage;
pub use question::{Question, QuestionId, QuestionKind, Verdict};
pub use refusal::Refusal;
pub use snapshot::{
    AudioSnapshot, ClientSnapshot, OutletSnapshot, Snapshot, SourceSnapshot, StreamSnapshot, Totals, Traffic,
    VhostSnapshot, VideoSnapshot,
};
pub use whole::WholeSegment;

use crate::config::EdgeConfig;
use crate::conn::{ConnId, ShardId};
use conns::{Conn, Conns};
use memory::MediaMemory;
use probe::ProbeRun;
use rtmp_core::ConnectionConfig;
use streams::{StreamId, Streams};
use timers::Timers;
use vhosts::{Vhosts, connection_config};
use waiting::WaitingPulls;

/// One shard of an edge.
///
/// # Contract
///
/// 1. `now` never goes backwards; the same instant may be used many times.
/// 2. After every [`handle_input`](Self::handle_input): take [`poll_output`](Self::poll_output) until `None`, then sleep
///    until [`poll_timeout`](Self::poll_timeout) or the next input.
/// 3. Outputs keep their order. Early, late and repeated [`Input::Timeout`]s are harmless.
/// 4. Work per call is bounded by the size of the input, the number of viewers a message has, and the limits.
/// 5. The same inputs, configuration and seed give the same outputs.
#[derive(Debug)]
pub struct Edge {
    options: EdgeOptions,
    config: Arc<EdgeConfig>,
    vhosts: Vhosts,
    /// How to talk to a client whose vhost is not known yet.
    greeting: Arc<ConnectionConfig>,
    shard: ShardId,
    shards: u16,
    seed: u64,
    conns: Conns,
    streams: Streams,
    outputs: VecDeque<Output>,
    timers: Timers<TimerKey>,
    questions: BTreeMap<QuestionId, ConnId>,
    /// By the client they are about.
    probes: BTreeMap<ConnId, ProbeRun>,
    questions_asked: u64,
    memory: MediaMemory,
    waiting_pulls: WaitingPulls,
    /// Subscriptions of this shard so far.
    subscriptions: u64,
    totals: Totals,
    /// Traffic of streams that are not known any more, by vhost.
    retired: BTreeMap<Arc<str>, Traffic>,
    /// The edge stops; what is left at this time is closed.
    draining: Option<Instant>,
    drained: bool,
}

/// Whose deadline it is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum TimerKey {
    Conn(ConnId),
    Stream(StreamId),
    /// The probe about this client.
    Probe(ConnId),
    Drain,
    Sample,
}

impl Edge {
    /// The shard `shard` of `shards` (at least 1). `seed` is the same for all shards of an edge.
    pub fn new(
        config: Arc<EdgeConfig>,
        options: EdgeOptions,
        shard: ShardId,
        shards: u16,
        seed: u64,
        now: Instant,
    ) -> Self {
        let mut timers = Timers::new();
        timers.set(TimerKey::Sample, Some(now + meter::SAMPLE_EVERY));
        Self {
            options,
            vhosts: Vhosts::new(&config, seed),
            greeting: Arc::new(connection_config(&config, None)),
            config,
            shard,
            shards: shards.max(1),
            seed,
            conns: Conns::default(),
            streams: Streams::default(),
            outputs: VecDeque::new(),
            timers,
            questions: BTreeMap::new(),
            probes: BTreeMap::new(),
            questions_asked: 0,
            memory: MediaMemory::default(),
            waiting_pulls: WaitingPulls::default(),
            subscriptions: 0,
            totals: Totals::default(),
            retired: BTreeMap::new(),
            draining: None,
            drained: false,
        }
    }

    /// Something happened.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.limit_media(now);
        match input {
            Input::Accepted { conn, peer } => self.on_accepted(now, conn, peer),
            Input::Received { conn, bytes } => self.on_received(now, conn, bytes),
            Input::Closed { conn } => self.on_closed(now, conn),
            Input::Connected { conn } => self.on_connected(now, conn),
            Input::ConnectFailed { conn, reason } => self.on_connect_failed(now, conn, reason),
            Input::Adopt { conn, state } => self.on_adopt(now, conn, *state),
            Input::Peer { from, message } => self.on_peer(now, from, message),
            Input::Answer { question, verdict } => self.on_answer(now, question, verdict),
            Input::OpenFlv { conn, request } => self.on_open_flv(now, conn, &request),
            Input::Timeout => self.on_timeout(now),
            Input::Listening(own) => self.options.own = own,
            Input::Reload(config) => self.on_reload(now, config),
            Input::Command(command) => self.on_command(now, command),
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front().or_else(|| self.streams.poll_ready().map(|conn| Output::Write { conn }))
    }

    /// When to call [`handle_input`](Self::handle_input) with [`Input::Timeout`] at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// The shard this is.
    pub fn shard(&self) -> ShardId {
        self.shard
    }
}
