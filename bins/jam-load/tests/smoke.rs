//! The program against a server in this process.
#![expect(clippy::unwrap_used, reason = "helpers of tests panic like tests")]

mod common;

use common::{jam_load, with_server};

#[test]
fn four_musicians_are_measured() {
    with_server(|addr| {
        // How much is lost or late depends on what else the machine does: only what is certain is required here.
        let args = format!("{addr} -n 4 --seconds 2 --settle 3.5 --reference --floor --max-late 100%");
        let args: Vec<&str> = args.split(' ').collect();
        let output = jam_load(&args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["joined"], 4, "{report}");
        assert!(report["received"].as_u64().is_some_and(|n| n > 1000), "{report}");
        assert!(report["sweeps"]["found"].as_u64().is_some_and(|n| n >= 1), "{report}");
        let encode = report["cpu"]["reference"]["encode_us_per_block"].as_f64();
        assert!(encode.is_some_and(|us| us > 0.0), "{report}");
        let floor = report["cpu"]["floor"]["us_per_musician_block"].as_f64();
        assert!(floor.is_some_and(|us| us > 0.0), "{report}");
    });
}

#[test]
fn a_full_server_fails_the_run() {
    with_server(|addr| {
        let output =
            jam_load(&[&addr, "-n", "5", "--seconds", "0.5", "--settle", "0.5", "--join-patience", "2"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("only 4 of 5 musicians joined"));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["refused"], 1, "{report}");
    });
}

#[test]
fn a_server_that_ends_by_itself_fails_the_run() {
    with_server(|addr| {
        // Another one answers in its place; what counts is the process that was started.
        let args = [&addr, "-n", "2", "--seconds", "2", "--settle", "0.5", "--spawn", "sleep 1"];
        let output = jam_load(&args);
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("the server has ended by itself: exit status: 0"), "{said}");
    });
}

#[test]
fn nobody_there_is_said_at_once() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = silent.local_addr().unwrap().to_string();
    let output = jam_load(&[&addr]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing answers at"));
}

#[test]
fn wrong_options_end_with_code_2() {
    assert_eq!(jam_load(&["127.0.0.1:1", "-n", "151"]).status.code(), Some(2));
    assert_eq!(jam_load(&["127.0.0.1:1", "--max-ratio", "2"]).status.code(), Some(2), "without --reference");
}
