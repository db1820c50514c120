//! The typed configuration.

use std::net::IpAddr;
use std::time::Duration;

use super::address::{Endpoint, HostPort, Network};
use super::values::Values;

/// The vhost that serves names without a vhost of their own.
pub const DEFAULT_VHOST: &str = "__defaultVhost__";

/// A whole configuration, checked. It comes from [`load`](super::load) and does not change.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EdgeConfig {
    /// Where RTMP listens; at least one.
    pub listen: Vec<Endpoint>,
    /// Chunk size of vhosts that set none, 128 to 65536 bytes.
    pub chunk_size: u32,
    /// Connections at the same time.
    pub max_connections: u32,
    /// File of the process id.
    pub pid: String,
    /// Whether the configuration says `daemon on`. Absent is `false`, unlike in SRS.
    pub daemon: bool,
    /// The log.
    pub log: LogConfig,
    /// Working directory, entered at start.
    pub work_dir: String,
    /// Name of the server; `None` asks for a generated one.
    pub server_id: Option<String>,
    /// Base interval of the lines with statistics.
    pub pithy_print: Duration,
    /// Graceful and other stops.
    pub stop: StopConfig,
    /// Behaviour in a container.
    pub container: ContainerConfig,
    /// Which network interface is reported, from 0.
    pub stats_network: u32,
    /// The HTTP API.
    pub http_api: HttpApiConfig,
    /// The HTTP server of streams.
    pub http_server: HttpServerConfig,
    /// Counters for Prometheus.
    pub exporter: ExporterConfig,
    /// Whether the configuration is watched and read again when it changes.
    pub auto_reload: bool,
    /// Version that the HTTP API reports instead of the own one; empty is the own one.
    pub srs_version: String,
    /// Bytes of media that all streams together may hold (root `extension` block). Shards have equal parts; media that
    /// several shards hold counts on each.
    pub media_bytes_max: u64,
    /// Longest wait for the answer of one address of `http_hooks`.
    pub hook_timeout: Duration,
    /// Limits of connections (root `extension` block).
    pub connections: ConnectionLimits,
    /// The vhosts in their order, disabled ones included, each name once.
    pub vhosts: Vec<VhostConfig>,
    pub(crate) values: Values,
}

impl EdgeConfig {
    /// The vhost that serves `host`: the one of that name, else the default one. `None` where the client is to be
    /// refused: there is neither, or the one of that name is disabled.
    pub fn vhost(&self, host: &str) -> Option<&VhostConfig> {
        let named = |name: &str| self.vhosts.iter().find(|vhost| vhost.name == name);
        named(host).or_else(|| named(DEFAULT_VHOST)).filter(|vhost| vhost.enabled)
    }
}

/// Where the log goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogTank {
    /// To [`LogConfig::file`].
    File,
    /// To the console.
    Console,
}

/// Least important lines that are logged. The old words of SRS are mapped: `verbose` is trace, `info` is debug and
/// `trace` is info; in `srs_log_level_v2` the words mean what they say.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum LogLevel {
    /// Every message.
    Trace,
    /// Decisions.
    Debug,
    /// What operators care about.
    Info,
    /// Degraded but working.
    Warn,
    /// Broken.
    Error,
}

/// The log.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LogConfig {
    /// File or console.
    pub tank: LogTank,
    /// The file.
    pub file: String,
    /// The level.
    pub level: LogLevel,
    /// Whether times are UTC.
    pub utc: bool,
}

/// How the server stops.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StopConfig {
    /// Wait before a graceful stop begins.
    pub grace_start_wait: Duration,
    /// Wait at its end.
    pub grace_final_wait: Duration,
    /// Whether the signal TERM stops gracefully.
    pub force_grace_quit: bool,
}

/// Behaviour in a container.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ContainerConfig {
    /// Whether the server runs in one: the configuration says so, or
    /// [`LoadOptions::in_container`](super::LoadOptions::in_container) does.
    pub in_docker: bool,
    /// Whether the server stays in the foreground there.
    pub disable_daemon: bool,
    /// Whether the configuration is watched there.
    pub auto_reload: bool,
}

/// The HTTP API.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct HttpApiConfig {
    /// Whether it is served.
    pub enabled: bool,
    /// Where.
    pub listen: Vec<Endpoint>,
    /// Whether pages of other sites may use it.
    pub crossdomain: bool,
    /// Name and password that are asked for; `None` asks for nothing.
    pub auth: Option<ApiAuth>,
    /// Whether its commands are on.
    pub raw_api: bool,
    /// Whether it may reload the configuration; never where [`raw_api`](Self::raw_api) is off.
    pub allow_reload: bool,
}

/// What a client of the HTTP API has to give.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ApiAuth {
    /// `type basic`.
    Basic(BasicAuth),
    /// `type bearer`.
    Bearer(BearerAuth),
}

/// A token. [`Debug`](std::fmt::Debug) does not show it.
#[derive(Clone, Eq, PartialEq)]
pub struct BearerAuth {
    /// The token; never empty.
    pub token: String,
}

impl std::fmt::Debug for BearerAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BearerAuth").finish_non_exhaustive()
    }
}

/// Name and password. [`Debug`](std::fmt::Debug) does not show the password.
#[derive(Clone, Eq, PartialEq)]
pub struct BasicAuth {
    /// The name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BasicAuth").field("username", &self.username).finish_non_exhaustive()
    }
}

/// The HTTP server of streams.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct HttpServerConfig {
    /// Whether it is served.
    pub enabled: bool,
    /// Where. The same addresses as those of the HTTP API mean one server for both.
    pub listen: Vec<Endpoint>,
    /// Folder of the files.
    pub dir: String,
    /// Whether pages of other sites may play.
    pub crossdomain: bool,
}

/// Counters for Prometheus.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ExporterConfig {
    /// Whether they are served at an address of their own.
    pub enabled: bool,
    /// Where.
    pub listen: Vec<Endpoint>,
    /// Value of the label `label` of every counter; empty for none.
    pub label: String,
    /// Value of the label `tag` of every counter; empty for none.
    pub tag: String,
}

/// Limits of connections.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConnectionLimits {
    /// Who may say for which client it connects.
    pub trusted_proxies: Vec<Network>,
    /// Connections that one address may have.
    pub per_ip_max: u32,
    /// Time from accept to a finished handshake.
    pub handshake_timeout: Duration,
    /// Silence after which a peer is asked for a sign of life: every connection with TCP probes, a viewer that gets
    /// nothing with an RTMP ping, too. `None` asks nobody.
    pub keepalive: Option<Duration>,
    /// From a pause to the next command of the viewer; `None` is for ever.
    pub pause_timeout: Option<Duration>,
    /// Largest message that is put together.
    pub message_bytes_max: u64,
    /// Chunk streams of one connection.
    pub chunk_streams_max: u32,
}

/// One vhost.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VhostConfig {
    /// Its name.
    pub name: String,
    /// Whether its clients are served.
    pub enabled: bool,
    /// Size of chunks that are sent, 128 to 65536 bytes.
    pub chunk_size: u32,
    /// Acknowledgement window where the peer announces none; 0 is none.
    pub in_ack_bytes: u32,
    /// Acknowledgement window that is announced after connect; 0 is not announced.
    pub out_ack_bytes: u32,
    /// Whether small writes are sent at once.
    pub tcp_nodelay: bool,
    /// Whether latency counts more than few writes.
    pub min_latency: bool,
    /// Edge or origin.
    pub cluster: ClusterConfig,
    /// Sending to viewers.
    pub play: PlayConfig,
    /// Receiving from publishers.
    pub publish: PublishConfig,
    /// Web pages that clients may come from; `None` allows all.
    pub refer: Option<ReferConfig>,
    /// Addresses that may publish and play; `None` allows all.
    pub security: Option<SecurityConfig>,
    /// Web addresses that are asked and told; `None` where hooks are off.
    pub http_hooks: Option<HooksConfig>,
    /// Servers that get a copy of every published stream; empty where forward is off.
    pub forward: Vec<HostPort>,
    /// Streams over HTTP; `None` where they are off.
    pub http_remux: Option<RemuxConfig>,
    /// Our additions.
    pub extension: StreamExtension,
    pub(crate) values: Values,
}

/// Whether a vhost is an edge.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClusterMode {
    /// An origin.
    Local,
    /// An edge.
    Remote,
}

/// Edge or origin, and where the streams are.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ClusterConfig {
    /// Edge or origin.
    pub mode: ClusterMode,
    /// The origins; at least one where the mode is [`ClusterMode::Remote`].
    pub origins: Vec<HostPort>,
    /// Whether the origin is asked about each client.
    pub token_traverse: bool,
    /// Vhost to ask for at the origin; `[vhost]` in it stands for the client's.
    pub vhost: String,
    /// Whether connects to origins carry values that identify this server.
    pub identify: bool,
}

impl ClusterConfig {
    /// Whether the vhost is an edge.
    pub fn is_edge(&self) -> bool {
        self.mode == ClusterMode::Remote
    }
}

/// Correction of timestamps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TimeJitter {
    /// Monotone and without jumps.
    Full,
    /// Only starting at zero.
    Zero,
    /// None.
    Off,
}

/// Sending to viewers.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PlayConfig {
    /// Whether viewers start at the last key frame.
    pub gop_cache: bool,
    /// Most messages in the GOP cache; `None` is no limit.
    pub gop_cache_frames_max: Option<u32>,
    /// How far a viewer may fall behind; never 0.
    pub queue_length: Duration,
    /// Correction of timestamps.
    pub time_jitter: TimeJitter,
    /// Whether audio and video are put in the order of time.
    pub mix_correct: bool,
    /// Whether timestamps of the encoder are kept.
    pub atc: bool,
    /// Whether metadata may switch that on.
    pub atc_auto: bool,
    /// How long messages are collected into one write.
    pub mw_latency: Duration,
    /// How many messages are collected into one write, up to 128.
    pub mw_messages: u32,
    /// Wait after each write of one message; zero is off.
    pub send_min_interval: Duration,
    /// Whether repeated sequence headers are left out.
    pub reduce_sequence_header: bool,
}

/// Receiving from publishers.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PublishConfig {
    /// Merged read of SRS; here a read takes all that has arrived, either way.
    pub mr: bool,
    /// Part of the same.
    pub mr_latency: Duration,
    /// Longest wait for the first message.
    pub first_message_timeout: Duration,
    /// Longest silence afterwards.
    pub silence_timeout: Duration,
    /// Time after which a publisher without viewers is disconnected; `None` is never.
    pub kickoff_for_idle: Option<Duration>,
}

/// Web pages that clients may come from (spec 10.2). `None` checks nothing; an empty list refuses everybody.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ReferConfig {
    /// Domains for publishing and playing.
    pub all: Option<Vec<String>>,
    /// Domains for publishing.
    pub publish: Option<Vec<String>>,
    /// Domains for playing.
    pub play: Option<Vec<String>>,
}

/// What a client wants to do with a stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operation {
    /// Publish it.
    Publish,
    /// Play it.
    Play,
}

/// Whom a rule is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rule {
    /// What the client wants to do.
    pub operation: Operation,
    /// From where; `None` is everywhere.
    pub network: Option<Network>,
}

impl Rule {
    fn matches(&self, operation: Operation, ip: IpAddr) -> bool {
        self.operation == operation && self.network.is_none_or(|network| network.contains(ip))
    }
}

/// Addresses that may publish and play (spec 10.1).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SecurityConfig {
    /// The `allow` lines.
    pub allow: Vec<Rule>,
    /// The `deny` lines.
    pub deny: Vec<Rule>,
}

impl SecurityConfig {
    /// Whether a client at `ip` may do that. The order of the lines does not matter: a matching `deny` refuses; then a
    /// matching `allow` is needed, unless there are only `deny` lines; without any line everybody is refused.
    pub fn allows(&self, operation: Operation, ip: IpAddr) -> bool {
        let any = |rules: &[Rule]| rules.iter().any(|rule| rule.matches(operation, ip));
        match (self.allow.is_empty(), self.deny.is_empty()) {
            (true, true) => false,
            _ if any(&self.deny) => false,
            (true, false) => true,
            (false, _) => any(&self.allow),
        }
    }
}

/// Web addresses that are asked and told, each in order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct HooksConfig {
    /// Asked when a client connects.
    pub on_connect: Vec<String>,
    /// Told when a connection ends.
    pub on_close: Vec<String>,
    /// Asked before a stream is published.
    pub on_publish: Vec<String>,
    /// Told when a stream is no longer published.
    pub on_unpublish: Vec<String>,
    /// Asked before a stream is played.
    pub on_play: Vec<String>,
    /// Told when a viewer stops.
    pub on_stop: Vec<String>,
}

/// Streams over HTTP.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RemuxConfig {
    /// Address of a stream, with `[vhost]`, `[app]` and `[stream]`.
    pub mount: String,
    /// Whether audio or video is dropped that the FLV header does not announce.
    pub drop_if_not_match: bool,
    /// Whether audio is announced.
    pub has_audio: bool,
    /// Whether video is announced.
    pub has_video: bool,
    /// Whether what is announced comes from the stream.
    pub guess_has_av: bool,
}

/// Our additions for the streams of a vhost.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StreamExtension {
    /// How long a stream is pulled on after its last viewer.
    pub linger: Duration,
    /// How long viewers wait for a stream that never came; `None` is for ever.
    pub pull_wait_limit: Option<Duration>,
    /// Whether a push goes on to the next origin.
    pub push_failover: bool,
    /// Largest GOP cache.
    pub gop_cache_bytes_max: u64,
    /// Largest queue of a viewer.
    pub queue_bytes_max: u64,
    /// Whether video is held back until a key frame where there is no GOP cache.
    pub start_at_keyframe: bool,
    /// With `min_latency on`: how long audio waits for the next picture, to go out in the same write.
    pub audio_wait: Duration,
    /// Whether `on_connect` is asked before the connection is accepted.
    pub connect_hook_early: bool,
}
