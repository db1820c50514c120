//! What both roles share behind the handshake: chunks in and out, acknowledgements, pings, counters.

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;

use crate::amf::AmfError;
use crate::budget::Rate;
use crate::chunk::{ChunkReader, ChunkWriter, Message, MessageType};
use crate::config::ConnectionConfig;
use crate::error::{CommandError, ConnectionError, LimitExceeded, LimitKind, Waiting};
use crate::message::{Aggregate, BandwidthLimit, Command, Control, UserControl};
use crate::stats::Stats;
use crate::{Media, MediaKind};

/// What a call of `handle_input` left behind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use = "paused input must be offered again"]
pub enum Progress {
    /// Everything that was complete has been consumed; more bytes are needed.
    NeedBytes,
    /// Input remains that was not looked at: take the events and send what waits in `outgoing`, then call again with
    /// the same buffer.
    Paused,
    /// Input remains that was not looked at, because a request waits for the owner's answer: call again with the same
    /// buffer once it is given, at once or after any time. Only servers ask.
    Asking,
}

/// A connection behind its handshake.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) config: Arc<ConnectionConfig>,
    pub(crate) reader: ChunkReader,
    writer: ChunkWriter,
    pub(crate) outgoing: BytesMut,
    pub(crate) stats: Stats,
    /// Bytes of replies since `outgoing` was last seen empty.
    reply_bytes: usize,
    received: u32,
    acknowledged: u32,
    peer_window: Option<u32>,
    announced_window: Option<u32>,
    pings: Rate,
    commands: Rate,
    heard: Instant,
    ping_sent: Option<Instant>,
}

impl Link {
    pub(crate) fn new(config: Arc<ConnectionConfig>, now: Instant) -> Self {
        let limits = &config.limits;
        let mut reader = ChunkReader::new(limits);
        let idle = limits.viewer_bytes_max;
        let partial = limits.partial_idle_bytes_max;
        reader.set_bounds(idle.min(limits.data_bytes_max), idle, partial, limits.chunk_streams_idle_max);
        Self {
            reader,
            writer: ChunkWriter::default(),
            outgoing: BytesMut::new(),
            stats: Stats::default(),
            reply_bytes: 0,
            received: 0,
            acknowledged: 0,
            peer_window: None,
            announced_window: None,
            pings: Rate::new(limits.pings_per_second, limits.pings_per_second, now),
            commands: Rate::new(limits.commands_per_second, limits.commands_burst, now),
            heard: now,
            ping_sent: None,
            config,
        }
    }

    /// The peer may send media now.
    pub(crate) fn expect_media(&mut self) {
        let limits = &self.config.limits;
        let (data, media) = (limits.data_bytes_max, limits.media_bytes_max);
        self.reader.set_bounds(data, media, limits.partial_bytes_max, limits.chunk_streams_max);
    }

    /// The peer only watches.
    pub(crate) fn expect_no_media(&mut self) {
        let limits = &self.config.limits;
        let idle = limits.viewer_bytes_max;
        let partial = limits.partial_idle_bytes_max;
        self.reader.set_bounds(idle.min(limits.data_bytes_max), idle, partial, limits.chunk_streams_max);
    }

    /// Whether so many replies wait that no more input should be taken.
    pub(crate) fn is_congested(&mut self) -> bool {
        if self.outgoing.is_empty() {
            self.reply_bytes = 0;
        }
        self.reply_bytes >= self.config.limits.reply_bytes_max
    }

    /// Counts consumed bytes and acknowledges them, at most once per call (spec 4.1).
    pub(crate) fn account(&mut self, now: Instant, bytes: usize) {
        if bytes == 0 {
            return;
        }
        self.note_alive(now);
        self.stats.bytes_received += bytes as u64;
        self.received = self.received.wrapping_add(bytes as u32);
    }

    /// Sends an acknowledgement when half of the peer's window has arrived since the last one.
    pub(crate) fn acknowledge(&mut self) {
        let window = self.peer_window.unwrap_or(self.config.peer_window);
        if window == 0 && self.peer_window.is_none() {
            return;
        }
        let window = window.max(self.config.limits.window_min);
        if self.received.wrapping_sub(self.acknowledged) >= window / 2 {
            self.acknowledged = self.received;
            self.stats.acknowledgements_sent += 1;
            self.send_control(&Control::Acknowledgement(self.received));
        }
    }

    /// Appends a message to the private bytes.
    pub(crate) fn send(&mut self, message: &Message) {
        let before = self.outgoing.len();
        self.writer.write(&mut self.outgoing, message);
        let written = self.outgoing.len() - before;
        self.stats.bytes_written += written as u64;
        self.reply_bytes += written;
    }

    pub(crate) fn send_control(&mut self, control: &Control) {
        self.send(&control.message());
        match *control {
            Control::SetChunkSize(size) => self.writer.set_chunk_size(size),
            Control::WindowAckSize(window) => self.announced_window = Some(window),
            _ => {}
        }
    }

    pub(crate) fn send_user_control(&mut self, event: UserControl) {
        self.send_control(&Control::UserControl(event));
    }

    /// Sends a command. Values of ours can always be written; those of the owner may be nested too deep.
    pub(crate) fn send_command(&mut self, command: &Command, msid: u32) -> Result<(), AmfError> {
        let message = command.message(msid)?;
        self.send(&message);
        Ok(())
    }

    /// Sends media of the owner.
    pub(crate) fn send_media(&mut self, media: &Media, msid: u32) -> Result<(), CommandError> {
        let waiting = self.outgoing.len();
        if waiting >= self.config.limits.outgoing_bytes_max {
            return Err(CommandError::OutgoingFull(waiting));
        }
        self.writer.write(&mut self.outgoing, &media.message(msid));
        self.stats.bytes_written += (self.outgoing.len() - waiting) as u64;
        Ok(())
    }

    /// Obeys a control message. Returns a user control event the machine may care for.
    pub(crate) fn handle_control(
        &mut self,
        now: Instant,
        control: Control,
    ) -> Result<Option<UserControl>, ConnectionError> {
        match control {
            Control::Acknowledgement(_) => self.stats.acknowledgements_received += 1,
            Control::WindowAckSize(window) => self.peer_window = Some(window),
            Control::SetPeerBandwidth { window, .. } => {
                if self.announced_window != Some(window) {
                    self.send_control(&Control::WindowAckSize(window));
                }
            }
            Control::UserControl(UserControl::PingRequest(number)) => {
                if self.pings.take(now) {
                    self.stats.pings_answered += 1;
                    self.send_user_control(UserControl::PingResponse(number));
                } else {
                    self.stats.pings_dropped += 1;
                }
            }
            Control::UserControl(event) => return Ok(Some(event)),
            // The reader has obeyed these two already.
            Control::SetChunkSize(_) | Control::Abort(_) => {}
        }
        Ok(None)
    }

    /// Reads a command and charges it to the rate.
    pub(crate) fn read_command(
        &mut self,
        now: Instant,
        message: &Message,
    ) -> Result<Command, ConnectionError> {
        self.stats.commands_received += 1;
        if !self.commands.take(now) {
            let limit = self.config.limits.commands_per_second;
            return Err(LimitExceeded::new(LimitKind::Commands, limit).into());
        }
        Ok(Command::parse(message.kind, &message.payload, self.config.limits.amf)?)
    }

    /// Hands the media in `message` to `deliver`: one message, or those of an aggregate.
    pub(crate) fn take_media(&mut self, message: Message, mut deliver: impl FnMut(Media)) {
        let mut count = 0;
        let mut one = |kind: MessageType, timestamp, payload| {
            let Some(media_kind) = MediaKind::of(kind) else { return };
            let payload = crate::message::amf0_part(kind, &payload);
            if media_kind == MediaKind::Data && payload.is_empty() {
                return;
            }
            count += 1;
            deliver(Media { kind: media_kind, timestamp, payload });
        };
        if message.kind == MessageType::AGGREGATE {
            let tags_max = self.config.limits.aggregate_tags_max;
            let mut aggregate = Aggregate::new(message.timestamp, message.payload, tags_max);
            for part in &mut aggregate {
                one(part.kind, part.timestamp, part.payload);
            }
            self.stats.aggregates_cut += u64::from(aggregate.dropped());
        } else {
            one(message.kind, message.timestamp, message.payload);
        }
        self.stats.media_received += count;
    }

    /// Announces our window, its limit and our chunk size, before any longer reply (spec 3.7 and 7.1).
    pub(crate) fn announce(&mut self) {
        let window = self.config.window;
        if window > 0 {
            self.send_control(&Control::WindowAckSize(window));
            self.send_control(&Control::SetPeerBandwidth { window, limit: BandwidthLimit::Dynamic });
        }
        self.send_control(&Control::SetChunkSize(self.chunk_size()));
    }

    /// Announces our chunk size when it is another one than the peer knows.
    pub(crate) fn announce_chunk_size_change(&mut self) {
        if self.chunk_size() != self.writer.chunk_size() {
            self.send_control(&Control::SetChunkSize(self.chunk_size()));
        }
    }

    pub(crate) fn announced_chunk_size(&self) -> u32 {
        self.writer.chunk_size()
    }

    fn chunk_size(&self) -> u32 {
        self.config.chunk_size.clamp(1, crate::chunk::CHUNK_SIZE_MAX)
    }

    /// The peer is there; a ping that is under way needs no answer.
    pub(crate) fn note_alive(&mut self, now: Instant) {
        self.heard = now;
        self.ping_sent = None;
    }

    pub(crate) fn send_ping(&mut self, now: Instant) {
        self.ping_sent = Some(now);
        // The number is only echoed; low bits of what was received make it differ.
        self.send_user_control(UserControl::PingRequest(self.received));
    }

    pub(crate) fn is_pinged(&self) -> bool {
        self.ping_sent.is_some()
    }

    /// When [`handle_ping_timeout`](Self::handle_ping_timeout) has something to do.
    pub(crate) fn ping_timeout(&self) -> Option<Instant> {
        match self.ping_sent {
            Some(sent) => Some(sent + self.config.timeouts.pong),
            None => self.config.timeouts.ping.map(|ping| self.heard + ping),
        }
    }

    /// Pings a silent peer, gives a deaf one up.
    pub(crate) fn handle_ping_timeout(&mut self, now: Instant) -> Result<(), ConnectionError> {
        if self.ping_timeout().is_none_or(|at| now < at) {
            return Ok(());
        }
        if self.ping_sent.is_some() {
            return Err(ConnectionError::Silent { waiting: Waiting::Pong, after: self.config.timeouts.pong });
        }
        self.send_ping(now);
        Ok(())
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.reader.memory_bytes() + self.outgoing.capacity()
    }
}
