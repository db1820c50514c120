//! What shards say to each other.

use std::sync::Arc;

use super::client::ClientInfo;
use super::refusal::Refusal;
use crate::hub::Update;
use crate::key::StreamKey;

/// A message between two shards of an edge. Messages keep their order. `number` names a subscription among those the
/// subscriber has made, so that messages of an earlier one are recognised.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PeerMessage {
    /// The first viewer of a stream on a shard: its home is asked for the stream.
    Subscribe {
        /// The subscription.
        number: u64,
        /// The viewer; its names go to the origin when a pull begins.
        client: Arc<ClientInfo>,
    },
    /// A later viewer, with other names or another token: the next attempt of a pull is made in its name.
    AskAs {
        /// The subscription.
        number: u64,
        /// The viewer.
        client: Arc<ClientInfo>,
    },
    /// The last viewer has left.
    Unsubscribe {
        /// The stream.
        key: StreamKey,
        /// The subscription.
        number: u64,
    },
    /// Something happened to the stream, for its subscriber.
    Update {
        /// The stream.
        key: StreamKey,
        /// The subscription.
        number: u64,
        /// What happened.
        update: Update,
    },
    /// The subscriber has taken so much; its home may send as much again.
    Credit {
        /// The stream.
        key: StreamKey,
        /// The subscription.
        number: u64,
        /// Segments taken.
        segments: u32,
        /// Their bytes.
        bytes: u64,
    },
    /// The stream cannot be had: its viewers have to go.
    Refused {
        /// The stream.
        key: StreamKey,
        /// The subscription.
        number: u64,
        /// Why.
        refusal: Refusal,
    },
}
