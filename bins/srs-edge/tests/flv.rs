//! Row 24 of the compatibility checklist: streams over HTTP, and the files beside them.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic like tests")]
#![allow(clippy::disallowed_methods, reason = "a running program lives in real time")]

mod common;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use bytes::BytesMut;
use common::hook::HookServer;
use common::rtmp::Client;
use common::{Folder, Server, free_port, get, open, request, wait_until};
use rtmp_core::{Media, MediaKind, flv};

/// A stream over HTTP, chunk by chunk.
struct Viewer {
    reader: BufReader<TcpStream>,
    head: String,
    body: BytesMut,
    tags: flv::Reader,
}

impl Viewer {
    fn open(port: u16, path: &str, host: &str) -> Self {
        let mut socket = open(port);
        write!(
            socket,
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://a\r\nReferer: http://page/\r\n\r\n"
        )
        .unwrap();
        let mut reader = BufReader::new(socket);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0, "closed: {head}");
        }
        Self {
            reader,
            head: head.to_ascii_lowercase(),
            body: BytesMut::new(),
            tags: flv::Reader::new(1 << 20),
        }
    }

    /// The next tag; `None` at the end of the stream.
    fn next(&mut self) -> Option<Media> {
        loop {
            if let Some(media) = self.tags.read(&mut self.body).unwrap() {
                return Some(media);
            }
            let mut size = String::new();
            self.reader.read_line(&mut size).unwrap();
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            let mut chunk = vec![0; size + 2];
            self.reader.read_exact(&mut chunk).unwrap();
            if size == 0 {
                return None;
            }
            self.body.extend_from_slice(&chunk[..size]);
        }
    }
}

fn serve(test: &str, root: &str, vhost: &str) -> (Folder, Server, u16, u16) {
    let (rtmp, http) = (free_port(), free_port());
    let text = format!(
        "listen 127.0.0.1:{rtmp}; max_connections 100; pid a.pid; srs_log_file a.log; srs_log_tank file;
         http_server {{ enabled on; listen 127.0.0.1:{http}; dir ./html; }} {root}
         vhost __defaultVhost__ {{ http_remux {{ enabled on; }} {vhost} }}"
    );
    let folder = Folder::new(test).file("a.conf", &text).file("html/index.html", "<p>hello");
    let server = Server::start(&folder);
    (folder, server, rtmp, http)
}

#[test]
fn row_24_http_flv_on_an_edge_pulls_like_a_player() {
    let (_origin_folder, _origin, origin, _) = serve("flv-origin", "", "");
    let publisher = Client::publish(origin, &format!("rtmp://127.0.0.1:{origin}/live"), "show");
    publisher.wait_until_published();
    let web = HookServer::start(|_| (200, "0".into()));
    let hooks = format!(
        "http_hooks {{ enabled on; on_connect {0}; on_play {0}; on_stop {0}; on_close {0}; }}",
        web.url("/x")
    );
    let vhost = format!("cluster {{ mode remote; origin 127.0.0.1:{origin}; }} {hooks}");
    let (_folder, _server, _, http) = serve("flv", "", &vhost);

    let mut viewer = Viewer::open(http, "/live/show.flv?token=1", "127.0.0.1");
    assert!(viewer.head.starts_with("http/1.1 200 ok\r\n"), "{}", viewer.head);
    for line in ["content-type: video/x-flv", "transfer-encoding: chunked", "access-control-allow-origin: *"]
    {
        assert!(viewer.head.contains(&format!("\r\n{line}\r\n")), "{}", viewer.head);
    }
    let video: Vec<Media> =
        std::iter::from_fn(|| viewer.next()).filter(|tag| tag.kind == MediaKind::Video).take(5).collect();
    assert_eq!(video[0].payload[..2], [0x17, 0], "the sequence header first");
    assert_eq!(video[1].payload[..2], [0x17, 1], "then a key picture");
    assert!(video.is_sorted_by_key(|tag| tag.timestamp.millis()));
    let play = web.next().json();
    assert_eq!(
        (&play["action"], &play["param"], &play["pageUrl"]),
        (&"on_play".into(), &"?token=1".into(), &"http://page/".into())
    );
    assert_eq!(play["tcUrl"], "rtmp://__defaultVhost__/live");

    drop(viewer);
    assert_eq!(web.next().json()["action"], "on_stop");
    let _second = Viewer::open(http, "/live/show.flv", "127.0.0.1");
    assert_eq!(web.next().json()["action"], "on_play", "there is no on_connect and no on_close over HTTP");
}

#[test]
fn row_24_the_response_ends_with_the_stream_and_refusals_have_a_status() {
    let vhost = "security { enabled on; deny play 127.0.0.1; allow publish all; }";
    let (_folder, _server, _, http) = serve("flv-deny", "", vhost);
    assert_eq!(get(http, "/live/show.flv").status, 403);
    assert_eq!(get(http, "/no-app.flv").status, 404);
    for name in ["a%0Ab", "a%3Fx", "a%5Cb", "..%2Fb", &"a".repeat(513)] {
        assert_eq!(get(http, &format!("/live/{name}.flv")).status, 400, "{name}");
    }

    let (_folder, _server, rtmp, http) = serve("flv-end", "", "");
    let publisher = Client::publish(rtmp, &format!("rtmp://127.0.0.1:{rtmp}/live"), "show");
    publisher.wait_until_published();
    let mut viewer = Viewer::open(http, "/live/show.flv", "127.0.0.1");
    assert!(viewer.next().is_some());
    drop(publisher);
    while viewer.next().is_some() {}
}

#[test]
fn row_24_head_is_answered_like_get_and_begins_no_play() {
    let web = HookServer::start(|_| (200, "0".into()));
    let hooks = format!("http_hooks {{ enabled on; on_play {}; }}", web.url("/x"));
    let other = "vhost closed.com { http_remux { enabled on; } refer { enabled on; play example.com; } }";
    let (_folder, _server, _, http) = serve("flv-head", other, &hooks);
    let head = request(http, "HEAD", "/live/show.flv", "");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-type"), Some("video/x-flv"));
    assert_eq!(head.header("cache-control"), Some("no-store"));
    assert_eq!(request(http, "HEAD", "/no-app.flv", "").status, 404);
    assert_eq!(request(http, "HEAD", "/live/show.flv?vhost=closed.com", "").status, 403);
    // The first question is about the first viewer.
    let _viewer = Viewer::open(http, "/live/show.flv?token=1", "127.0.0.1");
    assert_eq!(web.next().json()["param"], "?token=1");
}

#[test]
fn row_24_a_viewer_that_comes_first_gets_the_file_header_first() {
    let (_folder, _server, rtmp, http) = serve("flv-early", "", "min_latency on;");
    let mut viewer = Viewer::open(http, "/live/show.flv", "127.0.0.1");
    let _publisher = Client::publish(rtmp, &format!("rtmp://127.0.0.1:{rtmp}/live"), "show");
    let kinds: Vec<MediaKind> = std::iter::from_fn(|| viewer.next()).map(|tag| tag.kind).take(3).collect();
    assert_eq!(kinds, [MediaKind::Data, MediaKind::Video, MediaKind::Video]);
}

#[test]
fn row_24_the_host_header_and_the_query_choose_the_vhost() {
    let other = "vhost other.example.com { http_remux { enabled on; mount [vhost]/[app]/[stream].flv; } }";
    let (_folder, _server, rtmp, http) = serve("flv-vhost", other, "");
    let publisher = Client::publish(rtmp, "rtmp://other.example.com/live", "show");
    publisher.wait_until_published();
    for (path, host) in
        [("/live/show.flv", "other.example.com:80"), ("/live/show.flv?vhost=other.example.com", "127.0.0.1")]
    {
        let mut viewer = Viewer::open(http, path, host);
        assert!(viewer.head.starts_with("http/1.1 200"), "{}", viewer.head);
        assert!(viewer.next().is_some());
    }
}

#[test]
fn row_24_files_are_served_beside_streams_and_nothing_else_is() {
    let (folder, _server, _, http) = serve("files", "", "");
    folder.write("secret.txt", "secret");
    folder.write("html/player/index.html", "<p>player");
    folder.write("html/large.bin", &"x".repeat(300_000));
    std::os::unix::fs::symlink(folder.0.join("secret.txt"), folder.0.join("html/link.txt")).unwrap();
    let page = get(http, "/");
    assert_eq!(
        (page.text().as_str(), page.header("content-type")),
        ("<p>hello", Some("text/html; charset=utf-8"))
    );
    assert_eq!(get(http, "/player/").text(), "<p>player");
    assert_eq!(get(http, "/player").header("location"), Some("/player/"));
    let large = get(http, "/large.bin");
    assert_eq!((large.body.len(), large.header("content-length")), (300_000, Some("300000")));
    let head = request(http, "HEAD", "/large.bin", "");
    assert_eq!((head.body.len(), head.header("content-length")), (0, Some("300000")));
    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/player/..%2f..%2fsecret.txt",
        "/link.txt",
        "/none.flv",
        "/none",
    ] {
        let response = get(http, path);
        assert!(
            matches!(response.status, 400 | 404) && !response.text().contains("secret"),
            "{path}: {response:?}"
        );
    }
    assert_eq!(request(http, "POST", "/", "").status, 405);
}

#[test]
fn row_24_one_port_does_the_api_and_the_streams() {
    let (rtmp, http) = (free_port(), free_port());
    let text = format!(
        "listen 127.0.0.1:{rtmp}; max_connections 100; pid a.pid; srs_log_file a.log; srs_log_tank file;
         http_api {{ enabled on; listen 127.0.0.1:{http}; }} http_server {{ enabled on; listen 127.0.0.1:{http}; dir html; }}
         vhost __defaultVhost__ {{ http_remux {{ enabled on; }} }}"
    );
    let folder = Folder::new("one-port").file("a.conf", &text).file("html/index.html", "page");
    let _server = Server::start(&folder);
    assert_eq!(get(http, "/").text(), "page");
    let publisher = Client::publish(rtmp, &format!("rtmp://127.0.0.1:{rtmp}/live"), "show");
    publisher.wait_until_published();
    let mut viewer = Viewer::open(http, "/live/show.flv", "127.0.0.1");
    assert!(viewer.next().is_some());
    let kinds = || get(http, "/api/v1/clients/").text();
    wait_until("the viewer is in the API", || kinds().contains("\"type\":\"flv-play\"").then_some(()));
}

#[test]
fn row_24_ffmpeg_plays_http_flv() {
    let (_folder, _server, rtmp, http) = serve("flv-ffmpeg", "", "");
    let target = format!("rtmp://127.0.0.1:{rtmp}/live/show");
    let input =
        ["-re", "-f", "lavfi", "-i", "testsrc=size=160x120:rate=25", "-t", "20", "-c:v", "flv1", "-f", "flv"];
    let publisher =
        Command::new("ffmpeg").args(["-v", "error"]).args(input).arg(&target).stdin(Stdio::null()).spawn();
    // Not every machine that tests has ffmpeg. The player waits where it comes first.
    let Ok(mut publisher) = publisher else { return };
    let output = Command::new("ffmpeg")
        .args([
            "-v",
            "warning",
            "-xerror",
            "-i",
            &format!("http://127.0.0.1:{http}/live/show.flv"),
            "-frames:v",
            "20",
            "-f",
            "null",
            "-",
        ])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    let _ = publisher.kill();
    let _ = publisher.wait();
    assert!(output.status.success() && errors.is_empty(), "{errors}");
}
