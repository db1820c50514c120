//! What a server connection tells its owner.

use std::sync::Arc;

use crate::Media;
use crate::MediaKind;
use crate::handshake::HandshakeInfo;
use crate::message::{Command, Connect, PauseState, PublishKind, Status};

/// Names a question of the peer that the owner answers with `accept` or `reject`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestId(pub(super) u32);

/// Something that happened on a server connection.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// The handshake is complete.
    Handshaken(HandshakeInfo),
    /// The peer wants to connect. Answer with `accept` or `reject`; no input is consumed until then.
    ConnectRequested {
        /// For the answer.
        request: RequestId,
        /// What it sent. `tc_url` is never empty: it is made from `app` when the peer left it out.
        connect: Box<Connect>,
    },
    /// The peer wants to publish. Answer with `accept` or `reject`; no input is consumed until then.
    PublishRequested {
        /// For the answer.
        request: RequestId,
        /// The stream name with its query, as it was sent; see [`StreamUrl`](crate::StreamUrl).
        name: Arc<str>,
        /// What to do with the media.
        kind: PublishKind,
        /// The manner of its commands.
        style: PublishStyle,
    },
    /// The peer wants to play. Answer with `accept` or `reject`; no input is consumed until then.
    PlayRequested {
        /// For the answer.
        request: RequestId,
        /// The stream name with its query, as it was sent; see [`StreamUrl`](crate::StreamUrl).
        name: Arc<str>,
        /// Where to start; every negative value means live.
        start: Option<f64>,
    },
    /// The peer asked for something that no server can give, such as a name with control characters. It has been told
    /// so with this status; [`Closed`](Self::Closed) follows.
    Refused(Status),
    /// A message of the publisher. It may stand on any message stream.
    Media(Media),
    /// The viewer pauses or goes on. It has been answered; send nothing while it pauses.
    Pause(PauseState),
    /// The viewer wants one kind of media, or no longer. When it wants video again, begin with the sequence header
    /// and a key frame.
    Receive {
        /// Audio or video.
        kind: MediaKind,
        /// Whether it wants it.
        wanted: bool,
    },
    /// The viewer's buffer in milliseconds.
    BufferLength(u32),
    /// The publish or play is over; the connection stays for another request.
    Ended(EndReason),
    /// A command without any meaning to us; it has been answered when it wanted an answer.
    Command(Box<Command>),
    /// Nothing more will come: send what waits in `outgoing`, then close.
    Closed,
}

impl ServerEvent {
    /// The request that waits for an answer, whatever it is about: to reject what the owner does not know.
    pub fn request(&self) -> Option<RequestId> {
        match self {
            Self::ConnectRequested { request, .. }
            | Self::PublishRequested { request, .. }
            | Self::PlayRequested { request, .. } => Some(*request),
            _ => None,
        }
    }
}

/// Why a publish or play is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EndReason {
    /// The peer said so (`FCUnpublish`, `deleteStream`, `closeStream`).
    Peer,
    /// The peer asked for another stream.
    Replaced,
    /// The time the viewer had asked for is over.
    Duration,
}

/// The manner in which a publisher introduces itself; monitoring programs show it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PublishStyle {
    /// `releaseStream`, `FCPublish`, `createStream`, `publish`: most encoders.
    Fmle,
    /// `createStream` before `FCPublish` or `releaseStream`: some hardware encoders.
    Haivision,
    /// `createStream`, `publish`: players and relays.
    Flash,
}

impl PublishStyle {
    /// The name monitoring programs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fmle => "fmle-publish",
            Self::Haivision => "haivision-publish",
            Self::Flash => "flash-publish",
        }
    }
}
