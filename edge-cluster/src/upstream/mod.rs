//! Connections of an edge to its origins, as state machines without I/O.
//!
//! | machine | for |
//! |---|---|
//! | [`Pull`] | receives a stream for the players of this server, from whichever origin has it |
//!
//! Each owns at most one connection at a time, and says what it wants as [`UpstreamOutput`]: the owner opens and closes
//! sockets, resolves names, and reports what happened as [`UpstreamInput`] under the number of the attempt.
//!
//! # Trust
//!
//! Origins are configured, but they are peers: every bound of [`rtmp_core::Limits`] holds for them, redirects are
//! followed only so far, and an origin that says nothing is left.

mod chance;
mod error;
mod io;
mod line;
mod origins;
mod own;
mod pull;
mod redirect;
mod settings;
mod stream;

pub use error::{AttemptError, ConnectFailure};
pub use io::{UpstreamInput, UpstreamOutput};
pub use origins::Origins;
pub use own::OwnAddresses;
pub use pull::{Pull, PullEvent, PullPhase, PullStatus, SourceEnd};
pub use settings::{OriginSettings, PullSettings, identity};
pub use stream::UpstreamStream;
