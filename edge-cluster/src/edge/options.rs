//! What an owner may choose beside the configuration.

use std::sync::Arc;
use std::time::Duration;

use rtmp_core::amf::Object;
use rtmp_core::amf::amf0::Value;

use crate::upstream::OwnAddresses;

/// Settings of a shard that are not part of the configuration language.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EdgeOptions {
    /// Whether the owner is asked about every connect, publish and play, whatever the configuration says of hooks.
    /// Default no.
    pub ask_always: bool,
    /// Longest wait for an answer of the owner; afterwards the client is refused. Default 120 s: a hook with several
    /// URLs may take 30 s for each.
    pub answer_timeout: Duration,
    /// Probes of origins (token traverse) in flight at most. Default 256 (spec 7). This limit and the two below are
    /// those of the whole edge: each shard has an equal part of them, 8 at least.
    pub probes_max: usize,
    /// Pulls that never had media, at most. Default 1,024 (spec 5.3).
    pub waiting_pulls_max: usize,
    /// The same for one client address. Default 64.
    pub waiting_pulls_per_ip_max: usize,
    /// Bytes of media that the whole edge holds at most: rings, GOP caches and FLV lanes. Each shard has an equal part.
    /// What is above it is let go, what is needed least first (see the [module](super)). Default `None`: what the
    /// configuration says ([`EdgeConfig::media_bytes_max`](crate::config::EdgeConfig::media_bytes_max)).
    pub media_bytes_max: Option<u64>,
    /// Streams that nobody needs any more and that are remembered for three seconds all the same, because their viewers
    /// or their publisher may come back; the oldest is forgotten when there are more. Default 1,024.
    pub unused_streams_max: usize,
    /// Time after which a draining shard closes connections that are still open. Default 60 s (spec 14.2).
    pub drain_limit: Duration,
    /// Our own listeners: a stream is never pulled from there.
    pub own: Arc<OwnAddresses>,
    /// Values that tell origins who connects, where the vhost says `debug_srs_upnode on`, see
    /// [`identity`](crate::upstream::identity). Default none.
    pub identity: Option<Object<Value>>,
}

/// Part of a limit of the whole edge that a shard may use by itself at least.
const PART_MIN: usize = 8;

impl EdgeOptions {
    /// The part that one of `shards` has of `limit`.
    pub(super) fn part(limit: usize, shards: u16) -> usize {
        limit.div_ceil(usize::from(shards.max(1))).max(PART_MIN).min(limit)
    }
}

impl Default for EdgeOptions {
    fn default() -> Self {
        Self {
            ask_always: false,
            answer_timeout: Duration::from_secs(120),
            probes_max: 256,
            waiting_pulls_max: 1024,
            waiting_pulls_per_ip_max: 64,
            media_bytes_max: None,
            unused_streams_max: 1024,
            drain_limit: Duration::from_secs(60),
            own: Arc::default(),
            identity: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_have_equal_parts_of_a_limit() {
        for (limit, shards, part) in
            [(1024, 1, 1024), (1024, 2, 512), (10, 3, 8), (64, 32, 8), (3, 2, 3), (0, 2, 0)]
        {
            assert_eq!(EdgeOptions::part(limit, shards), part, "{limit} on {shards}");
        }
    }
}
