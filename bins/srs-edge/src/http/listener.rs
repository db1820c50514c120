//! Where HTTP listens, and what for.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use edge_cluster::config::{EdgeConfig, Endpoint};
use tokio::net::{TcpListener, TcpSocket};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 512;

/// What a listener is for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Roles {
    pub(crate) api: bool,
    pub(crate) streams: bool,
    pub(crate) metrics: bool,
}

/// A socket and what it is for.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) roles: Roles,
}

impl Listener {
    /// What it is for, and where: `http_api and http_server on 127.0.0.1:8080`.
    pub(crate) fn describe(&self) -> String {
        let place = self.socket.local_addr().map(|addr| addr.to_string()).unwrap_or_default();
        format!("{} on {place}", names(self.roles))
    }
}

/// Listens wherever the configuration says. Must run in the runtime.
pub(crate) fn bind(config: &EdgeConfig) -> Result<Vec<Listener>, String> {
    plan(config)
        .into_iter()
        .map(|(endpoint, roles)| {
            let socket = listen(endpoint)
                .map_err(|error| format!("{}: cannot listen on {endpoint}: {error}", names(roles)))?;
            Ok(Listener { socket, roles })
        })
        .collect()
}

fn plan(config: &EdgeConfig) -> Vec<(Endpoint, Roles)> {
    let mut plan: Vec<(Endpoint, Roles)> = Vec::new();
    let mut add = |on: bool, endpoints: &[Endpoint], mark: fn(&mut Roles)| {
        for endpoint in endpoints.iter().filter(|_| on) {
            if !plan.iter().any(|(known, _)| known == endpoint) {
                plan.push((*endpoint, Roles::default()));
            }
            plan.iter_mut().filter(|(known, _)| known == endpoint).for_each(|(_, roles)| mark(roles));
        }
    };
    add(config.http_api.enabled, &config.http_api.listen, |roles| roles.api = true);
    add(config.http_server.enabled, &config.http_server.listen, |roles| roles.streams = true);
    add(config.exporter.enabled, &config.exporter.listen, |roles| roles.metrics = true);
    plan
}

fn names(roles: Roles) -> String {
    let named = [(roles.api, "http_api"), (roles.streams, "http_server"), (roles.metrics, "exporter")];
    named.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect::<Vec<_>>().join(" and ")
}

fn listen(endpoint: Endpoint) -> std::io::Result<TcpListener> {
    let at = |addr: SocketAddr| {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(addr)?;
        socket.listen(BACKLOG)
    };
    match endpoint.ip {
        Some(ip) => at((ip, endpoint.port).into()),
        None => at((Ipv4Addr::UNSPECIFIED, endpoint.port).into()).or_else(|error| match error.kind() {
            std::io::ErrorKind::AddrInUse | std::io::ErrorKind::PermissionDenied => Err(error),
            // A machine with IPv6 only.
            _ => at((Ipv6Addr::UNSPECIFIED, endpoint.port).into()).map_err(|_| error),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use edge_cluster::config::{LoadOptions, MemorySources, load};

    #[test]
    fn equal_addresses_are_one_listener() {
        let text = "listen 1935; http_api { enabled on; listen 8080; } http_server { enabled on; }
                    exporter { enabled on; }";
        let files = MemorySources::from([("a", text)]);
        let config = load(&files, "a", &LoadOptions::default()).unwrap().config;
        let both = Roles { api: true, streams: true, metrics: false };
        let metrics = Roles { metrics: true, ..Roles::default() };
        let at = |port| Endpoint { ip: None, port };
        assert_eq!(plan(&config), [(at(8080), both), (at(9972), metrics)]);
        assert_eq!(names(both), "http_api and http_server");
    }
}
