//! One connection that somebody opened to us.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use rtmp_core::amf::amf0::Value;
use rtmp_core::message::Connect;
use rtmp_core::{ConnectionError, Media, RequestId, ServerConnection, flv};

use super::client::ClientInfo;
use super::event::CloseReason;
use super::meter::Meter;
use super::question::QuestionId;
use super::streams::StreamId;
use super::vhosts::Vhost;
use crate::hub::PrivateSink;

/// A connection and what is known of its client.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) wire: Wire,
    pub(super) peer: SocketAddr,
    pub(super) opened: Instant,
    pub(super) client_id: Arc<str>,
    pub(super) connect: ConnectFacts,
    /// The client of the last request.
    pub(super) client: Option<Arc<ClientInfo>>,
    pub(super) stage: Stage,
    pub(super) meter: Meter,
    /// Bytes that were sent, or waited to be, when its deadline came last.
    pub(super) sent_before: u64,
    /// `on_connect` was answered with yes.
    pub(super) connect_allowed: bool,
    /// Unread bytes wait in the driver until a decision is made.
    pub(super) holds_input: bool,
}

/// How it speaks.
#[derive(Debug)]
pub(super) enum Wire {
    Rtmp(Box<ServerConnection>),
    Flv(FlvBody),
}

/// The body of an HTTP response.
#[derive(Debug, Default)]
pub(super) struct FlvBody {
    pub(super) private: BytesMut,
    /// The file header is in it, or was sent.
    pub(super) has_header: bool,
}

/// What a client told when it connected.
#[derive(Debug, Default)]
pub(super) struct ConnectFacts {
    pub(super) tc_url: Arc<str>,
    pub(super) app: Arc<str>,
    pub(super) page_url: Arc<str>,
    pub(super) swf_url: Arc<str>,
    /// Values behind the properties of `connect`: tokens of clusters.
    pub(super) arguments: Arc<[Value]>,
}

impl ConnectFacts {
    pub(super) fn of(connect: &Connect) -> Self {
        let text = |text: Option<&rtmp_core::amf::Text>| match text {
            Some(text) => text.to_string_lossy().as_ref().into(),
            None => Arc::from(""),
        };
        Self {
            tc_url: text(Some(&connect.tc_url)),
            app: text(Some(&connect.app)),
            page_url: text(connect.page_url.as_ref()),
            swf_url: text(connect.swf_url.as_ref()),
            arguments: connect.arguments.as_slice().into(),
        }
    }
}

/// What it is doing.
#[derive(Debug, Default)]
pub(super) enum Stage {
    /// It has not asked for anything (again).
    #[default]
    Idle,
    /// It asked, and waits for the decision.
    Deciding(Box<Deciding>),
    Playing(StreamId),
    Publishing(StreamId),
    /// The driver sends the rest and closes.
    Closing(CloseReason),
}

/// A request on its way through the checks (spec 4.2).
#[derive(Debug)]
pub(super) struct Deciding {
    pub(super) request: Asked,
    pub(super) client: Arc<ClientInfo>,
    pub(super) vhost: Arc<Vhost>,
    /// The check that comes next, or whose answer is waited for.
    pub(super) step: Step,
    pub(super) waits_for: Option<WaitsFor>,
    /// When to give the waiting up.
    pub(super) deadline: Option<Instant>,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Asked {
    /// To connect; decided early only where the vhost says so.
    Connect(RequestId),
    Publish(RequestId),
    Play(RequestId),
    Flv,
}

/// The checks in their order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Step {
    ReferAll,
    OnConnect,
    TokenTraverse,
    Security,
    Name,
    ReferBefore,
    OnRequest,
    ReferAfter,
    Acquire,
}

impl Step {
    pub(super) const fn next(self) -> Self {
        match self {
            Self::ReferAll => Self::OnConnect,
            Self::OnConnect => Self::TokenTraverse,
            Self::TokenTraverse => Self::Security,
            Self::Security => Self::Name,
            Self::Name => Self::ReferBefore,
            Self::ReferBefore => Self::OnRequest,
            Self::OnRequest => Self::ReferAfter,
            Self::ReferAfter | Self::Acquire => Self::Acquire,
        }
    }
}

/// Whose answer a request waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum WaitsFor {
    Owner(QuestionId),
    Probe,
    /// The origin that the published stream is pushed to.
    Origin(StreamId),
}

impl Wire {
    pub(super) fn private(&mut self) -> &mut BytesMut {
        match self {
            Self::Rtmp(rtmp) => rtmp.outgoing(),
            Self::Flv(body) => &mut body.private,
        }
    }
}

impl PrivateSink for Wire {
    fn pending_bytes(&self) -> usize {
        match self {
            Self::Rtmp(rtmp) => rtmp.pending_bytes(),
            Self::Flv(body) => body.private.len(),
        }
    }

    fn send_media(&mut self, media: &Media) {
        match self {
            // The hub sends what the viewer wants; what does not fit is the viewer's own queue that is full.
            Self::Rtmp(rtmp) => drop(rtmp.send_media(media)),
            Self::Flv(body) => {
                flv::write_tag(&mut body.private, media);
            }
        }
    }
}

impl Session {
    pub(super) fn ip(&self) -> IpAddr {
        self.peer.ip().to_canonical()
    }

    /// The RTMP connection; `None` for HTTP.
    pub(super) fn rtmp(&mut self) -> Option<&mut ServerConnection> {
        match &mut self.wire {
            Wire::Rtmp(rtmp) => Some(rtmp),
            Wire::Flv(_) => None,
        }
    }

    /// Bytes for this client alone that wait to be sent.
    pub(super) fn private(&mut self) -> &mut BytesMut {
        self.wire.private()
    }

    /// Does what the connection has to do by now. A viewer whose socket takes something is there, and need not answer
    /// pings; `meter` counts all that it was sent.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<(), ConnectionError> {
        let Wire::Rtmp(rtmp) = &mut self.wire else { return Ok(()) };
        if self.meter.sent > self.sent_before {
            rtmp.note_alive(now);
        }
        let result = rtmp.handle_timeout(now);
        self.sent_before = self.meter.sent + rtmp.pending_bytes() as u64;
        result
    }

    pub(super) fn deciding(&mut self) -> Option<&mut Deciding> {
        match &mut self.stage {
            Stage::Deciding(deciding) => Some(deciding),
            _ => None,
        }
    }

    /// The stream it plays or publishes.
    pub(super) fn stream(&self) -> Option<StreamId> {
        match &self.stage {
            Stage::Playing(stream) | Stage::Publishing(stream) => Some(*stream),
            _ => None,
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        matches!(self.stage, Stage::Closing(_))
    }

    /// When the connection itself or its decision has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let deadline = match &self.stage {
            Stage::Deciding(deciding) => deciding.deadline,
            _ => None,
        };
        let wire = match &self.wire {
            Wire::Rtmp(rtmp) => rtmp.poll_timeout(),
            Wire::Flv(_) => None,
        };
        [deadline, wire].into_iter().flatten().min()
    }
}
