//! The audio of a room: datagrams in, mixes out, no clock.
//!
//! ```text
//!  push ──▶ jitter buffer ─┐              ┌─ per mix group: sum, encode ─▶ last 4 blocks ─┐
//!  push ──▶ jitter buffer ─┼─▶ decode ──▶ ┤                                               ├─▶ datagrams
//!  push ──▶ jitter buffer ─┘   planes     └─ per mix group: sum, encode ─▶ last 4 blocks ─┘
//!           (one per channel)  (one tick)    (equal faders, equal coded stream)
//! ```
//!
//! Listeners whose faders are equal and who want the same coded stream are one *mix group* and share one encode;
//! those of them with the same block size factor share the bytes of their datagrams too, where they want no sequence
//! bytes or began together: every listener's sequence starts at 0.
//!
//! **Cost.** Per musician and tick of 128 samples, beside one decode and the encodes of the groups: 0.1 µs with equal
//! mixes, 0.5 µs with 40 and 1.2 µs with 150 musicians who all have moved every fader (mono, one thread of a busy
//! 2.7 GHz machine, `tick-cost` in `benches`). Mixing costs as much as faders differ, up to the full matrix.
#![expect(
    clippy::indexing_slicing,
    reason = "tables have a place for each of the 150 values a ChannelId can have"
)]

mod batch;
mod config;
mod memory;
mod output;
mod phase;
mod source;
mod tick;

pub use config::{EngineConfig, Push, Role};
pub use output::{AudioDatagrams, EngineStats, Tick, TickReport};
pub use phase::TickLength;

pub(crate) use phase::TickPhase;

use crate::codec::{Codec, CodecError, StreamSpec};
use crate::jitter::{JitterBuffer, JitterStats, Put};
use crate::job::Job;
use crate::meter::{Level, LevelClock};
use crate::mix::gains::GainMatrix;
use crate::mix::groups::Groups;
use crate::mix::planes::Planes;
use crate::mix::set::ChannelSet;
use crate::mix::weights::Fades;
use jam_proto::{AudioProps, BlockCodec, ChannelId, Gain, JitterSize, Pan, Sequence};
use source::Source;
use std::sync::Arc;

const CHANNELS: usize = ChannelId::COUNT_MAX;

/// Datagrams of a fade-in with one block each: 3 s (spec 5.6).
const FADE_OPUS: u16 = 1125;
const FADE_OPUS64: u16 = 2250;

/// One channel.
struct Slot<C: Codec> {
    /// Absent only while it is being decoded.
    source: Option<Box<Source<C>>>,
    role: Role,
    props: Option<AudioProps>,
    jitter_size: JitterSize,
    /// Correctly sized datagrams since it was identified, up to `fade_max`.
    fade: u16,
    fade_max: u16,
    /// The first block of its stream: a datagram with an earlier one is not sent.
    first_block: u64,
    /// The number of the block that has sequence byte 0; set with the first datagram of its stream.
    sequence_base: Option<u8>,
    /// The sequence byte its next block has when nothing is left out.
    next_sequence: u8,
    /// Made when the format was announced; taken when the channel starts to listen.
    encoder: Option<C::Encoder>,
    /// Has begun or ended to listen, or has another format than its group.
    regroup: bool,
}

impl<C: Codec> Slot<C> {
    fn spec(&self) -> Option<StreamSpec> {
        let props = self.props?;
        Some(StreamSpec { codec: props.codec, layout: props.layout, block_bytes: props.block_bytes })
    }

    fn fade_factor(&self) -> f32 {
        f32::from(self.fade) / f32::from(self.fade_max)
    }

    fn is_fading(&self) -> bool {
        self.fade < self.fade_max
    }
}

/// The audio of a room; see the [module](self).
///
/// Contract: the owner opens a channel, configures it with every announced format, tells its [`Role`], pushes its
/// datagrams, and calls [`tick`](Self::tick) every 64 or 128 samples. Calls that name a channel which is not open do
/// nothing. In steady state no call allocates. A panic of a codec passes through `tick`; drop the engine then.
///
/// # Examples
///
/// A lone musician hears itself, faded in over three seconds:
///
/// ```
/// use jam_mixer::codec::Raw;
/// use jam_mixer::engine::{Engine, EngineConfig, Push, Role};
/// use jam_mixer::job::Inline;
/// use jam_proto::{AudioProps, BlockCodec, BlockFactor, ChannelId, Layout, Sequence};
///
/// let mut engine = Engine::new(EngineConfig::default(), Raw);
/// let guitar = ChannelId::new(0).ok_or("0 is below 150")?;
/// let raw = AudioProps {
///     codec: BlockCodec::Opus,
///     layout: Layout::Mono,
///     block_bytes: 256,
///     factor: BlockFactor::One,
///     sequence: Sequence::With,
/// };
/// engine.open(guitar);
/// engine.configure(guitar, raw)?;
/// engine.set_role(guitar, Role::Musician);
/// assert_eq!(engine.push(guitar, &[1; 257], None), Push::Stored);
///
/// let tick = engine.tick(&mut Inline);
/// for (channel, datagram) in tick.datagrams() {
///     assert_eq!((channel, datagram.len()), (guitar, 257));
/// }
/// assert_eq!(tick.report().encodes, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Limits
///
/// 150 channels; per channel one decoder, one jitter buffer of 24 blocks and at most one mix group with one encoder.
/// Merges waiting beyond [`EngineConfig::merges_waiting_max`] are cut short in silence.
pub struct Engine<C: Codec> {
    config: EngineConfig,
    codec: C,
    slots: Vec<Option<Slot<C>>>,
    open: ChannelSet,
    gains: GainMatrix,
    fades: Fades,
    groups: Groups<C::Encoder>,
    planes: Arc<Planes>,
    /// The next tick.
    phase: TickPhase,
    /// The first block of each mode after the last skipped tick.
    resumed: [u64; 2],
    /// Listeners whose faders changed since the last tick.
    dirty: ChannelSet,
    /// Channels whose fade moved since the last tick.
    faded: ChannelSet,
    /// Somebody joined, left, changed format or ended a fade.
    regroup: bool,
    level_clock: LevelClock,
    levels: Vec<(ChannelId, Level)>,
    levels_due: bool,
    resized: Vec<(ChannelId, u8)>,
    wire: Vec<u8>,
    datagrams: Vec<(ChannelId, (u32, u32))>,
    jobs: Vec<Box<dyn Job>>,
    spare_jobs: Vec<Box<dyn Job>>,
    main_mix: Vec<i16>,
    main_sums: [Vec<f32>; 2],
    report: TickReport,
    stats: EngineStats,
}

impl<C: Codec> Engine<C> {
    /// An empty room.
    #[must_use]
    pub fn new(config: EngineConfig, codec: C) -> Self {
        let samples = config.tick.samples();
        Self {
            codec,
            slots: (0..CHANNELS).map(|_| None).collect(),
            open: ChannelSet::default(),
            gains: GainMatrix::new(),
            fades: [0.0; CHANNELS],
            groups: Groups::new(samples),
            planes: Arc::new(Planes::new(samples, config.delay_panning)),
            phase: TickPhase { number: 0, samples },
            resumed: [0; 2],
            dirty: ChannelSet::default(),
            faded: ChannelSet::default(),
            regroup: false,
            level_clock: LevelClock::default(),
            levels: Vec::with_capacity(CHANNELS),
            levels_due: false,
            resized: Vec::with_capacity(CHANNELS),
            wire: Vec::new(),
            datagrams: Vec::with_capacity(2 * CHANNELS),
            jobs: Vec::new(),
            spare_jobs: Vec::new(),
            main_mix: Vec::new(),
            main_sums: Default::default(),
            report: TickReport::default(),
            stats: EngineStats::default(),
            config,
        }
    }

    /// The settings.
    #[must_use]
    pub const fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// A musician connects: all faders of and for the channel at unity and centre, [`Role::Waiting`], no format.
    pub fn open(&mut self, channel: ChannelId) {
        self.close(channel);
        self.slots[channel.index()] = Some(Slot {
            source: Some(Box::new(Source::new(channel))),
            role: Role::Waiting,
            props: None,
            jitter_size: JitterSize::Auto,
            fade: 0,
            fade_max: FADE_OPUS,
            first_block: 0,
            sequence_base: None,
            next_sequence: 0,
            encoder: None,
            regroup: false,
        });
        self.open.insert(channel);
        self.set_fade(channel);
    }

    /// A musician is gone: decoder, buffers and, with its last listener, the encoder are dropped.
    pub fn close(&mut self, channel: ChannelId) {
        if self.slots[channel.index()].take().is_none() {
            return;
        }
        self.open.remove(channel);
        self.groups.leave(channel);
        let Self { gains, dirty, .. } = self;
        gains.reset(channel, |listener| dirty.insert(listener));
        self.regroup = true;
    }

    /// The channels that are open, ascending.
    pub fn channels(&self) -> impl Iterator<Item = ChannelId> {
        self.open.iter()
    }

    /// A channel announces its format, for both directions (message 20, spec 3.6).
    ///
    /// The jitter buffer starts over, both coders start in their initial state, the fade-in is kept as far as it has
    /// got.
    ///
    /// # Errors
    ///
    /// What the codec says to the format. The channel then keeps the format it had.
    pub fn configure(&mut self, channel: ChannelId, props: AudioProps) -> Result<(), CodecError> {
        let Self { codec, config, slots, phase, .. } = self;
        let Some(slot) = slots[channel.index()].as_mut() else { return Ok(()) };
        let Some(source) = slot.source.as_mut() else { return Ok(()) };
        let spec = StreamSpec { codec: props.codec, layout: props.layout, block_bytes: props.block_bytes };
        let encoder = codec.encoder(spec)?;
        let blocks_per_tick = (phase.samples / spec.codec.samples()).max(1) as u8;
        let jitter = JitterBuffer::new(&props, blocks_per_tick, slot.jitter_size, &config.jitter);
        source.configure(codec, spec, jitter, phase, config.delay_panning)?;
        slot.encoder = Some(encoder);
        if slot.props.is_some_and(|before| before.sequence == Sequence::Without) {
            // Nobody has counted the blocks so far.
            slot.next_sequence = 0;
        }
        slot.props = Some(props);
        slot.fade_max = match props.codec {
            BlockCodec::Opus => FADE_OPUS,
            BlockCodec::Opus64 => FADE_OPUS64,
        } / props.factor.blocks() as u16;
        slot.fade = slot.fade.min(slot.fade_max);
        slot.regroup = true;
        self.regroup = true;
        self.set_fade(channel);
        Ok(())
    }

    /// What a channel may do. One that is [`Role::Waiting`] does not advance its fade-in.
    pub fn set_role(&mut self, channel: ChannelId, role: Role) {
        let Some(slot) = self.slots[channel.index()].as_mut() else { return };
        slot.regroup |= slot.role.listens() != role.listens();
        slot.role = role;
        if let Some(source) = &mut slot.source {
            source.plays = role.plays();
        }
        self.regroup |= slot.regroup;
    }

    /// Puts one received datagram of `channel` into its jitter buffer.
    ///
    /// `lead_us` is how long before the coming tick it arrived, in microseconds, if that is known. This is the only
    /// copy of the audio between the socket and the decoder.
    pub fn push(&mut self, channel: ChannelId, datagram: &[u8], lead_us: Option<u32>) -> Push {
        let Some(slot) = self.slots[channel.index()].as_mut() else { return Push::Closed };
        let Some(jitter) = slot.source.as_mut().and_then(|source| source.jitter_mut()) else {
            return Push::NoFormat;
        };
        // The block that comes next may not be taken at the coming tick, but at the one after it.
        let waits = slot.props.is_some_and(|props| self.phase.blocks_due(props.codec) == 0);
        let tick_us = (self.phase.samples * 1_000_000 / 48_000) as u32;
        let lead_us = if waits { Some(lead_us.unwrap_or(0).saturating_add(tick_us)) } else { lead_us };
        let put = jitter.put(datagram, lead_us);
        if put == Put::WrongSize {
            self.stats.datagrams_wrong_size += 1;
            return Push::WrongSize;
        }
        if slot.role != Role::Waiting && slot.is_fading() {
            slot.fade += 1;
            self.regroup |= !slot.is_fading();
            self.set_fade(channel);
        }
        match put {
            Put::Stored => Push::Stored,
            _ => Push::Unused,
        }
    }

    /// How loud `listener` wants `source`.
    pub fn set_gain(&mut self, listener: ChannelId, source: ChannelId, gain: Gain) {
        if self.open.contains(listener)
            && self.open.contains(source)
            && self.gains.set_gain(listener, source, gain)
        {
            self.dirty.insert(listener);
        }
    }

    /// Where a stereo `listener` wants `source`.
    pub fn set_pan(&mut self, listener: ChannelId, source: ChannelId, pan: Pan) {
        if self.open.contains(listener)
            && self.open.contains(source)
            && self.gains.set_pan(listener, source, pan)
        {
            self.dirty.insert(listener);
        }
    }

    /// The jitter buffer size a channel asks for (message 10). Automatic until it asks for another.
    pub fn set_jitter(&mut self, channel: ChannelId, size: JitterSize) {
        let Some(slot) = self.slots[channel.index()].as_mut() else { return };
        slot.jitter_size = size;
        if let Some(jitter) = slot.source.as_mut().and_then(|source| source.jitter_mut()) {
            jitter.set_size(size);
        }
    }

    /// The jitter buffer size a channel uses now, in blocks; `None` without format.
    #[must_use]
    pub fn jitter_blocks(&self, channel: ChannelId) -> Option<u8> {
        self.jitter(channel).map(JitterBuffer::auto_size)
    }

    /// The jitter buffer counters of a channel since its last format; `None` without format.
    #[must_use]
    pub fn jitter_stats(&self, channel: ChannelId) -> Option<JitterStats> {
        self.jitter(channel).map(JitterBuffer::stats)
    }

    /// The average time a block of this channel waits in its jitter buffer, in microseconds.
    #[must_use]
    pub fn jitter_wait_us(&self, channel: ChannelId) -> Option<u32> {
        self.jitter(channel).map(JitterBuffer::wait_us)
    }

    /// Counters since the start.
    #[must_use]
    pub const fn stats(&self) -> EngineStats {
        self.stats
    }

    fn jitter(&self, channel: ChannelId) -> Option<&JitterBuffer> {
        self.slots[channel.index()].as_ref()?.source.as_ref()?.jitter()
    }

    fn set_fade(&mut self, channel: ChannelId) {
        if let Some(slot) = &self.slots[channel.index()] {
            self.fades[channel.index()] = slot.fade_factor();
            self.faded.insert(channel);
        }
    }
}
