//! The thread of a shard: its machine, its connections, its clock.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::BytesMut;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, LocalSet, spawn_local};
use tokio::time::{Duration, Instant};

use super::connect::{self, Names};
use super::flv::{FlvBody, PIECES_MAX};
use super::handle::Shared;
use super::handler::Answer;
use super::link::{self, Link, Wire};
use super::order::Order;
use super::turns::Turns;
use super::writers::Writers;
use crate::config::{EdgeConfig, HostPort};
use crate::conn::{ConnId, ShardId};
use crate::conn_map::ConnMap;
use crate::edge::{Command, Edge as Machine, EdgeOptions, Event, Input, Output};
use crate::upstream::OwnAddresses;

/// Largest read.
const READ_BYTES: usize = 64 << 10;
/// Smallest room for a read.
const READ_BYTES_MIN: usize = 16 << 10;
/// Orders taken before the sockets get their turn.
const ORDERS_MAX: usize = 64;
/// A deadline that is noticed so late means that the process stood still, or the machine did.
const STOOD_STILL: Duration = Duration::from_millis(500);
/// Turns that the sockets have then; in each, some sixty of them can be read.
const TURNS_AFTER_STANDSTILL: u32 = 64;

/// What a shard needs to begin.
pub(super) struct ShardSetup {
    pub(super) shard: ShardId,
    pub(super) shared: Arc<Shared>,
    pub(super) config: Arc<EdgeConfig>,
    pub(super) options: EdgeOptions,
    pub(super) seed: u64,
}

/// A running shard, shared by the tasks of its thread.
pub(super) struct Shard {
    id: ShardId,
    pub(super) shared: Arc<Shared>,
    pub(super) machine: RefCell<Machine>,
    links: RefCell<ConnMap<Entry>>,
    turns: RefCell<Turns>,
    writers: RefCell<Writers>,
    /// All connections read into the same buffer, one after the other.
    scratch: RefCell<BytesMut>,
    names: RefCell<Names>,
    /// The machine's next deadline is earlier than the one in `armed`.
    clock: Notify,
    /// The deadline that the shard's own loop waits for.
    armed: Cell<Option<std::time::Instant>>,
}

enum Entry {
    Open(Rc<Link>),
    /// An attempt to connect.
    Connecting(AbortHandle),
}

/// Starts the thread.
pub(super) fn spawn(setup: ShardSetup, inbox: mpsc::UnboundedReceiver<Order>) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let name = format!("edge-{}", setup.shard);
    std::thread::Builder::new().name(name).spawn(move || {
        /// Tells even when the thread panics.
        struct Ended(Arc<Shared>);
        impl Drop for Ended {
            fn drop(&mut self) {
                self.0.shard_ended();
            }
        }
        let _ended = Ended(Arc::clone(&setup.shared));
        LocalSet::new().block_on(&runtime, run(setup, inbox));
    })
}

async fn run(setup: ShardSetup, mut inbox: mpsc::UnboundedReceiver<Order>) {
    let ShardSetup { shard: id, shared, config, options, seed } = setup;
    let shards = u16::try_from(shared.shards.len()).unwrap_or(u16::MAX);
    let machine = Machine::new(config, options, id, shards, seed, now());
    let shard = Rc::new(Shard {
        id,
        shared,
        machine: RefCell::new(machine),
        links: RefCell::default(),
        turns: RefCell::default(),
        writers: RefCell::default(),
        scratch: RefCell::default(),
        names: RefCell::default(),
        clock: Notify::new(),
        armed: Cell::new(None),
    });
    loop {
        let deadline = shard.machine.borrow().poll_timeout();
        shard.armed.set(deadline);
        let may_go_on = tokio::select! {
            biased;
            () = sleep_until(deadline) => {
                // What has arrived meanwhile comes first: nobody was silent who is in there.
                if deadline.is_some_and(|deadline| now().saturating_duration_since(deadline) >= STOOD_STILL) {
                    for _ in 0..TURNS_AFTER_STANDSTILL {
                        tokio::task::yield_now().await;
                    }
                }
                shard.input(Input::Timeout);
                shard.pump();
                false
            }
            order = inbox.recv() => {
                let mut next = order;
                let mut left = ORDERS_MAX;
                loop {
                    match next {
                        None | Some(Order::Stop) => return,
                        Some(order) => shard.obey(order),
                    }
                    left -= 1;
                    if left == 0 {
                        break;
                    }
                    match inbox.try_recv() {
                        Ok(order) => next = Some(order),
                        Err(_) => break,
                    }
                }
                // Fan-out first: messages of other shards were only taken in.
                shard.pump();
                left == 0
            }
            () = shard.clock.notified() => false,
            () = until(shard.turns.borrow().due()) => {
                shard.next_turn();
                true
            }
        };
        if may_go_on {
            // The sockets have their turn, too.
            tokio::task::yield_now().await;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the driver owns the clock")]
pub(super) fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// Without the rounding of timers when the time has come already.
async fn until(deadline: Option<std::time::Instant>) {
    if deadline.is_none_or(|deadline| deadline > now()) {
        sleep_until(deadline).await;
    }
}

async fn sleep_until(deadline: Option<std::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

impl Shard {
    /// Gives something to the machine. [`pump`](Self::pump) is due afterwards.
    pub(super) fn input(&self, input: Input<'_>) {
        self.machine.borrow_mut().handle_input(now(), input);
    }

    fn obey(self: &Rc<Self>, order: Order) {
        match order {
            Order::Accept { conn, socket, peer, ticket } => {
                self.turns.borrow_mut().wait(now());
                if let Ok(socket) = TcpStream::from_std(socket) {
                    self.input(Input::Accepted { conn, peer });
                    self.open(conn, Link::new(Wire::Tcp(socket), BytesMut::new(), Some(ticket)));
                }
            }
            Order::Adopt { conn, socket, unread, ticket, state } => {
                self.input(Input::Adopt { conn, state });
                match TcpStream::from_std(socket) {
                    Ok(socket) => {
                        let link = Link::new(Wire::Tcp(socket), unread, Some(ticket));
                        link.read_again();
                        self.open(conn, link);
                    }
                    Err(_) => self.input(Input::Closed { conn }),
                }
            }
            Order::Peer { from, message } => self.input(Input::Peer { from, message }),
            Order::Answer { question, verdict } => self.input(Input::Answer { question, verdict }),
            Order::OpenFlv { conn, request, ticket, reply } => {
                let (pieces, body) = mpsc::channel(PIECES_MAX);
                let reply = RefCell::new(Some((reply, FlvBody::new(body))));
                self.open(conn, Link::new(Wire::Flv { pieces, reply }, BytesMut::new(), Some(ticket)));
                self.input(Input::OpenFlv { conn, request });
            }
            Order::Snapshot(reply) => {
                let snapshot = self.machine.borrow().snapshot(now());
                let _ = reply.send(snapshot);
            }
            Order::Kick { client_id, reply } => {
                let conn = self.machine.borrow().find_client(&client_id);
                if let Some(conn) = conn {
                    self.input(Input::Command(Command::Kick(conn)));
                }
                let _ = reply.send(conn.is_some());
            }
            Order::Reload(config, own, done) => {
                self.input(Input::Listening(own));
                self.input(Input::Reload(config));
                let _ = done.send(());
            }
            Order::Drain => self.input(Input::Command(Command::Drain)),
            Order::Stop => {}
        }
        self.pump();
    }

    fn open(self: &Rc<Self>, conn: ConnId, link: Rc<Link>) {
        self.links.borrow_mut().insert(conn, Entry::Open(Rc::clone(&link)));
        spawn_local(link::serve(Rc::clone(self), conn, link));
    }

    pub(super) fn forget(&self, conn: ConnId) {
        self.links.borrow_mut().remove(&conn);
    }

    pub(super) fn link(&self, conn: ConnId) -> Option<Rc<Link>> {
        match self.links.borrow().get(&conn)? {
            Entry::Open(link) => Some(Rc::clone(link)),
            Entry::Connecting(_) => None,
        }
    }

    pub(super) fn flush(&self, conn: ConnId) {
        if let Some(link) = self.link(conn) {
            link.flush(self, conn);
        }
    }

    /// A connection has more to write than others should wait for.
    pub(super) fn queue(&self, conn: ConnId, is_newcomer: bool) {
        self.turns.borrow_mut().push(now(), conn, is_newcomer);
        self.clock.notify_one();
    }

    fn next_turn(self: &Rc<Self>) {
        let conn = self.turns.borrow_mut().begin(now());
        if let Some((link, conn)) = conn.and_then(|conn| Some((self.link(conn)?, conn))) {
            link.flush_next(self, conn);
            self.pump();
        }
        self.turns.borrow_mut().end();
    }

    /// Does what the machine wants, until it wants nothing more.
    pub(super) fn pump(self: &Rc<Self>) {
        let mut writers = self.writers.take();
        loop {
            let output = self.machine.borrow_mut().poll_output();
            if let Some(Output::Write { conn }) = output {
                writers.push(conn);
                if !writers.is_full() {
                    continue;
                }
            }
            writers.write(self);
            match output {
                Some(Output::Write { .. }) => {}
                Some(output) => self.carry_out(output),
                None => break,
            }
        }
        self.writers.replace(writers);
        // What was put in before this call may have moved it. A later one needs nothing: the loop wakes up, and waits again.
        if let Some(next) = self.machine.borrow().poll_timeout()
            && self.armed.get().is_none_or(|armed| next < armed)
        {
            self.clock.notify_one();
        }
    }

    fn carry_out(self: &Rc<Self>, output: Output) {
        match output {
            Output::Write { conn } => self.flush(conn),
            Output::Read { conn } => {
                if let Some(link) = self.link(conn) {
                    link.read_again();
                }
            }
            Output::Close { conn, reason } => {
                let entry = self.links.borrow_mut().remove(&conn);
                match entry {
                    Some(Entry::Open(link)) => {
                        link.close(&reason);
                        self.links.borrow_mut().insert(conn, Entry::Open(link));
                    }
                    Some(Entry::Connecting(task)) => {
                        task.abort();
                        self.input(Input::Closed { conn });
                    }
                    None => self.input(Input::Closed { conn }),
                }
            }
            Output::Connect { conn, target, own, timeout } => self.connect(conn, target, own, timeout),
            Output::Move { conn, to, state } => {
                if let Some(link) = self.link(conn) {
                    link.move_to(to, state);
                }
            }
            Output::Peer { to, message } => {
                if let Some(other) = self.shared.shards.get(usize::from(to.0)) {
                    let _ = other.orders.send(Order::Peer { from: self.id, message });
                }
            }
            Output::Nodelay { conn, on } => {
                if let Some(link) = self.link(conn) {
                    link.set_nodelay(on);
                }
            }
            Output::FlvAccepted { conn } => {
                if let Some(link) = self.link(conn) {
                    link.accept_flv();
                }
            }
            Output::Ask(question) => {
                if let Some(own) = self.shared.shards.get(usize::from(self.id.0)) {
                    let answer = Answer::new(question.id, own.orders.clone());
                    self.shared.handler.on_question(question, answer);
                }
            }
            Output::Event(event) => {
                let drained = matches!(event, Event::Drained);
                self.shared.handler.on_event(event);
                if drained {
                    self.shared.shard_drained();
                }
            }
        }
    }

    fn connect(self: &Rc<Self>, conn: ConnId, target: HostPort, own: Arc<OwnAddresses>, timeout: Duration) {
        let shard = Rc::clone(self);
        let task = spawn_local(async move {
            let deadline = Instant::now() + timeout;
            let cached = shard.names.borrow().get(Instant::now(), &target);
            let addrs = match cached {
                Some(addrs) => Ok(addrs),
                None => connect::resolve(&target, deadline).await,
            };
            let connected = match &addrs {
                Ok(addrs) => connect::connect(addrs, &own, deadline).await,
                Err(failure) => Err(*failure),
            };
            match (connected, addrs) {
                (Ok(socket), Ok(addrs)) => {
                    shard.names.borrow_mut().put(Instant::now(), target, addrs);
                    shard.open(conn, Link::new(Wire::Tcp(socket), BytesMut::new(), None));
                    shard.input(Input::Connected { conn });
                }
                (Err(reason), _) => {
                    shard.names.borrow_mut().forget(&target);
                    shard.forget(conn);
                    shard.input(Input::ConnectFailed { conn, reason });
                }
                (Ok(_), Err(_)) => {}
            }
            shard.pump();
        });
        self.links.borrow_mut().insert(conn, Entry::Connecting(task.abort_handle()));
    }

    /// Reads once into the shared buffer; empty at the end of the connection.
    pub(super) fn read(&self, socket: &TcpStream) -> io::Result<BytesMut> {
        self.turns.borrow_mut().wait(now());
        let mut scratch = self.scratch.borrow_mut();
        if scratch.capacity() < READ_BYTES_MIN {
            // Takes the old buffer back when nobody holds a part of it any more.
            scratch.reserve(READ_BYTES);
        }
        socket.try_read_buf(&mut *scratch)?;
        Ok(scratch.split())
    }
}
