//! Networks an owner has banned at run time.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::IpNetwork;

/// Banned networks, each until some time or until it is taken back. A copy is only a pointer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bans(Arc<[(IpNetwork, Option<Instant>)]>);

impl Bans {
    /// Whether an address may not come now.
    pub(crate) fn contain(&self, now: Instant, ip: IpAddr) -> bool {
        self.0.iter().any(|(network, until)| until.is_none_or(|until| now < until) && network.contains(ip))
    }

    /// Adds a ban, or changes how long it lasts; `false` if there are too many, and nothing has changed then.
    pub(crate) fn add(
        &mut self,
        now: Instant,
        network: IpNetwork,
        until: Option<Instant>,
        bans_max: usize,
    ) -> bool {
        let lasts =
            |ban: &&(IpNetwork, Option<Instant>)| ban.0 != network && ban.1.is_none_or(|until| now < until);
        let mut bans: Vec<_> = self.0.iter().filter(lasts).copied().collect();
        if bans.len() >= bans_max {
            return false;
        }
        bans.push((network, until));
        self.0 = bans.into();
        true
    }

    /// Takes a ban back.
    pub(crate) fn remove(&mut self, network: IpNetwork) {
        self.0 = self.0.iter().filter(|ban| ban.0 != network).copied().collect();
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.0)
    }

    /// The most [`Bans::memory_bytes`] can be.
    pub(crate) const fn memory_bytes_max(bans_max: usize) -> usize {
        bans_max * size_of::<(IpNetwork, Option<Instant>)>()
    }
}
