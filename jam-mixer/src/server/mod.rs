//! A whole jam server as one machine: protocol, mixer, tick clock, server list.

mod api;
mod config;
mod listing;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jam_proto::directory::Directory;
use jam_proto::server::{self, Admission, Disposition};
use jam_proto::text::LocalTime;
use jam_proto::{ChannelId, CommandError, Input, Server, ServerConfig, Transmit};

pub use api::{AudioBatch, Command, Event, Output, Stats};
pub use config::{JamConfig, JamConfigBuilder, ListingConfig};

use crate::clock::TickClock;
use crate::codec::Codec;
use crate::engine::{Engine, Role};
use crate::job::Executor;
use crate::load::Load;

/// A jam server without sockets, clock or threads of its own.
///
/// ```text
///   datagrams ─▶ Server (protocol) ─ events ─▶ Engine (audio)
///                   │      └─ audio of a channel ─▶ │
///   time ──▶ TickClock ──────── tick ─────────────▶ │ ── Output::Audio, one batch per tick
///                   └── Output::Transmit, Output::Event ──────────▶ you
/// ```
///
/// 1. `now` never goes backwards; the same instant may be used many times.
/// 2. After each call drain [`poll_output`](Self::poll_output) until `None`, then wait for a datagram or
///    [`poll_timeout`](Self::poll_timeout).
/// 3. Outputs keep their order. Early or repeated timeouts are harmless. After a late one at most four ticks are made
///    up for, the others are skipped: delay does not grow.
/// 4. The same calls with the same seed give the same outputs, whatever the executor.
///
/// ```
/// use jam_mixer::{Inline, JamConfig, JamServer, Output, codec::Raw};
/// use jam_proto::Input;
/// # let now = std::time::Instant::now();
///
/// let mut jam = JamServer::new(JamConfig::builder().build()?, Raw, Box::new(Inline), 7, now);
/// let src = "192.0.2.1:22134".parse()?;
/// jam.handle_input(now, Input::Datagram { src, payload: &[0; 257] });
/// let Some(Output::Transmit(question)) = jam.poll_output() else { panic!("a newcomer is asked for its format") };
/// assert_eq!(question.dst, src);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct JamServer<C: Codec> {
    protocol: Server,
    engine: Engine<C>,
    listing: ListingConfig,
    executor: Box<dyn Executor>,
    samples: usize,
    /// Runs while somebody is connected.
    clock: Option<TickClock>,
    /// Ticks that are due and have not been made.
    owed: u64,
    now: Instant,
    load: Load,
    outputs: VecDeque<Queued>,
    levels: Vec<u8>,
    ticks: u64,
}

enum Queued {
    Transmit(Transmit),
    Event(Event),
    /// The engine's last tick.
    Audio,
}

impl<C: Codec> JamServer<C> {
    /// A server without musicians. Give the seed from the operating system: it keeps strangers from guessing.
    #[must_use]
    pub fn new(config: JamConfig, codec: C, executor: Box<dyn Executor>, seed: u64, now: Instant) -> Self {
        let samples = config.engine.tick.samples();
        let mut jam = Self {
            listing: config.listing,
            protocol: Server::new(config.protocol, seed, now),
            engine: Engine::new(config.engine, codec),
            executor,
            samples,
            clock: None,
            owed: 0,
            now,
            load: Load::new(config.overload),
            outputs: VecDeque::new(),
            levels: Vec::with_capacity(ChannelId::COUNT_MAX),
            ticks: 0,
        };
        listing::begin(&mut jam.protocol, &jam.listing, now);
        jam.settle();
        jam
    }

    /// Takes a datagram, or the message that time has passed.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.now = now;
        match input {
            Input::Datagram { src, payload } => self.on_datagram(src, payload),
            _ => self.on_timeout(),
        }
    }

    fn on_datagram(&mut self, src: SocketAddr, payload: &[u8]) {
        let disposition = self.protocol.handle_input(self.now, Input::Datagram { src, payload });
        // Sizes are judged by the engine too, which follows the same events.
        if let Disposition::Audio(channel) | Disposition::WrongSize(channel) = disposition {
            // After a stall the time that is given up has passed before what waited in the sockets is looked at.
            self.pass_over();
            // A datagram read when the tick is due arrived at any time since the sockets were last looked at.
            let lead = self.clock.and_then(|clock| clock.deadline().checked_duration_since(self.now));
            let lead_us = lead
                .filter(|lead| !lead.is_zero())
                .map(|lead| lead.as_micros().try_into().unwrap_or(u32::MAX));
            self.engine.push(channel, payload, lead_us);
        }
        self.settle();
    }

    fn on_timeout(&mut self) {
        if self.protocol.handle_input(self.now, Input::Timeout) != Disposition::Consumed {
            debug_assert!(false, "time is not audio");
        }
        self.settle();
        self.pass_over();
        if let Some(clock) = &mut self.clock {
            self.owed += clock.take(self.now);
        }
        if self.owed > 0 {
            self.tick();
        }
    }

    /// Lets the ticks pass that were missed and are too many to be made up for.
    fn pass_over(&mut self) {
        if let Some(clock) = &mut self.clock {
            let skipped = clock.give_up(self.now);
            self.engine.skip(skipped.try_into().unwrap_or(u32::MAX));
        }
    }

    /// Makes one tick and queues what comes of it. The next one waits until this one's audio is polled.
    fn tick(&mut self) {
        self.owed -= 1;
        self.ticks += 1;
        let tick = self.engine.tick(&mut *self.executor);
        for &(channel, blocks) in tick.resized() {
            // Cannot fail: the channel is open and the engine knows the limits of the message.
            let _ = self.protocol.command(self.now, server::Command::JitterSize { channel, blocks });
        }
        if let Some(levels) = tick.levels() {
            self.levels.clear();
            self.levels.extend(levels.iter().map(|(_, level)| level.number()));
            // Cannot fail: engine and protocol agree on who is connected once events are settled.
            let _ = self.protocol.command(self.now, server::Command::Levels(&self.levels));
        }
        self.outputs.push_back(Queued::Audio);
        self.settle();
    }

    /// Brings the mixer up to date with the protocol, and collects what is to be sent and told.
    fn settle(&mut self) {
        while let Some(output) = self.protocol.poll_output() {
            let output = match output {
                server::Output::Transmit(transmit) => Queued::Transmit(transmit),
                server::Output::Event(event) => {
                    self.on_event(&event);
                    Queued::Event(Event::Protocol(event))
                }
                server::Output::Resolve(host) => Queued::Event(Event::ResolveDirectory { host }),
                _ => continue,
            };
            self.outputs.push_back(output);
        }
    }

    fn on_event(&mut self, event: &server::Event) {
        match event {
            server::Event::Joined { channel, .. } => {
                self.engine.open(*channel);
                if self.clock.is_none() {
                    self.clock = Some(TickClock::new(self.now, self.samples));
                }
            }
            server::Event::Identified { channel, .. } => self.engine.set_role(*channel, Role::Musician),
            server::Event::Transport { channel, props } => {
                // A size without a codec, or no memory for one: the channel stays silent until its next format.
                if let Err(error) = self.engine.configure(*channel, *props) {
                    let event = Event::FormatRefused { channel: *channel, error };
                    self.outputs.push_back(Queued::Event(event));
                }
            }
            server::Event::Gain { listener, source, gain } => {
                self.engine.set_gain(*listener, *source, *gain);
            }
            server::Event::Pan { listener, source, pan } => self.engine.set_pan(*listener, *source, *pan),
            server::Event::JitterBuffer { channel, size } => self.engine.set_jitter(*channel, *size),
            server::Event::Left { channel, connected, .. } => {
                self.engine.close(*channel);
                if *connected == 0 {
                    self.clock = None;
                    self.owed = 0;
                    self.rest();
                }
            }
            _ => {}
        }
    }

    /// Nobody is there: no tick will tell any more that there is room.
    fn rest(&mut self) {
        if self.load.rest() {
            // Cannot fail: nothing is limited about it.
            let _ = self.protocol.command(self.now, server::Command::Admission(Admission::Open));
            self.outputs.push_back(Queued::Event(Event::Full(false)));
        }
    }

    /// The next output, or `None`. Audio is lent: send it before the next call.
    pub fn poll_output(&mut self) -> Option<Output<'_>> {
        if self.outputs.is_empty() && self.owed > 0 {
            self.tick();
        }
        Some(match self.outputs.pop_front()? {
            Queued::Transmit(transmit) => Output::Transmit(transmit),
            Queued::Event(event) => Output::Event(event),
            Queued::Audio => {
                let tick = self.engine.last_tick();
                Output::Audio(AudioBatch {
                    datagrams: tick.datagrams(),
                    frames: tick.frames(),
                    protocol: &self.protocol,
                    now: self.now,
                })
            }
        })
    }

    /// When to call [`handle_input`](Self::handle_input) with [`Input::Timeout`] if nothing else happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.next_tick(), self.protocol.poll_timeout()].into_iter().flatten().min()
    }

    /// When the next tick is due; `None` while nobody is connected. Everything else can wait for a tick.
    #[must_use]
    pub fn next_tick(&self) -> Option<Instant> {
        self.clock.map(|clock| clock.deadline())
    }

    /// The length of a tick.
    #[must_use]
    pub const fn tick_period(&self) -> Duration {
        TickClock::period(self.samples)
    }

    /// Carries out a wish of the owner.
    ///
    /// # Errors
    ///
    /// [`CommandError`] if it cannot be done; nothing has changed then.
    pub fn command(&mut self, now: Instant, command: Command) -> Result<(), CommandError> {
        self.now = now;
        let result = match command {
            Command::Reload(config) => {
                let config = config::with_features_of(config, self.protocol.config());
                listing::describe(&mut self.protocol, &self.listing, now, &config);
                self.protocol.command(now, server::Command::Reload(config))
            }
            Command::Recorder(state) => self.protocol.command(now, server::Command::Recorder(state)),
            Command::Broadcast(text) => self.protocol.command(now, server::Command::Broadcast(&text)),
            Command::PrivateChat { channel, text } => {
                self.protocol.command(now, server::Command::PrivateChat { channel, text: &text })
            }
            Command::Disconnect(channel) => self.protocol.command(now, server::Command::Disconnect(channel)),
            Command::Ban { network, duration } => {
                self.protocol.command(now, server::Command::Ban { network, duration })
            }
            Command::Unban(network) => self.protocol.command(now, server::Command::Unban(network)),
            Command::List(listing) => {
                listing::change(&mut self.protocol, &mut self.listing, listing, now);
                Ok(())
            }
            Command::RestoreDirectory(text) => {
                listing::restore(&mut self.protocol, &self.listing, now, &text);
                Ok(())
            }
        };
        self.settle();
        result
    }

    /// The answer to [`Event::ResolveDirectory`]: the IPv4 address that `host` has now.
    ///
    /// An answer about a directory that the server has meanwhile left is ignored.
    pub fn directory_resolved(&mut self, now: Instant, host: &str, addr: Option<SocketAddr>) {
        self.now = now;
        if !matches!(&self.listing, ListingConfig::Register { directory, .. } if directory == host) {
            return;
        }
        // Cannot fail: without a registration the answer is of no interest.
        let _ = self.protocol.command(now, server::Command::Resolved(addr));
        self.settle();
    }

    /// The list of a directory as it is kept in a file; `None` if this server is none.
    #[must_use]
    pub fn directory_text(&self) -> Option<String> {
        self.protocol.directory().map(Directory::save)
    }

    /// Tells the time of day for chat lines. It runs on by itself; repeat it every few minutes, for summer time.
    pub fn set_local_time(&mut self, now: Instant, time: LocalTime) {
        // Setting the time cannot fail.
        let _ = self.protocol.command(now, server::Command::LocalTime(time));
    }

    /// Tells how long the work of a tick took, from waking up for it until everything was sent.
    ///
    /// This is how the server knows that it cannot take another musician: newcomers are refused then
    /// ([`Event::Full`]), nobody who plays is degraded.
    pub fn report_work(&mut self, now: Instant, work: Duration) {
        self.now = now;
        let change = self.load.report(work, self.tick_period(), self.protocol.connected());
        self.executor.adapt(self.load.mean());
        if let Some(full) = change {
            let admission = if full { Admission::Closed } else { Admission::Open };
            // Cannot fail: nothing is limited about it.
            let _ = self.protocol.command(now, server::Command::Admission(admission));
            self.outputs.push_back(Queued::Event(Event::Full(full)));
            self.settle();
        }
    }

    /// Says goodbye: clients are told if the configuration says so, the registration is taken back. Drain
    /// [`poll_output`](Self::poll_output) once more, then drop the server.
    pub fn stop(&mut self, now: Instant) {
        self.now = now;
        // Cannot fail: it only frees.
        let _ = self.protocol.command(now, server::Command::Shutdown);
        self.settle();
    }

    /// Ticks made since the start.
    #[must_use]
    pub const fn ticks(&self) -> u64 {
        self.ticks
    }

    /// The protocol side, to look at.
    #[must_use]
    pub const fn protocol(&self) -> &Server {
        &self.protocol
    }

    /// The audio side, to look at: taps, groups, jitter buffers.
    #[must_use]
    pub const fn engine(&self) -> &Engine<C> {
        &self.engine
    }

    /// A copy of the counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            protocol: self.protocol.stats(),
            engine: self.engine.stats(),
            musicians: self.protocol.connected() as u64,
            load_permille: (self.load.mean() * 1000.0) as u64,
        }
    }

    /// Bytes held now, without the machine itself and without what coders hold inside: see
    /// [`Engine::memory_bytes`].
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let waiting: usize = self
            .outputs
            .iter()
            .map(|output| match output {
                Queued::Transmit(transmit) => transmit.payload.len(),
                Queued::Event(Event::Protocol(server::Event::Chat { line, .. })) => line.len(),
                Queued::Event(_) | Queued::Audio => 0,
            })
            .sum();
        self.protocol.memory_bytes()
            + self.protocol.directory().map_or(0, Directory::memory_bytes)
            + self.engine.memory_bytes()
            + self.outputs.capacity() * size_of::<Queued>()
            + waiting
            + self.levels.capacity()
    }

    /// What [`memory_bytes`](Self::memory_bytes) never exceeds with this configuration and executor, whatever is
    /// received, while outputs are drained after every call.
    #[must_use]
    pub fn memory_bytes_max(&self) -> usize {
        let config = self.protocol.config();
        // After a reload there may be more musicians than newcomers would be let in to.
        let channels = usize::from(config.channels_max()).max(self.protocol.connected());
        // What the protocol's queue holds is moved through this one; texts are counted there.
        let outputs = 2 * ChannelId::COUNT_MAX * 24 * size_of::<Queued>();
        Server::memory_bytes_max(config)
            + self.protocol.directory().map_or(0, Directory::memory_bytes_max)
            + Engine::<C>::memory_bytes_max(self.engine.config(), channels, self.executor.width())
            + outputs
            + ChannelId::COUNT_MAX
    }

    /// The configuration in force.
    #[must_use]
    pub const fn config(&self) -> &Arc<ServerConfig> {
        self.protocol.config()
    }
}
