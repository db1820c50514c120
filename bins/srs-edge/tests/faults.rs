//! What goes wrong on machines: descriptors, names, processes that stand still or die.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic like tests")]
#![allow(clippy::disallowed_methods, reason = "a running program lives in real time")]

mod common;

use std::time::{Duration, Instant};

use common::rtmp::Client;
use common::{Folder, Server, free_port};
use nix::sys::signal::Signal;

fn url(port: u16) -> String {
    format!("rtmp://127.0.0.1:{port}/live")
}

fn config(rtmp: u16, root: &str, vhost: &str) -> String {
    format!(
        "listen 127.0.0.1:{rtmp}; max_connections 20; pid a.pid; srs_log_file a.log; srs_log_tank file; {root}
         vhost __defaultVhost__ {{ {vhost} }}"
    )
}

fn edge(rtmp: u16, origins: &str) -> String {
    config(rtmp, "", &format!("cluster {{ mode remote; origin {origins}; }}"))
}

#[test]
fn a_name_that_is_not_known_costs_a_viewer_no_stream() {
    let (origin_at, edge_at) = (free_port(), free_port());
    let folder = Folder::new("names").file("a.conf", &config(origin_at, "", ""));
    let _origin = Server::start(&folder);
    // A label cannot be empty: no name server has to be asked to know that this leads nowhere.
    let origins = format!("nowhere..example:1935 127.0.0.1:{origin_at}");
    folder.write("b.conf", &edge(edge_at, &origins).replace("a.pid", "b.pid").replace("a.log", "b.log"));
    let _edge = Server::start_with(&folder, &["-c", "b.conf"], &[]);
    let publisher = Client::publish(origin_at, &url(origin_at), "show");
    publisher.wait_until_published();
    for _ in 0..2 {
        Client::play(edge_at, &url(edge_at), "show").wait_for_picture();
    }
}

#[test]
fn a_server_that_stood_still_goes_on_with_the_viewers_it_had() {
    let rtmp = free_port();
    // 3 s is more than the publisher may be silent.
    let vhost = "publish { normal_timeout 1000; }";
    let folder = Folder::new("freeze").file("a.conf", &config(rtmp, "", vhost));
    let server = Server::start(&folder);
    let begin = Instant::now();
    let publisher = Client::publish(rtmp, &url(rtmp), "show");
    publisher.wait_until_published();
    let viewers = [(); 3].map(|()| Client::play(rtmp, &url(rtmp), "show"));
    let mut last = [0; 3];
    for stop in [40, 2_000, 3_000] {
        for (viewer, last) in viewers.iter().zip(&mut last) {
            *last = viewer.wait_for_picture().timestamp.millis();
        }
        server.signal(Signal::SIGSTOP);
        std::thread::sleep(Duration::from_millis(stop));
        server.signal(Signal::SIGCONT);
        // All pictures behind the last one that was seen, up to half a second behind the standstill.
        let end = begin.elapsed().as_millis() + 500;
        for (viewer, last) in viewers.iter().zip(&mut last) {
            while u128::from(*last) < end {
                let time = viewer.wait_for_picture().timestamp.millis();
                assert_eq!(time - *last, 40, "after {stop} ms");
                *last = time;
            }
        }
    }
    assert_eq!(server.stop(Signal::SIGTERM).code(), Some(0));
}

#[test]
fn a_killed_server_serves_again_when_it_is_started_again() {
    let rtmp = free_port();
    let folder = Folder::new("killed").file("a.conf", &config(rtmp, "", ""));
    for _ in 0..2 {
        // The pid file of the dead one is still there.
        let server = Server::start(&folder);
        let publisher = Client::publish(rtmp, &url(rtmp), "show");
        publisher.wait_until_published();
        let viewer = Client::play(rtmp, &url(rtmp), "show");
        viewer.wait_for_picture();
        assert!(!server.stop(Signal::SIGKILL).success());
        viewer.wait_until_closed();
        assert!(!folder.read("a.pid").is_empty());
    }
}

#[test]
fn viewers_of_an_edge_outlive_their_killed_origin() {
    let (origin_at, edge_at) = (free_port(), free_port());
    let folder = Folder::new("origin-killed").file("a.conf", &config(origin_at, "", ""));
    let from_origin = edge(edge_at, &format!("127.0.0.1:{origin_at}"));
    folder.write("b.conf", &from_origin.replace("a.pid", "b.pid").replace("a.log", "b.log"));
    let edge = Server::start_with(&folder, &["-c", "b.conf"], &[]);
    let mut viewer = None;
    for _ in 0..2 {
        let origin = Server::start(&folder);
        let publisher = Client::publish(origin_at, &url(origin_at), "show");
        publisher.wait_until_published();
        let viewer = viewer.get_or_insert_with(|| Client::play(edge_at, &url(edge_at), "show"));
        // Pictures that were on their way do not count: those of the new origin go on from there.
        let start = viewer.wait_for_picture().timestamp.millis();
        while viewer.wait_for_picture().timestamp.millis() < start + 1_000 {}
        assert!(!origin.stop(Signal::SIGKILL).success());
    }
    drop(viewer);
    assert_eq!(edge.stop(Signal::SIGTERM).code(), Some(0));
    let log = folder.read("b.log");
    let warnings: Vec<_> = log.lines().filter(|line| line.contains("[WARN]")).collect();
    let says = |words: &str| warnings.iter().any(|line| line.contains(words));
    assert!(says(" failed, url="), "{log}");
    assert!(!says(" ended, url="), "a failure is told once: {log}");
}
