//! A room full of musicians without sockets: the engine alone.

use std::hint::black_box;

use jam_mixer::codec::{Codec, CodecError, Encode, JamCodec, StreamSpec};
use jam_mixer::engine::{Engine, EngineConfig, Push, Role};
use jam_mixer::{Executor, Inline};
use jam_proto::{AudioProps, BlockFactor, ChannelId, Gain, Sequence};

use crate::signal;

/// How the musicians have set their faders.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mixes {
    /// Nobody has touched one: one mix for all.
    Equal,
    /// Every musician has moved one fader, each to another value: as many mixes as musicians.
    Different,
    /// Every musician has moved every fader.
    AllMoved,
}

/// Blocks of sound that are repeated.
const BLOCKS: usize = 64;

/// Musicians who send datagrams in time and listen.
pub struct Room {
    engine: Engine<JamCodec>,
    channels: Vec<ChannelId>,
    /// Per musician the coded blocks of its sound.
    blocks: Vec<Vec<Vec<u8>>>,
    datagram: Vec<u8>,
    number: usize,
}

impl Room {
    /// A room of `musicians` (150 at most) with one format. The fade-in is over and pending merges are done.
    ///
    /// # Errors
    ///
    /// Those of the codec.
    pub fn new(musicians: usize, spec: StreamSpec, mixes: Mixes) -> Result<Self, CodecError> {
        let codec = JamCodec::default();
        let mut engine = Engine::new(EngineConfig::default(), JamCodec::default());
        let channels: Vec<_> =
            (0..musicians).filter_map(|number| ChannelId::new(u8::try_from(number).ok()?)).collect();
        let props = AudioProps {
            codec: spec.codec,
            layout: spec.layout,
            block_bytes: spec.block_bytes,
            factor: BlockFactor::One,
            sequence: Sequence::With,
        };
        let mut blocks = Vec::new();
        for (number, &channel) in channels.iter().enumerate() {
            engine.open(channel);
            engine.configure(channel, props)?;
            engine.set_role(channel, Role::Musician);
            let mut pcm = signal::music(BLOCKS * spec.codec.samples(), spec.layout, number as u64 + 1);
            // Everybody as loud as the sum bears.
            for sample in &mut pcm {
                *sample /= 4;
            }
            let mut encoder = codec.encoder(spec)?;
            let mut coded = vec![vec![0; usize::from(spec.block_bytes)]; BLOCKS];
            for (pcm, block) in pcm.chunks_exact(spec.pcm_len()).zip(&mut coded) {
                encoder.encode(pcm, block)?;
            }
            blocks.push(coded);
        }
        let mut room =
            Self { engine, channels, blocks, datagram: vec![0; props.datagram_bytes()], number: 0 };
        room.move_faders(mixes);
        // The fade-in takes 3 s of datagrams.
        for _ in 0..1_500 {
            room.tick(&mut Inline);
        }
        Ok(room)
    }

    fn move_faders(&mut self, mixes: Mixes) {
        for (row, &listener) in self.channels.iter().enumerate() {
            for (column, &source) in self.channels.iter().enumerate() {
                let moved = match mixes {
                    Mixes::Equal => false,
                    Mixes::Different => (row + 1) % self.channels.len() == column,
                    Mixes::AllMoved => row != column,
                };
                if moved {
                    let gain = 8_000 + (row * 131 + column * 17) % 24_000;
                    self.engine.set_gain(listener, source, Gain(gain as u16));
                }
            }
        }
    }

    /// One tick with everything that belongs to it: a datagram of each musician, the tick, a look at each datagram to
    /// send. Returns how many there were.
    pub fn tick(&mut self, executor: &mut dyn Executor) -> usize {
        for (&channel, blocks) in self.channels.iter().zip(&self.blocks) {
            if let Some((sequence, block)) = self.datagram.split_last_mut() {
                block.copy_from_slice(&blocks[self.number % BLOCKS]);
                *sequence = self.number as u8;
            }
            let push = self.engine.push(channel, &self.datagram, Some(1_000));
            debug_assert_eq!(push, Push::Stored);
        }
        self.number += 1;
        let tick = self.engine.tick(executor);
        tick.datagrams().map(black_box).count()
    }

    /// What the last tick did.
    #[must_use]
    pub fn report(&self) -> jam_mixer::engine::TickReport {
        self.engine.last_tick().report()
    }
}
