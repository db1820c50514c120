//! One connection in the driver: what it writes to, and the task that waits for it.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::error::FlvError;
use super::flv::{FlvBody, PIECE_BYTES};
use super::order::{Order, Ticket};
use super::shard::Shard;
use crate::conn::{ConnId, ShardId};
use crate::edge::{CloseReason, HOLD_BYTES, Input, MovedConnection};

/// Reads of one connection before others get their turn.
const READS_MAX: usize = 4;
/// Longest wait for a peer to take its last bytes.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);
/// Longest wait for a peer to close its side: closing before it has read everything would lose the last bytes.
const LINGER_LIMIT: Duration = Duration::from_secs(2);
/// Bytes written to a newcomer at once, or with the last segment some more: enough for the picture that it waits for. The
/// rest of its GOP waits for the key frames of those who came with it.
const FIRST_BYTES: usize = 8 << 10;
/// The same when it has waited for its turn, and for everybody else.
const TURN_BYTES: usize = 32 << 10;
/// Slices per write.
const SLICES: usize = rtmp_core::segment::SLICES_MAX;

/// A connection as the flush loop sees it. In this order: what every write looks at is on one line of the cache.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Link {
    /// The wire took no more; the task waits until it does.
    blocked: Cell<bool>,
    /// The wire is broken.
    failed: Cell<bool>,
    /// It has had its turn and waits for the next one.
    queued: Cell<bool>,
    /// It has waited for a turn and got everything that there was: it is no newcomer any more.
    follows: Cell<bool>,
    /// The unread bytes are not to be followed by more.
    holds: Cell<bool>,
    pub(super) wire: Wire,
    /// What the machine wants next.
    wish: RefCell<Wish>,
    /// Bytes the machine has not taken yet.
    unread: RefCell<BytesMut>,
    wake: Notify,
    ticket: RefCell<Option<Ticket>>,
}

/// Where to say whether there is a body, and the body.
type FlvReply = (oneshot::Sender<Result<FlvBody, FlvError>>, FlvBody);

#[derive(Debug)]
pub(super) enum Wire {
    Tcp(TcpStream),
    /// The body of a response.
    Flv {
        pieces: mpsc::Sender<Bytes>,
        reply: RefCell<Option<FlvReply>>,
    },
}

#[derive(Debug, Default)]
enum Wish {
    #[default]
    Serve,
    /// Offer the unread bytes again.
    ReadAgain,
    Close,
    Move(ShardId, Box<MovedConnection>),
}

impl Link {
    pub(super) fn new(wire: Wire, unread: BytesMut, ticket: Option<Ticket>) -> Rc<Self> {
        Rc::new(Self {
            wire,
            blocked: Cell::new(false),
            failed: Cell::new(false),
            queued: Cell::new(false),
            follows: Cell::new(false),
            wish: RefCell::default(),
            unread: RefCell::new(unread),
            holds: Cell::new(false),
            wake: Notify::new(),
            ticket: RefCell::new(ticket),
        })
    }

    /// The machine wants the unread bytes to be offered again.
    pub(super) fn read_again(&self) {
        let mut wish = self.wish.borrow_mut();
        if let Wish::Serve = *wish {
            *wish = Wish::ReadAgain;
            self.wake.notify_one();
        }
    }

    pub(super) fn close(&self, reason: &CloseReason) {
        if let Wire::Flv { reply, .. } = &self.wire
            && let Some((reply, _)) = reply.borrow_mut().take()
        {
            let error = match reason {
                CloseReason::Refused(refusal) => FlvError::Refused(refusal.clone()),
                other => FlvError::Closed(other.clone()),
            };
            let _ = reply.send(Err(error));
        }
        *self.wish.borrow_mut() = Wish::Close;
        self.wake.notify_one();
    }

    pub(super) fn move_to(&self, shard: ShardId, state: Box<MovedConnection>) {
        *self.wish.borrow_mut() = Wish::Move(shard, state);
        self.wake.notify_one();
    }

    pub(super) fn set_nodelay(&self, on: bool) {
        if let Wire::Tcp(socket) = &self.wire {
            let _ = socket.set_nodelay(on);
        }
    }

    /// A request over HTTP was accepted: the owner gets the body.
    pub(super) fn accept_flv(&self) {
        if let Wire::Flv { reply, .. } = &self.wire
            && let Some((reply, body)) = reply.borrow_mut().take()
        {
            // An owner that has gone meanwhile has dropped the body, too; the task sees that.
            let _ = reply.send(Ok(body));
        }
    }

    /// Writes what is there, as far as the wire takes it and for one turn.
    pub(super) fn flush(&self, shard: &Shard, conn: ConnId) {
        if !self.queued.get() {
            self.take_turn(shard, conn, if self.follows.get() { TURN_BYTES } else { FIRST_BYTES });
        }
    }

    /// The same, when it has waited for its turn.
    pub(super) fn flush_next(&self, shard: &Shard, conn: ConnId) {
        self.queued.set(false);
        self.take_turn(shard, conn, TURN_BYTES);
        if !self.queued.get() && !self.blocked.get() {
            self.follows.set(true);
        }
    }

    /// The socket, when nothing waits in front of a write.
    pub(super) fn idle_socket(&self) -> Option<&TcpStream> {
        match &self.wire {
            Wire::Tcp(socket) if !self.blocked.get() && !self.failed.get() && !self.queued.get() => {
                Some(socket)
            }
            _ => None,
        }
    }

    /// Bytes went out: input that was held for that goes on.
    pub(super) fn has_written(&self) {
        if self.holds.get() {
            self.read_again();
        }
    }

    fn take_turn(&self, shard: &Shard, conn: ConnId, most: usize) {
        if self.blocked.get() || self.failed.get() {
            return;
        }
        let mut turn = 0;
        let mut machine = shard.machine.borrow_mut();
        let mut progress = false;
        while let Some(mut outgoing) = machine.outgoing(super::shard::now(), conn) {
            if !outgoing.has_remaining() {
                break;
            }
            if turn >= most {
                self.queued.set(true);
                shard.queue(conn, !self.follows.get());
                break;
            }
            let written = match &self.wire {
                Wire::Tcp(socket) => {
                    let mut slices = [IoSlice::new(&[]); SLICES];
                    let count = outgoing.chunks_vectored(&mut slices);
                    let count = up_to(most - turn, slices.get(..count).unwrap_or_default());
                    match slices.get(..count).unwrap_or_default() {
                        // The usual case, and a shorter way through the system.
                        [slice] => socket.try_write(slice),
                        slices => socket.try_write_vectored(slices),
                    }
                }
                Wire::Flv { pieces, .. } => match pieces.try_reserve() {
                    Ok(place) => {
                        let piece = outgoing.remaining().min(PIECE_BYTES);
                        place.send(outgoing.copy_to_bytes(piece));
                        turn += piece;
                        progress = true;
                        continue;
                    }
                    Err(mpsc::error::TrySendError::Full(())) => Err(io::ErrorKind::WouldBlock.into()),
                    Err(mpsc::error::TrySendError::Closed(())) => Err(io::ErrorKind::BrokenPipe.into()),
                },
            };
            match written {
                Ok(count) => {
                    outgoing.advance(count);
                    turn += count;
                    progress = true;
                    if !outgoing.has_remaining() && outgoing.is_last() {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked.set(true);
                    self.wake.notify_one();
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.failed.set(true);
                    self.wake.notify_one();
                    break;
                }
            }
        }
        drop(machine);
        if progress {
            self.has_written();
        }
    }
}

/// So many of the slices have `bytes` bytes or, with the last of them, more.
fn up_to(bytes: usize, slices: &[IoSlice<'_>]) -> usize {
    let mut left = bytes;
    let fits = |slice: &&IoSlice<'_>| {
        let more = left > 0;
        left = left.saturating_sub(slice.len());
        more
    };
    slices.iter().take_while(fits).count()
}

/// Serves one connection until it is closed or moved.
pub(super) async fn serve(shard: Rc<Shard>, conn: ConnId, link: Rc<Link>) {
    loop {
        let wish = link.wish.take();
        match wish {
            Wish::Serve => {}
            Wish::ReadAgain => {
                offer(&shard, conn, &link, BytesMut::new());
                continue;
            }
            Wish::Close => {
                finish(&shard, conn, &link).await;
                break;
            }
            Wish::Move(to, state) => {
                hand_over(&shard, conn, link, to, state);
                return;
            }
        }
        if link.failed.get() {
            break;
        }
        let mut interest = if link.holds.get() { None } else { Some(Interest::READABLE) };
        if link.blocked.get() {
            interest = Some(interest.map_or(Interest::WRITABLE, |read| read | Interest::WRITABLE));
        }
        let ended = match &link.wire {
            Wire::Tcp(socket) => {
                tokio::select! {
                    biased;
                    () = link.wake.notified() => continue,
                    ready = ready(socket, interest) => match ready {
                        Ok(ready) => {
                            if ready.is_writable() {
                                link.blocked.set(false);
                                link.flush(&shard, conn);
                                shard.pump();
                            }
                            ready.is_readable() && read(&shard, conn, &link, socket).is_break()
                        }
                        Err(_) => true,
                    },
                }
            }
            Wire::Flv { pieces, .. } => {
                tokio::select! {
                    biased;
                    () = link.wake.notified() => continue,
                    () = pieces.closed() => true,
                    place = pieces.reserve(), if link.blocked.get() => {
                        // The place is given back: the flush takes it again.
                        drop(place);
                        link.blocked.set(false);
                        link.flush(&shard, conn);
                        shard.pump();
                        false
                    }
                }
            }
        };
        if ended {
            break;
        }
    }
    shard.forget(conn);
    drop(link);
    shard.input(Input::Closed { conn });
    shard.pump();
}

async fn ready(socket: &TcpStream, interest: Option<Interest>) -> io::Result<tokio::io::Ready> {
    match interest {
        Some(interest) => socket.ready(interest).await,
        None => std::future::pending().await,
    }
}

/// Reads what is there. `Break` is the end of the connection.
fn read(shard: &Rc<Shard>, conn: ConnId, link: &Link, socket: &TcpStream) -> std::ops::ControlFlow<()> {
    use std::ops::ControlFlow::{Break, Continue};
    for _ in 0..READS_MAX {
        let bytes = match shard.read(socket) {
            Ok(bytes) if bytes.is_empty() => return Break(()),
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Continue(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Break(()),
        };
        offer(shard, conn, link, bytes);
        if link.holds.get() || !matches!(*link.wish.borrow(), Wish::Serve) {
            break;
        }
    }
    Continue(())
}

/// Gives bytes to the machine, behind those it has left before.
fn offer(shard: &Rc<Shard>, conn: ConnId, link: &Link, fresh: BytesMut) {
    let mut bytes = link.unread.take();
    if bytes.is_empty() {
        bytes = fresh;
    } else {
        bytes.extend_from_slice(&fresh);
    }
    shard.input(Input::Received { conn, bytes: &mut bytes });
    link.holds.set(bytes.len() > HOLD_BYTES);
    if !bytes.is_empty() {
        // A copy of its own: the read buffer is shared by all connections and is used again.
        *link.unread.borrow_mut() = BytesMut::from(&bytes[..]);
    }
    drop(bytes);
    shard.pump();
}

/// Sends the rest, tells the peer that this is all, and waits for its end.
async fn finish(shard: &Rc<Shard>, conn: ConnId, link: &Link) {
    let flushed_by = Instant::now() + FLUSH_LIMIT;
    loop {
        link.flush_next(shard, conn);
        if link.failed.get() {
            break;
        }
        if link.queued.get() {
            tokio::task::yield_now().await;
            continue;
        }
        if !link.blocked.get() {
            break;
        }
        let waited = match &link.wire {
            Wire::Tcp(socket) => {
                timeout_at(flushed_by, socket.writable()).await.is_ok_and(|ready| ready.is_ok())
            }
            Wire::Flv { pieces, .. } => {
                timeout_at(flushed_by, pieces.reserve()).await.is_ok_and(|place| place.is_ok())
            }
        };
        if !waited {
            return;
        }
        link.blocked.set(false);
    }
    let Wire::Tcp(socket) = &link.wire else { return };
    if link.failed.get() || socket2::SockRef::from(socket).shutdown(std::net::Shutdown::Write).is_err() {
        return;
    }
    let closed_by = Instant::now() + LINGER_LIMIT;
    while let Ok(Ok(())) = timeout_at(closed_by, socket.readable()).await {
        match shard.read(socket) {
            Ok(bytes) if bytes.is_empty() => return,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return,
            _ => {}
        }
    }
}

/// Gives socket and state to another shard.
fn hand_over(shard: &Rc<Shard>, conn: ConnId, link: Rc<Link>, to: ShardId, state: Box<MovedConnection>) {
    shard.forget(conn);
    // The table's reference is gone, so this is the last one.
    let Some(link) = Rc::into_inner(link) else { return };
    let (Wire::Tcp(socket), Some(ticket)) = (link.wire, link.ticket.into_inner()) else { return };
    if let Ok(socket) = socket.into_std() {
        shard.hand_over(conn, to, socket, link.unread.into_inner(), ticket, state);
    }
}

impl Shard {
    fn hand_over(
        &self,
        conn: ConnId,
        to: ShardId,
        socket: std::net::TcpStream,
        unread: BytesMut,
        mut ticket: Ticket,
        state: Box<MovedConnection>,
    ) {
        let Some(other) = self.shared.shards.get(usize::from(to.0)) else { return };
        ticket.carry_to(&other.load);
        let _ = other.orders.send(Order::Adopt { conn, socket, unread, ticket, state });
    }
}
