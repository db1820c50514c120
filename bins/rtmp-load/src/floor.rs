//! The server that does the least: every message is made once, and the same bytes are written to everybody.
//!
//! There is no copy per viewer, no queue, no decision; what this costs is what the system's sockets cost. Any server's
//! cost can be put beside it. It speaks just enough RTMP that the same viewers can watch it.

use std::io::{self, Read as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use rtmp_core::chunk::{ChunkWriter, Compression};
use rtmp_core::media::MediaRole;
use rtmp_core::{ConnectionConfig, Progress, ServerConnection, ServerEvent};

use crate::args::Args;
use crate::clock::{Nanos, instant};
use crate::source::Source;

const LISTENER: Token = Token(usize::MAX);
/// Message stream of every viewer: the one its `createStream` was given.
const MSID: u32 = 1;
const READ_BYTES: usize = 16 << 10;

/// Serves until the process is ended.
pub(crate) fn serve(args: &Args) -> io::Result<()> {
    let address = args.floor.ok_or_else(|| io::Error::other("no address"))?;
    let mut floor = Floor::new(TcpListener::bind(address)?)?;
    let mut source = Source::new(args.source(), 0, 0);
    let mut shared = Shared::new(&source, floor.config.chunk_size);
    let begun = instant();
    let mut events = Events::with_capacity(1024);
    // When the messages that are collected have to be written.
    let mut write_at: Option<Instant> = None;
    loop {
        let now = instant();
        let next = (begun + source.due()).min(write_at.unwrap_or(now + Duration::from_secs(1)));
        match floor.poll.poll(&mut events, Some(next.saturating_duration_since(now))) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        let now = instant();
        for event in &events {
            match event.token() {
                LISTENER => floor.accept(now)?,
                Token(index) => floor.handle(index, now),
            }
        }
        while begun + source.due() <= now {
            shared.push(&mut source);
            write_at.get_or_insert(now + args.merge);
        }
        if write_at.is_some_and(|at| at <= now) {
            write_at = None;
            floor.send(&shared);
            shared.clear();
        }
    }
}

/// The bytes everybody gets.
#[derive(Debug)]
struct Shared {
    writer: ChunkWriter,
    headers: BytesMut,
    wire: BytesMut,
    /// Where the latest key frame begins in `wire`: newcomers start there.
    key: Option<usize>,
}

impl Shared {
    fn new(source: &Source, chunk_size: u32) -> Self {
        let mut writer = ChunkWriter::new(Compression::Full);
        writer.set_chunk_size(chunk_size);
        let mut headers = BytesMut::new();
        for header in source.headers() {
            writer.write(&mut headers, &header.message(MSID));
        }
        Self { writer, headers, wire: BytesMut::new(), key: None }
    }

    fn push(&mut self, source: &mut Source) {
        let media = source.next(Nanos::now());
        if media.role() == MediaRole::KeyFrame {
            self.key = Some(self.wire.len());
        }
        self.writer.write(&mut self.wire, &media.message(MSID));
    }

    fn clear(&mut self) {
        self.wire.clear();
        self.key = None;
    }
}

#[derive(Debug)]
struct Floor {
    listener: TcpListener,
    poll: Poll,
    config: Arc<ConnectionConfig>,
    guests: Vec<Option<Guest>>,
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Guest {
    stream: TcpStream,
    state: State,
    /// Bytes the socket did not take, and input that was not complete.
    backlog: BytesMut,
    input: BytesMut,
}

#[derive(Debug)]
enum State {
    Greeting(Box<ServerConnection>),
    /// The next key frame is its first.
    Waiting,
    Watching,
}

impl Floor {
    fn new(mut listener: TcpListener) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let mut config = ConnectionConfig::default();
        // Nobody has to acknowledge anything.
        config.window = u32::MAX >> 1;
        Ok(Self {
            listener,
            poll,
            config: Arc::new(config),
            guests: Vec::new(),
            scratch: vec![0; READ_BYTES],
        })
    }

    fn accept(&mut self, now: Instant) -> io::Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            stream.set_nodelay(true)?;
            let index = self.guests.len();
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, Token(index), interest)?;
            let greeting = ServerConnection::new(Arc::clone(&self.config), index as u64, now);
            let state = State::Greeting(Box::new(greeting));
            self.guests.push(Some(Guest { stream, state, backlog: BytesMut::new(), input: BytesMut::new() }));
        }
    }

    fn handle(&mut self, index: usize, now: Instant) {
        let Some(place) = self.guests.get_mut(index) else { return };
        let Some(guest) = place else { return };
        if guest.flush().and_then(|()| guest.read(&mut self.scratch, now)).is_err() {
            *place = None;
        }
    }

    fn send(&mut self, shared: &Shared) {
        for place in &mut self.guests {
            let Some(guest) = place else { continue };
            let sent = match (&guest.state, shared.key) {
                (State::Watching, _) => guest.write(&shared.wire),
                (State::Waiting, Some(key)) => {
                    guest.state = State::Watching;
                    guest.write(&shared.headers).and_then(|()| guest.write(&shared.wire[key..]))
                }
                _ => Ok(()),
            };
            if sent.is_err() {
                *place = None;
            }
        }
    }
}

impl Guest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut written = 0;
        if self.backlog.is_empty() {
            written = match self.stream.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                result => result?,
            };
        }
        self.backlog.extend_from_slice(&bytes[written..]);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let backlog = std::mem::take(&mut self.backlog);
        if backlog.is_empty() { Ok(()) } else { self.write(&backlog) }
    }

    fn read(&mut self, scratch: &mut [u8], now: Instant) -> io::Result<()> {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) if matches!(self.state, State::Greeting(_)) => {
                    self.input.extend_from_slice(&scratch[..count]);
                    self.greet(now)?;
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Says yes to everything.
    fn greet(&mut self, now: Instant) -> io::Result<()> {
        let State::Greeting(server) = &mut self.state else { return Ok(()) };
        let mut plays = false;
        loop {
            let progress = server.handle_input(now, &mut self.input).map_err(io::Error::other)?;
            while let Some(event) = server.poll_event() {
                let (ServerEvent::ConnectRequested { request, .. }
                | ServerEvent::PublishRequested { request, .. }
                | ServerEvent::PlayRequested { request, .. }) = event
                else {
                    continue;
                };
                plays |= matches!(event, ServerEvent::PlayRequested { .. });
                server.accept(now, request).map_err(io::Error::other)?;
            }
            if progress == Progress::NeedBytes || plays {
                break;
            }
        }
        let answer = server.outgoing().split();
        if plays {
            self.state = State::Waiting;
        }
        self.write(&answer)
    }
}
