//! What a reload would change.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

use edge_cluster::config::{
    Difference, EdgeConfig, LoadOptions, MemorySources, ReloadError, difference, load,
};

fn config(text: &str) -> EdgeConfig {
    load(&MemorySources::from([("a.conf", text)]), "a.conf", &LoadOptions::default()).unwrap().config
}

fn change(old: &str, new: &str) -> Difference {
    difference(&config(&format!("listen 1; {old}")), &config(&format!("listen 1; {new}")))
}

#[test]
fn a_reload_says_what_changes_and_when() {
    let found = change(
        "max_connections 10; chunk_size 200; pid a; vhost a { play { gop_cache on; } } vhost gone { }",
        "max_connections 20; chunk_size 300; pid b; vhost a { gop_cache off; forward x; \
         min_latency on; http_remux { enabled on; } } http_server { enabled on; } vhost new { }",
    );
    assert_eq!(
        (found.vhosts_added.as_slice(), found.vhosts_removed.as_slice()),
        (&["new".into()][..], &["gone".into()][..])
    );
    let lines: Vec<String> = found.changes.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "chunk_size: 200 -> 300, for new streams",
            "max_connections: 10 -> 20, at once",
            "pid: a -> b, needs a restart",
            "http_server.enabled: off -> on, needs a restart",
            "vhost a: min_latency: off -> on, at once",
            "vhost a: play.gop_cache: on -> off, at once",
            "vhost a: forward.enabled: off -> on, restarted for the vhost",
            "vhost a: forward.destination: (none) -> x, restarted for the vhost",
            "vhost a: http_remux.enabled: off -> on, for new connections",
        ]
    );
    assert_eq!(found.vhosts_changed(), ["a"]);
    assert_eq!(found.needs_restart().count(), 2);
    assert_eq!(found.check(), Ok(()));
}

#[test]
fn a_vhost_does_not_change_its_mode_while_it_runs() {
    let found = change("vhost a { }", "vhost a { cluster { mode remote; origin o; } }");
    let error = found.check().unwrap_err();
    assert_eq!(error, ReloadError::VhostModeChanged { vhost: "a".into() });
    assert!(error.to_string().starts_with("vhost mode changed: a"));
}

#[test]
fn the_same_meaning_is_no_difference_and_a_password_is_not_shown() {
    assert!(change("", "daemon off; rtmp { listen 1; }").is_empty());
    assert!(
        change("vhost a { mode remote; origin o; }", "vhost a { cluster { origin o; mode remote; } }")
            .is_empty()
    );
    assert!(change("vhost a { play { gop_cache no; } }", "vhost a { play { gop_cache on; } }").is_empty());
    assert_eq!(change("vhost a { refer { } }", "vhost a { refer { all; } }").changes.len(), 1);
    let found = change("", "http_api { auth { password secret; } }");
    assert_eq!(found.changes[0].to_string(), "http_api.auth.password: (none) -> (hidden), at once");
    let config = config("listen 1; http_api { auth { enabled on; username u; password secret; } }");
    assert!(!format!("{:?}", config.http_api).contains("secret"));
}

#[test]
fn what_stands_in_a_planned_block_has_no_effect_either() {
    let found = change("", "heartbeat { enabled on; } tencentcloud_cls { secret_key abc; }");
    let lines: Vec<String> = found.changes.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "heartbeat.enabled: off -> on, no effect in this version",
            "tencentcloud_cls: (none) -> (hidden), no effect in this version",
        ]
    );
}
