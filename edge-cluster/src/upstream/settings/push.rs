//! What the machines that publish may be told.

use std::time::Duration;

use super::{OriginSettings, RedirectSettings};
use crate::config::{HostPort, VhostConfig};

/// How long a [`Push`](crate::upstream::Push) tries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Patience {
    /// A publisher waits: each origin is tried once before it is refused; later it stays while an origin is sought.
    Publisher {
        /// Whether another origin is sought at all (`extension.push_failover`).
        failover: Failover,
        /// Longest time without an origin, summed up less the time with one, until one has served for `settled_after`.
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

/// How a [`Push`](crate::upstream::Push) behaves (spec 6.2).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PushSettings {
    /// The origins. The chunk size of [`connection`](OriginSettings::connection) has to be the one that the stream's
    /// shared segments are cut with.
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
    /// What the configuration says about pushes of `vhost`.
    pub fn of(vhost: &VhostConfig, origin: OriginSettings) -> Self {
        let failover = if vhost.extension.push_failover { Failover::On } else { Failover::Off };
        let outage_max = Duration::from_secs(10);
        Self { patience: Patience::Publisher { failover, outage_max }, ..Self::new(origin) }
    }

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

/// How a [`Forward`](crate::upstream::Forward) behaves (spec 9.8).
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

    pub(in crate::upstream) fn as_push(&self) -> PushSettings {
        let origins = vec![self.destination.clone()];
        PushSettings {
            connect_timeout: self.connect_timeout,
            waits: vec![self.retry],
            patience: Patience::Endless,
            ..PushSettings::new(OriginSettings { origins, ..self.origin.clone() })
        }
    }
}
