//! What one musician receives: counts, gaps and timing of the audio datagrams.

use jam_proto::AudioProps;

use crate::clock::Nanos;
use crate::histogram::Histogram;

/// The mixing period of a server that was not started with `-F`; an OPUS64 listener gets two datagrams per period.
const TICK_NANOS: i64 = 2_666_667;
/// How much later than that a datagram may come.
const GRACE_NANOS: i64 = 1_000_000;
/// Lateness is judged against the earliest datagram of this many nanoseconds.
const WINDOW_NANOS: i64 = 1_000_000_000;
/// A stream that has been silent for longer than this when counting ends has lost what was due; less may be a delay.
const SILENCE_NANOS: i64 = 100_000_000;
/// Beyond this many blocks without an arrival the sequence byte alone does not tell how many are missing.
const AMBIGUOUS_BLOCKS: i64 = 100;

/// Counts of one listener, or of all together.
#[derive(Clone, Debug, Default)]
pub(crate) struct StreamStats {
    /// Audio datagrams of the right size.
    pub(crate) received: u64,
    /// Datagrams that never came, by their sequence bytes and, where the stream stopped, by the time.
    pub(crate) lost: u64,
    /// Datagrams that came after a later one.
    pub(crate) reordered: u64,
    /// Datagrams that came more than a tick and 1 ms behind the schedule of the earliest ones.
    pub(crate) late: u64,
    /// Audio of a size that does not fit the format.
    pub(crate) wrong_size: u64,
    /// Time between two arrivals.
    pub(crate) gaps: Histogram,
}

impl StreamStats {
    pub(crate) fn merge(&mut self, other: &Self) {
        self.received += other.received;
        self.lost += other.lost;
        self.reordered += other.reordered;
        self.late += other.late;
        self.wrong_size += other.wrong_size;
        self.gaps.merge(&other.gaps);
    }
}

/// Follows one listener's audio.
#[derive(Debug)]
pub(crate) struct Stream {
    props: AudioProps,
    stats: StreamStats,
    wrong_size_before: u64,
    /// Position of the newest datagram, counted in datagrams since the start.
    newest: Option<i64>,
    /// The sequence byte of that datagram's first block.
    sequence: u8,
    last_arrival: Option<Nanos>,
    counting_since: Option<Nanos>,
    /// Arrival minus position times period, of the current window.
    offsets: Vec<i64>,
    window_start: Option<Nanos>,
    period_nanos: i64,
}

impl Stream {
    pub(crate) fn new(props: AudioProps) -> Self {
        let samples = (props.codec.samples() * props.factor.blocks()) as i64;
        Self {
            props,
            stats: StreamStats::default(),
            wrong_size_before: 0,
            newest: None,
            sequence: 0,
            last_arrival: None,
            counting_since: None,
            offsets: Vec::new(),
            window_start: None,
            period_nanos: samples * 1_000_000_000 / 48_000,
        }
    }

    /// Forgets what was counted, not where the stream stands. The client counts datagrams of a wrong size.
    pub(crate) fn restart_counting(&mut self, now: Nanos, wrong_size: u64) {
        self.counting_since = Some(now);
        self.stats = StreamStats::default();
        self.wrong_size_before = wrong_size;
        self.offsets.clear();
        self.window_start = None;
    }

    /// One audio datagram of the stream's format, stamped by the kernel. Returns its position, counted in datagrams, if it is in order.
    pub(crate) fn on_audio(&mut self, arrival: Nanos, datagram: &[u8]) -> Option<i64> {
        let sequence = *datagram.get(self.props.wire_block_bytes() - 1)?;
        self.stats.received += 1;
        let gap = self.last_arrival.replace(arrival).map(|last| arrival.since(last));
        gap.into_iter().for_each(|gap| self.stats.gaps.add(gap));
        let blocks = self.props.factor.blocks() as i64;
        let (position, in_order) = match self.newest {
            None => (0, true),
            Some(newest) => {
                let step = self.steps(sequence, gap.unwrap_or(0)).div_euclid(blocks);
                if step <= 0 {
                    self.stats.reordered += 1;
                    self.stats.lost = self.stats.lost.saturating_sub(u64::from(step < 0));
                } else {
                    self.stats.lost += (step - 1) as u64;
                }
                (newest + step, step > 0)
            }
        };
        if in_order {
            self.newest = Some(position);
            self.sequence = sequence;
        }
        self.judge_lateness(arrival, position);
        in_order.then_some(position)
    }

    /// Blocks from the newest one to the one with this sequence byte, which comes `gap` nanoseconds after the last.
    fn steps(&self, sequence: u8, gap: i64) -> i64 {
        let near = i64::from(sequence.wrapping_sub(self.sequence).cast_signed());
        let passed = gap * self.props.factor.blocks() as i64 / self.period_nanos;
        if passed < AMBIGUOUS_BLOCKS {
            return near;
        }
        near + (passed - near + 128).div_euclid(256) * 256
    }

    fn judge_lateness(&mut self, arrival: Nanos, position: i64) {
        let start = *self.window_start.get_or_insert(arrival);
        if arrival.since(start) >= WINDOW_NANOS {
            self.close_window();
            self.window_start = Some(arrival);
        }
        self.offsets.push(arrival.0 - position * self.period_nanos);
    }

    fn close_window(&mut self) {
        let Some(&earliest) = self.offsets.iter().min() else { return };
        let limit = earliest + self.period_nanos.max(TICK_NANOS) + GRACE_NANOS;
        self.stats.late += self.offsets.iter().filter(|&&offset| offset > limit).count() as u64;
        self.offsets.clear();
    }

    /// The counts since the last restart. A stream that stopped is missing what was due until now.
    pub(crate) fn finish(&mut self, now: Nanos, wrong_size: u64) -> StreamStats {
        self.close_window();
        let silence = self.last_arrival.max(self.counting_since).map_or(0, |since| now.since(since));
        let missing = if self.newest.is_some() && silence > SILENCE_NANOS {
            (silence / self.period_nanos) as u64
        } else {
            0
        };
        StreamStats {
            wrong_size: wrong_size - self.wrong_size_before,
            lost: self.stats.lost + missing,
            ..self.stats.clone()
        }
    }

    pub(crate) fn received(&self) -> u64 {
        self.stats.received
    }
}

#[cfg(test)]
mod tests {
    use jam_proto::{BlockCodec, BlockFactor, Layout, Sequence};

    use super::*;

    fn props(factor: BlockFactor) -> AudioProps {
        AudioProps {
            codec: BlockCodec::Opus,
            layout: Layout::Mono,
            block_bytes: 25,
            factor,
            sequence: Sequence::With,
        }
    }

    fn datagram(props: &AudioProps, first: u8) -> Vec<u8> {
        (0..props.factor.blocks() as u8)
            .flat_map(|b| [vec![0; 25], vec![first.wrapping_add(b)]].concat())
            .collect()
    }

    /// Feeds (arrival in microseconds, sequence byte) and returns the counts.
    fn feed(factor: BlockFactor, arrivals: &[(i64, u8)]) -> StreamStats {
        let props = props(factor);
        let mut stream = Stream::new(props);
        for &(micros, sequence) in arrivals {
            stream.on_audio(Nanos(micros * 1000), &datagram(&props, sequence));
        }
        stream.finish(Nanos(arrivals.last().unwrap().0 * 1000), 0)
    }

    #[test]
    fn gaps_in_the_sequence_are_lost_datagrams() {
        let stats = feed(BlockFactor::One, &[(0, 254), (2667, 255), (5333, 0), (13_333, 3)]);
        assert_eq!((stats.received, stats.lost, stats.reordered, stats.late), (4, 2, 0, 0));
        let stats = feed(BlockFactor::Two, &[(0, 252), (5333, 254), (16_000, 2)]);
        assert_eq!((stats.received, stats.lost), (3, 1));
    }

    #[test]
    fn a_datagram_that_comes_after_its_successor_is_not_lost() {
        let stats = feed(BlockFactor::One, &[(0, 0), (5333, 2), (5400, 1), (8000, 3)]);
        assert_eq!((stats.received, stats.lost, stats.reordered), (4, 0, 1));
    }

    #[test]
    fn late_is_more_than_a_tick_and_a_millisecond_behind_the_earliest() {
        let stats = feed(BlockFactor::One, &[(0, 0), (6300, 1), (9010, 2), (8000, 3)]);
        assert_eq!(stats.late, 1, "3633 us behind is not late, 3677 us is");
    }

    #[test]
    fn what_was_counted_before_the_restart_is_left_out() {
        let props = props(BlockFactor::One);
        let mut stream = Stream::new(props);
        stream.on_audio(Nanos(0), &datagram(&props, 0));
        stream.restart_counting(Nanos(1_000_000), 5);
        assert_eq!(stream.on_audio(Nanos(5_333_000), &datagram(&props, 2)), Some(2));
        let stats = stream.finish(Nanos(5_400_000), 7);
        assert_eq!((stats.received, stats.lost, stats.wrong_size), (1, 1, 2));
    }

    #[test]
    fn a_long_outage_is_counted_in_full() {
        // 1 s without datagrams are 375 blocks; the byte alone says 119.
        let stats = feed(BlockFactor::One, &[(0, 9), (1_000_000, 128)]);
        assert_eq!((stats.received, stats.lost, stats.reordered), (2, 374, 0));
        let stats = feed(BlockFactor::Two, &[(0, 0), (400_000, 150)]);
        assert_eq!((stats.lost, stats.reordered), (74, 0));
    }

    #[test]
    fn a_stream_that_stops_is_missing_the_rest() {
        let props = props(BlockFactor::One);
        let mut stream = Stream::new(props);
        assert_eq!(stream.finish(Nanos(1_000_000_000), 0).lost, 0, "it has not begun");
        stream.on_audio(Nanos(0), &datagram(&props, 0));
        assert_eq!(stream.finish(Nanos(90_000_000), 0).lost, 0, "perhaps only late");
        assert_eq!(stream.finish(Nanos(800_000_000), 0).lost, 300);
        stream.restart_counting(Nanos(400_000_000), 0);
        assert_eq!(stream.finish(Nanos(800_000_000), 0).lost, 150);
    }
}
