use super::*;
use crate::message::{
    ChannelInfo, ChatText, ClientListEntry, Levels, Name, OsType, RecorderState, VersionAndOs, VersionText,
    id,
};
use crate::types::{BlockCodec, Gain, JitterSize, Layout};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A client and a scripted server.
struct Script {
    client: Client,
    now: Instant,
    counter: u8,
    writer: FrameWriter,
}

#[derive(Debug, Eq, PartialEq)]
enum Heard {
    Message(Message),
    Acknowledged(u16, u8),
    Split,
    Connectionless(Connectionless),
}

impl Script {
    fn new(config: ClientConfig) -> Self {
        #[expect(clippy::disallowed_methods, reason = "an arbitrary origin for virtual time")]
        let now = Instant::now();
        Self { client: Client::new(config, server(), now), now, counter: 0, writer: FrameWriter::new() }
    }

    fn ann() -> Self {
        Self::new(ann())
    }

    fn receive(&mut self, payload: &[u8]) -> ClientDisposition {
        self.client.handle_input(self.now, Input::Datagram { src: server(), payload })
    }

    /// The server says something; what the client sends at once.
    fn say(&mut self, message: &Message) -> Vec<Heard> {
        let datagram = message.frame(self.counter, &mut self.writer);
        self.counter = self.counter.wrapping_add(1);
        assert_eq!(self.receive(&datagram), ClientDisposition::Consumed);
        self.heard_and_acknowledged()
    }

    fn say_connectionless(&mut self, message: &Connectionless) {
        let datagram = message.frame(&mut self.writer);
        assert_eq!(self.receive(&datagram), ClientDisposition::Consumed);
    }

    fn audio(&mut self) -> ClientDisposition {
        let bytes = self.client.audio_props().datagram_bytes();
        self.receive(&vec![0xAA; bytes])
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        let _ = self.client.handle_input(self.now, Input::Timeout);
        assert!(self.client.poll_timeout().is_none_or(|timeout| timeout > self.now));
    }

    fn datagrams(&mut self) -> Vec<Transmit> {
        let mut datagrams = Vec::new();
        while let Some(output) = self.client.poll_output() {
            if let ClientOutput::Transmit(transmit) = output {
                assert_eq!(transmit.dst, server());
                datagrams.push(transmit);
            }
        }
        datagrams
    }

    /// What the client sends now, without any acknowledgement by the server.
    fn heard(&mut self) -> Vec<Heard> {
        self.datagrams().iter().map(|datagram| heard(&datagram.payload)).collect()
    }

    /// What the client sends when the server acknowledges everything at once.
    fn heard_and_acknowledged(&mut self) -> Vec<Heard> {
        let mut all = Vec::new();
        loop {
            let datagrams = self.datagrams();
            if datagrams.is_empty() {
                return all;
            }
            for datagram in datagrams {
                let frame = Frame::parse(&datagram.payload).unwrap();
                if !frame.is_connectionless() && frame.id != id::ACKN {
                    let acknowledgement = self.writer.frame(id::ACKN, frame.counter, &frame.id.to_le_bytes());
                    let _ = self.receive(&acknowledgement);
                }
                all.push(heard(&datagram.payload));
            }
        }
    }

    fn events(&mut self) -> Vec<ClientEvent> {
        let outputs: Vec<ClientOutput> = std::iter::from_fn(|| self.client.poll_output()).collect();
        outputs
            .into_iter()
            .filter_map(|output| match output {
                ClientOutput::Event(event) => Some(event),
                ClientOutput::Transmit(_) => None,
            })
            .collect()
    }

    fn command(&mut self, command: ClientCommand) {
        assert_eq!(self.client.command(self.now, command), Ok(()));
    }

    fn connected(mut self) -> Self {
        assert_eq!(self.audio(), ClientDisposition::Audio);
        assert_eq!(self.heard_and_acknowledged().len(), 4);
        self
    }
}

fn heard(datagram: &[u8]) -> Heard {
    let frame = Frame::parse(datagram).unwrap();
    match frame.id {
        id::ACKN => Heard::Acknowledged(u16::from_le_bytes(frame.body.try_into().unwrap()), frame.counter),
        id::SPLIT => Heard::Split,
        _ if frame.is_connectionless() => {
            Heard::Connectionless(Connectionless::parse(frame.id, frame.body).unwrap().unwrap())
        }
        _ => Heard::Message(Message::parse(frame.id, frame.body).unwrap().unwrap()),
    }
}

fn server() -> SocketAddr {
    "192.0.2.9:22124".parse().unwrap()
}

fn ann() -> ClientConfig {
    let mut config = ClientConfig::new(Quality::High.props(BlockCodec::Opus64, Layout::Mono));
    config.info = ChannelInfo { name: Name::cut("Ann"), ..ChannelInfo::default() };
    config
}

fn version(text: &str) -> Message {
    Message::VersionAndOs(VersionAndOs { os: OsType::LINUX, version: VersionText::cut(text) })
}

fn channel(number: u8) -> ChannelId {
    ChannelId::new(number).unwrap()
}

fn props(block_bytes: u16, sequence: Sequence) -> AudioProps {
    AudioProps { block_bytes, sequence, ..ann().audio }
}

#[test]
fn joining_answers_like_a_captured_client() {
    let mut s = Script::ann();
    let plain = Heard::Message(Message::AudioProps(props(36, Sequence::Without)));
    let counted = Heard::Message(Message::AudioProps(props(37 - 1, Sequence::With)));
    assert_eq!(s.say(&Message::ClientId(channel(0))), [Heard::Acknowledged(32, 0)]);
    assert_eq!(s.say(&Message::RawAudioSupported), [plain, Heard::Acknowledged(36, 1)]);
    assert_eq!(s.say(&Message::ClientList(Vec::new())), [Heard::Acknowledged(24, 2)]);
    assert_eq!(
        s.say(&Message::RequestSplitSupport),
        [Heard::Message(Message::SplitSupported), Heard::Acknowledged(34, 3)]
    );
    let plain = Heard::Message(Message::AudioProps(props(36, Sequence::Without)));
    assert_eq!(s.say(&Message::RequestAudioProps), [plain, Heard::Acknowledged(21, 4)]);
    assert_eq!(
        s.say(&Message::RequestJitterBufferSize),
        [Heard::Message(Message::JitterBufferSize(JitterSize::Auto)), Heard::Acknowledged(11, 5)]
    );
    assert_eq!(
        s.say(&Message::RequestChannelInfo),
        [Heard::Message(Message::ChannelInfo(ann().info)), Heard::Acknowledged(23, 6)]
    );
    assert_eq!(s.say(&version("3.12.4dev-nogit")), [counted, Heard::Acknowledged(29, 7)]);
    assert_eq!(s.say(&Message::RecorderState(RecorderState::NotInitialised)), [Heard::Acknowledged(33, 8)]);
    assert!(!s.client.is_connected());

    assert_eq!(s.audio(), ClientDisposition::Audio);
    let introduction = [
        Message::ChannelInfo(ann().info),
        Message::RequestClientList,
        Message::JitterBufferSize(JitterSize::Auto),
        Message::RequestLevels(true),
    ];
    assert_eq!(s.heard_and_acknowledged(), introduction.map(Heard::Message));
    assert!(s.client.is_connected());
    assert_eq!(s.client.channel(), Some(channel(0)));
}

#[test]
fn events_tell_what_happened_in_order() {
    let mut s = Script::ann();
    let _ = s.receive(&Message::ClientId(channel(3)).frame(0, &mut FrameWriter::new()));
    let _ = s.receive(&version("3.9.1").frame(1, &mut FrameWriter::new()));
    let _ = s.audio();
    let list = vec![ClientListEntry { channel: channel(3), info: ann().info }];
    let _ = s.receive(&Message::ClientList(list.clone()).frame(2, &mut FrameWriter::new()));
    s.say_connectionless(&Connectionless::Levels(Levels::new([4])));
    let Message::VersionAndOs(server_version) = version("3.9.1") else { unreachable!() };
    assert_eq!(
        s.events(),
        [
            ClientEvent::ChannelAssigned(channel(3)),
            ClientEvent::AudioProps(props(36, Sequence::With)),
            ClientEvent::Version(server_version),
            ClientEvent::Connected,
            ClientEvent::ClientList(list),
            ClientEvent::Levels(Levels::new([4])),
        ]
    );
}

#[test]
fn old_servers_get_no_sequence_bytes() {
    let mut s = Script::ann();
    assert_eq!(s.say(&version("3.5.12")), [Heard::Acknowledged(29, 0)]);
    assert_eq!(s.client.audio_props().sequence, Sequence::Without);
    assert_eq!(s.client.send_block(&[1; 36]).map(<[u8]>::len), Some(36));
}

#[test]
fn sequence_bytes_start_with_the_servers_version() {
    let mut s = Script::ann();
    assert_eq!(s.client.send_block(&[1; 36]).map(<[u8]>::len), Some(36));
    assert_eq!(s.say(&version("3.6.0")).len(), 2);
    let datagram = s.client.send_block(&[1; 36]).unwrap();
    assert_eq!((datagram.len(), datagram[36]), (37, 1));
}

#[test]
fn audio_of_a_wrong_size_is_a_sign_of_life_only() {
    let mut s = Script::ann().connected();
    s.now += Duration::from_secs(29);
    assert_eq!(s.receive(&[0; 35]), ClientDisposition::Consumed);
    assert_eq!(s.client.stats().audio_of_wrong_size, 1);
    s.wait(Duration::from_secs(29));
    assert!(s.client.is_connected());
}

#[test]
fn thirty_seconds_without_audio_end_the_connection() {
    let mut s = Script::ann().connected();
    s.wait(Duration::from_secs(20));
    s.say_connectionless(&Connectionless::Levels(Levels::new([0])));
    assert_eq!(s.events(), [ClientEvent::Levels(Levels::new([0]))]);
    s.wait(Duration::from_secs(10) - ms(1));
    assert!(s.client.is_connected());
    s.wait(ms(1));
    assert_eq!(s.events(), [ClientEvent::Left(ClientLeaveReason::TimedOut)]);
    assert_eq!(s.client.poll_timeout(), None);
    assert_eq!(s.client.send_block(&[0; 36]), None);
}

#[test]
fn a_server_that_only_talks_keeps_joining_alive() {
    let mut s = Script::ann();
    s.wait(Duration::from_secs(29));
    let _ = s.say(&Message::ClientId(channel(0)));
    s.wait(Duration::from_secs(29));
    assert!(!s.client.has_left());
    s.wait(Duration::from_secs(1));
    assert_eq!(s.events(), [ClientEvent::Left(ClientLeaveReason::TimedOut)]);
}

#[test]
fn leaving_says_goodbye_for_every_audio_datagram_and_after_100_ms() {
    let goodbye = || vec![Heard::Connectionless(Connectionless::Disconnection)];
    let mut s = Script::ann().connected();
    s.command(ClientCommand::Leave);
    assert_eq!(s.heard(), goodbye());
    assert_eq!(s.client.send_block(&[0; 36]), None);
    s.now += ms(3);
    assert_eq!(s.audio(), ClientDisposition::Consumed);
    assert_eq!(s.heard(), goodbye());
    s.wait(ms(96));
    assert_eq!(s.heard(), []);
    s.wait(ms(1));
    assert_eq!(s.client.poll_output().map(|output| matches!(output, ClientOutput::Transmit(_))), Some(true));
    assert_eq!(s.events(), [ClientEvent::Left(ClientLeaveReason::Requested)]);
    assert!(s.client.has_left());
    assert_eq!(s.audio(), ClientDisposition::Consumed);
    assert_eq!(s.heard(), goodbye());
    let refused = s.client.command(s.now, ClientCommand::Leave);
    assert_eq!(refused, Err(ClientCommandError::NotConnected));
}

#[test]
fn a_goodbye_of_the_server_ends_the_connection() {
    let mut s = Script::ann().connected();
    s.say_connectionless(&Connectionless::Disconnection);
    assert_eq!(s.events(), [ClientEvent::ServerGoodbye]);
    assert_eq!(s.client.send_block(&[0; 36]), None);
    s.wait(ms(100));
    assert_eq!(s.heard(), [Heard::Connectionless(Connectionless::Disconnection)]);
    assert!(s.client.has_left());
}

#[test]
fn a_client_may_stay_to_be_back_after_a_restart() {
    let mut config = ann();
    config.server_goodbye = ServerGoodbye::Stay;
    let mut s = Script::new(config).connected();
    s.say_connectionless(&Connectionless::Disconnection);
    assert_eq!(s.events(), [ClientEvent::ServerGoodbye]);
    assert!(s.client.is_connected());
    assert!(s.client.send_block(&[0; 36]).is_some());
}

#[test]
fn strangers_are_not_listened_to() {
    let mut s = Script::ann();
    let datagram = Connectionless::Disconnection.frame(&mut FrameWriter::new());
    let src = "192.0.2.10:22124".parse().unwrap();
    let _ = s.client.handle_input(s.now, Input::Datagram { src, payload: &datagram });
    assert_eq!(s.events(), []);
    assert_eq!(s.client.stats().datagrams_from_strangers, 1);
    let mapped = "[::ffff:192.0.2.9]:22124".parse().unwrap();
    let _ = s.client.handle_input(s.now, Input::Datagram { src: mapped, payload: &datagram });
    assert_eq!(s.events(), [ClientEvent::ServerGoodbye]);
}

#[test]
fn pings_measure_the_round_trip() {
    let mut config = ann();
    config.ping_interval = Some(ms(500));
    let mut s = Script::new(config).connected();
    s.wait(ms(500));
    let [Heard::Connectionless(ping)] = &s.heard()[..] else { panic!("one ping") };
    assert_eq!(*ping, Connectionless::Ping { time_ms: 500 });
    s.now += ms(30);
    s.say_connectionless(ping);
    assert_eq!(s.events(), [ClientEvent::Ping { round_trip: ms(30) }]);
    s.say_connectionless(ping);
    assert_eq!(s.events(), [], "an answer counts once");
    assert_eq!(s.client.poll_timeout(), Some(s.now + ms(470)));
}

#[test]
fn fader_moves_are_paced_and_the_latest_counts() {
    let mut s = Script::ann().connected();
    let gain = |gain| ClientCommand::Gain { channel: channel(1), gain: Gain(gain) };
    let heard_gain = |gain| Heard::Message(Message::ChannelGain { channel: channel(1), gain: Gain(gain) });
    s.command(gain(100));
    assert_eq!(s.heard_and_acknowledged(), [heard_gain(100)]);
    s.now += ms(10);
    s.command(gain(200));
    s.command(gain(300));
    assert_eq!(s.heard_and_acknowledged(), []);
    assert_eq!(s.client.poll_timeout(), Some(s.now + ms(40)));
    s.wait(ms(40));
    assert_eq!(s.heard_and_acknowledged(), [heard_gain(300)]);
    s.wait(ms(60));
    s.command(gain(400));
    assert_eq!(s.heard_and_acknowledged(), [heard_gain(400)]);
}

#[test]
fn long_chat_is_split_once_the_server_asked() {
    let mut s = Script::ann().connected();
    let chat = || ClientCommand::Chat(ChatText::cut(&"x".repeat(600)));
    s.command(chat());
    assert!(matches!(s.heard_and_acknowledged()[..], [Heard::Message(Message::Chat(_))]));
    assert_eq!(s.say(&Message::RequestSplitSupport).len(), 2);
    s.command(chat());
    assert_eq!(s.heard_and_acknowledged(), [Heard::Split, Heard::Split]);
}

#[test]
fn raw_audio_waits_for_the_servers_offer_and_ends_with_a_restart() {
    let mut s = Script::new(ClientConfig::new(Quality::Raw.props(BlockCodec::Opus, Layout::Stereo)));
    assert_eq!(s.client.audio_props().block_bytes, 165);
    assert_eq!(s.say(&Message::ClientId(channel(0))).len(), 1);
    let answers = s.say(&Message::RawAudioSupported);
    let raw = Quality::Raw.props(BlockCodec::Opus, Layout::Stereo);
    assert_eq!(answers, [Heard::Message(Message::AudioProps(raw)), Heard::Acknowledged(36, 1)]);
    assert_eq!(s.client.send_block(&[0; 512]).map(<[u8]>::len), Some(512));
    let answers = s.say(&Message::ClientId(channel(0)));
    let high = Quality::High.props(BlockCodec::Opus, Layout::Stereo);
    assert_eq!(answers, [Heard::Message(Message::AudioProps(high)), Heard::Acknowledged(32, 2)]);
}

#[test]
fn settings_can_change_while_playing() {
    let mut s = Script::ann().connected();
    let bob = ChannelInfo { name: Name::cut("Bob"), ..ChannelInfo::default() };
    s.command(ClientCommand::Info(bob.clone()));
    assert_eq!(s.heard_and_acknowledged(), [Heard::Message(Message::ChannelInfo(bob.clone()))]);
    assert_eq!(s.say(&Message::RequestChannelInfo)[0], Heard::Message(Message::ChannelInfo(bob)));
    s.command(ClientCommand::JitterSize(JitterSize::Blocks(5)));
    let size = Message::JitterBufferSize(JitterSize::Blocks(5));
    assert_eq!(s.heard_and_acknowledged(), [Heard::Message(size)]);
    assert_eq!(s.say(&version("3.9.1")).len(), 2);
    s.command(ClientCommand::Audio(Quality::Low.props(BlockCodec::Opus, Layout::Mono)));
    let low = AudioProps { sequence: Sequence::With, ..Quality::Low.props(BlockCodec::Opus, Layout::Mono) };
    assert_eq!(s.heard_and_acknowledged(), [Heard::Message(Message::AudioProps(low))]);
    assert_eq!(s.client.audio_props(), low);
}

#[test]
fn a_server_that_never_acknowledges_is_given_up_when_the_queue_is_full() {
    let mut s = Script::ann();
    for counter in 0..=255 {
        let datagram = Message::RequestChannelInfo.frame(counter, &mut s.writer);
        let _ = s.receive(&datagram);
    }
    assert!(s.client.has_left());
    let left = s.events().pop();
    assert!(matches!(left, Some(ClientEvent::Left(ClientLeaveReason::QueueFull(_)))), "{left:?}");
}

#[test]
fn a_full_server_is_reported_and_tried_again() {
    let mut s = Script::ann();
    s.say_connectionless(&Connectionless::ServerFull);
    assert_eq!(s.events(), [ClientEvent::ServerFull]);
    assert!(s.client.send_block(&[0; 36]).is_some());
}

#[test]
fn a_query_repeats_every_2_s_until_all_is_answered() {
    let mut s = Script::ann();
    let mut writer = FrameWriter::new();
    let mut query =
        Query::new(server(), &[Question::ServerList, Question::Version, Question::Version], s.now);
    let asked = |query: &mut Query| std::iter::from_fn(|| query.poll_output()).count();
    assert_eq!(asked(&mut query), 2);
    s.now += ms(20);
    let Message::VersionAndOs(answer) = version("3.9.1") else { unreachable!() };
    let answer = Connectionless::VersionAndOs(answer);
    let payload = answer.frame(&mut writer);
    query.handle_input(s.now, Input::Datagram { src: server(), payload: &payload });
    assert_eq!(query.poll_output(), Some(QueryOutput::Answer { message: answer, round_trip: ms(20) }));
    query.handle_input(s.now, Input::Datagram { src: server(), payload: &payload });
    assert_eq!(query.poll_output(), None, "an answer counts once");
    query.handle_input(s.now + ms(1979), Input::Timeout);
    assert_eq!(asked(&mut query), 0);
    s.now += ms(1980);
    query.handle_input(s.now, Input::Timeout);
    assert_eq!(asked(&mut query), 1);

    // A directory answers from whatever port.
    let src = "192.0.2.9:4000".parse().unwrap();
    for answer in [Connectionless::ReducedServerList(Vec::new()), Connectionless::ServerList(Vec::new())] {
        let payload = answer.frame(&mut writer);
        query.handle_input(s.now, Input::Datagram { src, payload: &payload });
        let message = answer;
        assert_eq!(query.poll_output(), Some(QueryOutput::Answer { message, round_trip: ms(0) }));
    }
    assert_eq!(query.poll_output(), Some(QueryOutput::Finished { unanswered: Vec::new() }));
    assert_eq!(query.poll_timeout(), None);
}

#[test]
fn a_query_gives_up_after_five_attempts() {
    let mut now = Script::ann().now;
    let mut query = Query::new(server(), &[Question::Features], now);
    let mut outputs = Vec::new();
    while let Some(timeout) = query.poll_timeout() {
        outputs.extend(std::iter::from_fn(|| query.poll_output()));
        now = timeout;
        query.handle_input(now, Input::Timeout);
    }
    assert_eq!(outputs.len(), 5);
    assert_eq!(query.poll_output(), Some(QueryOutput::Finished { unanswered: vec![Question::Features] }));
}

#[test]
fn times_without_end_are_taken_for_never() {
    const NEVER: Duration = Duration::MAX;
    let mut config = ann();
    (config.join_timeout, config.silence_timeout, config.retransmit_after) = (NEVER, NEVER, NEVER);
    config.ping_interval = Some(NEVER);
    let mut s = Script::new(config);
    assert_eq!(s.client.poll_timeout(), None);
    s.say(&Message::RequestAudioProps);
    let _ = s.audio();
    s.wait(Duration::from_secs(1_000_000));
    assert!(s.client.is_connected());
    assert_eq!(s.client.poll_timeout(), None);
}
