//! What the parts of the running server share.

use std::sync::{Arc, RwLock};

use edge_cluster::config::EdgeConfig;
use edge_cluster::edge::Snapshot;
use edge_cluster::tokio::EdgeHandle;
use tokio::sync::mpsc;

use crate::log::Log;
use crate::machine::{EdgeFigures, Machine};
use crate::process::identity::Identity;
use crate::reload::ReloadStatus;

/// The configuration that counts now; reloads replace it.
#[derive(Debug)]
pub(crate) struct Configuration(RwLock<Arc<EdgeConfig>>);

impl Configuration {
    pub(crate) fn new(config: Arc<EdgeConfig>) -> Self {
        Self(RwLock::new(config))
    }

    /// What counts now.
    pub(crate) fn get(&self) -> Arc<EdgeConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Another one counts from now on.
    pub(crate) fn set(&self, config: Arc<EdgeConfig>) {
        *self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner) = config;
    }
}

/// The running server, for everybody who answers questions about it.
pub(crate) struct App {
    pub(crate) log: Log,
    pub(crate) identity: Identity,
    pub(crate) configuration: Arc<Configuration>,
    pub(crate) edge: EdgeHandle,
    pub(crate) machine: Machine,
    pub(crate) reloads: ReloadStatus,
    /// Asks the main loop to reload.
    pub(crate) ask_reload: mpsc::Sender<()>,
}

impl App {
    /// The configuration that counts now.
    pub(crate) fn config(&self) -> Arc<EdgeConfig> {
        self.configuration.get()
    }

    /// What the edge is doing; nothing when it has ended.
    pub(crate) async fn snapshot(&self) -> Snapshot {
        self.edge.snapshot().await.unwrap_or_default()
    }
}

/// What the figures of the machine need to know of the edge.
pub(crate) fn figures(snapshot: &Snapshot) -> EdgeFigures {
    EdgeFigures {
        received_bytes: snapshot.totals.received_bytes,
        sent_bytes: snapshot.totals.sent_bytes,
        connections: snapshot.totals.connections,
    }
}
