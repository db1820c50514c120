//! The vhosts of the running configuration, ready for use by connections.

use std::ops::Deref;
use std::sync::Arc;

use rtmp_core::ConnectionConfig;

use super::ids::vid;
use crate::config::{DEFAULT_VHOST, EdgeConfig, VhostConfig};

/// A vhost as its clients and streams hold it: they keep it when a reload removes it.
#[derive(Debug)]
pub(super) struct Vhost {
    pub(super) name: Arc<str>,
    /// `vid-` and seven characters.
    pub(super) id: Arc<str>,
    config: VhostConfig,
    /// How to talk to its clients.
    pub(super) connection: Arc<ConnectionConfig>,
}

impl Deref for Vhost {
    type Target = VhostConfig;

    fn deref(&self) -> &VhostConfig {
        &self.config
    }
}

impl Vhost {
    /// How to talk to clients that get segments with this chunk size.
    pub(super) fn with_chunk_size(&self, chunk_size: u32) -> Arc<ConnectionConfig> {
        if self.connection.chunk_size == chunk_size {
            return Arc::clone(&self.connection);
        }
        let mut connection = ConnectionConfig::clone(&self.connection);
        connection.chunk_size = chunk_size;
        Arc::new(connection)
    }
}

/// All vhosts, in the order of the configuration.
#[derive(Debug, Default)]
pub(super) struct Vhosts(Vec<Arc<Vhost>>);

impl Vhosts {
    pub(super) fn new(config: &EdgeConfig, seed: u64) -> Self {
        let vhost = |vhost: &VhostConfig| {
            Arc::new(Vhost {
                name: vhost.name.as_str().into(),
                id: vid(seed, vhost.name.as_bytes()),
                config: vhost.clone(),
                connection: Arc::new(connection_config(config, Some(vhost))),
            })
        };
        Self(config.vhosts.iter().map(vhost).collect())
    }

    /// The vhost that serves `host`, as [`EdgeConfig::vhost`] finds it.
    pub(super) fn find(&self, host: &str) -> Option<&Arc<Vhost>> {
        self.named(host).or_else(|| self.named(DEFAULT_VHOST)).filter(|vhost| vhost.enabled)
    }

    /// The vhost with exactly this name, enabled or not.
    pub(super) fn named(&self, name: &str) -> Option<&Arc<Vhost>> {
        self.0.iter().find(|vhost| *vhost.name == *name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Vhost>> {
        self.0.iter()
    }
}

/// How to talk to clients: of `vhost`, or before it is known.
pub(super) fn connection_config(config: &EdgeConfig, vhost: Option<&VhostConfig>) -> ConnectionConfig {
    let mut connection = ConnectionConfig::default();
    let limits = &mut connection.limits;
    limits.media_bytes_max = u32::try_from(config.connections.message_bytes_max).unwrap_or(u32::MAX);
    limits.partial_bytes_max = limits.partial_bytes_max.max(limits.media_bytes_max as usize);
    limits.chunk_streams_max = config.connections.chunk_streams_max as usize;
    limits.chunk_streams_idle_max = limits.chunk_streams_idle_max.min(limits.chunk_streams_max);
    connection.timeouts.handshake = config.connections.handshake_timeout;
    connection.timeouts.ping = config.connections.keepalive;
    connection.timeouts.paused = config.connections.pause_timeout;
    connection.chunk_size = config.chunk_size;
    if let Some(vhost) = vhost {
        connection.chunk_size = vhost.chunk_size;
        connection.window = vhost.out_ack_bytes;
        connection.peer_window = vhost.in_ack_bytes;
        connection.timeouts.first_media = Some(vhost.publish.first_message_timeout);
        connection.timeouts.media = Some(vhost.publish.silence_timeout);
    }
    connection
}
