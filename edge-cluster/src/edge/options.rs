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
    /// Probes of origins (token traverse) in flight at most, per shard. Default 256 (spec 7).
    pub probes_max: usize,
    /// Pulls that never had media, at most, per shard. Default 1,024 (spec 5.3).
    pub waiting_pulls_max: usize,
    /// The same for one client address. Default 64.
    pub waiting_pulls_per_ip_max: usize,
    /// Time after which a draining shard closes connections that are still open. Default 60 s (spec 14.2).
    pub drain_limit: Duration,
    /// Our own listeners: a stream is never pulled from there.
    pub own: Arc<OwnAddresses>,
    /// Values that tell origins who connects, where the vhost says `debug_srs_upnode on`, see
    /// [`identity`](crate::upstream::identity). Default none.
    pub identity: Option<Object<Value>>,
}

impl Default for EdgeOptions {
    fn default() -> Self {
        Self {
            ask_always: false,
            answer_timeout: Duration::from_secs(120),
            probes_max: 256,
            waiting_pulls_max: 1024,
            waiting_pulls_per_ip_max: 64,
            drain_limit: Duration::from_secs(60),
            own: Arc::default(),
            identity: None,
        }
    }
}
