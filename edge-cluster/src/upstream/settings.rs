//! What the machines of this module may be told.

use std::sync::Arc;
use std::time::Duration;

use rtmp_core::ConnectionConfig;
use rtmp_core::amf::Object;
use rtmp_core::amf::amf0::Value;

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

/// How long a [`Push`](super::Push) tries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Patience {
    /// A publisher waits: each origin is tried once before it is refused; later it stays while an origin is sought.
    Publisher {
        /// Whether another origin is sought at all (`extension.push_failover`).
        failover: Failover,
        /// Longest time without an origin, summed up until one has served for `settled_after`.
        outage_max: Duration,
    },
    /// Nobody waits: it is tried for ever.
    Endless,
}

/// Whether a push goes on at another origin when it has lost one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failover {
    /// It does.
    On,
    /// The publisher is given up, as SRS does.
    Off,
}

/// How a [`Push`](super::Push) behaves (spec 6.2).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PushSettings {
    /// The origins.
    pub origin: OriginSettings,
    /// For resolving the name and connecting, default 3 s.
    pub connect_timeout: Duration,
    /// For handshake and commands together, default 5 s. An origin that has answered all but `publish` by then is
    /// taken to have accepted: some never answer it.
    pub answer_timeout: Duration,
    /// Waits after each round in which all origins failed, default 1 s; the last one repeats. Each is taken give or
    /// take a fifth.
    pub waits: Vec<Duration>,
    /// How long an origin must have taken media to count as good again, default 10 s.
    pub settled_after: Duration,
    /// How long it tries, default up to 10 s without an origin.
    pub patience: Patience,
    /// What redirects may do.
    pub redirects: RedirectSettings,
}

impl PushSettings {
    /// The documented defaults.
    pub fn new(origin: OriginSettings) -> Self {
        Self {
            origin,
            connect_timeout: Duration::from_secs(3),
            answer_timeout: Duration::from_secs(5),
            waits: vec![Duration::from_secs(1)],
            settled_after: Duration::from_secs(10),
            patience: Patience::Publisher { failover: Failover::On, outage_max: Duration::from_secs(10) },
            redirects: RedirectSettings::default(),
        }
    }
}

/// How a [`Forward`](super::Forward) behaves (spec 9.8).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ForwardSettings {
    /// How to speak to it; its `origins` are not looked at.
    pub origin: OriginSettings,
    /// The server that gets a copy.
    pub destination: HostPort,
    /// For resolving the name and connecting, default 3 s.
    pub connect_timeout: Duration,
    /// Wait before each further attempt, default 3 s, give or take a fifth.
    pub retry: Duration,
}

impl ForwardSettings {
    /// The documented defaults.
    pub fn new(origin: OriginSettings, destination: HostPort) -> Self {
        let three = Duration::from_secs(3);
        // The destination is asked for the client's own vhost, whatever origins are asked for.
        let origin = OriginSettings { vhost: "[vhost]".to_owned(), ..origin };
        Self { origin, destination, connect_timeout: three, retry: three }
    }

    pub(super) fn as_push(&self) -> PushSettings {
        let origins = vec![self.destination.clone()];
        PushSettings {
            connect_timeout: self.connect_timeout,
            waits: vec![self.retry],
            patience: Patience::Endless,
            ..PushSettings::new(OriginSettings { origins, ..self.origin.clone() })
        }
    }
}
