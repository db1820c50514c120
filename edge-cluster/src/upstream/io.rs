//! What goes into the machines of this module and what comes out.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::ConnectFailure;
use crate::config::HostPort;

/// What happened on the connection of an attempt.
#[derive(Debug)]
#[non_exhaustive]
pub enum UpstreamInput<'a> {
    /// The TCP connection is there.
    Connected,
    /// There will be none; the attempt is over.
    ConnectFailed(ConnectFailure),
    /// Bytes arrived. They are taken from the front; what remains has to be offered again with what comes next.
    Received(&'a mut BytesMut),
    /// The server took no bytes for so long that its queue was given up.
    Stalled,
    /// The connection is gone, either way. Nothing is left to be disconnected.
    Closed,
}

/// What a machine wants, in this order.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum UpstreamOutput<E> {
    /// Open a TCP connection (with `TCP_NODELAY`) and report it under this number: `Connected`, or `ConnectFailed` once
    /// every address of the name was tried or the time is over. Names are resolved for each attempt.
    Connect {
        /// Names the connection in inputs and outputs; it grows with every connection of the machine.
        attempt: u64,
        /// Where to.
        target: HostPort,
        /// For resolving and connecting together.
        timeout: Duration,
    },
    /// `private` has bytes to send.
    Write,
    /// Close this connection, or stop connecting it, and report nothing about it any more.
    Disconnect {
        /// Which one.
        attempt: u64,
        /// The last bytes to send, behind a shared segment that is partly sent; usually empty. An origin that does not
        /// take them within a second or two is closed without.
        farewell: Bytes,
    },
    /// Something the owner has to know.
    Event(E),
}
