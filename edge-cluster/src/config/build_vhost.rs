//! Values to a typed vhost, with the checks between its directives (spec 1.4, 2.2).

use std::time::Duration;

use super::build::parsed;
use super::diagnostic::{Location, Report};
use super::model::{
    ClusterConfig, ClusterMode, HooksConfig, Operation, PlayConfig, PublishConfig, ReferConfig, RemuxConfig,
    Rule, SecurityConfig, StreamExtension, TimeJitter, VhostConfig,
};
use super::tree::Directive;
use super::values::Values;

/// `queue_length 0` is without a limit in SRS; here a viewer always has one.
const QUEUE_LENGTH_DEFAULT: Duration = Duration::from_secs(30);
/// `mw_msgs` where it is not set and `min_latency` is off.
const MW_MESSAGES_DEFAULT: u32 = 8;

/// The vhost called `name`, written as `directive`. `root` fills in what the vhost leaves to it.
pub(super) fn vhost(
    name: &str,
    directive: &Directive,
    values: Values,
    root: &Values,
    report: &mut Report,
) -> VhostConfig {
    let v = &values;
    let here = &directive.location;
    let chunk_size = match v.location("chunk_size") {
        Some(_) if !v.words("chunk_size").is_empty() => v.count("chunk_size"),
        _ => root_chunk_size(root),
    };
    let forward_on = v.on("forward.enabled");
    let destinations = parsed(v, "forward.destination", "forward.destination", here, report);
    let vhost = VhostConfig {
        name: name.into(),
        enabled: v.on("enabled"),
        chunk_size,
        in_ack_bytes: v.count("in_ack_size"),
        out_ack_bytes: v.count("out_ack_size"),
        tcp_nodelay: v.on("tcp_nodelay"),
        min_latency: v.on("min_latency"),
        cluster: cluster(v, here, report),
        play: play(v, here, report),
        publish: publish(v),
        refer: v.on("refer.enabled").then(|| refer(v)),
        security: security(v),
        http_hooks: v.on("http_hooks.enabled").then(|| hooks(v, here, report)),
        forward: if forward_on { destinations } else { Vec::new() },
        http_remux: v.on("http_remux.enabled").then(|| remux(v)),
        extension: extension(v, root),
        values: Values::default(),
    };
    check(&vhost, v, directive, report);
    warn_of_no_effect(&vhost, v, root, here, report);
    VhostConfig { values, ..vhost }
}

fn root_chunk_size(root: &Values) -> u32 {
    let path = if root.location("rtmp.chunk_size").is_some() { "rtmp.chunk_size" } else { "chunk_size" };
    root.count(path)
}

fn cluster(v: &Values, here: &Location, report: &mut Report) -> ClusterConfig {
    ClusterConfig {
        mode: if v.text("cluster.mode") == "remote" { ClusterMode::Remote } else { ClusterMode::Local },
        origins: parsed(v, "cluster.origin", "cluster.origin", here, report),
        token_traverse: v.on("cluster.token_traverse"),
        vhost: v.text("cluster.vhost"),
        identify: v.on("cluster.debug_srs_upnode"),
    }
}

fn play(v: &Values, here: &Location, report: &mut Report) -> PlayConfig {
    let frames = v.count("play.gop_cache_max_frames");
    let queue_length = match v.seconds("play.queue_length") {
        Duration::ZERO => {
            let at = v.location("play.queue_length").unwrap_or(here);
            report.warn(at, "play.queue_length 0 would be without a limit; 30 is used");
            QUEUE_LENGTH_DEFAULT
        }
        length => length,
    };
    let mw_messages = match v.words("play.mw_msgs") {
        [] if v.on("min_latency") => 0,
        [] => MW_MESSAGES_DEFAULT,
        _ => v.count("play.mw_msgs"),
    };
    PlayConfig {
        gop_cache: v.on("play.gop_cache"),
        gop_cache_frames_max: (frames > 0).then_some(frames),
        queue_length,
        time_jitter: match v.text("play.time_jitter").as_str() {
            "zero" => TimeJitter::Zero,
            "off" => TimeJitter::Off,
            _ => TimeJitter::Full,
        },
        mix_correct: v.on("play.mix_correct"),
        atc: v.on("play.atc"),
        atc_auto: v.on("play.atc_auto"),
        mw_latency: v.milliseconds("play.mw_latency"),
        mw_messages,
        send_min_interval: v.milliseconds("play.send_min_interval"),
        reduce_sequence_header: v.on("play.reduce_sequence_header"),
    }
}

fn publish(v: &Values) -> PublishConfig {
    let idle = v.seconds("publish.kickoff_for_idle");
    PublishConfig {
        mr: v.on("publish.mr"),
        mr_latency: v.milliseconds("publish.mr_latency"),
        first_message_timeout: v.milliseconds("publish.firstpkt_timeout"),
        silence_timeout: v.milliseconds("publish.normal_timeout"),
        kickoff_for_idle: (!idle.is_zero()).then_some(idle),
    }
}

fn refer(v: &Values) -> ReferConfig {
    let list = |path: &str| v.location(path).map(|_| v.words(path).to_vec());
    ReferConfig { all: list("refer.all"), publish: list("refer.publish"), play: list("refer.play") }
}

/// Rules that cannot be read are errors of their own.
fn security(v: &Values) -> Option<SecurityConfig> {
    let rules = |path: &str| v.words(path).iter().filter_map(|text| parse_rule(text)).collect();
    let config = SecurityConfig { allow: rules("security.allow"), deny: rules("security.deny") };
    v.on("security.enabled").then_some(config)
}

/// `play 10.0.0.0/8`
pub(super) fn parse_rule(text: &str) -> Option<Rule> {
    let mut words = text.split_whitespace();
    let operation = match words.next()? {
        "publish" => Operation::Publish,
        "play" => Operation::Play,
        _ => return None,
    };
    let network = match words.next()? {
        "all" => None,
        range => Some(range.parse().ok()?),
    };
    words.next().is_none().then_some(Rule { operation, network })
}

fn hooks(v: &Values, here: &Location, report: &mut Report) -> HooksConfig {
    let mut urls = |name: &str| {
        let path = format!("http_hooks.{name}");
        let urls = v.words(&path);
        for url in urls.iter().filter(|url| !url.starts_with("http://")) {
            let at = v.location(&path).unwrap_or(here);
            report.warn(
                at,
                format!("{path} {url} cannot be asked, only http:// can: its answer is always a no"),
            );
        }
        urls.to_vec()
    };
    HooksConfig {
        on_connect: urls("on_connect"),
        on_close: urls("on_close"),
        on_publish: urls("on_publish"),
        on_unpublish: urls("on_unpublish"),
        on_play: urls("on_play"),
        on_stop: urls("on_stop"),
    }
}

fn remux(v: &Values) -> RemuxConfig {
    RemuxConfig {
        mount: v.text("http_remux.mount"),
        drop_if_not_match: v.on("http_remux.drop_if_not_match"),
        has_audio: v.on("http_remux.has_audio"),
        has_video: v.on("http_remux.has_video"),
        guess_has_av: v.on("http_remux.guess_has_av"),
    }
}

fn extension(v: &Values, root: &Values) -> StreamExtension {
    let of = |path: &str| if v.location(path).is_some() { v } else { root };
    let wait = of("extension.pull_wait_limit").seconds("extension.pull_wait_limit");
    StreamExtension {
        linger: of("extension.linger").seconds("extension.linger"),
        pull_wait_limit: (!wait.is_zero()).then_some(wait),
        push_failover: of("extension.push_failover").on("extension.push_failover"),
        gop_cache_bytes_max: of("extension.gop_cache_max_bytes").bytes("extension.gop_cache_max_bytes"),
        queue_bytes_max: of("extension.queue_max_bytes").bytes("extension.queue_max_bytes"),
        start_at_keyframe: of("extension.start_at_keyframe").on("extension.start_at_keyframe"),
        audio_wait: of("extension.audio_wait").milliseconds("extension.audio_wait"),
        connect_hook_early: of("extension.connect_hook_early").on("extension.connect_hook_early"),
    }
}

fn check(vhost: &VhostConfig, v: &Values, directive: &Directive, report: &mut Report) {
    let here = &directive.location;
    if vhost.cluster.is_edge() && v.words("cluster.origin").is_empty() {
        let at = v.location("cluster.mode").unwrap_or(here);
        report.lacks(at, "an edge (cluster.mode remote) needs cluster.origin");
    }
    if v.on("forward.enabled") && vhost.publish.kickoff_for_idle.is_some() {
        let at = v.location("publish.kickoff_for_idle").unwrap_or(here);
        report.error(at, "publish.kickoff_for_idle is impossible with forward: a forwarded stream is in use");
    }
    let hls_on =
        directive.child("hls").and_then(|hls| hls.child("enabled")).and_then(Directive::arg) == Some("on");
    if hls_on && vhost.http_remux.as_ref().is_some_and(|remux| remux.mount.ends_with(".ts")) {
        let at = v.location("http_remux.mount").unwrap_or(here);
        report.error(at, "http_remux.mount .ts is impossible with hls on, both serve .ts files");
    }
    let ingests: Vec<&Directive> = directive.children.iter().filter(|child| child.name == "ingest").collect();
    for (index, ingest) in ingests.iter().enumerate() {
        let id = ingest.arg().unwrap_or_default();
        if ingests.iter().take(index).any(|earlier| earlier.arg().unwrap_or_default() == id) {
            report.error(&ingest.location, format!("second ingest {id:?} in the vhost"));
        }
    }
}

/// Directives that are good by themselves and do nothing beside the others.
fn warn_of_no_effect(vhost: &VhostConfig, v: &Values, root: &Values, here: &Location, report: &mut Report) {
    let mut warn = |path: &str, message: &str| report.warn(v.location(path).unwrap_or(here), message);
    if vhost.cluster.is_edge() {
        if v.on("forward.enabled") {
            warn(
                "forward.enabled",
                "forward has no effect on an edge, which sends published streams to cluster.origin",
            );
        }
    } else if !vhost.cluster.origins.is_empty() {
        warn("cluster.origin", "cluster.origin has no effect without cluster.mode remote");
    }
    if let Some(remux) = &vhost.http_remux {
        if !root.on("http_server.enabled") {
            warn("http_remux.enabled", "http_remux has no effect while http_server is off");
        }
        if !remux.mount.ends_with(".flv") {
            warn(
                "http_remux.mount",
                "http_remux.mount has no effect: only streams that end in .flv are served",
            );
        }
    }
}
