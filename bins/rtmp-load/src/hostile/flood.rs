//! More connections than anybody needs.

use std::time::Duration;

use super::edge::Edge;
use super::findings::{Findings, round};
use super::peer::Peer;
use super::script::Script;
use super::siege::{GRACE, HANDSHAKE_LIMIT, PER_ADDRESS_MAX, Siege};
use super::swarm::Swarm;
use crate::clock::instant;
use crate::run::wait_for_listener;
use crate::target::Place;
use rtmp_core::message::Command;

/// How many times as many connections a flood has as another attack.
const FLOOD: usize = 10;
/// Who is beyond a limit is closed this soon.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Files that a server may open, a little more than its connections of RTMP.
const FEW_FILES: usize = 1400;

/// All from one address.
pub(super) fn one_address(siege: &mut Siege) -> Result<Findings, String> {
    let mut findings = Findings::default();
    let from = siege.address();
    let mut swarm = Swarm::default();
    for _ in 0..siege.connections * FLOOD {
        swarm.open(siege.server(), from, Vec::new());
    }
    let all = swarm.members.len();
    let inside = if from.is_some() { PER_ADDRESS_MAX } else { all };
    let begun = instant();
    swarm.run(AT_ONCE + GRACE, |swarm| swarm.members.len() - swarm.closed() <= inside);
    let early = swarm.closed();
    findings.note("connections", all);
    findings.note("closed_at_once", early);
    findings.note("at_once_s", round(begun.elapsed().as_secs_f64(), 2));
    findings.require(all - early <= inside, || format!("{} of one address were let in", all - early));
    swarm.run(HANDSHAKE_LIMIT + GRACE, |swarm| swarm.is_over());
    findings.note("longest_s", round(swarm.longest_life(), 2));
    findings.refused = swarm.closed() as u64;
    let closed = swarm.closed();
    findings.require(closed == all, || format!("only {closed} of {all} were closed at last"));
    Ok(findings)
}

/// From so many that the limit of one address does not help.
pub(super) fn many_addresses(siege: &mut Siege) -> Result<Findings, String> {
    let mut findings = Findings::default();
    let mut swarm = siege.swarm(siege.connections * FLOOD, &[]);
    let all = swarm.members.len();
    swarm.run(AT_ONCE, |_| false);
    let early = swarm.closed();
    findings.note("connections", all);
    findings.note("closed_at_once", early);
    findings.note("let_in", all - early);
    swarm.run(HANDSHAKE_LIMIT + GRACE, |swarm| swarm.is_over());
    if !swarm.is_over() {
        // Where the queue of the listener overflowed, only this side believes in the connection, until it speaks.
        swarm.say(&[0]);
        swarm.run(2 * AT_ONCE, |swarm| swarm.is_over());
    }
    findings.note("longest_s", round(swarm.longest_life(), 2));
    findings.refused = swarm.closed() as u64;
    let closed = swarm.closed();
    findings.require(closed == all, || format!("only {closed} of {all} were closed at last"));
    Ok(findings)
}

/// Requests without end to a server that may open few files: its streams need some.
pub(super) fn http(siege: &mut Siege) -> Result<Findings, String> {
    let mut findings = Findings::default();
    let program = siege.program.clone().ok_or("no program")?;
    let failed = |error: std::io::Error| error.to_string();
    let mut edge =
        Edge::start_with_files(&program, &siege.folder, "http-flood", FEW_FILES).map_err(failed)?;
    wait_for_listener(edge.rtmp, Some(&mut edge.server))?;
    let mut swarm = Swarm::default();
    let from = siege.address();
    for _ in 0..2 * FEW_FILES {
        swarm.open(edge.http, from, b"GET /api/v1/versions HTTP/1.1\r\nX: ".to_vec());
    }
    swarm.run(AT_ONCE, |_| false);
    let place = Place { address: edge.rtmp, ..siege.place.clone() };
    let begun = instant();
    let came = || -> std::io::Result<()> {
        let mut peer = Peer::open(place.address, None, None)?;
        peer.handshake()?;
        peer.connect(&place)
    };
    let served = came();
    findings.note("connections", swarm.members.len());
    findings.note("newcomer_s", round(begun.elapsed().as_secs_f64(), 3));
    findings.require(served.is_ok() && begun.elapsed() < AT_ONCE, || {
        let why = served.err().map(|error| error.to_string()).unwrap_or_default();
        format!("a viewer waited {:.1} s beside a flood of requests {why}", begun.elapsed().as_secs_f64())
    });
    Ok(findings)
}

/// Names of streams that nobody has, played and published in turn, as fast as commands may come.
pub(super) fn names(siege: &mut Siege) -> Result<Findings, String> {
    let mut findings = Findings::default();
    name_after_name(siege, &mut findings, |script, name| {
        script
            .command(&Command::new("play", 3.0).with(name), 1)
            .command(&super::peer::publish_command(name), 1)
    });
    Ok(findings)
}

/// Connections that ask for one name after the other, as fast as commands may come.
pub(super) fn name_after_name(
    siege: &mut Siege,
    findings: &mut Findings,
    ask: impl Fn(Script, &str) -> Script,
) {
    let place = siege.place.clone();
    let (begun, mut named) = (instant(), 0_u64);
    while named == 0 || begun.elapsed() < siege.time {
        let mut swarms = Vec::new();
        for _ in 0..siege.connections / 4 {
            let names = (named..named + 25).map(|n| format!("nobody-has-{n}"));
            let script = names.fold(Script::session(&place), |script, name| ask(script, &name));
            named += 25;
            swarms.push(siege.swarm(1, &script.bytes()));
        }
        for _ in 0..10 {
            swarms.iter_mut().for_each(|swarm| swarm.run(Duration::ZERO, |_| true));
            crate::clock::wait(Duration::from_millis(20));
        }
        findings.let_in += swarms.len() as u64;
        findings.refused += swarms.iter().map(|swarm| swarm.closed() as u64).sum::<u64>();
    }
    findings.note("names", named);
}
