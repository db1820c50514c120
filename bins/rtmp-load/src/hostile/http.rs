//! Abuse of the HTTP API and of the server of files.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::edge::SECRET;
use super::findings::{Findings, round};
use super::peer::{begin_connect, is_pending, is_reset};
use super::siege::{GRACE, Siege};
use super::swarm::Swarm;
use crate::clock::instant;

/// A request has to be there by then.
const REQUEST_LIMIT: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(5);

/// What came back: status and everything behind the first line.
#[derive(Debug)]
struct Reply {
    status: u16,
    text: String,
}

/// Sends bytes and reads until the end of the connection, of the answer as far as it says, or of patience.
fn ask(addr: SocketAddr, from: Option<Ipv4Addr>, request: &[u8]) -> io::Result<Reply> {
    let socket = begin_connect(addr, from, None)?;
    socket.connect_timeout(&addr.into(), PATIENCE)?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    if let Err(error) = stream.write_all(request)
        && !is_reset(&error)
    {
        return Err(error);
    }
    let mut raw = Vec::new();
    let mut piece = [0; 8192];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => raw.extend_from_slice(&piece[..count]),
            Err(error) if is_pending(&error) || is_reset(&error) => break,
            Err(error) => return Err(error),
        }
        if raw.len() > 1 << 20 {
            break;
        }
    }
    let text = String::from_utf8_lossy(&raw).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok(Reply { status, text })
}

fn request(method: &str, path: &str, more: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{more}\r\n").into_bytes()
}

/// A figure of the server, as it tells Prometheus.
pub(super) fn metric(api: SocketAddr, name: &str) -> Result<u64, String> {
    let known = format!("Authorization: Basic {}\r\n", super::edge::API_CREDENTIALS);
    let reply =
        ask(api, None, &request("GET", "/metrics", &known)).map_err(|error| format!("HTTP: {error}"))?;
    let figure = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
    reply
        .text
        .lines()
        .find_map(figure)
        .ok_or_else(|| format!("no {name} in {} lines", reply.text.lines().count()))
}

/// Wrong methods, paths that lead out, large heads and bodies, scripts as callbacks, orders without a password.
pub(super) fn requests(siege: &mut Siege) -> Result<Findings, String> {
    let mut findings = Findings::default();
    let api = siege.api.ok_or("no HTTP API")?;
    let from = siege.address();
    let send = |bytes: &[u8]| ask(api, from, bytes).map_err(|error| format!("HTTP: {error}"));
    let mut count = 0_u64;
    let mut no_success = |findings: &mut Findings, name: &str, bytes: &[u8]| -> Result<(), String> {
        let reply = send(bytes)?;
        count += 1;
        findings.require(!(200..300).contains(&reply.status), || {
            let shown: String = reply.text.chars().take(80).collect();
            format!("{name} is answered with {}: {shown:?}", reply.status)
        });
        findings.require(!reply.text.contains(SECRET) && !reply.text.contains("root:"), || {
            format!("{name} shows a file that nobody may read")
        });
        Ok(())
    };
    for method in ["PUT", "PATCH", "TRACE", "CONNECT", "POST", "STEAL", "get"] {
        no_success(&mut findings, method, &request(method, "/api/v1/summaries", ""))?;
    }
    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/..%5csecret.txt",
        "/html/../../secret.txt",
        "//../../etc/passwd",
        "/%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fetc/passwd",
        "/%00secret.txt",
        "/.%00./secret.txt",
        "/%c0%ae%c0%ae/secret.txt",
        "/....//secret.txt",
        "http://a/../secret.txt",
        "/live/../../secret.flv",
    ] {
        no_success(&mut findings, path, &request("GET", path, ""))?;
    }
    // No password, a wrong one, broken ones: nobody is kicked and nothing reloaded.
    for auth in [
        "",
        "Authorization: Basic b3BlcmF0b3I6eA==\r\n",
        "Authorization: Basic ====\r\n",
        "Authorization: Bearer x\r\n",
    ] {
        for (method, path) in [
            ("GET", "/api/v1/clients"),
            ("DELETE", "/api/v1/clients/1"),
            ("DELETE", "//api/v1/clients/1"),
            ("DELETE", "/api/v1/../v1/clients/1"),
            ("GET", "/api/v1/raw?rpc=reload"),
            ("GET", "/api/v1/summaries?callback=%3Cscript%3Ealert(1)%3C/script%3E"),
            ("GET", "/metrics"),
        ] {
            no_success(&mut findings, &format!("{method} {path}"), &request(method, path, auth))?;
        }
    }
    // With the password, scripts as names of functions.
    let known = format!("Authorization: Basic {}\r\n", super::edge::API_CREDENTIALS);
    for callback in ["%3Cscript%3E", "alert(1)//", "a%0d%0aSet-Cookie:%20x", &"a".repeat(5000)] {
        let path = format!("/api/v1/versions?callback={callback}");
        no_success(&mut findings, "a script as callback", &request("GET", &path, &known))?;
    }
    let huge = format!("X: {}\r\n", "a".repeat(100_000));
    no_success(&mut findings, "a head of 100 kB", &request("GET", "/", &huge))?;
    let many: String = (0..2000).map(|n| format!("X-{n}: y\r\n")).collect();
    no_success(&mut findings, "2000 header lines", &request("GET", "/", &many))?;
    no_success(&mut findings, "a path of 50 kB", &request("GET", &format!("/{}", "a".repeat(50_000)), ""))?;
    no_success(&mut findings, "a body of 1 GB", &request("POST", "/", "Content-Length: 1000000000\r\n"))?;
    let chunked =
        [request("POST", "/", "Transfer-Encoding: chunked\r\n"), b"10000\r\n".to_vec(), vec![b'a'; 65_536]];
    no_success(&mut findings, "a body without end", &chunked.concat())?;
    no_success(
        &mut findings,
        "two lengths",
        &request("GET", "/", "Content-Length: 1\r\nContent-Length: 2\r\n"),
    )?;
    no_success(&mut findings, "noise", &[0xff; 500])?;
    // A thousand requests at once on one connection.
    let one = b"GET /index.html HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000);
    let reply = send(&one)?;
    count += 1000;
    findings.require(reply.status == 200, || format!("a page is answered with {}", reply.status));
    findings.note("requests", count);
    Ok(findings)
}

/// Slow heads, and answers that nobody reads.
pub(super) fn slow(siege: &mut Siege) -> Result<Findings, String> {
    let mut findings = Findings::default();
    let api = siege.api.ok_or("no HTTP API")?;
    let mut swarm = Swarm::default();
    let from = siege.address();
    for _ in 0..siege.connections {
        swarm.open(api, from, b"GET /api/v1/versions HTTP/1.1\r\nHost: a\r\nX: ".to_vec());
    }
    let begun = instant();
    let mut said = 0;
    while begun.elapsed() < REQUEST_LIMIT + GRACE && !swarm.is_over() {
        swarm.run(Duration::from_millis(100), |swarm| swarm.is_over());
        if begun.elapsed().as_secs() > said {
            said += 1;
            swarm.say(b"a");
            // Others are answered meanwhile.
            let reply =
                ask(api, None, &request("GET", "/index.html", "")).map_err(|error| error.to_string())?;
            findings.require(reply.status == 200, || "nobody else is answered".to_owned());
        }
    }
    findings.note("connections", swarm.members.len());
    findings.note("longest_s", round(swarm.longest_life(), 2));
    findings.refused = swarm.closed() as u64;
    let (closed, all) = (swarm.closed(), swarm.members.len());
    findings.require(closed == all, || format!("only {closed} of {all} slow requests were closed"));
    Ok(findings)
}
