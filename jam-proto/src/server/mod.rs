//! A jam server's side of the protocol: who is connected, what they are told, what the mixer has to know (spec 5).

mod admission;
mod api;
mod commands;
mod connected;
mod listing;
mod speak;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::channel::{Channel, ChannelSet, WrongSize};
use crate::config::{ServerConfig, ServerLimits};
use crate::directory::{Directory, Registrar};
use crate::guard::{Bans, Guard, SeededHash, Table};
use crate::io::{Input, Transmit, canonical};
use crate::message::{ChannelInfo, RecorderState};
use crate::responder::{Responder, Snapshot};
use crate::rng::Unguessable;
use crate::stats::ServerStats;
use crate::text::LocalTime;
use crate::types::{AudioProps, ChannelId};
use crate::wire::{Frame, FrameWriter};

use admission::{Probe, Quarantine};
pub use api::{Admission, Command, Disposition, Event, LeaveReason, Output};

/// A jam server without sockets, clock, threads or sound.
///
/// Datagrams and time go in with [`Server::handle_input`], the owner's wishes with [`Server::command`]. After each call
/// drain [`Server::poll_output`] until `None`, then sleep until [`Server::poll_timeout`] or the next datagram. Audio is
/// not queued: [`Disposition::Audio`] says whose it is, and the slice stays the caller's.
///
/// A newcomer passes through these stages; only from *connected* on it has a channel and others see it:
///
/// ```text
///            audio             acknowledges 21        acknowledges 32 .. 11      sends 25
///  stranger ───────▶ probed ─────────────────▶ connected ──────────────▶ proven ─────────▶ identified
///     ▲                │ 2 s                       │                         gets levels      gets audio
///     └────────────────┴───────────────────────────┘ 1010, 30 s of silence, 30 s without acknowledgement
/// ```
///
/// 1. `now` never goes backwards; the same instant may be used many times.
/// 2. Nothing waits: work is bounded by the input's size and by [`ServerLimits`].
/// 3. Outputs keep their order; an event never overtakes the bytes that explain it.
/// 4. Early or repeated timeouts are harmless. After a due one, `poll_timeout` is later than `now`, or `None`.
/// 5. The same calls with the same seed give the same outputs.
///
/// ```
/// use jam_proto::{Disposition, Input, Server, ServerConfig, message::id, server::Output, wire::Frame};
/// # let now = std::time::Instant::now();
///
/// let mut server = Server::new(ServerConfig::builder().build()?, 7, now);
/// let src = "192.0.2.1:22134".parse()?;
/// // A stranger's audio is answered by two small questions ...
/// let disposition = server.handle_input(now, Input::Datagram { src, payload: &[0x55; 22] });
/// assert_eq!(disposition, Disposition::Consumed);
/// for _ in 0..2 {
///     let Some(Output::Transmit(question)) = server.poll_output() else { panic!("no question") };
///     let frame = Frame::parse(&question.payload).ok_or("not a frame")?;
///     assert_eq!(frame.id, id::REQ_NETW_TRANSPORT_PROPS);
/// }
/// // ... and nothing else before the address has proven to be genuine.
/// assert_eq!(server.poll_output(), None);
/// assert_eq!(server.connected(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Server {
    config: Arc<ServerConfig>,
    /// One place per possible slot. Boxed: most rooms are small, and a channel takes half a kibibyte.
    channels: Vec<Option<Box<Channel>>>,
    by_addr: HashMap<SocketAddr, ChannelId, SeededHash>,
    /// Whom the last user of a free slot had muted; they are told when the slot is taken again (spec 5.8).
    muted_by_last: Vec<ChannelSet>,
    probes: Table<SocketAddr, Probe>,
    /// Addresses that left.
    quarantine: Table<SocketAddr, Quarantine>,
    /// Shared with the snapshots; made anew by the rare commands that change it.
    bans: Bans,
    /// Answers requests without connection, and keeps the books about strangers.
    responder: Responder,
    registrar: Option<Box<Registrar>>,
    directory: Option<Box<Directory>>,
    secret: Unguessable,
    started_at: Instant,
    recorder: RecorderState,
    admission: Admission,
    local_time: (Instant, LocalTime),
    /// The body of messages 24 and 1013, made when something changed.
    list_body: Bytes,
    snapshot: Arc<Snapshot>,
    dirty: Dirty,
    renamed: Renamed,
    outputs: VecDeque<Output>,
    /// Nothing is due before this; it may be earlier than needed, never later.
    deadline: Option<Instant>,
    writer: FrameWriter,
    stats: ServerStats,
}

/// No program is started anew in less time than this; networks seldom lose everything for so long.
pub(super) const RESTART_PAUSE_MIN: Duration = Duration::from_millis(250);
/// After a pause, a count of messages that begins anew within this time means that the program was started anew.
pub(super) const RESTART_SHOWS_WITHIN: Duration = Duration::from_secs(3);

/// Lists that only tell other names.
#[derive(Clone, Copy, Debug, Default)]
struct Renamed {
    /// When the last one was made.
    listed_at: Option<Instant>,
    /// Whether names have changed since.
    is_waiting: bool,
}

/// What has to be brought up to date before a call ends.
#[derive(Clone, Copy, Debug, Default)]
struct Dirty {
    /// What strangers are told, and the body of the list.
    snapshot: bool,
    /// Everybody gets a new list.
    list: bool,
    /// Channels that may have something to be told or acknowledged.
    talk: ChannelSet,
}

/// One connected musician, as an owner may show it.
#[derive(Clone, Debug)]
pub struct ChannelView<'a> {
    /// The slot.
    pub channel: ChannelId,
    /// Where datagrams come from and go to.
    pub addr: SocketAddr,
    /// Since when.
    pub joined_at: Instant,
    /// Who; `None` until the musician told.
    pub info: Option<&'a ChannelInfo>,
    /// The audio format; `None` until the musician told.
    pub props: Option<AudioProps>,
}

impl Server {
    /// A server without musicians. Give the seed from the operating system: it keeps strangers from guessing.
    #[must_use]
    pub fn new(config: Arc<ServerConfig>, seed: u64, now: Instant) -> Self {
        let mut secret = Unguessable::new(seed);
        let mut writer = FrameWriter::new();
        let limits = config.limits();
        let recorder = config.recorder();
        let snapshot =
            Snapshot::new(Arc::clone(&config), Bans::default(), recorder, &[], Vec::new(), &mut writer);
        Self {
            channels: std::iter::repeat_with(|| None).take(ChannelId::COUNT_MAX).collect(),
            by_addr: HashMap::with_capacity_and_hasher(ChannelId::COUNT_MAX, SeededHash(secret.next_u64())),
            muted_by_last: vec![ChannelSet::default(); ChannelId::COUNT_MAX],
            probes: Table::new(limits.probes_max, secret.next_u64()),
            quarantine: Table::new(limits.quarantined_max, secret.next_u64()),
            bans: Bans::default(),
            responder: Responder::new(&config, secret.next_u64(), now),
            registrar: None,
            directory: None,
            secret,
            started_at: now,
            recorder,
            admission: Admission::Open,
            local_time: (now, LocalTime::default()),
            list_body: Bytes::new(),
            snapshot: Arc::new(snapshot),
            dirty: Dirty::default(),
            renamed: Renamed::default(),
            outputs: VecDeque::new(),
            deadline: None,
            writer,
            stats: ServerStats::default(),
            config,
        }
    }

    /// Takes a datagram, or the message that time has passed.
    ///
    /// Audio of a connected channel costs one look-up and no allocation.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) -> Disposition {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.on_timeout(now);
        }
        let Input::Datagram { src, payload } = input else { return Disposition::Consumed };
        self.stats.datagrams += 1;
        let src = canonical(src);
        let channel = self.by_addr.get(&src).copied();
        let frame = Frame::parse(payload);
        if let (Some(channel), None) = (channel, frame) {
            let disposition = self.on_audio(now, channel, payload);
            if disposition != Disposition::Consumed {
                return disposition;
            }
        }
        if payload.is_empty() {
            self.stats.datagrams_empty += 1;
            return Disposition::Consumed;
        }
        if self.outputs.len() >= self.limits().outputs_max {
            self.stats.datagrams_deferred += 1;
            return Disposition::Consumed;
        }
        match (channel, frame) {
            (Some(channel), Some(frame)) if !frame.is_connectionless() => {
                self.on_connected_frame(now, channel, frame);
            }
            (Some(_), Some(frame)) => self.on_connectionless(now, src, frame, channel),
            (_, frame) => self.on_stranger(now, src, payload.len(), frame),
        }
        self.settle(now);
        Disposition::Consumed
    }

    /// Says whose the audio is; `Consumed` if it is nobody's because the channel was just given up.
    fn on_audio(&mut self, now: Instant, id: ChannelId, payload: &[u8]) -> Disposition {
        let wrong_size_max = self.config.limits().wrong_size_max;
        let Some(channel) = self.channels.get_mut(id.index()).and_then(Option::as_deref_mut) else {
            return Disposition::Consumed;
        };
        if payload.is_empty() {
            return Disposition::Consumed;
        }
        if now.saturating_duration_since(channel.last_datagram) >= RESTART_PAUSE_MIN {
            channel.resumed_at = Some(now);
        }
        channel.last_datagram = now;
        if payload.len() == channel.datagram_bytes {
            channel.wrong_size = None;
            self.stats.datagrams_audio += 1;
            return Disposition::Audio(id);
        }
        self.stats.datagrams_wrong_size += 1;
        if channel.datagram_bytes == 0 || channel.is_adding_sequence(payload.len()) {
            return Disposition::WrongSize(id);
        }
        let first = WrongSize { since: now, count_goes_on: true };
        let wrong_size = channel.wrong_size.get_or_insert(first);
        if now.saturating_duration_since(wrong_size.since) <= wrong_size_max {
            return Disposition::WrongSize(id);
        }
        // The client was started anew on the same address and knows nothing of this connection (spec 11.4). As a
        // newcomer it is asked for its format and gets everything else it needs.
        self.leave(now, id, LeaveReason::Restarted);
        Disposition::Consumed
    }

    /// The next thing to do, until `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is wanted. It may come earlier than something really is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    fn on_timeout(&mut self, now: Instant) {
        if self.outputs.len() >= self.limits().outputs_max {
            // Whoever does not drain outputs gets no new ones; look again soon.
            self.deadline = now.checked_add(Duration::from_millis(20));
            return;
        }
        let (silence_max, unidentified_max) = (self.limits().silence_max, self.limits().unidentified_max);
        for id in all_ids() {
            let Some(channel) = self.channel(id) else { continue };
            if now.saturating_duration_since(channel.last_datagram) >= silence_max {
                self.leave(now, id, LeaveReason::TimedOut);
            } else if channel.is_unidentified()
                && now.saturating_duration_since(channel.joined_at) >= unidentified_max
            {
                self.leave(now, id, LeaveReason::Unidentified);
            } else if channel.reliable.poll_timeout().is_some_and(|due| due <= now) {
                self.talk_to(id);
            }
        }
        self.on_probe_timeouts(now);
        self.on_listing_timeouts(now);
        self.on_renamed_timeout(now);
        self.settle(now);
        self.deadline = self.earliest_deadline();
    }

    fn earliest_deadline(&self) -> Option<Instant> {
        let limits = self.limits();
        let channels = self.channels.iter().flatten().flat_map(|channel| {
            let unidentified = channel.is_unidentified().then_some(channel.joined_at);
            [
                channel.last_datagram.checked_add(limits.silence_max),
                unidentified.and_then(|joined_at| joined_at.checked_add(limits.unidentified_max)),
                channel.reliable.poll_timeout(),
            ]
        });
        let others = [self.probe_deadline(), self.listing_deadline(), self.renamed_deadline()];
        channels.chain(others).flatten().min()
    }

    /// Makes sure that `on_timeout` runs at this time at the latest.
    fn wake_at(&mut self, at: Option<Instant>) {
        if let Some(at) = at {
            self.deadline = Some(self.deadline.map_or(at, |deadline| deadline.min(at)));
        }
    }

    /// Whether this channel is to be sent audio now: identified, its address proven, and heard of recently (spec 10.6).
    #[must_use]
    pub fn is_audio_due(&self, now: Instant, channel: ChannelId) -> bool {
        let recent = self.config.limits().audio_recent;
        self.channel(channel).is_some_and(|channel| {
            channel.info.is_some()
                && channel.is_proven()
                && now.saturating_duration_since(channel.last_datagram) <= recent
        })
    }

    /// How many musicians are connected.
    #[must_use]
    pub fn connected(&self) -> usize {
        self.by_addr.len()
    }

    /// A connected musician.
    #[must_use]
    pub fn view(&self, channel: ChannelId) -> Option<ChannelView<'_>> {
        self.channel(channel).map(Channel::view)
    }

    /// All connected musicians, in ascending order of channels.
    pub fn views(&self) -> impl Iterator<Item = ChannelView<'_>> {
        self.channels.iter().flatten().map(|channel| channel.view())
    }

    /// The configuration in force.
    #[must_use]
    pub const fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// What the recorder is doing, as far as clients are told.
    #[must_use]
    pub const fn recorder(&self) -> RecorderState {
        self.recorder
    }

    /// What a [`Responder`] may tell, and whom not. Take it again after every command, every timeout, and every datagram
    /// that gave outputs; it is only a pointer.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot)
    }

    /// A copy of the counters.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        let mut stats = self.stats;
        let answers = self.responder.stats();
        stats.requests_answered += answers.requests_answered;
        stats.requests_limited += answers.requests_limited;
        stats.requests_unpaid += answers.requests_unpaid;
        stats.requests_malformed += answers.requests_malformed;
        stats.bytes_loaned += answers.bytes_loaned;
        for channel in self.channels.iter().flatten() {
            add_reliable(&mut stats, channel);
        }
        stats
    }

    /// Bytes held now, without the machine itself and without the directory, if it is one: that has
    /// [its own account](Directory::memory_bytes).
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let outputs: usize = self
            .outputs
            .iter()
            .map(|output| match output {
                Output::Transmit(transmit) => transmit.payload.len(),
                Output::Event(Event::Chat { line, .. }) => line.len(),
                Output::Event(_) | Output::Resolve(_) => 0,
            })
            .sum();
        self.channels.capacity() * size_of::<Option<Box<Channel>>>()
            + self.channels.iter().flatten().map(|channel| channel.memory_bytes()).sum::<usize>()
            + self.by_addr.capacity() * 8 / 7 * (size_of::<(SocketAddr, ChannelId)>() + 1)
            + self.muted_by_last.capacity() * size_of::<ChannelSet>()
            + self.probes.memory_bytes()
            + self.quarantine.memory_bytes()
            + self.bans.memory_bytes()
            + self.responder.memory_bytes()
            + self.list_body.len()
            + self.snapshot.memory_bytes()
            + self.config.memory_bytes()
            + self.outputs.capacity() * size_of::<Output>()
            + outputs
    }

    /// What [`Server::memory_bytes`] never exceeds while outputs are drained after every call.
    #[must_use]
    pub fn memory_bytes_max(config: &ServerConfig) -> usize {
        const FRAME_BYTES_MAX: usize = 20_000;
        let limits = config.limits();
        let chat = limits.chat_queue_max.next_power_of_two() * (size_of::<Bytes>() + 6_000);
        // Reliable holds one message and one split message that is arriving.
        let channel = size_of::<Option<Box<Channel>>>() + size_of::<Channel>() + chat + 3 * FRAME_BYTES_MAX;
        // Tables grow in powers of two; hash tables are a little larger than their entries.
        let table = |entries: usize, bytes: usize| entries.next_power_of_two() * 2 * (bytes + 128);
        // One call gives each channel a list, acknowledgements and an event at most.
        let outputs = 2 * ChannelId::COUNT_MAX * (24 * (size_of::<Output>() + 16) + FRAME_BYTES_MAX);
        ChannelId::COUNT_MAX
            * (channel + 2 * (size_of::<(SocketAddr, ChannelId)>() + 1) + size_of::<ChannelSet>())
            + table(limits.probes_max, size_of::<Probe>())
            + table(limits.quarantined_max, size_of::<Quarantine>())
            + Bans::memory_bytes_max(limits.bans_max)
            + Guard::memory_bytes_max(&limits.guard)
            + 4 * FRAME_BYTES_MAX
            + config.memory_bytes()
            + outputs
    }

    fn limits(&self) -> &ServerLimits {
        self.config.limits()
    }

    fn channel(&self, id: ChannelId) -> Option<&Channel> {
        self.channels.get(id.index())?.as_deref()
    }

    fn channel_mut(&mut self, id: ChannelId) -> Option<&mut Channel> {
        self.channels.get_mut(id.index())?.as_deref_mut()
    }

    fn admits(&self, now: Instant, ip: IpAddr) -> bool {
        self.config.admits(ip) && !self.bans.contain(now, ip)
    }

    fn transmit(&mut self, dst: SocketAddr, payload: Bytes) {
        self.outputs.push_back(Output::Transmit(Transmit { dst, payload }));
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

/// All slots in ascending order.
fn all_ids() -> impl Iterator<Item = ChannelId> {
    (0..=u8::MAX).map_while(ChannelId::new)
}

fn add_reliable(stats: &mut ServerStats, channel: &Channel) {
    let reliable = channel.reliable.stats();
    stats.messages_sent += reliable.sent;
    stats.messages_retransmitted += reliable.retransmitted;
    stats.messages_duplicate += reliable.duplicates;
    stats.acknowledgements_wrong += reliable.wrong_acknowledgements;
}

impl Channel {
    const fn view(&self) -> ChannelView<'_> {
        ChannelView {
            channel: self.id,
            addr: self.addr,
            joined_at: self.joined_at,
            info: self.info.as_ref(),
            props: self.props,
        }
    }
}
