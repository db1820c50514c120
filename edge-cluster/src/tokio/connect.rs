//! Connecting to upstream servers: names, addresses, time limits.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::config::HostPort;
use crate::upstream::{ConnectFailure, OwnAddresses};

/// How long a resolved name is used again.
const CACHE_TIME: Duration = Duration::from_secs(30);
/// Names remembered at most.
const CACHE_NAMES_MAX: usize = 1024;

/// Names that were resolved a moment ago.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<HostPort, (Instant, Vec<SocketAddr>)>);

impl Names {
    pub(super) fn get(&self, now: Instant, target: &HostPort) -> Option<Vec<SocketAddr>> {
        let (until, addrs) = self.0.get(target)?;
        (now < *until).then(|| addrs.clone())
    }

    pub(super) fn put(&mut self, now: Instant, target: HostPort, addrs: Vec<SocketAddr>) {
        if self.0.len() >= CACHE_NAMES_MAX {
            self.0.clear();
        }
        self.0.insert(target, (now + CACHE_TIME, addrs));
    }

    /// A name that leads nowhere is asked for again.
    pub(super) fn forget(&mut self, target: &HostPort) {
        self.0.remove(target);
    }
}

/// All addresses of `target`.
pub(super) async fn resolve(target: &HostPort, deadline: Instant) -> Result<Vec<SocketAddr>, ConnectFailure> {
    resolved(tokio::net::lookup_host((target.host.as_str(), target.port)), deadline).await
}

/// What a look-up comes to within the time there is. One that takes longer goes on by itself and is of no use.
async fn resolved(
    lookup: impl Future<Output = io::Result<impl Iterator<Item = SocketAddr>>>,
    deadline: Instant,
) -> Result<Vec<SocketAddr>, ConnectFailure> {
    match timeout_at(deadline, lookup).await {
        Err(_) => Err(ConnectFailure::TimedOut),
        Ok(Err(_)) => Err(ConnectFailure::NameNotFound),
        Ok(Ok(addrs)) => {
            let addrs: Vec<_> = addrs.collect();
            if addrs.is_empty() { Err(ConnectFailure::NameNotFound) } else { Ok(addrs) }
        }
    }
}

/// Connects to the first of `addrs` that answers. The time is shared among those that are left, so that one dead
/// address does not use it up.
pub(super) async fn connect(
    addrs: &[SocketAddr],
    own: &OwnAddresses,
    deadline: Instant,
) -> Result<TcpStream, ConnectFailure> {
    let mut failure = ConnectFailure::NameNotFound;
    for (place, addr) in addrs.iter().enumerate() {
        if own.contains(*addr) {
            failure = ConnectFailure::OwnAddress;
            continue;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addrs.len() - place).unwrap_or(1);
        match timeout_at(Instant::now() + share, TcpStream::connect(*addr)).await {
            Ok(Ok(socket)) if leads_to_itself(&socket, own) => failure = ConnectFailure::OwnAddress,
            Ok(Ok(socket)) => {
                // Commands are small and the server's answer to each is waited for.
                let _ = socket.set_nodelay(true);
                return Ok(socket);
            }
            Ok(Err(error)) => failure = ConnectFailure::Io(error.kind()),
            Err(_) => failure = ConnectFailure::TimedOut,
        }
    }
    Err(failure)
}

/// Whether both ends are on this machine and the other one is our listener: addresses of interfaces are not listed
/// anywhere, but a connection to one of them comes from the same one.
fn leads_to_itself(socket: &TcpStream, own: &OwnAddresses) -> bool {
    let ends = || -> io::Result<_> { Ok((socket.local_addr()?, socket.peer_addr()?)) };
    match ends() {
        Ok((local, peer)) if local.ip() == peer.ip() => {
            own.contains(SocketAddr::new(std::net::Ipv4Addr::LOCALHOST.into(), peer.port()))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> HostPort {
        HostPort { host: "origin.example".into(), port: 1935 }
    }

    fn addrs(last: u8) -> Vec<SocketAddr> {
        vec![([192, 0, 2, last], 1935).into()]
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_server_that_is_silent_costs_an_attempt_its_time_and_no_more() {
        let start = Instant::now();
        let silent = std::future::pending::<io::Result<std::vec::IntoIter<SocketAddr>>>();
        let result = resolved(silent, start + Duration::from_secs(3)).await;
        assert_eq!((result, start.elapsed()), (Err(ConnectFailure::TimedOut), Duration::from_secs(3)));
        let slow = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            Ok(addrs(1).into_iter())
        };
        assert_eq!(resolved(slow, Instant::now() + Duration::from_secs(3)).await, Ok(addrs(1)));
    }

    #[tokio::test]
    async fn a_name_server_that_fails_or_knows_nothing_fails_the_attempt() {
        let soon = Instant::now() + Duration::from_secs(60);
        let fails = async { Err::<std::vec::IntoIter<SocketAddr>, _>(io::ErrorKind::Other.into()) };
        assert_eq!(resolved(fails, soon).await, Err(ConnectFailure::NameNotFound));
        let nothing = async { Ok(Vec::new().into_iter()) };
        assert_eq!(resolved(nothing, soon).await, Err(ConnectFailure::NameNotFound));
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_moves_is_found_at_its_new_address_after_half_a_minute_or_a_failure() {
        let mut names = Names::default();
        let start = Instant::now();
        names.put(start, target(), addrs(1));
        assert_eq!(names.get(start + CACHE_TIME - Duration::from_millis(1), &target()), Some(addrs(1)));
        assert_eq!(names.get(start + CACHE_TIME, &target()), None);
        names.put(start + CACHE_TIME, target(), addrs(2));
        assert_eq!(names.get(start + CACHE_TIME, &target()), Some(addrs(2)));
        names.forget(&target());
        assert_eq!(names.get(start + CACHE_TIME, &target()), None);
    }

    #[test]
    fn so_many_names_are_remembered() {
        let mut names = Names::default();
        #[expect(clippy::disallowed_methods, reason = "any instant will do as origin")]
        let now = Instant::from_std(std::time::Instant::now());
        for n in 0..2 * CACHE_NAMES_MAX {
            names.put(now, HostPort { host: format!("n{n}"), ..target() }, addrs(1));
            assert!(names.0.len() <= CACHE_NAMES_MAX);
        }
    }
}
