//! What goes into and comes out of a directory.

use super::budget::ListBudget;
use super::event::DirectoryEvent;
use super::filter::ListFilter;
use crate::Transmit;
use crate::message::{City, ServerName};
use crate::tables::Country;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

/// What a [`Directory`](super::Directory) needs to know.
#[derive(Clone, Debug, Default)]
pub struct DirectoryConfig {
    /// The first line of the list: the directory's own server.
    pub own: OwnEntry,
    /// The directory's address on the Internet, if it is behind a router and serves its own network as well
    /// (`--serverpublicip`): servers outside are told to open their NAT for that address when a local client asks.
    pub public_address: Option<Ipv4Addr>,
    /// Who may register.
    pub filter: ListFilter,
    /// Upper bounds.
    pub limits: DirectoryLimits,
}

/// A directory's line about itself; clients replace its address by the one the list came from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OwnEntry {
    /// Its name.
    pub name: ServerName,
    /// Where it is.
    pub city: City,
    /// Its country.
    pub country: Country,
    /// How many channels it has.
    pub clients_max: u8,
}

/// Upper bounds of a directory. Every field is enforced and counted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DirectoryLimits {
    /// Entries with the directory's own. Default 150, as shipped directories.
    pub entries_max: usize,
    /// Entries from one address; beyond, servers there are told that the list is full. Default 50.
    ///
    /// A registration needs no proof, so without it a single forged source could fill the list. What those receive in
    /// whose name servers are registered is bounded by [`ListBudget::punches_per_s`].
    pub entries_per_address_max: usize,
    /// An entry lives for this time after its last registration. Default 33 min.
    pub entry_life: Duration,
    /// What may be sent to those who ask for the list.
    pub budget: ListBudget,
    /// Outputs kept for an owner that does not drain them; what exceeds it is dropped. Default 4,096.
    pub outputs_max: usize,
}

impl Default for DirectoryLimits {
    fn default() -> Self {
        Self {
            entries_max: 150,
            entries_per_address_max: 50,
            entry_life: Duration::from_secs(33 * 60),
            budget: ListBudget::default(),
            outputs_max: 4_096,
        }
    }
}

/// What the owner wants from a [`Directory`](super::Directory).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum DirectoryCommand {
    /// The directory's own server is described otherwise from now on.
    Describe(OwnEntry),
    /// Other demands on servers from now on; who is listed stays until it registers again.
    Filter(ListFilter),
    /// Takes a server off the list.
    Remove(SocketAddrV4),
}

/// What a [`Directory`](super::Directory) wants from its owner.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DirectoryOutput {
    /// Send this from the directory's socket.
    Transmit(Transmit),
    /// Something for the log.
    Event(DirectoryEvent),
}

/// What a [`Directory`](super::Directory) has counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct DirectoryStats {
    /// Servers on the list, without the directory itself.
    pub entries: usize,
    /// Registrations received.
    pub registrations_received: u64,
    /// Registrations refused, for whatever reason.
    pub registrations_refused: u64,
    /// Entries that were not renewed in time.
    pub entries_expired: u64,
    /// Requests for the list.
    pub list_requests: u64,
    /// Requests answered with both lists.
    pub lists_sent: u64,
    /// Requests left unanswered because their source had its share.
    pub lists_refused_source: u64,
    /// Requests left unanswered because all together had their share.
    pub lists_refused_total: u64,
    /// Hole punches asked of servers.
    pub punches_requested: u64,
    /// Hole punches not asked for because the server's address had its share.
    pub punches_limited: u64,
    /// Messages from IPv6 sources: directories speak IPv4 only.
    pub messages_ipv6: u64,
    /// Outputs dropped because the owner did not drain them.
    pub outputs_dropped: u64,
}
