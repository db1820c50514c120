//! What can go wrong for the owner of a machine. Peers cannot cause errors, only counters.

use crate::message::TextTooLong;
use crate::types::ChannelId;

/// A configuration makes no sense; correct the named value.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The number of channels is not 1 to 150.
    #[error("{channels} channels are not possible, 1 to 150 are")]
    Channels {
        /// What was asked for.
        channels: u16,
    },
    /// The version text is longer than what clients of 3.6.1 to 3.11.0 accept.
    #[error("version text has {units} UTF-16 units, at most 30 reach all clients")]
    Version {
        /// Its length.
        units: usize,
    },
    /// Clients compare the leading numbers of the version and switch on sequence numbers from 3.6.0 on.
    #[error("version text {version:?} does not start with a version of at least 3.6.0")]
    VersionTooOld {
        /// The text.
        version: String,
    },
    /// A limit that has to be above zero is zero.
    #[error("limit {limit} must not be zero")]
    ZeroLimit {
        /// The name of the field.
        limit: &'static str,
    },
    /// More networks than the limit in one list.
    #[error("{networks} networks in the {list} list, at most {networks_max} are possible")]
    TooManyNetworks {
        /// `allow` or `deny`.
        list: &'static str,
        /// How many there are.
        networks: usize,
        /// How many there may be.
        networks_max: usize,
    },
}

/// A command could not be carried out; nothing was changed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// Nobody is connected on this channel; it may have left a moment ago.
    #[error("channel {0} is not connected")]
    NoSuchChannel(ChannelId),
    /// The number of levels differs from the number of connected channels; drain events and try again.
    #[error("{given} levels given for {connected} connected channels")]
    LevelCount {
        /// Levels handed in.
        given: usize,
        /// Channels connected.
        connected: usize,
    },
    /// A jitter buffer size outside 1 to 20 blocks.
    #[error("{blocks} blocks are no jitter buffer size, 1 to 20 are")]
    JitterBlocks {
        /// What was asked for.
        blocks: u8,
    },
    /// A chat text is longer than recipients accept; shorten it.
    #[error(transparent)]
    Text(#[from] TextTooLong),
    /// The table of bans is full; put networks into the configuration instead.
    #[error("{bans_max} networks are banned already")]
    TooManyBans {
        /// The limit.
        bans_max: usize,
    },
    /// Outputs were not drained; call `poll_output` until `None` and try again.
    #[error("{outputs} outputs wait to be polled")]
    OutputsWaiting {
        /// How many.
        outputs: usize,
    },
}
