//! What a shard's thread is told from outside.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use tokio::sync::{mpsc, oneshot};

use super::error::FlvError;
use super::flv::FlvBody;
use crate::admission::Gate;
use crate::config::EdgeConfig;
use crate::conn::{ConnId, ShardId};
use crate::edge::{FlvRequest, MovedConnection, PeerMessage, QuestionId, Snapshot, Verdict};
use crate::upstream::OwnAddresses;

/// The queue into a shard. It has no bound of its own: what other shards send is bounded by the windows of the
/// subscriptions, connections by the gate, and requests of the owner by the owner, who waits for each.
pub(super) type OrderSender = mpsc::UnboundedSender<Order>;

#[derive(Debug)]
pub(super) enum Order {
    Accept {
        conn: ConnId,
        socket: std::net::TcpStream,
        peer: SocketAddr,
        ticket: Ticket,
    },
    Adopt {
        conn: ConnId,
        socket: std::net::TcpStream,
        unread: BytesMut,
        ticket: Ticket,
        state: Box<MovedConnection>,
    },
    Peer {
        from: ShardId,
        message: PeerMessage,
    },
    Answer {
        question: QuestionId,
        verdict: Verdict,
    },
    OpenFlv {
        conn: ConnId,
        request: Box<FlvRequest>,
        ticket: Ticket,
        reply: oneshot::Sender<Result<FlvBody, FlvError>>,
    },
    Snapshot(oneshot::Sender<Snapshot>),
    Kick {
        client_id: Arc<str>,
        reply: oneshot::Sender<bool>,
    },
    Reload(Arc<EdgeConfig>, Arc<OwnAddresses>, oneshot::Sender<()>),
    Drain,
    Stop,
}

/// Shared by the acceptor and all shards.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) gate: Mutex<Gate>,
}

/// A connection's place: among the connections of the process and of its address, and on its shard.
#[derive(Debug)]
pub(super) struct Ticket {
    door: Arc<Door>,
    peer: SocketAddr,
    load: Arc<AtomicUsize>,
}

impl Ticket {
    /// A place for a connection that the gate has admitted.
    pub(super) fn new(door: Arc<Door>, peer: SocketAddr, load: Arc<AtomicUsize>) -> Self {
        load.fetch_add(1, Ordering::Relaxed);
        Self { door, peer, load }
    }

    /// The connection moves to a shard with another load.
    pub(super) fn carry_to(&mut self, load: &Arc<AtomicUsize>) {
        load.fetch_add(1, Ordering::Relaxed);
        self.load.fetch_sub(1, Ordering::Relaxed);
        self.load = Arc::clone(load);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
        self.door.gate.lock().unwrap_or_else(PoisonError::into_inner).release(self.peer.ip());
    }
}
