//! The UDP sockets of a jam: bound once, read without waiting, written in batches.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

/// Where a jam server listens.
///
/// By default on every address of the machine, IPv4 and IPv6, with one port number for both.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Listen {
    /// The IPv4 address, [`Ipv4Addr::UNSPECIFIED`] for all; `None` switches IPv4 off.
    pub v4: Option<Ipv4Addr>,
    /// The IPv6 address, [`Ipv6Addr::UNSPECIFIED`] for all; `None` switches IPv6 off.
    pub v6: Option<Ipv6Addr>,
    /// The UDP port; 0 lets the system choose.
    pub port: u16,
    /// Whether the server may start without IPv6 when the machine has none.
    pub v6_optional: bool,
}

impl Listen {
    /// Every address of the machine.
    #[must_use]
    pub const fn everywhere(port: u16) -> Self {
        Self { v4: Some(Ipv4Addr::UNSPECIFIED), v6: Some(Ipv6Addr::UNSPECIFIED), port, v6_optional: true }
    }
}

/// One address alone; the unspecified IPv6 address `[::]` stands for both families.
impl From<SocketAddr> for Listen {
    fn from(addr: SocketAddr) -> Self {
        match addr.ip() {
            IpAddr::V6(ip) if ip.is_unspecified() => Self::everywhere(addr.port()),
            IpAddr::V6(ip) => Self { v4: None, v6: Some(ip), port: addr.port(), v6_optional: false },
            IpAddr::V4(ip) => Self { v4: Some(ip), v6: None, port: addr.port(), v6_optional: false },
        }
    }
}

/// Why a socket could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another program, often another server, has the port.
    #[error("UDP port {} is in use on {}: stop the other program or choose another port", addr.port(), addr.ip())]
    PortInUse {
        /// The address that was asked for.
        addr: SocketAddr,
    },
    /// Ports below 1024 need a permission.
    #[error("no permission to use UDP port {} on {}: choose a port from 1024 on", addr.port(), addr.ip())]
    NoPermission {
        /// The address that was asked for.
        addr: SocketAddr,
    },
    /// The machine has no such address, or another reason the system names.
    #[error("cannot listen on {addr}: {source}")]
    Other {
        /// The address that was asked for.
        addr: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// Neither IPv4 nor IPv6 was asked for.
    #[error("both IPv4 and IPv6 are switched off: switch one on")]
    NoFamily,
}

/// The open sockets: one per address family.
#[derive(Debug)]
pub(super) struct Sockets {
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
}

/// Bytes of kernel buffer asked for: 40 ms of 150 musicians, counted as the kernel counts them.
const KERNEL_BUFFER_BYTES: usize = 4 << 20;

impl Sockets {
    /// Opens what `listen` names, with `traffic_class` as type of service (spec 10.2).
    pub(super) fn open(listen: Listen, traffic_class: u8) -> Result<Self, BindError> {
        if listen.v4.is_none() && listen.v6.is_none() {
            return Err(BindError::NoFamily);
        }
        let v4 = listen
            .v4
            .map(|ip| open_one(SocketAddr::new(ip.into(), listen.port), traffic_class))
            .transpose()?;
        // With port 0 the second family takes the number that the first one got.
        let port = match &v4 {
            Some(socket) => socket.local_addr().map_or(listen.port, |addr| addr.port()),
            None => listen.port,
        };
        let v6 = match listen.v6 {
            None => None,
            Some(ip) => match open_one(SocketAddr::new(ip.into(), port), traffic_class) {
                Ok(socket) => Some(socket),
                Err(BindError::Other { .. }) if listen.v6_optional && v4.is_some() => None,
                Err(error) => return Err(error),
            },
        };
        Ok(Self { v4, v6 })
    }

    /// The addresses in use, IPv4 first.
    pub(super) fn local_addrs(&self) -> Vec<SocketAddr> {
        self.iter().filter_map(|s| s.local_addr().ok()).collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &UdpSocket> {
        self.v4.iter().chain(&self.v6)
    }

    fn for_peer(&self, peer: SocketAddr) -> Option<&UdpSocket> {
        if peer.is_ipv4() { self.v4.as_ref() } else { self.v6.as_ref() }
    }

    /// Sends one datagram; `false` if the system did not take it.
    pub(super) fn send(&self, dst: SocketAddr, payload: &[u8]) -> bool {
        self.for_peer(dst).is_some_and(|socket| socket.send_to(payload, dst).is_ok())
    }

    /// Sends many datagrams with few system calls; returns how many the system did not take.
    pub(super) fn send_batch<'a>(&self, datagrams: impl Iterator<Item = (SocketAddr, &'a [u8])>) -> u64 {
        let mut refused = 0;
        let mut batch: Batch<'a> = Batch::new();
        let mut rest = datagrams.peekable();
        while let Some((dst, payload)) = rest.next() {
            batch.push((dst, payload));
            // A batch goes out through one socket: it ends where the address family changes.
            let ends = rest.peek().is_none_or(|(next, _)| next.is_ipv4() != dst.is_ipv4());
            if ends || batch.len() == BATCH {
                refused += match self.for_peer(dst) {
                    Some(socket) => send_all(socket, &batch),
                    None => batch.len() as u64,
                };
                batch.clear();
            }
        }
        refused
    }
}

/// Datagrams per system call.
const BATCH: usize = 64;

type Batch<'a> = smallvec::SmallVec<[(SocketAddr, &'a [u8]); BATCH]>;

/// The IPv4 address that this machine uses towards the Internet. Nothing is sent to find it out.
pub(super) fn outward_address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(1, 1, 1, 1), 9)).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    }
}

fn open_one(addr: SocketAddr, traffic_class: u8) -> Result<UdpSocket, BindError> {
    let open = || -> io::Result<UdpSocket> {
        let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        if addr.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&addr.into())?;
        socket.set_nonblocking(true)?;
        // Quality of service and buffers are wishes: a server without them is better than none.
        if addr.is_ipv4() {
            let _ = socket.set_tos_v4(u32::from(traffic_class));
        } else {
            let _ = socket.set_tclass_v6(u32::from(traffic_class));
        }
        enlarge_buffers(&socket);
        Ok(socket.into())
    };
    open().map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::PortInUse { addr },
        io::ErrorKind::PermissionDenied => BindError::NoPermission { addr },
        _ => BindError::Other { addr, source },
    })
}

fn enlarge_buffers(socket: &Socket) {
    #[cfg(target_os = "linux")]
    {
        use rustix::net::sockopt;
        // The forced form needs a privilege and passes the system's limit; the plain one is cut to it.
        if sockopt::set_socket_recv_buffer_size_force(socket, KERNEL_BUFFER_BYTES).is_ok() {
            let _ = socket.set_send_buffer_size(KERNEL_BUFFER_BYTES);
            return;
        }
    }
    let _ = socket.set_recv_buffer_size(KERNEL_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(KERNEL_BUFFER_BYTES);
}

/// Reads one datagram without waiting: its length and where it came from.
///
/// This is the system call itself: the C library's function of that name also lets the thread be cancelled meanwhile, which
/// costs a tenth of the call.
#[cfg(target_os = "linux")]
pub(super) fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    use rustix::net::{RecvFlags, recvfrom};

    let (bytes, _, src) = recvfrom(socket, buffer, RecvFlags::empty())?;
    match src.map(SocketAddr::try_from) {
        Some(Ok(src)) => Ok((bytes, src)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    socket.recv_from(buffer)
}

#[cfg(target_os = "linux")]
fn send_all(socket: &UdpSocket, batch: &Batch<'_>) -> u64 {
    use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};
    use smallvec::SmallVec;
    use std::io::IoSlice;

    let addrs: SmallVec<[SocketAddrAny; BATCH]> =
        batch.iter().map(|&(dst, _)| SocketAddrAny::from(dst)).collect();
    let slices: SmallVec<[[IoSlice<'_>; 1]; BATCH]> =
        batch.iter().map(|&(_, payload)| [IoSlice::new(payload)]).collect();
    let mut controls: SmallVec<[SendAncillaryBuffer<'_, '_, '_>; BATCH]> =
        batch.iter().map(|_| SendAncillaryBuffer::default()).collect();
    let mut headers: SmallVec<[MMsgHdr<'_>; BATCH]> = addrs
        .iter()
        .zip(&slices)
        .zip(&mut controls)
        .map(|((addr, slice), control)| MMsgHdr::new_with_addr(addr, slice, control))
        .collect();
    let mut refused = 0;
    let mut rest = &mut headers[..];
    while !rest.is_empty() {
        // The call reports an error only about its first datagram: that one is given up, the others go on.
        let done = match sendmmsg(socket, rest, SendFlags::empty()) {
            Ok(sent) => sent.max(1),
            Err(rustix::io::Errno::INTR) => 0,
            Err(_) => {
                refused += 1;
                1
            }
        };
        rest = rest.get_mut(done..).unwrap_or_default();
    }
    refused
}

#[cfg(not(target_os = "linux"))]
fn send_all(socket: &UdpSocket, batch: &Batch<'_>) -> u64 {
    batch.iter().filter(|(dst, payload)| socket.send_to(payload, dst).is_err()).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_busy_port_is_named() {
        let first = Sockets::open(SocketAddr::from(([127, 0, 0, 1], 0)).into(), 128).unwrap();
        let addr = first.local_addrs()[0];
        let error = Sockets::open(addr.into(), 128).unwrap_err();
        assert!(matches!(error, BindError::PortInUse { addr: a } if a == addr));
        assert!(error.to_string().contains(&addr.port().to_string()), "{error}");
    }

    #[test]
    fn both_families_share_one_port_number() {
        let sockets = Sockets::open(Listen::everywhere(0), 128).unwrap();
        let ports: Vec<u16> = sockets.local_addrs().iter().map(SocketAddr::port).collect();
        assert!(ports.iter().all(|p| *p == ports[0] && *p != 0), "{ports:?}");
    }

    #[test]
    fn a_batch_reaches_every_address_and_an_impossible_one_is_counted() {
        let sender = Sockets::open(SocketAddr::from(([127, 0, 0, 1], 0)).into(), 0).unwrap();
        let receivers: Vec<UdpSocket> =
            (0..100).map(|_| UdpSocket::bind(("127.0.0.1", 0)).unwrap()).collect();
        let mut to: Vec<(SocketAddr, Vec<u8>)> = receivers
            .iter()
            .enumerate()
            .map(|(i, r)| (r.local_addr().unwrap(), vec![i as u8; 20 + i]))
            .collect();
        // Port 0 cannot be sent to, and the sender has no IPv6 socket.
        to.insert(50, (SocketAddr::from(([127, 0, 0, 1], 0)), vec![0; 9]));
        to.insert(10, ("[::1]:9".parse().unwrap(), vec![0; 9]));
        let refused = sender.send_batch(to.iter().map(|(a, p)| (*a, p.as_slice())));
        assert_eq!(refused, 2);
        for (i, r) in receivers.iter().enumerate() {
            r.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut buf = [0; 200];
            let n = r.recv(&mut buf).unwrap();
            assert_eq!(&buf[..n], vec![i as u8; 20 + i]);
        }
    }

    #[test]
    fn a_datagram_is_read_with_its_source_and_cut_at_the_end_of_the_buffer() {
        for ip in ["127.0.0.1", "::1"] {
            let addr = SocketAddr::new(ip.parse().unwrap(), 0);
            let Ok(sockets) = Sockets::open(addr.into(), 0) else { continue };
            let sender = UdpSocket::bind(addr).unwrap();
            let socket = sockets.iter().next().unwrap();
            let mut buffer = [0; 4];
            assert_eq!(receive(socket, &mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
            for (sent, read) in [(&b"abc"[..], 3), (b"", 0), (b"abcdef", 4)] {
                sender.send_to(sent, socket.local_addr().unwrap()).unwrap();
                socket.set_nonblocking(false).unwrap();
                assert_eq!(receive(socket, &mut buffer).unwrap(), (read, sender.local_addr().unwrap()));
                assert_eq!(buffer[..read], sent[..read]);
                socket.set_nonblocking(true).unwrap();
            }
        }
    }
}
