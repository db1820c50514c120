//! What a client is told and what it tells.

use std::time::Duration;

use crate::message::{
    ChannelInfo, ChatText, ClientListEntry, Connectionless, Levels, Licence, MuteState, RecorderState,
    VersionAndOs,
};
use crate::reliable::{QueueFull, ReliableStats};
use crate::types::{AudioProps, ChannelId, Gain, JitterSize, Pan};

/// How a client joins. Start from [`ClientConfig::new`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Who the musician is. Default: nobody in particular.
    pub info: ChannelInfo,
    /// The audio format wanted. The sequence mode is found out in the connection; a raw size is used once the server
    /// offers raw audio, until then the size of high quality.
    pub audio: AudioProps,
    /// The server's jitter buffer for this musician. Default automatic.
    pub jitter_size: JitterSize,
    /// Time between pings. Default `None`, like a client without a window; one with a window uses 500 ms.
    pub ping_interval: Option<Duration>,
    /// Silence of the server after which joining is given up. Default 30 s.
    pub join_timeout: Duration,
    /// Time without audio after which a connection is given up. Default 30 s, as shipped programs do.
    pub silence_timeout: Duration,
    /// What to do when the server says goodbye. Default: leave.
    pub server_goodbye: ServerGoodbye,
    /// Time until an unacknowledged message is repeated. Default 400 ms, as shipped programs do.
    pub retransmit_after: Duration,
}

impl ClientConfig {
    /// A client with this audio format and the defaults of a client without a window.
    #[must_use]
    pub fn new(audio: AudioProps) -> Self {
        Self {
            info: ChannelInfo::default(),
            audio,
            jitter_size: JitterSize::Auto,
            ping_interval: None,
            join_timeout: Duration::from_secs(30),
            silence_timeout: Duration::from_secs(30),
            server_goodbye: ServerGoodbye::Leave,
            retransmit_after: Duration::from_millis(400),
        }
    }
}

/// What a client does when its server stops and says so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ServerGoodbye {
    /// Leave, like a shipped client that was told to.
    Leave,
    /// Play on and be back as soon as the server is, like a shipped client by default.
    Stay,
}

/// What the musician wants.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClientCommand {
    /// How loud a channel is in the own mix. Sent at most every 50 ms (or two round trips), the latest value counts.
    Gain {
        /// Whose level.
        channel: ChannelId,
        /// How loud.
        gain: Gain,
    },
    /// Where a channel is in the own mix.
    Pan {
        /// Whose position.
        channel: ChannelId,
        /// Where.
        pan: Pan,
    },
    /// Say something. Shipped clients let people type 1600 characters.
    Chat(ChatText),
    /// Change name, city, instrument and so on.
    Info(ChannelInfo),
    /// Change the server's jitter buffer.
    JitterSize(JitterSize),
    /// Change the audio format; see [`ClientConfig::audio`].
    Audio(AudioProps),
    /// Ask for [`ClientEvent::ClientList`].
    RequestClientList,
    /// Send the server a connectionless message; answers come as [`ClientEvent::Connectionless`].
    Ask(Connectionless),
    /// Leave the server.
    Leave,
}

/// Why a command was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientCommandError {
    /// The client is leaving or has left; make a new one to join again.
    #[error("the client has left the server")]
    NotConnected,
    /// The server acknowledges too slowly; try again later.
    #[error("the server acknowledges too slowly")]
    QueueFull(#[from] QueueFull),
}

/// What happened.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The server gave the client a channel. A second one means that the server was restarted.
    ChannelAssigned(ChannelId),
    /// The first audio of the server has come.
    Connected,
    /// The audio format changed: blocks of this size are expected from now on.
    AudioProps(AudioProps),
    /// Who is connected. An empty list says that the server has reset all gains and pans: send them again.
    ClientList(Vec<ClientListEntry>),
    /// Chat or the welcome message, as rich text.
    Chat(ChatText),
    /// The size the server's automatic chose.
    JitterBufferSize(JitterSize),
    /// Somebody muted or unmuted this musician.
    Mute {
        /// Who.
        channel: ChannelId,
        /// What.
        state: MuteState,
    },
    /// Levels, in the order of the client list.
    Levels(Levels),
    /// Whether the server records.
    RecorderState(RecorderState),
    /// Whether the server wants an agreement; leaving is the way to disagree.
    Licence(Licence),
    /// What the server is.
    Version(VersionAndOs),
    /// The server takes raw audio.
    RawAudioOffered,
    /// The answer to a ping.
    Ping {
        /// Time from ping to answer.
        round_trip: Duration,
    },
    /// The server has no free channel. The client keeps trying, as shipped ones do.
    ServerFull,
    /// The server says that it stops; see [`ClientConfig::server_goodbye`].
    ServerGoodbye,
    /// Another connectionless message from the server.
    Connectionless(Connectionless),
    /// The connection is over.
    Left(ClientLeaveReason),
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClientLeaveReason {
    /// [`ClientCommand::Leave`].
    Requested,
    /// The server said goodbye.
    ServerLeft,
    /// Nothing came from the server for too long.
    TimedOut,
    /// The server acknowledged nothing for too long.
    QueueFull(QueueFull),
}

/// Counters of one client.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ClientStats {
    /// Audio datagrams completed by [`super::Client::send_block`].
    pub audio_sent: u64,
    /// Audio datagrams given back to the caller.
    pub audio_received: u64,
    /// Audio datagrams whose size did not match the format.
    pub audio_of_wrong_size: u64,
    /// Datagrams from elsewhere than the server.
    pub datagrams_from_strangers: u64,
    /// Messages without meaning for a client.
    pub messages_unknown: u64,
    /// Messages that broke their rules.
    pub messages_malformed: u64,
    /// Counters of the acknowledged exchange.
    pub reliable: ReliableStats,
}
