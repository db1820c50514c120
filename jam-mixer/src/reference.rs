//! The plain mixer: a double loop, one decoder per source, one encoder per listener, nothing shared.
//!
//! It takes the same calls as [`Engine`](crate::engine::Engine) and is the judge of what the engine sends: property
//! tests and simulations run both. It allocates as it likes and is as slow as it looks.

use crate::codec::{Codec, Decode, Encode, StreamSpec};
use crate::engine::{EngineConfig, Role, TickPhase};
use crate::jitter::{self, JitterBuffer, Slot};
use crate::meter::Level;
use jam_proto::{AudioProps, BlockCodec, ChannelId, Gain, JitterSize, Layout, Pan, Sequence};
use std::collections::{BTreeMap, VecDeque};

/// The PCM of one source in one tick, as [`mix`] wants it.
#[derive(Clone, Debug)]
pub struct ReferenceSource {
    /// Whose it is.
    pub channel: ChannelId,
    /// Mono or stereo.
    pub layout: Layout,
    /// One tick, interleaved.
    pub pcm: Vec<i16>,
    /// The tick before, interleaved; shorter or empty counts as silence before it.
    pub before: Vec<i16>,
    /// The fade-in, 0 to 1.
    pub fade: f32,
}

/// One mix by the formulas of spec 5.6 and 5.7: float accumulation over `sources` in the order given.
pub fn mix(
    sources: &[ReferenceSource],
    samples: usize,
    listener: (ChannelId, Layout, f32),
    faders: impl Fn(ChannelId) -> (Gain, Pan),
    delay_panning: bool,
) -> Vec<i16> {
    let (listener, layout, own_fade) = listener;
    let mut out = Vec::new();
    for n in 0..samples {
        let (mut left_sum, mut right_sum) = (0.0f32, 0.0f32);
        for source in sources {
            let (gain, pan) = faders(source.channel);
            let own_fade = if source.channel == listener { 1.0 } else { own_fade };
            let gain = gain.factor() * source.fade * own_fade;
            let p = pan.position();
            let (mut left, mut right) = (2.0 * (1.0 - p).min(0.5), 2.0 * p.min(0.5));
            let mut delay = 0;
            if delay_panning {
                (left, right) = (1.0, 1.0);
                delay = (126.0 * (p - 0.5)).round() as i32;
            }
            if layout == Layout::Mono {
                left_sum += gain * ((at(source, n as i32, 0) + at(source, n as i32, 1)) / 2.0);
            } else {
                left_sum += gain * left * at(source, n as i32 - delay.max(0), 0);
                right_sum += gain * right * at(source, n as i32 - (-delay).max(0), 1);
            }
        }
        out.push(cut(left_sum));
        if layout == Layout::Stereo {
            out.push(cut(right_sum));
        }
    }
    out
}

/// Sample `n` of a side; negative ones are from the tick before. A mono source is on both sides.
fn at(source: &ReferenceSource, n: i32, side: usize) -> f32 {
    let (sides, side) = match source.layout {
        Layout::Mono => (1, 0),
        Layout::Stereo => (2, side),
    };
    let index = |pcm: &[i16], n: i32| {
        usize::try_from(n).ok().and_then(|n| pcm.get(n * sides + side)).map_or(0.0, |&x| f32::from(x))
    };
    if n >= 0 {
        index(&source.pcm, n)
    } else {
        index(&source.before, n + (source.before.len() / sides) as i32)
    }
}

fn cut(sum: f32) -> i16 {
    if sum < -32768.0 {
        i16::MIN
    } else if sum > 32767.0 {
        i16::MAX
    } else {
        sum.trunc() as i16
    }
}

struct Stream<C: Codec> {
    props: AudioProps,
    spec: StreamSpec,
    decoder: C::Decoder,
    jitter: JitterBuffer,
    /// Decoded samples that no tick has used yet.
    decoded: VecDeque<i16>,
    before: Vec<i16>,
    /// Block periods since the last block; 100 ms at the start.
    lost: usize,
}

struct Listening<E> {
    encoder: E,
    /// Mixed samples that are not encoded yet.
    mixed: VecDeque<i16>,
    /// Encoded blocks of the datagram that is not complete yet, with their numbers.
    blocks: Vec<(u64, Vec<u8>)>,
    /// What to add to a block's number for its sequence byte; known from the first datagram on.
    shift: Option<u8>,
}

struct Channel<C: Codec> {
    role: Role,
    jitter_size: JitterSize,
    fade: u16,
    fade_max: u16,
    stream: Option<Stream<C>>,
    listening: Option<Listening<C::Encoder>>,
    /// The sequence byte behind the last one sent: a listener's sequence starts at 0.
    next_sequence: u8,
    peak: u16,
    shown: u16,
}

/// The plain engine; see the [module](self).
pub struct ReferenceEngine<C: Codec> {
    config: EngineConfig,
    codec: C,
    channels: BTreeMap<u8, Channel<C>>,
    faders: BTreeMap<(u8, u8), (Gain, Pan)>,
    tick: u64,
    level_halves: u16,
}

impl<C: Codec> ReferenceEngine<C> {
    /// An empty room.
    pub fn new(config: EngineConfig, codec: C) -> Self {
        Self { config, codec, channels: BTreeMap::new(), faders: BTreeMap::new(), tick: 0, level_halves: 0 }
    }

    /// See [`Engine::open`](crate::engine::Engine::open).
    pub fn open(&mut self, channel: ChannelId) {
        self.close(channel);
        let new = Channel {
            role: Role::Waiting,
            jitter_size: JitterSize::Auto,
            fade: 0,
            fade_max: 1125,
            stream: None,
            listening: None,
            next_sequence: 0,
            peak: 0,
            shown: 0,
        };
        self.channels.insert(channel.number(), new);
    }

    /// See [`Engine::close`](crate::engine::Engine::close).
    pub fn close(&mut self, channel: ChannelId) {
        self.channels.remove(&channel.number());
        self.faders
            .retain(|&(listener, source), _| listener != channel.number() && source != channel.number());
    }

    /// See [`Engine::configure`](crate::engine::Engine::configure). Says whether the codec accepted the format.
    pub fn configure(&mut self, channel: ChannelId, props: AudioProps) -> bool {
        let Some(slot) = self.channels.get_mut(&channel.number()) else { return true };
        let spec = StreamSpec { codec: props.codec, layout: props.layout, block_bytes: props.block_bytes };
        let Ok(decoder) = self.codec.decoder(spec) else { return false };
        let samples = self.config.tick.samples();
        let blocks_per_tick = (samples / props.codec.samples()).max(1) as u8;
        let jitter = JitterBuffer::new(&props, blocks_per_tick, slot.jitter_size, &self.config.jitter);
        let one = if props.codec == BlockCodec::Opus { 1125 } else { 2250 };
        slot.fade_max = one / props.factor.blocks() as u16;
        slot.fade = slot.fade.min(slot.fade_max);
        let behind = position_in_block(self.tick, samples, props.codec) * props.layout.sides();
        let lost = stall_blocks(spec);
        // Half of a long block has passed already: it is silence.
        let decoded = std::iter::repeat_n(0, behind).collect();
        let before =
            slot.stream.replace(Stream { props, spec, decoder, jitter, decoded, before: Vec::new(), lost });
        if before.is_some_and(|before| before.props.sequence == Sequence::Without) {
            slot.next_sequence = 0;
        }
        slot.listening = None;
        true
    }

    /// See [`Engine::set_role`](crate::engine::Engine::set_role).
    pub fn set_role(&mut self, channel: ChannelId, role: Role) {
        let Some(slot) = self.channels.get_mut(&channel.number()) else { return };
        if !role.listens() {
            slot.listening = None;
        }
        slot.role = role;
    }

    /// See [`Engine::push`](crate::engine::Engine::push).
    pub fn push(&mut self, channel: ChannelId, datagram: &[u8], lead_us: Option<u32>) {
        let Some(slot) = self.channels.get_mut(&channel.number()) else { return };
        let Some(stream) = &mut slot.stream else { return };
        let phase = TickPhase { number: self.tick, samples: self.config.tick.samples() };
        let lead_us = if phase.blocks_due(stream.spec.codec) == 0 {
            // The coming tick plays on with the block before.
            Some(lead_us.unwrap_or(0) + (phase.samples * 1_000_000 / 48_000) as u32)
        } else {
            lead_us
        };
        if stream.jitter.put(datagram, lead_us) != jitter::Put::WrongSize
            && slot.role != Role::Waiting
            && slot.fade < slot.fade_max
        {
            slot.fade += 1;
        }
    }

    /// See [`Engine::set_gain`](crate::engine::Engine::set_gain).
    pub fn set_gain(&mut self, listener: ChannelId, source: ChannelId, gain: Gain) {
        if let Some(fader) = self.fader(listener, source) {
            fader.0 = gain;
        }
    }

    /// See [`Engine::set_pan`](crate::engine::Engine::set_pan).
    pub fn set_pan(&mut self, listener: ChannelId, source: ChannelId, pan: Pan) {
        if let Some(fader) = self.fader(listener, source) {
            fader.1 = pan;
        }
    }

    fn fader(&mut self, listener: ChannelId, source: ChannelId) -> Option<&mut (Gain, Pan)> {
        let (listener, source) = (listener.number(), source.number());
        (self.channels.contains_key(&listener) && self.channels.contains_key(&source))
            .then(|| self.faders.entry((listener, source)).or_default())
    }

    /// See [`Engine::set_jitter`](crate::engine::Engine::set_jitter).
    pub fn set_jitter(&mut self, channel: ChannelId, size: JitterSize) {
        let Some(slot) = self.channels.get_mut(&channel.number()) else { return };
        slot.jitter_size = size;
        if let Some(stream) = &mut slot.stream {
            stream.jitter.set_size(size);
        }
    }

    /// One tick: the datagrams to send, and the levels if due.
    #[expect(clippy::type_complexity, reason = "two lists of pairs are clear enough for tests")]
    pub fn tick(&mut self) -> (Vec<(ChannelId, Vec<u8>)>, Option<Vec<(ChannelId, Level)>>) {
        let sources = self.decode();
        let datagrams = self.mix_and_encode(&sources);
        self.tick += 1;
        let due = self.level_halves > 200;
        if due {
            self.level_halves = 0;
        }
        self.level_halves += (self.config.tick.samples() / 64) as u16;
        (datagrams, due.then(|| self.levels()))
    }

    /// See [`Engine::skip`](crate::engine::Engine::skip). Where a tick is half a block and a skip ends inside of one,
    /// that block is silence here; it is not worth judging.
    pub fn skip(&mut self, ticks: u32) {
        let samples = self.config.tick.samples();
        for _ in 0..ticks {
            let phase = TickPhase { number: self.tick, samples };
            for stream in self.channels.values_mut().filter_map(|slot| slot.stream.as_mut()) {
                stream.jitter.skip(phase.blocks_due(stream.spec.codec) as u32);
            }
            self.tick += 1;
        }
        for slot in self.channels.values_mut().filter(|_| ticks > 0) {
            let Some(stream) = &mut slot.stream else { continue };
            let (spec, sides) = (stream.spec, stream.spec.layout.sides());
            let behind = position_in_block(self.tick, samples, spec.codec) * sides;
            let ahead = if behind == 0 { 0 } else { spec.pcm_len() - behind };
            stream.decoded = std::iter::repeat_n(0, ahead).collect();
            if let Some(listening) = &mut slot.listening {
                listening.mixed = std::iter::repeat_n(0, behind).collect();
                // The datagram that was begun before the stall is not completed.
                listening.blocks.clear();
            }
        }
    }

    fn decode(&mut self) -> Vec<ReferenceSource> {
        let samples = self.config.tick.samples();
        let mut sources = Vec::new();
        for (&number, slot) in &mut self.channels {
            let (Some(stream), Some(channel)) = (&mut slot.stream, ChannelId::new(number)) else { continue };
            let wanted = samples * stream.spec.layout.sides();
            while stream.decoded.len() < wanted {
                let block = next_block(stream, slot.role.plays());
                stream.decoded.extend(block);
            }
            let pcm: Vec<i16> = stream.decoded.drain(..wanted).collect();
            let peak = pcm.iter().map(|x| x.unsigned_abs()).max().unwrap_or(0);
            // The engine tells its buffers the same.
            stream.jitter.set_quiet(peak < 33);
            slot.peak = slot.peak.max(peak);
            let before = std::mem::replace(&mut stream.before, pcm.clone());
            if slot.role.plays() {
                let fade = f32::from(slot.fade) / f32::from(slot.fade_max);
                sources.push(ReferenceSource { channel, layout: stream.spec.layout, pcm, before, fade });
            }
        }
        sources
    }

    fn mix_and_encode(&mut self, sources: &[ReferenceSource]) -> Vec<(ChannelId, Vec<u8>)> {
        let samples = self.config.tick.samples();
        let mut datagrams = Vec::new();
        for (&number, slot) in &mut self.channels {
            let (Some(stream), Some(listener)) = (&slot.stream, ChannelId::new(number)) else { continue };
            if !slot.role.listens() {
                continue;
            }
            let (props, spec) = (stream.props, stream.spec);
            let sides = spec.layout.sides();
            if slot.listening.is_none() {
                let Ok(encoder) = self.codec.encoder(spec) else { continue };
                let behind = position_in_block(self.tick, samples, spec.codec) * sides;
                let mixed = std::iter::repeat_n(0, behind).collect();
                slot.listening = Some(Listening { encoder, mixed, blocks: Vec::new(), shift: None });
            }
            let Some(out) = &mut slot.listening else { continue };
            let fade = f32::from(slot.fade) / f32::from(slot.fade_max);
            let faders =
                |source: ChannelId| self.faders.get(&(number, source.number())).copied().unwrap_or_default();
            let delay = self.config.delay_panning;
            out.mixed.extend(mix(sources, samples, (listener, spec.layout, fade), faders, delay));
            let mut index = self.tick * samples as u64 / spec.codec.samples() as u64;
            while out.mixed.len() >= spec.pcm_len() {
                let pcm: Vec<i16> = out.mixed.drain(..spec.pcm_len()).collect();
                let mut block = vec![0; usize::from(spec.block_bytes)];
                if out.encoder.encode(&pcm, &mut block).is_err() {
                    block.fill(0);
                }
                out.blocks.push((index, block));
                index += 1;
                if index.is_multiple_of(props.factor.blocks() as u64) {
                    let blocks = std::mem::take(&mut out.blocks);
                    // The first datagram of a stream that began in its middle is not complete.
                    if blocks.len() == props.factor.blocks() {
                        let first = (index - props.factor.blocks() as u64) as u8;
                        let next = slot.next_sequence;
                        let shift = *out.shift.get_or_insert_with(|| next.wrapping_sub(first));
                        slot.next_sequence = (index as u8).wrapping_add(shift);
                        datagrams.push((listener, join(&blocks, props.sequence, shift)));
                    }
                }
            }
        }
        datagrams
    }

    fn levels(&mut self) -> Vec<(ChannelId, Level)> {
        let mut levels = Vec::new();
        for (&number, slot) in &mut self.channels {
            let decayed = if slot.shown >= 2 { slot.shown / 2 } else { 0 };
            slot.shown = decayed.max(std::mem::take(&mut slot.peak));
            levels.extend(ChannelId::new(number).map(|channel| (channel, Level::of_peak(slot.shown))));
        }
        levels
    }
}

/// Samples of the current block of a mode that earlier ticks have passed.
fn position_in_block(tick: u64, samples: usize, codec: BlockCodec) -> usize {
    (tick as usize * samples) % codec.samples()
}

/// Block periods after which a source that sends nothing is silence: 100 ms.
fn stall_blocks(spec: StreamSpec) -> usize {
    4800usize.div_ceil(spec.codec.samples())
}

fn next_block<C: Codec>(stream: &mut Stream<C>, plays: bool) -> Vec<i16> {
    let stall = stall_blocks(stream.spec);
    let (len, sides) = (stream.spec.pcm_len(), stream.spec.layout.sides());
    let decoder = &mut stream.decoder;
    let mut decode = |block: Option<&[u8]>| {
        let mut pcm = vec![0; len];
        if decoder.decode(block, &mut pcm).is_err() && decoder.decode(None, &mut pcm).is_err() {
            pcm.fill(0);
        }
        pcm
    };
    let slot = stream.jitter.get();
    if !plays {
        stream.lost = stall;
        return vec![0; len];
    }
    let mut pcm = match slot {
        Slot::Block(block) => decode(Some(block)),
        Slot::Splice { first, second } => {
            let first = decode(first);
            let mut pcm = decode(Some(second));
            jitter::splice(&first, &mut pcm, sides);
            pcm
        }
        Slot::Lost if stream.lost >= stall => return vec![0; len],
        Slot::Lost => {
            let mut pcm = decode(None);
            stream.lost += 1;
            if stream.lost == stall {
                ramp(&mut pcm, sides, |n, samples| samples - 1 - n);
            }
            return pcm;
        }
    };
    if stream.lost >= stall {
        ramp(&mut pcm, sides, |n, _| n + 1);
    }
    stream.lost = 0;
    pcm
}

fn ramp(pcm: &mut [i16], sides: usize, weight: impl Fn(i32, i32) -> i32) {
    let samples = (pcm.len() / sides) as i32;
    for (i, x) in pcm.iter_mut().enumerate() {
        *x = (i32::from(*x) * weight((i / sides) as i32, samples) / samples) as i16;
    }
}

fn join(blocks: &[(u64, Vec<u8>)], sequence: Sequence, shift: u8) -> Vec<u8> {
    let mut datagram = Vec::new();
    for (index, block) in blocks {
        datagram.extend_from_slice(block);
        if sequence == Sequence::With {
            datagram.push((*index as u8).wrapping_add(shift));
        }
    }
    datagram
}
