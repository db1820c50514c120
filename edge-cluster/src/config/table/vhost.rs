//! Directives of a vhost (spec 2.2, 2.4, 2.5).

use super::Kind::{self, Bytes, Choice, Hosts, Integer, Number, Opaque, Rule, Switch, Text, Texts};
use super::Reload::{Live, NewConnections, NewSources, NextUse, Refused, Restarted};
use super::{ANY, DirectiveSpec, block, row};

/// Chunk sizes that SRS accepts without a warning.
pub(super) const CHUNK_SIZE: Kind = Integer { min: 128, max: 65_536 };

pub(super) const LINGER: DirectiveSpec =
    row("linger", Number, "3", NextUse, "How long a stream is pulled on after its last viewer.")
        .unit("s")
        .no_variable();
pub(super) const PULL_WAIT_LIMIT: DirectiveSpec = row(
    "pull_wait_limit",
    Number,
    "60",
    NextUse,
    "How long viewers wait for a stream that never came; 0 is for ever.",
)
.unit("s")
.no_variable();
pub(super) const PUSH_FAILOVER: DirectiveSpec = row(
    "push_failover",
    Switch,
    "on",
    NextUse,
    "Sends to the next origin when one is lost, while the publisher stays.",
)
.no_variable();
pub(super) const GOP_CACHE_MAX_BYTES: DirectiveSpec =
    row("gop_cache_max_bytes", Bytes, "32m", Live, "Largest GOP cache of a stream.").no_variable();
pub(super) const QUEUE_MAX_BYTES: DirectiveSpec =
    row("queue_max_bytes", Bytes, "32m", Live, "Largest queue of a viewer.").no_variable();
pub(super) const START_AT_KEYFRAME: DirectiveSpec = row(
    "start_at_keyframe",
    Switch,
    "off",
    NextUse,
    "Holds video back until a key frame where there is no GOP cache.",
)
.no_variable();
pub(super) const AUDIO_WAIT: DirectiveSpec = row(
    "audio_wait",
    Number,
    "40",
    Live,
    "With min_latency: how long audio waits for the next picture, to go out in the same write; 0 sends it at once.",
)
.unit("ms")
.no_variable();
pub(super) const CONNECT_HOOK_EARLY: DirectiveSpec = row(
    "connect_hook_early",
    Switch,
    "off",
    NewConnections,
    "Asks on_connect before the connection is accepted.",
)
.no_variable();

const EXTENSION: &[DirectiveSpec] = &[
    LINGER,
    PULL_WAIT_LIMIT,
    PUSH_FAILOVER,
    GOP_CACHE_MAX_BYTES,
    QUEUE_MAX_BYTES,
    START_AT_KEYFRAME,
    AUDIO_WAIT,
    CONNECT_HOOK_EARLY,
];

const CLUSTER: &[DirectiveSpec] = &[
    row(
        "mode",
        Choice(&["local", "remote"]),
        "local",
        Refused,
        "remote makes the vhost an edge, local an origin.",
    ),
    row(
        "origin",
        Hosts,
        "",
        NextUse,
        "Servers that have the streams: one or more host[:port]; an edge needs one.",
    ),
    row("token_traverse", Switch, "off", NextUse, "Asks the origin whether a client may connect."),
    row(
        "vhost",
        Text,
        "[vhost]",
        NextUse,
        "Vhost to ask for at the origin; [vhost] is the one of the client.",
    )
    .no_variable(),
    row(
        "debug_srs_upnode",
        Switch,
        "on",
        NextUse,
        "Adds values that identify this server to its own connects.",
    )
    .no_variable(),
    row(
        "protocol",
        Choice(&["rtmp", "flv", "flvs"]),
        "rtmp",
        NextUse,
        "Protocol of the pull: RTMP or HTTP-FLV.",
    )
    .no_variable()
    .later(),
    row("follow_client", Switch, "off", NextUse, "Pulls with the protocol of the first player.")
        .no_variable()
        .later(),
    row(
        "origin_cluster",
        Switch,
        "off",
        NextUse,
        "Makes origins send players to the one that has the stream.",
    )
    .no_variable()
    .later(),
    row("coworkers", Texts, "", NextUse, "HTTP APIs of the other origins.").no_variable().later(),
];

const PLAY: &[DirectiveSpec] = &[
    row("gop_cache", Switch, "on", Live, "Starts viewers at the last key frame at once."),
    row("gop_cache_max_frames", ANY, "2500", Live, "Most messages in the GOP cache; 0 is no limit.")
        .unit("messages"),
    row("queue_length", ANY, "30", Live, "How far a viewer may fall behind; 0 reads as 30.").unit("s"),
    row(
        "time_jitter",
        Choice(&["full", "zero", "off"]),
        "full",
        Live,
        "Correction of timestamps: full, only to start at zero, or off.",
    ),
    row("mix_correct", Switch, "off", Live, "Puts audio and video of mixed sources in the order of time."),
    row("atc", Switch, "off", Live, "Keeps the timestamps of the encoder (absolute time code)."),
    row("atc_auto", Switch, "off", Live, "Switches to atc where the metadata asks for it."),
    row("mw_latency", ANY, "350", Live, "How long messages are collected into one write.").unit("ms"),
    row(
        "mw_msgs",
        Integer { min: 0, max: 128 },
        "",
        Live,
        "How many messages are collected into one write; 8, or 0 with min_latency on.",
    )
    .unit("messages"),
    row("send_min_interval", Number, "0", Live, "Wait after each write of one message; 0 is off.").unit("ms"),
    row(
        "reduce_sequence_header",
        Switch,
        "off",
        Live,
        "Sends a repeated sequence header only when it changed.",
    ),
];

const PUBLISH: &[DirectiveSpec] = &[
    row(
        "mr",
        Switch,
        "off",
        Live,
        "Merged read of SRS. Here a read takes all that has arrived, either way; only the statistics tell.",
    ),
    row("mr_latency", ANY, "350", Live, "Part of the same, in the statistics only.").unit("ms"),
    row("firstpkt_timeout", ANY, "20000", Live, "Longest wait for the first message of a publisher.")
        .unit("ms"),
    row("normal_timeout", ANY, "5000", Live, "Longest silence of a publisher.").unit("ms"),
    row("parse_sps", Switch, "on", Live, "Reads picture sizes from the stream for statistics.").later(),
    row("try_annexb_first", Switch, "on", Live, "How the reading of picture sizes begins.").later(),
    row(
        "kickoff_for_idle",
        Number,
        "0",
        Live,
        "Disconnects a publisher that nobody watched for so long; 0 is never.",
    )
    .unit("s"),
];

const REFER: &[DirectiveSpec] = &[
    row("enabled", Switch, "off", Live, "Checks from which web page a client comes.").no_variable(),
    row("all", Texts, "", Live, "Domains of pages that may publish and play.").no_variable(),
    row("publish", Texts, "", Live, "Domains of pages that may publish.").no_variable(),
    row("play", Texts, "", Live, "Domains of pages that may play.").no_variable(),
];

const SECURITY: &[DirectiveSpec] = &[
    row("enabled", Switch, "off", Live, "Checks the addresses of clients; on without a rule refuses all.")
        .no_variable(),
    row("allow", Rule, "", Live, "Allows publish or play to all, an address or a range.")
        .no_variable()
        .repeats(),
    row("deny", Rule, "", Live, "Refuses publish or play to all, an address or a range; wins over allow.")
        .no_variable()
        .repeats(),
];

const HTTP_HOOKS: &[DirectiveSpec] = &[
    row("enabled", Switch, "off", Live, "Asks web addresses about clients and tells them what happens."),
    row("on_connect", Texts, "", Live, "Asked when a client connects; a refusal closes it."),
    row("on_close", Texts, "", Live, "Told when a connection ends."),
    row("on_publish", Texts, "", Live, "Asked before a stream is published."),
    row("on_unpublish", Texts, "", Live, "Told when a stream is no longer published."),
    row("on_play", Texts, "", Live, "Asked before a stream is played."),
    row("on_stop", Texts, "", Live, "Told when a viewer stops."),
    row("on_dvr", Texts, "", Live, "Told when a recording is finished.").later(),
    row("on_hls", Texts, "", Live, "Told when an HLS file is finished.").later(),
    row("on_hls_notify", Texts, "", Live, "Fetched when an HLS file is finished.").later(),
];

const FORWARD: &[DirectiveSpec] = &[
    row("enabled", Switch, "off", Restarted, "Sends a copy of every published stream to other servers.")
        .no_variable(),
    row("destination", Hosts, "", Restarted, "Those servers: one or more host[:port].").no_variable(),
    row("backend", Text, "", Restarted, "Web address that is asked for those servers.").no_variable().later(),
];

const HTTP_REMUX: &[DirectiveSpec] = &[
    row("enabled", Switch, "off", NewConnections, "Serves the streams of the vhost over HTTP."),
    row(
        "mount",
        Text,
        "[vhost]/[app]/[stream].flv",
        NewConnections,
        "Address of a stream; the extension chooses the format.",
    ),
    row(
        "fast_cache",
        Number,
        "0",
        NewConnections,
        "Seconds of audio that are kept for a quick start of .aac and .mp3.",
    )
    .unit("s")
    .later(),
    row(
        "drop_if_not_match",
        Switch,
        "on",
        NewConnections,
        "Drops audio or video that the FLV header does not announce.",
    ),
    row("has_audio", Switch, "on", NewConnections, "Announces audio in the FLV header."),
    row("has_video", Switch, "on", NewConnections, "Announces video in the FLV header."),
    row("guess_has_av", Switch, "on", NewConnections, "Announces in the FLV header what the stream has."),
];

const HTTP_STATIC: &[DirectiveSpec] = &[
    row("enabled", Switch, "off", Restarted, "Serves files for the vhost."),
    row("mount", Text, "[vhost]/", Restarted, "Address of the files."),
    row("dir", Text, "./objs/nginx/html", Restarted, "Folder of the files."),
];

/// Everything that may stand in a vhost.
pub(super) const VHOST: &[DirectiveSpec] = &[
    row("enabled", Switch, "on", Live, "off refuses the clients of this vhost.").no_variable(),
    row(
        "chunk_size",
        CHUNK_SIZE,
        "",
        NewSources,
        "Size of the chunks that are sent; the one of the root where absent.",
    )
    .unit("bytes"),
    row(
        "in_ack_size",
        ANY,
        "0",
        NewConnections,
        "Acknowledgement window where the peer announces none; 0 is no acknowledgement.",
    )
    .unit("bytes"),
    row(
        "out_ack_size",
        ANY,
        "2500000",
        NewConnections,
        "Acknowledgement window sent after connect; 0 is not sent.",
    )
    .unit("bytes"),
    row("tcp_nodelay", Switch, "off", NewConnections, "Sends small writes at once."),
    row("min_latency", Switch, "off", Live, "Prefers low latency to few writes; mw_msgs becomes 0."),
    block("cluster", CLUSTER, "Edge or origin, and where the streams are."),
    block("play", PLAY, "How streams are sent to viewers."),
    block("publish", PUBLISH, "How streams are received from publishers."),
    block("refer", REFER, "Which web pages clients may come from."),
    block("security", SECURITY, "Which addresses may publish and play."),
    block("http_hooks", HTTP_HOOKS, "Web addresses that are asked and told about clients."),
    block("forward", FORWARD, "Copies of published streams to other servers (origin only)."),
    block("http_remux", HTTP_REMUX, "Streams over HTTP."),
    block("http_static", HTTP_STATIC, "Files over HTTP.").later(),
    block(
        "extension",
        EXTENSION,
        "Our additions for this vhost; what is absent comes from the root's block.",
    ),
    row("hls", Opaque, "", Restarted, "HLS; on an edge cache the origin's HTTP instead.").later(),
    row("dash", Opaque, "", Restarted, "DASH output of SRS.").ignored(),
    row("hds", Opaque, "", Restarted, "HDS output of SRS.").ignored(),
    row("dvr", Opaque, "", Restarted, "Recording of SRS.").ignored(),
    row("transcode", Opaque, "", Restarted, "Transcoding of SRS by a child process.").ignored().repeats(),
    row("ingest", Opaque, "", Restarted, "Inputs of SRS by child processes.").ignored().repeats(),
    row("exec", Opaque, "", Restarted, "Programs that SRS runs for each publisher.").ignored(),
    row("rtc", Opaque, "", Restarted, "WebRTC of SRS.").ignored(),
    row("srt", Opaque, "", Restarted, "SRT of SRS.").ignored(),
    row("rtsp", Opaque, "", Restarted, "RTSP of SRS.").ignored(),
    row("bandcheck", Opaque, "", Restarted, "Bandwidth test of old SRS versions.").ignored(),
];
