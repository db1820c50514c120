//! Shared encoders against one encoder per listener, with the real codec: the coded bytes must be the same.

#![cfg(feature = "opus-custom")]

mod support;

use jam_mixer::codec::{Codec, Encode, OpusCustom, StreamSpec};
use jam_mixer::engine::{Engine, EngineConfig, Role};
use jam_mixer::job::Inline;
use jam_mixer::reference::ReferenceEngine;
use jam_proto::{AudioProps, BlockCodec, BlockFactor, ChannelId, Gain, Layout, Sequence};
use support::Random;

const MUSICIANS: u8 = 5;

fn channel(number: u8) -> ChannelId {
    ChannelId::new(number).expect("below 150")
}

/// A musician's side: plays a decaying tone again and again.
struct Musician {
    channel: ChannelId,
    props: AudioProps,
    encoder: <OpusCustom as Codec>::Encoder,
    sample: u32,
    sequence: u8,
    hertz: f32,
}

impl Musician {
    fn new(codec: &OpusCustom, number: u8, props: AudioProps) -> Self {
        let spec = StreamSpec { codec: props.codec, layout: props.layout, block_bytes: props.block_bytes };
        let encoder = codec.encoder(spec).expect("a size of shipped clients");
        let hertz = 110.0 * 1.26f32.powi(i32::from(number));
        Self { channel: channel(number), props, encoder, sample: 0, sequence: number * 50, hertz }
    }

    fn datagram(&mut self) -> Vec<u8> {
        let mut datagram = Vec::new();
        for _ in 0..self.props.factor.blocks() {
            let pcm: Vec<i16> = (0..self.props.codec.samples())
                .flat_map(|_| {
                    let seconds = self.sample as f32 / 48_000.0;
                    self.sample += 1;
                    let decay = (-3.0 * (seconds * (0.8 + self.hertz / 1000.0)).fract()).exp();
                    let wave = (seconds * self.hertz * std::f32::consts::TAU).sin()
                        + 0.4 * (seconds * self.hertz * 3.0 * std::f32::consts::TAU).sin();
                    std::iter::repeat_n((4500.0 * decay * wave) as i16, self.props.layout.sides())
                })
                .collect();
            let mut block = vec![0; usize::from(self.props.block_bytes)];
            self.encoder.encode(&pcm, &mut block).expect("lengths fit");
            datagram.extend(block);
            if self.props.sequence == Sequence::With {
                datagram.push(self.sequence);
                self.sequence = self.sequence.wrapping_add(1);
            }
        }
        datagram
    }
}

/// Two engines that are told the same.
struct Pair {
    clever: Engine<OpusCustom>,
    plain: ReferenceEngine<OpusCustom>,
    musicians: Vec<Musician>,
    random: Random,
    ticks: usize,
    /// In the last tick.
    groups: u32,
    loss_percent: u64,
}

impl Pair {
    fn new(props: impl Fn(u8) -> AudioProps, seed: u64) -> Self {
        let codec = OpusCustom::default();
        let config = EngineConfig::default();
        let mut pair = Self {
            clever: Engine::new(config.clone(), codec.clone()),
            plain: ReferenceEngine::new(config, codec.clone()),
            musicians: Vec::new(),
            random: Random::new(seed),
            ticks: 0,
            groups: 0,
            loss_percent: 0,
        };
        for number in 0..MUSICIANS {
            let (c, props) = (channel(number), props(number));
            pair.clever.open(c);
            pair.plain.open(c);
            pair.clever.configure(c, props).expect("a size of shipped clients");
            assert!(pair.plain.configure(c, props));
            pair.clever.set_role(c, Role::Musician);
            pair.plain.set_role(c, Role::Musician);
            pair.musicians.push(Musician::new(&codec, number, props));
        }
        // Ends the fade-in: late duplicates count as correctly sized datagrams.
        for musician in &mut pair.musicians {
            let datagram = musician.datagram();
            for _ in 0..2250 {
                pair.clever.push(musician.channel, &datagram, None);
                pair.plain.push(musician.channel, &datagram, None);
            }
        }
        pair
    }

    fn set_gain(&mut self, listener: u8, source: u8, gain: Gain) {
        self.clever.set_gain(channel(listener), channel(source), gain);
        self.plain.set_gain(channel(listener), channel(source), gain);
    }

    fn play(&mut self, ticks: usize) {
        for _ in 0..ticks {
            for musician in &mut self.musicians {
                let samples = musician.props.codec.samples() * musician.props.factor.blocks();
                let due = ((self.ticks + 1) * 128 / samples) - (self.ticks * 128 / samples);
                for _ in 0..due {
                    let datagram = musician.datagram();
                    if self.random.next() % 100 >= self.loss_percent {
                        self.clever.push(musician.channel, &datagram, None);
                        self.plain.push(musician.channel, &datagram, None);
                    }
                }
            }
            let (plain, _) = self.plain.tick();
            let tick = self.clever.tick(&mut Inline);
            let clever: Vec<_> = tick.datagrams().map(|(c, bytes)| (c, bytes.to_vec())).collect();
            assert_eq!(clever, plain, "tick {}", self.ticks);
            self.ticks += 1;
            self.groups = tick.report().groups;
        }
    }
}

fn mono(_: u8) -> AudioProps {
    AudioProps {
        codec: BlockCodec::Opus,
        layout: Layout::Mono,
        block_bytes: 45,
        factor: BlockFactor::One,
        sequence: Sequence::With,
    }
}

#[test]
fn a_choir_shares_one_encoder_and_everybody_hears_what_an_own_encoder_would_send() {
    let mut choir = Pair::new(mono, 1);
    choir.play(10);
    assert_eq!(choir.groups, 5, "everybody begins with an own encoder");
    choir.play(700);
    assert_eq!(choir.groups, 1);
    choir.play(200);
    let stats = choir.clever.stats();
    assert_eq!((stats.merges, stats.forks), (4, 0));
    assert!(stats.encodes_shared > 4 * 200);
}

#[test]
fn a_fader_that_leaves_and_returns_is_never_heard() {
    let mut room = Pair::new(mono, 2);
    room.play(700);
    assert_eq!(room.groups, 1);
    room.set_gain(2, 2, Gain::ZERO);
    room.set_gain(4, 1, Gain::ZERO);
    room.set_gain(3, 1, Gain::ZERO);
    room.play(300);
    assert_eq!(room.groups, 3, "two moved the same fader in the same tick and stay together");
    room.set_gain(2, 2, Gain::UNITY);
    room.set_gain(3, 1, Gain::UNITY);
    room.set_gain(4, 1, Gain::UNITY);
    room.play(255);
    assert!(room.groups > 1, "256 identical blocks have not passed yet");
    room.play(500);
    assert_eq!(room.groups, 1);
    room.play(1500);
}

#[test]
fn random_faders_losses_and_formats_never_make_a_difference() {
    let (mut forks, mut merges) = (0, 0);
    for seed in 0..4 {
        let mut draw = Random::new(seed + 100);
        let opus = draw.next().is_multiple_of(2);
        let formats: Vec<AudioProps> = (0..MUSICIANS)
            .map(|number| {
                let stereo = number == 4;
                AudioProps {
                    codec: if opus { BlockCodec::Opus } else { BlockCodec::Opus64 },
                    layout: if stereo { Layout::Stereo } else { Layout::Mono },
                    block_bytes: match (opus, stereo) {
                        (true, true) => 71,
                        (true, false) => 45,
                        (false, true) => 35,
                        (false, false) => 22,
                    },
                    factor: [BlockFactor::One, BlockFactor::Two, BlockFactor::Four][draw.next() as usize % 3],
                    sequence: if draw.next().is_multiple_of(4) { Sequence::Without } else { Sequence::With },
                }
            })
            .collect();
        let mut room = Pair::new(|number| formats[usize::from(number)], seed);
        room.loss_percent = 3;
        for _ in 0..25 {
            let (listener, source) = (draw.next() as u8 % MUSICIANS, draw.next() as u8 % MUSICIANS);
            room.set_gain(
                listener,
                source,
                if draw.next().is_multiple_of(3) { Gain::ZERO } else { Gain::UNITY },
            );
            room.play(20 + draw.next() as usize % 150);
        }
        let stats = room.clever.stats();
        forks += stats.forks;
        merges += stats.merges;
    }
    assert!(forks > 5 && merges > 5, "{forks} forks and {merges} merges say little");
}
