//! The samples of a tick for those who listen without playing: recorders, audiences, analysers.

use jam_proto::{ChannelId, Layout};

/// One channel's decoded samples of a tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stem<'a> {
    /// Whose they are.
    pub channel: ChannelId,
    /// Mono or stereo.
    pub layout: Layout,
    /// One tick, interleaved, as decoded: without faders and without fade-in.
    pub pcm: &'a [i16],
}

pub(crate) trait Stems {
    fn stem(&self, channel: ChannelId) -> Option<Stem<'_>>;
}

/// All samples of a tick, lent until the next call of the engine.
#[derive(Clone, Copy)]
pub struct Frames<'a> {
    pub(crate) stems: &'a dyn Stems,
    pub(crate) main: &'a [i16],
    pub(crate) samples: usize,
    pub(crate) number: u64,
}

impl<'a> Frames<'a> {
    /// Samples per side.
    #[must_use]
    pub const fn samples(&self) -> usize {
        self.samples
    }

    /// The number of this tick since the start. Ticks that the mixer left out are counted: a step of more than one
    /// between two calls is time of which there are no samples.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The stem of a channel; `None` before it has announced a format. Silence is zeros.
    #[must_use]
    pub fn stem(&self, channel: ChannelId) -> Option<Stem<'a>> {
        self.stems.stem(channel)
    }

    /// The stems of all channels with a format, ascending.
    pub fn stems(&self) -> impl Iterator<Item = Stem<'a>> {
        let stems = self.stems;
        (0..ChannelId::COUNT_MAX as u8)
            .filter_map(ChannelId::new)
            .filter_map(move |channel| stems.stem(channel))
    }

    /// The mix of everybody at unity gain and centre, with the sources' fade-in, stereo interleaved.
    ///
    /// `None` unless [`EngineConfig::main_mix`](crate::engine::EngineConfig::main_mix) is on.
    #[must_use]
    pub fn main_mix(&self) -> Option<&'a [i16]> {
        (!self.main.is_empty()).then_some(self.main)
    }
}
