//! Looking at a running edge, and steering it.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::AbortHandle;

use super::acceptor::{self, Acceptor, Follows};
use super::error::{FlvError, ReloadFailure, ServeError};
use super::flv::FlvBody;
use super::handler::Handler;
use super::order::{Door, Order, OrderSender, Ticket};
use super::shard::{self, ShardSetup};
use crate::admission::{Gate, GateStats};
use crate::config::{EdgeConfig, difference};
use crate::conn::{ConnId, ShardId};
use crate::edge::{EdgeOptions, FlvRequest, Snapshot};
use crate::upstream::OwnAddresses;

/// A handle to an edge: cheap to clone, usable from any thread and runtime.
#[derive(Clone, Debug)]
pub struct EdgeHandle {
    shared: Arc<Shared>,
}

/// What acceptor, handles and shards share.
pub(super) struct Shared {
    pub(super) handler: Arc<dyn Handler>,
    pub(super) door: Arc<Door>,
    pub(super) shards: Vec<ShardLink>,
    config: Mutex<Arc<EdgeConfig>>,
    listeners: Mutex<Listeners>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    conns: AtomicU64,
    /// Shards that still run.
    running: AtomicUsize,
    /// Shards that have drained.
    drained: AtomicUsize,
    draining: AtomicBool,
    /// Something of the above changed.
    changed: Notify,
}

/// The way to a shard.
#[derive(Clone, Debug)]
pub(super) struct ShardLink {
    pub(super) orders: OrderSender,
    /// Connections it has.
    pub(super) load: Arc<AtomicUsize>,
}

struct Listeners {
    follows: Follows,
    /// Opened, but nobody accepts yet.
    waiting: Vec<(SocketAddr, std::net::TcpListener)>,
    /// By the address that was asked for; with the address it has.
    open: BTreeMap<SocketAddr, (SocketAddr, Option<AbortHandle>)>,
    runtime: Option<Handle>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}

impl ShardLink {
    /// A place for a connection of the gate on this shard.
    pub(super) fn ticket(&self, door: &Arc<Door>, peer: SocketAddr) -> Ticket {
        Ticket::new(Arc::clone(door), peer, Arc::clone(&self.load))
    }
}

impl EdgeHandle {
    pub(super) fn start(
        acceptor: Acceptor,
        config: Arc<EdgeConfig>,
        options: EdgeOptions,
        handler: Arc<dyn Handler>,
        shards: NonZeroU16,
        seed: u64,
    ) -> Result<Self, ServeError> {
        let mut links = Vec::new();
        let mut inboxes = Vec::new();
        for _ in 0..shards.get() {
            let (orders, inbox) = mpsc::unbounded_channel();
            links.push(ShardLink { orders, load: Arc::default() });
            inboxes.push(inbox);
        }
        let open = acceptor
            .listeners
            .iter()
            .map(|(asked, listener)| (*asked, (listener.local_addr().unwrap_or(*asked), None)));
        let listeners = Listeners {
            follows: acceptor.follows,
            open: open.collect(),
            waiting: acceptor.listeners,
            runtime: None,
        };
        let shared = Arc::new(Shared {
            handler,
            door: Arc::new(Door { gate: Mutex::new(acceptor.gate) }),
            shards: links,
            config: Mutex::new(Arc::clone(&config)),
            listeners: Mutex::new(listeners),
            threads: Mutex::new(Vec::new()),
            conns: AtomicU64::new(0),
            running: AtomicUsize::new(inboxes.len()),
            drained: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            changed: Notify::new(),
        });
        for (number, inbox) in inboxes.into_iter().enumerate() {
            let setup = ShardSetup {
                shard: ShardId(u16::try_from(number).unwrap_or(u16::MAX)),
                shared: Arc::clone(&shared),
                config: Arc::clone(&config),
                options: options.clone(),
                seed,
            };
            let spawned = shard::spawn(setup, inbox);
            match spawned {
                Ok(thread) => shared.threads().push(thread),
                Err(error) => {
                    shared.stop();
                    return Err(ServeError::Start(error));
                }
            }
        }
        Ok(Self { shared })
    }

    /// Where the edge listens now.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.shared.listeners().open.values().map(|(addr, _)| *addr).collect()
    }

    /// The configuration that counts now.
    pub fn config(&self) -> Arc<EdgeConfig> {
        self.shared.config()
    }

    /// Counters of what was let in and turned away.
    pub fn gate(&self) -> GateStats {
        self.shared.gate().stats()
    }

    /// What all shards are doing, in numbers. Shards are asked one after the other's answer is awaited, so sums may be
    /// some milliseconds apart.
    ///
    /// # Errors
    ///
    /// [`ServeError::Ended`].
    pub async fn snapshot(&self) -> Result<Snapshot, ServeError> {
        let mut waiting = Vec::new();
        for shard in &self.shared.shards {
            let (reply, answer) = oneshot::channel();
            shard.orders.send(Order::Snapshot(reply)).map_err(|_| ServeError::Ended)?;
            waiting.push(answer);
        }
        let mut parts = Vec::new();
        for answer in waiting {
            parts.push(answer.await.map_err(|_| ServeError::Ended)?);
        }
        Ok(Snapshot::merge(parts))
    }

    /// Closes the connection of the client with this [id](crate::edge::ClientInfo::client_id); says whether there is
    /// one.
    ///
    /// # Errors
    ///
    /// [`ServeError::Ended`].
    pub async fn kick(&self, client_id: &str) -> Result<bool, ServeError> {
        let client_id: Arc<str> = client_id.into();
        for shard in &self.shared.shards {
            let (reply, answer) = oneshot::channel();
            let order = Order::Kick { client_id: Arc::clone(&client_id), reply };
            shard.orders.send(order).map_err(|_| ServeError::Ended)?;
            if answer.await.map_err(|_| ServeError::Ended)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Uses another configuration from now on (spec 1.8): new listeners are opened first, then all shards are told,
    /// then listeners that are not named any more are closed. Connections stay.
    ///
    /// # Errors
    ///
    /// Nothing has changed then: a vhost would change its mode, or a new address cannot be listened on.
    pub async fn reload(&self, config: impl Into<Arc<EdgeConfig>>) -> Result<(), ReloadFailure> {
        let config = config.into();
        difference(&self.config(), &config).check()?;
        let closed = self.shared.open_listeners(&config)?;
        self.shared.gate().configure(&config);
        *self.shared.config.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&config);
        let own = Arc::new(self.shared.own_addresses(&closed));
        for shard in &self.shared.shards {
            let (reply, done) = oneshot::channel();
            let order = Order::Reload(Arc::clone(&config), Arc::clone(&own), reply);
            shard.orders.send(order).map_err(|_| ServeError::Ended)?;
            done.await.map_err(|_| ServeError::Ended)?;
        }
        self.shared.close_listeners(&closed);
        Ok(())
    }

    /// Begins to stop (spec 14.2): listeners are closed, clients that understand it are asked to connect again
    /// elsewhere, and what is left after [`EdgeOptions::drain_limit`] is closed. Then
    /// [`Edge::run_until`](super::Edge::run_until) returns.
    pub fn drain(&self) {
        self.shared.draining.store(true, Ordering::Relaxed);
        self.shared.close_all_listeners();
        for shard in &self.shared.shards {
            let _ = shard.orders.send(Order::Drain);
        }
    }

    /// Whether the edge is draining: a load balancer should not send anybody here.
    pub fn is_draining(&self) -> bool {
        self.shared.draining.load(Ordering::Relaxed)
    }

    /// Watches a stream as FLV, for a response over HTTP.
    ///
    /// # Errors
    ///
    /// When the request is refused, nothing is offered at that path, or there are too many connections.
    pub async fn open_flv(&self, request: FlvRequest) -> Result<FlvBody, FlvError> {
        let peer = request.peer;
        self.shared.gate().admit(peer.ip()).map_err(|_| FlvError::Full)?;
        let shard = self.shared.least_loaded().ok_or(FlvError::Ended)?;
        let ticket = shard.ticket(&self.shared.door, peer);
        let (reply, answer) = oneshot::channel();
        let order =
            Order::OpenFlv { conn: self.shared.next_conn(), request: Box::new(request), ticket, reply };
        shard.orders.send(order).map_err(|_| FlvError::Ended)?;
        answer.await.map_err(|_| FlvError::Ended)?
    }

    pub(super) async fn run<F: Future>(&self, until: F) -> Result<(), ServeError> {
        self.shared.begin_accepting();
        let shards = self.shared.shards.len();
        let over = async {
            loop {
                let changed = self.shared.changed.notified();
                if self.shared.drained.load(Ordering::Acquire) == shards {
                    return Ok(());
                }
                if self.shared.running.load(Ordering::Acquire) < shards {
                    return Err(ServeError::Ended);
                }
                changed.await;
            }
        };
        let result = tokio::select! {
            biased;
            result = over => result,
            _ = until => Ok(()),
        };
        self.shared.stop();
        let threads = std::mem::take(&mut *self.shared.threads());
        // Joining is short: a shard stops with the next order it takes.
        let joined = tokio::task::spawn_blocking(move || {
            threads.into_iter().for_each(|thread| drop(thread.join()));
        });
        let _ = joined.await;
        result
    }
}

impl Shared {
    pub(super) fn config(&self) -> Arc<EdgeConfig> {
        Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn gate(&self) -> MutexGuard<'_, Gate> {
        self.door.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn next_conn(&self) -> ConnId {
        ConnId::inbound(self.conns.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// A shard's thread is over.
    pub(super) fn shard_ended(&self) {
        self.running.fetch_sub(1, Ordering::Release);
        self.changed.notify_waiters();
        self.changed.notify_one();
    }

    /// A draining shard has no connection left.
    pub(super) fn shard_drained(&self) {
        self.drained.fetch_add(1, Ordering::Release);
        self.changed.notify_waiters();
        self.changed.notify_one();
    }

    fn begin_accepting(self: &Arc<Self>) {
        let mut listeners = self.listeners();
        listeners.runtime = Some(Handle::current());
        let waiting = std::mem::take(&mut listeners.waiting);
        for (asked, listener) in waiting {
            self.spawn_accept(&mut listeners, asked, listener);
        }
    }

    fn spawn_accept(
        self: &Arc<Self>,
        listeners: &mut Listeners,
        asked: SocketAddr,
        listener: std::net::TcpListener,
    ) {
        let Some(runtime) = &listeners.runtime else {
            listeners.waiting.push((asked, listener));
            return;
        };
        let task = runtime.spawn(acceptor::accept(Arc::clone(self), listener));
        if let Some((_, abort)) = listeners.open.get_mut(&asked) {
            *abort = Some(task.abort_handle());
        }
    }

    /// Opens what the new configuration names and is not open yet; returns what it does not name any more.
    fn open_listeners(self: &Arc<Self>, config: &EdgeConfig) -> Result<Vec<SocketAddr>, ServeError> {
        let mut listeners = self.listeners();
        if listeners.follows == Follows::Nothing {
            return Ok(Vec::new());
        }
        let wanted = acceptor::endpoints(config);
        let mut fresh = Vec::new();
        for addr in wanted.iter().filter(|addr| !listeners.open.contains_key(addr)) {
            fresh.push(acceptor::listen(*addr, &wanted)?);
        }
        for (asked, listener) in fresh {
            let addr = listener.local_addr().unwrap_or(asked);
            listeners.open.insert(asked, (addr, None));
            self.spawn_accept(&mut listeners, asked, listener);
        }
        Ok(listeners.open.keys().filter(|addr| !wanted.contains(addr)).copied().collect())
    }

    /// Where we must not pull from, once the listeners `closed` are closed.
    fn own_addresses(&self, closed: &[SocketAddr]) -> OwnAddresses {
        let listeners = self.listeners();
        let open = listeners.open.iter().filter(|(asked, _)| !closed.contains(asked));
        OwnAddresses::new(open.map(|(_, (addr, _))| *addr), [])
    }

    fn close_listeners(&self, closed: &[SocketAddr]) {
        let mut listeners = self.listeners();
        listeners.waiting.retain(|(asked, _)| !closed.contains(asked));
        for asked in closed {
            if let Some((_, Some(task))) = listeners.open.remove(asked) {
                task.abort();
            }
        }
    }

    fn close_all_listeners(&self) {
        let all: Vec<_> = self.listeners().open.keys().copied().collect();
        self.close_listeners(&all);
    }

    fn stop(&self) {
        self.close_all_listeners();
        for shard in &self.shards {
            let _ = shard.orders.send(Order::Stop);
        }
    }
}
