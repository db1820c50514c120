//! Row 25 of the compatibility checklist: log, pid file, signals, exit codes; and the background.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic like tests")]

mod common;

use std::process::{Command, Stdio};

use common::rtmp::Client;
use common::{Folder, PATIENCE, Server, free_port, get, program, wait_until};
use nix::sys::signal::Signal;

/// A server that stops without long waits.
fn config(rtmp: u16, more: &str) -> String {
    format!(
        "listen 127.0.0.1:{rtmp}; max_connections 100; pid objs/a.pid; srs_log_tank file; srs_log_file objs/a.log;
         grace_start_wait 1; grace_final_wait 1; {more} vhost __defaultVhost__ {{ }}"
    )
}

#[test]
fn row_25_log_pid_and_fast_stop() {
    let port = free_port();
    let folder = Folder::new("log").file("a.conf", &config(port, "utc_time on;"));
    let server = Server::start(&folder);
    let pid = server.child.id().to_string();
    assert_eq!(folder.read("objs/a.pid"), pid);
    let id = folder.read("objs/a.id");
    assert!(id.starts_with("vid-") && id.len() == 11, "{id}");
    let publisher = Client::publish(port, &format!("rtmp://127.0.0.1:{port}/live"), "show?token=1");
    publisher.wait_until_published();
    let line = wait_until("the publisher is in the log", || {
        folder.read("objs/a.log").lines().find(|line| line.contains("start publish")).map(str::to_owned)
    });
    // [2026-02-26 10:20:30.123][INFO][pid][cid] text
    let parts: Vec<&str> = line.split(['[', ']']).filter(|part| !part.is_empty()).collect();
    assert_eq!((parts[0].len(), parts[1], parts[2], parts[3].len()), (23, "INFO", pid.as_str(), 8), "{line}");
    assert_eq!(parts[4], " start publish, url=/live/show");
    let identified =
        format!("[{}] client identified, type=fmle-publish, vhost=__defaultVhost__, app=live", parts[3]);
    assert!(folder.read("objs/a.log").contains(&identified), "{}", folder.read("objs/a.log"));
    assert_eq!(server.stop(Signal::SIGTERM).code(), Some(0));
    publisher.wait_until_closed();
    assert_eq!(folder.read("objs/a.pid"), "", "the pid file is removed");
    assert!(folder.read("objs/a.log").ends_with("srs-edge is done\n"));
}

#[test]
fn row_25_usr1_opens_the_log_again_and_a_lost_folder_stops_nothing() {
    let port = free_port();
    let folder = Folder::new("usr1").file("a.conf", &config(port, ""));
    let server = Server::start(&folder);
    wait_until("the log is written", || folder.read("objs/a.log").contains("rtmp on").then_some(()));
    std::fs::rename(folder.0.join("objs"), folder.0.join("old")).unwrap();
    server.signal(Signal::SIGUSR2);
    server.signal(Signal::SIGUSR1);
    wait_until("the log is there again", || folder.read("objs/a.log").contains("opened again").then_some(()));
    assert!(!folder.read("old/a.log").contains("opened again"));
    assert_eq!(server.stop(Signal::SIGINT).code(), Some(0));
    // The pid file was moved away, too; it is not ours to remove there.
    assert!(folder.0.join("old/a.pid").exists());
}

#[test]
fn row_25_quit_waits_for_clients_and_a_second_one_does_not() {
    let port = free_port();
    let folder = Folder::new("quit");
    for (patient, signal) in
        [(true, Signal::SIGQUIT), (true, Signal::SIGTERM), (false, Signal::SIGQUIT), (false, Signal::SIGTERM)]
    {
        // TERM does so only where the configuration wants it.
        let more = if signal == Signal::SIGTERM { "force_grace_quit on;" } else { "" };
        folder.write("a.conf", &config(port, more));
        let server = Server::start(&folder);
        let url = format!("rtmp://127.0.0.1:{port}/live");
        let publisher = Client::publish(port, &url, "show");
        publisher.wait_until_published();
        server.signal(signal);
        wait_until("listeners are closed", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_err().then_some(())
        });
        if patient {
            // The publisher is still served; when it leaves, the server does.
            drop(publisher);
            assert_eq!(server.wait().code(), Some(0));
        } else {
            assert_eq!(server.stop(signal).code(), Some(0));
            publisher.wait_until_closed();
            assert!(folder.read("objs/a.log").contains("cut short"));
        }
    }
}

#[test]
fn row_25_a_busy_port_and_a_locked_pid_file_are_named() {
    let (rtmp, http) = (free_port(), free_port());
    let api = format!("http_api {{ enabled on; listen 127.0.0.1:{http}; }}");
    let folder = Folder::new("busy").file("a.conf", &config(rtmp, &api));
    let server = Server::start(&folder);
    let pid = server.child.id();
    let other = config(rtmp, "").replace("a.pid", "b.pid").replace("a.log", "b.log");
    folder.write("rtmp.conf", &other);
    folder.write(
        "http.conf",
        &other.replace(&rtmp.to_string(), &free_port().to_string()).replace("vhost", &format!("{api} vhost")),
    );
    for (file, expected) in [
        ("a.conf", format!("srs-edge: already running as process {pid} (objs/a.pid is locked)\n")),
        (
            "rtmp.conf",
            format!(
                "srs-edge: rtmp: cannot listen on 127.0.0.1:{rtmp}: Address already in use (os error 98)\n"
            ),
        ),
        (
            "http.conf",
            format!(
                "srs-edge: http_api: cannot listen on 127.0.0.1:{http}: Address already in use (os error 98)\n"
            ),
        ),
    ] {
        let output = program(&folder.0).args(["-c", file]).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), text.as_str()), (Some(1), expected.as_str()));
    }
    assert_eq!(folder.read("objs/a.pid"), pid.to_string(), "the refused one has left it alone");
    assert_eq!(server.stop(Signal::SIGTERM).code(), Some(0));
}

#[test]
fn daemon_on_goes_to_the_background_once_it_serves() {
    let (rtmp, http) = (free_port(), free_port());
    let more = format!(
        "daemon on; disable_daemon_for_docker off; http_api {{ enabled on; listen 127.0.0.1:{http}; }}"
    );
    let folder = Folder::new("daemon").file("a.conf", &config(rtmp, &more));
    // The shell is gone when the command returns; the server is not.
    let output = program(&folder.0).args(["-c", "a.conf"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let pid: i32 = folder.read("objs/a.pid").parse().unwrap();
    assert_eq!(get(http, "/api/v1/versions").json()["pid"], pid.to_string());
    // A session of its own, nothing open on the console.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let session: i32 = stat.rsplit(") ").next().unwrap().split(' ').nth(3).unwrap().parse().unwrap();
    assert_eq!(session, pid);
    for number in 0..3 {
        let target = std::fs::read_link(format!("/proc/{pid}/fd/{number}")).unwrap();
        assert_eq!(target.to_str(), Some("/dev/null"));
    }
    // A second one fails where its parent sees it.
    let output = program(&folder.0).args(["-c", "a.conf"]).stdout(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("already running"), "{output:?}");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    wait_until("the daemon ends", || folder.read("objs/a.pid").is_empty().then_some(()));
}

#[test]
fn the_service_manager_is_told() {
    let port = free_port();
    let folder = Folder::new("notify").file("a.conf", &config(port, ""));
    let manager = std::os::unix::net::UnixDatagram::bind(folder.0.join("notify")).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let server = Server::start_with(
        &folder,
        &["-c", "a.conf"],
        &[("NOTIFY_SOCKET", folder.0.join("notify").to_str().unwrap())],
    );
    let mut state = [0; 64];
    let mut next = || {
        let length = manager.recv(&mut state).unwrap();
        String::from_utf8(state[..length].to_vec()).unwrap()
    };
    assert_eq!(next(), "READY=1");
    server.signal(Signal::SIGTERM);
    assert_eq!(next(), "STOPPING=1");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn the_environment_alone_serves_with_the_log_on_the_console() {
    let port = free_port();
    let folder = Folder::new("env");
    let mut child = program(&folder.0)
        .arg("-e")
        .env("SRS_LISTEN", format!("127.0.0.1:{port}"))
        .env("SRS_MAX_CONNECTIONS", "100")
        .env("SRS_PID", "./a.pid")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let publisher = wait_until("it serves", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
        Some(Client::publish(port, &format!("rtmp://any.name:{port}/live"), "show"))
    });
    publisher.wait_until_published();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut log = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take().unwrap(), &mut log).unwrap();
    assert!(log.contains("[INFO]") && log.contains("start publish, url=/live/show"), "{log}");
    assert_eq!(
        std::fs::read_dir(&folder.0).unwrap().map(|file| file.unwrap().file_name()).collect::<Vec<_>>(),
        ["a.id"]
    );
}

#[test]
fn row_30_a_full_disk_stops_nothing() {
    let port = free_port();
    let folder = Folder::new("full").file("a.conf", &config(port, "").replace("objs/a.log", "/dev/full"));
    let server = Server::start(&folder);
    Client::publish(port, &format!("rtmp://127.0.0.1:{port}/live"), "show").wait_until_published();
    assert_eq!(server.stop(Signal::SIGTERM).code(), Some(0));
}

#[test]
fn the_demo_plays_in_ffmpeg_without_an_error() {
    if Command::new("ffmpeg").arg("-version").output().is_err() {
        // Not every machine that tests has it; the stream's own tests judge its bits.
        return;
    }
    let folder = Folder::new("demo");
    let mut child = program(&folder.0).args(["demo", "0"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut urls = Vec::new();
    while urls.len() < 2 {
        let mut line = String::new();
        assert!(std::io::BufRead::read_line(&mut out, &mut line).unwrap() > 0, "no invitation");
        urls.extend(line.trim().strip_prefix("vlc ").map(str::to_owned));
    }
    for url in urls {
        let output = Command::new("ffmpeg")
            .args(["-v", "warning", "-xerror", "-t", "2", "-i", &url, "-f", "framehash", "-"])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let (text, errors) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(output.status.success() && errors.is_empty(), "{url}: {errors}");
        let frames = |stream: &str| text.lines().filter(|line| line.starts_with(stream)).count();
        assert!(frames("0,") > 20 && frames("1,") > 20, "{url}: {text}");
    }
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
