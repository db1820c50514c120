//! Why a client is not served, and what it is told.

use std::sync::Arc;

use rtmp_core::message::{Status, status::code};
use rtmp_core::{NameFault, UrlError};

use super::question::QuestionKind;
use crate::config::Operation;

/// Why a client was refused. The text of [`Display`](std::fmt::Display) is what the client is told.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The URL of `connect` cannot be used.
    #[error("tcUrl: {0}")]
    Url(UrlError),
    /// The name of the app or the stream cannot be used.
    #[error("{0}")]
    Name(NameFault),
    /// There is no such vhost and no default one, or it is disabled.
    #[error("vhost {0} is not served here")]
    Vhost(Arc<str>),
    /// The request itself cannot be answered in any other way, whoever asks: a name has control characters, is too long.
    /// The words are those that the client got.
    #[error("{0}")]
    Request(Arc<str>),
    /// The vhost was removed by a reload.
    #[error("vhost {0} was removed")]
    VhostRemoved(Arc<str>),
    /// The web page of the player is not on the list of `refer`.
    #[error("this page may not use the stream")]
    Refer,
    /// The owner said no, with these words.
    #[error("{reason}")]
    Denied {
        /// Which question it was.
        question: QuestionKind,
        /// Its words.
        reason: Arc<str>,
    },
    /// The owner did not answer in time.
    #[error("nobody decided in time")]
    Unanswered(QuestionKind),
    /// The rules of `security` do not allow it from this address.
    #[error("not allowed from this address")]
    Security,
    /// There is no stream name.
    #[error("no stream name")]
    NoStream,
    /// Somebody else publishes the stream.
    #[error("stream is busy")]
    Busy,
    /// An origin refused the client (token traverse) or the publish, with these words.
    #[error("{reason}")]
    Origin {
        /// The code of its status.
        code: Arc<str>,
        /// Its words.
        reason: Arc<str>,
    },
    /// No origin could be reached.
    #[error("no origin can be reached")]
    NoOrigin,
    /// Too many probes are under way.
    #[error("too many clients wait for the origin")]
    ProbesBusy,
    /// Too many streams are waited for, by this address or by all.
    #[error("too many streams are waited for")]
    Waiting,
    /// The stream never came.
    #[error("stream not found")]
    StreamNotFound,
    /// The request over HTTP names no stream that is offered.
    #[error("no stream is offered there")]
    Mount,
    /// The edge stops.
    #[error("server is stopping")]
    Draining,
}

impl Refusal {
    /// The number under which operators of SRS know it, where there is one (spec 14.5).
    pub const fn number(&self) -> Option<u32> {
        match self {
            Self::Busy => Some(1028),
            Self::Security => Some(1054),
            Self::Vhost(_) | Self::VhostRemoved(_) => Some(2014),
            Self::StreamNotFound => Some(2048),
            Self::NoOrigin => Some(3067),
            _ => None,
        }
    }

    /// The status that an RTMP client gets (`rtmp` 7.4).
    pub fn status(&self, operation: Operation) -> Status {
        let code = match (self, operation) {
            (Self::Url(_) | Self::Vhost(_) | Self::VhostRemoved(_), _) => code::CONNECT_REJECTED,
            (Self::Busy | Self::NoStream | Self::Name(_), Operation::Publish) => code::PUBLISH_BAD_NAME,
            (Self::Origin { code: origins, .. }, Operation::Publish)
                if **origins == *code::PUBLISH_BAD_NAME =>
            {
                code::PUBLISH_BAD_NAME
            }
            (_, Operation::Publish) => code::PUBLISH_DENIED,
            (Self::NoStream | Self::Name(_) | Self::StreamNotFound | Self::Mount, Operation::Play) => {
                code::PLAY_STREAM_NOT_FOUND
            }
            (_, Operation::Play) => code::PLAY_FAILED,
        };
        Status::error(code, self.to_string())
    }
}
