//! One hostile connection: says byte for byte what it is told to, and listens.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rtmp_core::amf::Object;
use rtmp_core::amf::amf0::Value;
use rtmp_core::chunk::{ChunkReader, ChunkWriter, Message, MessageType};
use rtmp_core::handshake::{PACKET_BYTES, VERSION};
use rtmp_core::message::{Command, Control};
use rtmp_core::{Limits, Timestamp};
use socket2::{Domain, Protocol, Socket, Type};

use crate::clock::instant;
use crate::target::Place;

/// How long an answer of the server may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of waiting for the server.
#[derive(Debug)]
pub(super) enum Heard {
    /// A message.
    Message(Message),
    /// The server closed the connection.
    Closed,
    /// Nothing in time.
    Nothing,
}

/// A connection under the hand of an attack.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) stream: TcpStream,
    writer: ChunkWriter,
    reader: ChunkReader,
    input: BytesMut,
    pub(super) sent: u64,
    pub(super) back: u64,
}

/// Opens a socket from `from` to `server`, with a receive buffer of this size, without waiting for it.
pub(super) fn begin_connect(
    server: SocketAddr,
    from: Option<Ipv4Addr>,
    receive_buffer: Option<usize>,
) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, Some(Protocol::TCP))?;
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(from) = from.filter(|_| server.is_ipv4()) {
        socket.bind(&SocketAddr::from((from, 0)).into())?;
    }
    socket.set_tcp_nodelay(true)?;
    Ok(socket)
}

/// C0 and C1 of a plain client.
pub(super) fn hello() -> Vec<u8> {
    let mut hello = vec![0; 1 + PACKET_BYTES];
    hello[0] = VERSION;
    hello
}

impl Peer {
    pub(super) fn open(
        server: SocketAddr,
        from: Option<Ipv4Addr>,
        receive_buffer: Option<usize>,
    ) -> io::Result<Self> {
        let socket = begin_connect(server, from, receive_buffer)?;
        socket.connect_timeout(&server.into(), PATIENCE)?;
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        // Not a strict listener: what the server sends is not what is tested here.
        let mut limits = Limits::default();
        limits.chunk_size_min = 1;
        Ok(Self {
            stream,
            writer: ChunkWriter::default(),
            reader: ChunkReader::new(&limits),
            input: BytesMut::new(),
            sent: 0,
            back: 0,
        })
    }

    /// Plain handshake, whole.
    pub(super) fn handshake(&mut self) -> io::Result<()> {
        self.send(&hello())?;
        let mut answer = vec![0; 1 + 2 * PACKET_BYTES];
        self.stream.read_exact(&mut answer)?;
        self.back += answer.len() as u64;
        let their_hello = answer[1..=PACKET_BYTES].to_vec();
        self.send(&their_hello)
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.sent += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn message(&mut self, message: &Message) -> io::Result<()> {
        let mut out = BytesMut::new();
        self.writer.write(&mut out, message);
        self.send(&out)
    }

    /// Sends a control message. A chunk size counts for what this peer writes from then on.
    pub(super) fn control(&mut self, control: &Control) -> io::Result<()> {
        self.message(&control.message())?;
        if let Control::SetChunkSize(size) = control {
            self.writer.set_chunk_size((*size).max(1));
        }
        Ok(())
    }

    /// Cuts what follows into chunks of this size, whatever the server was told.
    pub(super) fn write_in_chunks_of(&mut self, size: u32) {
        self.writer.set_chunk_size(size.max(1));
    }

    pub(super) fn command(&mut self, command: &Command, msid: u32) -> io::Result<()> {
        self.message(&command.message(msid).map_err(io::Error::other)?)
    }

    /// `connect` and `createStream`, both answered.
    pub(super) fn connect(&mut self, place: &Place) -> io::Result<()> {
        self.command(&connect_command(place), 0)?;
        self.await_command("_result")?;
        self.command(&Command::new("createStream", 2.0), 0)?;
        self.await_command("_result").map(drop)
    }

    /// Publishes and says which status came.
    pub(super) fn publish(&mut self, stream: &str) -> io::Result<String> {
        self.command(&publish_command(stream), 1)?;
        self.status()
    }

    /// The code of the next status.
    pub(super) fn status(&mut self) -> io::Result<String> {
        let status = self.await_command("onStatus")?;
        let code = status.argument(0).and_then(Value::as_object).and_then(|status| status.get("code"));
        Ok(code.and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// Waits for a command with this name.
    pub(super) fn await_command(&mut self, name: &str) -> io::Result<Command> {
        let deadline = instant() + PATIENCE;
        loop {
            match self.hear(deadline)? {
                Heard::Message(message) if message.kind == MessageType::COMMAND => {
                    let amf = Limits::default().amf;
                    let command =
                        Command::parse(message.kind, &message.payload, amf).map_err(io::Error::other)?;
                    if command.name.to_string_lossy() == name {
                        return Ok(command);
                    }
                }
                Heard::Message(_) => {}
                Heard::Closed => return Err(io::Error::other(format!("closed instead of {name}"))),
                Heard::Nothing => return Err(io::Error::other(format!("no {name} came"))),
            }
        }
    }

    /// The next thing the server says until `deadline`.
    pub(super) fn hear(&mut self, deadline: Instant) -> io::Result<Heard> {
        let mut raw = [0; 16 << 10];
        loop {
            if let Some(message) = self.reader.read(&mut self.input).map_err(io::Error::other)? {
                return Ok(Heard::Message(message));
            }
            let left = deadline.saturating_duration_since(instant());
            if left.is_zero() {
                return Ok(Heard::Nothing);
            }
            self.stream.set_read_timeout(Some(left))?;
            match self.stream.read(&mut raw) {
                Ok(0) => return Ok(Heard::Closed),
                Ok(count) => {
                    self.back += count as u64;
                    self.input.extend_from_slice(&raw[..count]);
                }
                Err(error) if is_pending(&error) => return Ok(Heard::Nothing),
                Err(error) if is_reset(&error) => return Ok(Heard::Closed),
                Err(error) => return Err(error),
            }
        }
    }
}

/// `connect` as a plain client sends it.
pub(super) fn connect_command(place: &Place) -> Command {
    let object = Object::new().with("app", place.app.as_str()).with("tcUrl", place.tc_url.as_str());
    let mut connect = Command::new("connect", 1.0);
    connect.object = Value::Object(object);
    connect
}

pub(super) fn publish_command(stream: &str) -> Command {
    Command::new("publish", 5.0).with(stream).with("live")
}

/// A message with any payload.
pub(super) fn message(kind: MessageType, msid: u32, payload: impl Into<Bytes>) -> Message {
    Message { csid: 6, timestamp: Timestamp::ZERO, kind, msid, payload: payload.into() }
}

pub(super) fn is_pending(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

/// The server closed while bytes of ours were under way.
pub(super) fn is_reset(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
    matches!(error.kind(), ConnectionReset | BrokenPipe | ConnectionAborted | NotConnected)
}
