//! What goes into a shard and what comes out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;

use super::event::{CloseReason, Event};
use super::peer::PeerMessage;
use super::question::{Question, QuestionId, Verdict};
use super::session::Session;
use crate::config::{EdgeConfig, HostPort};
use crate::conn::{ConnId, ShardId};
use crate::upstream::{ConnectFailure, OwnAddresses};

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// Somebody connected, and [`Gate`](crate::admission::Gate) let them in.
    Accepted {
        /// The new connection.
        conn: ConnId,
        /// Where from.
        peer: SocketAddr,
    },
    /// Bytes arrived. They are taken from the front of `bytes`; offer what is left again in front of what comes next.
    /// When more than [`HOLD_BYTES`] are left, the client waits for an answer or has not taken its replies: stop
    /// reading until [`Output::Read`], or until something was written to it, then offer the same bytes again.
    Received {
        /// The connection.
        conn: ConnId,
        /// The bytes.
        bytes: &'a mut BytesMut,
    },
    /// A connection is gone, whoever closed it. After [`Output::Close`] this is due within some seconds.
    Closed {
        /// The connection.
        conn: ConnId,
    },
    /// A connection of [`Output::Connect`] is there.
    Connected {
        /// The connection.
        conn: ConnId,
    },
    /// A connection of [`Output::Connect`] will not be there; there is nothing to close.
    ConnectFailed {
        /// The connection.
        conn: ConnId,
        /// Why.
        reason: ConnectFailure,
    },
    /// A connection moves here from another shard ([`Output::Move`]), with its socket and its unread bytes. Offer
    /// those with [`Input::Received`], even when there are none.
    Adopt {
        /// The connection.
        conn: ConnId,
        /// Everything known of it.
        state: Box<MovedConnection>,
    },
    /// Another shard says something.
    Peer {
        /// Which shard.
        from: ShardId,
        /// What it says.
        message: PeerMessage,
    },
    /// The owner decided. A question that is not waiting any more is passed over.
    Answer {
        /// Which question.
        question: QuestionId,
        /// Yes or no.
        verdict: Verdict,
    },
    /// Somebody asks for a stream over HTTP. [`Output::FlvAccepted`] or [`Output::Close`] follows.
    OpenFlv {
        /// The new connection: bytes of the response's body are its outgoing bytes.
        conn: ConnId,
        /// What was asked for.
        request: Box<FlvRequest>,
    },
    /// The time of [`Edge::poll_timeout`](super::Edge::poll_timeout) has come.
    Timeout,
    /// Other listeners are open now ([`EdgeOptions::own`](super::EdgeOptions::own)). When the configuration changes
    /// with them, this comes first: running pulls and pushes take both with the [reload](Self::Reload).
    Listening(Arc<OwnAddresses>),
    /// Another configuration counts from now on (spec 1.8).
    Reload(Arc<EdgeConfig>),
    /// The owner wants something.
    Command(Command),
}

/// Unread bytes above which a connection is not read, see [`Input::Received`].
pub const HOLD_BYTES: usize = 16 << 10;

/// What the owner wants.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// Close this connection of a client.
    Kick(ConnId),
    /// Stop (spec 14.2): new clients are refused, Enhanced RTMP clients are asked to connect again elsewhere, and what
    /// is left after [`EdgeOptions::drain_limit`](super::EdgeOptions::drain_limit) is closed. [`Event::Drained`] is
    /// the end.
    Drain,
}

/// A request for a stream over HTTP, taken apart as far as HTTP goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FlvRequest {
    /// Where it comes from.
    pub peer: SocketAddr,
    /// The `Host` header, with or without a port.
    pub host: String,
    /// The path, decoded, beginning with `/`.
    pub path: String,
    /// Behind `?`, not decoded; empty when there is none.
    pub query: String,
    /// The `Referer` header; empty when there is none.
    pub page_url: String,
}

/// A connection on its way to another shard.
#[derive(Debug)]
pub struct MovedConnection {
    pub(super) session: Box<Session>,
}

/// Something the driver has to do, in this order.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output {
    /// There is something in [`Edge::outgoing`](super::Edge::outgoing) for this connection. Write it now, as far as
    /// the socket takes it; when it takes no more, go on when it does. With many of these in a row, ask for all
    /// connections first: [`Edge::take_whole`](super::Edge::take_whole).
    Write {
        /// The connection.
        conn: ConnId,
    },
    /// Offer the unread bytes of this connection again.
    Read {
        /// The connection.
        conn: ConnId,
    },
    /// Close this connection: send what is left in `outgoing`, shut down for writing, read until the peer has closed
    /// (for some seconds at most), close, and report [`Input::Closed`].
    Close {
        /// The connection.
        conn: ConnId,
        /// Why.
        reason: CloseReason,
    },
    /// Open a connection with `TCP_NODELAY`; [`Input::Connected`] or [`Input::ConnectFailed`] follows. A name is
    /// resolved for each attempt and all its addresses are tried.
    Connect {
        /// Name of the new connection.
        conn: ConnId,
        /// Where to.
        target: HostPort,
        /// Addresses that are not connected to, with [`ConnectFailure::OwnAddress`].
        own: Arc<OwnAddresses>,
        /// For resolving and connecting together.
        timeout: Duration,
    },
    /// Hand this connection to another shard: socket, unread bytes and `state` ([`Input::Adopt`]).
    Move {
        /// The connection.
        conn: ConnId,
        /// The other shard.
        to: ShardId,
        /// What goes with it.
        state: Box<MovedConnection>,
    },
    /// Say something to another shard. Messages between two shards keep their order.
    Peer {
        /// The other shard.
        to: ShardId,
        /// What to say.
        message: PeerMessage,
    },
    /// Set `TCP_NODELAY` of this connection; it is on at first.
    Nodelay {
        /// The connection.
        conn: ConnId,
        /// On or off.
        on: bool,
    },
    /// A request for a stream over HTTP was accepted: answer 200, the body follows.
    FlvAccepted {
        /// The connection.
        conn: ConnId,
    },
    /// The owner has to decide ([`Input::Answer`]).
    Ask(Question),
    /// The owner may want to know.
    Event(Event),
}
