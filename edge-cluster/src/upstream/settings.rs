//! What the machines of this module may be told.

use std::sync::Arc;
use std::time::Duration;

use rtmp_core::ConnectionConfig;
use rtmp_core::amf::Object;
use rtmp_core::amf::amf0::Value;

use super::OwnAddresses;
use crate::config::{EdgeConfig, HostPort, VhostConfig};

/// Where the origins of a vhost are and how to speak to them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OriginSettings {
    /// The origins, in the order of the configuration (`cluster.origin`).
    pub origins: Vec<HostPort>,
    /// The vhost to ask for; `[vhost]` stands for the client's (`cluster.vhost`).
    pub vhost: String,
    /// Values that tell origins who connects (`cluster.debug_srs_upnode`), see [`identity`].
    pub identity: Option<Object<Value>>,
    /// Listeners of this server, which are not origins.
    pub own: Arc<OwnAddresses>,
    /// Chunk size, limits and the like. Times and `announce_publish` are set by the machines.
    pub connection: ConnectionConfig,
}

impl OriginSettings {
    /// Speaks to `origins` about the client's own vhost.
    pub fn new(origins: Vec<HostPort>) -> Self {
        Self {
            origins,
            vhost: "[vhost]".to_owned(),
            identity: None,
            own: Arc::new(OwnAddresses::default()),
            connection: ConnectionConfig::default(),
        }
    }

    /// What the configuration says about the origins of `vhost`.
    pub fn of(config: &EdgeConfig, vhost: &VhostConfig, own: Arc<OwnAddresses>) -> Self {
        let mut connection = ConnectionConfig::default();
        connection.chunk_size = vhost.chunk_size;
        if vhost.out_ack_bytes > 0 {
            connection.window = vhost.out_ack_bytes;
        }
        let limits = &mut connection.limits;
        limits.media_bytes_max = config.connections.message_bytes_max.try_into().unwrap_or(u32::MAX);
        limits.chunk_streams_max =
            usize::try_from(config.connections.chunk_streams_max).unwrap_or(usize::MAX);
        limits.partial_bytes_max = limits.partial_bytes_max.max(limits.media_bytes_max as usize);
        Self {
            vhost: vhost.cluster.vhost.clone(),
            own,
            connection,
            ..Self::new(vhost.cluster.origins.clone())
        }
    }
}

/// The values with which an edge tells an origin who it is, as operators know them from the origin's log.
pub fn identity(server: &str, server_id: &str, pid: u32, address: &str) -> Object<Value> {
    Object::new()
        .with("srs_sig", "SRS")
        .with("srs_server", server)
        .with("srs_pid", pid)
        .with("srs_id", server_id)
        .with("srs_server_ip", address)
}

/// How a [`Pull`](super::Pull) behaves (spec 5.3).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PullSettings {
    /// The origins.
    pub origin: OriginSettings,
    /// For resolving the name and connecting, default 5 s.
    pub connect_timeout: Duration,
    /// For handshake and commands together, up to the accepted play, default 5 s.
    pub setup_timeout: Duration,
    /// Longest silence of an origin that has accepted, default 5 s.
    pub silence_timeout: Duration,
    /// Longest time without audio and video while there is a publisher, default 10 s.
    pub media_timeout: Duration,
    /// Waits after each round in which all origins failed, default 3, 5, 10 s; the last one repeats. Each is taken give
    /// or take a fifth.
    pub waits: Vec<Duration>,
    /// How long media must have come for the origin to count as good again, default 10 s.
    pub settled_after: Duration,
    /// Redirects followed in a row, default 3.
    pub redirects_max: usize,
    /// Hosts a redirect may lead to; `None`, the default, allows all.
    pub redirect_hosts: Option<Vec<String>>,
}

impl PullSettings {
    /// The documented defaults.
    pub fn new(origin: OriginSettings) -> Self {
        Self {
            origin,
            connect_timeout: Duration::from_secs(5),
            setup_timeout: Duration::from_secs(5),
            silence_timeout: Duration::from_secs(5),
            media_timeout: Duration::from_secs(10),
            waits: [3, 5, 10].map(Duration::from_secs).to_vec(),
            settled_after: Duration::from_secs(10),
            redirects_max: 3,
            redirect_hosts: None,
        }
    }
}
