//! One channel's way in: jitter buffer, decoder, the decoded samples of the tick.

use super::TickPhase;
use crate::codec::{Codec, CodecError, Decode, StreamSpec};
use crate::jitter::{self, JitterBuffer, Slot};
use crate::meter::Meter;
use crate::mix::planes::HISTORY;
use crate::pcm;
use jam_proto::{ChannelId, Layout};

/// A source that brought nothing for this long is faded out and decoded no more: 100 ms.
pub(crate) const STALL_SAMPLES: usize = 4800;

/// Below this peak (-60 dBFS) the jitter buffer may shorten the delay unheard.
const QUIET_PEAK: u16 = 33;

/// What the decoding of the ticks so far came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SourceCounters {
    pub decoded: u32,
    pub concealed: u32,
    pub idle: u32,
    pub decode_errors: u32,
}

/// The format of a source and what belongs to it.
struct Stream<D> {
    spec: StreamSpec,
    decoder: D,
    jitter: JitterBuffer,
    /// One block, for splices.
    spare: Vec<i16>,
}

/// One channel as a source of sound. It is moved to a worker for decoding, with all it needs.
pub(crate) struct Source<C: Codec> {
    pub channel: ChannelId,
    /// Sounds are wanted: otherwise the buffer runs, but nothing is decoded.
    pub plays: bool,
    pub meter: Meter,
    pub counters: SourceCounters,
    stream: Option<Stream<C::Decoder>>,
    /// Block periods since the last block, up to the stall limit; the source starts stalled.
    lost: u16,
    /// As many block periods are [`STALL_SAMPLES`].
    lost_max: u16,
    pcm: Vec<i16>,
    /// Where this tick begins in `pcm` and how long it is.
    now: (usize, usize),
    /// The last samples of the tick before, if panning delays.
    before: Vec<i16>,
    peak: u16,
    peak_before: u16,
}

impl<C: Codec> Source<C> {
    pub(crate) fn new(channel: ChannelId) -> Self {
        Self {
            channel,
            plays: false,
            meter: Meter::default(),
            counters: SourceCounters::default(),
            stream: None,
            lost: 0,
            lost_max: 0,
            pcm: Vec::new(),
            now: (0, 0),
            before: Vec::new(),
            peak: 0,
            peak_before: 0,
        }
    }

    /// Starts over with another format.
    pub(crate) fn configure(
        &mut self,
        codec: &C,
        spec: StreamSpec,
        jitter: JitterBuffer,
        phase: &TickPhase,
        delay_panning: bool,
    ) -> Result<(), CodecError> {
        let decoder = codec.decoder(spec)?;
        let sides = spec.layout.sides();
        self.pcm = vec![0; spec.codec.samples().max(phase.samples) * sides];
        self.before = vec![0; if delay_panning { HISTORY * sides } else { 0 }];
        self.now = (0, phase.samples * sides);
        self.lost_max = STALL_SAMPLES.div_ceil(spec.codec.samples()) as u16;
        self.lost = self.lost_max;
        (self.peak, self.peak_before) = (0, 0);
        self.stream = Some(Stream { spec, decoder, jitter, spare: vec![0; spec.pcm_len()] });
        Ok(())
    }

    pub(crate) fn jitter(&self) -> Option<&JitterBuffer> {
        self.stream.as_ref().map(|stream| &stream.jitter)
    }

    pub(crate) fn jitter_mut(&mut self) -> Option<&mut JitterBuffer> {
        self.stream.as_mut().map(|stream| &mut stream.jitter)
    }

    pub(crate) fn spec(&self) -> Option<StreamSpec> {
        self.stream.as_ref().map(|stream| stream.spec)
    }

    /// Takes the blocks of this tick and decodes them.
    pub(crate) fn decode(&mut self, phase: &TickPhase) {
        let Some(stream) = &mut self.stream else { return };
        let sides = stream.spec.layout.sides();
        keep_history(&mut self.before, &self.pcm, self.now);
        self.peak_before = self.peak;
        self.now = (phase.pcm_offset(stream.spec.codec) * sides, phase.samples * sides);
        let due = phase.blocks_due(stream.spec.codec);
        let mut blocks = Blocks {
            stream,
            plays: self.plays,
            lost: &mut self.lost,
            lost_max: self.lost_max,
            counters: &mut self.counters,
        };
        let block_len = blocks.stream.spec.pcm_len();
        for block in self.pcm.chunks_exact_mut(block_len).take(due) {
            blocks.next(block);
        }
        self.peak = pcm::peak(self.pcm());
        self.meter.hear(self.peak);
        if let Some(stream) = &mut self.stream {
            stream.jitter.set_quiet(self.peak < QUIET_PEAK);
        }
    }

    /// Lets `ticks` pass unplayed, from `phase` on.
    pub(crate) fn skip(&mut self, phase: &TickPhase, ticks: u32) {
        if let Some(stream) = &mut self.stream {
            stream.jitter.skip(phase.blocks_due_within(stream.spec.codec, ticks));
        }
    }

    /// This tick, interleaved. Empty without format.
    pub(crate) fn pcm(&self) -> &[i16] {
        let (start, len) = self.now;
        self.pcm.get(start..start + len).unwrap_or_default()
    }

    /// The end of the tick before, interleaved. Empty unless panning delays.
    pub(crate) fn before(&self) -> &[i16] {
        &self.before
    }

    /// Bytes held, without the machine itself and the coder's inside.
    pub(crate) fn memory_bytes(&self) -> usize {
        let stream = self.stream.as_ref().map_or(0, |stream| {
            // The buffer itself is part of the machine.
            let jitter = stream.jitter.memory_bytes().saturating_sub(size_of::<JitterBuffer>());
            jitter + stream.spare.capacity() * size_of::<i16>()
        });
        stream + (self.pcm.capacity() + self.before.capacity()) * size_of::<i16>()
    }

    pub(crate) fn layout(&self) -> Layout {
        self.stream.as_ref().map_or(Layout::Mono, |stream| stream.spec.layout)
    }

    /// Whether there is anything to hear of this source, late sides included.
    pub(crate) fn sounds(&self) -> bool {
        self.peak > 0 || (self.peak_before > 0 && !self.before.is_empty())
    }
}

/// Keeps the end of the tick that `now` still points to.
fn keep_history(before: &mut [i16], pcm: &[i16], (start, len): (usize, usize)) {
    if let Some(tail) = (start + len).checked_sub(before.len()).and_then(|from| pcm.get(from..start + len)) {
        before.copy_from_slice(tail);
    }
}

/// The decoding of one block period; borrows the parts of a [`Source`].
struct Blocks<'a, D> {
    stream: &'a mut Stream<D>,
    plays: bool,
    lost: &'a mut u16,
    lost_max: u16,
    counters: &'a mut SourceCounters,
}

impl<D: Decode> Blocks<'_, D> {
    fn next(&mut self, out: &mut [i16]) {
        let Stream { spec, decoder, jitter, spare } = &mut *self.stream;
        let sides = spec.layout.sides();
        let slot = jitter.get();
        if !self.plays {
            *self.lost = self.lost_max;
            out.fill(0);
            return;
        }
        let resumes = *self.lost >= self.lost_max;
        match slot {
            Slot::Block(block) => {
                decode(decoder, Some(block), out, self.counters);
            }
            Slot::Splice { first, second } => {
                decode(decoder, first, spare, self.counters);
                decode(decoder, Some(second), out, self.counters);
                jitter::splice(spare, out, sides);
            }
            Slot::Lost if resumes => {
                self.counters.idle += 1;
                out.fill(0);
                return;
            }
            Slot::Lost => {
                decode(decoder, None, out, self.counters);
                *self.lost += 1;
                if *self.lost == self.lost_max {
                    pcm::fade_out(out, sides);
                }
                return;
            }
        }
        *self.lost = 0;
        if resumes {
            // The decoder's memory is from another time: its first block may begin with a step.
            pcm::fade_in(out, sides);
        }
    }
}

/// Decodes or conceals one block. A block that is none counts as lost.
fn decode<D: Decode>(decoder: &mut D, block: Option<&[u8]>, out: &mut [i16], counters: &mut SourceCounters) {
    if block.is_some() {
        match decoder.decode(block, out) {
            Ok(()) => {
                counters.decoded += 1;
                return;
            }
            Err(_) => counters.decode_errors += 1,
        }
    }
    counters.concealed += 1;
    if decoder.decode(None, out).is_err() {
        out.fill(0);
    }
}
