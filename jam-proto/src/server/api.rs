//! What goes into a server besides datagrams, and what comes out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::ServerConfig;
use crate::directory::{DirectoryCommand, DirectoryEvent, RegistrarCommand, RegistrationStatus};
use crate::guard::IpNetwork;
use crate::io::Transmit;
use crate::message::{ChannelInfo, RecorderState};
use crate::text::LocalTime;
use crate::types::{AudioProps, ChannelId, Gain, JitterSize, Pan};

/// What a server made of an input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Disposition {
    /// Dealt with; there may be outputs.
    Consumed,
    /// The datagram is audio for this channel, of the size its format says; the slice you passed in is the audio.
    Audio(ChannelId),
    /// The datagram comes from this channel but has another size than its format (or there is no format yet).
    ///
    /// It keeps the channel alive and is not to be decoded (spec 3.4).
    WrongSize(ChannelId),
}

/// What a server wants done, in the order it was decided.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Output {
    /// Send this.
    Transmit(Transmit),
    /// Know this.
    Event(Event),
    /// Look up this name of a directory and answer with [`Command::Resolved`].
    Resolve(Arc<str>),
}

/// Something happened that mixer, recorder or log should know.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A musician has a slot. All gains of and for this channel are 1.0 now, all pans in the centre (spec 5.3).
    Joined {
        /// The slot.
        channel: ChannelId,
        /// The musician's address.
        addr: SocketAddr,
        /// How many are connected now, with this one.
        connected: u8,
    },
    /// A musician told who it is for the first time; fade-in and audio may begin (spec 5.4).
    Identified {
        /// The slot.
        channel: ChannelId,
        /// Who.
        info: ChannelInfo,
    },
    /// A musician changed its name or another of its particulars.
    Renamed {
        /// The slot.
        channel: ChannelId,
        /// Who.
        info: ChannelInfo,
    },
    /// The audio format of both directions is new: make the buffers anew (spec 3.6).
    Transport {
        /// The slot.
        channel: ChannelId,
        /// The format.
        props: AudioProps,
    },
    /// A listener moved a fader.
    Gain {
        /// In whose mix.
        listener: ChannelId,
        /// Whose level.
        source: ChannelId,
        /// How loud.
        gain: Gain,
    },
    /// A listener moved a pan knob.
    Pan {
        /// In whose mix.
        listener: ChannelId,
        /// Whose position.
        source: ChannelId,
        /// Where.
        pan: Pan,
    },
    /// A musician wants this size of the server's jitter buffer.
    JitterBuffer {
        /// The slot.
        channel: ChannelId,
        /// The size, or automatic.
        size: JitterSize,
    },
    /// A musician said something; the line has been sent to everybody.
    Chat {
        /// Who said it.
        channel: ChannelId,
        /// The line as sent: HTML, with colour, time and name.
        line: Arc<str>,
    },
    /// A slot is free again; nothing about its musician matters any more.
    Left {
        /// The slot.
        channel: ChannelId,
        /// The address that had it.
        addr: SocketAddr,
        /// Why.
        reason: LeaveReason,
        /// How many are still connected. 0: the server is idle.
        connected: u8,
    },
    /// The registration with a directory stands otherwise now.
    Registration(RegistrationStatus),
    /// Something happened in the directory that this server keeps.
    Directory(DirectoryEvent),
}

/// Why a musician is not connected any more.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum LeaveReason {
    /// It said so (message 1010), or somebody did who forged its address.
    Disconnected,
    /// Nothing came from it for 30 s.
    TimedOut,
    /// Audio came from it, but none of our messages was acknowledged for 30 s.
    Unresponsive,
    /// Its program was started anew on the same address; as a newcomer it is asked everything again.
    Restarted,
    /// It did not say who it is, or in which format it plays, for 10 s: a program too old for this server, or one that
    /// was started anew while it joined. It is asked again, later each time if nothing changes.
    Unidentified,
    /// It acknowledged what it cannot have received: its address is forged.
    Forged,
    /// The owner wished so.
    Removed,
    /// Its address was banned.
    Banned,
    /// The server stops.
    Shutdown,
}

/// Whether newcomers are let in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Admission {
    /// As long as there are free channels.
    #[default]
    Open,
    /// Newcomers are told that the server is full, for instance because the mixer is at its limit.
    Closed,
}

/// What an owner can ask of a server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Command<'a> {
    /// Announces a jitter buffer size that the automatic chose (message 10).
    JitterSize {
        /// Whose buffer.
        channel: ChannelId,
        /// 1 to 20.
        blocks: u8,
    },
    /// Sends the level meters: 0 to 9 for each connected channel in ascending order (message 1015).
    ///
    /// Everybody gets the same bytes; nothing is copied per receiver.
    Levels(&'a [u8]),
    /// The recorder's state changed; everybody is told (message 33).
    Recorder(RecorderState),
    /// The time of day for chat lines. It runs on by itself; repeat it every few minutes, for summer time.
    LocalTime(LocalTime),
    /// A text for everybody, sent as it is: HTML is interpreted by receivers. At most 1800 UTF-16 units.
    Broadcast(&'a str),
    /// A text for one musician, sent as it is. At most 1800 UTF-16 units.
    PrivateChat {
        /// Who gets it.
        channel: ChannelId,
        /// The text.
        text: &'a str,
    },
    /// Removes a musician, who is told (message 1010) but may come again.
    Disconnect(ChannelId),
    /// Lets newcomers in or turns them away.
    Admission(Admission),
    /// Nobody from this network may come, and who is connected from it is removed.
    Ban {
        /// The network.
        network: IpNetwork,
        /// For how long; `None` until [`Command::Unban`].
        duration: Option<Duration>,
    },
    /// Takes a ban back; the configuration's deny list stays.
    Unban(IpNetwork),
    /// For the registration with a directory, if there is one.
    Registrar(RegistrarCommand),
    /// The answer to [`Output::Resolve`]: the directory's IPv4 address, or none could be found.
    Resolved(Option<SocketAddr>),
    /// For the directory that this server keeps, if it keeps one.
    Directory(DirectoryCommand),
    /// Takes a new configuration. Connected musicians stay, except those it denies.
    ///
    /// Sizes of tables (`probes_max`, `quarantined_max`, `sources_max`) are those of the first configuration.
    Reload(Arc<ServerConfig>),
    /// Frees all channels and leaves the directory; clients are told if the configuration says so (`DISCONNECT_ON_QUIT`).
    Shutdown,
}
