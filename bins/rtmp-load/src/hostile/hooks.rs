//! Web servers that hang, lie and close, asked about clients.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::edge::{Edge, free_address};
use super::findings::{Findings, round};
use super::peer::Peer;
use super::script::Script;
use super::siege::{GRACE, PER_ADDRESS_MAX, Siege};
use super::swarm::Swarm;
use crate::clock::{instant, wait};
use crate::run::wait_for_listener;
use crate::target::Place;

/// What our configuration says of the longest wait for a hook.
const HOOK_LIMIT: Duration = Duration::from_secs(3);
/// Clients that ask a hook that hangs, more than may be asked about at once.
const CROWD: usize = 640;

/// How a web server treats who asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Web {
    Good,
    Hangs,
    Closes,
    Garbage,
    /// Says yes, but as the text of an error.
    ErrorWithYes,
    Redirects,
    /// A byte of the answer now and then.
    Dribbles,
    /// An answer of 64 MiB.
    Floods,
    SaysNo,
}

impl Web {
    const ALL: [(&'static str, Self); 9] = [
        ("good", Self::Good),
        ("hangs", Self::Hangs),
        ("closes", Self::Closes),
        ("garbage", Self::Garbage),
        ("error", Self::ErrorWithYes),
        ("redirects", Self::Redirects),
        ("dribbles", Self::Dribbles),
        ("floods", Self::Floods),
        ("no", Self::SaysNo),
    ];

    /// Listens until this program ends.
    fn start(self) -> std::io::Result<(SocketAddr, Arc<AtomicU64>)> {
        let listener = TcpListener::bind(free_address()?)?;
        let addr = listener.local_addr()?;
        let asked = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::Relaxed);
                std::thread::spawn(move || self.serve(socket));
            }
        });
        Ok((addr, asked))
    }

    /// One connection; what goes wrong with it is the asker's business.
    fn serve(self, mut socket: TcpStream) {
        let mut request = [0; 8192];
        while matches!(socket.read(&mut request), Ok(1..)) {
            let said = match self {
                Self::Good => "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n0",
                Self::Hangs => continue,
                Self::Closes => return,
                Self::Garbage => "\u{1}\u{2}\u{3} no HTTP at all\r\n\r\n",
                Self::ErrorWithYes => "HTTP/1.1 500 Oops\r\nContent-Length: 1\r\n\r\n0",
                Self::Redirects => {
                    "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 1\r\n\r\n0"
                }
                Self::SaysNo => "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1",
                Self::Dribbles => {
                    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
                    let mut sent = socket.write_all(head).is_ok();
                    while sent {
                        wait(Duration::from_millis(200));
                        sent = socket.write_all(b" ").is_ok();
                    }
                    return;
                }
                Self::Floods => {
                    let piece = vec![b'0'; 65_536];
                    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n";
                    let mut sent = socket.write_all(head).is_ok();
                    for _ in 0..1024 {
                        sent = sent && socket.write_all(&piece).is_ok();
                    }
                    return;
                }
            };
            if socket.write_all(said.as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// Each kind of web server behind a vhost of its own; every client has to get an answer in time, and only the good one
/// lets anybody in. Then a crowd for the one that hangs, while others ask the good one.
pub(super) fn webs(siege: &mut Siege) -> Result<Findings, String> {
    let mut findings = Findings::default();
    let program = siege.program.clone().ok_or("no program")?;
    let failed = |error: std::io::Error| error.to_string();
    let mut vhosts = format!("extension {{ hook_timeout {}; }}\n", HOOK_LIMIT.as_secs());
    for (name, web) in Web::ALL {
        let (addr, _) = web.start().map_err(failed)?;
        vhosts += &format!(
            "vhost {name}.example {{ http_hooks {{ enabled on; on_publish http://{addr}/; on_play http://{addr}/; \
             on_stop http://{addr}/; }} }}\n"
        );
    }
    let mut edge = Edge::start(&program, &siege.folder, "hooks", &vhosts).map_err(failed)?;
    wait_for_listener(edge.rtmp, Some(&mut edge.server))?;
    let rtmp = edge.rtmp;
    let place_of = |siege: &Siege, name: &str| Place {
        tc_url: format!("rtmp://{rtmp}/live?vhost={name}.example"),
        app: "live".to_owned(),
        address: rtmp,
        ..siege.place.clone()
    };
    for (name, web) in Web::ALL {
        let begun = instant();
        let status = publish(siege, &place_of(siege, name)).unwrap_or_else(|error| error.to_string());
        let took = begun.elapsed();
        findings.note(&format!("{name}_s"), round(took.as_secs_f64(), 2));
        let accepted = status == "NetStream.Publish.Start";
        findings.require(accepted == (web == Web::Good), || format!("{name}: {status}"));
        findings.require(took <= HOOK_LIMIT + GRACE, || {
            format!("{name}: answered after {:.1} s", took.as_secs_f64())
        });
    }
    // The crowd.
    let script = Script::play(&place_of(siege, "hangs"), "show").bytes();
    let mut swarm = Swarm::default();
    let mut from = None;
    for n in 0..CROWD {
        if n.is_multiple_of(PER_ADDRESS_MAX / 2) {
            from = siege.address();
        }
        swarm.open(edge.rtmp, from, script.clone());
    }
    swarm.run(Duration::from_millis(300), |_| false);
    let mut slowest = Duration::ZERO;
    let crowd_began = instant();
    let mut asked = 0;
    while crowd_began.elapsed() < HOOK_LIMIT - Duration::from_secs(1) {
        let begun: Instant = instant();
        let status = publish(siege, &place_of(siege, "good")).unwrap_or_else(|error| error.to_string());
        findings.require(status == "NetStream.Publish.Start", || format!("good beside the crowd: {status}"));
        slowest = slowest.max(begun.elapsed());
        asked += 1;
        swarm.run(Duration::from_millis(50), |_| false);
    }
    findings.note("good_beside_a_crowd_slowest_s", round(slowest.as_secs_f64(), 2));
    findings.note("good_beside_a_crowd_asked", asked);
    findings.require(slowest < 2 * HOOK_LIMIT / 3, || {
        format!("who asks the good hook waits {:.1} s for the bad one", slowest.as_secs_f64())
    });
    swarm.run(3 * HOOK_LIMIT + GRACE, |swarm| swarm.is_over());
    let (closed, all) = (swarm.closed(), swarm.members.len());
    findings.note("crowd_longest_s", round(swarm.longest_life(), 2));
    findings.require(closed == all, || format!("only {closed} of {all} of the crowd were refused"));
    findings.require(edge.server.ended().is_none(), || "the server has ended".to_owned());
    Ok(findings)
}

fn publish(siege: &mut Siege, place: &Place) -> std::io::Result<String> {
    let mut peer = Peer::open(place.address, siege.address(), None)?;
    peer.handshake()?;
    peer.connect(place)?;
    peer.publish(&place.stream)
}
