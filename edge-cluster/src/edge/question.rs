//! What the owner of an edge is asked.

use std::sync::Arc;

use super::client::ClientInfo;
use crate::conn::ShardId;

/// Names a question until it is answered.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct QuestionId(u64);

impl QuestionId {
    pub(super) const fn new(shard: ShardId, number: u64) -> Self {
        Self(((shard.0 as u64) << 48) | (number & ((1 << 48) - 1)))
    }

    /// The shard that asks, and gets the answer.
    pub const fn shard(self) -> ShardId {
        ShardId((self.0 >> 48) as u16)
    }
}

/// At which point a client is asked about (spec 4.2, 8).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum QuestionKind {
    /// `on_connect`: before anything else is looked at; once per connection.
    Connect,
    /// `on_publish`: before it is known whether the stream is free.
    Publish,
    /// `on_play`: before the client is told that it plays.
    Play,
}

impl QuestionKind {
    /// The name of the hook.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "on_connect",
            Self::Publish => "on_publish",
            Self::Play => "on_play",
        }
    }
}

/// A client waits until the owner has said yes or no. Questions come only for vhosts whose configuration has URLs for
/// that hook, or for all when [`EdgeOptions::ask_always`](super::EdgeOptions::ask_always) is set.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Question {
    /// For the answer.
    pub id: QuestionId,
    /// What is asked.
    pub kind: QuestionKind,
    /// Who it is about. For [`QuestionKind::Connect`] with `connect_hook_early` the stream's name is still empty.
    pub client: Arc<ClientInfo>,
}

/// The answer to a [`Question`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Go on.
    Allow,
    /// Refuse the client, with a sentence that it is told.
    Deny(Arc<str>),
}

impl Verdict {
    /// Refuses with `reason`.
    pub fn deny(reason: impl Into<Arc<str>>) -> Self {
        Self::Deny(reason.into())
    }
}
