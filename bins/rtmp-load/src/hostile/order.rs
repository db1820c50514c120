//! Requests that nobody should make.

use std::time::Duration;

use rtmp_core::chunk::MessageType;
use rtmp_core::message::Command;

use super::findings::Findings;
use super::peer::{Peer, connect_command, message, publish_command};
use super::script::Script;
use super::siege::{CONNECT_LIMIT, GRACE, Siege};
use crate::clock::instant;

/// A picture that no viewer may ever see: without a stamp.
const FORGED: &[u8] = b"\x17\x01\0\0\0forged picture of somebody else";

/// Publishes of the live stream by others.
pub(super) fn hijack(siege: &mut Siege) -> Result<Findings, String> {
    let mut findings = Findings::default();
    let stream = siege.place.stream.clone();
    let names = [stream.clone(), format!("{stream}?token=x"), format!("{stream}?vhost=__defaultVhost__")];
    let begun = instant();
    let mut statuses = std::collections::BTreeMap::<String, u64>::new();
    let mut attempts = 0_usize;
    while attempts < 12 || begun.elapsed() < siege.time && attempts < siege.connections {
        // Every other one from where the publisher comes from.
        let from = if attempts.is_multiple_of(2) { siege.address() } else { None };
        let name = &names[attempts % names.len()];
        attempts += 1;
        let status = attempt(siege, from, name);
        let said = status.unwrap_or_else(|error| error.to_string());
        findings.require(said != "NetStream.Publish.Start", || format!("{name} could be taken over"));
        findings.refused += u64::from(said != "NetStream.Publish.Start");
        *statuses.entry(said).or_default() += 1;
    }
    findings.note("attempts", attempts);
    findings.let_in = attempts as u64;
    for (status, count) in statuses {
        findings.note(&status, count);
    }
    // Others that do not wait for an answer: pictures right behind the request.
    let place = siege.place.clone();
    let mut blind = Script::publish(&place, &stream);
    for _ in 0..20 {
        blind = blind.message(&message(MessageType::VIDEO, 1, FORGED));
    }
    let mut swarm = siege.swarm(siege.connections / 4, &blind.bytes());
    swarm.run(Duration::from_secs(2) + GRACE, |swarm| swarm.is_over());
    findings.refused += swarm.closed() as u64;
    let (closed, all) = (swarm.closed(), swarm.members.len());
    findings.note("blind_attempts", all);
    findings.let_in += all as u64;
    findings.require(closed == all, || format!("only {closed} of {all} blind publishers were closed"));
    Ok(findings)
}

fn attempt(siege: &Siege, from: Option<std::net::Ipv4Addr>, stream: &str) -> std::io::Result<String> {
    let mut peer = Peer::open(siege.server(), from, None)?;
    peer.handshake()?;
    peer.connect(&siege.place)?;
    peer.publish(stream)
}

/// What a sequence of commands leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    /// The server closes the connection within its limits.
    Closed,
    /// The connection still answers.
    Lives,
}

/// Wrong commands in wrong states.
pub(super) fn wrong(siege: &mut Siege) -> Result<Findings, String> {
    let mut findings = Findings::default();
    let place = siege.place.clone();
    let stream = &*place.stream;
    let play = |name: &str| Command::new("play", 3.0).with(name);
    let named = |name: &'static str, argument: &str| Command::new(name, 6.0).with(argument);
    let many = |script: Script, number: u32, command: &Command| {
        (0..number).fold(script, |script, _| script.command(command, 1))
    };
    let publish = publish_command("wrong-order");
    let session = || Script::session(&place);
    let picture = message(MessageType::VIDEO, 1, FORGED);
    let deletes = (0..20).fold(session(), |script, id| {
        script.command(&Command::new("deleteStream", 7.0).with(f64::from(id)), id)
    });
    let cases = [
        ("publish_before_connect", Script::handshake().command(&publish, 1), Fate::Closed),
        ("play_before_connect", Script::handshake().command(&play(stream), 1), Fate::Closed),
        ("pictures_before_connect", Script::handshake().message(&picture), Fate::Closed),
        ("pictures_without_publish", session().message(&picture), Fate::Lives),
        ("connect_twice", session().command(&connect_command(&place), 0), Fate::Lives),
        ("play_twice", session().command(&play(stream), 1).command(&play(stream), 1), Fate::Lives),
        (
            "publish_while_playing",
            session().command(&play(stream), 1).command(&publish, 1).message(&picture),
            // It is a publisher then, and says nothing for five seconds.
            Fate::Closed,
        ),
        ("play_without_a_name", session().command(&Command::new("play", 3.0), 1), Fate::Lives),
        ("streams_of_others_deleted", deletes, Fate::Lives),
        (
            "stream_of_the_publisher_ended",
            session()
                .command(&named("FCUnpublish", stream), 1)
                .command(&named("releaseStream", stream), 0)
                .command(&Command::new("closeStream", 0.0), 1),
            Fate::Lives,
        ),
        ("unknown_commands", many(session(), 20, &named("letMeIn", "please")), Fate::Lives),
        ("commands_without_end", many(session(), 200, &named("letMeIn", "please")), Fate::Closed),
        ("streams_without_end", many(session(), 20, &Command::new("createStream", 2.0)), Fate::Closed),
        ("after_close", session().command(&Command::new("close", 0.0), 0).command(&publish, 1), Fate::Closed),
        ("name_that_leads_upwards", session().command(&play("../../etc/passwd"), 1), Fate::Closed),
        ("name_with_a_line_break", session().command(&publish_command("a\r\nb"), 1), Fate::Closed),
        ("empty_name", session().command(&publish_command(""), 1), Fate::Closed),
    ];
    let several = (siege.connections / 20).max(2);
    let ask = Command::new("getStreamLength", 777.0).with("x");
    // All together: those that say nothing useful take until their limit.
    let mut running = Vec::new();
    for (name, script, fate) in cases {
        let script = if fate == Fate::Lives { script.command(&ask, 0) } else { script };
        // Only one can publish.
        let number = if name == "publish_while_playing" { 1 } else { several };
        running.push((name, fate, siege.swarm(number, &script.bytes())));
    }
    let end = instant() + CONNECT_LIMIT + GRACE;
    while instant() < end
        && !running.iter().all(|(_, fate, swarm)| swarm.is_over() == (*fate == Fate::Closed))
        || instant() < end - CONNECT_LIMIT
    {
        for (_, _, swarm) in &mut running {
            swarm.run(Duration::ZERO, |_| true);
        }
        crate::clock::wait(Duration::from_millis(20));
    }
    for (name, fate, swarm) in &running {
        let (closed, all) = (swarm.closed(), swarm.members.len());
        findings.refused += closed as u64;
        findings.let_in += all as u64;
        findings.note(name, if closed == all { "closed" } else { "lives" });
        match fate {
            Fate::Closed => findings.require(closed == all, || format!("{name}: {closed} of {all} closed")),
            Fate::Lives => findings.require(closed == 0, || format!("{name}: {closed} of {all} closed")),
        }
    }
    Ok(findings)
}
