//! The driver: runs the shards of an edge on real sockets, with an async face.
//!
//! ```text
//!   your async program            acceptor (your runtime)       shards (an OS thread each)
//!   ──────────────────            ───────────────────────       ────────────────────────────
//!   Edge::run_until ────────────▶ listeners ─ Gate ─ least ───▶ edge::Edge ◀──▶ sockets
//!   EdgeHandle::snapshot, kick, reload, drain, open_flv ──────▶     │  └──▶ the other shards
//!   Handler::on_event, on_question ◀────────────────────────────────┘
//! ```
//!
//! A shard runs on a runtime of its own with a single thread. Whatever is ready for a viewer is written to its socket
//! in the same loop that received it; the task of a connection only reads, and waits where a socket takes no more. So
//! one burst of a publisher costs one system call per viewer and no wake-up. Viewers that keep up are asked for in groups
//! first and written to then. Who has more than 32 KiB to get gets the rest in turns with the others; a newcomer gets its
//! first picture, and the rest of its GOP in turns that wait, 20 ms at most, while others are on the way to theirs.

mod acceptor;
mod connect;
mod error;
mod flv;
mod handle;
mod handler;
mod link;
mod order;
mod shard;
mod turns;
mod writers;

use std::future::Future;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use tokio::net::ToSocketAddrs;

pub use error::{FlvError, ReloadFailure, ServeError};
pub use flv::FlvBody;
pub use handle::EdgeHandle;
pub use handler::{Answer, Handler};

use crate::config::EdgeConfig;
use crate::edge::EdgeOptions;
use acceptor::Acceptor;
use handler::Silent;

/// An edge that listens. [`run_until`](Self::run_until) serves.
///
/// ```no_run
/// use edge_cluster::config::EdgeConfig;
/// use edge_cluster::tokio::{Edge, ServeError};
///
/// # async fn relay() -> Result<(), ServeError> {
/// let config = EdgeConfig::builder().origin("origin.example:1935").build()?;
/// Edge::bind("[::]:1935", config).await?.run_until(tokio::signal::ctrl_c()).await
/// # }
/// ```
#[derive(Debug)]
pub struct Edge {
    handle: EdgeHandle,
}

/// Settings of the driver; [`Edge::builder`] starts one.
#[derive(Clone)]
#[must_use]
pub struct Builder {
    config: Arc<EdgeConfig>,
    options: EdgeOptions,
    handler: Arc<dyn Handler>,
    shards: Option<NonZeroU16>,
    seed: Option<u64>,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("options", &self.options)
            .field("shards", &self.shards)
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// Limits and switches of the machine. Default [`EdgeOptions::default`].
    pub fn options(self, options: EdgeOptions) -> Self {
        Self { options, ..self }
    }

    /// Who hears of events and answers questions. Default: nobody, and where the configuration has hooks its clients
    /// are refused.
    pub fn handler(self, handler: Arc<dyn Handler>) -> Self {
        Self { handler, ..self }
    }

    /// How many shards there are, one thread each. Default: as many as the machine has cores.
    pub fn shards(self, shards: NonZeroU16) -> Self {
        Self { shards: Some(shards), ..self }
    }

    /// The seed of names and handshakes. Default: from the operating system.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed: Some(seed), ..self }
    }

    /// Listens where the configuration says; a reload may change that.
    ///
    /// # Errors
    ///
    /// [`ServeError::Bind`] when an address cannot be listened on, [`ServeError::Start`] without threads.
    pub async fn bind(self) -> Result<Edge, ServeError> {
        let endpoints = acceptor::endpoints(&self.config);
        self.start(endpoints, acceptor::Follows::Configuration).await
    }

    /// Listens at `addrs`, whatever the configuration says.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind), and [`ServeError::Lookup`] when a name has no address.
    pub async fn bind_to(self, addrs: impl ToSocketAddrs) -> Result<Edge, ServeError> {
        let addrs: Vec<SocketAddr> =
            tokio::net::lookup_host(addrs).await.map_err(ServeError::Lookup)?.collect();
        self.start(addrs, acceptor::Follows::Nothing).await
    }

    async fn start(self, addrs: Vec<SocketAddr>, follows: acceptor::Follows) -> Result<Edge, ServeError> {
        let shards = self.shards.unwrap_or_else(|| {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            NonZeroU16::new(u16::try_from(cores).unwrap_or(u16::MAX)).unwrap_or(NonZeroU16::MIN)
        });
        let seed = self.seed.unwrap_or_else(random_seed);
        let acceptor = Acceptor::bind(&addrs, follows, &self.config)?;
        let mut options = self.options;
        options.own = Arc::new(acceptor.own_addresses());
        let handle = EdgeHandle::start(acceptor, self.config, options, self.handler, shards, seed)?;
        Ok(Edge { handle })
    }
}

impl Edge {
    /// Listens at `addrs` with the default settings. Listeners of the configuration do not count.
    ///
    /// # Errors
    ///
    /// As [`Builder::bind_to`].
    pub async fn bind(
        addrs: impl ToSocketAddrs,
        config: impl Into<Arc<EdgeConfig>>,
    ) -> Result<Self, ServeError> {
        Self::builder(config).bind_to(addrs).await
    }

    /// Begins to choose settings.
    pub fn builder(config: impl Into<Arc<EdgeConfig>>) -> Builder {
        Builder {
            config: config.into(),
            options: EdgeOptions::default(),
            handler: Arc::new(Silent),
            shards: None,
            seed: None,
        }
    }

    /// Where it listens: the port is known even where 0 was asked for.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.handle.local_addrs()
    }

    /// A handle to look at the edge and to steer it, while it runs and from anywhere.
    pub fn handle(&self) -> EdgeHandle {
        self.handle.clone()
    }

    /// Serves until `until` is done, which stops everything at once, or until a [drain](EdgeHandle::drain) has ended.
    ///
    /// # Errors
    ///
    /// [`ServeError::Ended`] when a shard has stopped by itself, which is a defect of this crate.
    pub async fn run_until<F: Future>(self, until: F) -> Result<(), ServeError> {
        self.handle.run(until).await
    }
}

/// A seed from the operating system: the keys of a fresh hash map are random.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
