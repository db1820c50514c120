//! The protocol side of one musician: joins, identifies itself, acknowledges, sets faders, leaves.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use jam_proto::message::{ChannelInfo, City, Connectionless, Message, Name};
use jam_proto::reliable::{QueueFull, Received, Reliable, ReliableLimits};
use jam_proto::tables::{Country, Instrument, Skill};
use jam_proto::wire::{Frame, FrameWriter};
use jam_proto::{AudioProps, ChannelId, Gain, JitterSize};

/// What a datagram from the server was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Incoming {
    Audio,
    /// The answer to a ping, with the number that was sent.
    Pong(u32),
    Other,
}

#[derive(Debug)]
pub(crate) struct Session {
    reliable: Reliable,
    writer: FrameWriter,
    connectionless: VecDeque<Bytes>,
    props: AudioProps,
    jitter: JitterSize,
    name: String,
    channel: Option<ChannelId>,
    /// Everybody on the server, this musician included.
    everybody: Vec<ChannelId>,
    is_identified: bool,
    is_refused: bool,
}

impl Session {
    pub(crate) fn new(props: AudioProps, jitter: JitterSize, name: String) -> Self {
        Self {
            reliable: Reliable::new(ReliableLimits::default(), 0),
            writer: FrameWriter::new(),
            connectionless: VecDeque::new(),
            props,
            jitter,
            name,
            channel: None,
            everybody: Vec::new(),
            is_identified: false,
            is_refused: false,
        }
    }

    pub(crate) fn on_datagram(&mut self, payload: &[u8]) -> Incoming {
        let Some(frame) = Frame::parse(payload) else { return Incoming::Audio };
        if (1000..2000).contains(&frame.id) {
            match Connectionless::parse(frame.id, frame.body) {
                Ok(Some(Connectionless::Ping { time_ms })) => return Incoming::Pong(time_ms),
                Ok(Some(Connectionless::ServerFull)) => self.is_refused = true,
                _ => {}
            }
            return Incoming::Other;
        }
        if let Received::Message { id, body } = self.reliable.handle_frame(&frame)
            && let Ok(Some(message)) = Message::parse(id, &body)
        {
            // Nothing here can fill the queue: a server asks a handful of questions, one at a time.
            let _ = self.on_message(message);
        }
        Incoming::Other
    }

    fn on_message(&mut self, message: Message) -> Result<(), QueueFull> {
        match message {
            Message::ClientId(channel) => self.channel = Some(channel),
            Message::RequestAudioProps => self.send(&Message::AudioProps(self.props))?,
            Message::RequestJitterBufferSize => self.send(&Message::JitterBufferSize(self.jitter))?,
            Message::RequestChannelInfo => {
                self.is_identified = true;
                let info = ChannelInfo {
                    country: Country::NOT_SET,
                    instrument: Instrument::NONE,
                    skill: Skill::NOT_SET,
                    name: Name::cut(&self.name),
                    city: City::cut("jam-load"),
                };
                self.send(&Message::ChannelInfo(info))?;
            }
            Message::RequestSplitSupport => {
                self.reliable.allow_split();
                self.send(&Message::SplitSupported)?;
            }
            Message::ClientList(list) => self.everybody = list.iter().map(|entry| entry.channel).collect(),
            _ => {}
        }
        Ok(())
    }

    fn send(&mut self, message: &Message) -> Result<(), QueueFull> {
        self.reliable.send(message, &mut self.writer)
    }

    /// Moves a fader; false if too much waits already.
    pub(crate) fn set_gain(&mut self, channel: ChannelId, gain: Gain) -> bool {
        self.reliable.queue_messages() < 4 && self.send(&Message::ChannelGain { channel, gain }).is_ok()
    }

    pub(crate) fn ping(&mut self, number: u32) {
        let ping = Connectionless::Ping { time_ms: number }.frame(&mut self.writer);
        self.connectionless.push_back(ping);
    }

    /// The farewell, to be sent a few times because nobody acknowledges it.
    pub(crate) fn farewell(&mut self) -> Bytes {
        Connectionless::Disconnection.frame(&mut self.writer)
    }

    pub(crate) fn poll_transmit(&mut self, now: Instant) -> Option<Bytes> {
        self.connectionless.pop_front().or_else(|| self.reliable.poll_transmit(now, &mut self.writer))
    }

    pub(crate) fn channel(&self) -> Option<ChannelId> {
        self.channel
    }

    pub(crate) fn everybody(&self) -> &[ChannelId] {
        &self.everybody
    }

    pub(crate) fn is_identified(&self) -> bool {
        self.is_identified
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused
    }
}
