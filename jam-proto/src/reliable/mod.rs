//! Acknowledged delivery between two peers: one message outstanding, repeated until acknowledged (spec 1.5, 1.6).

mod split;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use smallvec::SmallVec;

use crate::message::{Message, id};
use crate::wire::{Frame, FrameWriter};
use split::{Assembly, PART_BYTES, Part, parts_of};

/// Bounds and times of one [`Reliable`] end.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ReliableLimits {
    /// Messages waiting or outstanding. Default 128: far more than a join needs, and a silent peer stops there.
    pub queue_messages_max: usize,
    /// Their bodies together. Default 64 KiB: three of the largest lists.
    pub queue_bytes_max: usize,
    /// Time until a message is sent again. Default 400 ms, as shipped programs do (spec 1.5).
    pub retransmit_after: Duration,
    /// How often one message is sent at most; `None` repeats until the peer is given up for other reasons.
    pub attempts_max: Option<u32>,
}

impl Default for ReliableLimits {
    fn default() -> Self {
        Self {
            queue_messages_max: 128,
            queue_bytes_max: 64 * 1024,
            retransmit_after: Duration::from_millis(400),
            attempts_max: None,
        }
    }
}

/// Too much waits for acknowledgements of this peer: give the peer up.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{messages} messages with {bytes} bytes wait for the peer's acknowledgements")]
pub struct QueueFull {
    /// Messages waiting, without the one that was refused.
    pub messages: usize,
    /// Bytes of their bodies.
    pub bytes: usize,
}

/// What a frame from the peer means.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Received<'a> {
    /// A message to be processed now; its acknowledgement is already due.
    Message {
        /// The message's number, never a split container's.
        id: u16,
        /// Its body, borrowed unless it was split.
        body: Cow<'a, [u8]>,
    },
    /// The peer has our message: proof that it reads what we send.
    Acknowledged {
        /// The acknowledged message, [`id::SPLIT`] for a part.
        id: u16,
    },
    /// An acknowledgement of something that is not outstanding and was not acknowledged just before.
    ///
    /// Shipped programs never send one; who guesses counters does.
    WrongAcknowledgement,
    /// A repetition; at most another acknowledgement is due.
    Duplicate,
    /// A part of a split message whose other parts are missing.
    Part,
    /// An acknowledgement or a part without meaning.
    Malformed,
}

/// Counters of one [`Reliable`] end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ReliableStats {
    /// Frames sent for the first time.
    pub sent: u64,
    /// Frames sent again.
    pub retransmitted: u64,
    /// Messages and parts taken from the peer.
    pub received: u64,
    /// Repetitions from the peer.
    pub duplicates: u64,
    /// Acknowledgements that matched nothing.
    pub wrong_acknowledgements: u64,
    /// Queued messages replaced by newer ones.
    pub superseded: u64,
}

/// One end of the acknowledged message exchange with one peer.
///
/// ```text
///   send() ──▶ queue ──▶ outstanding ──frame──▶ peer          at most one outstanding, again after 400 ms
///                            ▲   acknowledgement │
///                            └───────────────────┘
///   peer ──frame──▶ duplicate filter ──▶ reassembly ──▶ Received::Message      acknowledgement is due
/// ```
///
/// Frames are built when they are sent, so that a message queued before the peer said that it takes split messages
/// is split nevertheless. Connectionless frames must not be given to this type.
///
/// After [`Reliable::handle_frame`], [`Reliable::send`] or when [`Reliable::poll_timeout`] is due, drain
/// [`Reliable::poll_transmit`] until `None`, then ask [`Reliable::is_exhausted`] if attempts are limited.
#[derive(Debug)]
pub struct Reliable {
    limits: ReliableLimits,
    queue: VecDeque<Queued>,
    outstanding: Option<Outstanding>,
    queue_bytes: usize,
    counter_next: u8,
    received_last: (u16, u8),
    acknowledged_last: Option<(u16, u8)>,
    acknowledgements: SmallVec<[(u16, u8); 4]>,
    split_allowed: bool,
    assembly: Assembly,
    exhausted: bool,
    stats: ReliableStats,
}

#[derive(Debug)]
struct Queued {
    id: u16,
    body: Bytes,
    /// A newer message of the same kind replaces it.
    latest: bool,
}

#[derive(Debug)]
struct Outstanding {
    id: u16,
    body: Bytes,
    /// Index and number of parts, if the message is split.
    part: Option<(u8, u8)>,
    counter: u8,
    attempts: u32,
    sent_at: Instant,
}

impl Outstanding {
    fn wire_id(&self) -> u16 {
        if self.part.is_some() { id::SPLIT } else { self.id }
    }

    fn frame(&self, writer: &mut FrameWriter) -> Bytes {
        let Some((index, total)) = self.part else {
            return writer.frame(self.id, self.counter, &self.body);
        };
        let data = self.body.chunks(PART_BYTES).nth(usize::from(index)).unwrap_or_default();
        writer.frame_with(id::SPLIT, self.counter, |writer| {
            writer.put_u16(self.id);
            writer.put_u8(total);
            writer.put_u8(index);
            writer.put_bytes(data);
        })
    }
}

impl Reliable {
    /// Acknowledgements that may wait for [`Reliable::poll_transmit`]; the peer repeats what is not acknowledged.
    const ACKNOWLEDGEMENTS_MAX: usize = 16;

    /// An end whose first message carries `counter_first`.
    ///
    /// Shipped programs start at 0. A value that the peer cannot guess makes the first acknowledgement a proof that
    /// the peer's address is genuine (spec 10.6).
    #[must_use]
    pub fn new(limits: ReliableLimits, counter_first: u8) -> Self {
        Self {
            limits,
            queue: VecDeque::new(),
            outstanding: None,
            queue_bytes: 0,
            counter_next: counter_first,
            received_last: (0, 0),
            acknowledged_last: None,
            acknowledgements: SmallVec::new(),
            split_allowed: false,
            assembly: Assembly::default(),
            exhausted: false,
            stats: ReliableStats::default(),
        }
    }

    /// Queues a message.
    ///
    /// # Errors
    /// [`QueueFull`] if a limit would be exceeded; the message is not queued, and the peer should be given up.
    pub fn send(&mut self, message: &Message, writer: &mut FrameWriter) -> Result<(), QueueFull> {
        self.send_body(message.id(), message.body(writer))
    }

    /// Queues a message that makes an older one of the same kind useless, like a client list.
    ///
    /// The older one is taken from the queue, unless it is outstanding already or was queued by another method. So a
    /// slow peer gets the newest list instead of all of them.
    ///
    /// # Errors
    /// As [`Reliable::send`].
    pub fn send_latest(&mut self, message: &Message, writer: &mut FrameWriter) -> Result<(), QueueFull> {
        self.send_latest_body(message.id(), message.body(writer))
    }

    /// As [`Reliable::send`], with a body that may be shared by many peers.
    ///
    /// # Errors
    /// As [`Reliable::send`].
    pub fn send_body(&mut self, id: u16, body: Bytes) -> Result<(), QueueFull> {
        self.enqueue(Queued { id, body, latest: false })
    }

    /// As [`Reliable::send_latest`], with a body that may be shared by many peers.
    ///
    /// # Errors
    /// As [`Reliable::send`].
    pub fn send_latest_body(&mut self, id: u16, body: Bytes) -> Result<(), QueueFull> {
        let older = self.queue.iter().position(|queued| queued.latest && queued.id == id);
        if let Some(older) = older.and_then(|at| self.queue.remove(at)) {
            self.queue_bytes = self.queue_bytes.saturating_sub(older.body.len());
            self.stats.superseded = self.stats.superseded.saturating_add(1);
        }
        self.enqueue(Queued { id, body, latest: true })
    }

    fn enqueue(&mut self, queued: Queued) -> Result<(), QueueFull> {
        let messages = self.queue_messages();
        let bytes = self.queue_bytes;
        if messages >= self.limits.queue_messages_max
            || bytes.saturating_add(queued.body.len()) > self.limits.queue_bytes_max
        {
            return Err(QueueFull { messages, bytes });
        }
        self.queue_bytes = self.queue_bytes.saturating_add(queued.body.len());
        self.queue.push_back(queued);
        Ok(())
    }

    /// Whether a message with this number and counter would begin the peer's count anew, although it had got further:
    /// the sign of a program that was started again.
    #[must_use]
    pub fn begins_anew(&self, id: u16, counter: u8) -> bool {
        let last = self.received_last;
        counter == 0 && last != (0, 0) && last != (id, 0) && last.1 != u8::MAX
    }

    /// Whether a message with this counter would be the next of the peer's count.
    pub(crate) const fn continues(&self, counter: u8) -> bool {
        counter == self.received_last.1.wrapping_add(1)
    }

    /// Takes a frame from the peer.
    ///
    /// Every message, also an unknown or malformed one, is acknowledged (spec 1.4): that is what lets new programs
    /// talk to old ones.
    pub fn handle_frame<'a>(&mut self, frame: &Frame<'a>) -> Received<'a> {
        if frame.id == id::ACKN {
            return self.on_acknowledgement(frame);
        }
        let pair = (frame.id, frame.counter);
        if self.acknowledgements.len() < Self::ACKNOWLEDGEMENTS_MAX {
            self.acknowledgements.push(pair);
        }
        if pair == self.received_last {
            self.stats.duplicates = self.stats.duplicates.saturating_add(1);
            return Received::Duplicate;
        }
        self.received_last = pair;
        self.stats.received = self.stats.received.saturating_add(1);
        if frame.id != id::SPLIT {
            self.assembly.clear();
            return Received::Message { id: frame.id, body: Cow::Borrowed(frame.body) };
        }
        match self.assembly.push(frame.body) {
            Part::Stored => Received::Part,
            Part::Complete { id, body } => Received::Message { id, body: Cow::Owned(body) },
            Part::Refused => Received::Malformed,
        }
    }

    fn on_acknowledgement<'a>(&mut self, frame: &Frame<'a>) -> Received<'a> {
        let Ok(acknowledged) = <[u8; 2]>::try_from(frame.body).map(u16::from_le_bytes) else {
            return Received::Malformed;
        };
        let pair = (acknowledged, frame.counter);
        let matching = self.outstanding.take_if(|outstanding| {
            outstanding.attempts > 0 && (outstanding.wire_id(), outstanding.counter) == pair
        });
        let Some(delivered) = matching else {
            if self.acknowledged_last == Some(pair) {
                self.stats.duplicates = self.stats.duplicates.saturating_add(1);
                return Received::Duplicate;
            }
            self.stats.wrong_acknowledgements = self.stats.wrong_acknowledgements.saturating_add(1);
            return Received::WrongAcknowledgement;
        };
        self.acknowledged_last = Some(pair);
        let next = delivered.part.map(|(index, total)| (index.saturating_add(1), total));
        match next.filter(|(index, total)| index < total) {
            Some(part) => {
                let counter = self.take_counter();
                self.outstanding = Some(Outstanding { part: Some(part), counter, attempts: 0, ..delivered });
            }
            None => self.queue_bytes = self.queue_bytes.saturating_sub(delivered.body.len()),
        }
        Received::Acknowledged { id: acknowledged }
    }

    /// The next datagram for the peer, until `None`.
    ///
    /// A message that can go out for the first time precedes the acknowledgements that are due, as in shipped
    /// programs (spec 1.5).
    pub fn poll_transmit(&mut self, now: Instant, writer: &mut FrameWriter) -> Option<Bytes> {
        self.start_next(now);
        if let Some(outstanding) = self.outstanding.as_mut().filter(|outstanding| outstanding.attempts == 0) {
            self.stats.sent = self.stats.sent.saturating_add(1);
            outstanding.attempts = 1;
            outstanding.sent_at = now;
            return Some(outstanding.frame(writer));
        }
        if let Some(&(acknowledged, counter)) = self.acknowledgements.first() {
            self.acknowledgements.remove(0);
            return Some(writer.frame(id::ACKN, counter, &acknowledged.to_le_bytes()));
        }
        self.retransmit(now, writer)
    }

    fn start_next(&mut self, now: Instant) {
        if self.outstanding.is_some() {
            return;
        }
        let Some(Queued { id, body, .. }) = self.queue.pop_front() else { return };
        let part = if self.split_allowed { parts_of(body.len()).map(|total| (0, total)) } else { None };
        let counter = self.take_counter();
        self.outstanding = Some(Outstanding { id, body, part, counter, attempts: 0, sent_at: now });
    }

    fn retransmit(&mut self, now: Instant, writer: &mut FrameWriter) -> Option<Bytes> {
        if self.poll_timeout()? > now {
            return None;
        }
        let outstanding = self.outstanding.as_mut()?;
        if self.limits.attempts_max.is_some_and(|attempts_max| outstanding.attempts >= attempts_max) {
            self.exhausted = true;
            return None;
        }
        self.stats.retransmitted = self.stats.retransmitted.saturating_add(1);
        outstanding.attempts = outstanding.attempts.saturating_add(1);
        outstanding.sent_at = now;
        Some(outstanding.frame(writer))
    }

    fn take_counter(&mut self) -> u8 {
        let counter = self.counter_next;
        self.counter_next = counter.wrapping_add(1);
        counter
    }

    /// When [`Reliable::poll_transmit`] has to be called again.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.exhausted {
            return None;
        }
        // Beyond the end of time means never.
        self.outstanding.as_ref()?.sent_at.checked_add(self.limits.retransmit_after)
    }

    /// Whether a message stayed unacknowledged after [`ReliableLimits::attempts_max`] attempts: give the peer up.
    #[must_use]
    pub const fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// Bounds the attempts from now on, for instance generously once the peer has proven its address.
    pub const fn set_attempts_max(&mut self, attempts_max: Option<u32>) {
        self.limits.attempts_max = attempts_max;
    }

    /// Chooses the counter of the next message.
    ///
    /// Receivers compare only with the message before (spec 1.5), so a jump is legal as long as the next message does
    /// not repeat number and counter of the last one. A server makes a newcomer prove its address with it.
    pub const fn set_counter_next(&mut self, counter: u8) {
        self.counter_next = counter;
    }

    /// Bytes on the heap: bodies that wait, and the parts of a message that is being put together.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let slots = self.queue.capacity().saturating_mul(size_of::<Queued>());
        slots.saturating_add(self.queue_bytes).saturating_add(self.assembly.memory_bytes())
    }

    /// The peer said that it takes split messages (35 at a server, 34 at a client).
    pub const fn allow_split(&mut self) {
        self.split_allowed = true;
    }

    /// Starts over as for a new peer (spec 1.5): nothing queued, nothing remembered. Counters of [`Reliable::stats`]
    /// and limits stay.
    pub fn reset(&mut self, counter_first: u8) {
        let stats = self.stats;
        *self = Self { stats, ..Self::new(self.limits, counter_first) };
    }

    /// Messages waiting or outstanding.
    #[must_use]
    pub fn queue_messages(&self) -> usize {
        self.queue.len().saturating_add(usize::from(self.outstanding.is_some()))
    }

    /// A copy of the counters.
    #[must_use]
    pub const fn stats(&self) -> ReliableStats {
        self.stats
    }
}

#[cfg(test)]
mod tests;
