//! Connections of an edge to its origins, as state machines without I/O.
//!
//! | machine | for |
//! |---|---|
//! | [`Pull`] | receives a stream for the players of this server, from whichever origin has it |
//! | [`Push`] | sends a stream of a publisher on this server to an origin, and to another one when that is lost |
//! | [`Forward`] | sends a copy of a stream to a fixed server |
//! | [`Probe`] | asks an origin whether it would take a client (token traverse) |
//!
//! Each owns at most one connection at a time, and says what it wants as [`UpstreamOutput`]: the owner opens and closes
//! sockets, resolves names, and reports what happened as [`UpstreamInput`] under the number of the attempt.
//!
//! # Trust
//!
//! Origins are configured, but they are peers: every bound of [`rtmp_core::Limits`] holds for them, redirects are
//! followed only so far, and an origin that says nothing is left.

mod caller;
mod chance;
mod error;
mod forward;
mod io;
mod line;
mod origins;
mod own;
mod probe;
mod pull;
mod push;
mod redirect;
mod settings;
mod stream;

pub use error::{AttemptError, ConnectFailure};
pub use forward::Forward;
pub use io::{UpstreamInput, UpstreamOutput};
pub use origins::Origins;
pub use own::OwnAddresses;
pub use probe::{Probe, ProbeClient, ProbeEvent, ProbeRefusal};
pub use pull::{Pull, PullEvent, PullPhase, PullStatus, SourceEnd};
pub use push::{Push, PushEvent, PushPhase, PushStatus};
pub use settings::{
    Failover, ForwardSettings, OriginSettings, Patience, ProbeSettings, PullSettings, PushSettings,
    RedirectSettings, identity,
};
pub use stream::UpstreamStream;
