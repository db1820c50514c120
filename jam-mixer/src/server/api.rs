//! What a jam server is told and what it tells.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jam_proto::guard::IpNetwork;
use jam_proto::message::RecorderState;
use jam_proto::{ChannelId, Server, ServerConfig, ServerStats, Transmit};

use super::ListingConfig;
use crate::codec::CodecError;
use crate::engine::{AudioDatagrams, EngineStats};
use crate::tap::Frames;

/// What a jam server wants done, in the order it was decided.
#[non_exhaustive]
pub enum Output<'a> {
    /// Send this.
    Transmit(Transmit),
    /// Send all of these: the audio of one tick. There is one for each tick, also if nobody is to be sent anything.
    Audio(AudioBatch<'a>),
    /// Know this.
    Event(Event),
}

/// The audio datagrams of one tick, lent until the next call of the server.
///
/// Musicians who hear the same mix share the bytes.
#[derive(Clone)]
pub struct AudioBatch<'a> {
    pub(super) datagrams: AudioDatagrams<'a>,
    pub(super) frames: Frames<'a>,
    pub(super) protocol: &'a Server,
    pub(super) now: Instant,
}

impl<'a> AudioBatch<'a> {
    /// Where to send what.
    pub fn iter(&self) -> impl Iterator<Item = (SocketAddr, &'a [u8])> + use<'a> {
        let Self { datagrams, protocol, now, .. } = self.clone();
        datagrams.filter_map(move |(channel, payload)| {
            // Nothing goes to who sends nothing: the address may be forged, or its owner gone (spec 10.6).
            let due = protocol.is_audio_due(now, channel);
            due.then(|| protocol.view(channel)).flatten().map(|view| (view.addr, payload))
        })
    }

    /// The samples of this tick: for recorders, audiences, analysers.
    #[must_use]
    pub const fn frames(&self) -> Frames<'a> {
        self.frames
    }

    /// How many there are at most.
    #[must_use]
    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Something happened that an owner may want to know.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Somebody came, went, spoke, moved a fader.
    Protocol(jam_proto::server::Event),
    /// Look up this name and answer with [`JamServer::directory_resolved`](super::JamServer::directory_resolved).
    ResolveDirectory {
        /// `host` or `host:port`.
        host: Arc<str>,
    },
    /// The machine is at its limit and newcomers are refused (`true`), or there is room again.
    Full(bool),
    /// A musician announced a format that the codec does not have; it is silent until it announces another.
    FormatRefused {
        /// Whose.
        channel: ChannelId,
        /// Why.
        error: CodecError,
    },
}

/// What an owner can ask of a jam server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Command {
    /// Takes new texts, limits and lists; musicians stay. The length of the tick cannot change.
    Reload(Arc<ServerConfig>),
    /// The recorder's state changed; everybody is told.
    Recorder(RecorderState),
    /// A text for everybody, sent as it is: HTML is interpreted by receivers. At most 1800 UTF-16 units.
    Broadcast(String),
    /// A text for one musician, sent as it is. At most 1800 UTF-16 units.
    PrivateChat {
        /// Who gets it.
        channel: ChannelId,
        /// The text.
        text: String,
    },
    /// Removes a musician, who is told but may come again.
    Disconnect(ChannelId),
    /// Nobody from this network may come, and who is connected from it is removed.
    Ban {
        /// The network.
        network: IpNetwork,
        /// For how long; `None` until [`Command::Unban`].
        duration: Option<Duration>,
    },
    /// Takes a ban back.
    Unban(IpNetwork),
    /// Leaves the server list it is on and goes onto another one, or none. Ignored by a server that is a directory, or if
    /// it would become one.
    List(ListingConfig),
    /// The list of a directory as its file holds it; ignored by a server that is none.
    RestoreDirectory(String),
}

/// Counters of a jam server.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// The protocol's.
    pub protocol: ServerStats,
    /// The mixer's.
    pub engine: EngineStats,
    /// Musicians connected now.
    pub musicians: u64,
    /// The mean share of a tick that is spent working, in thousandths.
    pub load_permille: u64,
}
