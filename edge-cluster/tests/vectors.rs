//! The conformance vectors of the configuration language.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

use edge_cluster::config::{
    Directive, Endpoint, HostPort, LoadOptions, LogTank, MemorySources, Severity, VhostConfig, load, parse,
};
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("data/config-vectors.json")).unwrap()
}

fn text<'a>(case: &'a Value, field: &str) -> Option<&'a str> {
    case.get(field).map(|value| value.as_str().unwrap())
}

fn as_json(directives: &[Directive]) -> Value {
    let tree =
        |d: &Directive| Value::from(vec![d.name.clone().into(), d.args.clone().into(), as_json(&d.children)]);
    directives.iter().map(tree).collect()
}

#[test]
fn trees_and_syntax_errors() {
    let vectors = vectors();
    let cases = vectors["config"]["cases"].as_array().unwrap();
    assert!(cases.len() >= 28);
    for case in cases {
        let sources = MemorySources::from([("a.conf", text(case, "text").unwrap())]);
        let result = parse(&sources, "a.conf", &Default::default());
        match text(case, "error") {
            None => assert_eq!(as_json(&result.unwrap()), case["tree"], "{case}"),
            Some(expected) => {
                let error = result.expect_err(&case.to_string());
                let first = error.errors().next().unwrap();
                assert!(first.message.starts_with(expected), "{case}: {first}");
                assert!(first.location.line > 0 && first.location.column > 0, "{case}: {first}");
            }
        }
    }
}

#[test]
fn meanings_and_errors() {
    let vectors = vectors();
    let cases = vectors["config_semantic"].as_array().unwrap();
    assert!(cases.len() >= 12);
    for case in cases {
        let sources = MemorySources::from([("a.conf", text(case, "text").unwrap())]);
        let result = load(&sources, "a.conf", &LoadOptions::default());
        if let Some(expected) = text(case, "error") {
            let error = result.expect_err(&case.to_string());
            assert!(error.errors().any(|e| e.message.starts_with(expected)), "{case}: {error}");
            continue;
        }
        let loaded = result.unwrap();
        check_vhost(&loaded.config.vhosts[0], case);
        let noted = case.get("note").is_some();
        assert_eq!(noted, !loaded.warnings.is_empty(), "{case}: {:?}", loaded.warnings);
        assert!(loaded.warnings.iter().all(|warning| warning.severity == Severity::Warning));
    }
}

fn check_vhost(vhost: &VhostConfig, expect: &Value) {
    let strings = |hosts: &[HostPort]| hosts.iter().map(ToString::to_string).collect::<Value>();
    for (field, expected) in expect.as_object().unwrap() {
        let found: Value = match field.as_str() {
            "name" => vhost.name.clone().into(),
            "edge" => vhost.cluster.is_edge().into(),
            "origins" => strings(&vhost.cluster.origins),
            "forward" => strings(&vhost.forward),
            "tcp_nodelay" => vhost.tcp_nodelay.into(),
            "min_latency" => vhost.min_latency.into(),
            "gop_cache" => vhost.play.gop_cache.into(),
            "queue_length_s" => vhost.play.queue_length.as_secs().into(),
            "mr" => vhost.publish.mr.into(),
            "mw_latency_ms" => u64::try_from(vhost.play.mw_latency.as_millis()).unwrap().into(),
            "mw_msgs" => vhost.play.mw_messages.into(),
            "chunk_size" => vhost.chunk_size.into(),
            "text" | "note" => continue,
            other => panic!("unknown field {other}"),
        };
        assert_eq!(&found, expected, "{field} in {expect}");
    }
}

#[test]
fn the_tutorial() {
    let vectors = vectors();
    let case = &vectors["config_seed"];
    let expect = &case["expect"];
    let sources = MemorySources::from([("a.conf", text(case, "text").unwrap())]);
    let loaded = load(&sources, "a.conf", &LoadOptions::default()).unwrap();
    assert!(loaded.warnings.is_empty());
    let config = loaded.config;
    assert_eq!(config.listen.iter().map(ToString::to_string).collect::<Value>(), expect["listen"]);
    assert_eq!(Value::from(config.max_connections), expect["max_connections"]);
    assert_eq!(config.log.tank, LogTank::File);
    assert_eq!(Value::from(config.log.file), expect["log_file"]);
    assert!(!config.daemon);
    assert_eq!(config.vhosts.len(), 1);
    check_vhost(&config.vhosts[0], &expect["vhosts"][0]);
}

#[test]
fn origins() {
    for case in vectors()["origin_parse"].as_array().unwrap() {
        let found: HostPort = text(case, "arg").unwrap().parse().unwrap();
        assert_eq!(Some(found.host.as_str()), text(case, "host"), "{case}");
        assert_eq!(Value::from(found.port), case["port"], "{case}");
        assert_eq!(found.to_string().parse(), Ok(found), "{case}");
    }
}

#[test]
fn endpoints() {
    for case in vectors()["listen_parse"].as_array().unwrap() {
        let result: Result<Endpoint, _> = text(case, "arg").unwrap().parse();
        if let Some(expected) = text(case, "error") {
            let error = result.expect_err(&case.to_string()).to_string();
            assert!(error.starts_with(expected), "{case}: {error}");
            continue;
        }
        let found = result.unwrap();
        assert_eq!(
            found.ip.map_or_else(|| String::from("any"), |ip| ip.to_string()),
            case["ip"].as_str().unwrap(),
            "{case}"
        );
        assert_eq!(Value::from(found.port), case["port"], "{case}");
        assert_eq!(found.to_string().parse(), Ok(found), "{case}");
    }
}
