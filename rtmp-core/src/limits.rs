//! Upper bounds of everything a peer can make us hold or do.

use std::time::Duration;

/// Upper bounds of one RTMP connection (spec section 9). Every field is enforced, and hitting one is either an
/// error with [`LimitExceeded`](crate::LimitExceeded) or a counter in [`Stats`](crate::Stats), as its text says.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Largest command message in bytes (types 17 and 20), default 256 KiB. Exceeding it closes the connection.
    pub command_bytes_max: u32,
    /// Largest data, shared object or unknown message in bytes, default 1 MiB. Exceeding it closes the connection.
    pub data_bytes_max: u32,
    /// Largest audio, video or aggregate message in bytes from a publisher or an origin, default 8 MiB; a large key
    /// frame has a few hundred KiB. Exceeding it closes the connection.
    pub media_bytes_max: u32,
    /// Largest message of any kind from a peer that does not publish, default 64 KiB. Commands before `publish` or
    /// `play` still may have [`command_bytes_max`](Self::command_bytes_max).
    pub viewer_bytes_max: u32,
    /// Bytes of unfinished messages over all chunk streams together, default 16 MiB. Memory is reserved as bytes
    /// arrive, never because a length was announced. Exceeding it closes the connection.
    pub partial_bytes_max: usize,
    /// The same for a peer that does not publish, default 320 KiB: one largest command and one largest other message. So
    /// strangers cost little memory however much they leave unfinished.
    pub partial_idle_bytes_max: usize,
    /// Chunk streams a peer may use, default 64; shipped encoders use two to six. Exceeding it closes.
    pub chunk_streams_max: usize,
    /// The same before `publish` or `play` was accepted, default 16.
    pub chunk_streams_idle_max: usize,
    /// Smallest chunk size a peer may set, default 128. A smaller one multiplies our work per byte and closes the
    /// connection; set it to 1 to allow all legal sizes, [`header_budget`](Self::header_budget) then protects us.
    pub chunk_size_min: u32,
    /// Continuation chunks in credit; each 32 bytes of payload give one back, default 2,048. Exhausting it (chunk
    /// size below 32 for a long time) closes the connection.
    pub header_budget: u32,
    /// Bounds of AMF values.
    pub amf: AmfLimits,
    /// Tags taken from one aggregate message, default 4,096; the rest is dropped and counted.
    pub aggregate_tags_max: usize,
    /// Commands per second in the long run, default 32. Exceeding it closes the connection.
    pub commands_per_second: u32,
    /// Commands in one burst, default 64.
    pub commands_burst: u32,
    /// `createStream` calls per connection, default 8. Exceeding it closes the connection.
    pub create_streams_max: u32,
    /// Ping requests answered per second, default 20; more are dropped and counted.
    pub pings_per_second: u32,
    /// Smallest acknowledgement window we honour, default 64 KiB: a window of one byte would make us answer every
    /// message.
    pub window_min: u32,
    /// Longest `tcUrl` in bytes, default 2,048. A longer one refuses the `connect`.
    pub tc_url_bytes_max: usize,
    /// Longest `app` in bytes, default 512. A longer one refuses the `connect`.
    pub app_bytes_max: usize,
    /// Longest stream name without its query in bytes, default 512. A longer one refuses the request.
    pub name_bytes_max: usize,
    /// Longest query of a stream name in bytes, default 4,096. A longer one refuses the request.
    pub query_bytes_max: usize,
    /// Events that may wait to be polled, default 1,024. When so many wait, no more input is consumed until some are
    /// taken ([`Progress::Paused`](crate::Progress)).
    pub events_max: usize,
    /// Bytes of replies that may wait to be sent, default 64 KiB. Beyond, no more input is consumed until the peer
    /// takes them ([`Progress::Paused`](crate::Progress)).
    pub reply_bytes_max: usize,
    /// Private bytes that may wait to be sent (`send_media` and replies), default 32 MiB. Beyond, `send_media` refuses.
    pub outgoing_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command_bytes_max: 256 << 10,
            data_bytes_max: 1 << 20,
            media_bytes_max: 8 << 20,
            viewer_bytes_max: 64 << 10,
            partial_bytes_max: 16 << 20,
            partial_idle_bytes_max: 320 << 10,
            chunk_streams_max: 64,
            chunk_streams_idle_max: 16,
            chunk_size_min: 128,
            header_budget: 2048,
            amf: AmfLimits::default(),
            aggregate_tags_max: 4096,
            commands_per_second: 32,
            commands_burst: 64,
            create_streams_max: 8,
            pings_per_second: 20,
            window_min: 64 << 10,
            tc_url_bytes_max: 2048,
            app_bytes_max: 512,
            name_bytes_max: 512,
            query_bytes_max: 4096,
            events_max: 1024,
            reply_bytes_max: 64 << 10,
            outgoing_bytes_max: 32 << 20,
        }
    }
}

/// Upper bounds of one AMF message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct AmfLimits {
    /// Nested containers, default 32; metadata in the wild stays below 5.
    pub depth_max: u32,
    /// Values in one message, default 4,096.
    pub values_max: u32,
    /// Longest string in bytes, default 64 KiB.
    pub string_bytes_max: u32,
}

impl Default for AmfLimits {
    fn default() -> Self {
        Self { depth_max: 32, values_max: 4096, string_bytes_max: 64 << 10 }
    }
}

impl AmfLimits {
    /// The bounds for data messages, where a string may have 1 MiB.
    pub fn data() -> Self {
        Self { string_bytes_max: 1 << 20, ..Self::default() }
    }
}

/// How long a connection waits for its peer. `None` means for ever.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For the whole handshake, default 5 s.
    pub handshake: Duration,
    /// Server: from the handshake to `connect`. Client: for the answer to each command. Default 5 s.
    pub connect: Duration,
    /// Server: from `connect` to `publish` or `play`, default 10 s.
    pub request: Duration,
    /// Server: from the end of a publish or play to the next request on the same connection, default 180 s.
    pub next_request: Duration,
    /// Server: from a pause to the next command of the viewer, default 180 s. It is not pinged meanwhile: players that
    /// pause often read nothing.
    pub paused: Option<Duration>,
    /// From the start of a publish (server) or play (client) to its first media message, default 20 s.
    pub first_media: Option<Duration>,
    /// Between media messages from a publisher or an origin, default 5 s.
    pub media: Option<Duration>,
    /// Silence after which a viewer or an origin we publish to is pinged, default off.
    pub ping: Option<Duration>,
    /// From a ping to any sign of life, default 30 s.
    pub pong: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            connect: Duration::from_secs(5),
            request: Duration::from_secs(10),
            next_request: Duration::from_secs(180),
            paused: Some(Duration::from_secs(180)),
            first_media: Some(Duration::from_secs(20)),
            media: Some(Duration::from_secs(5)),
            ping: None,
            pong: Duration::from_secs(30),
        }
    }
}
