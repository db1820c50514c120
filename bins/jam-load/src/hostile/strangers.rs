//! Datagrams from thousands of addresses through one socket, and the books about what comes back to them.

use std::collections::BTreeMap;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd as _;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::{in_addr, in_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg, setsockopt, sockopt,
};

/// The largest payload of a UDP datagram over IPv4.
pub(super) const PAYLOAD_BYTES_MAX: usize = 65_507;
/// Kernel buffer asked for, so that no answer escapes the books.
const RECEIVE_BUFFER_BYTES: usize = 8 << 20;

/// Bytes of one address: sent to the server, and come back from it.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    sent: u64,
    back: u64,
}

/// Totals of all addresses.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) datagrams_sent: u64,
    pub(super) bytes_sent: u64,
    pub(super) datagrams_back: u64,
    pub(super) bytes_back: u64,
}

impl Totals {
    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            datagrams_sent: self.datagrams_sent + other.datagrams_sent,
            bytes_sent: self.bytes_sent + other.bytes_sent,
            datagrams_back: self.datagrams_back + other.datagrams_back,
            bytes_back: self.bytes_back + other.bytes_back,
        }
    }
}

/// One socket that sends from any loopback address it likes, as a forger on the Internet could.
///
/// The system lets a socket that is bound to no address choose the source of each datagram, and all of 127.0.0.0/8 is
/// this machine: no privilege is needed, and the victims' mail arrives here, where it can be counted.
#[derive(Debug)]
pub(super) struct Strangers {
    socket: UdpSocket,
    server: SockaddrIn,
    accounts: BTreeMap<Ipv4Addr, Account>,
    pub(super) totals: Totals,
    buffer: Vec<u8>,
    control: Vec<u8>,
}

impl Strangers {
    pub(super) fn new(server: SocketAddrV4) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_nonblocking(true)?;
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        // The system may grant less; what is lost then makes the server look better, so keep draining often.
        let _ = setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER_BYTES);
        Ok(Self {
            socket,
            server: SockaddrIn::from(server),
            accounts: BTreeMap::new(),
            totals: Totals::default(),
            buffer: vec![0; PAYLOAD_BYTES_MAX + 1],
            control: cmsg_space!(in_pktinfo),
        })
    }

    /// Sends from this address; a full buffer loses the datagram as a router would.
    pub(super) fn send(&mut self, from: Ipv4Addr, payload: &[u8]) -> io::Result<()> {
        let source = in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: in_addr { s_addr: u32::from_ne_bytes(from.octets()) },
            ipi_addr: in_addr { s_addr: 0 },
        };
        let control = [ControlMessage::Ipv4PacketInfo(&source)];
        let fd = self.socket.as_raw_fd();
        match sendmsg(fd, &[IoSlice::new(payload)], &control, MsgFlags::MSG_DONTWAIT, Some(&self.server)) {
            Ok(_) => {
                let bytes = payload.len() as u64;
                self.accounts.entry(from).or_default().sent += bytes;
                self.totals.datagrams_sent += 1;
                self.totals.bytes_sent += bytes;
                Ok(())
            }
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOBUFS | Errno::ECONNREFUSED) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Books what has come back.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        // Bounded, so that answers cannot keep the attack waiting.
        for _ in 0..4_096 {
            let (to, bytes) = {
                let mut slices = [IoSliceMut::new(&mut self.buffer)];
                let fd = self.socket.as_raw_fd();
                let flags = MsgFlags::MSG_DONTWAIT;
                match recvmsg::<SockaddrIn>(fd, &mut slices, Some(&mut self.control), flags) {
                    Ok(message) => {
                        (message.cmsgs().ok().and_then(|mut all| all.find_map(victim)), message.bytes)
                    }
                    Err(Errno::EAGAIN) => return Ok(()),
                    Err(Errno::EINTR | Errno::ECONNREFUSED) => continue,
                    Err(e) => return Err(e.into()),
                }
            };
            let Some(to) = to else { continue };
            self.accounts.entry(to).or_default().back += bytes as u64;
            self.totals.datagrams_back += 1;
            self.totals.bytes_back += bytes as u64;
        }
        Ok(())
    }

    /// Bytes beyond what they had sent themselves: of the worst address, and of all together.
    pub(super) fn lent(&self) -> (u64, u64) {
        let lent = || self.accounts.values().map(|a| a.back.saturating_sub(a.sent));
        (lent().max().unwrap_or(0), lent().sum())
    }
}

/// The address a datagram was meant for.
fn victim(message: ControlMessageOwned) -> Option<Ipv4Addr> {
    match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => Some(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn the_server_sees_the_chosen_addresses_and_the_books_know_who_got_what() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let SocketAddr::V4(at) = server.local_addr().unwrap() else { panic!("IPv4 was asked for") };
        let mut strangers = Strangers::new(at).unwrap();
        for (last, answer) in [(1, 3), (2, 9)] {
            strangers.send(Ipv4Addr::new(127, 66, 0, last), &[0; 5]).unwrap();
            let (bytes, from) = server.recv_from(&mut [0; 16]).unwrap();
            assert_eq!((bytes, from.ip().to_string()), (5, format!("127.66.0.{last}")));
            server.send_to(&[7; 16][..answer], from).unwrap();
        }
        while strangers.totals.datagrams_back < 2 {
            strangers.drain().unwrap();
        }
        assert_eq!(strangers.lent(), (4, 4));
        assert_eq!((strangers.totals.bytes_sent, strangers.totals.bytes_back), (10, 12));
    }
}
