//! Behaviour that operators see: diagnostics, includes, old forms, environment, checks.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

use std::time::Duration;

use edge_cluster::config::table::{ROOT, walk};
use edge_cluster::config::{
    ApiAuth, ConfigLimits, EdgeConfig, LoadOptions, Loaded, LogLevel, LogTank, MemorySources, Operation,
    load, load_environment,
};

fn load_text(text: &str) -> Result<Loaded, Vec<String>> {
    load_with(text, &LoadOptions::default())
}

fn load_with(text: &str, options: &LoadOptions) -> Result<Loaded, Vec<String>> {
    let error = |e: edge_cluster::config::ConfigError| e.errors().map(ToString::to_string).collect();
    load(&MemorySources::from([("a.conf", text)]), "a.conf", options).map_err(error)
}

fn config(text: &str) -> EdgeConfig {
    load_text(text).unwrap().config
}

fn errors(text: &str) -> Vec<String> {
    load_text(text).map(|_| text).unwrap_err()
}

fn warnings(text: &str) -> Vec<String> {
    load_text(text).unwrap().warnings.iter().map(ToString::to_string).collect()
}

fn environment(variables: &[(&str, &str)]) -> LoadOptions {
    let mut options = LoadOptions::default();
    options.environment.extend(variables.iter().map(|&(name, value)| (name.into(), value.into())));
    options
}

#[test]
fn all_errors_are_listed_with_place_and_suggestion() {
    let text = "lisen 1935;\nvhost a {\n\tcluster { mode remote; orign b; }\n\tplay { gopcache on; }\n}\n";
    assert_eq!(
        errors(text),
        [
            r#"a.conf:1:1: unknown directive lisen (did you mean "listen"?)"#,
            r#"a.conf:3:25: unknown directive vhost.cluster.orign (did you mean "origin"?)"#,
            r#"a.conf:4:9: unknown directive vhost.play.gopcache (did you mean "gop_cache"?)"#,
            "a.conf:3:12: an edge (cluster.mode remote) needs cluster.origin",
            "a.conf: listen is required",
        ]
    );
}

#[test]
fn a_missing_semicolon_does_not_hide_the_next_mistake() {
    let found = errors("listen 1935\nvhost a {\n  enabled on\n  play { ; }\n}\n");
    assert_eq!(
        found,
        [
            "a.conf:1:1: a directive must end on its line, a ; is missing",
            "a.conf:3:3: a directive must end on its line, a ; is missing",
            "a.conf:4:10: unexpected ;",
        ]
    );
}

#[test]
fn a_file_that_ends_too_early_says_what_is_open() {
    assert_eq!(
        errors("listen 1;\nvhost a {\n play {\n}\nvhost b { }\n"),
        ["a.conf:6:1: end of file inside a block: the } of vhost a, opened at a.conf:2:1, is missing"]
    );
    assert_eq!(
        errors("listen 1;\npid x\n\n"),
        ["a.conf:2:1: end of file inside a directive, a ; is missing"]
    );
}

#[test]
fn directives_in_the_wrong_block_are_told_where_they_belong() {
    assert_eq!(
        errors("listen 1; mw_latency 3; vhost a { play { min_latency on; } max_connections 3; }"),
        [
            r#"a.conf:1:11: unknown directive mw_latency (did you mean "vhost.play.mw_latency"?)"#,
            r#"a.conf:1:42: unknown directive vhost.play.min_latency (did you mean "vhost.min_latency"?)"#,
            r#"a.conf:1:60: unknown directive vhost.max_connections (did you mean "max_connections"?)"#,
        ]
    );
}

#[test]
fn each_bad_rule_is_an_error_where_it_stands() {
    let text = "listen 1; vhost a { security { enabled on;\nallow play all;\nallow play 10.0.0.0/33;\ndeny foo;\n} }";
    assert_eq!(
        errors(text),
        [
            "a.conf:3:1: vhost.security.allow is publish or play and all, an address or a range, not \"play 10.0.0.0/33\"",
            "a.conf:4:1: vhost.security.deny is publish or play and all, an address or a range, not \"foo\"",
        ]
    );
}

#[test]
fn the_api_is_open_to_nobody_by_mistake() {
    let auth = |text: &str| {
        load_text(&format!("listen 1; http_api {{ enabled on; auth {{ enabled on; {text} }} }}"))
    };
    let found = |text: &str| auth(text).unwrap().config.http_api.auth.unwrap();
    assert!(matches!(found("username a; password b;"), ApiAuth::Basic(basic) if basic.password == "b"));
    assert!(matches!(found("type basic; username a; password b;"), ApiAuth::Basic(_)));
    let bearer = found("type bearer; token t0k; rtc_bearer_enabled off;");
    assert!(matches!(&bearer, ApiAuth::Bearer(bearer) if bearer.token == "t0k"));
    assert!(!format!("{bearer:?}").contains("t0k"));
    assert_eq!(
        auth("type bearer;").unwrap_err(),
        ["a.conf:1:53: http_api.auth.type bearer needs http_api.auth.token"]
    );
    assert_eq!(
        auth("type beaer; token t;").unwrap_err(),
        ["a.conf:1:53: http_api.auth.type is basic or bearer, not \"beaer\""]
    );
    let options = environment(&[("SRS_HTTP_API_AUTH_TYPE", "bearer"), ("SRS_HTTP_API_AUTH_TOKEN", "t")]);
    let loaded = load_with("listen 1; http_api { auth { enabled on; } }", &options).unwrap();
    assert!(matches!(loaded.config.http_api.auth, Some(ApiAuth::Bearer(_))));
    assert_eq!(
        warnings("listen 1; heartbeat { auth { enabled on; type bearer; token t; } }"),
        ["a.conf:1:11: heartbeat is planned and has no effect yet"]
    );
}

#[test]
fn a_place_has_one_listener_but_servers_over_http_share_it() {
    let places = |rtmp: &str, api: &str, server: &str| {
        load_text(&format!(
            "listen {rtmp}; http_api {{ enabled on; listen {api}; }} http_server {{ enabled on; listen {server}; }}"
        ))
        .err()
        .unwrap_or_default()
    };
    assert!(places("1 2 [::]:1 127.0.0.1:3", "8080", "8080").is_empty());
    assert_eq!(places("1 1", "2", "3"), ["a.conf:1:1: listen 1 is taken already, by listen 1"]);
    assert_eq!(
        places("127.0.0.1:1", "1", "2"),
        ["a.conf:1:44: http_api.listen 1 is taken already, by listen 127.0.0.1:1"]
    );
    assert_eq!(
        places("1", "[::1]:2", "[::]:2"),
        ["a.conf:1:78: http_server.listen [::]:2 is taken already, by http_api.listen [::1]:2"]
    );
    assert!(load_text("listen 1985 8080 9972;").is_ok(), "what is off takes no place");
}

#[test]
fn names_of_vhosts_that_serve_less_than_they_seem_to_are_named() {
    assert_eq!(
        warnings(
            "listen 1; vhost __defaultVhost__ { } vhost default.org { }\nvhost *.a { }\nvhost __DefaultVHost__ { }"
        ),
        [
            r#"a.conf:2:1: vhost *.a serves only clients that ask for exactly this name (did you mean "__defaultVhost__"?)"#,
            r#"a.conf:3:1: vhost __DefaultVHost__ serves only clients that ask for exactly this name (did you mean "__defaultVhost__"?)"#,
        ]
    );
}

#[test]
fn unknown_directives_are_warnings_when_lenient() {
    let mut options = LoadOptions::default();
    options.lenient = true;
    let loaded = load_with("listen 1935; foo { bar 1; }", &options).unwrap();
    assert_eq!(loaded.warnings.len(), 1);
    assert_eq!(loaded.warnings[0].message, "unknown directive foo");
}

#[test]
fn directives_without_effect_have_one_warning_each() {
    let text = "listen 1935; heartbeat { enabled on; summaries maybe; }\nvhost a { dvr { enabled on; any thing; }\n\
                cluster { coworkers b; } }";
    assert_eq!(
        warnings(text),
        [
            "a.conf:1:14: heartbeat is planned and has no effect yet",
            "a.conf:2:11: vhost.dvr is accepted and has no effect here",
            "a.conf:3:11: vhost.cluster.coworkers is planned and has no effect yet",
        ]
    );
}

#[test]
fn directives_that_do_nothing_beside_the_others_are_named() {
    let text = "listen 1935; http_api { enabled on; auth { enabled on; username a; } }\n\
                vhost a { http_remux { enabled on; mount [app]/[stream].ts; } cluster { origin b; } }\n\
                vhost c { cluster { mode remote; origin d; } forward { enabled on; destination e; } }\n\
                vhost f { http_hooks { enabled on; on_play http://g https://h; on_stop i; } }\n\
                stats { enabled off; network 0; }";
    assert_eq!(
        warnings(text),
        [
            "a.conf:2:73: cluster.origin has no effect without cluster.mode remote",
            "a.conf:2:24: http_remux has no effect while http_server is off",
            "a.conf:2:36: http_remux.mount has no effect: only streams that end in .flv are served",
            "a.conf:3:56: forward has no effect on an edge, which sends published streams to cluster.origin",
            "a.conf:4:36: http_hooks.on_play https://h cannot be asked, only http:// can: its answer is always a no",
            "a.conf:4:64: http_hooks.on_stop i cannot be asked, only http:// can: its answer is always a no",
            "a.conf:5:9: stats.enabled off has no effect: the HTTP API reads the numbers of the machine when it is asked",
            "a.conf:1:44: http_api.auth.password is empty: so must be what clients give",
        ]
    );
}

#[test]
fn values_that_read_otherwise_are_named() {
    let text = "listen 1935;\nchunk_size 100;\npithy_print_ms 5s;\nsrs_log_level loud;\nlisten 1936;\npid a b;\n\
                vhost a { play { queue_length 0; } extension { queue_max_bytes much; } }";
    let found = warnings(text);
    for expected in [
        "a.conf:2:1: chunk_size 100 is outside 128..65536; 128 is used",
        "a.conf:3:1: pithy_print_ms is a whole number; \"5s\" reads as 5",
        "a.conf:4:1: srs_log_level is one of verbose, info, trace, debug, warn, error; \"loud\" reads as \"trace\"",
        "a.conf:5:1: second listen without effect, the first at a.conf:1:1 counts",
        "a.conf:6:1: pid takes one value, the others have no effect",
        "a.conf:7:18: play.queue_length 0 would be without a limit; 30 is used",
        "a.conf:7:48: vhost.extension.queue_max_bytes is a size such as 32m; \"much\" reads as 32m",
    ] {
        assert!(found.iter().any(|warning| warning == expected), "{expected}\n{found:#?}");
    }
    assert_eq!(found.len(), 7);
    let config = config(text);
    assert_eq!((config.chunk_size, config.vhosts[0].chunk_size), (128, 128));
    assert_eq!(config.vhosts[0].play.queue_length, Duration::from_secs(30));
    assert_eq!(config.vhosts[0].extension.queue_bytes_max, 32 << 20);
}

#[test]
fn included_files_are_put_in_place() {
    let files = MemorySources::from([
        ("main.conf", "include root.conf empty.conf;\nvhost a { include play.conf; }"),
        ("root.conf", "listen 1935;\n"),
        ("empty.conf", ""),
        ("play.conf", "play { gop_cache off; }\n\n  wrong 1;"),
    ]);
    let error = load(&files, "main.conf", &LoadOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), "play.conf:3:3: unknown directive vhost.wrong");
    let mut options = LoadOptions::default();
    options.lenient = true;
    let config = load(&files, "main.conf", &options).unwrap().config;
    assert_eq!(config.listen.len(), 1);
    assert!(!config.vhosts[0].play.gop_cache);
}

#[test]
fn includes_in_circles_and_missing_files_are_refused() {
    let files = MemorySources::from([("a", "include b;"), ("b", "\n include a gone;")]);
    let error = load(&files, "a", &LoadOptions::default()).unwrap_err();
    let found: Vec<String> = error.errors().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "b:2:2: a includes itself",
            "b:2:2: cannot read gone: no such file (include counts from the working directory)",
        ]
    );
}

#[test]
fn an_unreadable_include_hides_no_errors_of_what_can_be_read() {
    let files = MemorySources::from([(
        "a",
        "include gone;\nfoo 1;\nhttp_api { https { enabled on; } }\nis_full on;\ngop_cache loud;\n\
         vhost v { cluster { mode remote; orgin o; } include lost; }",
    )]);
    let found = |files: &MemorySources| -> Vec<String> {
        let error = load(files, "a", &LoadOptions::default()).unwrap_err();
        error.diagnostics().iter().map(ToString::to_string).collect()
    };
    // The origin, the API and the address to listen on may be in the files that are missing.
    assert_eq!(
        found(&files),
        [
            "a:1:1: cannot read gone: no such file (include counts from the working directory)",
            "a:6:45: cannot read lost: no such file (include counts from the working directory)",
            "a:2:1: unknown directive foo",
            "a:5:1: unknown directive gop_cache (did you mean \"vhost.play.gop_cache\"?)",
            "a:6:34: unknown directive vhost.cluster.orgin (did you mean \"origin\"?)",
            "a:4:1: this is a reference sample (is_full on), write a file of your own",
        ]
    );
    // Holes in what is there make guesses of everything behind them.
    let files = MemorySources::from([("a", "include gone;\nfoo 1;\nlisten 1935")]);
    assert_eq!(
        found(&files),
        [
            "a:1:1: cannot read gone: no such file (include counts from the working directory)",
            "a:3:1: end of file inside a directive, a ; is missing",
        ]
    );
}

#[test]
fn eight_levels_of_includes_are_read_and_nine_refused() {
    let name = |level: usize| format!("f{level}");
    for (levels, fits) in [(8, true), (9, false)] {
        let files: [(String, String); 10] = std::array::from_fn(|level| {
            (
                name(level),
                if level < levels { format!("include {};", name(level + 1)) } else { "listen 1;".into() },
            )
        });
        let result = load(&MemorySources::from(files), "f0", &LoadOptions::default());
        assert_eq!(result.is_ok(), fits, "{levels}: {:?}", result.err());
    }
}

#[test]
fn every_limit_is_enforced() {
    let refused = |text: &str, change: fn(&mut ConfigLimits)| {
        let mut options = LoadOptions::default();
        assert!(load_with(text, &options).is_ok(), "{text}");
        change(&mut options.limits);
        load_with(text, &options).unwrap_err().remove(0)
    };
    let text = "listen 1935 1936; vhost aaaaaaaaaaaa { play { atc on; } }";
    assert_eq!(refused(text, |l| l.file_bytes_max = 10), "a.conf: a.conf has more than 10 bytes");
    assert_eq!(
        refused(text, |l| l.total_bytes_max = 10),
        "a.conf: all files together have more than 10 bytes"
    );
    assert_eq!(refused(text, |l| l.files_max = 0), "a.conf: more than 0 files");
    assert_eq!(refused(text, |l| l.block_depth_max = 1), "a.conf:1:45: more than 1 blocks inside each other");
    assert_eq!(refused(text, |l| l.directives_max = 3), "a.conf:1:47: more than 3 directives");
    assert_eq!(refused(text, |l| l.arguments_max = 1), "a.conf:1:13: more than 1 arguments");
    assert_eq!(refused(text, |l| l.word_bytes_max = 11), "a.conf:1:25: a word of more than 11 bytes");

    let mut options = LoadOptions::default();
    options.limits.diagnostics_max = 3;
    let files = MemorySources::from([("a", "x 1;".repeat(10))]);
    let error = load(&files, "a", &options).unwrap_err();
    assert_eq!((error.diagnostics().len(), error.omitted()), (3, 8));

    let mut options = environment(&[("SRS_LISTEN", "1935 1936")]);
    options.limits.word_bytes_max = 8;
    assert_eq!(load_with("daemon on;", &options).unwrap_err()[0], "SRS_LISTEN: a value of more than 8 bytes");
}

#[test]
fn deep_nesting_is_refused_early() {
    let text = "a {".repeat(100_000);
    let found = errors(&text);
    assert!(found[0].contains("more than 16 blocks inside each other"), "{found:?}");
}

#[test]
fn old_forms_are_rewritten_with_a_warning() {
    let text = "listen 1935; http_stream { enabled on; listen 8081; }\nvhost a {\n\
                refer x.com; refer_play y.com; refer_publish z.com;\n\
                mr { enabled on; latency 500; }\n publish_1stpkt_timeout 1000; publish_normal_timeout 2000;\n\
                time_jitter zero; mix_correct on; atc on; atc_auto on; mw_latency 100; gop_cache_max_frames 0;\n\
                send_min_interval 1.5; reduce_sequence_header on;\n\
                mode remote; origin o; token_traverse on; vhost up.com; debug_srs_upnode off;\n\
                http_remux { enabled on; hstrs on; } nack on; http { enabled on; }\n}";
    let loaded = load_text(text).unwrap();
    let old = loaded.warnings.iter().filter(|warning| warning.message.starts_with("old form: ")).count();
    assert_eq!(old, 21);
    assert_eq!(loaded.config.http_server.listen[0].port, 8081);
    let vhost = &loaded.config.vhosts[0];
    let refer = vhost.refer.as_ref().unwrap();
    let list = |domain: &str| Some(vec![String::from(domain)]);
    assert_eq!((&refer.all, &refer.play, &refer.publish), (&list("x.com"), &list("y.com"), &list("z.com")));
    assert!(vhost.publish.mr);
    assert_eq!(vhost.publish.mr_latency, Duration::from_millis(500));
    assert_eq!(vhost.publish.first_message_timeout, Duration::from_secs(1));
    assert_eq!(vhost.publish.silence_timeout, Duration::from_secs(2));
    assert!(
        vhost.play.mix_correct && vhost.play.atc && vhost.play.atc_auto && vhost.play.reduce_sequence_header
    );
    assert_eq!(vhost.play.send_min_interval, Duration::from_micros(1500));
    assert_eq!(vhost.play.gop_cache_frames_max, None);
    assert!(vhost.cluster.is_edge() && vhost.cluster.token_traverse && !vhost.cluster.identify);
    assert_eq!(vhost.cluster.vhost, "up.com");
    assert!(vhost.http_remux.is_some());
}

#[test]
fn the_new_form_wins_over_the_old_one_and_rtmp_over_the_root() {
    let text = "listen 1; chunk_size 200; rtmp { listen 2; chunk_size 300; }
                vhost a { gop_cache on; play { gop_cache off; } }";
    let config = config(text);
    assert_eq!(
        warnings(text)[1..],
        [
            "a.conf:1:1: listen without effect, rtmp { listen; } at a.conf:1:34 counts",
            "a.conf:1:11: chunk_size without effect, rtmp { chunk_size; } at a.conf:1:44 counts",
        ]
    );
    assert_eq!(config.listen[0].port, 2);
    assert_eq!((config.chunk_size, config.vhosts[0].chunk_size), (300, 300));
    assert!(!config.vhosts[0].play.gop_cache);
}

#[test]
fn the_environment_wins_over_the_file() {
    let options = environment(&[
        ("SRS_LISTEN", "1935 [::]:19350"),
        ("SRS_VHOST_PLAY_GOP_CACHE", "off"),
        ("SRS_VHOST_CLUSTER_MODE", "remote"),
        ("SRS_VHOST_CLUSTER_ORIGIN", "o1 o2:1"),
        ("SRS_LOG_FILE", "a.log"),
        ("SRS_CHUNK_SIZE", "4096"),
        ("SRS_VHOST_HTTP_HOOKS_ENABLED", "on"),
        ("SRS_VHOST_HTTP_HOOKS_ON_PLAY", "http://a http://b"),
        ("SRS_LISTN", "1"),
        ("SRS_VHOST_HLS_HLS_FRAGMENT", "1"),
        ("SRS_CONFIG_FILE", "x"),
        ("HOME", "/"),
    ]);
    let loaded =
        load_with("rtmp { listen 1; } vhost a { play { gop_cache on; } } vhost b { }", &options).unwrap();
    let config = loaded.config;
    assert_eq!(config.listen.len(), 2);
    assert_eq!(config.chunk_size, 4096);
    assert_eq!(config.log.file, "a.log");
    for vhost in &config.vhosts {
        assert!(!vhost.play.gop_cache && vhost.cluster.is_edge());
        assert_eq!(vhost.cluster.origins.len(), 2);
        assert_eq!(vhost.http_hooks.as_ref().unwrap().on_play, ["http://a", "http://b"]);
    }
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            r#"SRS_LISTN: environment variable that sets no directive (did you mean "SRS_LISTEN"?)"#,
            "SRS_VHOST_HLS_HLS_FRAGMENT: environment variable without effect in this version",
        ]
    );
}

#[test]
fn every_variable_of_the_tables_is_understood_and_its_value_kept() {
    walk(ROOT, "", &mut |path, spec| {
        for name in spec.variable_names(path) {
            let mut options = environment(&[(&name, "on")]);
            options.lenient = true;
            let loaded = load_with("listen 1935; vhost a { }", &options);
            let Ok(loaded) = loaded else { continue };
            let unknown =
                loaded.warnings.iter().any(|warning| warning.message.starts_with("environment variable"));
            assert!(!unknown, "{name}: {:?}", loaded.warnings);
        }
    });
}

#[test]
fn the_environment_alone_makes_a_server() {
    let config = load_environment(&environment(&[("SRS_MAX_CONNECTIONS", "7")])).unwrap().config;
    assert_eq!(config.listen[0].to_string(), "1935");
    assert_eq!(config.max_connections, 7);
    assert!(config.vhost("anything").is_some());
    assert_eq!(load_environment(&environment(&[("SRS_LISTEN", "0")])).unwrap_err().errors().count(), 1);
}

#[test]
fn combinations_that_cannot_work_are_refused() {
    for (text, expected) in [
        ("max_connections 0;", "max_connections must be above 0"),
        ("heartbeat { interval 0; }", "heartbeat.interval must be above 0"),
        ("stats { network -1; }", "stats.network is the number of an interface, from 0"),
        ("is_full on;", "this is a reference sample (is_full on), write a file of your own"),
        ("asprocess on; daemon on;", "asprocess on is impossible with daemon on"),
        ("http_api { https { enabled on; } }", "http_api.https is on while http_api is off"),
        ("http_server { https { enabled on; } }", "http_server.https is on while http_server is off"),
        (
            "http_api { enabled on; listen 80; https { enabled on; listen 1; } }
             http_server { enabled on; listen 80; https { enabled on; listen 2; } }",
            "http_api and http_server must share both of listen and https.listen, or none",
        ),
        ("http_api { listen x; }", "http_api.listen port must be above 0 and at most 65535, not \"x\""),
        ("extension { media_max_bytes 1023k; }", "extension.media_max_bytes must be 1m at least"),
        ("extension { trusted_proxy proxy; }", "trusted_proxy neither an address nor a range"),
        ("vhost { }", "a vhost needs a name"),
        ("vhost a { cluster { mode remote; } }", "an edge (cluster.mode remote) needs cluster.origin"),
        (
            "vhost a { cluster { origin rtmp://b/c; } }",
            "cluster.origin is a host, or host:port, without scheme and path, not",
        ),
        ("vhost a { http_remux { } http_remux { } }", "more than one http_remux"),
        (
            "vhost a { hls { enabled on; } http_remux { enabled on; mount [app]/[stream].ts; } }",
            "http_remux.mount .ts is impossible with hls on",
        ),
        (
            "vhost a { forward { enabled on; destination b; } publish { kickoff_for_idle 1; } }",
            "publish.kickoff_for_idle is impossible with forward",
        ),
        ("vhost a { ingest x { } ingest y { } ingest x { } }", "second ingest \"x\" in the vhost"),
        ("vhost a { security { allow watch all; } }", "security.allow is publish or play"),
        (
            "http_api { listen ::1:1985; }",
            "http_api.listen an IPv6 address needs brackets and a port, as in [::1]:1935",
        ),
    ] {
        let found = errors(&format!("listen 1935; {text}"));
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].contains(expected), "{text}: {found:?}");
    }
}

#[test]
fn connections_need_open_files() {
    let mut options = LoadOptions::default();
    options.open_files_max = Some(1128);
    assert!(load_with("listen 1; max_connections 1000;", &options).is_ok());
    let found = load_with("listen 1; max_connections 1001;", &options).unwrap_err();
    assert!(found[0].contains("needs 1129 open files and the limit of this process is 1128"), "{found:?}");
}

#[test]
fn names_find_their_vhost() {
    let config = config(
        "listen 1; vhost a { } vhost off { enabled off; } vhost a { atc on; } vhost __defaultVhost__ { }",
    );
    assert_eq!(config.vhosts.len(), 3);
    assert_eq!(config.vhost("a").unwrap().name, "a");
    assert_eq!(config.vhost("other").unwrap().name, "__defaultVhost__");
    assert!(config.vhost("off").is_none());
}

#[test]
fn rules_count_whatever_their_order() {
    let allows = |rules: &str, operation, ip: &str| {
        let text = format!("listen 1; vhost a {{ security {{ enabled on; {rules} }} }}");
        config(&text).vhosts[0].security.as_ref().unwrap().allows(operation, ip.parse().unwrap())
    };
    assert!(!allows("", Operation::Play, "1.2.3.4"));
    assert!(allows("allow play all;", Operation::Play, "1.2.3.4"));
    assert!(!allows("allow play all;", Operation::Publish, "1.2.3.4"));
    assert!(allows("deny publish 1.2.3.4;", Operation::Publish, "1.2.3.5"));
    let rules = "allow publish 10.0.0.0/8; deny publish 10.1.0.0/16;";
    assert!(!allows(rules, Operation::Publish, "10.1.2.3"));
    assert!(allows(rules, Operation::Publish, "10.2.2.3"));
    assert!(config("listen 1; vhost a { security { deny play all; } }").vhosts[0].security.is_none());
}

#[test]
fn both_families_of_level_words_are_understood() {
    let level = |text: &str| config(&format!("listen 1; {text}")).log.level;
    assert_eq!(level(""), LogLevel::Info);
    assert_eq!(level("srs_log_level verbose;"), LogLevel::Trace);
    assert_eq!(level("srs_log_level info;"), LogLevel::Debug);
    assert_eq!(level("srs_log_level trace;"), LogLevel::Info);
    assert_eq!(level("srs_log_level error; srs_log_level_v2 debug;"), LogLevel::Debug);
    assert_eq!(level("srs_log_level_v2 info;"), LogLevel::Info);
    assert_eq!(level("srs_log_level_v2 trace;"), LogLevel::Trace);
}

#[test]
fn our_additions_come_from_the_vhost_or_the_root() {
    let text = "listen 1; extension { linger 7; gop_cache_max_bytes 1k; } vhost a { extension { linger 0.5; } } vhost b { }";
    let config = config(text);
    let linger = |index: usize| config.vhosts[index].extension.linger;
    assert_eq!((linger(0), linger(1)), (Duration::from_millis(500), Duration::from_secs(7)));
    assert_eq!((config.vhosts[0].extension.gop_cache_bytes_max, config.media_bytes_max), (1024, 1 << 30));
}

#[test]
fn a_vhost_inside_a_vhost_is_an_error() {
    assert_eq!(
        errors("listen 1; vhost a { vhost b { } }"),
        [r#"a.conf:1:21: unknown directive vhost.vhost (did you mean "vhost"?)"#]
    );
}

#[test]
fn every_legal_name_is_known() {
    let root = "listen pid chunk_size ff_log_dir ff_log_level srs_log_tank srs_log_level srs_log_level_v2 srs_log_file \
                max_connections daemon heartbeat tencentcloud_apm tencentcloud_cls http_api http_server stats vhost \
                pithy_print_ms stream_caster rtc_server srt_server utc_time work_dir asprocess server_id \
                grace_start_wait grace_final_wait force_grace_quit empty_ip_ok disable_daemon_for_docker \
                inotify_auto_reload auto_reload_for_docker tcmalloc_release_rate query_latest_version \
                first_wait_for_qlv threads circuit_breaker is_full in_docker exporter rtmp rtmps rtsp_server extension";
    let vhost = "enabled chunk_size min_latency tcp_nodelay dvr ingest hls http_hooks refer forward transcode bandcheck \
                 play publish cluster security http_remux dash http_static hds exec in_ack_size out_ack_size rtc srt \
                 rtsp extension";
    let mut known: Vec<String> = Vec::new();
    walk(ROOT, "", &mut |path, _| known.push(path.into()));
    let mut legal: Vec<String> = root.split_whitespace().map(String::from).collect();
    legal.extend(vhost.split_whitespace().map(|name| format!("vhost.{name}")));
    for name in &legal {
        assert!(known.contains(name), "{name} is in no table");
    }
    let outer =
        |path: &&String| !path.contains('.') || path.starts_with("vhost.") && path.matches('.').count() == 1;
    for path in known.iter().filter(outer) {
        assert!(legal.contains(path), "{path} is not in the language");
    }
}

#[test]
fn a_container_has_its_output_collected_and_its_configuration_watched() {
    let mut options = LoadOptions::default();
    options.in_container = true;
    let inside = |text: &str| load_with(text, &options).unwrap().config;
    let found = inside("listen 1935;");
    assert_eq!((found.log.tank, found.auto_reload), (LogTank::Console, true));
    assert_eq!(inside("listen 1935; srs_log_tank file;").log.tank, LogTank::File);
    assert!(!inside("listen 1935; auto_reload_for_docker off;").auto_reload);
    let outside = config("listen 1935;");
    assert_eq!((outside.log.tank, outside.auto_reload), (LogTank::File, false));
    assert!(config("listen 1935; inotify_auto_reload on;").auto_reload);
    assert!(config("listen 1935; in_docker on;").container.in_docker);
}

#[test]
fn the_exporter_has_a_place_and_labels() {
    let config = config("listen 1935; exporter { enabled on; listen 127.0.0.1:9000; tag cdn; }");
    assert!(config.exporter.enabled && config.exporter.label.is_empty());
    assert_eq!(
        (config.exporter.listen[0].to_string().as_str(), config.exporter.tag.as_str()),
        ("127.0.0.1:9000", "cdn")
    );
}
