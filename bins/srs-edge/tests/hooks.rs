//! Row 19 of the compatibility checklist: hooks that accept, refuse, and do not work.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic like tests")]

mod common;

use common::hook::{HookServer, Posted};
use common::rtmp::Client;
use common::{Folder, Server, free_port, wait_until};

/// A server whose vhost has these hooks.
fn serve(test: &str, hooks: &str) -> (Folder, Server, u16) {
    let rtmp = free_port();
    let text = format!(
        "listen 127.0.0.1:{rtmp}; max_connections 100; pid a.pid; server_id vid-mine; srs_log_tank file;
         srs_log_file a.log; vhost __defaultVhost__ {{ http_hooks {{ enabled on; {hooks} }} }}"
    );
    let folder = Folder::new(test).file("a.conf", &text);
    let server = Server::start(&folder);
    (folder, server, rtmp)
}

fn url(rtmp: u16) -> String {
    format!("rtmp://127.0.0.1:{rtmp}/live")
}

fn yes(_: &Posted) -> (u16, String) {
    (200, "0".into())
}

#[test]
fn row_19_hooks_hear_everything_in_order() {
    let web = HookServer::start(|posted| match posted.path.as_str() {
        "/object" => (201, "{\"code\":0}".into()),
        _ => (200, "0".into()),
    });
    let line = |name: &str| format!("{name} {} {};", web.url("/text"), web.url("/object"));
    let names = ["on_connect", "on_publish", "on_play", "on_close", "on_unpublish", "on_stop"];
    let (_folder, _server, rtmp) = serve("hooks", &names.map(line).join(" "));
    // Both URLs of a hook, in their order.
    let next = || {
        let (first, second) = (web.next(), web.next());
        assert_eq!((first.path.as_str(), second.path.as_str()), ("/text", "/object"));
        assert_eq!(first.body, second.body);
        assert!(first.head.starts_with("POST /text HTTP/1.1\r\n"), "{}", first.head);
        assert!(
            first.head.to_ascii_lowercase().contains("\r\ncontent-type: application/json\r\n"),
            "{}",
            first.head
        );
        first.json()
    };
    let publisher = Client::publish(rtmp, &url(rtmp), "show.flv?token=1");
    publisher.wait_until_published();
    let (connect, publish) = (next(), next());
    assert_eq!((&connect["action"], &publish["action"]), (&"on_connect".into(), &"on_publish".into()));
    assert_eq!((&publish["server_id"], &publish["ip"]), (&"vid-mine".into(), &"127.0.0.1".into()));
    assert_eq!((&publish["vhost"], &publish["app"]), (&"__defaultVhost__".into(), &"live".into()));
    assert_eq!((&publish["tcUrl"], &publish["stream"]), (&url(rtmp).into(), &"show.flv".into()));
    assert_eq!((&publish["param"], &publish["stream_url"]), (&"?token=1".into(), &"/live/show".into()));
    assert_eq!(publish["client_id"], connect["client_id"]);

    let player = Client::play(rtmp, &url(rtmp), "show");
    player.wait_for_picture();
    let (_, play) = (next(), next());
    assert_eq!(
        (&play["action"], &play["pageUrl"]),
        (&"on_play".into(), &"http://page.example.com/watch".into())
    );
    assert_eq!(play["stream_id"], publish["stream_id"]);

    drop(player);
    let (stop, close) = (next(), next());
    assert_eq!((&stop["action"], &stop["client_id"]), (&"on_stop".into(), &play["client_id"]));
    assert_eq!((&close["action"], &close["client_id"]), (&"on_close".into(), &play["client_id"]));
    assert!(
        close["send_bytes"].as_u64() > Some(3000) && close["recv_bytes"].as_u64() > Some(3000),
        "{close}"
    );
    drop(publisher);
    let (unpublish, close) = (next(), next());
    assert_eq!((&unpublish["action"], &close["action"]), (&"on_unpublish".into(), &"on_close".into()));
}

#[test]
fn row_19_every_kind_of_no_refuses() {
    let web = HookServer::start(|posted| match posted.path.as_str() {
        "/code" => (200, "{\"code\":1}".into()),
        "/text" => (200, "no".into()),
        "/empty" => (200, String::new()),
        "/forbidden" => (403, "0".into()),
        "/moved" => (302, "0".into()),
        _ => yes(posted),
    });
    for path in ["/code", "/text", "/empty", "/forbidden", "/moved"] {
        let hooks = format!("on_publish {} {} {};", web.url("/yes"), web.url(path), web.url("/never"));
        let (folder, _server, rtmp) = serve(&format!("no-{}", &path[1..]), &hooks);
        let publisher = Client::publish(rtmp, &url(rtmp), "show");
        assert_eq!(publisher.wait_for_refusal(), "NetStream.Publish.Denied", "{path}");
        publisher.wait_until_closed();
        assert_eq!((web.next().path.as_str(), web.next().path.as_str()), ("/yes", path));
        assert!(web.is_quiet(), "neither later URLs nor redirects are asked");
        wait_until("it is logged", || folder.read("a.log").contains("on_publish failed").then_some(()));
    }
    let (_folder, _server, rtmp) = serve("no-play", &format!("on_play {};", web.url("/code")));
    let publisher = Client::publish(rtmp, &url(rtmp), "show");
    publisher.wait_until_published();
    assert_eq!(Client::play(rtmp, &url(rtmp), "show").wait_for_refusal(), "NetStream.Play.Failed");
}

#[test]
fn row_19_a_hook_that_does_not_work_refuses_at_once_after_some_failures() {
    let dead = free_port();
    let (folder, _server, rtmp) = serve("dead", &format!("on_connect http://127.0.0.1:{dead}/x;"));
    for _ in 0..6 {
        Client::publish(rtmp, &url(rtmp), "show").wait_until_closed();
    }
    let log = wait_until("it is left alone", || {
        Some(folder.read("a.log")).filter(|log| log.matches("on_connect failed").count() == 6)
    });
    assert!(log.contains("Connection refused"), "{log}");
    assert_eq!(log.matches("is left alone for some seconds").count(), 2, "{log}");
}

#[test]
fn row_19_the_last_things_are_told_at_the_end_of_the_server() {
    let web = HookServer::start(yes);
    let hooks = format!("on_unpublish {};", web.url("/x"));
    let (_folder, server, rtmp) = serve("end", &format!("{hooks} }} extension {{ linger 3;"));
    let publisher = Client::publish(rtmp, &url(rtmp), "show");
    publisher.wait_until_published();
    drop(publisher);
    assert_eq!(web.next().json()["action"], "on_unpublish");
    assert_eq!(server.stop(nix::sys::signal::Signal::SIGTERM).code(), Some(0));
}
