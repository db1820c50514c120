//! The configurations of the tutorial, access rules, and reloads while streams run (rows 18 and 22).
#![allow(clippy::unwrap_used, reason = "helpers of tests panic like tests")]

mod common;

use std::path::Path;

use common::rtmp::{Client, Picture, accept_connect};
use common::{Folder, Server, free_port, get, open, wait_until};
use nix::sys::signal::Signal;
use rtmp_core::amf::amf0::Value;

fn url(rtmp: u16) -> String {
    format!("rtmp://127.0.0.1:{rtmp}/live")
}

/// The files as they are; only addresses of this test are put into the environment.
fn tutorial(file: &str, listen: u16, more: &[(&str, &str)]) -> (Folder, Server) {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf").join(file)).unwrap();
    let folder = Folder::new(file).file(file, &text);
    let listen = format!("127.0.0.1:{listen}");
    let mut variables = vec![("SRS_LISTEN", listen.as_str()), ("SRS_MAX_CONNECTIONS", "100")];
    variables.extend(more);
    let server = Server::start_with(&folder, &["-c", file], &variables);
    (folder, server)
}

#[test]
fn the_tutorials_origin_and_edge_relay_both_ways() {
    let (origin_at, edge_at) = (free_port(), free_port());
    let (_origin_folder, _origin) = tutorial("rtmp.conf", origin_at, &[]);
    // Nobody is at the first origin.
    let origins = format!("127.0.0.1:{} 127.0.0.1:{origin_at}", free_port());
    let (folder, _edge) = tutorial("edge.conf", edge_at, &[("SRS_VHOST_CLUSTER_ORIGIN", &origins)]);
    let at_origin = Client::publish(origin_at, &url(origin_at), "livestream");
    at_origin.wait_until_published();
    Client::play(edge_at, &url(edge_at), "livestream").wait_for_picture();
    assert!(folder.read("objs/edge.log").contains("start play"), "the folder of the log is made");

    let at_edge = Client::publish(edge_at, &url(edge_at), "from_edge");
    at_edge.wait_until_published();
    Client::play(origin_at, &url(origin_at), "from_edge").wait_for_picture();
    Client::play(edge_at, &url(edge_at), "from_edge").wait_for_picture();
}

#[test]
fn origins_are_told_who_pulls() {
    let origin = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (rtmp, port) = (free_port(), origin.local_addr().unwrap().port());
    for (more, told) in [("", true), ("debug_srs_upnode off;", false)] {
        let cluster = format!("cluster {{ mode remote; origin 127.0.0.1:{port}; {more} }}");
        let folder = Folder::new("upnode").file("a.conf", &config(rtmp, "server_id vid-mine;", &cluster));
        let server = Server::start(&folder);
        let _viewer = Client::play(rtmp, &url(rtmp), "show");
        let connect = accept_connect(origin.accept().unwrap().0);
        let Some(values) = connect.arguments.first().and_then(Value::as_object) else {
            assert!(!told, "{connect:?}");
            continue;
        };
        assert!(told, "{connect:?}");
        assert_eq!(values.get("srs_id").and_then(Value::as_str), Some("vid-mine"));
        assert_eq!(values.get("srs_pid").and_then(Value::as_number), Some(server.child.id().into()));
        assert_eq!(values.get("srs_version").and_then(Value::as_str), Some(env!("CARGO_PKG_VERSION")));
        assert!(values.get("srs_server_ip").is_some());
    }
}

#[test]
fn media_above_the_limit_is_let_go_and_told() {
    let rtmp = free_port();
    let folder = Folder::new("media").file("a.conf", &config(rtmp, "extension { media_max_bytes 1m; }", ""));
    let _server = Server::start(&folder);
    let (publisher, hand) = Client::publish_by_hand(rtmp, &url(rtmp), "show");
    publisher.wait_until_published();
    let player = Client::play(rtmp, &url(rtmp), "show");
    player.wait_until_playing();
    // A GOP of 5 MB; a viewer that was behind when it was let go has the next key frame.
    for number in 0..100 {
        hand.send(Picture { number, is_key: number % 99 == 0, length: 50_000 }).unwrap();
    }
    while Picture::of(&player.wait_for_picture()).number < 99 {}
    wait_until("it is told", || {
        folder.read("a.log").contains("extension.media_max_bytes is reached: ").then_some(())
    });
}

fn config(rtmp: u16, root: &str, vhost: &str) -> String {
    format!(
        "listen 127.0.0.1:{rtmp}; max_connections 100; pid a.pid; srs_log_file a.log; srs_log_tank file; {root}
         vhost __defaultVhost__ {{ {vhost} }}"
    )
}

#[test]
fn row_18_security_and_refer() {
    let rtmp = free_port();
    let deny = "security { enabled on; allow play all; deny publish 127.0.0.0/8; }";
    let folder = Folder::new("security").file("a.conf", &config(rtmp, "", deny));
    let server = Server::start(&folder);
    assert_eq!(Client::publish(rtmp, &url(rtmp), "show").wait_for_refusal(), "NetStream.Publish.Denied");
    wait_until("the log says why", || {
        folder
            .read("a.log")
            .contains("client refused: not allowed from this address (code 1054), ip=127.0.0.1\n")
            .then_some(())
    });
    drop(server);

    let refer = "refer { enabled on; publish example.com; play example.org; }";
    folder.write("a.conf", &config(rtmp, "", refer));
    let _server = Server::start(&folder);
    let publisher = Client::publish(rtmp, &url(rtmp), "show");
    publisher.wait_until_published();
    assert_eq!(Client::play(rtmp, &url(rtmp), "show").wait_for_refusal(), "NetStream.Play.Failed");
}

#[test]
fn row_22_a_reload_changes_rules_listeners_and_the_log_while_streams_run() {
    let (old, new) = (free_port(), free_port());
    let folder = Folder::new("reload").file("a.conf", &config(old, "", ""));
    let server = Server::start(&folder);
    let publisher = Client::publish(old, &url(old), "show");
    publisher.wait_until_published();
    let player = Client::play(old, &url(old), "show");
    player.wait_for_picture();

    let log = "srs_log_level_v2 debug;";
    let text = config(new, log, "security { enabled on; allow play all; } play { gop_cache off; }");
    folder.write("a.conf", &text.replace("a.log", "b.log"));
    server.signal(Signal::SIGHUP);
    wait_until("the reload is done", || {
        folder.read("b.log").contains("configuration reloaded").then_some(())
    });
    assert!(
        folder.read("a.log").contains("reload: vhost __defaultVhost__: play.gop_cache: on -> off, at once")
    );
    assert!(std::net::TcpStream::connect(("127.0.0.1", old)).is_err(), "the old port is closed");
    // Who is there stays, and the new rule is for others.
    player.wait_for_picture();
    Client::play(new, &url(new), "show").wait_for_picture();
    assert_eq!(Client::publish(new, &url(new), "other").wait_for_refusal(), "NetStream.Publish.Denied");
}

#[test]
fn row_22_what_needs_a_restart_is_a_warning() {
    let (rtmp, http, other) = (free_port(), free_port(), free_port());
    let api = |port| config(rtmp, &format!("http_api {{ enabled on; listen 127.0.0.1:{port}; }}"), "");
    let folder = Folder::new("restart").file("a.conf", &api(http));
    let server = Server::start(&folder);
    folder.write("a.conf", &api(other));
    server.signal(Signal::SIGHUP);
    let log = wait_until("the reload is done", || {
        Some(folder.read("a.log")).filter(|log| log.contains("configuration reloaded"))
    });
    let line = log.lines().find(|line| line.contains("http_api.listen")).unwrap();
    assert!(line.contains("[WARN]") && line.ends_with("needs a restart"), "{line}");
}

#[test]
fn who_is_not_understood_is_logged_with_name_and_address() {
    let rtmp = free_port();
    let text = config(rtmp, "", "").replace("__defaultVhost__", "a.example.com");
    let folder = Folder::new("strangers").file("a.conf", &text);
    let _server = Server::start(&folder);
    let unknown = Client::play(rtmp, "rtmp://b.example.com/live", "show");
    assert_eq!(unknown.wait_for_refusal(), "NetConnection.Connect.Rejected");
    let mut stranger = open(rtmp);
    std::io::Write::write_all(&mut stranger, &[b'!'; 1537]).unwrap();
    assert_eq!(std::io::Read::read(&mut stranger, &mut [0; 1]).unwrap_or_default(), 0, "closed");
    for (begin, end) in [
        ("client refused: vhost b.example.com", "(code 2014), ip=127.0.0.1"),
        ("client finished: ", ", ip=127.0.0.1, send_bytes="),
    ] {
        let line = wait_until(begin, || {
            let log = folder.read("a.log");
            log.lines().find(|line| line.contains(begin) && line.contains(end)).map(str::to_owned)
        });
        let cid = line.split(['[', ']']).nth(7).unwrap();
        assert_eq!(cid.len(), 8, "{line}");
    }
}

#[test]
fn a_publisher_that_leaves_is_no_warning() {
    let (origin, edge) = (free_port(), free_port());
    let folder = Folder::new("leaves").file("a.conf", &config(origin, "", ""));
    let _origin = Server::start(&folder);
    let remote = format!("cluster {{ mode remote; origin 127.0.0.1:{origin}; }}");
    let front = Folder::new("leaves-edge").file("a.conf", &config(edge, "", &remote));
    let _edge = Server::start(&front);
    let publisher = Client::publish(edge, &url(edge), "show");
    publisher.wait_until_published();
    drop(publisher);
    let log = wait_until("the push ends", || {
        Some(front.read("a.log")).filter(|log| log.contains(": the publisher has left"))
    });
    assert!(!log.contains("[WARN]"), "{log}");
}

#[test]
fn row_22_a_bad_configuration_changes_nothing() {
    let (rtmp, http, busy) = (free_port(), free_port(), std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let api = format!("http_api {{ enabled on; listen 127.0.0.1:{http}; }}");
    let folder = Folder::new("bad").file("a.conf", &config(rtmp, &api, ""));
    let server = Server::start(&folder);
    let publisher = Client::publish(rtmp, &url(rtmp), "show");
    publisher.wait_until_published();
    let busy = busy.local_addr().unwrap().port();
    for (number, bad, reason) in [
        (1, config(rtmp, "nonsense on;", ""), "unknown directive nonsense".to_owned()),
        (2, config(rtmp, &api, "cluster { mode remote; origin a; }"), "vhost mode changed".to_owned()),
        (3, config(busy, &api, "security { enabled on; }"), format!("cannot listen on 127.0.0.1:{busy}")),
    ] {
        folder.write("a.conf", &bad);
        server.signal(Signal::SIGHUP);
        let log = wait_until("the reload is refused", || {
            let log = folder.read("a.log");
            (log.matches("the configuration stays as it was").count() == number).then_some(log)
        });
        assert!(log.contains(&reason), "{log}");
    }
    Client::play(rtmp, &url(rtmp), "show").wait_for_picture();
    assert_eq!(get(http, "/api/v1/versions").status, 200);
}

#[test]
fn row_22_a_watched_configuration_reloads_by_itself() {
    let rtmp = free_port();
    let folder =
        Folder::new("watch").file("a.conf", &config(rtmp, "include b.conf; inotify_auto_reload on;", ""));
    folder.write("b.conf", "pithy_print_ms 1000;");
    let _server = Server::start(&folder);
    folder.write("b.conf", "pithy_print_ms 200;");
    wait_until("it is reloaded", || {
        folder.read("a.log").contains("pithy_print_ms: 1000 -> 200").then_some(())
    });
}

#[test]
fn the_working_folder_does_not_change_what_paths_of_the_configuration_mean() {
    let rtmp = free_port();
    let text = config(rtmp, "work_dir ./work; include parts/b.conf;", "");
    let folder = Folder::new("work-dir").file("a.conf", &text).file("parts/b.conf", "pithy_print_ms 1000;");
    std::fs::create_dir(folder.0.join("work")).unwrap();
    let server = Server::start(&folder);
    assert_eq!(folder.read("work/a.pid"), server.child.id().to_string());
    folder.write("parts/b.conf", "pithy_print_ms 2000;");
    server.signal(Signal::SIGHUP);
    wait_until("it is reloaded", || folder.read("work/a.log").contains("1000 -> 2000").then_some(()));
    assert_eq!(server.stop(Signal::SIGTERM).code(), Some(0));
}

#[test]
fn lines_with_statistics_are_written() {
    let (origin, edge, copy) = (free_port(), free_port(), free_port());
    let start = |name: &str, rtmp, vhost: &str| {
        let folder = Folder::new(name).file("a.conf", &config(rtmp, "pithy_print_ms 100;", vhost));
        let server = Server::start(&folder);
        (folder, server)
    };
    let (_copy_folder, _copy) = start("pithy-copy", copy, "");
    let forward = format!("forward {{ enabled on; destination 127.0.0.1:{copy}; }}");
    let (origin_folder, _origin) = start("pithy-origin", origin, &forward);
    let cluster = format!("cluster {{ mode remote; origin 127.0.0.1:{origin}; }}");
    let (edge_folder, _edge) = start("pithy-edge", edge, &cluster);
    let publisher = Client::publish(edge, &url(edge), "show");
    publisher.wait_until_published();
    let player = Client::play(edge, &url(edge), "show");
    player.wait_for_picture();
    let to = |port: u16| format!("to=127.0.0.1:{port}, url=__defaultVhost__/live/show");
    for (folder, begin, middle, end) in [
        (&edge_folder, "-> PLA time=", ", msgs=", "mw=350/8"),
        (&edge_folder, "<- CPB time=", ", okbps=", "mr=0/350, p1stpt=20000, pnt=5000"),
        (&edge_folder, "<- EPB time=", ", msgs=", &to(origin)),
        (&origin_folder, "<- FWR time=", ", msgs=", &to(copy)),
    ] {
        wait_until(begin, || {
            let log = folder.read("a.log");
            let is_it = |line: &str| line.contains(begin) && line.contains(middle) && line.ends_with(end);
            log.lines().any(is_it).then_some(())
        });
    }
}
