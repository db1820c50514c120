//! One TCP connection and the RTMP client on it, without blocking.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf as _, BytesMut};
use mio::net::TcpStream;
use nix::errno::Errno;
use rtmp_core::{
    ClientConnection, ClientEvent, CommandError, ConnectionConfig, ConnectionError, Progress, Target,
};
use socket2::{Domain, Protocol, Socket, Type};

/// Bytes taken from a socket at once.
const READ_BYTES: usize = 256 << 10;

/// Why a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The server closed it.
    Closed,
    /// The system says so.
    Io(io::Error),
    /// The server broke the protocol, or was silent.
    Protocol(ConnectionError),
    /// The server said no, with this status.
    Refused(String),
    /// The server does not take what a publisher sends.
    Stuck(CommandError),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed by the server"),
            Self::Io(error) => error.fmt(f),
            Self::Protocol(error) => error.fmt(f),
            Self::Refused(status) => f.write_str(status),
            Self::Stuck(error) => error.fmt(f),
        }
    }
}

/// Buffers that all connections of a thread read through.
#[derive(Debug)]
pub(crate) struct Scratch {
    raw: Vec<u8>,
    input: BytesMut,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { raw: vec![0; READ_BYTES], input: BytesMut::with_capacity(2 * READ_BYTES) }
    }
}

/// Where a connection goes, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    pub(crate) server: SocketAddr,
    /// The address it comes from.
    pub(crate) source: Option<SocketAddr>,
    /// A small one makes a viewer that does not read felt by the server soon.
    pub(crate) receive_buffer: Option<usize>,
}

/// A connection from the first SYN on.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) client: ClientConnection,
    /// The part of a chunk header that had arrived.
    rest: BytesMut,
    pub(crate) bytes: u64,
}

impl Connection {
    /// Begins to connect.
    pub(crate) fn open(
        route: &Route,
        target: Target,
        config: &Arc<ConnectionConfig>,
        seed: u64,
        now: Instant,
    ) -> io::Result<Self> {
        let address = route.server;
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if let Some(bytes) = route.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(source) = route.source {
            socket.bind(&source.into())?;
        }
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&address.into()) {
            Err(error) if !is_pending(&error) => return Err(error),
            _ => {}
        }
        Ok(Self {
            stream: TcpStream::from_std(socket.into()),
            client: ClientConnection::new(Arc::clone(config), target, seed, now),
            rest: BytesMut::new(),
            bytes: 0,
        })
    }

    /// Reads what is there, at most about `budget` bytes, and hands each event to `on_event`.
    pub(crate) fn read(
        &mut self,
        scratch: &mut Scratch,
        now: Instant,
        budget: usize,
        mut on_event: impl FnMut(ClientEvent),
    ) -> Result<(), End> {
        let mut left = budget;
        while left > 0 {
            let room = left.min(scratch.raw.len());
            let count = match self.stream.read(&mut scratch.raw[..room]) {
                Ok(0) => return Err(End::Closed),
                Ok(count) => count,
                Err(error) if is_pending(&error) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(End::Io(error)),
            };
            self.bytes += count as u64;
            left -= count;
            scratch.input.clear();
            scratch.input.extend_from_slice(&self.rest);
            scratch.input.extend_from_slice(&scratch.raw[..count]);
            loop {
                let progress = self.client.handle_input(now, &mut scratch.input);
                while let Some(event) = self.client.poll_event() {
                    on_event(event);
                }
                match progress.map_err(End::Protocol)? {
                    Progress::NeedBytes => break,
                    Progress::Paused | Progress::Asking => self.flush()?,
                }
                if !self.client.outgoing().is_empty() {
                    // The server takes no replies: the rest of its bytes waits until it does.
                    break;
                }
            }
            self.rest.clear();
            self.rest.extend_from_slice(&scratch.input);
            // A short read emptied the socket; the next byte makes a new readiness event.
            if count < room {
                break;
            }
        }
        self.flush()
    }

    /// Sends what waits, as far as the socket takes it.
    pub(crate) fn flush(&mut self) -> Result<(), End> {
        loop {
            let outgoing = self.client.outgoing();
            if outgoing.is_empty() {
                return Ok(());
            }
            match self.stream.write(outgoing) {
                Ok(count) => outgoing.advance(count),
                Err(error) if is_pending(&error) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(End::Io(error)),
            }
        }
    }

    /// Lets the machine give up waiting when it is time.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Result<(), End> {
        if self.client.poll_timeout().is_some_and(|at| at <= now) {
            self.client.handle_timeout(now).map_err(End::Protocol)?;
            self.flush()?;
        }
        Ok(())
    }
}

/// Whether the socket just cannot go on now; a socket that is still connecting says so in several ways.
fn is_pending(error: &io::Error) -> bool {
    use io::ErrorKind::{NotConnected, WouldBlock};
    matches!(error.kind(), WouldBlock | NotConnected)
        || error.raw_os_error() == Some(Errno::EINPROGRESS as i32)
}
