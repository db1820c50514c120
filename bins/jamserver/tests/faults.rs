//! What goes wrong on machines: disks, descriptors, clocks, processes that stand still or die.
#![expect(clippy::disallowed_methods, reason = "a running program lives in real time")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jam_proto::client::ClientEvent;
use jam_proto::message::RecorderState;
use nix::sys::signal::Signal;
use support::{Musician, PATIENCE, Server, temporary};

fn connected(event: &ClientEvent) -> Option<()> {
    matches!(event, ClientEvent::Connected).then_some(())
}

/// Plays until this many more audio datagrams have come back.
fn hear(musician: &mut Musician, datagrams: u64) {
    let wanted = musician.client.stats().audio_received + datagrams;
    let start = Instant::now();
    while musician.client.stats().audio_received < wanted {
        assert!(start.elapsed() < PATIENCE, "nothing is heard: {:?}", musician.client.stats());
        musician.play_once();
    }
}

/// Seconds of processor time a process has used.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    let fields: Vec<&str> = stat.rsplit(") ").next().expect("a stat line").split(' ').collect();
    let ticks: u64 = [11, 12].iter().map(|at| fields[*at].parse::<u64>().expect("a number")).sum();
    ticks as f64 / 100.0
}

#[test]
fn a_full_disk_ends_the_recording_and_nothing_else() {
    let (directory, log) = (temporary("full"), "/dev/full");
    // Files may not grow beyond some kilobytes; writing more is refused as on a full disk.
    let mut server = Server::start_limited(
        "trap '' XFSZ; ulimit -f 64",
        &["-R", directory.to_str().expect("ASCII"), "-l", log],
    );
    let mut ann = Musician::new("Ann", server.addr);
    let recorder = |state: RecorderState| {
        move |event: &ClientEvent| {
            matches!(event, ClientEvent::RecorderState(now) if *now == state).then_some(())
        }
    };
    ann.play_until(recorder(RecorderState::Recording));
    ann.play_until(recorder(RecorderState::NotEnabled));
    server.wait_for_line("jamserver: warning: recording stopped: ");
    hear(&mut ann, 100);
    let (status, log, said) = server.stop(Signal::SIGTERM);
    assert!(status.success(), "{said:#?}");
    assert!(
        log.contains("connected (1)"),
        "the console still has the lines that the full disk has not: {log}"
    );
    let warnings = said.iter().filter(|line| line.contains("recording stopped")).count();
    assert_eq!(warnings, 1, "{said:#?}");
    std::fs::remove_dir_all(&directory).expect("ours");
}

#[test]
fn a_lost_log_folder_stops_nothing_and_the_log_comes_back() {
    let folder = temporary("log-folder");
    std::fs::create_dir(&folder).expect("writable");
    let log = folder.join("jam.log");
    let mut server = Server::start(&["-l", log.to_str().expect("ASCII")]);
    std::fs::remove_dir_all(&folder).expect("ours");
    server.signal(Signal::SIGHUP);
    server.wait_for_line("jamserver: cannot open the log again: ");
    Musician::new("Ann", server.addr).play_until(connected);
    std::fs::create_dir(&folder).expect("writable");
    server.signal(Signal::SIGHUP);
    server.wait_for_line("settings reloaded");
    Musician::new("Bob", server.addr).play_until(connected);
    let (status, ..) = server.stop(Signal::SIGTERM);
    assert!(status.success());
    let logged = std::fs::read_to_string(&log).expect("it is there again");
    assert!(logged.contains("connected (2)") && !logged.contains("connected (1)"), "{logged}");
    std::fs::remove_dir_all(&folder).expect("ours");
}

#[test]
fn without_descriptors_the_jam_goes_on_and_the_remote_control_comes_back() {
    let secret = temporary("descriptors-secret");
    std::fs::write(&secret, "sixteen letters!\n").expect("writable");
    let rpc = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let port = rpc.port().to_string();
    let server = Server::start_limited(
        "ulimit -n 20",
        &["--jsonrpcport", &port, "--jsonrpcsecretfile", secret.to_str().expect("ASCII")],
    );
    let mut ann = Musician::new("Ann", server.addr);
    ann.play_until(connected);
    let open = || -> Vec<TcpStream> {
        (0..40).map(|_| TcpStream::connect(rpc).expect("the system takes it")).collect()
    };
    let held = open();
    let before = cpu_seconds(server.child.id());
    let start = Instant::now();
    // More than 2 s of music while nobody can be accepted.
    while start.elapsed() < Duration::from_secs(2) {
        hear(&mut ann, 100);
    }
    let share = (cpu_seconds(server.child.id()) - before) / start.elapsed().as_secs_f64();
    assert!(share < 0.5, "it spends {share:.2} of a processor");
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", server.child.id())).expect("Linux").count();
    assert!(descriptors >= 19, "only {descriptors} of 20 descriptors are in use: nothing was shown");
    drop(held);
    Musician::new("Bob", server.addr).play_until(connected);
    let version = ask(rpc, "{\"id\":1,\"jsonrpc\":\"2.0\",\"method\":\"jamulus/getMode\",\"params\":{}}\n");
    assert!(version.contains("\"id\":1"), "{version}");
    let (status, ..) = server.stop(Signal::SIGTERM);
    assert!(status.success());
    std::fs::remove_file(&secret).expect("ours");
}

/// Asks the remote control until it is there: connections that were let go need a moment to be noticed.
fn ask(rpc: SocketAddr, question: &str) -> String {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let mut stream = TcpStream::connect(rpc).expect("the system takes it");
        stream.set_read_timeout(Some(Duration::from_secs(1))).expect("possible");
        let login = "{\"id\":0,\"jsonrpc\":\"2.0\",\"method\":\"jamulus/apiAuth\",\"params\":{\"secret\":\"sixteen letters!\"}}\n";
        if stream.write_all(login.as_bytes()).and_then(|()| stream.write_all(question.as_bytes())).is_err() {
            continue;
        }
        let (mut answer, mut piece) = (String::new(), [0; 512]);
        while let Ok(length) = stream.read(&mut piece) {
            answer.push_str(&String::from_utf8_lossy(&piece[..length]));
            if length == 0 || answer.contains("\"id\":1") {
                break;
            }
        }
        if answer.contains("\"id\":1") {
            return answer;
        }
    }
    panic!("the remote control does not come back");
}

#[test]
fn a_directory_whose_name_leads_nowhere_keeps_nobody_out() {
    // A label cannot be empty: no name server has to be asked.
    let server = Server::start(&["-e", "nowhere..example", "-o", "Cellar;Bonn;de"]);
    Musician::new("Ann", server.addr).play_until(connected);
    let (status, _, said) = server.stop(Signal::SIGTERM);
    assert!(status.success(), "{said:#?}");
}

#[test]
fn a_server_that_stood_still_plays_on_with_the_musicians_it_had() {
    let server = Server::start(&[]);
    let mut ann = Musician::new("Ann", server.addr);
    ann.play_until(connected);
    hear(&mut ann, 100);
    for stop in [40, 2_000] {
        server.signal(Signal::SIGSTOP);
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(stop) {
            ann.play_once();
        }
        server.signal(Signal::SIGCONT);
        hear(&mut ann, 400);
    }
    let gone = |event: &ClientEvent| matches!(event, ClientEvent::Left(_) | ClientEvent::ChannelAssigned(_));
    assert_eq!(
        ann.events.iter().filter(|event| gone(event)).count(),
        1,
        "she has one channel, the first one"
    );
    let (status, ..) = server.stop(Signal::SIGTERM);
    assert!(status.success());
}

#[test]
fn a_killed_server_gets_its_musicians_back_when_it_is_started_again() {
    let server = Server::start(&[]);
    let (addr, port) = (server.addr, server.addr.port().to_string());
    let mut ann = Musician::new("Ann", addr);
    let assigned = |event: &ClientEvent| matches!(event, ClientEvent::ChannelAssigned(_)).then_some(());
    ann.play_until(assigned);
    ann.play_until(connected);
    let (status, ..) = server.stop(Signal::SIGKILL);
    assert!(!status.success());
    for _ in 0..50 {
        ann.play_once();
    }
    let again = Server::start(&["-p", &port]);
    assert_eq!(again.addr, addr);
    ann.play_until(assigned);
    hear(&mut ann, 100);
    assert!(!ann.events.iter().any(|event| matches!(event, ClientEvent::Left(_))), "{:?}", ann.events);
    let (status, ..) = again.stop(Signal::SIGTERM);
    assert!(status.success());
}

/// Makes the wall clock jump by years each time it is read; the monotonic clock runs on.
const JUMPING_CLOCK: &str = r"
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long jump(void) {
    static long n;
    ++n;
    return (n % 2 ? 1 : -1) * (160000000L + n % 5 * 60000000L);
}
int clock_gettime(clockid_t id, struct timespec *t) {
    long failed = syscall(SYS_clock_gettime, id, t);
    if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) t->tv_sec += jump();
    return failed;
}
int gettimeofday(struct timeval *t, void *zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *t) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (t) *t = now.tv_sec;
    return now.tv_sec;
}
";

#[test]
fn a_wall_clock_that_jumps_by_years_disturbs_nobody() {
    let (source, library) = (temporary("clock.c"), temporary("clock.so"));
    std::fs::write(&source, JUMPING_CLOCK).expect("writable");
    let written = source.metadata().and_then(|file| file.modified()).expect("just written");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .stderr(Stdio::null())
        .status()
        .expect("a C compiler, which the codec needs as well");
    assert!(compiled.success());
    let directory = temporary("clock-takes");
    let arguments = ["-R", directory.to_str().expect("ASCII")];
    let server = Server::start_with(&arguments, &[("LD_PRELOAD", library.to_str().expect("ASCII"))]);
    let mut musicians = ["Ann", "Bob"].map(|name| Musician::new(name, server.addr));
    for musician in &mut musicians {
        musician.play_until(connected);
        hear(musician, 200);
    }
    let (status, log, said) = server.stop(Signal::SIGTERM);
    assert!(status.success(), "{said:#?}");
    // Five to thirteen years away, there or back.
    let year =
        written.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs() / 31_556_952 + 1970;
    let told: Vec<u64> = log.lines().filter_map(|line| line.get(..4)?.parse().ok()).collect();
    assert!(told.len() >= 2 && told.iter().all(|told| told.abs_diff(year) > 3), "no jump from {year}: {log}");
    for path in [source, library] {
        std::fs::remove_file(path).expect("ours");
    }
    std::fs::remove_dir_all(&directory).expect("ours");
}
