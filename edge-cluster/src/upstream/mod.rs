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
//! # Driving a machine
//!
//! ```
//! use std::{sync::Arc, time::Instant};
//! use edge_cluster::upstream::{
//!     OriginSettings, Pull, PullEvent, PullSettings, UpstreamInput, UpstreamOutput, UpstreamStream,
//! };
//! use rtmp_core::{ConnectionConfig, Progress, ServerConnection, ServerEvent};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # #[allow(clippy::disallowed_methods)]
//! let now = Instant::now();
//! let origins = vec!["origin-1.example".parse()?, "origin-2.example".parse()?];
//! let settings = Arc::new(PullSettings::new(OriginSettings::new(origins)));
//! let mut pull = Pull::new(settings, UpstreamStream::new("v.example", "live", "show"), 7, now);
//!
//! // The first origin, without a network. A driver keeps a socket here.
//! let mut origin = ServerConnection::new(Arc::new(ConnectionConfig::default()), 1, now);
//! let mut running = 0;
//! let mut accepted = false;
//! while !accepted {
//!     while let Some(output) = pull.poll_output() {
//!         match output {
//!             UpstreamOutput::Connect { attempt, target, .. } => {
//!                 assert_eq!(target.to_string(), "origin-1.example:1935");
//!                 running = attempt;
//!             }
//!             UpstreamOutput::Event(PullEvent::Accepted) => accepted = true,
//!             _ => {}
//!         }
//!     }
//!     let _ = pull.handle_input(now, running, UpstreamInput::Connected); // news only once
//!     let mut to_origin = pull.private().split();
//!     while origin.handle_input(now, &mut to_origin)? != Progress::NeedBytes {
//!         while let Some(event) = origin.poll_event() {
//!             match event {
//!                 ServerEvent::ConnectRequested { request, .. } => origin.accept(now, request)?,
//!                 ServerEvent::PlayRequested { request, name, .. } => {
//!                     assert_eq!(&*name, "show");
//!                     origin.accept(now, request)?;
//!                 }
//!                 _ => {}
//!             }
//!         }
//!     }
//!     let mut from_origin = origin.outgoing().split();
//!     while pull.handle_input(now, running, UpstreamInput::Received(&mut from_origin)) != Progress::NeedBytes {}
//! }
//! assert_eq!(pull.status().target.map(|origin| origin.host), Some("origin-1.example".to_owned()));
//! # Ok(())
//! # }
//! ```
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
pub use push::{Push, PushEnd, PushEvent, PushPhase, PushStatus};
pub use settings::{
    Failover, ForwardSettings, OriginSettings, Patience, ProbeSettings, PullSettings, PushSettings,
    RedirectSettings, identity,
};
pub use stream::UpstreamStream;
