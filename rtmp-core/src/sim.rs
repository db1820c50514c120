//! A byte-stream connection for tests: latency, bandwidth, arbitrary cuts, stalls, resets; all from a seed.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use bytes::BytesMut;
//! use rtmp_core::sim::{Delivery, End, LinkConfig, Pair};
//!
//! # #[allow(clippy::disallowed_methods)]
//! let start = Instant::now();
//! let mut config = LinkConfig::default();
//! config.latency = Duration::from_millis(30);
//! let mut pair = Pair::new(config, 7);
//! pair.send(start, End::Client, &mut &b"C0"[..]);
//! let mut received = BytesMut::new();
//! assert_eq!(pair.receive(start, End::Server, &mut received), Delivery::Nothing);
//! let later = pair.poll_timeout().expect("a delivery is due");
//! assert_eq!(later, start + Duration::from_millis(30));
//! assert_eq!(pair.receive(later, End::Server, &mut received), Delivery::Bytes);
//! ```

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};

use crate::budget::Rng;

/// Which side of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// The side that opened it.
    Client,
    /// The side that accepted it.
    Server,
}

/// How a connection behaves, in both directions.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LinkConfig {
    /// From sending to receiving, default none.
    pub latency: Duration,
    /// Bytes per second; `None`, the default, is without bound.
    pub bandwidth: Option<u32>,
    /// Largest piece that is received at once, default 1,500; pieces are cut at random below it.
    pub piece_bytes_max: usize,
    /// Bytes that may be under way before the writer is blocked, default 256 KiB.
    pub window_bytes: usize,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self { latency: Duration::ZERO, bandwidth: None, piece_bytes_max: 1500, window_bytes: 256 << 10 }
    }
}

/// What [`Pair::receive`] found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Delivery {
    /// One or more pieces were appended.
    Bytes,
    /// Nothing is there (yet).
    Nothing,
    /// The other side has closed, and all its bytes were received.
    Closed,
    /// The connection was reset; bytes under way are lost.
    Reset,
}

/// Two ends of a connection.
#[derive(Debug)]
pub struct Pair {
    config: LinkConfig,
    rng: Rng,
    to_server: Direction,
    to_client: Direction,
    reset: bool,
}

#[derive(Debug, Default)]
struct Direction {
    pieces: VecDeque<(Instant, Bytes)>,
    bytes: usize,
    /// When the last byte sent so far will be on the wire.
    busy_until: Option<Instant>,
    stalled_until: Option<Instant>,
    closed: bool,
}

impl Pair {
    /// A fresh connection.
    pub fn new(config: LinkConfig, seed: u64) -> Self {
        let (to_server, to_client) = (Direction::default(), Direction::default());
        Self { config, rng: Rng::new(seed), to_server, to_client, reset: false }
    }

    /// Takes bytes from the front of `data`, as many as the window allows, and says how many. 0 means the writer is
    /// blocked, or the connection is over.
    pub fn send(&mut self, now: Instant, from: End, data: &mut impl Buf) -> usize {
        if self.reset {
            return 0;
        }
        let direction = match from {
            End::Client => &mut self.to_server,
            End::Server => &mut self.to_client,
        };
        if direction.closed {
            return 0;
        }
        let mut left = data.remaining().min(self.config.window_bytes.saturating_sub(direction.bytes));
        let taken = left;
        while left > 0 {
            let most = left.min(self.config.piece_bytes_max.max(1));
            let length = 1 + self.rng.below(most as u64) as usize;
            let piece = data.copy_to_bytes(length);
            left -= length;
            let start = direction.busy_until.map_or(now, |busy| busy.max(now));
            let on_wire = match self.config.bandwidth {
                Some(rate) => Duration::from_secs_f64(length as f64 / f64::from(rate.max(1))),
                None => Duration::ZERO,
            };
            direction.busy_until = Some(start + on_wire);
            direction.pieces.push_back((start + on_wire + self.config.latency, piece));
            direction.bytes += length;
        }
        taken
    }

    /// Appends everything that has arrived at `at`.
    pub fn receive(&mut self, now: Instant, at: End, into: &mut BytesMut) -> Delivery {
        if self.reset {
            return Delivery::Reset;
        }
        let direction = match at {
            End::Server => &mut self.to_server,
            End::Client => &mut self.to_client,
        };
        if direction.stalled_until.is_some_and(|until| now < until) {
            return Delivery::Nothing;
        }
        let mut any = false;
        while direction.pieces.front().is_some_and(|(due, _)| *due <= now) {
            let Some((_, piece)) = direction.pieces.pop_front() else { break };
            direction.bytes -= piece.len();
            into.extend_from_slice(&piece);
            any = true;
        }
        match any {
            true => Delivery::Bytes,
            false if direction.closed && direction.pieces.is_empty() => Delivery::Closed,
            false => Delivery::Nothing,
        }
    }

    /// When the next piece arrives somewhere.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let due = |direction: &Direction| {
            let (due, _) = direction.pieces.front()?;
            Some(direction.stalled_until.map_or(*due, |until| until.max(*due)))
        };
        [due(&self.to_server), due(&self.to_client)].into_iter().flatten().min()
    }

    /// Nothing arrives at `at` before `until`.
    pub fn stall(&mut self, at: End, until: Instant) {
        match at {
            End::Server => self.to_server.stalled_until = Some(until),
            End::Client => self.to_client.stalled_until = Some(until),
        }
    }

    /// One side closes its direction; what it sent still arrives.
    pub fn close(&mut self, from: End) {
        match from {
            End::Client => self.to_server.closed = true,
            End::Server => self.to_client.closed = true,
        }
    }

    /// The connection breaks; what is under way is lost.
    pub fn reset(&mut self) {
        self.reset = true;
    }
}
