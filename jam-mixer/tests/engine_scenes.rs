//! What the engine does, scene by scene, with raw audio.

use jam_mixer::codec::{Codec, CodecError, Decode, Raw, StreamSpec};
use jam_mixer::engine::{Engine, EngineConfig, Push, Role, TickLength, TickReport};
use jam_mixer::job::Inline;
use jam_proto::{AudioProps, BlockCodec, BlockFactor, ChannelId, Gain, JitterSize, Layout, Pan, Sequence};

fn channel(number: u8) -> ChannelId {
    ChannelId::new(number).expect("below 150")
}

fn props(codec: BlockCodec, layout: Layout, factor: BlockFactor, sequence: Sequence) -> AudioProps {
    AudioProps { codec, layout, block_bytes: AudioProps::raw_block_bytes(codec, layout), factor, sequence }
}

const MONO: AudioProps = AudioProps {
    codec: BlockCodec::Opus,
    layout: Layout::Mono,
    block_bytes: 256,
    factor: BlockFactor::One,
    sequence: Sequence::With,
};

fn samples(pcm: &[u8]) -> Vec<i16> {
    pcm.chunks(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// A datagram of constant samples.
fn level(props: AudioProps, sequence: u8, sample: i16) -> Vec<u8> {
    let mut datagram = Vec::new();
    for block in 0..props.factor.blocks() as u8 {
        datagram.extend((0..props.block_bytes / 2).flat_map(|_| sample.to_le_bytes()));
        if props.sequence == Sequence::With {
            datagram.push(sequence.wrapping_add(block));
        }
    }
    datagram
}

/// A room with raw audio in ticks of 128 samples.
struct Room<C: Codec = Raw> {
    engine: Engine<C>,
    sequence: u8,
}

impl Room {
    fn new(musicians: u8) -> Self {
        Self::with(Raw, EngineConfig::default(), musicians)
    }
}

impl<C: Codec> Room<C> {
    /// Everybody has joined and is fully faded in.
    fn with(codec: C, config: EngineConfig, musicians: u8) -> Self {
        let mut room = Self { engine: Engine::new(config, codec), sequence: 0 };
        for number in 0..musicians {
            room.join(number, MONO);
            room.settle(number, MONO);
        }
        room
    }

    fn join(&mut self, number: u8, props: AudioProps) {
        self.engine.open(channel(number));
        self.engine.configure(channel(number), props).expect("a raw size");
        self.engine.set_role(channel(number), Role::Musician);
        // One block of delay at most, so that scenes need no waiting.
        self.engine.set_jitter(channel(number), JitterSize::Blocks(1));
    }

    fn settle(&mut self, number: u8, props: AudioProps) {
        let datagram = level(props, 255, 0);
        for _ in 0..2250 {
            self.engine.push(channel(number), &datagram, None);
        }
        self.engine.tick(&mut Inline);
    }

    /// One tick in which the given channels send a constant; what each listener gets.
    fn tick(&mut self, senders: &[(u8, i16)]) -> Vec<(u8, Vec<i16>)> {
        for &(number, sample) in senders {
            self.engine.push(channel(number), &level(MONO, self.sequence, sample), None);
        }
        self.sequence = self.sequence.wrapping_add(1);
        let tick = self.engine.tick(&mut Inline);
        tick.datagrams().map(|(to, bytes)| (to.number(), samples(&bytes[..256]))).collect()
    }

    /// What each listener hears at the end of a tick with constant sources; ticks until the fade-in of a resuming
    /// source is over.
    fn heard(&mut self, senders: &[(u8, i16)]) -> Vec<(u8, i16)> {
        self.tick(senders);
        self.tick(senders).into_iter().map(|(to, pcm)| (to, pcm[127])).collect()
    }

    fn report(&mut self) -> TickReport {
        self.engine.tick(&mut Inline).report()
    }
}

#[test]
fn the_sequence_begins_at_0_when_a_listener_asks_for_one_and_goes_on_when_its_format_changes() {
    let mut room = Room::new(1);
    let unnumbered = AudioProps { sequence: Sequence::Without, ..MONO };
    room.join(1, unnumbered);
    let numbers = |room: &mut Room, props: AudioProps, ticks: usize| -> Vec<Option<u8>> {
        let next = |room: &mut Room| {
            room.engine.push(channel(1), &level(props, 0, 5), None);
            let tick = room.engine.tick(&mut Inline);
            let (_, bytes) = tick.datagrams().find(|(to, _)| *to == channel(1)).expect("it listens");
            bytes.get(usize::from(props.block_bytes)).copied()
        };
        (0..ticks).map(|_| next(room)).collect()
    };
    assert_eq!(numbers(&mut room, unnumbered, 40), [None; 40]);
    room.engine.configure(channel(1), MONO).expect("a raw size");
    assert_eq!(numbers(&mut room, MONO, 3), [Some(0), Some(1), Some(2)]);
    let stereo = AudioProps { layout: Layout::Stereo, block_bytes: 512, ..MONO };
    room.engine.configure(channel(1), stereo).expect("a raw size");
    assert_eq!(numbers(&mut room, stereo, 3), [Some(3), Some(4), Some(5)]);
}

#[test]
fn every_format_passes_through_unchanged_in_every_combination() {
    for tick in [TickLength::Samples64, TickLength::Samples128] {
        for codec in [BlockCodec::Opus, BlockCodec::Opus64] {
            for layout in [Layout::Mono, Layout::Stereo] {
                for factor in [BlockFactor::One, BlockFactor::Two, BlockFactor::Four] {
                    for sequence in [Sequence::Without, Sequence::With] {
                        let props = props(codec, layout, factor, sequence);
                        assert_eq!(echo(tick, props), None, "{tick:?} {props:?}");
                    }
                }
            }
        }
    }
}

/// A lone musician hears itself: says what is wrong with what comes back, if anything.
fn echo(tick: TickLength, props: AudioProps) -> Option<String> {
    let mut config = EngineConfig::default();
    config.tick = tick;
    let mut engine = Engine::new(config, Raw);
    let c = channel(7);
    engine.open(c);
    engine.configure(c, props).expect("a raw size");
    engine.set_role(c, Role::Musician);
    engine.set_jitter(c, JitterSize::Blocks(8));
    let silence = level(props, 240, 0);
    for _ in 0..2250 {
        engine.push(c, &silence, None);
    }
    let (mut next, mut number) = (1i16, 240u8);
    let (mut owed, period) = (0, props.codec.samples() * props.factor.blocks());
    let mut back = Vec::new();
    let mut numbers: Vec<u8> = Vec::new();
    for _ in 0..96 {
        owed += tick.samples();
        while owed >= period {
            owed -= period;
            let mut datagram = Vec::new();
            for _ in 0..props.factor.blocks() {
                for _ in 0..props.block_bytes / 2 {
                    datagram.extend(next.to_le_bytes());
                    next = next % 30_000 + 1;
                }
                if props.sequence == Sequence::With {
                    datagram.push(number);
                    number = number.wrapping_add(1);
                }
            }
            engine.push(c, &datagram, None);
        }
        for (to, datagram) in engine.tick(&mut Inline).datagrams() {
            if to != c || datagram.len() != props.datagram_bytes() {
                return Some(format!("{} bytes for {to}", datagram.len()));
            }
            for block in datagram.chunks(props.wire_block_bytes()) {
                let (pcm, rest) = block.split_at(usize::from(props.block_bytes));
                back.extend(samples(pcm));
                numbers.extend(rest);
            }
        }
    }
    if let Some(pair) = numbers.windows(2).find(|pair| pair[1] != pair[0].wrapping_add(1)) {
        return Some(format!("sequence bytes {pair:?}"));
    }
    // From the first block that is not silence or faded in, every sample follows the one before.
    let start = back.iter().position(|&x| x > 600)?;
    if back.len() - start < 2000 {
        return Some(format!("only {} samples came back", back.len() - start));
    }
    back[start..]
        .windows(2)
        .find(|pair| pair[1] != pair[0] % 30_000 + 1)
        .map(|pair| format!("samples {pair:?}"))
}

#[test]
fn who_is_not_identified_is_neither_heard_nor_sent_to_and_does_not_fade_in() {
    let mut room = Room::new(2);
    room.join(2, MONO);
    room.engine.set_role(channel(2), Role::Waiting);
    for _ in 0..1200 {
        room.tick(&[(0, 100), (1, 10), (2, 5000)]);
    }
    assert_eq!(room.heard(&[(0, 100), (1, 10), (2, 5000)]), [(0, 110), (1, 110)]);
    room.engine.set_role(channel(2), Role::Musician);
    // Now its fade-in begins: two datagrams of 1125 have come in since.
    let fade = 2.0 / 1125.0;
    let source = (110.0 + 5000.0 * fade) as i16;
    let own = (110.0 * fade + 5000.0 * fade) as i16;
    assert_eq!(room.heard(&[(0, 100), (1, 10), (2, 5000)]), [(0, source), (1, source), (2, own)]);
}

#[test]
fn the_roles_are_what_they_say() {
    let mut room = Room::new(4);
    room.engine.set_role(channel(1), Role::Listener);
    room.engine.set_role(channel(2), Role::Player);
    let senders = [(0, 1), (1, 10), (2, 100), (3, 1000)];
    room.heard(&senders);
    assert_eq!(room.heard(&senders), [(0, 1101), (1, 1101), (3, 1101)]);
}

#[test]
fn gains_and_pans_are_those_of_the_listener() {
    let mut room = Room::new(2);
    let stereo = props(BlockCodec::Opus, Layout::Stereo, BlockFactor::One, Sequence::With);
    room.join(2, stereo);
    room.settle(2, stereo);
    room.engine.set_gain(channel(2), channel(0), Gain(0x4000));
    room.engine.set_pan(channel(2), channel(0), Pan::LEFT);
    room.engine.set_pan(channel(2), channel(1), Pan::new(0x6000));
    room.engine.set_pan(channel(0), channel(1), Pan::LEFT);
    for _ in 0..2 {
        room.tick(&[(0, 1000), (1, 200)]);
    }
    room.engine.push(channel(0), &level(MONO, room.sequence, 1000), None);
    room.engine.push(channel(1), &level(MONO, room.sequence, 200), None);
    let tick = room.engine.tick(&mut Inline);
    let last: Vec<_> = tick.datagrams().map(|(to, bytes)| (to.number(), samples(&bytes[..8]))).collect();
    // Half of the first on the left only; the second with half its level on the left.
    assert_eq!(last[2], (2, vec![600, 200, 600, 200]));
    assert_eq!(last[0], (0, vec![1200; 4]), "mono listeners hear no pan");
}

#[test]
fn the_fade_in_counts_datagrams_and_takes_3_s_for_every_format() {
    for (codec, factor, datagrams) in [
        (BlockCodec::Opus, BlockFactor::One, 1125),
        (BlockCodec::Opus, BlockFactor::Two, 562),
        (BlockCodec::Opus, BlockFactor::Four, 281),
        (BlockCodec::Opus64, BlockFactor::One, 2250),
        (BlockCodec::Opus64, BlockFactor::Four, 562),
    ] {
        let mut room = Room::new(1);
        let props = props(codec, Layout::Mono, factor, Sequence::With);
        room.join(1, props);
        let loud = level(props, 0, 20_000);
        for count in 1..=datagrams {
            room.engine.push(channel(1), &level(props, (count * factor.blocks()) as u8, 20_000), None);
            if count % 40 != 1 && count < datagrams {
                continue;
            }
            room.engine.tick(&mut Inline);
            room.engine.push(channel(1), &loud[1..], None); // A wrong size does not count.
            let heard = room.engine.tick(&mut Inline);
            let heard = heard.datagrams().next().map(|(_, bytes)| samples(&bytes[..256])[127]);
            let expected = (20_000.0 * f64::from(count as u32) / f64::from(datagrams as u32)) as i16;
            let heard = heard.expect("the first channel listens");
            // The source may be concealed (silence with raw audio) while it waits for its next datagram.
            assert!(
                heard == 0 || heard.abs_diff(expected) <= 1,
                "{count} of {datagrams}: {heard} {expected}"
            );
        }
    }
}

#[test]
fn a_source_that_stops_fades_to_silence_within_100_ms_and_is_decoded_no_more() {
    let mut room = Room::with(Hold, EngineConfig::default(), 2);
    room.heard(&[(0, 0), (1, 8000)]);
    let mut last = Vec::new();
    for tick in 0..38 {
        let mut heard = room.tick(&[(0, 0)]);
        last = heard.remove(0).1;
        if tick < 37 {
            assert_eq!(last, vec![8000; 128], "the codec conceals by holding, tick {tick}");
        }
    }
    assert_eq!((last[0], last[64], last[127]), (7937, 3937, 0));
    let heard = room.tick(&[(0, 0)]);
    assert_eq!(heard[0].1, vec![0; 128]);
    room.engine.push(channel(0), &level(MONO, room.sequence, 0), None);
    room.sequence = room.sequence.wrapping_add(1);
    let report = room.report();
    assert_eq!((report.decoded, report.concealed, report.idle), (1, 0, 1));
    // It comes back within one block.
    let heard = room.tick(&[(0, 0), (1, 8000)]);
    assert_eq!((heard[0].1[0], heard[0].1[127]), (62, 8000));
}

#[test]
fn a_source_without_any_datagram_is_silence_and_costs_no_decoder() {
    let mut room = Room::with(Hold, EngineConfig::default(), 1);
    room.join(1, MONO);
    for _ in 0..10 {
        room.tick(&[(0, 500)]);
    }
    room.engine.push(channel(0), &level(MONO, room.sequence, 500), None);
    let report = room.report();
    assert_eq!((report.decoded, report.idle), (1, 1));
}

/// Raw, but a lost block sounds like the end of the last one, and blocks that start with 0x7777 are refused.
struct Hold;

struct HoldDecoder(<Raw as Codec>::Decoder, i16);

impl Codec for Hold {
    type Encoder = <Raw as Codec>::Encoder;
    type Decoder = HoldDecoder;

    fn encoder(&self, spec: StreamSpec) -> Result<Self::Encoder, CodecError> {
        Raw.encoder(spec)
    }

    fn decoder(&self, spec: StreamSpec) -> Result<HoldDecoder, CodecError> {
        Raw.decoder(spec).map(|decoder| HoldDecoder(decoder, 0))
    }
}

impl Decode for HoldDecoder {
    fn decode(&mut self, block: Option<&[u8]>, pcm: &mut [i16]) -> Result<(), CodecError> {
        match block {
            Some([0x77, 0x77, ..]) => return Err(CodecError::Undecodable { bytes: 256, code: -4 }),
            Some(block) => self.0.decode(Some(block), pcm)?,
            None => pcm.fill(self.1),
        }
        self.1 = pcm.last().copied().unwrap_or(0);
        Ok(())
    }
}

#[test]
fn a_block_that_cannot_be_decoded_is_concealed_and_counted() {
    let mut room = Room::with(Hold, EngineConfig::default(), 1);
    room.heard(&[(0, 900)]);
    let heard = room.tick(&[(0, 0x7777)]);
    assert_eq!(heard[0].1, vec![900; 128]);
    let stats = room.engine.stats();
    assert_eq!((stats.decode_errors, stats.blocks_concealed), (1, 1));
}

#[test]
fn levels_come_every_101_ticks_with_the_loudest_moment_of_every_open_channel() {
    let mut room = Room::new(2);
    room.engine.open(channel(9));
    let mut reports = Vec::new();
    for tick in 0..320u32 {
        let loud = if tick == 150 { -32_768 } else { -1000 };
        room.engine.push(channel(0), &level(MONO, room.sequence, loud), None);
        room.sequence = room.sequence.wrapping_add(1);
        if let Some(levels) = room.engine.tick(&mut Inline).levels() {
            let levels: Vec<_> = levels.iter().map(|(c, l)| (c.number(), l.number())).collect();
            reports.push((tick, levels));
        }
    }
    let numbers = |level| vec![(0, level), (1, 0), (9, 0)];
    // Two ticks have passed while the two settled.
    assert_eq!(reports, [(99, numbers(4)), (200, numbers(9)), (301, numbers(8))]);
}

#[test]
fn after_a_stall_the_engine_skips_and_the_delay_has_not_grown() {
    let mut config = EngineConfig::default();
    config.tick = TickLength::Samples128;
    let mut room = Room::with(Raw, config, 1);
    let four = props(BlockCodec::Opus, Layout::Mono, BlockFactor::Four, Sequence::With);
    room.join(1, four);
    room.settle(1, four);
    for n in 0..6 {
        room.tick(&[(0, n)]);
    }
    let numbers = |room: &mut Room| -> Vec<(u8, Vec<u8>)> {
        room.engine.push(channel(0), &level(MONO, room.sequence, i16::from(room.sequence)), None);
        room.sequence += 1;
        let tick = room.engine.tick(&mut Inline);
        tick.datagrams()
            .map(|(to, d)| (to.number(), d.chunks(257).map(|block| block[256]).collect()))
            .collect()
    };
    let mut earlier = Vec::new();
    for _ in 0..5 {
        earlier = [earlier, numbers(&mut room)].concat();
    }
    let last_of =
        |channel| earlier.iter().rev().find(|(to, _)| *to == channel).map(|(_, got)| got[got.len() - 1]);
    let (before, four_before) = (last_of(0).unwrap(), last_of(1).unwrap());
    // 15 ticks pass in which the sender went on.
    room.engine.skip(15);
    room.sequence += 15;
    let mut fours = Vec::new();
    for tick in 1..12 {
        for (to, got) in numbers(&mut room) {
            match to {
                0 => assert_eq!(got, [before + 15 + tick], "the listener's clock goes on"),
                _ => fours.push(got),
            }
        }
    }
    // No datagram with blocks from both sides of the gap.
    assert!(fours[0][0] > four_before + 15);
    assert!(fours.windows(2).all(|pair| pair[1][0] == pair[0][0] + 4));
    assert!(fours.iter().all(|four| four.windows(2).all(|pair| pair[1] == pair[0] + 1)));
    assert_eq!(room.engine.stats().ticks_skipped, 15);
    let sequence = i16::from(room.sequence);
    assert_eq!(room.tick(&[(0, sequence)])[0].1, vec![sequence; 128], "what is played arrived just now");
}

#[test]
fn taps_get_stems_and_the_main_mix() {
    let mut config = EngineConfig::default();
    config.main_mix = true;
    let mut room = Room::with(Raw, config, 2);
    let stereo = props(BlockCodec::Opus, Layout::Stereo, BlockFactor::One, Sequence::With);
    room.join(2, stereo);
    room.engine.open(channel(3));
    room.heard(&[(0, 300), (1, -20)]);
    for number in [0u8, 1] {
        let sample = [300, -20][usize::from(number)];
        room.engine.push(channel(number), &level(MONO, room.sequence, sample), None);
    }
    let tick = room.engine.tick(&mut Inline);
    let frames = tick.frames();
    let stems: Vec<_> = frames
        .stems()
        .map(|stem| (stem.channel.number(), stem.layout, stem.pcm.len(), stem.pcm[5]))
        .collect();
    assert_eq!(
        stems,
        [(0, Layout::Mono, 128, 300), (1, Layout::Mono, 128, -20), (2, Layout::Stereo, 256, 0)]
    );
    assert_eq!(frames.main_mix(), Some(&[280i16; 256][..]));
    assert_eq!(frames.samples(), 128);
}

#[test]
fn the_automatic_buffer_size_is_announced_when_it_changes() {
    let mut room = Room::new(1);
    room.engine.set_jitter(channel(0), JitterSize::Auto);
    let mut announced = Vec::new();
    for tick in 1..3000u32 {
        // Regular at first; then blocks arrive six at a time, the oldest of them five ticks late.
        let arrivals = if tick < 300 { 1 } else { 6 * u32::from(tick % 6 == 0) };
        for _ in 0..arrivals {
            room.engine.push(channel(0), &level(MONO, room.sequence, 10), None);
            room.sequence = room.sequence.wrapping_add(1);
        }
        announced.extend(room.engine.tick(&mut Inline).resized().to_vec());
    }
    let last = announced.last().copied().expect("bursts of six need another size than the first one");
    assert_eq!(last.0, channel(0));
    assert_eq!(room.engine.jitter_blocks(channel(0)), Some(last.1));
    assert!(last.1 >= 6, "{announced:?}");
}

#[test]
fn datagrams_that_do_not_fit_are_told_apart() {
    let mut room = Room::new(1);
    room.engine.open(channel(1));
    assert_eq!(room.engine.push(channel(5), &[0; 257], None), Push::Closed);
    assert_eq!(room.engine.push(channel(1), &[0; 257], None), Push::NoFormat);
    assert_eq!(room.engine.push(channel(0), &[0; 256], None), Push::WrongSize);
    assert_eq!(room.engine.push(channel(0), &level(MONO, 0, 0), None), Push::Stored);
    assert_eq!(room.engine.stats().datagrams_wrong_size, 1);
    assert!(room.engine.configure(channel(1), AudioProps { block_bytes: 9, ..MONO }).is_err());
    assert_eq!(room.engine.push(channel(1), &[0; 257], None), Push::NoFormat);
}

#[test]
fn there_are_never_more_groups_than_listeners() {
    let mut room = Room::new(150);
    for number in 0..150 {
        room.engine.set_gain(channel(number), channel(number), Gain::ZERO);
    }
    let report = room.report();
    assert_eq!((report.groups, report.encodes, report.encodes_shared), (150, 150, 0));
    for number in 0..150 {
        room.engine.set_gain(channel(number), channel(number), Gain::UNITY);
    }
    // Of 150 equal groups the oldest stays, the others wait for it, and are fewer once 256 blocks have agreed.
    let report = room.report();
    assert_eq!((report.groups, report.merges_waiting), (150, 149));
    for _ in 0..256 {
        room.tick(&[(0, 5)]);
    }
    let report = room.report();
    assert_eq!((report.groups, report.encodes, report.encodes_shared), (1, 1, 149));
}

#[test]
fn too_many_waiting_merges_are_cut_short_in_silence_only() {
    let mut config = EngineConfig::default();
    config.merges_waiting_max = 0;
    let mut room = Room::with(Raw, config, 3);
    room.engine.set_gain(channel(0), channel(0), Gain::ZERO);
    room.tick(&[(0, 5), (1, 5)]);
    room.engine.set_gain(channel(0), channel(0), Gain::UNITY);
    for _ in 0..10 {
        room.tick(&[(0, 5), (1, 5)]);
    }
    assert_eq!(room.report().merges_waiting, 2, "there is something to hear");
    for _ in 0..5 {
        room.tick(&[]);
    }
    assert_eq!(room.report().merges_waiting, 0);
}

#[test]
fn a_new_musician_in_a_slot_finds_nothing_of_the_old_one() {
    let mut room = Room::new(3);
    room.engine.set_gain(channel(0), channel(2), Gain::ZERO);
    room.engine.set_gain(channel(2), channel(0), Gain::ZERO);
    room.engine.close(channel(2));
    assert_eq!(room.heard(&[(0, 3), (1, 4)]), [(0, 7), (1, 7)]);
    room.join(2, MONO);
    room.settle(2, MONO);
    let senders = [(0, 3), (1, 4), (2, 9)];
    room.heard(&senders);
    assert_eq!(room.heard(&senders), [(0, 16), (1, 16), (2, 16)]);
}
