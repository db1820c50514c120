//! Attacks against a server in this process, in short form.
#![expect(clippy::unwrap_used, reason = "helpers of tests panic like tests")]

mod common;

use common::{jam_load, with_server};
use serde_json::Value;

/// How much is lost or late depends on what else the machine does: only what is certain is required here.
const SHORT: [&str; 10] = [
    "-n",
    "2",
    "--hostile",
    "--settle",
    "0.5",
    "--attack-seconds",
    "0.3",
    "--max-late",
    "100%",
    "--max-lost=100%",
];

fn lines(stdout: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_attack_is_survived_and_strangers_get_no_more_than_their_loan() {
    with_server(|addr| {
        let output = jam_load(&[&[addr.as_str(), "--attack-rate", "3000"], &SHORT[..]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let rounds = lines(&output.stdout);
        let names: Vec<&str> = rounds.iter().filter_map(|round| round["attack"].as_str()).collect();
        assert_eq!(names.len(), 16, "{names:?}");
        for round in &rounds {
            let sent = round["sent"]["datagrams"].as_u64().unwrap();
            assert!((round["attack"] == "calm") == (sent == 0), "{round}");
            assert!(round["musicians"]["received"].as_u64().is_some_and(|n| n > 50), "{round}");
            assert_ne!(round["member_stayed"], false, "{round}");
        }
        // Nine bytes from each of hundreds of addresses: pings apart, no answer fits into nine bytes.
        let lent = &rounds[3]["lent_since_first_attack"];
        assert_eq!(rounds[3]["attack"], "amplification");
        assert!(lent["all"].as_u64().is_some_and(|bytes| (1..60_000).contains(&bytes)), "{lent}");
        // This server keeps no list.
        assert_eq!(rounds[15]["back"]["bytes"], 0, "{}", rounds[15]);
    });
}

#[test]
fn a_broken_promise_fails_the_run() {
    with_server(|addr| {
        // By default servers lend strangers a little, which the strict promise does not allow.
        let output =
            jam_load(&[&[addr.as_str(), "--attacks", "amplification", "--strict"], &SHORT[..]].concat());
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("amplification: one stranger got"), "{said}");
        let rounds = lines(&output.stdout);
        assert_eq!(rounds.len(), 1);
        assert!(rounds[0]["broken"].as_array().is_some_and(|broken| !broken.is_empty()), "{}", rounds[0]);
    });
}

#[test]
fn an_attack_whose_member_is_not_let_in_shows_nothing() {
    with_server(|addr| {
        // The musicians take all four places.
        let more = ["--attacks", "chat-flood", "-n", "4"];
        let short: Vec<&str> = SHORT.iter().skip(2).copied().collect();
        let output = jam_load(&[&[addr.as_str()], &more[..], &short[..]].concat());
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("chat-flood: the bad member was not let in"), "{said}");
    });
}

#[test]
fn attacks_that_do_not_exist_and_servers_elsewhere_are_refused() {
    let output = jam_load(&["127.0.0.1:1", "--hostile", "--attacks", "kindness"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("no attack is called kindness; there are calm,")
    );
    let output = jam_load(&["192.0.2.1:22124", "--hostile"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("for servers on loopback"));
    assert_eq!(jam_load(&["127.0.0.1:1", "--strict"]).status.code(), Some(2), "without --hostile");
}
