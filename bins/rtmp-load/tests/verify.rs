//! The program against servers with one thing wrong with each.
#![expect(clippy::unwrap_used, reason = "helpers of tests panic like tests")]

mod relay;

use std::process::{Command, Output};

use relay::{Wrong, listen};
use serde_json::Value;

fn rtmp_load(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rtmp-load")).args(args).output().unwrap()
}

/// Two viewers of a short stream; exit code, report and complaints.
fn watch(wrong: Wrong) -> (Option<i32>, Value, String) {
    let url = format!("rtmp://{}/live/show", listen(wrong));
    let output = rtmp_load(&[
        "--publish",
        &url,
        "--play",
        &url,
        "--viewers",
        "2",
        "--bitrate",
        "300k",
        "--gop",
        "480ms",
        "--warm",
        "0",
        "--settle",
        "0",
        "--seconds",
        "2s",
        "--check",
        "1",
        "--threads",
        "1",
    ]);
    let report = serde_json::from_slice(&output.stdout).unwrap();
    (output.status.code(), report, String::from_utf8(output.stderr).unwrap())
}

/// The faults that were counted, by name.
fn faults(report: &Value) -> Vec<&str> {
    let all = report["faults"].as_object().unwrap();
    all.iter().filter(|(_, count)| count.as_u64() != Some(0)).map(|(name, _)| name.as_str()).collect()
}

#[test]
fn a_faultless_server_passes() {
    let (code, report, said) = watch(Wrong::Nothing);
    assert_eq!((code, &*said), (Some(0), ""), "{report}");
    assert_eq!(report["viewers"]["started"], 2);
    for name in ["latency_ms", "startup_ms", "delay_ms"] {
        assert!(report[name]["p50"].as_f64().is_some_and(|ms| ms >= 0.0), "{name}: {report}");
    }
    assert!(report["bytes"].as_u64().is_some_and(|bytes| bytes > 100_000), "{report}");
    assert_eq!(report["published"]["lost"].as_array().map(Vec::len), Some(0));
}

#[test]
fn each_fault_of_a_server_is_noticed_and_named() {
    for (wrong, expected) in [
        (Wrong::Drops, &["gaps", "lost"][..]),
        (Wrong::Repeats, &["repeated"]),
        (Wrong::Swaps, &["backwards", "gaps", "lost", "repeated"]),
        (Wrong::Corrupts, &["corrupt"]),
        (Wrong::NoHeaders, &["before_header"]),
        (Wrong::NoKey, &["before_key"]),
        (Wrong::Shifts, &["shifted"]),
    ] {
        let (code, report, said) = watch(wrong);
        assert_eq!(code, Some(1), "{wrong:?}: {report}");
        assert_eq!(faults(&report), expected, "{wrong:?}: {report}");
        assert!(expected.iter().all(|name| said.contains(name)), "{wrong:?}: {said}");
    }
}

#[test]
fn a_jump_to_a_key_frame_is_counted_and_allowed() {
    let (code, report, said) = watch(Wrong::Jumps);
    assert_eq!((code, &*said), (Some(0), ""), "{report}");
    assert!(report["resyncs"]["count"].as_u64().is_some_and(|count| count >= 2), "{report}");
    assert!(report["resyncs"]["frames_skipped"].as_u64().is_some_and(|count| count >= 2), "{report}");
}

#[test]
fn refused_and_disconnected_viewers_fail_the_run() {
    let (code, report, said) = watch(Wrong::Refuses);
    assert_eq!(code, Some(1));
    assert_eq!(report["viewers"]["refused"]["NetStream.Play.StreamNotFound"], 2, "{report}");
    assert!(said.contains("2 viewers refused"), "{said}");

    let (code, report, said) = watch(Wrong::Disconnects);
    assert_eq!(code, Some(1));
    assert_eq!(report["viewers"]["lost"]["closed by the server"], 2, "{report}");
    assert!(said.contains("2 viewers lost"), "{said}");
}

#[test]
fn viewers_that_come_and_go_or_do_not_read_are_no_fault() {
    let url = format!("rtmp://{}/live/show", listen(Wrong::Nothing));
    let output = rtmp_load(&[
        "--publish",
        &url,
        "--play",
        &url,
        "-n",
        "6",
        "--join",
        "all",
        "--churn",
        "8",
        "--stop-readers",
        "1:1s",
        "--slow-readers",
        "1:100k",
        "--gop",
        "480ms",
        "--bitrate",
        "300k",
        "--warm",
        "0",
        "--settle",
        "0",
        "--seconds",
        "3s",
        "--check",
        "1",
    ]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{report} {}", String::from_utf8_lossy(&output.stderr));
    assert!(report["viewers"]["left"].as_u64().is_some_and(|left| left >= 15), "{report}");
    assert!(report["slow"]["viewers"].as_u64().is_some_and(|slow| slow >= 2), "{report}");
}

#[test]
fn the_floor_serves_these_viewers_whole_streams() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for merge in ["0", "200ms"] {
        let program = env!("CARGO_BIN_EXE_rtmp-load");
        let spawn = format!("{program} --floor {address} --gop 480ms --merge {merge}");
        let play = format!("rtmp://{address}/live/show");
        let output =
            rtmp_load(&["--play", &play, "-n", "4", "--seconds", "1s", "--settle", "0", "--spawn", &spawn]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{report} {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!((&report["viewers"]["started"], &report["unstamped"]), (&4.into(), &0.into()));
        assert!(report["memory"]["rss_kib"].as_u64().is_some_and(|kib| kib > 500), "{report}");
    }
}

#[test]
fn a_server_that_is_not_there_is_said_at_once() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = rtmp_load(&["--play", &format!("rtmp://{address}/live/show")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&address.to_string()));
    assert_eq!(rtmp_load(&["--join", "never"]).status.code(), Some(2));
}
