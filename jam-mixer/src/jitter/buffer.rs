//! The buffer itself: where a block goes and what a get answers.

mod adapt;

use adapt::NEVER_LATE;
use jam_proto::{AudioProps, JitterSize, Sequence};

use super::lateness::Lateness;
use super::ring::{Ring, SLOTS, Seen};
use super::{JitterConfig, JitterStats, Put, Slot};

/// The largest size a client can choose or be told (spec 4.1).
const SIZE_MAX: i64 = 20;
/// Without an arrival for this many gets the stream is paused. Beyond 128 the sequence byte is ambiguous.
const PAUSE_GETS: i64 = 128;
/// After a stall of the mixer this long the position is found anew: what waits in the sockets is as old, and numbers
/// that old are taken for young ones.
const SKIP_MAX: i64 = 100;
/// So many gets in a row that saw arrivals, but only unusable ones, mean that the sender's position has jumped.
const RESYNC_GETS: u32 = 4;
/// Periods of the histogram per second.
const PERIODS_PER_S: i64 = 2;
/// Gets between two forced changes of the play position.
const MOVE_GAP_GETS: i64 = 4;

/// The buffer of one channel's received blocks; see the [module](super).
///
/// Contract: feed every audio datagram to [`put`](Self::put) and call [`get`](Self::get) exactly once per block
/// period (a tick with two blocks calls it twice). Neither allocates. Nothing a peer sends makes the buffer hold
/// more than [`memory_bytes`](Self::memory_bytes), which is 24 blocks and about 3 KiB.
#[derive(Clone, Debug)]
pub struct JitterBuffer {
    ring: Ring,
    sequence: Sequence,
    wire_block_bytes: usize,
    datagram_bytes: usize,
    /// What arrives at once at best: the blocks of a datagram or of a tick.
    batch: i64,
    blocks_per_tick: i64,
    /// The wait of the very first automatic block: 2.7 ms.
    start_offset: i64,
    /// Arrivals closer to the deadline than this are counted as if they had missed it.
    guard_us: u32,
    block_us: u32,
    delay_price: f32,
    auto_size_max: i64,
    size: JitterSize,

    phase: Phase,
    /// Number of the coming get.
    gets: i64,
    /// Sequence number that the coming get plays.
    next: i64,
    /// Sequence number of the youngest block played or given up for good.
    played: i64,
    seen: Seen,
    /// The get before which the last block arrived.
    last_arrival: i64,
    /// The position was set before this get.
    anchored: i64,
    outside: Outside,
    /// The get before which the last late block arrived, and by how much it was late.
    last_late: (i64, i64),

    lateness: Lateness,
    period_gets: i64,
    period_left: i64,
    /// Blocks by which the play offset is to change: positive rises, negative falls.
    pending: i64,
    /// The get from which a pending change may be forced.
    move_from: i64,
    is_quiet: bool,
    /// Periods since the start, since the last rise, since the last fall.
    age: u32,
    since_rise: u32,
    since_fall: u32,

    /// The automatic size last announced.
    announced: Option<u8>,
    resized: Option<u8>,
    smaller_for: u32,
    smaller_max: u8,
    wait_us: f32,
    stats: JitterStats,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// No play position: before the first block and during a pause.
    Idle,
    /// Blocks are being played.
    Running,
}

/// A run of arrivals that could not be used.
#[derive(Clone, Copy, Debug)]
struct Outside {
    /// Gets that saw only such arrivals.
    gets: u32,
    last_get: i64,
    /// The largest distance from the play position so far, and the get that first saw it.
    best: i64,
    best_get: i64,
}

impl Outside {
    const NONE: Self = Self { gets: 0, last_get: -1, best: i64::MIN, best_get: 0 };
}

/// What a get found.
enum Found {
    Block(i64),
    Splice(Option<i64>, i64),
    Lost,
}

impl JitterBuffer {
    /// An empty buffer for a stream.
    ///
    /// `blocks_per_tick` is how many gets the mixer makes at a time: 2 for 64-sample blocks on a 128-sample tick,
    /// otherwise 1. This is the only allocation: 24 slots of `props.block_bytes`, which the caller has checked to be
    /// a size it serves.
    #[must_use]
    pub fn new(props: &AudioProps, blocks_per_tick: u8, size: JitterSize, config: &JitterConfig) -> Self {
        let samples = props.codec.samples() as i64;
        let block_us = (samples * 1_000_000 / 48_000) as u32;
        let blocks_per_tick = i64::from(blocks_per_tick.max(1));
        let batch = blocks_per_tick.max(props.factor.blocks() as i64);
        let start_offset = 128 / samples;
        let period_gets = 48_000 / samples / PERIODS_PER_S;
        let auto_size_max = i64::from(config.auto_size_max).clamp(1, SIZE_MAX);
        Self {
            ring: Ring::new(usize::from(props.block_bytes)),
            sequence: props.sequence,
            wire_block_bytes: props.wire_block_bytes().max(1),
            datagram_bytes: props.datagram_bytes(),
            batch,
            blocks_per_tick,
            start_offset,
            guard_us: block_us / 32,
            block_us,
            delay_price: config.delay_price.clamp(0.000_01, 0.1),
            auto_size_max,
            size,
            phase: Phase::Idle,
            gets: 0,
            next: 0,
            played: -1,
            seen: Seen::starting_with(0),
            last_arrival: 0,
            anchored: 0,
            outside: Outside::NONE,
            last_late: NEVER_LATE,
            lateness: Lateness::new(),
            period_gets,
            period_left: period_gets,
            pending: 0,
            move_from: 0,
            is_quiet: false,
            age: 0,
            since_rise: 0,
            since_fall: u32::MAX,
            announced: None,
            resized: None,
            smaller_for: 0,
            smaller_max: 0,
            wait_us: 0.0,
            stats: JitterStats::default(),
        }
    }

    /// Takes one received datagram; the only copy between the socket and the decoder is made here.
    ///
    /// `lead_us` is how long before the coming get it arrived, in microseconds, if that is known. With it the buffer
    /// keeps a thin margin (1/32 block) before the deadline and its delay estimate is exact.
    pub fn put(&mut self, datagram: &[u8], lead_us: Option<u32>) -> Put {
        if datagram.len() != self.datagram_bytes {
            self.stats.datagrams_wrong_size += 1;
            return Put::WrongSize;
        }
        let mut outcome = Put::Unused;
        for wire in datagram.chunks_exact(self.wire_block_bytes) {
            self.stats.blocks_received += 1;
            let stored = match self.sequence {
                Sequence::With => match wire.split_last() {
                    Some((&number, block)) => self.put_numbered(number, block, lead_us),
                    None => false,
                },
                Sequence::Without => self.put_counted(wire, lead_us),
            };
            if stored {
                outcome = Put::Stored;
            }
        }
        self.last_arrival = self.gets;
        outcome
    }

    /// Takes the block of the coming block period.
    ///
    /// The play position always moves on by one block period, except when the answer is [`Slot::Lost`] because the
    /// delay grows by one block.
    pub fn get(&mut self) -> Slot<'_> {
        let found = self.find();
        self.gets += 1;
        self.period_left -= 1;
        if self.period_left <= 0 {
            self.period_left = self.period_gets;
            self.end_period();
        }
        match found {
            Found::Block(seq) => Slot::Block(self.ring.bytes(seq)),
            Found::Splice(first, second) => {
                Slot::Splice { first: first.map(|seq| self.ring.bytes(seq)), second: self.ring.bytes(second) }
            }
            Found::Lost => Slot::Lost,
        }
    }

    /// Lets `blocks` block periods pass that the mixer will not play, after it has been stalled: delay does not grow.
    pub fn skip(&mut self, blocks: u32) {
        let blocks = i64::from(blocks);
        self.gets += blocks;
        self.stats.blocks_skipped += blocks as u64;
        // A pause is a pause of the sender; a long stall of the mixer is none.
        self.last_arrival += blocks;
        if blocks >= SKIP_MAX {
            self.phase = Phase::Idle;
            self.ring.clear();
            return;
        }
        if self.phase == Phase::Running {
            // Without numbers only what is in the buffer can be passed over.
            let passed = match self.sequence {
                Sequence::With => blocks,
                Sequence::Without => blocks.min(self.seen.newest() + 1 - self.next).max(0),
            };
            for seq in self.next..self.next + passed.min(SLOTS as i64) {
                self.discard(seq);
            }
            self.next += passed;
            self.played = self.next - 1;
        }
    }

    /// Tells whether the channel is silent at the moment; a due splice waits a little for that.
    pub const fn set_quiet(&mut self, is_quiet: bool) {
        self.is_quiet = is_quiet;
    }

    /// Changes the size (message 10); buffered blocks are kept as far as they fit.
    pub fn set_size(&mut self, size: JitterSize) {
        if size == self.size {
            return;
        }
        self.size = size;
        self.pending = 0;
        self.resized = None;
        match size {
            JitterSize::Auto => {
                // What is in use is announced after the first period, whatever was announced before.
                self.announced = None;
                self.restart_window();
            }
            JitterSize::Blocks(_) => {
                if self.phase == Phase::Running {
                    self.push_out(self.seen.newest() - self.limit() + 1);
                }
            }
        }
    }

    /// The size that was set.
    #[must_use]
    pub const fn size(&self) -> JitterSize {
        self.size
    }

    /// The size in blocks to show to users, 1..=20: the number set, or for [`JitterSize::Auto`] the smallest manual
    /// size with the delay and tolerance now in use. It changes seldom: at once upwards, after 15 s downwards.
    #[must_use]
    pub fn auto_size(&self) -> u8 {
        match (self.size, self.announced) {
            (JitterSize::Blocks(blocks), _) => blocks,
            (JitterSize::Auto, Some(blocks)) => blocks,
            (JitterSize::Auto, None) => (self.start_offset + self.batch).min(self.auto_size_max) as u8,
        }
    }

    /// The automatic size if it has changed since this was last asked, to be announced with message 10.
    pub const fn take_resized(&mut self) -> Option<u8> {
        self.resized.take()
    }

    /// Average time a block waits here, in microseconds, over about the last 128 blocks.
    #[must_use]
    pub const fn wait_us(&self) -> u32 {
        self.wait_us as u32
    }

    /// Blocks in the buffer.
    #[must_use]
    pub fn buffered(&self) -> usize {
        (self.next..self.next + SLOTS as i64).filter(|&seq| self.ring.contains(seq)).count()
    }

    /// The counters.
    #[must_use]
    pub const fn stats(&self) -> JitterStats {
        self.stats
    }

    /// Memory held: constant from construction on.
    #[must_use]
    pub const fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.ring.memory_bytes() + Lateness::memory_bytes()
    }

    /// The same for blocks of at most `block_bytes`.
    #[must_use]
    pub(crate) const fn memory_bytes_max(block_bytes: usize) -> usize {
        size_of::<Self>() + Ring::memory_bytes_max(block_bytes) + Lateness::memory_bytes()
    }

    fn put_numbered(&mut self, number: u8, block: &[u8], lead_us: Option<u32>) -> bool {
        let ahead = i64::from(number.wrapping_sub(self.next as u8) as i8);
        let seq = self.next + ahead;
        let is_far = ahead >= SLOTS as i64 || ahead < -SIZE_MAX - SLOTS as i64;
        if self.phase == Phase::Idle || (is_far && self.is_fresh()) {
            self.anchor(seq);
            return self.accept(seq, block, lead_us);
        }
        if is_far {
            self.stats.blocks_stray += 1;
            return self.note_outside(ahead) && self.resync(seq, block, lead_us);
        }
        match self.seen.note(seq) {
            None => {
                self.stats.blocks_duplicate += 1;
                false
            }
            Some(lost) => {
                self.stats.blocks_lost += u64::from(lost);
                if ahead >= 0 { self.accept(seq, block, lead_us) } else { self.put_late(seq, block, lead_us) }
            }
        }
    }

    /// Without sequence numbers the order of arrival is the order (spec 4.2).
    fn put_counted(&mut self, block: &[u8], lead_us: Option<u32>) -> bool {
        let seq = self.seen.newest() + 1;
        if self.phase == Phase::Idle {
            self.anchor(seq);
        } else {
            self.seen.note(seq);
        }
        self.accept(seq, block, lead_us)
    }

    /// Stores a block whose turn is still to come.
    fn accept(&mut self, seq: i64, block: &[u8], lead_us: Option<u32>) -> bool {
        self.outside = Outside::NONE;
        self.ring.store(seq, block);
        let wait_us = (seq - self.next) as f32 * self.block_us as f32
            + lead_us.map_or(self.blocks_per_tick as f32 * self.block_us as f32 / 2.0, |lead| lead as f32);
        self.wait_us += (wait_us - self.wait_us) / 128.0;
        let lateness = self.note_lateness(seq, lead_us);
        if self.is_fresh() && !self.is_manual() {
            // A backlog right after a pause: the youngest block counts.
            self.push_out(seq - self.start_ahead() - self.batch + 1);
        } else if self.is_manual() || self.sequence == Sequence::Without {
            self.push_out(seq - self.limit() + 1);
        } else if lateness > self.offset() + self.pending {
            self.consider_rise(lateness);
        }
        true
    }

    /// A block whose turn is over. It is used only if nothing younger has been played: then the gets since its turn
    /// were all concealed, and playing it now costs delay but no further sound.
    fn put_late(&mut self, seq: i64, block: &[u8], lead_us: Option<u32>) -> bool {
        let by = self.next - seq;
        let lateness = self.note_lateness(seq, lead_us);
        let fits = seq > self.played && self.seen.newest() - seq < self.limit();
        if self.is_manual() && fits {
            self.next = seq;
            self.pending = 0;
            return self.store_late(seq, block);
        }
        self.consider_rise(lateness);
        if !self.is_manual() && fits && self.pending >= by {
            self.pending -= by;
            self.next = seq;
            return self.store_late(seq, block);
        }
        self.stats.blocks_late += 1;
        self.note_outside(-by) && self.resync(seq, block, lead_us)
    }

    fn store_late(&mut self, seq: i64, block: &[u8]) -> bool {
        self.outside = Outside::NONE;
        self.ring.store(seq, block);
        self.lateness.follow(self.offset());
        true
    }

    /// Counts unusable arrivals; true when they have become the rule. Late ones must not be catching up any more: a
    /// backlog that drains over some milliseconds is not a new position.
    fn note_outside(&mut self, ahead: i64) -> bool {
        let run = &mut self.outside;
        if ahead > run.best {
            (run.best, run.best_get) = (ahead, self.gets);
        }
        if run.last_get != self.gets {
            run.gets += 1;
            run.last_get = self.gets;
        }
        let catches_up = ahead < 0 && self.gets - run.best_get < i64::from(RESYNC_GETS);
        run.gets >= RESYNC_GETS && !catches_up
    }

    fn resync(&mut self, seq: i64, block: &[u8], lead_us: Option<u32>) -> bool {
        self.anchor(seq);
        self.accept(seq, block, lead_us)
    }

    /// Sets the play position so that `seq` waits for the start offset.
    fn anchor(&mut self, seq: i64) {
        for held in self.next..self.next + SLOTS as i64 {
            self.discard(held);
        }
        self.ring.clear();
        self.phase = Phase::Running;
        self.next = seq - self.start_ahead();
        self.played = self.next - 1;
        self.seen = Seen::starting_with(seq);
        self.anchored = self.gets;
        self.outside = Outside::NONE;
        self.stats.resyncs += 1;
        self.restart_window();
    }

    /// Whether nothing has been played since the play position was set.
    const fn is_fresh(&self) -> bool {
        self.gets == self.anchored
    }

    /// How many block periods the first block waits.
    pub(super) fn start_ahead(&self) -> i64 {
        match self.size {
            JitterSize::Auto => self.start_offset,
            JitterSize::Blocks(_) => (self.limit() / 2).min(self.start_offset),
        }
    }

    /// The most blocks that may be in the buffer.
    fn limit(&self) -> i64 {
        match self.size {
            JitterSize::Auto => self.auto_size_max,
            JitterSize::Blocks(blocks) => i64::from(blocks).clamp(1, SIZE_MAX),
        }
        .max(self.batch)
    }

    const fn is_manual(&self) -> bool {
        matches!(self.size, JitterSize::Blocks(_))
    }

    /// The play offset: blocks up to this lateness are in time.
    const fn offset(&self) -> i64 {
        self.gets - self.next
    }

    fn note_lateness(&mut self, seq: i64, lead_us: Option<u32>) -> i64 {
        let guarded = lead_us.is_some_and(|lead| lead < self.guard_us);
        let lateness = self.gets - seq + if guarded { self.blocks_per_tick } else { 0 };
        self.lateness.record(lateness);
        lateness
    }

    /// Discards blocks so that `first` is the oldest kept.
    fn push_out(&mut self, first: i64) {
        if first <= self.next {
            return;
        }
        for seq in self.next..first.min(self.next + SLOTS as i64) {
            self.discard(seq);
        }
        self.next = first;
        self.played = self.played.max(first - 1);
        self.pending = self.pending.max(0);
    }

    fn discard(&mut self, seq: i64) {
        if self.ring.take(seq) {
            self.stats.blocks_dropped += 1;
        }
    }

    fn find(&mut self) -> Found {
        if self.phase == Phase::Running && self.gets - self.last_arrival >= PAUSE_GETS {
            self.phase = Phase::Idle;
            self.ring.clear();
        }
        if self.phase == Phase::Idle {
            self.stats.blocks_idle += 1;
            return Found::Lost;
        }
        let has_next = self.ring.contains(self.next);
        if self.sequence == Sequence::Without && self.seen.newest() < self.next {
            // Nothing can be missing in the middle: the buffer has run dry. Perhaps a block was late, perhaps lost;
            // in both cases the blocks to come have this get's position, as if none had been missing.
            self.pending = 0;
            self.lateness.slide(1);
            self.note_rise();
            return self.wait();
        }
        if self.pending > 0 && (!has_next || self.gets >= self.move_from) {
            self.pending -= 1;
            self.move_from = self.gets + MOVE_GAP_GETS;
            return self.wait();
        }
        if self.pending < 0
            && let Some(found) = self.find_shorter(has_next)
        {
            return found;
        }
        self.play_next()
    }

    /// A get that does not move the play position.
    fn wait(&mut self) -> Found {
        self.stats.blocks_concealed += 1;
        Found::Lost
    }

    /// Tries to make the buffer one block shorter.
    fn find_shorter(&mut self, has_next: bool) -> Option<Found> {
        let (first, second) = (self.next, self.next + 1);
        let has_second = self.ring.contains(second);
        match (has_next, has_second) {
            // Two lost in a row become one.
            (false, false) => {
                self.pending += 1;
                self.next += 1;
                None
            }
            (true, false) => None,
            (true, true) if !self.is_quiet && self.gets < self.move_from => None,
            (_, true) => {
                self.pending += 1;
                self.move_from = self.gets + MOVE_GAP_GETS;
                self.ring.take(second);
                self.discard(first);
                self.next += 2;
                self.played = second;
                Some(Found::Splice(has_next.then_some(first), second))
            }
        }
    }

    fn play_next(&mut self) -> Found {
        let seq = self.next;
        self.next += 1;
        if self.ring.take(seq) {
            self.played = seq;
            Found::Block(seq)
        } else {
            self.stats.blocks_concealed += 1;
            Found::Lost
        }
    }
}
