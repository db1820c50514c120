//! What captured clients sent is given to our server; it must answer like the captured server.
//!
//! Everything must be equal: kinds, order and contents of messages per client, acknowledgements, connectionless
//! answers, bytes of level lists. The accepted differences are:
//!
//! 1. Strangers are asked with message 21 under two random counters; what else a newcomer gets follows once it has
//!    acknowledged both. So 21 comes first and twice, instead of once as the fifth message, and counters differ.
//! 2. What comes from an address without a channel is not acknowledged; an audio format is kept until there is one.
//!    Captured servers had a channel for it as soon as audio had come.
//! 3. A refused newcomer is told that the server is full once in a while, not for every datagram.
//! 4. A single datagram of a stranger is not answered for 30 s, see [`probes_get_the_captured_answers`].
//!
//! The sizes of automatic jitter buffers, the levels and the state of the recorder come from other machines; they are
//! given to our server when the captured server announced them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jam_proto::message::{ChannelInfo, Connectionless, Message, ServerFeatures, id};
use jam_proto::server::{Command, Event, LeaveReason, Output};
use jam_proto::text::LocalTime;
use jam_proto::wire::{Frame, FrameWriter};
use jam_proto::{AudioProps, ChannelId, Disposition, Input, JitterSize, Server, ServerConfig};

use crate::capture::{Capture, Datagram, Listener, addr};
use crate::client::start;

/// One captured client and what our server tells it.
struct Musician {
    port: u16,
    channel: Option<ChannelId>,
    props: Option<AudioProps>,
    /// Hears what our server says.
    ours: Listener,
    heard: Vec<Message>,
    /// Hears what the captured server said.
    captured: Listener,
    expected: Vec<Message>,
    connectionless: Vec<Bytes>,
    connectionless_expected: Vec<Vec<u8>>,
    acknowledged: Vec<(u16, u8)>,
    /// Audio of the right and of another size.
    audio: (usize, usize),
    left: Option<LeaveReason>,
    events: Vec<Event>,
}

impl Musician {
    fn new(port: u16) -> Self {
        Self {
            port,
            channel: None,
            props: None,
            ours: Listener::new(),
            heard: Vec::new(),
            captured: Listener::new(),
            expected: Vec::new(),
            connectionless: Vec::new(),
            connectionless_expected: Vec::new(),
            acknowledged: Vec::new(),
            audio: (0, 0),
            left: None,
            events: Vec::new(),
        }
    }
}

/// Our server in the place of a captured one.
struct Replay {
    server: Server,
    start: Instant,
    now: Instant,
    writer: FrameWriter,
    musicians: Vec<Musician>,
    stopped: bool,
    /// When the captured server sent chat lines, and what its clock said.
    clock: Vec<(Duration, LocalTime)>,
}

/// What a capture says about its server.
fn config(datagrams: &[Datagram], port: u16) -> Arc<ServerConfig> {
    let mut heard = Vec::new();
    let mut listener = Listener::new();
    let to_client = datagrams.iter().filter(|datagram| !datagram.to_server && datagram.dst == port);
    heard.extend(to_client.filter_map(|datagram| listener.hear(datagram)));
    let mut builder = ServerConfig::builder().without(ServerFeatures::RAW_AUDIO);
    let mut recorder_known = false;
    for message in heard {
        builder = match message {
            Message::RawAudioSupported => builder.with(ServerFeatures::RAW_AUDIO),
            Message::VersionAndOs(version) => builder.version(version.version.as_str()).os(version.os),
            Message::LicenceRequired(licence) => builder.licence(licence),
            Message::RecorderState(state) if !std::mem::replace(&mut recorder_known, true) => {
                builder.recorder(state)
            }
            Message::Chat(text) => match text.strip_prefix(jam_proto::text::WELCOME_PREFIX) {
                Some(welcome) => builder.welcome(welcome),
                None => builder,
            },
            _ => builder,
        };
    }
    if datagrams.iter().any(|datagram| datagram.connectionless() == Some(Connectionless::ServerFull)) {
        builder = builder.channels_max(1);
    }
    builder.with(ServerFeatures::DISCONNECT_ON_QUIT).build().unwrap()
}

/// The times in the chat lines of a capture.
fn clock(datagrams: &[Datagram]) -> Vec<(Duration, LocalTime)> {
    let mut listener = Listener::new();
    let mut time = |datagram: &Datagram| {
        let Some(Message::Chat(text)) = listener.hear(datagram) else { return None };
        let (_, rest) = text.split_once(">(")?;
        let (clock, _) = rest.split_once(')')?;
        let mut numbers = clock.split([':', ' ']);
        let mut number = || numbers.next()?.parse::<u64>().ok();
        let seconds = number()? % 12 * 3600 + number()? * 60 + number()?;
        let afternoon = if clock.ends_with("PM") { 12 * 3600 } else { 0 };
        Some((datagram.at, LocalTime::from_second_of_day(seconds + afternoon)))
    };
    datagrams.iter().filter(|datagram| !datagram.to_server).filter_map(&mut time).collect()
}

impl Replay {
    fn new(datagrams: &[Datagram], ports: &[u16]) -> Self {
        let start = start();
        let musicians = ports.iter().map(|port| Musician::new(*port)).collect();
        let server = Server::new(config(datagrams, ports[0]), 42, start);
        Self {
            server,
            start,
            now: start,
            writer: FrameWriter::new(),
            musicians,
            stopped: false,
            clock: clock(datagrams),
        }
    }

    fn run(mut self, datagrams: &[Datagram]) -> Self {
        for datagram in datagrams {
            self.advance(self.start + datagram.at);
            match datagram.to_server {
                false => self.imitate(datagram),
                true if !self.stopped => self.receive(datagram),
                // A stopped server hears nothing.
                true => {}
            }
        }
        self
    }

    fn musician(&mut self, port: u16) -> Option<&mut Musician> {
        self.musicians.iter_mut().find(|musician| musician.port == port)
    }

    fn by_channel(&mut self, channel: ChannelId) -> Option<&mut Musician> {
        self.musicians.iter_mut().find(|musician| musician.channel == Some(channel))
    }

    fn advance(&mut self, until: Instant) {
        while let Some(timeout) = self.server.poll_timeout().filter(|timeout| *timeout <= until) {
            self.now = self.now.max(timeout);
            let _ = self.server.handle_input(self.now, Input::Timeout);
            assert!(self.server.poll_timeout().is_none_or(|timeout| timeout > self.now));
            self.drain();
        }
        self.now = until;
    }

    /// A datagram of a captured client, except acknowledgements, which are given to what our server really sends.
    fn receive(&mut self, datagram: &Datagram) {
        let frame = datagram.frame();
        if frame.is_some_and(|frame| frame.id == id::ACKN) {
            return;
        }
        self.set_clock(datagram.at);
        let Some(musician) = self.musician(datagram.src) else { return };
        musician.acknowledged.clear();
        let connected = musician.channel.is_some();
        let fits = musician.props.is_some_and(|props| props.datagram_bytes() == datagram.payload.len());
        let input = Input::Datagram { src: addr(datagram.src), payload: &datagram.payload };
        let disposition = self.server.handle_input(self.now, input);
        self.drain();
        let Some(musician) = self.musician(datagram.src) else { return };
        match frame {
            None if connected && fits => {
                assert_eq!(Some(disposition), musician.channel.map(Disposition::Audio));
                musician.audio.0 += 1;
            }
            None if connected => {
                assert_eq!(Some(disposition), musician.channel.map(Disposition::WrongSize));
                musician.audio.1 += 1;
            }
            Some(frame) if connected && !frame.is_connectionless() => {
                let expected = [(frame.id, frame.counter)];
                assert_eq!(musician.acknowledged, expected, "at {:?}", datagram.at);
            }
            _ => assert_eq!(disposition, Disposition::Consumed),
        }
    }

    /// Sets our server's clock so that a chat line sent now gets the captured time.
    fn set_clock(&mut self, at: Duration) {
        if let Some((_, time)) = self.clock.iter().find(|(sent_at, _)| *sent_at >= at) {
            self.server.command(self.now, Command::LocalTime(*time)).unwrap();
        }
    }

    /// What the captured server said is expected of ours; what its mixer decided is told to ours.
    fn imitate(&mut self, datagram: &Datagram) {
        let now = self.now;
        let Some(musician) = self.musicians.iter_mut().find(|musician| musician.port == datagram.dst) else {
            return;
        };
        let channel = musician.channel;
        let said = musician.captured.hear(datagram);
        match &said {
            Some(Message::JitterBufferSize(JitterSize::Blocks(blocks))) => {
                let blocks = *blocks;
                let channel = channel.expect("the captured server knows the musician");
                self.server.command(now, Command::JitterSize { channel, blocks }).unwrap();
            }
            Some(Message::RecorderState(state)) if *state != self.server.recorder() => {
                self.server.command(now, Command::Recorder(*state)).unwrap();
            }
            _ => {}
        }
        musician.expected.extend(said);
        match datagram.connectionless() {
            // Every client gets its copy in turn; our server sends them all at the first.
            Some(Connectionless::Levels(levels)) => {
                musician.connectionless_expected.push(datagram.payload.clone());
                if musician.connectionless_expected.len() > musician.connectionless.len() {
                    self.server.command(now, Command::Levels(levels.values())).unwrap();
                }
            }
            Some(Connectionless::Disconnection) => {
                musician.connectionless_expected.push(datagram.payload.clone());
                if !std::mem::replace(&mut self.stopped, true) {
                    self.server.command(now, Command::Shutdown).unwrap();
                }
            }
            Some(_) => musician.connectionless_expected.push(datagram.payload.clone()),
            None => {}
        }
        self.drain();
    }

    /// Takes what the server wants done; clients acknowledge everything at once.
    fn drain(&mut self) {
        let mut acknowledgements: VecDeque<(u16, Bytes)> = VecDeque::new();
        loop {
            let Some(output) = self.server.poll_output() else {
                let Some((port, payload)) = acknowledgements.pop_front() else { return };
                let input = Input::Datagram { src: addr(port), payload: &payload };
                assert_eq!(self.server.handle_input(self.now, input), Disposition::Consumed);
                continue;
            };
            match output {
                Output::Event(event) => self.note(event),
                Output::Transmit(transmit) => {
                    acknowledgements.extend(self.deliver(transmit.dst, transmit.payload));
                }
                _ => {}
            }
        }
    }

    /// One datagram of our server at its client; the acknowledgement, if one is due.
    fn deliver(&mut self, dst: SocketAddr, payload: Bytes) -> Option<(u16, Bytes)> {
        let port = dst.port();
        let frame = Frame::parse(&payload).unwrap();
        let writer = &mut self.writer;
        let musician = self.musicians.iter_mut().find(|musician| musician.port == port).unwrap();
        if frame.is_connectionless() {
            musician.connectionless.push(payload);
            return None;
        }
        if frame.id == id::ACKN {
            let acknowledged = u16::from_le_bytes(frame.body.try_into().unwrap());
            musician.acknowledged.push((acknowledged, frame.counter));
            return None;
        }
        let datagram =
            Datagram { at: Duration::ZERO, src: 0, dst: port, to_server: false, payload: payload.to_vec() };
        musician.heard.extend(musician.ours.hear(&datagram));
        Some((port, writer.frame(id::ACKN, frame.counter, &frame.id.to_le_bytes())))
    }

    fn note(&mut self, event: Event) {
        let noted = event.clone();
        let musician = match event {
            Event::Joined { channel, addr, .. } => {
                let musician = self.musician(addr.port()).unwrap();
                musician.channel = Some(channel);
                musician
            }
            Event::Left { channel, reason, .. } => {
                let musician = self.by_channel(channel).unwrap();
                musician.channel = None;
                musician.props = None;
                musician.left = Some(reason);
                musician
            }
            Event::Transport { channel, props } => {
                let musician = self.by_channel(channel).unwrap();
                musician.props = Some(props);
                musician
            }
            Event::Identified { channel, .. }
            | Event::Renamed { channel, .. }
            | Event::Gain { listener: channel, .. }
            | Event::Pan { listener: channel, .. }
            | Event::JitterBuffer { channel, .. }
            | Event::Chat { channel, .. } => self.by_channel(channel).unwrap(),
            _ => return,
        };
        musician.events.push(noted);
    }
}

#[test]
fn our_server_answers_captured_clients_like_captured_servers() {
    let mut replayed = 0;
    for capture in Capture::all().iter().filter(|capture| !capture.name.starts_with("probe")) {
        let ports = capture.players();
        if ports.is_empty() {
            continue;
        }
        for run in &capture.runs() {
            let replay = Replay::new(run, &ports).run(run);
            for musician in &replay.musicians {
                compare(&format!("{} {}", capture.name, musician.port), musician, run);
                replayed += 1;
            }
        }
    }
    assert_eq!(replayed, 28);
}

fn compare(at: &str, musician: &Musician, run: &[Datagram]) {
    // Difference 1: what proves the address comes first.
    let mut expected = musician.expected.clone();
    if let Some(props) = expected.iter().position(|message| *message == Message::RequestAudioProps) {
        let props = expected.remove(props);
        expected.splice(0..0, [props.clone(), props]);
    }
    // When a buffer size falls between two other messages is a matter of the captured mixer's timing.
    let is_size = |message: &Message| matches!(message, Message::JitterBufferSize(_));
    let pick = |list: &[Message], sizes: bool| -> Vec<Message> {
        list.iter().filter(|message| is_size(message) == sizes).cloned().collect()
    };
    assert_eq!(pick(&musician.heard, false), pick(&expected, false), "{at}: messages");
    assert_eq!(pick(&musician.heard, true), pick(&expected, true), "{at}: sizes");

    let full = Connectionless::ServerFull.frame(&mut FrameWriter::new());
    if musician.connectionless_expected.first().is_some_and(|first| *first == full) {
        // Difference 3.
        assert!(!musician.connectionless.is_empty(), "{at}: told that the server is full");
        assert!(musician.connectionless.iter().all(|answer| *answer == full), "{at}");
    } else {
        assert_eq!(musician.connectionless, musician.connectionless_expected, "{at}: connectionless");
    }
    compare_events(at, musician, run);
}

/// What the mixer is told is what the captured musician said.
fn compare_events(at: &str, musician: &Musician, run: &[Datagram]) {
    let mut listener = Listener::new();
    let from_client = run.iter().filter(|datagram| datagram.to_server && datagram.src == musician.port);
    let said: Vec<Message> = from_client.filter_map(|datagram| listener.hear(datagram)).collect();
    let wishes = said.iter().filter_map(|message| match message {
        Message::ChannelGain { channel, gain } => Some((*channel, gain.0)),
        Message::ChannelPan { channel, pan } => Some((*channel, pan.wire())),
        Message::JitterBufferSize(size) => Some((ChannelId::new(0).unwrap(), size.wire())),
        _ => None,
    });
    let told = musician.events.iter().filter_map(|event| match event {
        Event::Gain { source, gain, .. } => Some((*source, gain.0)),
        Event::Pan { source, pan, .. } => Some((*source, pan.wire())),
        Event::JitterBuffer { size, .. } => Some((ChannelId::new(0).unwrap(), size.wire())),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), wishes.collect::<Vec<_>>(), "{at}: wishes");

    let last_props = said.iter().rev().find_map(|message| match message {
        Message::AudioProps(props) => Some(*props),
        _ => None,
    });
    let told_props = musician.events.iter().rev().find_map(|event| match event {
        Event::Transport { props, .. } => Some(*props),
        _ => None,
    });
    assert_eq!(told_props, last_props, "{at}: format");

    let mut infos: Vec<&ChannelInfo> = said
        .iter()
        .filter_map(|message| match message {
            Message::ChannelInfo(info) => Some(info),
            _ => None,
        })
        .collect();
    infos.dedup();
    let told_infos = musician.events.iter().filter_map(|event| match event {
        Event::Identified { info, .. } | Event::Renamed { info, .. } => Some(info),
        _ => None,
    });
    assert_eq!(told_infos.collect::<Vec<_>>(), infos, "{at}: particulars");

    let goodbye = |to_server: bool| {
        run.iter().any(|datagram| {
            datagram.to_server == to_server
                && [datagram.src, datagram.dst].contains(&musician.port)
                && datagram.connectionless() == Some(Connectionless::Disconnection)
        })
    };
    let reason = match (said.is_empty(), goodbye(false), goodbye(true)) {
        (true, ..) => None,
        (_, true, _) => Some(LeaveReason::Shutdown),
        (_, _, true) => Some(LeaveReason::Disconnected),
        // Killed, or its server was.
        _ if at.starts_with("client_killed") => Some(LeaveReason::TimedOut),
        _ => None,
    };
    assert_eq!(musician.left, reason, "{at}: reason");
    assert!(said.is_empty() || musician.audio.0 > 0, "{at}: audio");
}

/// Requests without connection draw the captured answers, byte for byte. Differences: our server answers the questions
/// of the newest version under any version text; and a stranger's single datagram of audio, which made the captured
/// server repeat message 32 for half a minute, draws no more bytes than it had.
#[test]
fn probes_get_the_captured_answers() {
    for (name, version, features) in
        [("probe_idle_391", "3.9.1", None), ("probe_idle_new", "3.12.4dev-nogit", Some(ServerFeatures::IPV6))]
    {
        let capture = Capture::all().into_iter().find(|capture| capture.name == name).unwrap();
        let mut builder = ServerConfig::builder().version(version);
        if let Some(features) = features {
            builder = builder.with(features).welcome("hello");
        }
        let start = start();
        let mut server = Server::new(builder.build().unwrap(), 1, start);
        let mut requests = 0;
        let mut stranger_bytes = 0;
        for (at, datagram) in capture.datagrams.iter().enumerate().filter(|(_, datagram)| datagram.to_server)
        {
            let now = start + datagram.at;
            while server.poll_timeout().is_some_and(|timeout| timeout <= now) {
                let _ = server.handle_input(server.poll_timeout().unwrap(), Input::Timeout);
                stranger_bytes += transmits(&mut server).iter().map(Vec::len).sum::<usize>();
            }
            let input = Input::Datagram { src: addr(datagram.src), payload: &datagram.payload };
            assert_eq!(server.handle_input(now, input), Disposition::Consumed);
            let answers = transmits(&mut server);
            let Some(frame) = datagram.frame() else {
                stranger_bytes += answers.iter().map(Vec::len).sum::<usize>();
                continue;
            };
            requests += 1;
            // Levels and messages of connections are for the guest that the captured server took for a musician.
            let is_answer = |datagram: &&Datagram| {
                datagram.connectionless().is_some_and(|message| !matches!(message, Connectionless::Levels(_)))
            };
            let captured = capture.datagrams[at + 1..].iter().take_while(|datagram| !datagram.to_server);
            let captured: Vec<Vec<u8>> =
                captured.filter(is_answer).map(|datagram| datagram.payload.clone()).collect();
            let newest_only = matches!(frame.id, id::CLM_REQ_SERVER_FEATURES | id::CLM_REQ_WELCOME_MESSAGE);
            if newest_only && features.is_none() {
                assert_eq!((answers.len(), captured.len()), (1, 0), "{name}: {frame:?}");
            } else {
                assert_eq!(answers, captured, "{name}: {frame:?}");
            }
        }
        assert!(requests >= 7, "{name}: {requests}");
        assert!(stranger_bytes <= 9, "{name}: {stranger_bytes} bytes to a stranger that sent 9");
    }
}

fn transmits(server: &mut Server) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| server.poll_output())
        .filter_map(|output| match output {
            Output::Transmit(transmit) => Some(transmit.payload.to_vec()),
            _ => None,
        })
        .collect()
}

/// The musician with a window in `social_new_recorder` played from the start, but its program answered nothing for 2.2 s.
/// By then our server has asked several times; the late answers must not be taken for guesses.
#[test]
fn a_client_that_starts_slowly_gets_in() {
    let start = start();
    let mut server = Server::new(ServerConfig::builder().build().unwrap(), 3, start);
    let mut writer = FrameWriter::new();
    let src = addr(33308);
    let mut questions = Vec::new();
    let mut now = start;
    while now < start + Duration::from_millis(2_190) {
        now += Duration::from_micros(2_667);
        while server.poll_timeout().is_some_and(|timeout| timeout <= now) {
            let _ = server.handle_input(server.poll_timeout().unwrap(), Input::Timeout);
        }
        assert_eq!(
            server.handle_input(now, Input::Datagram { src, payload: &[0; 45] }),
            Disposition::Consumed
        );
        questions.extend(transmits(&mut server));
    }
    assert!((4..16).contains(&questions.len()), "{} questions", questions.len());
    for question in questions {
        let frame = Frame::parse(&question).unwrap();
        assert_eq!(frame.id, id::REQ_NETW_TRANSPORT_PROPS);
        let acknowledgement = writer.frame(id::ACKN, frame.counter, &frame.id.to_le_bytes());
        let _ = server.handle_input(now, Input::Datagram { src, payload: &acknowledgement });
    }
    assert_eq!(server.connected(), 1);
}
