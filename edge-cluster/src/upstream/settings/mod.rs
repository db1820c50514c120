//! What the machines of this module may be told.

mod push;

use std::sync::Arc;
use std::time::Duration;

use rtmp_core::ConnectionConfig;
use rtmp_core::amf::Object;
use rtmp_core::amf::amf0::Value;

pub use push::{Failover, ForwardSettings, Patience, PushSettings};

use super::OwnAddresses;
use super::redirect::Rules;
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

    /// What the configuration says about the origins of `vhost`. Where `cluster.identify` is set, the owner adds the
    /// [`identity`]: it knows the process.
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

/// The values with which an edge tells an origin who it is, as operators know them from the origin's log. `server` is a name
/// and a version, `srs-edge/1.2.3`.
pub fn identity(server: &str, server_id: &str, pid: u32, address: &str) -> Object<Value> {
    let version = server.split_once('/').map_or(server, |(_, version)| version);
    Object::new()
        .with("srs_sig", "SRS")
        .with("srs_server", server)
        .with("srs_version", version)
        .with("srs_pid", pid)
        .with("srs_id", server_id)
        .with("srs_server_ip", address)
}

/// What servers may do that send us elsewhere.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RedirectSettings {
    /// Redirects followed in a row, default 3.
    pub depth_max: usize,
    /// Hosts they may lead to; `None`, the default, allows all.
    pub hosts: Option<Vec<String>>,
}

impl Default for RedirectSettings {
    fn default() -> Self {
        Self { depth_max: 3, hosts: None }
    }
}

impl RedirectSettings {
    pub(super) fn rules<'a>(&'a self, own: &'a OwnAddresses) -> Rules<'a> {
        Rules { redirects: self, own }
    }
}

/// How a [`Pull`](crate::upstream::Pull) behaves (spec 5.3).
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
    /// What redirects may do.
    pub redirects: RedirectSettings,
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
            redirects: RedirectSettings::default(),
        }
    }
}

/// How a [`Probe`](crate::upstream::Probe) behaves (spec 7).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProbeSettings {
    /// The origins, asked in this order.
    pub origin: OriginSettings,
    /// For resolving the name and connecting to one origin, default 3 s.
    pub connect_timeout: Duration,
    /// For all of it, default 5 s.
    pub total_timeout: Duration,
}

impl ProbeSettings {
    /// The documented defaults.
    pub fn new(origin: OriginSettings) -> Self {
        Self { origin, connect_timeout: Duration::from_secs(3), total_timeout: Duration::from_secs(5) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadOptions, MemorySources, load};

    #[test]
    fn settings_follow_the_configuration() {
        let text = "listen 1935;
            extension { max_message_bytes 1m; max_csids 9; }
            vhost v {
                chunk_size 4096; out_ack_size 100000;
                cluster { mode remote; origin a b:19350; vhost o.[vhost]; }
                extension { push_failover off; }
            }";
        let loaded =
            load(&MemorySources::from([("a.conf", text)]), "a.conf", &LoadOptions::default()).unwrap();
        let vhost = loaded.config.vhost("v").unwrap();
        let own = Arc::new(OwnAddresses::default());
        let settings = OriginSettings::of(&loaded.config, vhost, own);
        assert_eq!(
            settings.origins.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["a:1935", "b:19350"]
        );
        assert_eq!(settings.vhost, "o.[vhost]");
        let connection = &settings.connection;
        assert_eq!((connection.chunk_size, connection.window), (4096, 100_000));
        assert_eq!((connection.limits.media_bytes_max, connection.limits.chunk_streams_max), (1 << 20, 9));
        let push = PushSettings::of(vhost, settings);
        assert!(matches!(push.patience, Patience::Publisher { failover: Failover::Off, .. }));
    }
}
