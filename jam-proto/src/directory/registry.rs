//! Being a directory: entries, their expiry, and answering those who ask for them.

use super::budget::{Purse, Verdict};
use super::config::{DirectoryCommand, DirectoryConfig, DirectoryOutput, DirectoryStats};
use super::event::{DirectoryEvent, Origin};
use super::file::{FileFault, FileWarning, emit_line, parse_line};
use super::registrar::parse;
use super::{KEEP_ALIVE_EVERY, is_local};
use crate::message::{
    Connectionless, ReducedServerListEntry, Registration, RegistrationResult, ServerListEntry, VersionAndOs,
};
use crate::wire::{BODY_BYTES_MAX, FRAME_OVERHEAD_BYTES, FrameWriter};
use crate::{Input, Transmit, canonical};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

/// A listed server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// The source of its registration, which is its key.
    pub address: SocketAddrV4,
    /// What it says about itself.
    pub registration: Registration,
    /// When it vanishes unless it registers again; `None` never.
    pub expires_at: Option<Instant>,
}

impl Listed {
    fn origin(&self) -> Origin {
        Origin::of(*self.address.ip())
    }

    fn internal(&self) -> SocketAddrV4 {
        internal(&self.registration)
    }

    /// Where a client reaches this server (spec 6.5).
    ///
    /// Clients of the directory's own network get the address the directory sees. Clients outside get the internal
    /// address of local servers, which therefore announce their public one; and a client behind the same router as an
    /// outside server gets that server's address in their common network.
    fn shown_to(&self, client: SocketAddrV4) -> SocketAddrV4 {
        let same_router = client.ip() == self.address.ip();
        if is_local(*client.ip()) || (self.origin() == Origin::External && !same_router) {
            self.address
        } else {
            self.internal()
        }
    }
}

fn internal(registration: &Registration) -> SocketAddrV4 {
    let address = registration.internal_address.unwrap_or(Ipv4Addr::LOCALHOST);
    SocketAddrV4::new(address, registration.internal_port)
}

/// A directory (spec 6): keeps the list of registered servers and gives it to those who ask.
///
/// The contract of all machines holds: feed it, then drain [`poll_output`](Self::poll_output), then sleep until
/// [`poll_timeout`](Self::poll_timeout). What it gives to strangers is limited as [`ListBudget`](super::ListBudget) describes.
///
/// ```
/// use jam_proto::directory::{Directory, DirectoryConfig, DirectoryOutput};
/// use jam_proto::message::Connectionless;
/// use jam_proto::wire::FrameWriter;
/// # let now = std::time::Instant::now();
/// let mut directory = Directory::new(DirectoryConfig::default());
///
/// let wants_list = Connectionless::RequestServerList.frame(&mut FrameWriter::new());
/// let src = "192.0.2.7:22134".parse()?;
/// directory.handle_input(now, jam_proto::Input::Datagram { src, payload: &wants_list });
/// let answers = std::iter::from_fn(|| directory.poll_output()).count();
/// assert_eq!(answers, 2, "the reduced list and the full one");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug)]
pub struct Directory {
    config: DirectoryConfig,
    /// In the order of their first registration.
    entries: Vec<Listed>,
    purse: Purse,
    expiry_poll_at: Option<Instant>,
    keep_alive_at: Option<Instant>,
    outputs: VecDeque<DirectoryOutput>,
    frames: FrameWriter,
    stats: DirectoryStats,
}

impl Directory {
    /// The list is looked through for expired entries this often.
    pub const EXPIRY_POLL_EVERY: Duration = Duration::from_secs(60);
    /// What one hole punch costs of a [`ListBudget`](super::ListBudget): a frame of 15 bytes to the server and one of 9 from it.
    const PUNCH_BYTES: usize = 24;

    /// A directory that lists only itself.
    #[must_use]
    pub fn new(config: DirectoryConfig) -> Self {
        Self {
            purse: Purse::new(&config.limits.budget),
            config,
            entries: Vec::new(),
            expiry_poll_at: None,
            keep_alive_at: None,
            outputs: VecDeque::new(),
            frames: FrameWriter::new(),
            stats: DirectoryStats::default(),
        }
    }

    /// Bytes held now, without the machine itself.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let texts = |listed: &Listed| listed.registration.name.len() + listed.registration.city.len();
        let outputs: usize = self
            .outputs
            .iter()
            .map(|output| match output {
                DirectoryOutput::Transmit(transmit) => transmit.payload.len(),
                DirectoryOutput::Event(_) => 0,
            })
            .sum();
        self.entries.capacity() * size_of::<Listed>()
            + self.entries.iter().map(texts).sum::<usize>()
            + self.purse.memory_bytes()
            + self.outputs.capacity() * size_of::<DirectoryOutput>()
            + outputs
    }

    /// What [`memory_bytes`](Self::memory_bytes) never exceeds while outputs are drained after every call.
    #[must_use]
    pub fn memory_bytes_max(&self) -> usize {
        let limits = &self.config.limits;
        // Name and city have 20 characters each, of four bytes at most.
        let entry = size_of::<Listed>() + 2 * 80;
        // One call gives both lists and a hole punch for each entry, or one answer.
        let outputs = 2 * (limits.entries_max + 2) * (size_of::<DirectoryOutput>() + 16) + 2 * BODY_BYTES_MAX;
        2 * limits.entries_max * entry + Purse::memory_bytes_max(&limits.budget) + outputs
    }

    /// Takes what happened. Datagrams that are nothing to a directory are ignored.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Datagram { src, payload } => {
                if let Some(message) = parse(payload) {
                    self.handle(now, src, &message);
                }
            }
            _ => self.on_timeout(now),
        }
    }

    /// Takes a message that the server's socket received. `false`: it is none of a directory's.
    pub fn handle(&mut self, now: Instant, src: SocketAddr, message: &Connectionless) -> bool {
        let (registration, version) = match message {
            Connectionless::RegisterServer(registration) => (Some(registration), None),
            Connectionless::RegisterServerEx(registration, version) => (Some(registration), Some(version)),
            Connectionless::UnregisterServer | Connectionless::RequestServerList => (None, None),
            Connectionless::Empty => return true,
            _ => return false,
        };
        let SocketAddr::V4(src) = canonical(src) else {
            self.stats.messages_ipv6 += 1;
            return true;
        };
        match (message, registration) {
            (_, Some(registration)) => self.on_registration(now, src, registration, version),
            (Connectionless::RequestServerList, _) => self.on_list_request(now, src),
            _ => self.on_unregister(src),
        }
        true
    }

    /// Does what the owner wants.
    pub fn command(&mut self, command: DirectoryCommand) {
        match command {
            DirectoryCommand::Describe(own) => self.config.own = own,
            DirectoryCommand::Filter(filter) => self.config.filter = filter,
            DirectoryCommand::Remove(address) => self.on_unregister(address),
        }
    }

    /// What the machine wants next, in order; `None` when all is said.
    pub fn poll_output(&mut self) -> Option<DirectoryOutput> {
        self.outputs.pop_front()
    }

    /// When to come back with [`Input::Timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.expiry_poll_at, self.keep_alive_at].into_iter().flatten().min()
    }

    /// The listed servers, longest listed first, without the directory itself.
    #[must_use]
    pub fn entries(&self) -> &[Listed] {
        &self.entries
    }

    /// What was counted.
    #[must_use]
    pub const fn stats(&self) -> DirectoryStats {
        let mut stats = self.stats;
        stats.entries = self.entries.len();
        stats
    }

    /// The list as text for a file, one line per entry, newest first (spec 6.4).
    #[must_use]
    pub fn save(&self) -> String {
        let mut text = String::new();
        for entry in self.entries.iter().rev() {
            text.push_str(&emit_line(entry.address, &entry.registration));
            text.push('\n');
        }
        text
    }

    /// Takes the entries of a file written by [`save`](Self::save) or by a shipped directory whose country numbers are
    /// those of the wire. Each lives as if it had registered now. Lines that cannot be used are returned.
    pub fn restore(&mut self, now: Instant, text: &str) -> Vec<FileWarning> {
        let mut warnings = Vec::new();
        let mut restored: Vec<(SocketAddrV4, Registration)> = Vec::new();
        for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
            let fault = match parse_line(text) {
                Err(fault) => fault,
                Ok((address, _))
                    if self.is_known(address) || restored.iter().any(|(known, _)| *known == address) =>
                {
                    FileFault::Duplicate
                }
                Ok(_) if self.entries.len() + restored.len() >= self.others_max() => FileFault::Full,
                Ok(entry) => {
                    restored.push(entry);
                    continue;
                }
            };
            warnings.push(FileWarning { line, fault });
        }
        for (address, registration) in restored.into_iter().rev() {
            self.append(now, address, registration);
        }
        warnings
    }

    fn on_registration(
        &mut self,
        now: Instant,
        src: SocketAddrV4,
        registration: &Registration,
        version: Option<&VersionAndOs>,
    ) {
        self.stats.registrations_received += 1;
        self.push(DirectoryOutput::Event(DirectoryEvent::Requested {
            address: src,
            internal: internal(registration),
            name: registration.name.clone(),
            origin: Origin::of(*src.ip()),
        }));
        let known = self.is_known(src);
        let result = self.decide(now, src, registration, version);
        if result != RegistrationResult::Registered {
            self.stats.registrations_refused += 1;
        }
        self.send(src, &Connectionless::RegistrationResult(result));
        if !known || result != RegistrationResult::Registered {
            self.push(DirectoryOutput::Event(DirectoryEvent::Answered { address: src, result }));
        }
    }

    /// In the order of spec 6.3.
    fn decide(
        &mut self,
        now: Instant,
        src: SocketAddrV4,
        registration: &Registration,
        version: Option<&VersionAndOs>,
    ) -> RegistrationResult {
        if !self.config.filter.admits_version(version.map(VersionAndOs::numbers)) {
            return RegistrationResult::VersionTooOld;
        }
        if !self.config.filter.admits(*src.ip()) {
            return RegistrationResult::RequirementsNotFulfilled;
        }
        let expires_at = now.checked_add(self.config.limits.entry_life);
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.address == src) {
            entry.registration = registration.clone();
            entry.expires_at = expires_at;
            return RegistrationResult::Registered;
        }
        let of_address = self.entries.iter().filter(|entry| entry.address.ip() == src.ip()).count();
        if self.entries.len() >= self.others_max() || of_address >= self.config.limits.entries_per_address_max
        {
            return RegistrationResult::ListFull;
        }
        self.append(now, src, registration.clone());
        RegistrationResult::Registered
    }

    fn append(&mut self, now: Instant, address: SocketAddrV4, registration: Registration) {
        self.expiry_poll_at.get_or_insert(now + Self::EXPIRY_POLL_EVERY);
        self.keep_alive_at.get_or_insert(now + KEEP_ALIVE_EVERY);
        let expires_at = now.checked_add(self.config.limits.entry_life);
        self.entries.push(Listed { address, registration, expires_at });
    }

    fn on_unregister(&mut self, src: SocketAddrV4) {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.address != src);
        if self.entries.len() < before {
            self.push(DirectoryOutput::Event(DirectoryEvent::Unregistered { address: src }));
        }
    }

    fn on_list_request(&mut self, now: Instant, client: SocketAddrV4) {
        self.stats.list_requests += 1;
        // Priced before anything is built: a flood of requests costs a look at the list each.
        let bytes = self.answer_bytes();
        match self.purse.pay(now, *client.ip(), bytes, &self.config.limits.budget) {
            Verdict::Granted => self.stats.lists_sent += 1,
            Verdict::SourceExceeded => {
                self.stats.lists_refused_source += 1;
                return;
            }
            Verdict::TotalExceeded => {
                self.stats.lists_refused_total += 1;
                return;
            }
        }
        let address =
            self.config.public_address.filter(|_| is_local(*client.ip())).unwrap_or_else(|| *client.ip());
        let punch =
            Connectionless::SendEmpty(SocketAddrV4::new(address, client.port())).frame(&mut self.frames);
        let outside = self.entries.iter().filter(|entry| entry.origin() == Origin::External);
        let servers: Vec<SocketAddrV4> = outside.map(|entry| entry.address).collect();
        for server in servers {
            if self.purse.permits_punch(now, *server.ip(), &self.config.limits.budget) {
                self.stats.punches_requested += 1;
                self.transmit(server, punch.clone());
            } else {
                self.stats.punches_limited += 1;
            }
        }
        self.send(client, &self.reduced_list(client));
        self.send(client, &self.full_list(client));
    }

    /// What an answer costs: both lists and the hole punches. The same for all clients.
    pub(super) fn answer_bytes(&self) -> u64 {
        let own = (self.config.own.name.len(), self.config.own.city.len());
        let others = self.entries.iter().map(|e| (e.registration.name.len(), e.registration.city.len()));
        let (mut reduced, mut full) = (0, 0);
        for (name, city) in [own].into_iter().chain(others) {
            reduced += ReducedServerListEntry::FIXED_BYTES + name;
            full += ServerListEntry::FIXED_BYTES + name + city;
        }
        let frames = reduced.min(BODY_BYTES_MAX) + full.min(BODY_BYTES_MAX) + 2 * FRAME_OVERHEAD_BYTES;
        let punches = self.entries.iter().filter(|entry| entry.origin() == Origin::External).count();
        (frames + punches * Self::PUNCH_BYTES) as u64
    }

    fn reduced_list(&self, client: SocketAddrV4) -> Connectionless {
        let own = ReducedServerListEntry { address: NOWHERE, name: self.config.own.name.clone() };
        let others = self.entries.iter().map(|entry| ReducedServerListEntry {
            address: entry.shown_to(client),
            name: entry.registration.name.clone(),
        });
        Connectionless::ReducedServerList([own].into_iter().chain(others).collect())
    }

    fn full_list(&self, client: SocketAddrV4) -> Connectionless {
        let own = &self.config.own;
        let own = ServerListEntry {
            address: NOWHERE,
            country: own.country,
            clients_max: own.clients_max,
            permanent: true,
            name: own.name.clone(),
            city: own.city.clone(),
        };
        let others = self.entries.iter().map(|entry| ServerListEntry {
            address: entry.shown_to(client),
            country: entry.registration.country,
            clients_max: entry.registration.clients_max,
            permanent: entry.registration.permanent,
            name: entry.registration.name.clone(),
            city: entry.registration.city.clone(),
        });
        Connectionless::ServerList([own].into_iter().chain(others).collect())
    }

    fn on_timeout(&mut self, now: Instant) {
        if self.expiry_poll_at.is_some_and(|at| at <= now) {
            self.expiry_poll_at = Some(now + Self::EXPIRY_POLL_EVERY);
            self.expire(now);
        }
        if self.keep_alive_at.is_some_and(|at| at <= now) {
            self.keep_alive_at = Some(now + KEEP_ALIVE_EVERY);
            let empty = Connectionless::Empty.frame(&mut self.frames);
            let servers: Vec<SocketAddrV4> = self.entries.iter().map(|entry| entry.address).collect();
            for server in servers {
                self.transmit(server, empty.clone());
            }
        }
        if self.entries.is_empty() {
            self.expiry_poll_at = None;
            self.keep_alive_at = None;
        }
    }

    fn expire(&mut self, now: Instant) {
        let is_expired = |entry: &Listed| entry.expires_at.is_some_and(|at| at <= now);
        let expired: Vec<SocketAddrV4> =
            self.entries.iter().filter(|e| is_expired(e)).map(|e| e.address).collect();
        self.entries.retain(|entry| !is_expired(entry));
        for address in expired {
            self.stats.entries_expired += 1;
            self.push(DirectoryOutput::Event(DirectoryEvent::Expired { address }));
        }
    }

    fn is_known(&self, address: SocketAddrV4) -> bool {
        self.entries.iter().any(|entry| entry.address == address)
    }

    /// Room for entries besides the directory's own.
    const fn others_max(&self) -> usize {
        self.config.limits.entries_max.saturating_sub(1)
    }

    fn send(&mut self, dst: SocketAddrV4, message: &Connectionless) {
        let payload = message.frame(&mut self.frames);
        self.transmit(dst, payload);
    }

    fn transmit(&mut self, dst: SocketAddrV4, payload: bytes::Bytes) {
        self.push(DirectoryOutput::Transmit(Transmit { dst: dst.into(), payload }));
    }

    fn push(&mut self, output: DirectoryOutput) {
        if self.outputs.len() < self.config.limits.outputs_max {
            self.outputs.push_back(output);
        } else {
            self.stats.outputs_dropped += 1;
        }
    }
}

/// How a directory writes its own address.
const NOWHERE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
