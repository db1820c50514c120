//! Directives outside of vhosts (spec 2.1, 2.4, 2.5).

use super::Kind::{Bytes, Choice, Endpoints, Integer, Networks, Number, Opaque, Switch, Text, Texts};
use super::Reload::{Listeners, Live, NewConnections, NewSources, NextUse, NoEffect, Restart};
use super::vhost::{CHUNK_SIZE, VHOST};
use super::{ANY, DirectiveSpec, PORT_OR_ENDPOINT, block, http, row};

const PERCENT: super::Kind = Integer { min: 0, max: 100 };
const LEVELS: &[&str] = &["verbose", "info", "trace", "debug", "warn", "error"];

const RTMP: &[DirectiveSpec] = &[
    row("listen", Endpoints, "", Listeners, "New form of the root directive listen, which it replaces.")
        .also(&["SRS_LISTEN"]),
    row(
        "chunk_size",
        CHUNK_SIZE,
        "",
        NewSources,
        "New form of the root directive chunk_size, which it replaces.",
    )
    .unit("bytes")
    .also(&["SRS_VHOST_CHUNK_SIZE", "SRS_CHUNK_SIZE"]),
];

const RTMPS: &[DirectiveSpec] = &[
    row("enabled", Switch, "off", Restart, "Serves RTMP over TLS."),
    row("listen", PORT_OR_ENDPOINT, "1443", Listeners, "Where RTMP over TLS listens."),
    row("key", Text, "./conf/server.key", Restart, "File of the private key, in PEM form."),
    row("cert", Text, "./conf/server.crt", Restart, "File of the certificates, in PEM form."),
];

const CIRCUIT_BREAKER: &[DirectiveSpec] = &[
    row("enabled", Switch, "on", Live, "Protects a busy machine by refusing work."),
    row("high_threshold", PERCENT, "90", Live, "Load of the processor from which it counts as high.")
        .unit("%"),
    row("high_pulse", ANY, "2", Live, "Seconds of high load before it counts.").unit("s"),
    row("critical_threshold", PERCENT, "95", Live, "Load from which it counts as critical.").unit("%"),
    row("critical_pulse", ANY, "1", Live, "Seconds of critical load before it counts.").unit("s"),
    row("dying_threshold", PERCENT, "99", Live, "Load from which new players are refused.").unit("%"),
    row("dying_pulse", ANY, "5", Live, "Seconds of that load before it counts.").unit("s"),
];

const STATS: &[DirectiveSpec] = &[
    row(
        "enabled",
        Switch,
        "on",
        NoEffect,
        "Says that the numbers of the machine are collected; here the HTTP API reads them when it is asked.",
    )
    .no_variable(),
    row(
        "network",
        Integer { min: i64::MIN, max: i64::MAX },
        "0",
        Restart,
        "Which network interface is reported, from 0.",
    )
    .no_variable(),
    row("disk", Texts, "", Restart, "Which disks are reported.").no_variable().later(),
];

const HEARTBEAT_AUTH: &[DirectiveSpec] = &[
    row("enabled", Switch, "off", NextUse, "Says to the web address who reports."),
    row("type", Text, "", NextUse, "bearer sends a token."),
    row("token", Text, "", NextUse, "The token that is sent."),
];

const HEARTBEAT: &[DirectiveSpec] = &[
    block("auth", HEARTBEAT_AUTH, "Authentication of the reports."),
    row("enabled", Switch, "off", NextUse, "Reports this server to a web address again and again."),
    row("interval", Number, "10", NextUse, "Time between two reports.").unit("s"),
    row("url", Text, "http://127.0.0.1:8085/api/v1/servers", NextUse, "Where the reports are posted."),
    row("device_id", Text, "", NextUse, "Name of this server in the reports."),
    row("summaries", Switch, "off", NextUse, "Adds the numbers of the machine to the reports."),
    row("ports", Switch, "off", NextUse, "Adds the listening ports to the reports."),
];

const EXPORTER: &[DirectiveSpec] = &[
    row("enabled", Switch, "off", Restart, "Serves counters as Prometheus text."),
    row("listen", PORT_OR_ENDPOINT, "9972", Restart, "Where the counters are served, at /metrics."),
    row(
        "label",
        Text,
        "",
        Live,
        "Value of the label called label that every counter gets; none where empty.",
    ),
    row("tag", Text, "", Live, "Value of the label called tag that every counter gets; none where empty."),
];

const EXTENSION: &[DirectiveSpec] = &[
    super::vhost::LINGER,
    super::vhost::PULL_WAIT_LIMIT,
    super::vhost::PUSH_FAILOVER,
    super::vhost::GOP_CACHE_MAX_BYTES,
    super::vhost::QUEUE_MAX_BYTES,
    super::vhost::START_AT_KEYFRAME,
    super::vhost::AUDIO_WAIT,
    super::vhost::CONNECT_HOOK_EARLY,
    row(
        "trusted_proxy",
        Networks,
        "",
        NewConnections,
        "Addresses that may say for which client they connect.",
    )
    .no_variable(),
    row(
        "max_connections_per_ip",
        Integer { min: 0, max: 1 << 20 },
        "64",
        Live,
        "Connections that one address may have, but for trusted_proxy and this machine; of IPv6, one network of 64 bits. \
         0 is no limit.",
    )
    .no_variable(),
    row(
        "media_max_bytes",
        Bytes,
        "1g",
        Live,
        "Media that all streams together may hold; above it what is needed least is let go.",
    )
    .no_variable(),
    row("handshake_timeout", Number, "5", NewConnections, "Time from accept to a finished handshake.")
        .unit("s")
        .no_variable(),
    row(
        "keepalive",
        Number,
        "60",
        NewConnections,
        "Silence after which a peer has to show that it is there: to TCP, and as a viewer that gets nothing to an RTMP \
         ping. 0 is off.",
    )
    .unit("s")
    .no_variable(),
    row(
        "pause_timeout",
        Number,
        "180",
        NewConnections,
        "Longest wait for a command of a viewer that pauses. 0 is for ever.",
    )
    .unit("s")
    .no_variable(),
    row("max_message_bytes", Bytes, "8m", NewConnections, "Largest RTMP message that is put together.")
        .no_variable(),
    row(
        "max_csids",
        Integer { min: 2, max: 65_536 },
        "64",
        NewConnections,
        "Chunk streams that one connection may use.",
    )
    .no_variable(),
    row("hook_timeout", Number, "30", NextUse, "Longest wait for the answer of one address of http_hooks.")
        .unit("s")
        .no_variable(),
    row(
        "srs_version",
        Text,
        "",
        Live,
        "Version that the HTTP API reports, for tools that ask for one of SRS.",
    )
    .no_variable(),
];

/// Everything that may stand outside of a block.
pub const ROOT: &[DirectiveSpec] = &[
    row(
        "listen",
        Endpoints,
        "",
        Listeners,
        "Where RTMP listens: port, ip:port or [ip]:port, one or more; required.",
    ),
    block("rtmp", RTMP, "New form of listen and chunk_size (SRS 7.0.64 and later)."),
    block("rtmps", RTMPS, "RTMP over TLS.").later(),
    row("chunk_size", CHUNK_SIZE, "60000", NewSources, "Size of the chunks that are sent, 128 to 65536.")
        .unit("bytes")
        .also(&["SRS_VHOST_CHUNK_SIZE"]),
    row(
        "max_connections",
        Integer { min: i64::MIN, max: i64::MAX },
        "1000",
        Live,
        "Connections at the same time; a new one above is closed at once.",
    ),
    row("pid", Text, "./objs/srs.pid", Restart, "File of the process id, locked while the server runs."),
    row(
        "daemon",
        Switch,
        "off",
        Restart,
        "Goes to the background; unlike in SRS only where it says daemon on.",
    ),
    row("srs_log_tank", Choice(&["file", "console"]), "file", Live, "Where the log goes.")
        .also(&["SRS_LOG_TANK"]),
    row(
        "srs_log_file",
        Text,
        "./objs/srs.log",
        Live,
        "File of the log; its folder is made where it is missing.",
    )
    .also(&["SRS_LOG_FILE"]),
    row(
        "srs_log_level",
        Choice(LEVELS),
        "trace",
        Live,
        "Least important lines that are logged, in the old words.",
    )
    .also(&["SRS_LOG_LEVEL"]),
    row(
        "srs_log_level_v2",
        Choice(LEVELS),
        "",
        Live,
        "The same in the new words, trace debug info warn error; it wins over srs_log_level.",
    )
    .also(&["SRS_LOG_LEVEL_V2"]),
    row("ff_log_dir", Text, "./objs", Restart, "Folder of the logs of child processes.").ignored(),
    row("ff_log_level", Text, "info", Restart, "Level of the logs of child processes.").ignored(),
    row("utc_time", Switch, "off", Restart, "Writes the log in UTC instead of local time."),
    row("work_dir", Text, "./", Restart, "Working directory, entered at start."),
    row(
        "server_id",
        Text,
        "",
        Restart,
        "Name of this server; made up and kept beside the pid file where absent.",
    ),
    row("pithy_print_ms", ANY, "10000", Live, "Base interval of the lines with statistics.").unit("ms"),
    row("empty_ip_ok", Switch, "on", Restart, "Accepts peers without an address; here every peer has one.")
        .ignored(),
    row("grace_start_wait", ANY, "2300", NextUse, "Wait before a graceful stop begins.").unit("ms"),
    row("grace_final_wait", ANY, "3200", NextUse, "Wait at the end of a graceful stop.").unit("ms"),
    row("force_grace_quit", Switch, "off", Live, "Makes the signal TERM stop gracefully, as QUIT does."),
    row("asprocess", Switch, "off", Restart, "Quits when the parent process changes.").later(),
    row("in_docker", Switch, "off", Restart, "Says that the server runs in a container."),
    row("disable_daemon_for_docker", Switch, "on", Restart, "Stays in the foreground in a container."),
    row("auto_reload_for_docker", Switch, "on", Live, "Watches the configuration in a container."),
    row("inotify_auto_reload", Switch, "off", Live, "Reloads when a file of the configuration changes."),
    row("is_full", Switch, "off", Restart, "Marks a reference sample; a file with on is refused."),
    row("query_latest_version", Switch, "off", Restart, "Would ask for newer versions; never done here.")
        .ignored(),
    row("first_wait_for_qlv", ANY, "300", Restart, "Wait before that question; never asked here.")
        .unit("s")
        .ignored(),
    row("threads", Opaque, "", Restart, "Thread settings of SRS.").ignored(),
    row("tcmalloc_release_rate", Number, "", Restart, "Memory allocator setting of SRS.").ignored(),
    block("circuit_breaker", CIRCUIT_BREAKER, "Protection of a busy machine.").later(),
    block("stats", STATS, "Numbers of the machine for the HTTP API."),
    block("http_api", http::API, "The HTTP API."),
    block("http_server", http::SERVER, "The HTTP server of streams and files."),
    block("heartbeat", HEARTBEAT, "Reports of this server to a web address.").later(),
    block("exporter", EXPORTER, "Counters for Prometheus; the HTTP API has them too, at /metrics."),
    row("rtc_server", Opaque, "", Restart, "WebRTC server of SRS.").ignored(),
    row("srt_server", Opaque, "", Restart, "SRT server of SRS.").ignored(),
    row("rtsp_server", Opaque, "", Restart, "RTSP server of SRS.").ignored(),
    row("stream_caster", Opaque, "", Restart, "Inputs of other protocols of SRS.").ignored().repeats(),
    row("tencentcloud_cls", Opaque, "", Restart, "Cloud log service of SRS.").ignored(),
    row("tencentcloud_apm", Opaque, "", Restart, "Cloud tracing service of SRS.").ignored(),
    block(
        "extension",
        EXTENSION,
        "Our additions, unknown to SRS: keep them in an included file to share the others.",
    ),
    block(
        "vhost",
        VHOST,
        "Settings of a virtual host: vhost NAME { ... }; __defaultVhost__ serves all other names.",
    )
    .repeats(),
];
