//! The musicians' sockets: non-blocking, with the kernel's receive times.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd as _, RawFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;

use crate::clock::Nanos;

/// The largest datagram a server sends: a full list (spec 2.5).
const DATAGRAM_BYTES_MAX: usize = 20_000;
/// Room for the bursts of a slow moment.
const RECEIVE_BUFFER_BYTES: usize = 1 << 18;
/// Datagrams read of one socket before its musician goes on, so that a flood cannot keep the senders waiting.
const READS_MAX: usize = 64;

/// All sockets.
///
/// Nobody waits for them: each musician reads its own when it sends. A socket that wakes a reader, or only tells an
/// epoll set, does so at the expense of the sender, and over loopback that is the server being measured.
#[derive(Debug)]
pub(crate) struct Sockets {
    sockets: Vec<UdpSocket>,
    buffer: Vec<u8>,
    control: Vec<u8>,
}

impl Sockets {
    pub(crate) fn new() -> Self {
        Self { sockets: Vec::new(), buffer: vec![0; DATAGRAM_BYTES_MAX], control: cmsg_space!(TimeSpec) }
    }

    /// Opens the next musician's socket towards `server`.
    ///
    /// With `own_address` and a server on IPv4 loopback each musician gets an address of its own, so that limits per
    /// address do not meet all of them as one.
    pub(crate) fn open(&mut self, server: SocketAddr, own_address: bool) -> io::Result<()> {
        let number = self.sockets.len();
        let local = match server.ip() {
            IpAddr::V4(v4) if v4.is_loopback() && own_address => {
                IpAddr::V4(Ipv4Addr::new(127, 1, (number / 250) as u8, (number % 250 + 1) as u8))
            }
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
        };
        let socket = UdpSocket::bind((local, 0))?;
        socket.connect(server)?;
        socket.set_nonblocking(true)?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        // The system may grant less; then a long pause of this program shows as loss in its report.
        let _ = setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER_BYTES);
        self.sockets.push(socket);
        Ok(())
    }

    pub(crate) fn send(&self, musician: usize, payload: &[u8]) -> io::Result<()> {
        match self.sockets[musician].send(payload) {
            // A full send buffer loses the datagram as a router would; a refusal is an answer to an earlier one.
            Err(e) if !matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionRefused) => {
                Err(e)
            }
            _ => Ok(()),
        }
    }

    /// Hands every datagram that waits for `musician` to `each`, with the time the kernel received it.
    pub(crate) fn drain(&mut self, musician: usize, mut each: impl FnMut(Nanos, &[u8])) -> io::Result<()> {
        let fd = self.sockets[musician].as_raw_fd();
        for _ in 0..READS_MAX {
            match receive(fd, &mut self.buffer, &mut self.control)? {
                Received::Datagram(arrival, len) => each(arrival, &self.buffer[..len]),
                Received::Interruption => {}
                Received::Nothing => break,
            }
        }
        Ok(())
    }
}

/// What one look at a socket found.
enum Received {
    /// A datagram of so many bytes, and its time.
    Datagram(Nanos, usize),
    /// A signal, or word that an earlier datagram found no server: there may be more behind it.
    Interruption,
    Nothing,
}

fn receive(fd: RawFd, buffer: &mut [u8], control: &mut [u8]) -> io::Result<Received> {
    let mut slices = [IoSliceMut::new(buffer)];
    match recvmsg::<()>(fd, &mut slices, Some(control), MsgFlags::MSG_DONTWAIT) {
        Ok(message) => {
            let stamp = message.cmsgs().ok().and_then(|mut all| {
                all.find_map(|c| match c {
                    ControlMessageOwned::ScmTimestampns(at) => Some(Nanos::from(at)),
                    _ => None,
                })
            });
            Ok(Received::Datagram(stamp.unwrap_or_else(Nanos::now), message.bytes))
        }
        Err(Errno::EINTR | Errno::ECONNREFUSED) => Ok(Received::Interruption),
        Err(Errno::EAGAIN) => Ok(Received::Nothing),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_come_with_the_time_the_kernel_received_them() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut sockets = Sockets::new();
        sockets.open(server.local_addr().unwrap(), true).unwrap();
        sockets.open(server.local_addr().unwrap(), true).unwrap();
        let before = Nanos::now();
        for musician in [1, 0] {
            sockets.send(musician, &[musician as u8; 5]).unwrap();
            let (len, from) = server.recv_from(&mut [0; 16]).unwrap();
            assert_eq!((len, from.ip().to_string()), (5, format!("127.1.0.{}", musician + 1)));
            server.send_to(&[9, musician as u8], from).unwrap();
        }
        let mut got = Vec::new();
        for musician in [0, 1] {
            sockets.drain(musician, |at, payload| got.push((musician, at, payload.to_vec()))).unwrap();
        }
        // Kernels switch stamping on with a delay, and stamp the very first datagrams when they are read.
        let after = Nanos::now();
        assert_eq!(
            got.iter().map(|g| (g.0, g.2.clone())).collect::<Vec<_>>(),
            [(0, vec![9, 0]), (1, vec![9, 1])]
        );
        assert!(got.iter().all(|g| g.1 >= before && g.1 <= after));
    }
}
