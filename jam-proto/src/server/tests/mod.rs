//! Transcripts of server behaviour, in the words of the protocol.

mod chat;
mod commands;
mod joining;
mod leaving;
mod listing;
mod mixing;
mod properties;
mod strangers;
mod world;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::*;
use crate::config::ServerConfigBuilder;
use crate::guard::IpNetwork;
use crate::message::{City, Connectionless, Message, Name, id};
use crate::reliable::{Received, Reliable, ReliableLimits};
use crate::sim::start;
use crate::tables::{Country, Instrument, Skill};
use crate::types::{BlockCodec, BlockFactor, JitterSize, Layout, Sequence};

pub(super) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(super) fn slot(number: u8) -> ChannelId {
    ChannelId::new(number).unwrap()
}

/// 128 samples, mono, 45 bytes, without sequence byte: what a client starts with.
pub(super) fn props() -> AudioProps {
    AudioProps {
        codec: BlockCodec::Opus,
        layout: Layout::Mono,
        block_bytes: 45,
        factor: BlockFactor::One,
        sequence: Sequence::Without,
    }
}

pub(super) fn info(name: &str) -> ChannelInfo {
    ChannelInfo {
        country: Country(82),
        instrument: Instrument(10),
        skill: Skill::INTERMEDIATE,
        name: Name::cut(name),
        city: City::cut("Köln"),
    }
}

/// A frame the server sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Sent {
    pub(super) dst: SocketAddr,
    pub(super) id: u16,
    pub(super) counter: u8,
    pub(super) body: Vec<u8>,
}

impl Sent {
    fn new(transmit: &Transmit) -> Self {
        let frame = Frame::parse(&transmit.payload).unwrap();
        Self { dst: transmit.dst, id: frame.id, counter: frame.counter, body: frame.body.to_vec() }
    }

    pub(super) fn message(&self) -> Message {
        Message::parse(self.id, &self.body).unwrap().unwrap()
    }

    pub(super) fn connectionless(&self) -> Connectionless {
        Connectionless::parse(self.id, &self.body).unwrap().unwrap()
    }
}

/// A server, the time, and everything that came out of it.
pub(super) struct Room {
    pub(super) server: Server,
    pub(super) now: Instant,
    pub(super) events: Vec<Event>,
    pub(super) resolve: Vec<Arc<str>>,
    sent: Vec<Sent>,
    writer: FrameWriter,
}

impl Room {
    pub(super) fn new() -> Self {
        Self::with(|config| config)
    }

    pub(super) fn with(change: impl FnOnce(ServerConfigBuilder) -> ServerConfigBuilder) -> Self {
        Self::limited(|_| {}, change)
    }

    pub(super) fn limited(
        limit: impl FnOnce(&mut ServerLimits),
        change: impl FnOnce(ServerConfigBuilder) -> ServerConfigBuilder,
    ) -> Self {
        let mut limits = ServerLimits::default();
        limit(&mut limits);
        let config = change(ServerConfig::builder().limits(limits)).build().unwrap();
        let now = start();
        let server = Server::new(config, 42, now);
        Self {
            server,
            now,
            events: Vec::new(),
            resolve: Vec::new(),
            sent: Vec::new(),
            writer: FrameWriter::new(),
        }
    }

    /// Hands in a datagram and collects what comes out.
    pub(super) fn datagram(&mut self, src: SocketAddr, payload: &[u8]) -> Disposition {
        let disposition = self.server.handle_input(self.now, Input::Datagram { src, payload });
        self.collect();
        disposition
    }

    pub(super) fn collect(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Transmit(transmit) => self.sent.push(Sent::new(&transmit)),
                Output::Event(event) => self.events.push(event),
                Output::Resolve(name) => self.resolve.push(name),
            }
        }
    }

    pub(super) fn audio(&mut self, src: SocketAddr, bytes: usize) -> Disposition {
        self.datagram(src, &vec![0x55; bytes])
    }

    pub(super) fn message(&mut self, src: SocketAddr, counter: u8, message: &Message) {
        let payload = message.frame(counter, &mut self.writer);
        assert_eq!(self.datagram(src, &payload), Disposition::Consumed);
    }

    pub(super) fn raw_message(&mut self, src: SocketAddr, id: u16, counter: u8, body: &[u8]) {
        let payload = self.writer.frame(id, counter, body);
        assert_eq!(self.datagram(src, &payload), Disposition::Consumed);
    }

    pub(super) fn acknowledge(&mut self, sent: &Sent) {
        self.raw_message(sent.dst, id::ACKN, sent.counter, &sent.id.to_le_bytes());
    }

    pub(super) fn connectionless(&mut self, src: SocketAddr, message: &Connectionless) {
        let payload = message.frame(&mut self.writer);
        assert_eq!(self.datagram(src, &payload), Disposition::Consumed);
    }

    pub(super) fn command(&mut self, command: Command<'_>) -> Result<(), crate::CommandError> {
        let result = self.server.command(self.now, command);
        self.collect();
        result
    }

    /// Lets time pass, waking the server whenever it asked for it.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.server.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            let _ = self.server.handle_input(self.now, Input::Timeout);
            self.collect();
            assert!(
                self.server.poll_timeout().is_none_or(|next| next > self.now),
                "the deadline did not move"
            );
        }
        self.now = end;
    }

    /// What was sent since the last time this was asked.
    pub(super) fn sent(&mut self) -> Vec<Sent> {
        std::mem::take(&mut self.sent)
    }

    pub(super) fn sent_ids(&mut self) -> Vec<u16> {
        self.sent().iter().map(|sent| sent.id).collect()
    }

    /// The only frame sent since the last time.
    pub(super) fn one_sent(&mut self) -> Sent {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    /// The questions a newcomer was asked since the last time, and nothing else was sent.
    pub(super) fn questions(&mut self) -> Vec<Sent> {
        let sent = self.sent();
        assert!(
            sent.len() == 2 && sent.iter().all(|sent| sent.id == id::REQ_NETW_TRANSPORT_PROPS),
            "{sent:?}"
        );
        assert_ne!(sent[0].counter, sent[1].counter);
        sent
    }

    /// Acknowledges all of these.
    pub(super) fn answer(&mut self, questions: &[Sent]) {
        questions.iter().for_each(|question| self.acknowledge(question));
    }

    pub(super) fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    pub(super) fn stats(&self) -> ServerStats {
        self.server.stats()
    }

    /// Plays both sides until nobody has anything to say.
    pub(super) fn play(&mut self, musicians: &mut [&mut Musician]) {
        for _ in 0..10_000 {
            let sent = self.sent();
            for sent in &sent {
                for musician in musicians.iter_mut().filter(|musician| musician.addr == sent.dst) {
                    musician.hear(sent);
                }
            }
            let mut idle = sent.is_empty();
            for musician in musicians.iter_mut() {
                while let Some(payload) = musician.reliable.poll_transmit(self.now, &mut musician.writer) {
                    idle = false;
                    let _ = self.datagram(musician.addr, &payload);
                }
            }
            if idle {
                return;
            }
        }
        panic!("the conversation does not end");
    }

    /// A musician that has joined and told who it is.
    pub(super) fn joined(&mut self, at: &str, name: &str) -> Musician {
        let mut musician = Musician::new(at, name);
        self.join(&mut musician);
        assert!(musician.channel.is_some(), "{name} did not join");
        musician
    }

    pub(super) fn join(&mut self, musician: &mut Musician) {
        let _ = self.audio(musician.addr, 45);
        self.play(&mut [musician]);
    }
}

/// A well-behaved client.
pub(super) struct Musician {
    pub(super) addr: SocketAddr,
    pub(super) name: String,
    pub(super) channel: Option<ChannelId>,
    /// Everything told to it but acknowledgements.
    pub(super) heard: Vec<Sent>,
    pub(super) reliable: Reliable,
    pub(super) knows_split: bool,
    /// Messages as they were processed, put together if they were split.
    processed: Vec<Message>,
    writer: FrameWriter,
}

impl Musician {
    pub(super) fn new(at: &str, name: &str) -> Self {
        Self {
            addr: addr(at),
            name: name.into(),
            channel: None,
            heard: Vec::new(),
            reliable: Reliable::new(ReliableLimits::default(), 0),
            knows_split: true,
            processed: Vec::new(),
            writer: FrameWriter::new(),
        }
    }

    pub(super) fn id(&self) -> ChannelId {
        self.channel.unwrap()
    }

    pub(super) fn say(&mut self, message: &Message) {
        self.reliable.send(message, &mut self.writer).unwrap();
    }

    pub(super) fn heard_ids(&self) -> Vec<u16> {
        self.heard.iter().map(|sent| sent.id).collect()
    }

    /// Everything processed since the last time, split messages put together.
    pub(super) fn reassembled(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.processed)
    }

    pub(super) fn heard_messages(&self) -> Vec<Message> {
        self.heard.iter().filter(|sent| sent.id < 1_000).map(Sent::message).collect()
    }

    fn hear(&mut self, sent: &Sent) {
        if sent.id != id::ACKN {
            self.heard.push(sent.clone());
        }
        if (1_000..2_000).contains(&sent.id) {
            return;
        }
        let frame = Frame { id: sent.id, counter: sent.counter, body: &sent.body };
        let Received::Message { id: message, body } = self.reliable.handle_frame(&frame) else { return };
        let Ok(Some(message)) = Message::parse(message, &body) else { return };
        self.processed.push(message.clone());
        match message {
            Message::ClientId(channel) => self.channel = Some(channel),
            Message::RequestAudioProps => self.say(&Message::AudioProps(props())),
            Message::RequestSplitSupport if self.knows_split => {
                self.reliable.allow_split();
                self.say(&Message::SplitSupported);
            }
            Message::RequestJitterBufferSize => self.say(&Message::JitterBufferSize(JitterSize::Auto)),
            Message::RequestChannelInfo => {
                let info = info(&self.name);
                self.say(&Message::ChannelInfo(info));
            }
            _ => {}
        }
    }
}
