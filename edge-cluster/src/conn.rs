//! Names of connections and shards.

use std::fmt;

/// One core's share of an edge, from 0.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ShardId(pub u16);

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One connection of the process. Connections that somebody opened to us get their number from whoever accepts them,
/// those to upstream servers from the shard that wants them; no number is used twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnId(u64);

impl ConnId {
    /// Set in the numbers of connections that a shard opens.
    const OUTBOUND: u64 = 1 << 63;
    const SHARD_SHIFT: u32 = 47;

    /// A connection that was accepted: `number` counts them, below 2^63.
    pub const fn inbound(number: u64) -> Self {
        Self(number & !Self::OUTBOUND)
    }

    /// The connection number `number`, below 2^47, that `shard` opens.
    pub const fn outbound(shard: ShardId, number: u64) -> Self {
        let number = number & ((1 << Self::SHARD_SHIFT) - 1);
        Self(Self::OUTBOUND | ((shard.0 as u64) << Self::SHARD_SHIFT) | number)
    }

    /// Whether we opened it.
    pub const fn is_outbound(self) -> bool {
        self.0 & Self::OUTBOUND != 0
    }

    /// The plain number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_outbound() {
            true => write!(f, "up-{:x}", self.0 & !Self::OUTBOUND),
            false => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_both_directions_and_of_all_shards_differ() {
        let ids = [
            ConnId::inbound(1),
            ConnId::inbound(u64::MAX),
            ConnId::outbound(ShardId(0), 1),
            ConnId::outbound(ShardId(1), 1),
            ConnId::outbound(ShardId(u16::MAX), u64::MAX),
        ];
        let mut sorted = ids.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), ids.len());
        assert_eq!(ids.map(ConnId::is_outbound), [false, false, true, true, true]);
    }
}
