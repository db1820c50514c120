//! What the owner of a connection may choose.

use crate::handshake::{ProxyTrust, Scheme};
use crate::limits::{Limits, Timeouts};

/// Settings of a connection, of either role; made once and shared by all connections. The defaults work with every
/// measured program.
///
/// ```
/// let mut config = rtmp_core::ConnectionConfig::default();
/// config.chunk_size = 4096;
/// config.limits.media_bytes_max = 2 << 20;
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ConnectionConfig {
    /// Upper bounds.
    pub limits: Limits,
    /// How long to wait for the peer.
    pub timeouts: Timeouts,
    /// Chunk size we announce and use, default 60,000 as operators expect.
    pub chunk_size: u32,
    /// Acknowledgement window we announce in bytes, default 2,500,000; 0 announces none.
    pub window: u32,
    /// Acknowledgement window of a peer that announces none, in bytes, default 2,500,000; 0 acknowledges nothing then.
    pub peer_window: u32,
    /// Server: whether `onBWDone` follows the answer to `connect`. Default no; no measured client needs it.
    pub bandwidth_done: BandwidthDone,
    /// Server: whether the peer is a proxy that may name its client.
    pub proxy_trust: ProxyTrust,
    /// Client: which handshake to begin, default with a digest.
    pub scheme: Scheme,
    /// Client: the name in `flashVer`.
    pub flash_version: String,
    /// Client: whether a publish is announced with `releaseStream` and `FCPublish`, and ended with `FCUnpublish`, as
    /// encoders do. Default yes.
    pub announce_publish: AnnouncePublish,
    /// Client: the buffer a play announces in milliseconds, default 1,000.
    pub buffer_millis: u32,
}

/// Whether a server sends `onBWDone`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BandwidthDone {
    /// It is not sent.
    #[default]
    Omit,
    /// It is sent behind the result of `connect`.
    Send,
}

/// Whether a client announces its publish.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AnnouncePublish {
    /// With `releaseStream` and `FCPublish`, and `FCUnpublish` at the end.
    #[default]
    Announce,
    /// Only `createStream` and `publish`.
    Omit,
    /// As [`Omit`](Self::Omit) at the start, but `FCUnpublish` at the end, as relays do: servers free the name at once.
    EndOnly,
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            chunk_size: 60_000,
            window: 2_500_000,
            peer_window: 2_500_000,
            bandwidth_done: BandwidthDone::default(),
            proxy_trust: ProxyTrust::default(),
            scheme: Scheme::default(),
            flash_version: "FMLE/3.0 (compatible; rtmp-core)".to_owned(),
            announce_publish: AnnouncePublish::default(),
            buffer_millis: 1000,
        }
    }
}
