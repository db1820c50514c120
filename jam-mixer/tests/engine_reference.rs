//! The engine against the plain mixer: same calls, same datagrams.

#![cfg(feature = "threads")]

use jam_mixer::codec::{Codec, Raw};
use jam_mixer::engine::{Engine, EngineConfig, Role, TickLength};
use jam_mixer::job::{Executor, Inline};
use jam_mixer::pool::Pool;
use jam_mixer::reference::ReferenceEngine;
use jam_proto::{AudioProps, BlockCodec, BlockFactor, ChannelId, Gain, JitterSize, Layout, Pan, Sequence};
use proptest::prelude::*;

const CHANNELS: u8 = 8;

fn channel(number: u8) -> ChannelId {
    ChannelId::new(number).expect("below 150")
}

#[derive(Clone, Debug)]
enum Call {
    Open(u8),
    Close(u8),
    Configure(u8, AudioProps),
    Role(u8, Role),
    Gain(u8, u8, Gain),
    Pan(u8, u8, Pan),
    Jitter(u8, JitterSize),
    /// Ends the fade-in: so many datagrams arrive at once.
    Settle(u8),
    /// Everybody sends for some ticks; the bits say who loses the datagram.
    Play {
        ticks: u8,
        lose: u64,
        loudness: u16,
    },
}

fn props() -> impl Strategy<Value = AudioProps> {
    use prop::sample::select;
    (
        select(vec![BlockCodec::Opus, BlockCodec::Opus64]),
        select(vec![Layout::Mono, Layout::Stereo]),
        select(vec![BlockFactor::One, BlockFactor::Two, BlockFactor::Four]),
        select(vec![Sequence::Without, Sequence::With]),
    )
        .prop_map(|(codec, layout, factor, sequence)| AudioProps {
            codec,
            layout,
            block_bytes: AudioProps::raw_block_bytes(codec, layout),
            factor,
            sequence,
        })
}

fn gain(exact: bool) -> BoxedStrategy<Gain> {
    if exact {
        prop_oneof![Just(Gain::ZERO), Just(Gain::UNITY)].boxed()
    } else {
        prop_oneof![2 => Just(Gain::ZERO), 2 => Just(Gain::UNITY), 3 => any::<u16>().prop_map(Gain)].boxed()
    }
}

fn pan(exact: bool) -> BoxedStrategy<Pan> {
    if exact {
        prop_oneof![Just(Pan::LEFT), Just(Pan::CENTRE), Just(Pan::RIGHT)].boxed()
    } else {
        prop_oneof![1 => Just(Pan::CENTRE), 2 => any::<u16>().prop_map(Pan::new)].boxed()
    }
}

fn call(exact: bool) -> impl Strategy<Value = Call> {
    use prop::sample::select;
    let c = || 0..CHANNELS;
    prop_oneof![
        1 => c().prop_map(Call::Open),
        1 => c().prop_map(Call::Close),
        3 => (c(), props()).prop_map(|(c, p)| Call::Configure(c, p)),
        2 => (c(), select(vec![Role::Waiting, Role::Listener, Role::Player, Role::Musician, Role::Musician]))
            .prop_map(|(c, r)| Call::Role(c, r)),
        6 => (c(), c(), gain(exact)).prop_map(|(l, s, g)| Call::Gain(l, s, g)),
        4 => (c(), c(), pan(exact)).prop_map(|(l, s, p)| Call::Pan(l, s, p)),
        1 => (c(), prop_oneof![Just(JitterSize::Auto), (1u8..=20).prop_map(JitterSize::Blocks)])
            .prop_map(|(c, s)| Call::Jitter(c, s)),
        2 => c().prop_map(Call::Settle),
        8 => (1u8..12, any::<u64>(), prop_oneof![Just(0u16), Just(300), Just(20_000), Just(32_767)])
            .prop_map(|(ticks, lose, loudness)| Call::Play { ticks, lose, loudness }),
    ]
}

/// A room where most are in already, so that few calls say much.
fn script(exact: bool) -> impl Strategy<Value = Vec<Call>> {
    let start = prop::collection::vec((props(), any::<bool>()), CHANNELS as usize);
    (start, prop::collection::vec(call(exact), 1..60)).prop_map(|(start, calls)| {
        let mut all = Vec::new();
        for (number, (props, settled)) in (0..).zip(start) {
            all.push(Call::Open(number));
            all.push(Call::Configure(number, props));
            all.push(Call::Role(number, Role::Musician));
            if settled {
                all.push(Call::Settle(number));
            }
        }
        all.extend(calls);
        all
    })
}

fn config() -> impl Strategy<Value = EngineConfig> {
    (any::<bool>(), any::<bool>(), 1u16..6, any::<bool>()).prop_map(|(fast, delay, merge_blocks, hurry)| {
        let mut config = EngineConfig::default();
        config.tick = if fast { TickLength::Samples64 } else { TickLength::Samples128 };
        config.delay_panning = delay;
        config.merge_blocks = merge_blocks;
        config.merges_waiting_max = if hurry { 0 } else { 150 };
        config
    })
}

/// What a tick brought: datagrams, and levels if they were due.
type Outcome = (Vec<(ChannelId, Vec<u8>)>, Option<Vec<(u8, u8)>>);

/// One engine or the reference, as the script sees them.
trait Mixer {
    fn call(&mut self, call: &Call);
    fn push(&mut self, channel: ChannelId, datagram: &[u8]);
    fn tick(&mut self) -> Outcome;
}

struct Clever<C: Codec, X> {
    engine: Engine<C>,
    executor: X,
}

impl<C: Codec, X: Executor> Mixer for Clever<C, X> {
    fn call(&mut self, call: &Call) {
        match *call {
            Call::Open(c) => self.engine.open(channel(c)),
            Call::Close(c) => self.engine.close(channel(c)),
            Call::Configure(c, props) => self.engine.configure(channel(c), props).expect("a raw size"),
            Call::Role(c, role) => self.engine.set_role(channel(c), role),
            Call::Gain(l, s, gain) => self.engine.set_gain(channel(l), channel(s), gain),
            Call::Pan(l, s, pan) => self.engine.set_pan(channel(l), channel(s), pan),
            Call::Jitter(c, size) => self.engine.set_jitter(channel(c), size),
            Call::Settle(_) | Call::Play { .. } => {}
        }
    }

    fn push(&mut self, channel: ChannelId, datagram: &[u8]) {
        self.engine.push(channel, datagram, None);
    }

    fn tick(&mut self) -> Outcome {
        let tick = self.engine.tick(&mut self.executor);
        let levels =
            tick.levels().map(|levels| levels.iter().map(|(c, l)| (c.number(), l.number())).collect());
        (tick.datagrams().map(|(channel, bytes)| (channel, bytes.to_vec())).collect(), levels)
    }
}

impl<C: Codec> Mixer for ReferenceEngine<C> {
    fn call(&mut self, call: &Call) {
        match *call {
            Call::Open(c) => self.open(channel(c)),
            Call::Close(c) => self.close(channel(c)),
            Call::Configure(c, props) => assert!(self.configure(channel(c), props)),
            Call::Role(c, role) => self.set_role(channel(c), role),
            Call::Gain(l, s, gain) => self.set_gain(channel(l), channel(s), gain),
            Call::Pan(l, s, pan) => self.set_pan(channel(l), channel(s), pan),
            Call::Jitter(c, size) => self.set_jitter(channel(c), size),
            Call::Settle(_) | Call::Play { .. } => {}
        }
    }

    fn push(&mut self, channel: ChannelId, datagram: &[u8]) {
        self.push(channel, datagram, None);
    }

    fn tick(&mut self) -> Outcome {
        let (datagrams, levels) = self.tick();
        (datagrams, levels.map(|levels| levels.iter().map(|(c, l)| (c.number(), l.number())).collect()))
    }
}

/// The senders: formats as last announced, running sequence numbers, noise.
struct Senders {
    formats: [Option<AudioProps>; CHANNELS as usize],
    sequence: [u8; CHANNELS as usize],
    /// Samples owed to each sender's clock.
    owed: [usize; CHANNELS as usize],
    noise: u64,
    /// The next sequence byte of each listener, as long as its stream is not interrupted by a call.
    expected: [Option<u8>; CHANNELS as usize],
}

impl Senders {
    fn new() -> Self {
        Self {
            formats: [None; CHANNELS as usize],
            sequence: std::array::from_fn(|c| 250 + c as u8 % 6),
            owed: [0; CHANNELS as usize],
            noise: 1,
            expected: [None; CHANNELS as usize],
        }
    }

    fn datagram(&mut self, c: usize, props: AudioProps, loudness: u16) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..props.factor.blocks() {
            for _ in 0..props.codec.samples() * props.layout.sides() {
                self.noise = self
                    .noise
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let x = ((self.noise >> 33) as i64 % (2 * i64::from(loudness) + 2)) - i64::from(loudness) - 1;
                let x = if loudness == 0 { 0 } else { x as i16 };
                bytes.extend_from_slice(&x.to_le_bytes());
            }
            if props.sequence == Sequence::With {
                bytes.push(self.sequence[c]);
                self.sequence[c] = self.sequence[c].wrapping_add(1);
            }
        }
        bytes
    }

    /// Whoever listens without interruption sees sequence bytes without gap, whatever the faders do.
    fn check_numbers(&mut self, datagrams: &[(ChannelId, Vec<u8>)]) {
        for (to, datagram) in datagrams {
            let Some(props) = self.formats[to.index()] else { continue };
            for number in read(props, datagram).1 {
                let expected = self.expected[to.index()].replace(number.wrapping_add(1));
                assert!(
                    expected.is_none_or(|expected| expected == number),
                    "{to}: {number} for {expected:?}"
                );
            }
        }
    }

    /// The datagrams of one tick.
    fn tick(&mut self, samples: usize, loudness: u16) -> Vec<(ChannelId, Vec<u8>)> {
        let mut out = Vec::new();
        for c in 0..CHANNELS as usize {
            let Some(props) = self.formats[c] else { continue };
            self.owed[c] += samples;
            let period = props.codec.samples() * props.factor.blocks();
            while self.owed[c] >= period {
                self.owed[c] -= period;
                // Different loudness, so that the sums do not all saturate.
                let datagram = self.datagram(c, props, loudness >> (c % 4));
                out.push((channel(c as u8), datagram));
            }
        }
        out
    }
}

/// Feeds all mixers the same and hands each tick's results to `compare`, the first mixer's first.
fn play(
    script: &[Call],
    samples: usize,
    mixers: &mut [&mut dyn Mixer],
    mut compare: impl FnMut(&mut Senders, &[Outcome]),
) {
    let mut senders = Senders::new();
    for call in script {
        mixers.iter_mut().for_each(|mixer| mixer.call(call));
        if let Call::Open(c) | Call::Close(c) | Call::Configure(c, _) | Call::Role(c, _) = *call {
            senders.expected[usize::from(c)] = None;
        }
        match *call {
            Call::Configure(c, props) => senders.formats[usize::from(c)] = Some(props),
            Call::Settle(c) => {
                let Some(props) = senders.formats[usize::from(c)] else { continue };
                let datagram = senders.datagram(usize::from(c), props, 1000);
                for _ in 0..2250 {
                    mixers.iter_mut().for_each(|mixer| mixer.push(channel(c), &datagram));
                }
            }
            Call::Play { ticks, lose, loudness } => {
                for tick in 0..ticks {
                    for (channel, datagram) in senders.tick(samples, loudness) {
                        let lost =
                            lose.rotate_left(u32::from(tick) * 5 + u32::from(channel.number())) & 7 == 7;
                        if !lost {
                            mixers.iter_mut().for_each(|mixer| mixer.push(channel, &datagram));
                        }
                    }
                    let results: Vec<_> = mixers.iter_mut().map(|mixer| mixer.tick()).collect();
                    compare(&mut senders, &results);
                }
            }
            _ => {}
        }
    }
}

/// Splits a datagram into samples and sequence bytes.
fn read(props: AudioProps, datagram: &[u8]) -> (Vec<i16>, Vec<u8>) {
    let (mut samples, mut numbers) = (Vec::new(), Vec::new());
    for block in datagram.chunks(props.wire_block_bytes()) {
        let (pcm, number) = block.split_at(usize::from(props.block_bytes));
        samples.extend(pcm.chunks(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])));
        numbers.extend(number);
    }
    (samples, numbers)
}

fn clever<X: Executor>(config: &EngineConfig, executor: X) -> Clever<Raw, X> {
    Clever { engine: Engine::new(config.clone(), Raw), executor }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn with_unit_gains_the_engine_sends_what_the_plain_mixer_sends(
        script in script(true), config in config(),
    ) {
        let mut engine = clever(&config, Inline);
        let mut plain = ReferenceEngine::new(config.clone(), Raw);
        // Fades are not exact: everybody is settled from the start, before the first tick.
        let script: Vec<Call> = script.into_iter().flat_map(|call| match call {
            Call::Configure(c, _) | Call::Role(c, _) => vec![call, Call::Settle(c)],
            call => vec![call],
        }).collect();
        play(&script, config.tick.samples(), &mut [&mut engine, &mut plain], |_, results| {
            assert_eq!(&results[0], &results[1]);
        });
    }

    #[test]
    fn with_any_faders_the_engine_is_within_one_unit_of_the_plain_mixer(
        script in script(false), config in config(),
    ) {
        let mut engine = clever(&config, Inline);
        let mut plain = ReferenceEngine::new(config.clone(), Raw);
        play(&script, config.tick.samples(), &mut [&mut engine, &mut plain], |senders, results| {
            let (clever, plain) = (&results[0], &results[1]);
            assert_eq!(&clever.1, &plain.1);
            assert_eq!(clever.0.len(), plain.0.len());
            senders.check_numbers(&clever.0);
            for ((to, clever), (plain_to, plain)) in clever.0.iter().zip(&plain.0) {
                assert_eq!(to, plain_to);
                let props = senders.formats[to.index()].unwrap();
                let ((clever, clever_numbers), (plain, plain_numbers)) = (read(props, clever), read(props, plain));
                assert_eq!(clever_numbers, plain_numbers);
                assert!(clever.iter().zip(&plain).all(|(a, b)| a.abs_diff(*b) <= 1), "{clever:?} {plain:?}");
            }
        });
    }

    #[test]
    fn the_number_of_workers_changes_nothing(script in script(false), config in config()) {
        let mut inline = clever(&config, Inline);
        let mut one = clever(&config, Pool::new(1).unwrap());
        let mut three = clever(&config, Pool::new(3).unwrap());
        play(&script, config.tick.samples(), &mut [&mut inline, &mut one, &mut three], |_, results| {
            assert_eq!(&results[0], &results[1]);
            assert_eq!(&results[0], &results[2]);
        });
    }
}
