//! What an edge tells its owner.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rtmp_core::ConnectionError;

use super::client::ClientInfo;
use super::refusal::Refusal;
use crate::config::HostPort;
use crate::conn::ConnId;
use crate::key::StreamKey;

/// Why a connection is over.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer closed it, or the network did.
    #[error("closed by the peer")]
    Peer,
    /// The peer broke the protocol, or was silent for too long.
    #[error(transparent)]
    Protocol(ConnectionError),
    /// The client was refused.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// The owner wanted it.
    #[error("kicked")]
    Kicked,
    /// The viewer's connection took nothing for 30 seconds.
    #[error("the viewer has taken nothing for 30 s")]
    TooSlow,
    /// Nobody watched the publisher for as long as `kickoff_for_idle` allows.
    #[error("nobody watched for {0:?}")]
    Idle(Duration),
    /// A publisher that had fallen silent was replaced by its successor.
    #[error("replaced by a new publisher of the same client")]
    TakenOver,
    /// No origin takes the published stream any more.
    #[error("origins are lost")]
    OriginsLost,
    /// The stream of a viewer over HTTP has ended.
    #[error("stream has ended")]
    StreamEnded,
    /// A connection to an upstream server is not needed any more, or was given up.
    #[error("not needed any more")]
    Done,
    /// The edge stops.
    #[error("server is stopping")]
    Draining,
}

/// Which way a connection to an upstream server carries media.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum UpstreamKind {
    /// From an origin to here.
    Pull,
    /// A published stream to an origin.
    Push,
    /// A copy of a published stream to a fixed destination.
    Forward,
    /// None: an origin is asked about a client.
    Probe,
}

impl fmt::Display for UpstreamKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Forward => "forward",
            Self::Probe => "probe",
        })
    }
}

/// Something that happened on a shard, in the order in which it happened there.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Somebody connected; nothing is known of them yet.
    Opened {
        /// The connection.
        conn: ConnId,
        /// Where from.
        peer: SocketAddr,
        /// Its name in logs: [`ClientInfo::client_id`], once it says what it wants.
        client_id: Arc<str>,
    },
    /// A client said what it wants. Nothing is decided yet.
    Identified {
        /// The client.
        client: Arc<ClientInfo>,
    },
    /// A client is not served; [`Event::Closed`] follows.
    Refused {
        /// The connection.
        conn: ConnId,
        /// The client, if it came so far.
        client: Option<Arc<ClientInfo>>,
        /// Why.
        refusal: Refusal,
    },
    /// A publish was accepted.
    PublishBegan {
        /// The publisher.
        client: Arc<ClientInfo>,
    },
    /// A publish that had begun is over (`on_unpublish`).
    PublishEnded {
        /// The publisher.
        client: Arc<ClientInfo>,
    },
    /// A play was accepted; media follows as soon as there is any.
    PlayBegan {
        /// The viewer.
        client: Arc<ClientInfo>,
    },
    /// A play that had begun is over (`on_stop`).
    PlayEnded {
        /// The viewer.
        client: Arc<ClientInfo>,
    },
    /// A connection of a client is over (`on_close`, when there is a client).
    Closed {
        /// The connection.
        conn: ConnId,
        /// The client of its last request, if it came so far.
        client: Option<Arc<ClientInfo>>,
        /// Why.
        reason: CloseReason,
        /// Bytes sent on it.
        sent_bytes: u64,
        /// Bytes received on it.
        received_bytes: u64,
    },
    /// A connection to an upstream server is attempted.
    UpstreamConnecting {
        /// What for.
        kind: UpstreamKind,
        /// The stream; `None` for a probe.
        key: Option<StreamKey>,
        /// Our connection to it.
        conn: ConnId,
        /// Where to.
        target: HostPort,
    },
    /// An upstream server delivers, or takes, the stream.
    UpstreamBegan {
        /// What for.
        kind: UpstreamKind,
        /// The stream.
        key: StreamKey,
        /// Our connection to it.
        conn: ConnId,
    },
    /// An upstream server does not deliver or take the stream (any more). What happens next is another event.
    UpstreamEnded {
        /// What for.
        kind: UpstreamKind,
        /// The stream.
        key: StreamKey,
        /// The server.
        target: HostPort,
        /// Why, for people.
        reason: String,
        /// Whether something failed; otherwise nobody publishes or needs it any more, or the server sent us on.
        is_failure: bool,
    },
    /// An attempt to reach an upstream server came to nothing; another one follows.
    UpstreamFailed {
        /// What for.
        kind: UpstreamKind,
        /// The stream.
        key: StreamKey,
        /// The server.
        target: HostPort,
        /// Why, for people.
        reason: String,
    },
    /// All upstream servers have failed in turn; the next attempt comes after a wait.
    UpstreamWaits {
        /// What for.
        kind: UpstreamKind,
        /// The stream.
        key: StreamKey,
        /// How long.
        wait: Duration,
    },
    /// An upstream server sends us on.
    UpstreamRedirected {
        /// What for.
        kind: UpstreamKind,
        /// The stream.
        key: StreamKey,
        /// The server that did.
        from: HostPort,
        /// Where to.
        to: HostPort,
    },
    /// The stream has a source (again): viewers get media.
    StreamBegan {
        /// The stream.
        key: StreamKey,
    },
    /// The source of the stream is gone.
    StreamEnded {
        /// The stream.
        key: StreamKey,
    },
    /// A viewer was too slow and goes on at a later key frame.
    Resynced {
        /// The viewer.
        conn: ConnId,
        /// Messages it did not get.
        dropped: u64,
    },
    /// Too much media was held, and some was let go, see the [module](super).
    MediaShed {
        /// So many bytes.
        bytes: u64,
    },
    /// The shard uses the new configuration.
    Reloaded,
    /// All connections of a stopping shard are gone.
    Drained,
}
