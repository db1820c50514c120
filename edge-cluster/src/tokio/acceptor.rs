//! Listeners: opened at the start, changed by reloads.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::error::ServeError;
use super::handle::Shared;
use crate::config::EdgeConfig;
use crate::upstream::OwnAddresses;

/// Connections that wait to be accepted (spec 4.1).
const BACKLOG: i32 = 512;
/// Time between two probes for a peer that has been silent.
const PROBE_EVERY: Duration = Duration::from_secs(10);
/// So many without an answer end the connection.
const PROBES: u32 = 3;
/// Wait after an error, such as no descriptor left: others may be closed meanwhile.
const ERROR_WAIT: Duration = Duration::from_millis(100);
/// An error that lasts is told so often.
const ERROR_TOLD_EVERY: Duration = Duration::from_secs(10);

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
    let mut told = Told::default();
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
                if told.is_news(Instant::now(), &error) {
                    shared.handler.on_accept_error(addr, &error);
                }
                tokio::time::sleep(ERROR_WAIT).await;
            }
        }
    }
}

/// Which error was told last, and when.
#[derive(Debug, Default)]
struct Told(Option<(Option<i32>, Instant)>);

impl Told {
    /// Whether the owner has not heard of this kind of error for a while. Without descriptors every try fails, and one
    /// that succeeds in between, because somebody has just left, changes nothing.
    fn is_news(&mut self, now: Instant, error: &io::Error) -> bool {
        let kind = error.raw_os_error();
        let known = self.0.is_some_and(|(told, at)| told == kind && now < at + ERROR_TOLD_EVERY);
        if !known {
            self.0 = Some((kind, now));
        }
        !known
    }
}

/// Lets the system notice a peer that has gone without a word, once nothing has come from it for so long.
fn watch(socket: &std::net::TcpStream, keepalive: Option<Duration>) {
    let Some(silence) = keepalive else { return };
    let probes = TcpKeepalive::new()
        // Systems count whole seconds.
        .with_time(silence.max(Duration::from_secs(1)))
        .with_interval(PROBE_EVERY)
        .with_retries(PROBES);
    let _ = SockRef::from(socket).set_tcp_keepalive(&probes);
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
        watch(&socket, self.config().connections.keepalive);
        let conn = self.next_conn();
        let _ = shard.orders.send(super::order::Order::Accept { conn, socket, peer, ticket });
    }

    pub(super) fn least_loaded(&self) -> Option<&super::handle::ShardLink> {
        self.shards.iter().min_by_key(|shard| shard.load.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_peer_is_probed_where_that_is_wanted() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
        let addr = listener.local_addr().expect("an address");
        for (keepalive, expected) in [
            (None, None),
            (Some(Duration::from_millis(90_500)), Some(90)),
            (Some(Duration::from_millis(5)), Some(1)),
        ] {
            let socket = std::net::TcpStream::connect(addr).expect("a connection");
            watch(&socket, keepalive);
            let socket = SockRef::from(&socket);
            assert_eq!(socket.keepalive().expect("an answer"), expected.is_some());
            if let Some(seconds) = expected {
                assert_eq!(socket.tcp_keepalive_time().expect("an answer"), Duration::from_secs(seconds));
                assert_eq!(socket.tcp_keepalive_interval().expect("an answer"), PROBE_EVERY);
                assert_eq!(socket.tcp_keepalive_retries().expect("an answer"), PROBES);
            }
        }
    }

    #[test]
    fn an_error_that_lasts_is_told_now_and_then_and_another_one_at_once() {
        #[expect(clippy::disallowed_methods, reason = "any instant will do as origin")]
        let start = Instant::from_std(std::time::Instant::now());
        let mut told = Told::default();
        let heard = |told: &mut Told, seconds, number| {
            told.is_news(start + Duration::from_secs(seconds), &io::Error::from_raw_os_error(number))
        };
        let heard: Vec<bool> = [(0, 24), (1, 24), (9, 24), (9, 23), (9, 23), (10, 24), (19, 24), (20, 24)]
            .map(|(seconds, number)| heard(&mut told, seconds, number))
            .to_vec();
        assert_eq!(heard, [true, false, false, true, false, true, false, true]);
    }
}
