//! What a tick hands out.

use super::{Engine, Slot};
use crate::codec::Codec;
use crate::meter::Level;
use crate::tap::Frames;
use jam_proto::ChannelId;

/// The results of one tick, lent until the next call of the engine.
pub struct Tick<'a> {
    pub(super) datagrams: AudioDatagrams<'a>,
    pub(super) levels: Option<&'a [(ChannelId, Level)]>,
    pub(super) resized: &'a [(ChannelId, u8)],
    pub(super) frames: Frames<'a>,
    pub(super) report: TickReport,
}

impl<'a> Tick<'a> {
    /// Datagrams to send, channels ascending, those of one channel in order. Listeners of one group get the same
    /// slice if their sequence bytes are equal too.
    #[must_use]
    pub fn datagrams(&self) -> AudioDatagrams<'a> {
        self.datagrams.clone()
    }

    /// The level of every open channel, ascending, if levels are due (spec 5.10).
    #[must_use]
    pub const fn levels(&self) -> Option<&'a [(ChannelId, Level)]> {
        self.levels
    }

    /// Automatic jitter buffer sizes that changed, in blocks, to be announced (spec 4.5).
    #[must_use]
    pub const fn resized(&self) -> &'a [(ChannelId, u8)] {
        self.resized
    }

    /// The samples of this tick: for recorders, audiences, analysers.
    #[must_use]
    pub const fn frames(&self) -> Frames<'a> {
        self.frames
    }

    /// What was done.
    #[must_use]
    pub const fn report(&self) -> TickReport {
        self.report
    }
}

/// Datagrams of a tick; see [`Tick::datagrams`].
#[derive(Clone)]
pub struct AudioDatagrams<'a> {
    pub(super) places: std::slice::Iter<'a, (ChannelId, (u32, u32))>,
    pub(super) wire: &'a [u8],
}

impl<'a> Iterator for AudioDatagrams<'a> {
    type Item = (ChannelId, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let &(channel, (start, end)) = self.places.next()?;
        Some((channel, self.wire.get(start as usize..end as usize).unwrap_or_default()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.places.size_hint()
    }
}

impl ExactSizeIterator for AudioDatagrams<'_> {}

/// What one tick did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct TickReport {
    /// Blocks decoded from what arrived.
    pub decoded: u32,
    /// Blocks concealed because nothing arrived, or what arrived was no block.
    pub concealed: u32,
    /// Block periods of sources that have not started or have stopped sending: silence, without a decoder.
    pub idle: u32,
    /// Blocks the decoder refused; they are among the concealed.
    pub decode_errors: u32,
    /// Blocks encoded.
    pub encodes: u32,
    /// Blocks that listeners got from an encode that was made for another listener.
    pub encodes_shared: u32,
    /// Encodes that failed; the listeners got an empty block.
    pub encode_errors: u32,
    /// Mix groups.
    pub groups: u32,
    /// Groups that wait for a merge.
    pub merges_waiting: u32,
    /// Datagrams to send.
    pub datagrams: u32,
}

/// Counters since the start of the engine.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct EngineStats {
    /// Ticks made.
    pub ticks: u64,
    /// Ticks skipped after a stall.
    pub ticks_skipped: u64,
    /// Blocks decoded from what arrived.
    pub blocks_decoded: u64,
    /// Blocks concealed.
    pub blocks_concealed: u64,
    /// Block periods of silent sources.
    pub blocks_idle: u64,
    /// Blocks the decoder refused.
    pub decode_errors: u64,
    /// Blocks encoded.
    pub encodes: u64,
    /// Blocks that listeners got from another listener's encode.
    pub encodes_shared: u64,
    /// Encodes that failed.
    pub encode_errors: u64,
    /// Encoders that could not be made when a channel began to listen; it stays without audio until its next format.
    pub encoders_failed: u64,
    /// Groups split off because a fader moved.
    pub forks: u64,
    /// Groups merged because faders became equal.
    pub merges: u64,
    /// Audio datagrams handed out.
    pub datagrams: u64,
    /// Datagrams that did not have the size of their channel's format.
    pub datagrams_wrong_size: u64,
}

impl EngineStats {
    pub(super) fn add(&mut self, report: &TickReport) {
        self.ticks += 1;
        self.blocks_decoded += u64::from(report.decoded);
        self.blocks_concealed += u64::from(report.concealed);
        self.blocks_idle += u64::from(report.idle);
        self.decode_errors += u64::from(report.decode_errors);
        self.encodes += u64::from(report.encodes);
        self.encodes_shared += u64::from(report.encodes_shared);
        self.encode_errors += u64::from(report.encode_errors);
        self.datagrams += u64::from(report.datagrams);
    }
}

impl<C: Codec> Engine<C> {
    /// The newest tick once more, as long as nothing else was called.
    #[must_use]
    pub fn last_tick(&self) -> Tick<'_> {
        Tick {
            datagrams: AudioDatagrams { places: self.datagrams.iter(), wire: &self.wire },
            levels: self.levels_due.then_some(&self.levels),
            resized: &self.resized,
            frames: Frames {
                stems: self,
                main: &self.main_mix,
                samples: self.phase.samples,
                // The phase has moved on to the tick that comes next.
                number: self.phase.number.saturating_sub(1),
            },
            report: self.report,
        }
    }
}

impl<C: Codec> crate::tap::Stems for Engine<C> {
    fn stem(&self, channel: ChannelId) -> Option<crate::tap::Stem<'_>> {
        let slot: &Slot<C> = self.slots[channel.index()].as_ref()?;
        let source = slot.source.as_ref()?;
        source.spec()?;
        Some(crate::tap::Stem { channel, layout: source.layout(), pcm: source.pcm() })
    }
}
