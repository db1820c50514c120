//! What a client connection is told, and tells its owner.

use crate::Media;
use crate::amf::Object;
use crate::amf::amf0::Value;
use crate::handshake::HandshakeInfo;
use crate::message::{Command, PublishKind, Status};

/// What a client connection is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// To receive a stream.
    Play,
    /// To send one.
    Publish(PublishKind),
}

/// Which stream of which server, and what for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Target {
    /// `rtmp://host[:port]/app[?query]`; the server takes the virtual host from it.
    pub tc_url: String,
    /// The application.
    pub app: String,
    /// The stream name with its query.
    pub stream: String,
    /// Play or publish.
    pub purpose: Purpose,
    /// Further properties of `connect`, such as `pageUrl`.
    pub properties: Object<Value>,
    /// Values behind the properties of `connect`; clusters put tokens here.
    pub arguments: Vec<Value>,
}

impl Target {
    /// A target without further properties.
    pub fn new(
        tc_url: impl Into<String>,
        app: impl Into<String>,
        stream: impl Into<String>,
        purpose: Purpose,
    ) -> Self {
        let (tc_url, app, stream) = (tc_url.into(), app.into(), stream.into());
        Self { tc_url, app, stream, purpose, properties: Object::new(), arguments: Vec::new() }
    }
}

/// Something that happened on a client connection.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The handshake is complete.
    Handshaken(HandshakeInfo),
    /// The server accepted the connection.
    Connected(Box<Status>),
    /// The server takes our media now.
    PublishAccepted,
    /// The server plays: it said so, or media came.
    PlayStarted,
    /// A message of the stream.
    Media(Media),
    /// Good news that needs no action.
    Status(Box<Status>),
    /// The server says the stream's data has ended, for now or for good.
    StreamEof,
    /// The server sends us elsewhere. [`Closed`](Self::Closed) follows.
    Redirected {
        /// The URL to go to: that of a stream, or a `tcUrl`.
        url: String,
        /// The whole status.
        status: Box<Status>,
    },
    /// The server asks us to connect again soon, possibly elsewhere; this connection goes on until then.
    ReconnectRequested {
        /// The `tcUrl` to use, when it is another one.
        url: Option<String>,
    },
    /// The server refused the connection, the publish or the play. [`Closed`](Self::Closed) follows.
    Refused(Box<Status>),
    /// The publish or play is over, or broke: the publisher left, the server stopped it.
    Ended(Box<Status>),
    /// A command without any meaning to us.
    Command(Box<Command>),
    /// Nothing more will come: send what waits in `outgoing`, then close.
    Closed,
}
