//! What of the configuration concerns one stream.

use std::time::Duration;

use rtmp_core::segment::TimePolicy;

use crate::config::{PlayConfig, TimeJitter, VhostConfig};

/// What of the configuration concerns one stream: the `play` block of its vhost and what belongs to it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StreamSettings {
    /// Bytes per chunk. A stream keeps the size it began with.
    pub chunk_size: u32,
    /// The `play` block.
    pub play: PlayConfig,
    /// How long messages are collected into one write; `None` sends every burst at once. That is so with
    /// `min_latency on` unless `mw_latency` is written, too (spec 9.7), and with a `mw_latency` of 0.
    pub collect: Option<Duration>,
    /// How long audio waits for the next picture where bursts are sent at once (`extension.audio_wait`). A write costs
    /// more than the bytes in it, and audio without the picture beside it is no use to anybody who watches.
    pub audio_wait: Duration,
    /// Largest GOP cache in bytes of memory, which is little more than the media.
    pub gop_bytes_max: u64,
    /// Largest queue of a viewer, in the same bytes.
    pub queue_bytes_max: u64,
    /// Whether video is held back until a key frame where there is no GOP cache.
    pub start_at_keyframe: bool,
}

impl StreamSettings {
    /// How the times of a viewer come from those of the stream; `atc` says that they are to be kept.
    pub(super) fn time_policy(&self, atc: bool) -> TimePolicy {
        match self.play.time_jitter {
            _ if atc => TimePolicy::Shifted(0),
            TimeJitter::Full => TimePolicy::Smooth,
            TimeJitter::Zero => TimePolicy::FromZero,
            TimeJitter::Off => TimePolicy::Shifted(0),
        }
    }
}

impl From<&VhostConfig> for StreamSettings {
    fn from(vhost: &VhostConfig) -> Self {
        let latency = vhost.play.mw_latency;
        let is_explicit = vhost.values.location("play.mw_latency").is_some();
        let at_once = latency.is_zero() || (vhost.min_latency && !is_explicit);
        Self {
            chunk_size: vhost.chunk_size,
            play: vhost.play.clone(),
            collect: (!at_once).then_some(latency),
            audio_wait: vhost.extension.audio_wait,
            gop_bytes_max: vhost.extension.gop_cache_bytes_max,
            queue_bytes_max: vhost.extension.queue_bytes_max,
            start_at_keyframe: vhost.extension.start_at_keyframe,
        }
    }
}
