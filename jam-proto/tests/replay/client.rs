//! What captured servers sent is given to our client; it must answer like the captured client.

use std::time::{Duration, Instant};

use jam_proto::client::{
    Client, ClientCommand, ClientConfig, ClientDisposition, ClientEvent, ClientLeaveReason, ClientOutput,
    ServerGoodbye,
};
use jam_proto::message::{Connectionless, Message, id};
use jam_proto::wire::{Frame, FrameWriter};
use jam_proto::{AudioProps, Input, JitterSize, Sequence};

use crate::capture::{Capture, Datagram, Listener, addr, messages};

/// Our client in the place of a captured one.
struct Replay {
    client: Client,
    server: u16,
    start: Instant,
    now: Instant,
    writer: FrameWriter,
    /// What we sent, without repetitions: nothing is repeated, as everything is acknowledged at once.
    sent: Vec<Message>,
    goodbyes: Vec<Instant>,
    /// Acknowledgements in reaction to the last datagram.
    acknowledged: Vec<(u16, u8)>,
    events: Vec<ClientEvent>,
    channel_infos_expected: usize,
    left: bool,
}

/// What a capture says about the wishes of its musician.
fn config(capture: &Capture, port: u16) -> ClientConfig {
    let sent = messages(capture, port, true);
    let props = sent.iter().rev().find_map(|message| match message {
        Message::AudioProps(props) => Some(*props),
        _ => None,
    });
    let info = sent.iter().find_map(|message| match message {
        Message::ChannelInfo(info) => Some(info.clone()),
        _ => None,
    });
    let jitter_size = sent.iter().rev().find_map(|message| match message {
        Message::JitterBufferSize(size) => Some(*size),
        _ => None,
    });
    let mut config = ClientConfig::new(AudioProps { sequence: Sequence::Without, ..props.unwrap() });
    config.info = info.unwrap_or_default();
    config.jitter_size = jitter_size.unwrap_or(JitterSize::Auto);
    config.server_goodbye = ServerGoodbye::Stay;
    config
}

impl Replay {
    fn new(capture: &Capture, port: u16) -> Self {
        let start = start();
        let server = capture.of(port).find(|datagram| !datagram.to_server).unwrap().src;
        Self {
            client: Client::new(config(capture, port), addr(server), start),
            server,
            start,
            now: start,
            writer: FrameWriter::new(),
            sent: Vec::new(),
            goodbyes: Vec::new(),
            acknowledged: Vec::new(),
            events: Vec::new(),
            channel_infos_expected: 1,
            left: false,
        }
    }

    fn run(mut self, capture: &Capture, port: u16) -> Self {
        let mut musician = Listener::new();
        for datagram in capture.of(port) {
            self.advance(self.start + datagram.at);
            if datagram.to_server {
                self.imitate(datagram, &mut musician);
            } else {
                self.receive(datagram, capture);
            }
        }
        self.advance(self.now + Duration::from_secs(1));
        self
    }

    /// Lets time pass until `until`, with all its timeouts.
    fn advance(&mut self, until: Instant) {
        while let Some(timeout) = self.client.poll_timeout().filter(|timeout| *timeout <= until) {
            self.now = self.now.max(timeout);
            let _ = self.client.handle_input(self.now, Input::Timeout);
            self.drain();
        }
        self.now = until;
    }

    /// Does what the captured musician wanted, and sees that the stream has the captured format.
    fn imitate(&mut self, datagram: &Datagram, musician: &mut Listener) {
        if datagram.frame().is_none() {
            let block = vec![0; usize::from(self.client.audio_props().block_bytes)];
            let _ = self.client.send_block(&block);
        }
        if datagram.connectionless() == Some(Connectionless::Disconnection)
            && !std::mem::replace(&mut self.left, true)
        {
            self.command(ClientCommand::Leave);
        }
        match musician.hear(datagram) {
            Some(Message::ChannelGain { channel, gain }) => {
                self.command(ClientCommand::Gain { channel, gain })
            }
            Some(Message::ChannelPan { channel, pan }) => self.command(ClientCommand::Pan { channel, pan }),
            Some(Message::Chat(text)) => self.command(ClientCommand::Chat(text)),
            // One for every request and one for the first audio; what exceeds that is the musician's doing.
            Some(Message::ChannelInfo(info)) => match self.channel_infos_expected.checked_sub(1) {
                Some(rest) => self.channel_infos_expected = rest,
                None => self.command(ClientCommand::Info(info)),
            },
            _ => {}
        }
    }

    fn command(&mut self, command: ClientCommand) {
        assert_eq!(self.client.command(self.now, command), Ok(()));
        self.drain();
    }

    fn receive(&mut self, datagram: &Datagram, capture: &Capture) {
        let frame = datagram.frame();
        // Acknowledgements for the captured client mean nothing to ours.
        if frame.is_some_and(|frame| frame.id == id::ACKN) {
            return;
        }
        self.acknowledged.clear();
        let input = Input::Datagram { src: addr(self.server), payload: &datagram.payload };
        let disposition = self.client.handle_input(self.now, input);
        self.drain();
        assert!(frame.is_none() || disposition == ClientDisposition::Consumed);
        if let Some(frame) = frame.filter(|frame| !frame.is_connectionless() && !self.left) {
            self.channel_infos_expected += usize::from(frame.id == id::REQ_CHANNEL_INFOS);
            let expected = [(frame.id, frame.counter)];
            assert_eq!(self.acknowledged, expected, "{} at {:?}", capture.name, datagram.at);
        }
    }

    /// Takes what the client wants done; the server acknowledges everything at once.
    fn drain(&mut self) {
        while let Some(output) = self.client.poll_output() {
            let payload = match output {
                ClientOutput::Transmit(transmit) => transmit.payload,
                ClientOutput::Event(event) => {
                    self.events.push(event);
                    continue;
                }
                _ => continue,
            };
            let frame = Frame::parse(&payload).unwrap();
            match frame.id {
                id::ACKN => {
                    self.acknowledged
                        .push((u16::from_le_bytes(frame.body.try_into().unwrap()), frame.counter));
                    continue;
                }
                id::CLM_DISCONNECTION => self.goodbyes.push(self.now),
                id::SPLIT => {}
                _ => self.sent.push(Message::parse(frame.id, frame.body).unwrap().unwrap()),
            }
            if !frame.is_connectionless() {
                let acknowledgement = self.writer.frame(id::ACKN, frame.counter, &frame.id.to_le_bytes());
                let input = Input::Datagram { src: addr(self.server), payload: &acknowledgement };
                let _ = self.client.handle_input(self.now, input);
            }
        }
    }
}

/// What a musician does, as opposed to what a program answers.
fn is_wish(message: &Message) -> bool {
    matches!(message, Message::ChannelGain { .. } | Message::ChannelPan { .. } | Message::Chat(_))
}

/// What 3.9.1 clients also send unasked, several times, while they load their settings (spec 11.2).
fn is_setting(message: &Message) -> bool {
    matches!(message, Message::AudioProps(_) | Message::JitterBufferSize(_))
}

/// Whether the captured client sent more settings than it was asked for, as 3.9.1 does.
fn sends_settings_unasked(capture: &Capture, port: u16) -> bool {
    let heard = messages(capture, port, false);
    let asked = |message: &&Message| {
        matches!(message, Message::RequestAudioProps | Message::RawAudioSupported | Message::VersionAndOs(_))
    };
    let sent = messages(capture, port, true);
    let settings = sent.iter().filter(|message| matches!(message, Message::AudioProps(_))).count();
    settings > heard.iter().filter(asked).count()
}

#[test]
fn our_client_answers_captured_servers_like_captured_clients() {
    let (mut replayed, mut exactly) = (0, 0);
    for capture in Capture::all().iter().filter(|capture| !capture.name.starts_with("probe")) {
        for port in capture.musicians() {
            let replay = Replay::new(capture, port).run(capture, port);
            let exact = !sends_settings_unasked(capture, port);
            compare_messages(capture, port, &replay, exact);
            compare_events(capture, port, &replay);
            compare_audio(capture, port, &replay);
            replayed += 1;
            exactly += usize::from(exact);
        }
    }
    assert_eq!((replayed, exactly), (26, 12));
}

fn compare_messages(capture: &Capture, port: u16, replay: &Replay, exact: bool) {
    let captured = &messages(capture, port, true);
    let at = format!("{} {port}", capture.name);
    let pick = |list: &[Message], wanted: &dyn Fn(&Message) -> bool| -> Vec<Message> {
        list.iter().filter(|message| wanted(message)).cloned().collect()
    };
    // Wishes and answers each keep their order; how they interleave depends on the captured client's queue.
    let chat_is_split =
        |message: &Message| capture.name == "long_chat_split" && matches!(message, Message::Chat(_));
    let wishes = |message: &Message| is_wish(message) && !chat_is_split(message);
    assert_eq!(pick(&replay.sent, &wishes), pick(captured, &wishes), "{at}: wishes");
    if exact {
        let answers = |message: &Message| !is_wish(message);
        assert_eq!(pick(&replay.sent, &answers), pick(captured, &answers), "{at}: answers");
    } else {
        let answers = |message: &Message| !is_wish(message) && !is_setting(message);
        assert_eq!(pick(&replay.sent, &answers), pick(captured, &answers), "{at}: answers");
        for kind in [id::NETW_TRANSPORT_PROPS, id::JITT_BUF_SIZE] {
            let last = |list: &[Message]| list.iter().rfind(|message| message.id() == kind).cloned();
            assert_eq!(last(&replay.sent), last(captured), "{at}: last setting");
        }
    }
}

/// Every message of the server becomes the event that means it, in order, until the musician leaves.
fn compare_events(capture: &Capture, port: u16, replay: &Replay) {
    let (mut server, mut expected, mut left) = (Listener::new(), Vec::new(), None);
    for datagram in capture.of(port) {
        if datagram.to_server {
            if datagram.connectionless() == Some(Connectionless::Disconnection) {
                left = left.or(Some(replay.start + datagram.at));
            }
        } else if left.is_none() {
            expected.extend(server.hear(datagram).and_then(event_of));
            expected.extend(datagram.connectionless().and_then(event_of_connectionless));
        }
    }
    let at = format!("{} {port}", capture.name);
    if let Some(left) = left {
        expected.push(ClientEvent::Left(ClientLeaveReason::Requested));
        assert_eq!(replay.goodbyes, [left, left + Duration::from_millis(100)], "{at}: goodbyes");
    }
    let ours = |event: &&ClientEvent| !matches!(event, ClientEvent::Connected | ClientEvent::AudioProps(_));
    let events: Vec<ClientEvent> = replay.events.iter().filter(ours).cloned().collect();
    assert_eq!(events, expected, "{at}: events");
}

fn event_of(message: Message) -> Option<ClientEvent> {
    Some(match message {
        Message::ClientId(channel) => ClientEvent::ChannelAssigned(channel),
        Message::ClientList(list) => ClientEvent::ClientList(list),
        Message::Chat(text) => ClientEvent::Chat(text),
        Message::JitterBufferSize(size) => ClientEvent::JitterBufferSize(size),
        Message::MuteStateChanged { channel, state } => ClientEvent::Mute { channel, state },
        Message::RecorderState(state) => ClientEvent::RecorderState(state),
        Message::LicenceRequired(licence) => ClientEvent::Licence(licence),
        Message::VersionAndOs(version) => ClientEvent::Version(version),
        Message::RawAudioSupported => ClientEvent::RawAudioOffered,
        _ => return None,
    })
}

fn event_of_connectionless(message: Connectionless) -> Option<ClientEvent> {
    Some(match message {
        Connectionless::Levels(levels) => ClientEvent::Levels(levels),
        Connectionless::ServerFull => ClientEvent::ServerFull,
        Connectionless::Disconnection => ClientEvent::ServerGoodbye,
        _ => return None,
    })
}

/// The server's audio has the format that our client announced, up to a few datagrams at the change of format.
fn compare_audio(capture: &Capture, port: u16, replay: &Replay) {
    let stats = replay.client.stats();
    // This musician answered the licence question only after the kept part of the audio.
    let late = capture.name == "social_new_recorder" && port == 33308;
    assert!(late || stats.audio_of_wrong_size <= 3, "{} {port}: {stats:?}", capture.name);
    assert!(late || stats.audio_received > 40, "{} {port}: {stats:?}", capture.name);
}

pub(crate) fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "an origin for virtual time")]
    Instant::now()
}
