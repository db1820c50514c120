//! Attacks on a running server, with a publisher and viewers whose service is checked (`--hostile`).
//!
//! ```text
//!   publisher ──▶ the server ──▶ viewers of a usual run, some come and go ──▶ faults, latency, startup
//!                     ▲ ▲
//!   siege ── one attack after the other, from addresses of its own ──▶ what became of each connection
//!   watch ── /proc and the log ──▶ memory, processor time, lines
//!
//!   for some, an edge of ours stands between the server and all others, who see, attack and watch that instead
//!                                                        all ──▶ one line of JSON per attack, and a verdict
//! ```

mod amf;
mod attack;
mod chunks;
mod config;
mod control;
mod edge;
mod findings;
mod flood;
mod front;
mod handshake;
mod hooks;
mod http;
mod options;
mod order;
mod peer;
mod readers;
mod script;
mod service;
mod siege;
mod swarm;
mod verdict;
mod watch;

use crate::args::Args;
use crate::clock::{instant, wait};
use crate::process::Server;
use crate::run::{Publishing, raise_open_files, wait_for_listener};
use crate::target::Place;
use attack::{ALL, Attack, Needs};
use edge::{Edge, Folder};
pub(crate) use options::AttackOptions;
use service::Service;
use siege::Siege;
use verdict::Round;
use watch::{Log, Watch};

/// What is attacked.
#[derive(Debug)]
struct Target {
    publish: Place,
    play: Vec<Place>,
    server: Option<Server>,
    pid: Option<u32>,
    log: Option<Log>,
}

/// Runs all attacks that are possible here, or those that were asked for. Returns whether every promise was kept.
pub(crate) fn run(args: &Args) -> Result<bool, String> {
    raise_open_files();
    let folder = Folder::new().map_err(|error| format!("temporary folder: {error}"))?;
    let attacks = chosen(&args.attack.attacks)?;
    let (mut target, api) = target(args, &folder)?;
    if !target.publish.address.ip().is_loopback() {
        return Err("attacks are for servers on loopback".to_owned());
    }
    wait_for_listener(target.publish.address, target.server.as_mut())?;
    let options = &args.attack;
    let (time, connections) = (options.attack_time, options.attack_connections);
    let mut siege = Siege::new(target.publish.clone(), time, connections, folder.0.clone());
    siege.api = api;
    siege.program.clone_from(&options.edge);
    let publishing = Publishing::start(args, &target.publish);
    publishing.wait_accepted(1)?;
    wait(args.warm);

    let (mut kept, mut calm, mut front) = (true, None, None);
    for attack in attacks {
        let possible = match attack.needs {
            Needs::Server => true,
            Needs::Api => siege.api.is_some(),
            Needs::Program | Needs::Front => siege.program.is_some(),
        };
        if !possible {
            eprintln!("rtmp-load: {}: left out, it needs --edge (or --api)", attack.name);
            continue;
        }
        let (siege, target) = match (attack.needs, &siege.program) {
            (Needs::Front, Some(program)) => {
                if front.is_none() {
                    front = Some(front::build(args, program, &siege)?);
                }
                let Some((siege, target)) = &mut front else { continue };
                (siege, target)
            }
            _ => (&mut siege, &mut target),
        };
        let round = one(args, attack, siege, target, &publishing)?;
        let broken = verdict::broken(args, &round);
        if attack.name == "calm" {
            calm = round.served.tally.latency.percentile(0.99);
        }
        println!("{}", verdict::line(&round, calm, &broken));
        kept &= broken.is_empty();
        for line in broken {
            eprintln!("rtmp-load: {}: {line}", attack.name);
        }
        if round.ended.is_some() {
            return Ok(false);
        }
    }
    publishing.stop()?;
    Ok(kept)
}

fn one(
    args: &Args,
    attack: &'static Attack,
    siege: &mut Siege,
    target: &mut Target,
    publishing: &Publishing,
) -> Result<Round, String> {
    let service = Service::begin(args, &target.play)?;
    let lost_before = publishing.lost();
    let lines_before = target.log.as_ref().map(Log::lines);
    let watch = target.pid.and_then(Watch::begin);
    let begun = instant();
    let findings = (attack.strike)(siege);
    wait(siege.time.saturating_sub(begun.elapsed()));
    let seconds = begun.elapsed().as_secs_f64();
    let used = watch.and_then(Watch::end);
    let log_lines = target.log.as_ref().zip(lines_before).map(|(log, before)| log.lines() - before);
    let served = service.end(args, &target.play)?;
    Ok(Round {
        attack,
        seconds,
        findings: findings.map_err(|error| format!("{}: {error}", attack.name))?,
        served,
        publisher_lost: publishing.lost() - lost_before,
        used,
        log_lines,
        ended: target.server.as_mut().and_then(Server::ended),
    })
}

/// The server that was named, or our own.
fn target(args: &Args, folder: &Folder) -> Result<(Target, Option<std::net::SocketAddr>), String> {
    if let Some(program) = &args.attack.edge {
        let vhost = "vhost __defaultVhost__ { min_latency on; tcp_nodelay on; \
                     http_remux { enabled on; mount [vhost]/[app]/[stream].flv; } }";
        let edge = Edge::start(program, &folder.0, "main", vhost)
            .map_err(|error| format!("--edge {}: {error}", program.display()))?;
        let place = Place::parse(&format!("rtmp://{}/live/show", edge.rtmp))?;
        let pid = Some(edge.server.pid());
        let target = Target {
            publish: place.clone(),
            play: vec![place],
            server: Some(edge.server),
            pid,
            log: Some(Log(edge.log)),
        };
        return Ok((target, Some(edge.http)));
    }
    let publish = args.publish.as_deref().ok_or("attacks need --publish, or --edge")?;
    let publish = Place::parse(publish)?;
    let mut play = args.play.iter().map(|url| Place::parse(url)).collect::<Result<Vec<_>, _>>()?;
    if play.is_empty() {
        play.push(publish.clone());
    }
    let server = args.spawn.as_deref().map(Server::spawn).transpose().map_err(|e| format!("--spawn: {e}"))?;
    let pid = args.server_pid.or_else(|| server.as_ref().map(Server::pid));
    Ok((Target { publish, play, server, pid, log: None }, args.attack.api))
}

/// The attacks with these names, or all.
fn chosen(names: &[String]) -> Result<Vec<&'static Attack>, String> {
    if let Some(unknown) = names.iter().find(|name| ALL.iter().all(|attack| attack.name != *name)) {
        let known: Vec<&str> = ALL.iter().map(|attack| attack.name).collect();
        return Err(format!("no attack is called {unknown}; there are {}", known.join(", ")));
    }
    let wanted = |attack: &&Attack| names.is_empty() || names.iter().any(|name| name == attack.name);
    Ok(ALL.iter().filter(wanted).collect())
}
