//! The two configurations of the tutorial, and what each of their directives does. They run as they are but for
//! addresses: a test takes a free port, and origins on this machine.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic like tests")]
#![allow(clippy::disallowed_methods, reason = "a running program lives in real time")]

mod common;

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use common::rtmp::{Client, Picture};
use common::{Folder, PATIENCE, Server, free_port, open, open_from, program, wait_until};
use nix::sys::signal::Signal;

const FILES: [&str; 2] = ["edge.conf", "rtmp.conf"];
const URL: &str = "rtmp://any.name/live";
/// `max_connections` of both files.
const CONNECTIONS: usize = 1000;

/// Each directive of the two files, and the test that shows what it does.
const SHOWN: [(&str, fn()); 15] = [
    ("listen", listen_is_where_clients_connect),
    ("max_connections", so_many_connections_and_no_more),
    ("srs_log_tank", the_log_is_written_to_its_file_and_not_to_the_console),
    ("srs_log_file", the_log_is_written_to_its_file_and_not_to_the_console),
    ("vhost", the_default_vhost_serves_every_name),
    ("vhost.cluster", an_edge_pulls_what_is_watched_and_sends_on_what_is_published),
    ("vhost.cluster.mode", an_edge_pulls_what_is_watched_and_sends_on_what_is_published),
    (
        "vhost.cluster.origin",
        the_second_origin_serves_when_the_first_one_fails_and_the_first_when_the_second_does,
    ),
    ("vhost.tcp_nodelay", sockets_of_viewers_send_small_writes_at_once),
    ("vhost.min_latency", a_picture_does_not_wait_for_the_next_one),
    ("vhost.play", a_viewer_begins_where_the_stream_is_without_a_gop_cache),
    ("vhost.play.gop_cache", a_viewer_begins_where_the_stream_is_without_a_gop_cache),
    ("vhost.play.queue_length", a_viewer_ten_seconds_behind_goes_on_at_a_later_key_frame),
    ("vhost.publish", merged_read_is_off),
    ("vhost.publish.mr", merged_read_is_off),
];

#[test]
fn the_effect_of_every_directive_is_shown() {
    let written: BTreeSet<String> = FILES.into_iter().flat_map(|file| directives(&text(file))).collect();
    let shown = SHOWN.into_iter().map(|(directive, _)| directive.to_owned()).collect();
    assert_eq!(written, shown);
}

#[test]
fn the_files_are_right_as_they_are() {
    for file in FILES {
        let folder = Folder::new(&format!("tutorial-{file}")).file(file, &text(file));
        let output = program(&folder.0).args(["-t", "-c", file]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(!said.contains("warning"), "{said}");
    }
}

#[test]
fn listen_is_where_clients_connect() {
    for file in FILES {
        let here = Place::start(file, &[]);
        // On every address of the machine.
        for host in ["127.0.0.1", "127.0.0.2"] {
            let mut socket = TcpStream::connect((host, here.port)).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            assert!(shakes_hands(&mut socket), "{file} at {host}");
        }
    }
}

#[test]
fn so_many_connections_and_no_more() {
    for file in FILES {
        let here = Place::start(file, &[]);
        // Who says nothing is disconnected after five seconds: on a machine that is too slow the first ones are gone
        // before the last ones come, and everything begins again.
        let mut taken = wait_until("all places are taken", || {
            // One address has 64 places at most.
            let from = |number: usize| open_from(2 + (number / 60) as u8, here.port, |_| {});
            let all: Vec<TcpStream> = (0..CONNECTIONS).map(from).collect();
            let mut one_more = from(CONNECTIONS);
            let is_closed = matches!(one_more.read(&mut [0]), Ok(0));
            (is_closed && all.iter().all(is_open)).then_some(all)
        });
        let line = wait_until("the log says why", || {
            let log = here.log();
            log.lines().find(|line| line.contains("turned away")).map(str::to_owned)
        });
        assert!(line.ends_with("turned away: 1000 connections are open, see max_connections"), "{line}");
        drop(taken.pop());
        wait_until("there is a place again", || shakes_hands(&mut open(here.port)).then_some(()));
    }
}

#[test]
fn the_log_is_written_to_its_file_and_not_to_the_console() {
    for (file, log) in [("edge.conf", "objs/edge.log"), ("rtmp.conf", "objs/srs.log")] {
        let folder = Folder::new(&format!("tutorial-log-{file}"));
        folder.write(file, &text(file).replace("1935;", &format!("{};", free_port())));
        let mut command = program(&folder.0);
        command.args(["-c", file]).stdout(Stdio::piped()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        wait_until("the folder is made, and the log is in it", || {
            folder.read(log).contains("rtmp on 0.0.0.0:").then_some(())
        });
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM)
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stdout), (Some(0), Vec::new()));
        assert!(folder.read(log).ends_with("srs-edge is done\n"));
    }
}

#[test]
fn the_default_vhost_serves_every_name() {
    let (origin, edge) = pair();
    let publisher = Client::publish(origin.port, "rtmp://first.example/live", "show");
    publisher.wait_until_published();
    for here in [&origin, &edge] {
        for url in ["rtmp://second.example/live", "rtmp://127.0.0.1/live?vhost=third.example"] {
            Client::play(here.port, url, "show").wait_for_picture();
        }
    }
}

#[test]
fn an_edge_pulls_what_is_watched_and_sends_on_what_is_published() {
    let (origin, edge) = pair();
    let publisher = Client::publish(origin.port, URL, "show");
    publisher.wait_until_published();
    let publisher_at_edge = Client::publish(edge.port, URL, "from_edge");
    publisher_at_edge.wait_until_published();
    let asks = |log: &str| log.contains("edge-pull connecting to");
    assert!(!asks(&edge.log()), "nobody watches");
    Client::play(edge.port, URL, "show").wait_for_picture();
    assert!(asks(&edge.log()));
    Client::play(origin.port, URL, "from_edge").wait_for_picture();
    // What is no edge does nothing of the kind.
    assert!(!origin.log().contains("connecting to"), "{}", origin.log());
}

#[test]
fn the_second_origin_serves_when_the_first_one_fails_and_the_first_when_the_second_does() {
    let (port, second) = (free_port(), Place::start("rtmp.conf", &[]));
    let edge = edge_of(&[port, second.port]);
    let published = |port, marker: u32| {
        let (publisher, hand) = Client::publish_by_hand(port, URL, "show");
        publisher.wait_until_published();
        (publisher, move |count: u32| {
            let picture = Picture { number: marker + count, is_key: true, length: 10 };
            hand.send(picture).unwrap();
        })
    };
    let viewer = Client::play(edge.port, URL, "show");
    let seen_from = |marker: u32, show: &dyn Fn(u32)| {
        for count in 0.. {
            // Publishers go on: a viewer may come after a picture.
            show(count);
            let picture = viewer.next_picture(Duration::from_millis(40));
            if picture.is_some_and(|picture| picture.number >= marker) {
                return;
            }
            assert!(count < 2000, "no picture of {marker}");
        }
    };
    let (_publisher, show) = published(second.port, 10_000);
    seen_from(10_000, &show);

    let _first = Place::start_at("rtmp.conf", port, &[]);
    let (_publisher, show) = published(port, 20_000);
    drop(second);
    seen_from(20_000, &show);
    assert!(edge.log().contains(&format!("edge-pull connecting to 127.0.0.1:{port}")));
}

#[test]
fn sockets_of_viewers_send_small_writes_at_once() {
    let (origin, edge) = pair();
    let publisher = Client::publish(origin.port, URL, "show");
    publisher.wait_until_published();
    // Off where the file does not say it.
    for (here, expected) in [(&edge, true), (&origin, false)] {
        let viewer = Client::play(here.port, URL, "show");
        viewer.wait_for_picture();
        match nodelay(&here.server, viewer.addr) {
            Ok(on) => assert_eq!(on, expected),
            // A sandbox may keep processes from looking into their children.
            Err(error) => eprintln!("not seen: {error}"),
        }
    }
}

#[test]
fn a_picture_does_not_wait_for_the_next_one() {
    const PICTURES: u32 = 10;
    let (origin, edge) = pair();
    let one_by_one = |port, stream: &str| {
        let (publisher, hand) = Client::publish_by_hand(port, URL, stream);
        publisher.wait_until_published();
        let viewer = Client::play(port, URL, stream);
        let first = begin(&hand, &[&viewer]);
        let start = Instant::now();
        for number in first..first + PICTURES {
            hand.send(Picture { number, is_key: true, length: 10 }).unwrap();
            assert_eq!(Picture::of(&viewer.wait_for_picture()).number, number);
        }
        start.elapsed()
    };
    // Elsewhere each waits for others until the 350 ms of a merged write are over.
    let merged = Duration::from_millis(350) * PICTURES / 2;
    assert!(one_by_one(origin.port, "show") > merged);
    let mut streams = 0;
    wait_until("pictures come at once", || {
        streams += 1;
        (one_by_one(edge.port, &format!("show{streams}")) < merged).then_some(())
    });
}

#[test]
fn a_viewer_begins_where_the_stream_is_without_a_gop_cache() {
    let (origin, edge) = pair();
    for (here, is_key) in [(&edge, false), (&origin, true)] {
        // The edge sends its stream to the origin, too.
        let stream = here.file;
        let (publisher, hand) = Client::publish_by_hand(here.port, URL, stream);
        publisher.wait_until_published();
        let first = Client::play(here.port, URL, stream);
        let gop = begin(&hand, &[&first]);
        let show = |number| hand.send(Picture { number, is_key: number == gop, length: 10 }).unwrap();
        (gop..gop + 4).for_each(show);
        while Picture::of(&first.wait_for_picture()).number < gop + 3 {}
        let second = Client::play(here.port, URL, stream);
        second.wait_until_playing();
        let later = (gop + 4..gop + 500).find_map(|number| {
            show(number);
            second.next_picture(Duration::from_millis(100))
        });
        let picture = later.unwrap();
        assert_eq!((picture.is_key, picture.number == gop), (is_key, is_key), "{}: {picture:?}", here.file);
    }
}

#[test]
fn a_viewer_ten_seconds_behind_goes_on_at_a_later_key_frame() {
    // 1.25 MB a second, a key frame every second. What the sockets take in is not in the queue.
    const LENGTH: usize = 50_000;
    let (_origin, edge) = pair();
    for (seconds, stays) in [(9, true), (22, false)] {
        let stream = format!("show{seconds}");
        let (publisher, hand) = Client::publish_by_hand(edge.port, URL, &stream);
        publisher.wait_until_published();
        let small = |socket: &std::os::fd::OwnedFd| {
            rustix::net::sockopt::set_socket_recv_buffer_size(socket, 32 << 10).unwrap();
        };
        let slow = Client::play_on(open_from(9, edge.port, small), URL, &stream);
        let other = Client::play(edge.port, URL, &stream);
        let first = begin(&hand, &[&slow, &other]);
        slow.stall(true);
        let last = first + seconds * 25;
        for number in first..=last {
            hand.send(Picture { number, is_key: (number - first).is_multiple_of(25), length: LENGTH })
                .unwrap();
        }
        while Picture::of(&other.wait_for_picture()).number < last {}
        slow.stall(false);
        let mut expected = first;
        while expected <= last {
            let picture = Picture::of(&slow.wait_for_picture());
            if picture.number != expected {
                assert!(!stays, "{picture:?} instead of {expected}");
                // More than ten seconds were queued, up to the end of the GOP that it goes on with.
                assert!(picture.is_key && picture.number > expected + 225, "{picture:?} after {expected}");
            }
            expected = picture.number + 1;
        }
        let log = edge.log();
        let line = log.lines().find(|line| line.contains("too slow and goes on at a later key frame"));
        assert_eq!(line.is_none(), stays, "{line:?}");
    }
}

#[test]
fn merged_read_is_off() {
    let (_origin, edge) = pair();
    let publisher = Client::publish(edge.port, URL, "show");
    publisher.wait_until_published();
    // Statistics are written every ten seconds.
    let line = wait_until("the line about the publisher", || {
        edge.log().lines().find(|line| line.contains("<- CPB")).map(str::to_owned)
    });
    assert!(line.contains("mr=0/350"), "{line}");
}

/// A server that runs one of the files.
struct Place {
    file: &'static str,
    port: u16,
    server: Server,
    folder: Folder,
}

impl Place {
    fn start(file: &'static str, addresses: &[(&str, &str)]) -> Self {
        Self::start_at(file, free_port(), addresses)
    }

    /// Starts a server on `port`, with other addresses instead of those in the file.
    fn start_at(file: &'static str, port: u16, addresses: &[(&str, &str)]) -> Self {
        let folder = Folder::new(&format!("tutorial-{port}"));
        let listen = format!("{port};");
        // The first thing that looks like the port is that of `listen`.
        let mut text = text(file).replacen("1935;", &listen, 1);
        for (from, to) in addresses {
            assert!(text.contains(from), "no {from} in {file}");
            text = text.replacen(from, to, 1);
        }
        folder.write(file, &text);
        let server = Server::start_with(&folder, &["-c", file], &[]);
        Self { file, port, server, folder }
    }

    fn log(&self) -> String {
        self.folder.read(if self.file == "edge.conf" { "objs/edge.log" } else { "objs/srs.log" })
    }
}

/// Publishes key pictures until all viewers are there; returns the number of the next picture.
fn begin(hand: &Sender<Picture>, viewers: &[&Client]) -> u32 {
    let mut number = 0;
    let mut show = || {
        hand.send(Picture { number, is_key: true, length: 10 }).unwrap();
        number += 1;
        number
    };
    for viewer in viewers {
        wait_until("the viewer sees something", || {
            show();
            viewer.next_picture(Duration::from_millis(40))
        });
    }
    let next = show();
    for viewer in viewers {
        while Picture::of(&viewer.wait_for_picture()).number + 1 < next {}
    }
    next
}

/// The tutorial's origin, and its edge, whose first origin is not there.
fn pair() -> (Place, Place) {
    let origin = Place::start("rtmp.conf", &[]);
    let edge = edge_of(&[free_port(), origin.port]);
    (origin, edge)
}

fn edge_of(origins: &[u16; 2]) -> Place {
    let [first, second] = origins.map(|port| format!("127.0.0.1:{port}"));
    Place::start("edge.conf", &[("192.168.1.100:1935", &first), ("192.168.1.200:1935", &second)])
}

fn text(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf").join(file)).unwrap()
}

/// The names of all directives, with those of the blocks around them; read without the help of what is tested.
fn directives(text: &str) -> Vec<String> {
    let code = text.lines().map(|line| line.split('#').next().unwrap()).collect::<Vec<_>>().join(" ");
    let code = code.replace(';', " ; ").replace('{', " { ").replace('}', " } ");
    let (mut found, mut around, mut name) = (Vec::new(), Vec::new(), None);
    for word in code.split_whitespace() {
        match word {
            ";" => name = None,
            "{" => around.push(name.take().unwrap()),
            "}" => drop(around.pop()),
            _ if name.is_none() => {
                name = Some(word);
                found.push([around.as_slice(), &[word]].concat().join("."));
            }
            _ => {}
        }
    }
    found
}

/// Whether the other side is still there and has said nothing.
fn is_open(socket: &TcpStream) -> bool {
    socket.set_nonblocking(true).unwrap();
    matches!(socket.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// Whether there is somebody who speaks RTMP.
fn shakes_hands(socket: &mut TcpStream) -> bool {
    let mut hello = [0; 1537];
    hello[0] = 3;
    let mut answer = [0; 1537];
    socket.write_all(&hello).is_ok() && socket.read_exact(&mut answer).is_ok() && answer[0] == 3
}

/// `TCP_NODELAY` at the server's end of the connection of a client.
fn nodelay(server: &Server, client: SocketAddr) -> rustix::io::Result<bool> {
    use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
    let process = pidfd_open(Pid::from_child(&server.child), PidfdFlags::empty())?;
    let numbers = std::fs::read_dir(format!("/proc/{}/fd", server.child.id())).unwrap();
    for number in numbers {
        let number = number.unwrap().file_name().to_str().unwrap().parse().unwrap();
        let file = match pidfd_getfd(&process, number, PidfdGetfdFlags::empty()) {
            Ok(file) => file,
            // It was closed meanwhile.
            Err(rustix::io::Errno::BADF) => continue,
            Err(error) => return Err(error),
        };
        let peer = rustix::net::getpeername(&file).ok().flatten();
        if peer.and_then(|peer| SocketAddr::try_from(peer).ok()) == Some(client) {
            return rustix::net::sockopt::tcp_nodelay(&file);
        }
    }
    panic!("no connection of {client}");
}
