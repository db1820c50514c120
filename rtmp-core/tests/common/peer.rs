//! A scripted client in front of a server machine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rtmp_core::amf::Object;
use rtmp_core::amf::amf0::{self, Value};
use rtmp_core::chunk::{ChunkReader, ChunkWriter, Message};
use rtmp_core::handshake::{ClientHandshake, Scheme};
use rtmp_core::message::{Command, Control, Status};
use rtmp_core::{
    AmfLimits, ConnectionConfig, ConnectionError, Media, MediaKind, Progress, ServerConnection, ServerEvent,
    Timestamp,
};

/// A scripted client in front of a server machine.
pub(crate) struct Peer {
    pub(crate) now: Instant,
    pub(crate) server: ServerConnection,
    pub(crate) input: BytesMut,
    pub(crate) writer: ChunkWriter,
    reader: ChunkReader,
    received: BytesMut,
}

impl Peer {
    pub(crate) fn greeted(config: ConnectionConfig) -> Self {
        let now = start_of_time();
        let mut input = BytesMut::new();
        let mut handshake = ClientHandshake::new(1, Scheme::default(), &mut input);
        let mut server = ServerConnection::new(Arc::new(config), 2, now);
        assert_eq!(server.handle_input(now, &mut input), Ok(Progress::NeedBytes));
        handshake.handle_input(server.outgoing(), &mut input).expect("S0 S1 S2").expect("complete");
        let writer = ChunkWriter::default();
        let reader = ChunkReader::new(&super::wide_limits());
        let mut peer = Self { now, server, input, writer, reader, received: BytesMut::new() };
        assert!(matches!(peer.feed(), Ok(Progress::NeedBytes)));
        assert!(matches!(peer.server.poll_event(), Some(ServerEvent::Handshaken(_))));
        peer
    }

    pub(crate) fn connected(config: ConnectionConfig) -> Self {
        let mut peer = Self::greeted(config);
        peer.call(connect(), 0);
        let event = peer.event();
        let ServerEvent::ConnectRequested { request, .. } = event else { panic!("{event:?}") };
        peer.server.accept(peer.now, request).expect("open request");
        peer.call(Command::new("createStream", 2.0), 0);
        assert_eq!(peer.answers().len(), 5);
        peer
    }

    pub(crate) fn playing(config: ConnectionConfig) -> Self {
        let mut peer = Self::connected(config);
        peer.call(Command::new("play", 4.0).with("show?token=x").with(-2000.0), 1);
        let event = peer.event();
        let ServerEvent::PlayRequested { request, name, start } = event else { panic!("{event:?}") };
        assert_eq!((&*name, start), ("show?token=x", Some(-2000.0)));
        peer.server.accept(peer.now, request).expect("open request");
        peer
    }

    pub(crate) fn publishing(config: ConnectionConfig) -> Self {
        let mut peer = Self::connected(config);
        peer.call(Command::new("publish", 5.0).with("show").with("live"), 1);
        let event = peer.event();
        let ServerEvent::PublishRequested { request, .. } = event else { panic!("{event:?}") };
        peer.server.accept(peer.now, request).expect("open request");
        assert_eq!(peer.answers(), ["onStatus NetStream.Publish.Start"]);
        peer
    }

    pub(crate) fn feed(&mut self) -> Result<Progress, ConnectionError> {
        self.server.handle_input(self.now, &mut self.input)
    }

    pub(crate) fn send(&mut self, message: &Message) -> Result<Progress, ConnectionError> {
        assert!(self.writer.write(&mut self.input, message));
        self.feed()
    }

    pub(crate) fn call(&mut self, command: Command, msid: u32) {
        self.send(&command.message(msid).expect("a command")).expect("accepted").into_unit();
    }

    pub(crate) fn media(
        &mut self,
        kind: MediaKind,
        millis: u32,
        payload: &'static [u8],
    ) -> Result<Progress, ConnectionError> {
        let payload = Bytes::from_static(payload);
        self.send(&Media { kind, timestamp: Timestamp::from_millis(millis), payload }.message(1))
    }

    pub(crate) fn event(&mut self) -> ServerEvent {
        self.server.poll_event().expect("an event")
    }

    pub(crate) fn messages(&mut self) -> Vec<Message> {
        self.received.extend(self.server.outgoing().split());
        std::iter::from_fn(|| self.reader.read(&mut self.received).expect("a legal answer")).collect()
    }

    /// What the server sent, in words.
    pub(crate) fn answers(&mut self) -> Vec<String> {
        self.messages().iter().map(in_words).collect()
    }

    pub(crate) fn later(&mut self, millis: u64) -> Result<(), ConnectionError> {
        self.now += Duration::from_millis(millis);
        self.server.handle_timeout(self.now)
    }
}

pub(crate) trait IntoUnit {
    fn into_unit(self);
}

impl IntoUnit for Progress {
    fn into_unit(self) {}
}

pub(crate) fn connect() -> Command {
    let mut command = Command::new("connect", 1.0);
    command.object = Value::Object(Object::new().with("app", "live").with("tcUrl", "rtmp://v.com/live"));
    command
}

pub(crate) fn in_words(message: &Message) -> String {
    if let Ok(Some(control)) = Control::parse(message.kind, &message.payload) {
        return format!("{control:?}");
    }
    let values = amf0::decode_all(message.payload.clone(), AmfLimits::default()).expect("AMF");
    let name = values[0].as_str().expect("a name").to_owned();
    match values.get(3).and_then(Status::from_value) {
        Some(status) => format!("{name} {}", status.code),
        None => name,
    }
}

#[expect(clippy::disallowed_methods, reason = "any instant serves as the start of virtual time")]
fn start_of_time() -> Instant {
    Instant::now()
}
