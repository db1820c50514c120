//! The attacks in short form: that they run, notice, and say what they noticed.
#![expect(clippy::unwrap_used, reason = "helpers of tests panic like tests")]

#[allow(dead_code, reason = "each test file uses a part")]
mod relay;

use std::process::{Command, Output};

use relay::{Wrong, listen};
use serde_json::Value;

fn rtmp_load(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rtmp-load")).args(args).output().unwrap()
}

/// Attacks a server in this process; exit code, lines and complaints.
fn attack(wrong: Wrong, attacks: &str) -> (Option<i32>, Vec<Value>, String) {
    let url = format!("rtmp://{}/live/show", listen(wrong));
    let short = ["-n", "2", "--threads", "1", "--bitrate", "300k", "--gop", "480ms", "--warm", "0"];
    let hostile = ["--hostile", "--attacks", attacks, "--attack-time", "500ms", "--attack-connections", "10"];
    let output = rtmp_load(&[&["--publish", &url], &short[..], &hostile[..]].concat());
    let lines = String::from_utf8_lossy(&output.stdout);
    let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.code(), lines, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_server_that_keeps_its_promises_passes() {
    let (code, rounds, said) = attack(Wrong::Nothing, "calm,chunk-sizes");
    assert_eq!((code, &*said), (Some(0), ""), "{rounds:?}");
    let names: Vec<&str> = rounds.iter().filter_map(|round| round["attack"].as_str()).collect();
    assert_eq!(names, ["calm", "chunk-sizes"]);
    for round in &rounds {
        assert!(round["viewers"]["started"].as_u64().is_some_and(|started| started >= 2), "{round}");
        assert!(round["viewers"]["latency_ms"]["p99"].is_number(), "{round}");
        assert!(round["viewers"]["newcomer_afterwards_ms"].is_number(), "{round}");
    }
    let sizes = &rounds[1]["measured"];
    assert_eq!((&sizes["0x0"], &sizes["0x7fffffff"]), (&"closed".into(), &"works".into()), "{sizes}");
    assert!(rounds[1]["viewers"]["latency_p99_calm_ms"].is_number());
}

#[test]
fn a_server_that_disturbs_its_viewers_fails() {
    let (code, rounds, said) = attack(Wrong::Drops, "calm");
    assert_eq!(code, Some(1), "{rounds:?}");
    assert!(said.contains("calm: viewers: gaps"), "{said}");
    assert!(rounds[0]["broken"].as_array().is_some_and(|broken| !broken.is_empty()), "{}", rounds[0]);
}

#[test]
fn what_cannot_be_run_is_said() {
    let (code, rounds, said) = attack(Wrong::Nothing, "hooks,edge-hijack");
    assert_eq!((code, rounds.len()), (Some(0), 0));
    for name in ["hooks", "edge-hijack"] {
        assert!(said.contains(&format!("{name}: left out, it needs --edge")), "{said}");
    }

    let wrong = |args: &[&str]| rtmp_load(&[&["--hostile"], args].concat());
    let output = wrong(&["--publish", "rtmp://127.0.0.1:1/live/a", "--attacks", "kindness"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no attack is called kindness; there are calm, "), "{said}");
    let output = wrong(&["--publish", "rtmp://192.0.2.1/live/a"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("for servers on loopback"));
    assert!(String::from_utf8_lossy(&wrong(&[]).stderr).contains("--publish, or --edge"));
    assert_eq!(rtmp_load(&["--attacks", "calm"]).status.code(), Some(2), "without --hostile");
}
