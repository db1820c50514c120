//! Counters of one connection.

/// What has happened on a connection so far; a copy of plain counters.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Bytes consumed, handshake included.
    pub bytes_received: u64,
    /// Private bytes written; shared segments are counted by their owner.
    pub bytes_written: u64,
    /// Messages read from the peer.
    pub messages_received: u64,
    /// Audio, video and data messages delivered.
    pub media_received: u64,
    /// Media that came when nobody was publishing.
    pub media_unexpected: u64,
    /// Media of `send_media` not written because the viewer pauses or does not want its kind.
    pub media_skipped: u64,
    /// Aggregates of which something was dropped.
    pub aggregates_cut: u64,
    /// Commands read.
    pub commands_received: u64,
    /// Commands without any meaning to us.
    pub commands_unknown: u64,
    /// Messages of unknown or unused types.
    pub messages_ignored: u64,
    /// Acknowledgements sent.
    pub acknowledgements_sent: u64,
    /// Acknowledgements received.
    pub acknowledgements_received: u64,
    /// Ping requests answered.
    pub pings_answered: u64,
    /// Ping requests beyond `pings_per_second`.
    pub pings_dropped: u64,
    /// Times input had to wait because events or replies had not been taken.
    pub pauses: u64,
}
