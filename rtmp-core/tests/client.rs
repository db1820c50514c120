//! The client's side, scripted line by line.
#![expect(clippy::disallowed_methods, reason = "any instant serves as the start of virtual time")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rtmp_core::amf::Object;
use rtmp_core::amf::amf0::Value;
use rtmp_core::chunk::{ChunkReader, ChunkWriter, Message, MessageType};
use rtmp_core::handshake::{ProxyTrust, ServerHandshake};
use rtmp_core::message::{Command, Control, PauseState, PublishKind, Status, UserControl, status};
use rtmp_core::{
    AmfLimits, AnnouncePublish, ClientConnection, ClientEvent, ConnectionConfig, ConnectionError, Media,
    MediaKind, Progress, Purpose, Target, Timestamp, Waiting,
};

/// A scripted server in front of a client machine.
struct Peer {
    now: Instant,
    client: ClientConnection,
    writer: ChunkWriter,
    reader: ChunkReader,
    received: BytesMut,
}

impl Peer {
    fn greeted(config: ConnectionConfig, purpose: Purpose) -> Self {
        let now = Instant::now();
        let mut target = Target::new("rtmp://v.com/live", "live", "show?token=x", purpose);
        target.properties.push("pageUrl", "http://page");
        target.arguments.push(Value::from("extra"));
        let mut client = ClientConnection::new(Arc::new(config), target, 1, now);
        let mut server = ServerHandshake::new(2, ProxyTrust::Untrusted);
        let mut input = BytesMut::new();
        assert_eq!(server.handle_input(client.outgoing(), &mut input), Ok(None));
        assert_eq!(client.handle_input(now, &mut input), Ok(Progress::NeedBytes));
        assert!(server.handle_input(client.outgoing(), &mut input).expect("C2").is_some());
        assert!(matches!(client.poll_event(), Some(ClientEvent::Handshaken(_))));
        let received = client.outgoing().split();
        let reader = ChunkReader::new(&common::wide_limits());
        Self { now, client, writer: ChunkWriter::default(), reader, received }
    }

    fn started(config: ConnectionConfig, purpose: Purpose) -> Self {
        let mut peer = Self::greeted(config, purpose);
        peer.call(connect_result(), 0);
        peer.call(Command::new("_result", 4.0).with(3.0), 0);
        peer.said();
        peer
    }

    fn playing(config: ConnectionConfig) -> Self {
        let mut peer = Self::started(config, Purpose::Play);
        peer.status(Status::ok(status::code::PLAY_START, "go"));
        assert!(matches!(peer.client.poll_event(), Some(ClientEvent::Connected(_))));
        assert_eq!(peer.client.poll_event(), Some(ClientEvent::PlayStarted));
        peer
    }

    fn send(&mut self, message: &Message) -> Result<Progress, ConnectionError> {
        let mut input = BytesMut::new();
        assert!(self.writer.write(&mut input, message));
        self.client.handle_input(self.now, &mut input)
    }

    fn call(&mut self, command: Command, msid: u32) {
        let sent = self.send(&command.message(msid).expect("a command"));
        assert_eq!(sent, Ok(Progress::NeedBytes));
    }

    fn status(&mut self, status: Status) {
        self.call(Command::new("onStatus", 0.0).with(status.to_value()), 3);
    }

    /// What the client said, in words.
    fn said(&mut self) -> Vec<String> {
        self.received.extend(self.client.outgoing().split());
        let messages = std::iter::from_fn(|| self.reader.read(&mut self.received).expect("legal"));
        let words = |message: Message| {
            if let Ok(Some(control)) = Control::parse(message.kind, &message.payload) {
                return format!("{control:?}");
            }
            let Ok(command) = Command::parse(message.kind, &message.payload, AmfLimits::default()) else {
                return format!("type {}", message.kind.0);
            };
            let first = command.argument(0).and_then(Value::as_str).unwrap_or_default();
            format!("{} {} on {} {first}", command.name, command.transaction, message.msid)
        };
        messages.map(words).collect()
    }

    fn later(&mut self, millis: u64) -> Result<(), ConnectionError> {
        self.now += Duration::from_millis(millis);
        self.client.handle_timeout(self.now)
    }

    fn events(&mut self) -> Vec<ClientEvent> {
        std::iter::from_fn(|| self.client.poll_event()).collect()
    }
}

fn connect_result() -> Command {
    let info = Status::ok(status::code::CONNECT_SUCCESS, "Connection succeeded");
    Command::new("_result", 1.0).with(info.to_value())
}

#[test]
fn a_play_says_what_servers_wait_for() {
    let mut peer = Peer::greeted(ConnectionConfig::default(), Purpose::Play);
    let mut wire = peer.received.clone();
    let connect = ChunkReader::new(&common::wide_limits()).read(&mut wire).expect("legal").expect("connect");
    let connect = Command::parse(connect.kind, &connect.payload, AmfLimits::default()).expect("connect");
    let object = connect.object.as_object().expect("properties");
    for (key, value) in [("app", "live"), ("tcUrl", "rtmp://v.com/live"), ("pageUrl", "http://page")] {
        assert_eq!(object.get(key).and_then(Value::as_str), Some(value));
    }
    assert_eq!(peer.said(), ["connect 1 on 0 extra", "WindowAckSize(2500000)"]);
    peer.call(connect_result(), 0);
    assert!(matches!(&peer.events()[..], [ClientEvent::Connected(_)]));
    assert_eq!(peer.said(), ["SetChunkSize(60000)", "createStream 4 on 0 "]);
    peer.call(Command::new("_result", 4.0).with(3.0), 0);
    assert_eq!(
        peer.said(),
        ["play 0 on 3 show?token=x", "UserControl(SetBufferLength { msid: 3, millis: 1000 })"]
    );
    peer.status(Status::ok(status::code::PLAY_RESET, "reset"));
    peer.status(Status::ok(status::code::PLAY_START, "go"));
    assert!(matches!(&peer.events()[..], [ClientEvent::Status(_), ClientEvent::PlayStarted]));
    assert_eq!(peer.client.msid(), Some(3));
    peer.client.pause(peer.now, PauseState::Paused, 40).expect("a play is running");
    assert_eq!(peer.client.poll_timeout(), None);
    peer.client.close().expect("says good-bye");
    assert_eq!(peer.said(), ["pause 0 on 3 ", "deleteStream 7 on 0 "]);
    assert_eq!(peer.events(), [ClientEvent::Closed]);
}

#[test]
fn media_proves_that_a_play_has_started() {
    let mut peer = Peer::started(ConnectionConfig::default(), Purpose::Play);
    peer.events();
    let media =
        Media { kind: MediaKind::Video, timestamp: Timestamp::ZERO, payload: Bytes::from_static(&[0x17, 1]) };
    assert!(peer.send(&media.message(3)).is_ok());
    assert_eq!(peer.events(), [ClientEvent::PlayStarted, ClientEvent::Media(media)]);
    peer.status(Status::ok(status::code::PLAY_START, "late"));
    assert_eq!(peer.events(), []);
}

#[test]
fn a_publish_is_announced_and_taken_back() {
    let mut peer = Peer::greeted(ConnectionConfig::default(), Purpose::Publish(PublishKind::Live));
    peer.said();
    peer.call(connect_result(), 0);
    assert_eq!(
        peer.said(),
        [
            "SetChunkSize(60000)",
            "releaseStream 2 on 0 show?token=x",
            "FCPublish 3 on 0 show?token=x",
            "createStream 4 on 0 ",
        ]
    );
    let media =
        Media { kind: MediaKind::Audio, timestamp: Timestamp::ZERO, payload: Bytes::from_static(&[0xaf, 1]) };
    assert!(peer.client.send_media(&media).is_err());
    // A server that does not know the announcements says so; that means nothing.
    peer.call(Command::new("_error", 2.0).with(Value::Null), 0);
    peer.call(Command::new("_result", 4.0).with(1.0), 0);
    assert_eq!(peer.said(), ["publish 5 on 1 show?token=x"]);
    peer.call(Command::new("onFCPublish", 0.0), 1);
    peer.status(Status::ok(status::code::PUBLISH_START, "go"));
    assert!(matches!(&peer.events()[..], [ClientEvent::Connected(_), ClientEvent::PublishAccepted]));
    peer.client.send_media(&media).expect("accepted");
    assert_eq!(peer.said(), ["type 8"]);
    peer.client.close().expect("says good-bye");
    assert_eq!(peer.said(), ["FCUnpublish 6 on 0 show?token=x", "deleteStream 7 on 0 "]);

    let mut config = ConnectionConfig::default();
    config.announce_publish = AnnouncePublish::Omit;
    let mut peer = Peer::greeted(config, Purpose::Publish(PublishKind::Record));
    peer.said();
    peer.call(connect_result(), 0);
    assert_eq!(peer.said(), ["SetChunkSize(60000)", "createStream 4 on 0 "]);
}

#[test]
fn a_relay_s_publish_begins_plainly_may_stay_unanswered_and_says_good_bye() {
    let mut config = ConnectionConfig::default();
    config.announce_publish = AnnouncePublish::EndOnly;
    let mut peer = Peer::greeted(config, Purpose::Publish(PublishKind::Live));
    assert!(peer.client.accept_unanswered(peer.now).is_err(), "nothing was asked yet");
    peer.said();
    peer.call(connect_result(), 0);
    assert_eq!(peer.said(), ["SetChunkSize(60000)", "createStream 4 on 0 "]);
    peer.call(Command::new("_result", 4.0).with(3.0), 0);
    assert_eq!(peer.said(), ["publish 5 on 3 show?token=x"]);
    peer.events();
    peer.client.accept_unanswered(peer.now).expect("the server says nothing");
    assert_eq!((peer.events(), peer.client.msid()), (vec![ClientEvent::PublishAccepted], Some(3)));
    assert_eq!(peer.client.poll_timeout(), None);
    peer.client.close().expect("says good-bye");
    assert_eq!(peer.said(), ["FCUnpublish 6 on 0 show?token=x", "deleteStream 7 on 0 "]);
}

#[test]
fn refusals_are_told_with_their_reason_at_every_stage() {
    let refused = |peer: &mut Peer| {
        let events = peer.events();
        let [.., ClientEvent::Refused(status), ClientEvent::Closed] = &events[..] else {
            panic!("{events:?}")
        };
        status.code.clone().into_owned()
    };
    let rejected = Status::error(status::code::CONNECT_REJECTED, "no");
    let mut peer = Peer::greeted(ConnectionConfig::default(), Purpose::Play);
    peer.call(Command::new("_error", 1.0).with(rejected.to_value()), 0);
    assert_eq!(refused(&mut peer), status::code::CONNECT_REJECTED);
    let mut peer = Peer::greeted(ConnectionConfig::default(), Purpose::Play);
    peer.call(connect_result(), 0);
    peer.call(Command::new("_error", 4.0), 0);
    assert_eq!(refused(&mut peer), status::code::CALL_FAILED);
    let mut peer = Peer::started(ConnectionConfig::default(), Purpose::Play);
    peer.status(Status::error(status::code::PLAY_STREAM_NOT_FOUND, "nothing here"));
    assert_eq!(refused(&mut peer), status::code::PLAY_STREAM_NOT_FOUND);
    let mut peer = Peer::started(ConnectionConfig::default(), Purpose::Publish(PublishKind::Live));
    peer.status(Status::error(status::code::PUBLISH_BAD_NAME, "busy"));
    assert_eq!(refused(&mut peer), status::code::PUBLISH_BAD_NAME);
}

#[test]
fn redirects_are_understood_in_both_forms() {
    let expect = |peer: &mut Peer, expected: &str| {
        let events = peer.events();
        let [.., ClientEvent::Redirected { url, .. }, ClientEvent::Closed] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!(url, expected);
    };
    let redirect = Status::redirect("rtmp://other:1935/live");
    let mut peer = Peer::greeted(ConnectionConfig::default(), Purpose::Play);
    peer.call(Command::new("_error", 1.0).with(redirect.to_value()), 0);
    expect(&mut peer, "rtmp://other:1935/live");
    let ex = Object::new().with("redirect", "rtmp://a/live").with("redirect2", "rtmp://a/live/show");
    let both =
        Status::error(status::code::CONNECT_REJECTED, "RTMP 302 Redirect").with("ex", Value::Object(ex));
    let mut peer = Peer::playing(ConnectionConfig::default());
    peer.status(both);
    expect(&mut peer, "rtmp://a/live/show");
}

#[test]
fn a_reconnect_request_keeps_the_connection() {
    let mut peer = Peer::playing(ConnectionConfig::default());
    let request =
        Status::ok(status::code::CONNECT_RECONNECT, "maintenance").with("tcUrl", "rtmp://other/live");
    peer.status(request);
    assert_eq!(peer.events(), [ClientEvent::ReconnectRequested { url: Some("rtmp://other/live".into()) }]);
    assert_eq!(peer.client.msid(), Some(3));
}

#[test]
fn the_end_of_a_stream_is_an_event() {
    for code in [status::code::PLAY_UNPUBLISH_NOTIFY, status::code::PLAY_STOP, status::code::PLAY_COMPLETE] {
        let mut peer = Peer::playing(ConnectionConfig::default());
        peer.status(Status::ok(code, "over"));
        assert!(matches!(&peer.events()[..], [ClientEvent::Ended(status)] if *status.code == *code));
    }
    let mut peer = Peer::playing(ConnectionConfig::default());
    assert!(peer.send(&Control::UserControl(UserControl::StreamEof(3)).message()).is_ok());
    peer.status(Status::error(status::code::PLAY_FAILED, "broke"));
    assert!(matches!(&peer.events()[..], [ClientEvent::StreamEof, ClientEvent::Ended(_)]));
}

#[test]
fn every_wait_has_its_end() {
    let silent = |waiting, secs| Err(ConnectionError::Silent { waiting, after: Duration::from_secs(secs) });
    let now = Instant::now();
    let target = Target::new("rtmp://v/live", "live", "show", Purpose::Play);
    let mut fresh = ClientConnection::new(Arc::default(), target, 1, now);
    assert_eq!(fresh.poll_timeout(), Some(now + Duration::from_secs(5)));
    assert_eq!(fresh.handle_timeout(now + Duration::from_secs(5)), silent(Waiting::Hello, 5));
    assert_eq!(fresh.poll_event(), Some(ClientEvent::Closed));
    let mut peer = Peer::greeted(ConnectionConfig::default(), Purpose::Play);
    assert_eq!(peer.later(4999), Ok(()));
    assert_eq!(peer.later(1), silent(Waiting::Answer, 5));
    let mut peer = Peer::started(ConnectionConfig::default(), Purpose::Play);
    assert_eq!(peer.later(10_000), silent(Waiting::Answer, 10));
    let mut peer = Peer::playing(ConnectionConfig::default());
    assert_eq!(peer.later(20_000), silent(Waiting::Media, 20));
    let mut peer = Peer::playing(ConnectionConfig::default());
    let media =
        Media { kind: MediaKind::Audio, timestamp: Timestamp::ZERO, payload: Bytes::from_static(&[0xaf, 1]) };
    assert!(peer.send(&media.message(3)).is_ok());
    assert_eq!(peer.later(5000), silent(Waiting::Media, 5));
}

#[test]
fn pings_are_answered_and_origins_acknowledged() {
    let mut peer = Peer::playing(ConnectionConfig::default());
    assert!(peer.send(&Control::UserControl(UserControl::PingRequest(9)).message()).is_ok());
    assert_eq!(peer.said(), ["UserControl(PingResponse(9))"]);
    let payload = Bytes::from(vec![0x27; 700_000]);
    let media = Media { kind: MediaKind::Video, timestamp: Timestamp::ZERO, payload };
    assert!(peer.send(&media.message(3)).is_ok());
    assert!(peer.send(&media.message(3)).is_ok());
    let said = peer.said();
    assert!(said.len() == 1 && said[0].starts_with("Acknowledgement("), "{said:?}");
}

#[test]
fn a_silent_origin_we_publish_to_is_pinged() {
    let mut config = ConnectionConfig::default();
    config.timeouts.ping = Some(Duration::from_secs(60));
    let mut peer = Peer::started(config, Purpose::Publish(PublishKind::Live));
    peer.status(Status::ok(status::code::PUBLISH_START, "go"));
    assert_eq!(peer.later(60_000), Ok(()));
    assert_eq!(peer.said().len(), 1);
    assert!(matches!(peer.later(30_000), Err(ConnectionError::Silent { waiting: Waiting::Pong, .. })));
}

#[test]
fn no_ping_stands_in_front_of_the_publish_or_behind_its_end() {
    let mut config = ConnectionConfig::default();
    config.timeouts.ping = Some(Duration::from_secs(2));
    let mut peer = Peer::greeted(config.clone(), Purpose::Publish(PublishKind::Live));
    peer.said();
    assert_eq!(peer.later(4000), Ok(()));
    assert_eq!(peer.said(), Vec::<String>::new(), "it waits for the answer to its connect");

    let mut peer = Peer::started(config, Purpose::Publish(PublishKind::Live));
    peer.status(Status::ok(status::code::PUBLISH_START, "go"));
    peer.client.close().expect("nothing to object");
    peer.said();
    assert_eq!(peer.client.poll_timeout(), None);
    assert_eq!(peer.later(60_000), Ok(()));
    assert_eq!(peer.said(), Vec::<String>::new());
}

#[test]
fn results_of_calls_never_made_are_ignored() {
    let mut peer = Peer::playing(ConnectionConfig::default());
    peer.call(Command::new("_result", 99.0).with(1.0), 0);
    peer.call(Command::new("_error", 98.0), 0);
    peer.call(Command::new("onBWDone", 0.0), 0);
    assert_eq!(peer.events(), []);
    peer.call(Command::new("somethingElse", 0.0), 0);
    assert!(matches!(&peer.events()[..], [ClientEvent::Command(command)] if command.name == "somethingElse"));
    let odd = Message {
        csid: 9,
        timestamp: Timestamp::ZERO,
        kind: MessageType::SHARED_OBJECT,
        msid: 0,
        payload: Bytes::from_static(b"?"),
    };
    assert!(peer.send(&odd).is_ok());
    assert_eq!(peer.client.stats().messages_ignored, 1);
}
