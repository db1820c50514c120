//! Listeners: opened at the start, changed by reloads.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use super::error::ServeError;
use super::handle::Shared;
use crate::config::EdgeConfig;
use crate::upstream::OwnAddresses;

/// Connections that wait to be accepted (spec 4.1).
const BACKLOG: i32 = 512;
/// Wait after an error, such as no descriptor left: others may be closed meanwhile.
const ERROR_WAIT: Duration = Duration::from_millis(100);

/// Whether reloads change where we listen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Follows {
    Configuration,
    Nothing,
}

/// Open listeners that nobody accepts from yet.
#[derive(Debug)]
pub(super) struct Acceptor {
    pub(super) follows: Follows,
    pub(super) listeners: Vec<(SocketAddr, std::net::TcpListener)>,
    pub(super) gate: crate::admission::Gate,
}

impl Acceptor {
    pub(super) fn bind(
        addrs: &[SocketAddr],
        follows: Follows,
        config: &EdgeConfig,
    ) -> Result<Self, ServeError> {
        let listeners = addrs.iter().map(|addr| listen(*addr, addrs)).collect::<Result<_, _>>()?;
        Ok(Self { follows, listeners, gate: crate::admission::Gate::of(config) })
    }

    /// Where we must not pull from.
    pub(super) fn own_addresses(&self) -> OwnAddresses {
        OwnAddresses::new(self.listeners.iter().filter_map(|(_, listener)| listener.local_addr().ok()), [])
    }
}

/// Where the configuration says to listen.
pub(super) fn endpoints(config: &EdgeConfig) -> Vec<SocketAddr> {
    let any = || match has_v4() {
        true => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        false => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    config
        .listen
        .iter()
        .map(|endpoint| SocketAddr::new(endpoint.ip.unwrap_or_else(any), endpoint.port))
        .collect()
}

fn has_v4() -> bool {
    std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).is_ok()
}

/// Opens one listener of `all` and remembers what was asked for: port 0 becomes another one.
pub(super) fn listen(
    addr: SocketAddr,
    all: &[SocketAddr],
) -> Result<(SocketAddr, std::net::TcpListener), ServeError> {
    let open = || -> io::Result<std::net::TcpListener> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if addr.is_ipv6() && all.iter().any(|other| other.is_ipv4() && other.port() == addr.port()) {
            // Both families have a listener of their own.
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&addr.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    open().map(|listener| (addr, listener)).map_err(|error| ServeError::Bind { addr, error })
}

/// Accepts until the task is aborted.
pub(super) async fn accept(shared: Arc<Shared>, listener: std::net::TcpListener) {
    let Ok(addr) = listener.local_addr() else { return };
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return shared.handler.on_accept_error(addr, &error),
    };
    loop {
        let accepted = match listener.accept().await {
            Ok((socket, peer)) => socket.into_std().map(|socket| (socket, peer)),
            Err(error) => Err(error),
        };
        match accepted {
            Ok((socket, peer)) => shared.admit(socket, peer),
            // The peer was gone before we came.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                shared.handler.on_accept_error(addr, &error);
                tokio::time::sleep(ERROR_WAIT).await;
            }
        }
    }
}

impl Shared {
    /// Lets a connection in and hands it to the shard that has the fewest.
    fn admit(&self, socket: std::net::TcpStream, peer: SocketAddr) {
        if let Err(why) = self.gate().admit(peer.ip()) {
            return self.handler.on_turned_away(peer, why);
        }
        let Some(shard) = self.least_loaded() else { return };
        let ticket = shard.ticket(&self.door, peer);
        // Replies are small and the client waits for each.
        let _ = socket.set_nodelay(true);
        let conn = self.next_conn();
        let _ = shard.orders.send(super::order::Order::Accept { conn, socket, peer, ticket });
    }

    pub(super) fn least_loaded(&self) -> Option<&super::handle::ShardLink> {
        self.shards.iter().min_by_key(|shard| shard.load.load(Ordering::Relaxed))
    }
}
