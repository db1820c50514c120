//! Server lists: registering with a directory, and being one (spec 6).
//!
//! [`Registrar`] keeps one server on the list of a directory; [`Directory`] keeps the list. Both live beside a server
//! on the same socket, so they take single connectionless messages ([`Registrar::handle`], [`Directory::handle`]: ids
//! 1004 to 1009 and 1016 to 1018) as well as whole datagrams.
//!
//! ```text
//!        server with Registrar                       Directory                     client
//!   1017 register ───────────────────────────────▶  entry, 33 min
//!        registered  ◀──────────────────────── 1016
//!   1009 every 59 s ◀────────────────────────▶ 1009
//!                                                    list  ◀──────────────── 1007 wants the list
//!        obeys  ◀───────────── 1008 "send to client"       1018, 1006 ──────▶ shows it
//!   1009 ──────────────────────────────────────────────────────────────────▶ ignored; the server's NAT is open
//! ```

mod budget;
mod config;
mod event;
mod file;
mod filter;
mod registrar;
mod registry;

pub use budget::ListBudget;
pub use config::{
    DirectoryCommand, DirectoryConfig, DirectoryLimits, DirectoryOutput, DirectoryStats, OwnEntry,
};
pub use event::{DirectoryEvent, Origin};
pub use file::{FileFault, FileWarning};
pub use filter::{FilterError, ListFilter};
pub use registrar::{
    Registrar, RegistrarCommand, RegistrarConfig, RegistrarInput, RegistrarOutput, RegistrarStats,
    RegistrationStatus,
};
pub use registry::{Directory, Listed};

use std::net::Ipv4Addr;
use std::time::Duration;

/// Both sides keep their NAT open with an empty message this often.
pub const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(59);

/// Whether an address is of a private network as directories count them: 10/8, 127/8, 172.16/12, 192.168/16.
#[must_use]
pub const fn is_local(address: Ipv4Addr) -> bool {
    address.is_private() || address.is_loopback()
}

#[cfg(test)]
mod tests;
