//! One synthetic musician.

use std::collections::VecDeque;
use std::time::Instant;

use jam_proto::audio::AudioPacker;
use jam_proto::rng::Rng;
use jam_proto::{AudioProps, ChannelId, Gain};

use crate::args::FadersArg;
use crate::clock::Nanos;
use crate::histogram::Histogram;
use crate::probe::Recording;
use crate::session::{Incoming, Session};
use crate::signal::Loop;
use crate::stream::Stream;

/// A client with its tone, its stream and what it keeps for later.
#[derive(Debug)]
pub(crate) struct Musician {
    pub(crate) session: Session,
    pub(crate) stream: Stream,
    music: Loop,
    packer: AudioPacker,
    blocks_per_datagram: u64,
    /// The next block to play.
    block: u64,
    /// Faders still to be set.
    faders: VecDeque<(ChannelId, Gain)>,
    pub(crate) recording: Option<Recording>,
    /// Number and time of the ping under way.
    ping: Option<(u32, Nanos)>,
    pings: u32,
    pub(crate) ping_times: Histogram,
}

impl Musician {
    pub(crate) fn new(
        props: &AudioProps,
        session: Session,
        music: Loop,
        recording: Option<Recording>,
    ) -> Self {
        Self {
            session,
            stream: Stream::new(*props),
            music,
            packer: AudioPacker::new(props),
            blocks_per_datagram: props.factor.blocks() as u64,
            block: 0,
            faders: VecDeque::new(),
            recording,
            ping: None,
            pings: 0,
            ping_times: Histogram::default(),
        }
    }

    /// The next audio datagram, and its number within the loop of the music.
    pub(crate) fn next_audio(&mut self) -> (u64, &[u8]) {
        let number = self.block % self.music.len() as u64 / self.blocks_per_datagram;
        for _ in 1..self.blocks_per_datagram {
            let _ = self.packer.push(self.music.block(self.block));
            self.block += 1;
        }
        let last = self.packer.push(self.music.block(self.block)).unwrap_or_default();
        self.block += 1;
        (number, last)
    }

    pub(crate) fn on_datagram(&mut self, arrival: Nanos, payload: &[u8]) {
        match self.session.on_datagram(payload) {
            Incoming::Audio => {
                let position = self.stream.on_audio(arrival, payload);
                if let (Some(position), Some(recording)) = (position, &mut self.recording) {
                    recording.add(position, arrival, payload);
                }
            }
            Incoming::Pong(number) => {
                if let Some((_, sent)) = self.ping.take_if(|(n, _)| *n == number) {
                    self.ping_times.add(arrival.since(sent));
                }
            }
            Incoming::Other => {}
        }
    }

    pub(crate) fn send_ping(&mut self, now: Nanos) {
        self.pings += 1;
        self.ping = Some((self.pings, now));
        self.session.ping(self.pings);
    }

    /// Joined, identified and hearing something.
    pub(crate) fn is_ready(&self) -> bool {
        self.session.channel().is_some() && self.session.is_identified() && self.stream.received() > 0
    }

    /// Decides which faders to move: the probe mutes all others, `different` gives each one a position of its own.
    pub(crate) fn plan_faders(&mut self, is_probe: bool, faders: FadersArg, random: &mut Rng) {
        let own = self.session.channel();
        let others = self.session.everybody().iter().copied().filter(|c| Some(*c) != own);
        self.faders = match (is_probe, faders) {
            (true, _) => others.map(|c| (c, Gain::ZERO)).collect(),
            (false, FadersArg::Equal) => VecDeque::new(),
            (false, FadersArg::Different) => {
                others.map(|c| (c, Gain(random.between(0x2000, 0x7FFF) as u16))).collect()
            }
        };
    }

    /// Moves the next planned fader, if the previous ones have arrived. Returns whether all are done.
    pub(crate) fn move_faders(&mut self) -> bool {
        if let Some(&(channel, gain)) = self.faders.front()
            && self.session.set_gain(channel, gain)
        {
            self.faders.pop_front();
        }
        self.faders.is_empty()
    }

    /// The next protocol datagram to send.
    pub(crate) fn poll_transmit(&mut self, now: Instant) -> Option<bytes::Bytes> {
        self.session.poll_transmit(now)
    }
}
