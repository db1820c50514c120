//! Who a client is, for hooks, logs and the API.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rtmp_core::PublishStyle;
use rtmp_core::amf::amf0::Value;

use crate::config::Operation;
use crate::conn::ConnId;
use crate::key::StreamKey;

/// What a client does, in the words the HTTP API uses (spec 4.3).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum ClientKind {
    /// `rtmp-play`.
    RtmpPlay,
    /// `flv-play`: a viewer over HTTP.
    FlvPlay,
    /// `fmle-publish`: `releaseStream` was the first command.
    FmlePublish,
    /// `haivision-publish`: `createStream` came before `FCPublish` or `releaseStream`.
    HaivisionPublish,
    /// `flash-publish`: `createStream`, then `publish`.
    FlashPublish,
}

impl ClientKind {
    /// The word of the HTTP API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RtmpPlay => "rtmp-play",
            Self::FlvPlay => "flv-play",
            Self::FmlePublish => "fmle-publish",
            Self::HaivisionPublish => "haivision-publish",
            Self::FlashPublish => "flash-publish",
        }
    }

    /// Publish or play.
    pub const fn operation(self) -> Operation {
        match self {
            Self::RtmpPlay | Self::FlvPlay => Operation::Play,
            Self::FmlePublish | Self::HaivisionPublish | Self::FlashPublish => Operation::Publish,
        }
    }

    /// Whether it publishes.
    pub const fn is_publish(self) -> bool {
        matches!(self.operation(), Operation::Publish)
    }
}

impl From<PublishStyle> for ClientKind {
    fn from(style: PublishStyle) -> Self {
        match style {
            PublishStyle::Fmle => Self::FmlePublish,
            PublishStyle::Haivision => Self::HaivisionPublish,
            PublishStyle::Flash => Self::FlashPublish,
        }
    }
}

impl fmt::Display for ClientKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A client whose stream is known: after `publish`, `play`, or a request over HTTP (spec 8). Made once per request and
/// shared by everything that speaks of it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClientInfo {
    /// The connection.
    pub conn: ConnId,
    /// Eight characters `0-9a-z`, unlike those of any other connection with high probability.
    pub client_id: Arc<str>,
    /// Where the client connects from; what a trusted proxy says wins over the socket.
    pub peer: SocketAddr,
    /// What it does.
    pub kind: ClientKind,
    /// The stream; `vhost` is the name of the configured block.
    pub key: StreamKey,
    /// The stream as the client names it, for hooks and upstream servers; the key has no media extension such as `.mp4`.
    pub stream: Arc<str>,
    /// What follows the names, with `?` in front, or empty.
    pub param: Arc<str>,
    /// The URL of `connect`; for HTTP the URL of the request without its path.
    pub tc_url: Arc<str>,
    /// The page the player is on; empty when it did not say.
    pub page_url: Arc<str>,
    /// The player's own URL; empty when it did not say.
    pub swf_url: Arc<str>,
    /// Values behind the properties of `connect`; clusters put tokens there.
    pub arguments: Arc<[Value]>,
    /// `vid-` and seven characters, the same for all clients of the stream while the process runs.
    pub stream_id: Arc<str>,
}

impl ClientInfo {
    /// The address that limits and rules look at.
    pub(super) fn ip(&self) -> IpAddr {
        self.peer.ip().to_canonical()
    }

    /// Whether an origin is told the same of both.
    pub(super) fn asks_like(&self, other: &Self) -> bool {
        fn told(client: &ClientInfo) -> ([&str; 4], &[Value]) {
            let ClientInfo { param, tc_url, page_url, swf_url, arguments, .. } = client;
            ([param, tc_url, page_url, swf_url], arguments)
        }
        told(self) == told(other)
    }

    /// `/app/stream`, with the vhost in front unless it is the default one.
    pub fn stream_url(&self) -> String {
        let StreamKey { vhost, app, stream } = &self.key;
        match **vhost == *rtmp_core::DEFAULT_VHOST {
            true => format!("/{app}/{stream}"),
            false => format!("{vhost}/{app}/{stream}"),
        }
    }
}
