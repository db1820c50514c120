//! What is thrown at the server.

use std::net::Ipv4Addr;

use bytes::Bytes;
use jam_proto::message::{
    ChatText, City, Connectionless, Message, MuteState, Registration, ServerName, VersionAndOs, id,
};
use jam_proto::message::{OsType, VersionText};
use jam_proto::rng::Rng;
use jam_proto::tables::Country;
use jam_proto::wire::FrameWriter;
use jam_proto::{AudioProps, ChannelId, Gain, Pan};

use super::member::Manners;

/// The kinds of attack, in the order they are run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Attack {
    Calm,
    AudioFlood,
    MessageFlood,
    Amplification,
    OneVictim,
    Malformed,
    Oversize,
    Acknowledgements,
    Replayed,
    Duplicated,
    DeafMember,
    ChatFlood,
    FaderFlood,
    MemberNoise,
    FakeServers,
    ServerListFlood,
}

/// Who carries an attack out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Attacker {
    Nobody,
    /// Addresses that never proved themselves.
    Strangers,
    /// Addresses that never proved themselves, talking to the server list. What they get is counted apart.
    ListStrangers,
    /// A member of the session.
    Member(Manners),
}

impl Attack {
    pub(super) const ALL: [Self; 16] = [
        Self::Calm,
        Self::AudioFlood,
        Self::MessageFlood,
        Self::Amplification,
        Self::OneVictim,
        Self::Malformed,
        Self::Oversize,
        Self::Acknowledgements,
        Self::Replayed,
        Self::Duplicated,
        Self::DeafMember,
        Self::ChatFlood,
        Self::FaderFlood,
        Self::MemberNoise,
        Self::FakeServers,
        Self::ServerListFlood,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::AudioFlood => "audio-flood",
            Self::MessageFlood => "message-flood",
            Self::Amplification => "amplification",
            Self::OneVictim => "one-victim",
            Self::Malformed => "malformed",
            Self::Oversize => "oversize",
            Self::Acknowledgements => "acknowledgements",
            Self::Replayed => "replayed",
            Self::Duplicated => "duplicated",
            Self::DeafMember => "deaf-member",
            Self::ChatFlood => "chat-flood",
            Self::FaderFlood => "fader-flood",
            Self::MemberNoise => "member-noise",
            Self::FakeServers => "fake-servers",
            Self::ServerListFlood => "server-list-flood",
        }
    }

    pub(super) const fn about(self) -> &'static str {
        match self {
            Self::Calm => "nothing, for comparison",
            Self::AudioFlood => "audio from 65,000 forged addresses",
            Self::MessageFlood => "messages of a connection from 65,000 forged addresses",
            Self::Amplification => "requests of nine bytes from 65,000 forged addresses",
            Self::OneVictim => "requests of nine bytes, all in the name of one address",
            Self::Malformed => {
                "noise, frames cut short, wrong lengths and checksums, hostile bodies with right ones"
            }
            Self::Oversize => "datagrams of 1,500 to 65,507 bytes",
            Self::Acknowledgements => {
                "strangers who ask to join and guess the number they are to acknowledge"
            }
            Self::Replayed => "the datagrams of a member sent again, late, by it and in the name of others",
            Self::Duplicated => "a member whose every datagram arrives twice",
            Self::DeafMember => "a member that acknowledges nothing and asks for lists",
            Self::ChatFlood => "a member that writes chat lines as fast as it can",
            Self::FaderFlood => "a member that moves faders and mutes as fast as it can",
            Self::MemberNoise => "a member that sends noise, split messages without end and changing formats",
            Self::FakeServers => "registrations of servers that do not exist",
            Self::ServerListFlood => {
                "requests for the server list, from many addresses and in the name of one"
            }
        }
    }

    pub(super) const fn attacker(self) -> Attacker {
        match self {
            Self::Calm => Attacker::Nobody,
            Self::FakeServers | Self::ServerListFlood => Attacker::ListStrangers,
            Self::Duplicated => Attacker::Member(Manners::Twice),
            Self::DeafMember => Attacker::Member(Manners::Deaf),
            Self::ChatFlood | Self::FaderFlood | Self::MemberNoise => Attacker::Member(Manners::Polite),
            _ => Attacker::Strangers,
        }
    }

    /// Of how many datagrams one is sent, so that no attack is a mere test of this machine's memory bandwidth.
    pub(super) const fn thinning(self) -> u64 {
        match self {
            Self::Oversize => 50,
            _ => 1,
        }
    }
}

/// Makes the datagrams.
#[derive(Debug)]
pub(super) struct Arsenal {
    random: Rng,
    writer: FrameWriter,
    props: AudioProps,
    /// The second byte of the addresses of this attack: each has its own 65,000.
    network: u8,
    noise: Vec<u8>,
}

impl Arsenal {
    pub(super) fn new(seed: u64, props: AudioProps) -> Self {
        let mut random = Rng::new(seed);
        let noise = (0..65_507).map(|_| random.below(256) as u8).collect();
        Self { random, writer: FrameWriter::new(), props, network: 64, noise }
    }

    /// Takes fresh addresses.
    pub(super) fn next_attack(&mut self) {
        self.network = self.network.checked_add(1).filter(|n| *n < 127).unwrap_or(64);
    }

    pub(super) fn address(&mut self) -> Ipv4Addr {
        let n = self.random.between(1, 65_000) as u16;
        let [high, low] = n.to_be_bytes();
        Ipv4Addr::new(127, self.network, high, low)
    }

    /// The next datagram of a stranger and where it claims to come from.
    pub(super) fn stranger(&mut self, attack: Attack) -> (Ipv4Addr, Bytes) {
        let mut from = self.address();
        let victim = Ipv4Addr::new(127, self.network, 255, 255);
        let payload = match attack {
            Attack::AudioFlood => self.noise(self.props.datagram_bytes()),
            Attack::MessageFlood => self.message(),
            Attack::Amplification => self.request(),
            Attack::OneVictim => {
                from = victim;
                self.request()
            }
            Attack::Malformed => self.malformed(),
            Attack::Oversize => {
                let bytes = self.random.between(1_500, 65_507) as usize;
                if self.random.chance(0.5) { self.noise(bytes) } else { self.framed_noise(bytes.min(20_000)) }
            }
            Attack::Acknowledgements => {
                // Few addresses, so that guesses follow questions.
                let [a, b, c, d] = from.octets();
                from = Ipv4Addr::new(a, b, c & 1, d);
                if self.random.chance(0.2) {
                    self.noise(self.props.datagram_bytes())
                } else {
                    let guess = self.random.below(256) as u8;
                    self.writer.frame(id::ACKN, guess, &id::REQ_NETW_TRANSPORT_PROPS.to_le_bytes())
                }
            }
            Attack::FakeServers => self.registration(),
            Attack::ServerListFlood => {
                if self.random.chance(0.5) {
                    from = victim;
                }
                Connectionless::RequestServerList.frame(&mut self.writer)
            }
            _ => self.noise(self.props.datagram_bytes()),
        };
        (from, payload)
    }

    /// The next message of a bad member.
    pub(super) fn member(&mut self, attack: Attack) -> Option<Message> {
        let channel = ChannelId::new(self.random.below(150) as u8)?;
        match attack {
            Attack::ChatFlood => {
                let text = "<&\">".repeat(self.random.between(1, 400) as usize);
                Some(Message::Chat(ChatText::cut(&text)))
            }
            Attack::FaderFlood => Some(match self.random.below(3) {
                0 => Message::ChannelGain { channel, gain: Gain(self.random.below(0x8000) as u16) },
                1 => Message::ChannelPan { channel, pan: Pan::new(self.random.below(0x8000) as u16) },
                _ => Message::MuteStateChanged {
                    channel,
                    state: if self.random.chance(0.5) { MuteState::Muted } else { MuteState::Unmuted },
                },
            }),
            Attack::DeafMember => Some(Message::RequestClientList),
            _ => None,
        }
    }

    /// Hostile bytes of a member: noise, first parts of split messages, frames with hostile bodies.
    pub(super) fn member_noise(&mut self) -> Bytes {
        match self.random.below(4) {
            0 => {
                let bytes = self.random.below(1_400) as usize;
                self.noise(bytes)
            }
            1 => {
                let total = self.random.between(1, 255) as u8;
                let index = self.random.below(u64::from(total)) as u8;
                let mut part = vec![18, 0, total, index];
                part.extend_from_slice(&self.noise(550));
                let counter = self.random.below(256) as u8;
                self.writer.frame(id::SPLIT, counter, &part)
            }
            2 => self.message(),
            _ => self.malformed(),
        }
    }

    /// A message of a connection with a body that fits it more or less.
    fn message(&mut self) -> Bytes {
        let number = self.random.between(1, 40) as u16;
        let counter = self.random.below(256) as u8;
        let bytes = self.random.below(40) as usize;
        let body = self.noise(bytes);
        self.writer.frame(number, counter, &body)
    }

    fn request(&mut self) -> Bytes {
        let request = match self.random.below(4) {
            0 => Connectionless::RequestVersionAndOs,
            1 => Connectionless::RequestClientList,
            2 => Connectionless::RequestServerFeatures,
            _ => Connectionless::RequestWelcomeMessage,
        };
        request.frame(&mut self.writer)
    }

    fn malformed(&mut self) -> Bytes {
        let number = if self.random.chance(0.5) {
            self.random.between(1_000, 1_030) as u16
        } else {
            self.random.below(65_536) as u16
        };
        let bytes = self.random.below(600) as usize;
        let body = self.noise(bytes);
        let mut frame = self.writer.frame(number, self.random.below(256) as u8, &body).to_vec();
        match self.random.below(5) {
            0 => return self.noise(bytes),
            1 => frame.truncate(self.random.below(frame.len() as u64) as usize),
            2 => {
                let at = self.random.below(frame.len() as u64) as usize;
                if let Some(byte) = frame.get_mut(at) {
                    *byte ^= 1 << self.random.below(8);
                }
            }
            3 => frame.extend_from_slice(&[0; 3]),
            _ => {}
        }
        frame.into()
    }

    fn registration(&mut self) -> Bytes {
        let name = format!("<b>{:x}</b>", self.random.below(1 << 32));
        let registration = Registration {
            internal_port: self.random.below(65_536) as u16,
            country: Country(self.random.below(65_536) as u16),
            clients_max: 255,
            permanent: true,
            name: ServerName::cut(&name),
            internal_address: None,
            city: City::cut("nowhere"),
        };
        let version = VersionAndOs { os: OsType::LINUX, version: VersionText::cut("3.11.0") };
        Connectionless::RegisterServerEx(registration, version).frame(&mut self.writer)
    }

    /// A frame with a right checksum around noise.
    fn framed_noise(&mut self, bytes: usize) -> Bytes {
        let number = self.random.between(1, 40) as u16;
        let body = self.noise(bytes.saturating_sub(9));
        self.writer.frame(number, 0, &body)
    }

    fn noise(&mut self, bytes: usize) -> Bytes {
        let at = self.random.below((self.noise.len() - bytes.min(self.noise.len())) as u64 + 1) as usize;
        Bytes::copy_from_slice(&self.noise[at..(at + bytes).min(self.noise.len())])
    }
}
