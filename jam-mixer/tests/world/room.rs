//! The server under test, as the world sees it.

use bytes::Bytes;
use jam_mixer::codec::JamCodec;
use jam_mixer::job::Inline;
use jam_mixer::server::{Event as JamEvent, JamConfig, JamServer, Output, Stats};
use jam_proto::server::Event;
use jam_proto::{ChannelId, Input};
use std::net::SocketAddr;
use std::time::Instant;

/// What the world takes from a room.
pub(crate) enum RoomOutput {
    Transmit(SocketAddr, Bytes),
    /// Of one tick.
    Audio(Vec<(SocketAddr, Bytes)>),
    Event(Event),
}

pub(crate) struct Room {
    jam: JamServer<JamCodec>,
}

impl Room {
    pub(crate) fn new(config: JamConfig, seed: u64, now: Instant) -> Self {
        Self { jam: JamServer::new(config, JamCodec::default(), Box::new(Inline), seed, now) }
    }

    /// What the protocol side has counted.
    pub(crate) fn tell(&self) -> String {
        let counted: Vec<String> = self
            .jam
            .stats()
            .protocol
            .iter()
            .filter(|(_, n)| *n > 0)
            .map(|(name, n)| format!("{name} {n}"))
            .collect();
        let views: Vec<String> = self.jam.protocol().views().map(|view| format!("{view:?}")).collect();
        format!("{}; {}", counted.join(", "), views.join("; "))
    }

    pub(crate) fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.jam.handle_input(now, input);
    }

    pub(crate) fn poll_output(&mut self) -> Option<RoomOutput> {
        loop {
            return Some(match self.jam.poll_output()? {
                Output::Transmit(t) => RoomOutput::Transmit(t.dst, t.payload),
                Output::Audio(batch) => RoomOutput::Audio(
                    batch.iter().map(|(dst, audio)| (dst, Bytes::copy_from_slice(audio))).collect(),
                ),
                Output::Event(JamEvent::Protocol(event)) => RoomOutput::Event(event),
                Output::Event(JamEvent::FormatRefused { channel, error }) => {
                    panic!("channel {channel}: {error}")
                }
                _ => continue,
            });
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.jam.poll_timeout()
    }

    /// How long before its tick a datagram arrives that arrives now, as the server tells its jitter buffers.
    pub(crate) fn lead_us(&self, now: Instant) -> Option<u32> {
        let lead = self.jam.next_tick()?.checked_duration_since(now)?;
        (!lead.is_zero()).then(|| lead.as_micros().try_into().unwrap_or(u32::MAX))
    }

    /// Ticks made and ticks skipped since the start.
    pub(crate) fn ticks(&self) -> (u64, u64) {
        (self.jam.ticks(), self.jam.engine().stats().ticks_skipped)
    }

    /// Who is connected, ascending.
    pub(crate) fn channels(&self) -> Vec<ChannelId> {
        self.jam.protocol().views().map(|view| view.channel).collect()
    }

    pub(crate) fn stats(&self) -> Stats {
        self.jam.stats()
    }

    /// Bytes held, and the most that may be held.
    pub(crate) fn memory_bytes(&self) -> (usize, usize) {
        (self.jam.memory_bytes(), self.jam.memory_bytes_max())
    }
}
