//! Answers to requests that need no connection, from an immutable snapshot (spec 2.3).
//!
//! A driver may keep a [`Responder`] on its receiving thread: pings are then truthful whatever the mixer is doing. A
//! driver with one thread needs none, because a [`Server`](crate::Server) has one inside.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::config::ServerConfig;
use crate::guard::{Bans, Guard, Loan};
use crate::io::canonical;
use crate::message::{Connectionless, RecorderState, id};
use crate::stats::ServerStats;
use crate::wire::{Frame, FrameWriter};

/// What anybody may be told, and who may not, at one moment. Frames are complete and shared.
#[derive(Clone, Debug)]
pub struct Snapshot {
    config: Arc<ServerConfig>,
    bans: Bans,
    clients: u8,
    /// Addresses that own a channel, sorted.
    connected: Box<[SocketAddr]>,
    version: Bytes,
    list: Bytes,
    features: Bytes,
    welcome: Bytes,
}

impl Snapshot {
    pub(crate) fn new(
        config: Arc<ServerConfig>,
        bans: Bans,
        recorder: RecorderState,
        list_body: &[u8],
        mut connected: Vec<SocketAddr>,
        writer: &mut FrameWriter,
    ) -> Self {
        connected.sort_unstable();
        let welcome = crate::message::ChatText::cut(config.welcome());
        Self {
            clients: u8::try_from(connected.len()).unwrap_or(u8::MAX),
            connected: connected.into_boxed_slice(),
            version: Connectionless::VersionAndOs(config.version().clone()).frame(writer),
            list: writer.frame(id::CLM_CONN_CLIENTS_LIST, 0, list_body),
            features: Connectionless::ServerFeatures(config.feature_bits(recorder)).frame(writer),
            welcome: Connectionless::WelcomeMessage(welcome).frame(writer),
            config,
            bans,
        }
    }

    /// Whether an address may be told anything: allowed, neither denied nor banned.
    #[must_use]
    pub fn admits(&self, now: Instant, ip: IpAddr) -> bool {
        self.config.admits(ip) && !self.bans.contain(now, ip)
    }

    /// How many musicians are connected.
    #[must_use]
    pub const fn clients(&self) -> u8 {
        self.clients
    }

    /// Whether an address owns a channel.
    #[must_use]
    pub fn is_connected(&self, addr: SocketAddr) -> bool {
        self.connected.binary_search(&canonical(addr)).is_ok()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.connected.len() * size_of::<SocketAddr>()
            + self.version.len()
            + self.list.len()
            + self.features.len()
            + self.welcome.len()
    }
}

/// What a [`Responder`] makes of a datagram.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Answer {
    /// Audio, a message of a connection or of a directory: hand it to the [`Server`](crate::Server).
    NotMine,
    /// Dealt with; nothing is to be sent.
    Silent,
    /// Send this to where the datagram came from.
    Reply(Bytes),
}

/// Answers pings and questions about version, clients, features and welcome message.
///
/// ```
/// use jam_proto::{Answer, Responder, Server, ServerConfig};
/// # let now = std::time::Instant::now();
///
/// let config = ServerConfig::builder().build()?;
/// let server = Server::new(config.clone(), 1, now);
/// let mut responder = Responder::new(&config, 2, now);
/// let ping = b"\x00\x00\xe9\x03\x00\x04\x00\x78\x56\x34\x12\x95\xb0";
/// let answer = responder.answer(now, &server.snapshot(), "192.0.2.1:22134".parse()?, ping);
/// assert_eq!(answer, Answer::Reply(ping[..].into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Responder {
    pub(crate) guard: Guard,
    writer: FrameWriter,
    pub(crate) stats: ServerStats,
}

impl Responder {
    /// A responder with books of its own about strangers.
    #[must_use]
    pub fn new(config: &ServerConfig, seed: u64, now: Instant) -> Self {
        Self {
            guard: Guard::new(config.limits().guard.clone(), seed, now),
            writer: FrameWriter::new(),
            stats: ServerStats::default(),
        }
    }

    /// Answers a datagram if it is a request without connection.
    pub fn answer(&mut self, now: Instant, snapshot: &Snapshot, src: SocketAddr, payload: &[u8]) -> Answer {
        let Some(frame) = Frame::parse(payload).filter(Frame::is_connectionless) else {
            return Answer::NotMine;
        };
        if frame.id == id::CLM_DISCONNECTION || is_of_directories(frame.id) {
            return Answer::NotMine;
        }
        let src = canonical(src);
        self.stats.datagrams += 1;
        let is_stranger = !snapshot.is_connected(src);
        if is_stranger {
            if !snapshot.admits(now, src.ip()) {
                self.stats.datagrams_denied += 1;
                return Answer::Silent;
            }
            self.guard.received(now, src.ip(), payload.len());
        }
        self.answer_frame(now, snapshot, src, frame, is_stranger)
    }

    /// Answers a frame whose bytes have been credited already.
    pub(crate) fn answer_frame(
        &mut self,
        now: Instant,
        snapshot: &Snapshot,
        src: SocketAddr,
        frame: Frame<'_>,
        is_stranger: bool,
    ) -> Answer {
        let ping = |time_ms: Option<u32>, writer: &mut FrameWriter| match (frame.id, time_ms) {
            (id::CLM_PING_MS, Some(time_ms)) => Some(Connectionless::Ping { time_ms }.frame(writer)),
            (_, Some(time_ms)) => {
                let clients = snapshot.clients;
                Some(Connectionless::PingWithClients { time_ms, clients }.frame(writer))
            }
            _ => None,
        };
        let (reply, loan) = match frame.id {
            id::CLM_PING_MS => {
                let time_ms = frame.body.try_into().ok().map(u32::from_le_bytes);
                (ping(time_ms, &mut self.writer), Loan::Never)
            }
            id::CLM_PING_MS_WITHNUMCLIENTS => {
                let time_ms = match *frame.body {
                    [a, b, c, d, _] => Some(u32::from_le_bytes([a, b, c, d])),
                    _ => None,
                };
                (ping(time_ms, &mut self.writer), Loan::Never)
            }
            id::CLM_REQ_VERSION_AND_OS => (Some(snapshot.version.clone()), Loan::Allowed),
            id::CLM_REQ_CONN_CLIENTS_LIST => (Some(snapshot.list.clone()), Loan::Allowed),
            id::CLM_REQ_SERVER_FEATURES => (Some(snapshot.features.clone()), Loan::Allowed),
            id::CLM_REQ_WELCOME_MESSAGE => (Some(snapshot.welcome.clone()), Loan::Allowed),
            // Answers, keep-alives and what we do not know: heard and ignored.
            _ => return Answer::Silent,
        };
        let Some(reply) = reply else {
            self.stats.requests_malformed += 1;
            return Answer::Silent;
        };
        let is_within_rate = if is_stranger {
            self.guard.permits_request(now, src.ip(), reply.len())
        } else {
            self.guard.permits_request_of_member(now, src, reply.len())
        };
        if !is_within_rate {
            self.stats.requests_limited += 1;
            return Answer::Silent;
        }
        if is_stranger && !self.guard.permits_bytes(now, src.ip(), reply.len(), loan) {
            self.stats.requests_unpaid += 1;
            return Answer::Silent;
        }
        self.stats.requests_answered += 1;
        Answer::Reply(reply)
    }

    /// Takes the limits of a new configuration.
    pub fn reload(&mut self, config: &ServerConfig) {
        self.guard.set_limits(config.limits().guard.clone());
    }

    /// A copy of the counters; only those about datagrams and requests move.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        ServerStats { bytes_loaned: self.guard.loaned_bytes, ..self.stats }
    }

    /// Bytes held.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.guard.memory_bytes()
    }
}

/// Messages between servers and directories. Empty messages are heard and ignored by everybody.
pub(crate) const fn is_of_directories(id: u16) -> bool {
    matches!(
        id,
        id::CLM_REGISTER_SERVER
            | id::CLM_UNREGISTER_SERVER
            | id::CLM_SERVER_LIST
            | id::CLM_REQ_SERVER_LIST
            | id::CLM_SEND_EMPTY_MESSAGE
            | id::CLM_REGISTER_SERVER_RESP
            | id::CLM_REGISTER_SERVER_EX
            | id::CLM_RED_SERVER_LIST
    )
}
