//! The registering side: keeps one server on a directory's list.

use super::KEEP_ALIVE_EVERY;
use super::budget::Bucket;
use crate::message::{Connectionless, Registration, RegistrationResult, VersionAndOs};
use crate::wire::{Frame, FrameWriter};
use crate::{Transmit, canonical};
use std::collections::VecDeque;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a [`Registrar`] needs to know.
#[derive(Clone, Debug)]
pub struct RegistrarConfig {
    /// The directory as the operator wrote it, `host` or `host:port`; only the owner's resolver reads it (spec 10.3).
    pub directory: Arc<str>,
    /// What the list says about the server. `permanent` is set by the machine after 48 hours; a missing internal
    /// address is sent as 127.0.0.1.
    pub registration: Registration,
    /// The server's version; directories may demand a certain one.
    pub version: VersionAndOs,
    /// How often the directory may make us send a hole punch per second; four times as many at once. Default 100.
    pub punches_per_s_max: u32,
}

impl RegistrarConfig {
    /// The usual configuration for this server at this directory.
    #[must_use]
    pub fn new(directory: &str, registration: Registration, version: VersionAndOs) -> Self {
        Self { directory: directory.into(), registration, version, punches_per_s_max: 100 }
    }
}

/// Something happened that a [`Registrar`] has to know.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum RegistrarInput<'a> {
    /// A datagram arrived on the server's socket.
    Datagram {
        /// Where it came from.
        src: SocketAddr,
        /// The whole payload.
        payload: &'a [u8],
    },
    /// The answer to [`RegistrarOutput::Resolve`]: the directory's IPv4 address, or none could be found.
    Resolved(Option<SocketAddr>),
    /// The time of `poll_timeout` has come.
    Timeout,
}

/// What the owner wants from a [`Registrar`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RegistrarCommand {
    /// Register, and stay registered. While registered already: do it again at once.
    Start,
    /// Leave the list.
    Stop,
    /// The server is described otherwise from now on; a running registration is renewed at once.
    Describe(Registration),
}

/// What a [`Registrar`] wants from its owner.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RegistrarOutput {
    /// Look this name up and answer with [`RegistrarInput::Resolved`]. It is asked anew for each registration.
    Resolve(Arc<str>),
    /// Send this from the server's socket.
    Transmit(Transmit),
    /// The status is another one now.
    Status(RegistrationStatus),
}

/// Where a registration stands. `Display` gives the text shown to users.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum RegistrationStatus {
    /// Not asked for, or ended.
    #[default]
    NotRegistered,
    /// The directory's name has no address.
    BadAddress,
    /// Asked for, and not answered yet.
    Requested,
    /// Five requests had no answer; the next try is at the next refresh.
    TimeOut,
    /// On the list.
    Registered,
    /// The list had no room.
    ListFull,
    /// The directory demands a newer version.
    VersionTooOld,
    /// The server is not on the directory's white list.
    RequirementsNotFulfilled,
}

impl RegistrationStatus {
    /// The name in the remote control's answers (spec 6.3).
    #[must_use]
    pub const fn rpc_name(self) -> &'static str {
        match self {
            Self::NotRegistered => "not_registered",
            Self::BadAddress => "bad_address",
            Self::Requested => "requested",
            Self::TimeOut => "time_out",
            Self::Registered => "registered",
            Self::ListFull => "directory_server_full",
            Self::VersionTooOld => "server_version_too_old",
            Self::RequirementsNotFulfilled => "requirements_not_fulfilled",
        }
    }
}

impl fmt::Display for RegistrationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NotRegistered => "Not registered",
            Self::BadAddress => "Bad address",
            Self::Requested => "Registration requested",
            Self::TimeOut => "Registration failed",
            Self::Registered => "Registered",
            Self::ListFull => "Server list full at directory",
            Self::VersionTooOld => "Your server version is too old",
            Self::RequirementsNotFulfilled => "Requirements not fulfilled",
        })
    }
}

impl From<RegistrationResult> for RegistrationStatus {
    fn from(result: RegistrationResult) -> Self {
        match result {
            RegistrationResult::Registered => Self::Registered,
            RegistrationResult::ListFull => Self::ListFull,
            RegistrationResult::VersionTooOld => Self::VersionTooOld,
            RegistrationResult::RequirementsNotFulfilled => Self::RequirementsNotFulfilled,
        }
    }
}

/// What a [`Registrar`] has counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct RegistrarStats {
    /// Registrations sent, repetitions included.
    pub registrations_sent: u64,
    /// Answers taken.
    pub results_received: u64,
    /// Hole punches sent for the directory.
    pub punches_sent: u64,
    /// Hole punches not sent: too many, or to no possible address.
    pub punches_refused: u64,
    /// Answers and hole punch requests that came from somebody else than the directory.
    pub messages_from_strangers: u64,
}

/// Keeps a server on a directory's list (spec 6.2, 6.3).
///
/// ```text
///                Start                resolved               1016
///   NotRegistered ───▶ Requested(name) ─────▶ Requested(1 to 5) ──▶ Registered, ListFull, ...
///        ▲                 │ ▲    no address      │ 5 x 500 ms              │
///        │                 ▼ │                    ▼                         │
///        │           BadAddress, TimeOut ◀────────┘                         │
///        └── Stop (1005) ──┘ └───────────────── every 15 min, Describe ─────┘
/// ```
///
/// The contract of all machines holds: feed it, then drain [`poll_output`](Self::poll_output), then sleep until
/// [`poll_timeout`](Self::poll_timeout). Only the resolved directory is listened to.
///
/// ```
/// use jam_proto::directory::{Registrar, RegistrarCommand, RegistrarConfig, RegistrarInput, RegistrarOutput};
/// use jam_proto::message::{OsType, Registration, VersionAndOs};
/// use jam_proto::tables::Country;
/// # let now = std::time::Instant::now();
/// let registration = Registration {
///     internal_port: 22124,
///     country: Country(82),
///     clients_max: 10,
///     permanent: false,
///     name: "Cellar".try_into()?,
///     internal_address: None,
///     city: "Köln".try_into()?,
/// };
/// let version = VersionAndOs { os: OsType::LINUX, version: "3.12.0".try_into()? };
/// let mut registrar = Registrar::new(RegistrarConfig::new("directory.example:22124", registration, version));
///
/// registrar.command(now, RegistrarCommand::Start);
/// while let Some(output) = registrar.poll_output() {
///     match output {
///         RegistrarOutput::Resolve(_name) => { /* later: handle_input(now, RegistrarInput::Resolved(...)) */ }
///         RegistrarOutput::Transmit(_datagram) => { /* send it from the server's socket */ }
///         RegistrarOutput::Status(status) => println!("Server Registration Status update: {status}"),
///         _ => {}
///     }
/// }
/// # Ok::<(), jam_proto::message::TextTooLong>(())
/// ```
#[derive(Debug)]
pub struct Registrar {
    config: RegistrarConfig,
    phase: Phase,
    status: RegistrationStatus,
    directory: Option<SocketAddr>,
    registered_since: Option<Instant>,
    refresh_at: Option<Instant>,
    keep_alive_at: Option<Instant>,
    punches: Bucket,
    outputs: VecDeque<RegistrarOutput>,
    frames: FrameWriter,
    stats: RegistrarStats,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Not wanted.
    Idle,
    /// Waiting for the owner's resolver.
    Resolving,
    /// So many requests were sent; the next one, or giving up, is due then.
    Requesting { sent: u32, again_at: Instant },
    /// Answered or given up until the next refresh.
    Settled,
}

impl Registrar {
    /// A registration is renewed this often.
    pub const REFRESH_EVERY: Duration = Duration::from_secs(15 * 60);
    /// A request is repeated after this time without an answer.
    pub const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);
    /// So many requests are sent in all.
    pub const REQUESTS_MAX: u32 = 5;
    /// A server that has been registered for this long calls itself permanent.
    pub const PERMANENT_AFTER: Duration = Duration::from_secs(48 * 60 * 60);
    /// Outputs kept for an owner that does not drain them; hole punches beyond are dropped.
    const OUTPUTS_MAX: usize = 1_024;

    /// A machine at rest: [`RegistrarCommand::Start`] sets it going.
    #[must_use]
    pub fn new(config: RegistrarConfig) -> Self {
        Self {
            punches: Bucket::new(u64::from(config.punches_per_s_max) * 4),
            config,
            phase: Phase::Idle,
            status: RegistrationStatus::default(),
            directory: None,
            registered_since: None,
            refresh_at: None,
            keep_alive_at: None,
            outputs: VecDeque::new(),
            frames: FrameWriter::new(),
            stats: RegistrarStats::default(),
        }
    }

    /// Takes what happened.
    pub fn handle_input(&mut self, now: Instant, input: RegistrarInput<'_>) {
        match input {
            RegistrarInput::Datagram { src, payload } => {
                if let Some(message) = parse(payload) {
                    self.handle(now, src, &message);
                }
            }
            RegistrarInput::Resolved(address) => self.on_resolved(now, address),
            RegistrarInput::Timeout => self.on_timeout(now),
        }
    }

    /// Takes a message that the server's socket received. `false`: it is none of the registrar's.
    pub fn handle(&mut self, now: Instant, src: SocketAddr, message: &Connectionless) -> bool {
        let from_directory = self.directory == Some(canonical(src));
        match message {
            Connectionless::RegistrationResult(_) | Connectionless::SendEmpty(_) if !from_directory => {
                self.stats.messages_from_strangers += 1;
            }
            Connectionless::RegistrationResult(result) => self.on_result(now, *result),
            Connectionless::SendEmpty(address) => self.on_punch(now, SocketAddr::V4(*address)),
            Connectionless::Empty => {}
            _ => return false,
        }
        true
    }

    /// Does what the owner wants.
    pub fn command(&mut self, now: Instant, command: RegistrarCommand) {
        match command {
            RegistrarCommand::Start => self.start(now),
            RegistrarCommand::Stop => self.stop(),
            RegistrarCommand::Describe(registration) => {
                self.config.registration = registration;
                if !matches!(self.phase, Phase::Idle) {
                    self.start(now);
                }
            }
        }
    }

    /// What the machine wants next, in order; `None` when all is said.
    pub fn poll_output(&mut self) -> Option<RegistrarOutput> {
        self.outputs.pop_front()
    }

    /// When to come back with [`RegistrarInput::Timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let again_at = match self.phase {
            Phase::Requesting { again_at, .. } => Some(again_at),
            _ => None,
        };
        [again_at, self.refresh_at, self.keep_alive_at].into_iter().flatten().min()
    }

    /// Where the registration stands.
    #[must_use]
    pub const fn status(&self) -> RegistrationStatus {
        self.status
    }

    /// The directory's address since it was last resolved.
    #[must_use]
    pub const fn directory(&self) -> Option<SocketAddr> {
        self.directory
    }

    /// What was counted.
    #[must_use]
    pub const fn stats(&self) -> RegistrarStats {
        self.stats
    }

    fn start(&mut self, now: Instant) {
        self.refresh_at = Some(now + Self::REFRESH_EVERY);
        self.phase = Phase::Resolving;
        self.push(RegistrarOutput::Resolve(Arc::clone(&self.config.directory)));
        self.set_status(RegistrationStatus::Requested);
    }

    fn stop(&mut self) {
        self.send(&Connectionless::UnregisterServer);
        self.phase = Phase::Idle;
        self.directory = None;
        self.registered_since = None;
        self.refresh_at = None;
        self.keep_alive_at = None;
        self.set_status(RegistrationStatus::NotRegistered);
    }

    fn on_resolved(&mut self, now: Instant, address: Option<SocketAddr>) {
        if !matches!(self.phase, Phase::Resolving) {
            return;
        }
        let Some(address) = address.map(canonical) else {
            self.phase = Phase::Settled;
            self.set_status(RegistrationStatus::BadAddress);
            return;
        };
        self.directory = Some(address);
        self.keep_alive_at.get_or_insert(now + KEEP_ALIVE_EVERY);
        self.request(now, 1);
    }

    fn request(&mut self, now: Instant, sent: u32) {
        let mut registration = self.config.registration.clone();
        registration.permanent = self
            .registered_since
            .is_some_and(|since| now.saturating_duration_since(since) >= Self::PERMANENT_AFTER);
        registration.internal_address.get_or_insert(Ipv4Addr::LOCALHOST);
        let version = self.config.version.clone();
        self.send(&Connectionless::RegisterServerEx(registration, version));
        self.stats.registrations_sent += 1;
        self.phase = Phase::Requesting { sent, again_at: now + Self::ANSWER_TIMEOUT };
    }

    fn on_result(&mut self, now: Instant, result: RegistrationResult) {
        self.stats.results_received += 1;
        // An answer may come after the last repetition, but not while the name is being looked up anew.
        if matches!(self.phase, Phase::Requesting { .. } | Phase::Settled) {
            self.phase = Phase::Settled;
            if result == RegistrationResult::Registered {
                self.registered_since.get_or_insert(now);
            } else {
                self.registered_since = None;
            }
            self.set_status(result.into());
        }
    }

    fn on_punch(&mut self, now: Instant, address: SocketAddr) {
        let possible = address.port() != 0 && !address.ip().is_unspecified() && !address.ip().is_multicast();
        let within_rate = self.punches.take(now, 1, u64::from(self.config.punches_per_s_max));
        if !possible || !within_rate || self.outputs.len() >= Self::OUTPUTS_MAX {
            self.stats.punches_refused += 1;
            return;
        }
        self.stats.punches_sent += 1;
        let payload = Connectionless::Empty.frame(&mut self.frames);
        self.push(RegistrarOutput::Transmit(Transmit { dst: address, payload }));
    }

    fn on_timeout(&mut self, now: Instant) {
        if let Phase::Requesting { sent, again_at } = self.phase
            && again_at <= now
        {
            if sent < Self::REQUESTS_MAX {
                self.request(now, sent + 1);
            } else {
                self.phase = Phase::Settled;
                self.set_status(RegistrationStatus::TimeOut);
            }
        }
        if self.keep_alive_at.is_some_and(|at| at <= now) {
            self.keep_alive_at = Some(now + KEEP_ALIVE_EVERY);
            self.send(&Connectionless::Empty);
        }
        if self.refresh_at.is_some_and(|at| at <= now) {
            self.start(now);
        }
    }

    /// Sends to the directory, if it is known.
    fn send(&mut self, message: &Connectionless) {
        if let Some(dst) = self.directory {
            let payload = message.frame(&mut self.frames);
            self.push(RegistrarOutput::Transmit(Transmit { dst, payload }));
        }
    }

    fn set_status(&mut self, status: RegistrationStatus) {
        if self.status != status {
            self.status = status;
            self.push(RegistrarOutput::Status(status));
        }
    }

    fn push(&mut self, output: RegistrarOutput) {
        // All but hole punches come from the owner's own calls; a few per call, and `OUTPUTS_MAX` bounds the punches.
        self.outputs.push_back(output);
    }
}

/// A datagram as a connectionless message, if it is a well-formed one.
pub(super) fn parse(datagram: &[u8]) -> Option<Connectionless> {
    let frame = Frame::parse(datagram).filter(Frame::is_connectionless)?;
    Connectionless::parse(frame.id, frame.body).ok().flatten()
}
