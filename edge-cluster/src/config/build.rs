//! Values to the typed root configuration, with the checks between directives (spec 1.4).

use std::str::FromStr;
use std::time::Duration;

use super::address::{Endpoint, Network};
use super::diagnostic::{Location, Report};
use super::model::{
    ApiAuth, BasicAuth, BearerAuth, ConnectionLimits, ContainerConfig, EdgeConfig, ExporterConfig,
    HttpApiConfig, HttpServerConfig, LogConfig, LogLevel, LogTank, StopConfig, VhostConfig,
};
use super::values::Values;

/// The least media that a server has to hold; below it even one picture may be too much.
const MEDIA_BYTES_MIN: u64 = 1 << 20;
/// Open files that a server needs beside its connections.
const FILES_BESIDE_CONNECTIONS: u64 = 128;

/// What the checks need to know beside the values.
pub(super) struct Context<'a> {
    pub(super) file: &'a Location,
    pub(super) open_files_max: Option<u64>,
    /// Whether the process runs in a container.
    pub(super) in_container: bool,
    /// Whether a missing `listen` is the default port instead of an error.
    pub(super) listen_optional: bool,
}

/// The root configuration around `vhosts`.
pub(super) fn root(
    mut values: Values,
    vhosts: Vec<VhostConfig>,
    context: &Context<'_>,
    report: &mut Report,
) -> EdgeConfig {
    prefer_rtmp_block(&mut values, report);
    check_root(&values, context, report);
    let v = &values;
    let listen = listen(v, context, report);
    let in_docker = context.in_container || v.on("in_docker");
    let auth = v.on("http_api.auth.enabled").then(|| auth(v));
    let http = ["http_api.listen", "http_server.listen", "exporter.listen"]
        .map(|path| endpoints(v, path, context.file, report));
    check_places(v, &listen, &http, context, report);
    let [api_listen, server_listen, exporter_listen] = http;
    let limit = |path| Some(v.seconds(path)).filter(|limit| !limit.is_zero());
    EdgeConfig {
        listen,
        chunk_size: v.count("chunk_size"),
        max_connections: v.count("max_connections"),
        pid: v.text("pid"),
        daemon: v.on("daemon"),
        log: log(v, in_docker),
        work_dir: v.text("work_dir"),
        server_id: v.words("server_id").first().cloned(),
        pithy_print: v.milliseconds("pithy_print_ms"),
        stop: StopConfig {
            grace_start_wait: v.milliseconds("grace_start_wait"),
            grace_final_wait: v.milliseconds("grace_final_wait"),
            force_grace_quit: v.on("force_grace_quit"),
        },
        container: ContainerConfig {
            in_docker,
            disable_daemon: v.on("disable_daemon_for_docker"),
            auto_reload: v.on("auto_reload_for_docker"),
        },
        stats_network: v.count("stats.network"),
        http_api: HttpApiConfig {
            enabled: v.on("http_api.enabled"),
            listen: api_listen,
            crossdomain: v.on("http_api.crossdomain"),
            auth,
            raw_api: v.on("http_api.raw_api.enabled"),
            allow_reload: v.on("http_api.raw_api.enabled") && v.on("http_api.raw_api.allow_reload"),
        },
        http_server: HttpServerConfig {
            enabled: v.on("http_server.enabled"),
            listen: server_listen,
            dir: v.text("http_server.dir"),
            crossdomain: v.on("http_server.crossdomain"),
        },
        exporter: ExporterConfig {
            enabled: v.on("exporter.enabled"),
            listen: exporter_listen,
            label: v.text("exporter.label"),
            tag: v.text("exporter.tag"),
        },
        auto_reload: v.on("inotify_auto_reload") || (in_docker && v.on("auto_reload_for_docker")),
        srs_version: v.text("extension.srs_version"),
        media_bytes_max: v.bytes("extension.media_max_bytes"),
        hook_timeout: v.seconds("extension.hook_timeout").max(Duration::from_millis(1)),
        connections: ConnectionLimits {
            trusted_proxies: parsed::<Network>(
                v,
                "extension.trusted_proxy",
                "trusted_proxy",
                context.file,
                report,
            ),
            per_ip_max: v.count("extension.max_connections_per_ip"),
            handshake_timeout: v.seconds("extension.handshake_timeout").max(Duration::from_millis(1)),
            keepalive: limit("extension.keepalive"),
            pause_timeout: limit("extension.pause_timeout"),
            message_bytes_max: v.bytes("extension.max_message_bytes").max(1),
            chunk_streams_max: v.count("extension.max_csids"),
        },
        vhosts,
        values,
    }
}

/// `rtmp { listen; chunk_size; }` wins over the root directives. Afterwards only the root ones are left.
fn prefer_rtmp_block(values: &mut Values, report: &mut Report) {
    for name in ["listen", "chunk_size"] {
        if let Some(setting) = values.0.remove(&format!("rtmp.{name}"))
            && let Some(at) = setting.location.clone()
        {
            let replaced = values.0.insert(name.into(), setting).and_then(|old| old.location);
            // One variable sets both forms.
            if let Some(old) = replaced.filter(|old| old.file != at.file || old.line > 0) {
                report.warn(&old, format!("{name} without effect, rtmp {{ {name}; }} at {at} counts"));
            }
        }
    }
}

fn listen(values: &Values, context: &Context<'_>, report: &mut Report) -> Vec<Endpoint> {
    if values.words("listen").is_empty() {
        if context.listen_optional {
            return vec![Endpoint { ip: None, port: super::address::RTMP_PORT }];
        }
        report.lacks(context.file, "listen is required");
    }
    endpoints(values, "listen", context.file, report)
}

/// Places that are listened on twice: the system would only say that something uses the address already. Servers over HTTP
/// may share one.
fn check_places(
    values: &Values,
    rtmp: &[Endpoint],
    http: &[Vec<Endpoint>],
    context: &Context<'_>,
    report: &mut Report,
) {
    let servers = ["http_api", "http_server", "exporter"].iter().zip(http);
    let on = servers.filter(|(server, _)| values.on(&format!("{server}.enabled")));
    let mut taken: Vec<(String, Endpoint)> = Vec::new();
    for endpoint in rtmp {
        taken.push(("listen".into(), *endpoint));
    }
    for (server, endpoints) in on {
        taken.extend(endpoints.iter().map(|endpoint| (format!("{server}.listen"), *endpoint)));
    }
    for (index, (path, endpoint)) in taken.iter().enumerate() {
        let before = taken.iter().take(index).find(|(other, known)| {
            let shared = known == endpoint && path != "listen" && other != "listen";
            known.overlaps(*endpoint) && !shared
        });
        if let Some((other, known)) = before {
            let at = values.location(path).unwrap_or(context.file);
            report.error(at, format!("{path} {endpoint} is taken already, by {other} {known}"));
        }
    }
}

fn endpoints(values: &Values, path: &str, file: &Location, report: &mut Report) -> Vec<Endpoint> {
    parsed(values, path, path, file, report)
}

/// The words of `path` as values of type `T`; those that are none are errors.
pub(super) fn parsed<T>(
    values: &Values,
    path: &str,
    shown: &str,
    file: &Location,
    report: &mut Report,
) -> Vec<T>
where
    T: FromStr<Err: std::fmt::Display>,
{
    let mut found = Vec::new();
    for word in values.words(path) {
        match word.parse() {
            Ok(value) => found.push(value),
            Err(error) => {
                report.error(values.location(path).unwrap_or(file), format!("{shown} {error}, not {word:?}"));
            }
        }
    }
    found
}

fn log(values: &Values, in_docker: bool) -> LogConfig {
    let new = values.text("srs_log_level_v2");
    let level = match (new.as_str(), values.text("srs_log_level").as_str()) {
        ("verbose" | "trace", _) | ("", "verbose") => LogLevel::Trace,
        ("debug", _) | ("", "info" | "debug") => LogLevel::Debug,
        ("warn", _) | ("", "warn") => LogLevel::Warn,
        ("error", _) | ("", "error") => LogLevel::Error,
        _ => LogLevel::Info,
    };
    LogConfig {
        tank: match values.location("srs_log_tank") {
            // Containers have their output collected.
            None if in_docker => LogTank::Console,
            _ if values.text("srs_log_tank") == "console" => LogTank::Console,
            _ => LogTank::File,
        },
        file: values.text("srs_log_file"),
        level,
        utc: values.on("utc_time"),
    }
}

fn check_root(values: &Values, context: &Context<'_>, report: &mut Report) {
    let at = |path: &str| values.location(path).unwrap_or(context.file);
    if values.bytes("extension.media_max_bytes") < MEDIA_BYTES_MIN {
        report.error(at("extension.media_max_bytes"), "extension.media_max_bytes must be 1m at least");
    }
    let connections = values.integer("max_connections");
    if connections <= 0 {
        report.error(at("max_connections"), "max_connections must be above 0");
    } else if let Some(files) = context.open_files_max
        && connections.unsigned_abs().saturating_add(FILES_BESIDE_CONNECTIONS) > files
    {
        let message = format!(
            "max_connections {connections} needs {} open files and the limit of this process is {files}: raise it \
             (ulimit -n) or lower max_connections",
            connections.unsigned_abs().saturating_add(FILES_BESIDE_CONNECTIONS)
        );
        report.lacks(at("max_connections"), message);
    }
    if values.location("heartbeat.interval").is_some() && values.number("heartbeat.interval") <= 0.0 {
        report.error(at("heartbeat.interval"), "heartbeat.interval must be above 0");
    }
    if values.integer("stats.network") < 0 {
        report.error(at("stats.network"), "stats.network is the number of an interface, from 0");
    }
    if !values.on("stats.enabled") {
        let message =
            "stats.enabled off has no effect: the HTTP API reads the numbers of the machine when it is asked";
        report.warn(at("stats.enabled"), message);
    }
    if values.on("is_full") {
        report.error(at("is_full"), "this is a reference sample (is_full on), write a file of your own");
    }
    if values.on("asprocess") && values.on("daemon") {
        report.error(at("asprocess"), "asprocess on is impossible with daemon on");
    }
    if values.on("http_api.auth.enabled") {
        check_auth(values, at, report);
    }
    check_http(values, at, report);
}

fn auth(v: &Values) -> ApiAuth {
    match v.text("http_api.auth.type").as_str() {
        "bearer" => ApiAuth::Bearer(BearerAuth { token: v.text("http_api.auth.token") }),
        _ => ApiAuth::Basic(BasicAuth {
            username: v.text("http_api.auth.username"),
            password: v.text("http_api.auth.password"),
        }),
    }
}

/// Who may use the API is nothing to guess at: a mistake here must not open it.
fn check_auth<'a>(values: &'a Values, at: impl Fn(&str) -> &'a Location, report: &mut Report) {
    match values.text("http_api.auth.type").as_str() {
        "basic" => {
            for path in ["http_api.auth.username", "http_api.auth.password"] {
                if values.text(path).is_empty() {
                    let message = format!("{path} is empty: so must be what clients give");
                    report.warn(at("http_api.auth.enabled"), message);
                }
            }
        }
        "bearer" if values.text("http_api.auth.token").is_empty() => {
            report.lacks(at("http_api.auth.type"), "http_api.auth.type bearer needs http_api.auth.token");
        }
        "bearer" => {}
        other => {
            let message = format!("http_api.auth.type is basic or bearer, not {other:?}");
            report.error(at("http_api.auth.type"), message);
        }
    }
}

fn check_http<'a>(values: &'a Values, at: impl Fn(&str) -> &'a Location, report: &mut Report) {
    for server in ["http_api", "http_server"] {
        let https = format!("{server}.https.enabled");
        if values.on(&https) && !values.on(&format!("{server}.enabled")) {
            report.lacks(at(&https), format!("{server}.https is on while {server} is off"));
        }
    }
    let both =
        |name: &str| ["http_api", "http_server"].iter().all(|server| values.on(&format!("{server}.{name}")));
    if !both("enabled") || !both("https.enabled") {
        return;
    }
    let same = |name: &str| {
        values.words(&format!("http_api.{name}")) == values.words(&format!("http_server.{name}"))
    };
    if same("listen") != same("https.listen") {
        let message = "http_api and http_server must share both of listen and https.listen, or none";
        report.lacks(at("http_api.listen"), message);
    }
}
