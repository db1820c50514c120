//! Scripted arrivals against one buffer.

use jam_mixer::jitter::{JitterBuffer, JitterConfig, Put, Slot};
use jam_proto::{AudioProps, BlockCodec, BlockFactor, JitterSize, Layout, Sequence};

const AUTO: JitterSize = JitterSize::Auto;

fn manual(blocks: u8) -> JitterSize {
    JitterSize::Blocks(blocks)
}

fn props(factor: BlockFactor, sequence: Sequence) -> AudioProps {
    AudioProps { codec: BlockCodec::Opus, layout: Layout::Mono, block_bytes: 1, factor, sequence }
}

/// One-byte blocks whose content is their sequence number.
struct Script(JitterBuffer);

impl Script {
    fn new(size: JitterSize) -> Self {
        Self(JitterBuffer::new(&props(BlockFactor::One, Sequence::With), 1, size, &JitterConfig::default()))
    }

    fn put(&mut self, seq: u8) -> &mut Self {
        self.0.put(&[seq, seq], None);
        self
    }

    fn puts(&mut self, seqs: impl IntoIterator<Item = u8>) -> &mut Self {
        seqs.into_iter().for_each(|seq| {
            self.put(seq);
        });
        self
    }

    #[track_caller]
    fn plays(&mut self, expected: &[Option<u8>]) -> &mut Self {
        let played: Vec<_> = expected
            .iter()
            .map(|_| match self.0.get() {
                Slot::Block(block) => Some(block[0]),
                Slot::Splice { second, .. } => Some(second[0]),
                Slot::Lost => None,
            })
            .collect();
        assert_eq!(played, expected);
        self
    }

    /// A steady stream: one put, one get.
    fn stream(&mut self, from: u8, blocks: usize) -> u8 {
        let mut seq = from;
        for _ in 0..blocks {
            self.put(seq);
            self.0.get();
            seq = seq.wrapping_add(1);
        }
        seq
    }
}

#[test]
fn blocks_are_played_in_order_whatever_their_order_of_arrival() {
    let mut script = Script::new(manual(8));
    script.put(100).plays(&[None; 1]);
    script.puts([102, 101, 104]).plays(&[Some(100), Some(101), Some(102)]);
    script.put(103).plays(&[Some(103), Some(104)]);
}

#[test]
fn the_sequence_byte_wraps() {
    let mut script = Script::new(manual(3));
    script.puts([254]).plays(&[None]);
    script.puts([255, 0]).plays(&[Some(254), Some(255)]);
    script.puts([1, 2]).plays(&[Some(0), Some(1), Some(2)]);
}

#[test]
fn a_block_is_played_once() {
    let mut script = Script::new(manual(3));
    script.put(7).plays(&[None]);
    script.puts([8, 8, 7]).plays(&[Some(7), Some(8), None]);
    script.puts([8, 7]).plays(&[None]);
    assert_eq!(script.0.stats().blocks_duplicate, 4);
    assert_eq!(script.0.stats().blocks_late, 0, "a late copy is not a late block");
}

#[test]
fn a_late_block_does_not_cost_buffered_ones() {
    let mut script = Script::new(manual(4));
    script.put(10).plays(&[None]);
    script.puts([12, 13]).plays(&[Some(10), None]);
    // 11 is late and 12, 13 are waiting: they all play, one block later.
    script.put(11).plays(&[Some(11), Some(12), Some(13)]);
    assert_eq!(script.0.stats().blocks_late, 0);
}

#[test]
fn a_block_overtaken_by_played_ones_is_not_played() {
    let mut script = Script::new(manual(4));
    script.put(10).plays(&[None]);
    script.puts([12, 13]).plays(&[Some(10), None, Some(12)]);
    script.put(11).plays(&[Some(13)]);
    assert_eq!(script.0.stats().blocks_late, 1);
}

#[test]
fn no_block_waits_longer_than_a_manual_size_allows() {
    let mut script = Script::new(manual(3));
    script.puts([0, 1, 2, 3, 4, 5]);
    assert_eq!(script.0.buffered(), 3);
    script.plays(&[Some(3), Some(4), Some(5), None]);
}

#[test]
fn the_delay_of_a_manual_size_rises_at_once_and_returns_when_it_is_not_needed() {
    let mut script = Script::new(manual(10));
    let next = script.stream(0, 1_000);
    assert_eq!(script.0.buffered(), 1, "the first block waits for one period");
    // Four blocks come together, the first of them four periods after it should have.
    (0..4).for_each(|_| _ = script.0.get());
    script.puts((0..4).map(|ahead| next.wrapping_add(ahead)));
    let next = script.stream(next.wrapping_add(4), 1_000);
    assert_eq!(script.0.buffered(), 4, "late blocks are waited for from now on");
    // 8 s are 3,000 blocks.
    script.stream(next, 4_500);
    assert_eq!(script.0.buffered(), 1);
    assert_eq!(script.0.stats().blocks_late, 0);
}

#[test]
fn a_smaller_manual_size_keeps_the_youngest_blocks() {
    let mut script = Script::new(manual(10));
    script.puts([0]).plays(&[None; 1]);
    script.puts(1..=5);
    script.0.set_size(manual(2));
    script.plays(&[Some(4), Some(5), None]);
}

#[test]
fn a_datagram_of_another_size_is_counted_and_ignored() {
    let mut script = Script::new(AUTO);
    assert_eq!(script.0.put(&[1], None), Put::WrongSize);
    assert_eq!(script.0.put(&[1, 2, 3], None), Put::WrongSize);
    assert_eq!(script.0.put(&[], None), Put::WrongSize);
    assert_eq!(script.0.stats().datagrams_wrong_size, 3);
    script.plays(&[None]);
}

#[test]
fn a_datagram_of_four_blocks_fits_any_size() {
    let config = JitterConfig::default();
    for sequence in [Sequence::With, Sequence::Without] {
        let mut buffer = JitterBuffer::new(&props(BlockFactor::Four, sequence), 1, manual(1), &config);
        for round in 0..50_u8 {
            let blocks: Vec<u8> = match sequence {
                Sequence::With => (4 * round..4 * round + 4).flat_map(|seq| [seq, seq]).collect(),
                Sequence::Without => (4 * round..4 * round + 4).collect(),
            };
            assert_eq!(buffer.put(&blocks, None), Put::Stored);
            for _ in 0..4 {
                buffer.get();
            }
        }
        assert!(buffer.stats().blocks_concealed <= 4, "{sequence:?}: {:?}", buffer.stats());
    }
}

#[test]
fn on_a_clean_link_a_block_waits_only_for_the_next_get_after_two_seconds() {
    let mut script = Script::new(AUTO);
    let seq = script.stream(0, 2 * 375);
    script.put(seq).plays(&[Some(seq)]);
    assert_eq!(script.0.auto_size(), 1);
    let stats = script.0.stats();
    assert_eq!((stats.blocks_dropped, stats.blocks_concealed), (1, 1), "{stats:?}");
}

#[test]
fn loss_does_not_enlarge_the_buffer() {
    let mut script = Script::new(AUTO);
    for n in 0..375 * 30_u32 {
        if n % 20 != 7 {
            script.put(n as u8);
        }
        script.0.get();
    }
    assert_eq!(script.0.auto_size(), 1);
    assert!(script.0.stats().blocks_lost >= 375 * 30 / 20 - 7);
}

#[test]
fn a_few_late_blocks_raise_the_delay_and_silence_about_them_lowers_it_again() {
    let mut script = Script::new(AUTO);
    let mut seq = script.stream(0, 4 * 375);
    let before = script.0.stats().blocks_concealed;
    // Every tenth block is late by one.
    for _ in 0..100 {
        seq = script.stream(seq, 9);
        script.0.get();
        script.puts([seq, seq.wrapping_add(1)]);
        script.0.get();
        seq = seq.wrapping_add(2);
    }
    let concealed = script.0.stats().blocks_concealed - before;
    assert!(concealed <= 3, "{concealed} of 100 late blocks were concealed");
    assert_eq!(script.0.auto_size(), 2);
    script.stream(seq, 20 * 375);
    assert_eq!(script.0.auto_size(), 1);
}

#[test]
fn a_restarted_sender_is_heard_again_within_a_few_blocks() {
    for size in [AUTO, manual(1), manual(4)] {
        for jump in [5_u8, 40, 100, 128, 200, 254] {
            let mut script = Script::new(size);
            let seq = script.stream(0, 1000);
            let before = script.0.stats().blocks_concealed;
            script.stream(seq.wrapping_add(jump), 200);
            let concealed = script.0.stats().blocks_concealed - before;
            assert!(concealed <= 40, "{size:?}, jump by {jump}: {concealed} concealed");
        }
    }
}

#[test]
fn a_single_stray_block_changes_nothing() {
    for stray in [60_u8, 127, 128, 180] {
        let mut script = Script::new(AUTO);
        let seq = script.stream(0, 1000);
        script.put(seq.wrapping_add(stray));
        let seq = script.stream(seq, 100);
        script.put(seq).plays(&[Some(seq)]);
        assert_eq!(script.0.stats().blocks_stray, 1);
    }
}

#[test]
fn after_a_pause_the_stream_starts_anew() {
    for gap in [10_u32, 19, 20, 23, 30, 44, 45, 100, 130, 300, 1000] {
        let mut script = Script::new(AUTO);
        let seq = script.stream(0, 1000);
        for _ in 0..gap {
            script.0.get();
        }
        // The sender had been silent: it goes on where it stopped.
        let seq = script.stream(seq, 2 * 375);
        script.put(seq).plays(&[Some(seq)]);
    }
}

#[test]
fn a_backlog_after_a_long_stall_of_the_network_is_not_kept_as_delay() {
    for stall in [30_u32, 100, 150, 200] {
        let mut script = Script::new(AUTO);
        let mut seq = script.stream(0, 1000);
        for _ in 0..stall {
            script.0.get();
        }
        for _ in 0..stall {
            script.put(seq);
            seq = seq.wrapping_add(1);
        }
        let seq = script.stream(seq, 2 * 375);
        script.put(seq).plays(&[Some(seq)]);
    }
}

#[test]
fn a_path_that_becomes_slower_costs_its_delay_and_a_few_blocks() {
    for size in [AUTO, manual(1), manual(4), manual(20)] {
        for slower in [5_usize, 15, 19, 20, 21, 30, 44, 60, 90] {
            let mut script = Script::new(size);
            let seq = script.stream(0, 1000);
            let before = script.0.stats().blocks_concealed;
            (0..slower).for_each(|_| _ = script.0.get());
            let seq = script.stream(seq, 3 * 375);
            let concealed = (script.0.stats().blocks_concealed - before).saturating_sub(slower as u64);
            assert!(concealed <= 10, "{size:?}, slower by {slower} blocks: {concealed} more were concealed");
            if size == AUTO {
                script.put(seq).plays(&[Some(seq)]);
            }
        }
    }
}

#[test]
fn a_path_that_becomes_slower_costs_no_more_where_a_tick_takes_two_blocks() {
    for slower in 10..=60_usize {
        let props = AudioProps { codec: BlockCodec::Opus64, ..props(BlockFactor::One, Sequence::With) };
        let mut buffer = JitterBuffer::new(&props, 2, AUTO, &JitterConfig::default());
        // Blocks come one by one, every second in the middle of a tick; from the change on all are late by as much.
        let mut sent = 0_u64;
        let mut concealed = 0;
        for tick in 0..4_000_u64 {
            let late = if tick < 1_500 { 0 } else { slower as u64 };
            while sent + late <= 2 * tick + 1 {
                buffer.put(&[sent as u8, sent as u8], None);
                sent += 1;
            }
            for _ in 0..2 {
                let lost = buffer.get() == Slot::Lost;
                concealed += u32::from(lost && tick >= 1_500);
            }
        }
        let more = concealed.saturating_sub(slower as u32);
        // Just at the limit every second block is in reach and every second one not, for as long as the path that was
        // is remembered.
        let most = if slower == 19 { 250 } else { 10 };
        assert!(more <= most, "slower by {slower} blocks: {more} more were concealed");
    }
}

#[test]
fn a_path_that_becomes_slower_while_its_backlog_arrives_at_once_is_heard_again() {
    for size in [AUTO, manual(2), manual(10)] {
        for (outage, slower) in [(100_usize, 60_usize), (100, 30), (60, 25), (120, 100)] {
            let mut script = Script::new(size);
            let mut seq = script.stream(0, 1000);
            (0..outage).for_each(|_| _ = script.0.get());
            for _ in 0..outage - slower {
                script.put(seq);
                seq = seq.wrapping_add(1);
            }
            let before = script.0.stats().blocks_concealed;
            let seq = script.stream(seq, 3 * 375);
            let concealed = script.0.stats().blocks_concealed - before;
            assert!(concealed <= 10, "{size:?}, {outage} and then {slower}: {concealed} concealed");
            if size == AUTO {
                script.put(seq).plays(&[Some(seq)]);
            }
        }
    }
}

#[test]
fn skipped_ticks_of_the_mixer_do_not_become_delay() {
    let mut script = Script::new(AUTO);
    let seq = script.stream(0, 1000);
    script.puts((0..15).map(|n| seq.wrapping_add(n)));
    script.0.skip(13);
    script.plays(&[Some(seq.wrapping_add(13)), Some(seq.wrapping_add(14))]);
    assert_eq!(script.0.stats().blocks_skipped, 13);
}

#[test]
fn stalls_of_the_mixer_are_no_pause_of_the_sender() {
    let mut script = Script::new(AUTO);
    let seq = script.stream(0, 1000);
    for _ in 0..2 {
        script.0.skip(90);
        script.plays(&[None]);
    }
    let seq = script.stream(seq.wrapping_add(182), 1);
    script.put(seq).plays(&[Some(seq)]);
    assert_eq!(script.0.stats().resyncs, 1, "the play position has been kept");
}

#[test]
fn a_backlog_that_catches_up_is_no_new_position() {
    let mut script = Script::new(AUTO);
    let mut seq = script.stream(0, 1000);
    (0..30).for_each(|_| _ = script.0.get());
    // What waited comes four blocks at a time, not all at once.
    for _ in 0..10 {
        script.puts((0..4).map(|n| seq.wrapping_add(n)));
        seq = seq.wrapping_add(4);
        script.0.get();
    }
    assert_eq!(script.0.stats().resyncs, 1);
}

#[test]
fn a_block_that_was_left_out_to_save_delay_is_not_played_later() {
    let mut script = Script::new(manual(10));
    let next = script.stream(0, 1_000);
    // Delay to spare, which is given back 8 s later.
    (0..4).for_each(|_| _ = script.0.get());
    script.puts((0..4).map(|ahead| next.wrapping_add(ahead)));
    let mut seq = next.wrapping_add(4);
    let mut held_back = Vec::new();
    let mut shortened = 0;
    for n in 0..4_500 {
        // Every second block is missing: the delay shrinks where one is.
        if n % 2 == 0 {
            held_back.push(seq)
        } else {
            _ = script.put(seq)
        }
        seq = seq.wrapping_add(1);
        if let Slot::Splice { first: None, second } = script.0.get() {
            let after = second[0];
            shortened += 1;
            let missing = after.wrapping_sub(1);
            assert!(held_back.contains(&missing));
            script.put(missing);
            assert_eq!(script.0.stats().blocks_late, shortened, "what is younger has been played");
        }
    }
    assert_eq!(shortened, 3);
}

#[test]
fn without_sequence_numbers_blocks_are_played_as_they_come() {
    let mut buffer = JitterBuffer::new(
        &props(BlockFactor::One, Sequence::Without),
        1,
        manual(3),
        &JitterConfig::default(),
    );
    buffer.put(&[1], None);
    assert_eq!(buffer.get(), Slot::Lost, "the first one waits in the middle");
    assert_eq!(buffer.get(), Slot::Block(&[1]));
    assert_eq!(buffer.get(), Slot::Lost);
    buffer.put(&[9], None);
    buffer.put(&[9], None);
    assert_eq!(buffer.get(), Slot::Block(&[9]));
    assert_eq!(buffer.get(), Slot::Block(&[9]));
    assert_eq!(buffer.stats().blocks_lost, 0);
}

#[test]
fn the_automatic_size_is_announced_once_it_is_known_and_when_it_changes() {
    let mut script = Script::new(AUTO);
    script.stream(0, 100);
    assert_eq!(script.0.take_resized(), None);
    let mut seq = script.stream(100, 2 * 375);
    assert_eq!(script.0.take_resized(), Some(1));
    assert_eq!(script.0.take_resized(), None);
    // Two datagrams at once, every time.
    for _ in 0..2 * 375 {
        script.puts([seq, seq.wrapping_add(1)]);
        script.0.get();
        script.0.get();
        seq = seq.wrapping_add(2);
    }
    assert_eq!(script.0.take_resized(), Some(2));
    script.stream(seq, 4 * 375);
    assert_eq!(script.0.take_resized(), None);
    script.stream(seq, 20 * 375);
    assert_eq!(script.0.take_resized(), Some(1));
    script.0.set_size(manual(5));
    assert_eq!(script.0.take_resized(), None);
    assert_eq!(script.0.auto_size(), 5);
}

#[test]
fn memory_is_constant() {
    let mut script = Script::new(AUTO);
    let before = script.0.memory_bytes();
    script.stream(0, 10_000);
    assert_eq!(script.0.memory_bytes(), before);
    assert!(before < 24 + 5_000, "{before}");
}
