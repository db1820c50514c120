//! Why a connection ends, and what refuses a call of its owner.

use std::time::Duration;

use crate::amf::AmfError;
use crate::message::{ControlError, status};

/// Why an RTMP connection ended. Nothing after the error can be trusted: send what waits in `outgoing`, then close.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The peer does not speak RTMP, or not the kind we speak. Retrying does not help.
    #[error("handshake: {0}")]
    Handshake(#[from] HandshakeError),
    /// The peer broke the chunk layer.
    #[error("chunk stream {csid}: {kind}")]
    Chunk {
        /// The chunk stream id.
        csid: u32,
        /// What was wrong with it.
        kind: ChunkError,
    },
    /// The peer asked for more than our limits allow. Do not retry.
    #[error("limit exceeded: {0}")]
    Limit(#[from] LimitExceeded),
    /// A command could not be read.
    #[error("command: {0}")]
    Amf(#[from] AmfError),
    /// A control message could not be read.
    #[error("control message: {0}")]
    Control(#[from] ControlError),
    /// The peer did not do what had to come next in time. Retrying is reasonable.
    #[error("peer was silent for {after:?} ({waiting})")]
    Silent {
        /// What we waited for.
        waiting: Waiting,
        /// How long.
        after: Duration,
    },
}

impl ConnectionError {
    /// The `onStatus` code that tells the peer why, when there is one that fits.
    pub fn status_code(&self) -> Option<&'static str> {
        match self {
            Self::Limit(_) | Self::Amf(_) => Some(status::code::CONNECT_REJECTED),
            Self::Silent { .. } => Some(status::code::CONNECT_CLOSED),
            Self::Handshake(_) | Self::Chunk { .. } | Self::Control(_) => None,
        }
    }
}

/// What a connection was waiting for when its time ran out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Waiting {
    /// C0 and C1, or S0, S1 and S2.
    #[error("first part of the handshake")]
    Hello,
    /// C2.
    #[error("second part of the handshake")]
    HandshakeEnd,
    /// The `connect` command.
    #[error("connect")]
    Connect,
    /// `publish` or `play`.
    #[error("publish or play")]
    Request,
    /// The answer to a command.
    #[error("answer")]
    Answer,
    /// Audio or video.
    #[error("media")]
    Media,
    /// The end of a pause.
    #[error("end of a pause")]
    Resume,
    /// Anything after a ping.
    #[error("answer to a ping")]
    Pong,
}

/// Why a handshake cannot go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// Not RTMP at all; the first byte looks like an HTTP request.
    #[error("peer speaks HTTP (first byte {0:#04x})")]
    Http(u8),
    /// A TLS client hello on a plain port: the peer wants `rtmps`.
    #[error("peer speaks TLS; offer rtmps on another port")]
    Tls,
    /// RTMPE (encrypted RTMP) is not supported.
    #[error("peer asks for encrypted RTMP (version {0})")]
    Encrypted(u8),
    /// Another protocol or version.
    #[error("unknown protocol version {0}")]
    Version(u8),
    /// A forwarded-address header came from a peer that is not a trusted proxy.
    #[error("address header from a peer that is not a trusted proxy")]
    Untrusted,
    /// A forwarded-address header with a wrong length.
    #[error("malformed address header of {0} bytes")]
    AddressHeader(u16),
}

/// How a peer broke the chunk layer (spec section 3).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// The first chunk of a chunk stream refers to a header that never came.
    #[error("format {0} header on a fresh chunk stream")]
    NoPreviousHeader(u8),
    /// A new header in the middle of a message.
    #[error("format {fmt} header after {received} of {length} bytes of a message")]
    HeaderInsideMessage {
        /// Format of the new header.
        fmt: u8,
        /// Bytes of the unfinished message that had arrived.
        received: u32,
        /// Its announced length.
        length: u32,
    },
    /// A Set Chunk Size message with a size we do not accept.
    #[error("chunk size {0} refused")]
    ChunkSize(u32),
    /// A protocol control message with a payload that is too short.
    #[error("control message of {0} bytes")]
    ControlLength(u32),
}

/// A bound of [`Limits`](crate::Limits) that a peer exceeded.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{what} above {limit}")]
pub struct LimitExceeded {
    /// What was exceeded.
    pub what: LimitKind,
    /// The configured bound.
    pub limit: u64,
}

impl LimitExceeded {
    pub(crate) fn new(what: LimitKind, limit: impl TryInto<u64>) -> Self {
        Self { what, limit: limit.try_into().unwrap_or(u64::MAX) }
    }
}

/// What exceeded its bound.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitKind {
    /// Length of a message of this type.
    #[error("length of a message of type {0}")]
    MessageBytes(u8),
    /// Unfinished messages of all chunk streams.
    #[error("bytes of unfinished messages")]
    PartialBytes,
    /// Chunk streams in use.
    #[error("number of chunk streams")]
    ChunkStreams,
    /// Chunk headers in relation to payload.
    #[error("chunk headers for little payload")]
    ChunkHeaders,
    /// Commands per second.
    #[error("commands per second")]
    Commands,
    /// `createStream` calls.
    #[error("createStream calls")]
    CreateStreams,
}

/// Why a call of the owner was refused; the connection stays as it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// There is no such request waiting for an answer: it was answered already.
    #[error("no such request is waiting for an answer")]
    UnknownRequest,
    /// The connection is not in a state in which this makes sense.
    #[error("not possible while {0}")]
    WrongState(&'static str),
    /// The peer is too slow: more than `outgoing_bytes_max` bytes wait to be sent.
    #[error("{0} bytes wait to be sent already")]
    OutgoingFull(usize),
    /// A value cannot be written in AMF.
    #[error("value cannot be written: {0}")]
    Unwritable(AmfError),
}

impl From<AmfError> for CommandError {
    fn from(error: AmfError) -> Self {
        Self::Unwritable(error)
    }
}
