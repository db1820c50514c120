//! Names of streams.

use std::fmt;
use std::sync::Arc;

use crate::conn::ShardId;

/// What identifies a stream on this server (spec 3): the vhost whose block serves it, the app, and the name without a
/// media extension.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StreamKey {
    /// Name of the vhost block.
    pub vhost: Arc<str>,
    /// The app; may hold `/`.
    pub app: Arc<str>,
    /// The stream.
    pub stream: Arc<str>,
}

impl StreamKey {
    /// A key from its parts.
    pub fn new(vhost: impl Into<Arc<str>>, app: impl Into<Arc<str>>, stream: impl Into<Arc<str>>) -> Self {
        Self { vhost: vhost.into(), app: app.into(), stream: stream.into() }
    }

    /// A number that depends on nothing but the names: the same in every process.
    pub fn stable_hash(&self) -> u64 {
        // FNV-1a with a separator no name has, then a finaliser because its low bits mix badly.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for part in [&self.vhost, &self.app, &self.stream] {
            for byte in part.bytes().chain([0xff]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        hash ^= hash >> 32;
        hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^ (hash >> 29)
    }

    /// The shard, of `shards` (at least 1), that owns the source of the stream.
    pub fn home(&self, shards: u16) -> ShardId {
        ShardId((self.stable_hash() % u64::from(shards.max(1))) as u16)
    }
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.vhost, self.app, self.stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_spread_over_shards() {
        let mut counts = [0_u32; 8];
        for number in 0..8000 {
            let key = StreamKey::new("__defaultVhost__", "live", format!("camera{number}"));
            counts[usize::from(key.home(8).0)] += 1;
        }
        assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let (a, b) = (StreamKey::new("v", "ab", "c"), StreamKey::new("v", "a", "bc"));
        assert_ne!(a.stable_hash(), b.stable_hash());
        assert_eq!(a.home(0), ShardId(0));
    }
}
