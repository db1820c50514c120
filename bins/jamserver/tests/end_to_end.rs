//! The program itself: starts it, joins with a client, stops it by signal.
#![expect(clippy::disallowed_methods, reason = "a running program lives in real time")]

mod support;

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;

use jam_proto::client::{ClientEvent, ClientLeaveReason};
use nix::sys::signal::Signal;
use support::{Musician, PATIENCE, Server, run, temporary, text};

#[test]
fn a_musician_joins_and_a_signal_stops_the_server() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let file = temporary(signal.as_str());
        let server = Server::start(&["-w", "Hello", "-d", "-l", file.to_str().unwrap()]);
        let mut ann = Musician::new("Ann", server.addr);
        let welcome = ann.play_until(|event| match event {
            ClientEvent::Chat(text) => Some(text.to_string()),
            _ => None,
        });
        assert_eq!(welcome, "<b>Server Welcome Message:</b> Hello");
        ann.play_until(|event| matches!(event, ClientEvent::Connected).then_some(()));
        server.signal(signal);
        // With -d the server tells its clients.
        let reason = ann.play_until(|event| match event {
            ClientEvent::Left(reason) => Some(*reason),
            _ => None,
        });
        assert_eq!(reason, ClientLeaveReason::ServerLeft);
        let (status, log, said) = server.finish();
        assert_eq!(status.code(), Some(0), "{said:#?}");
        assert!(said.contains(&format!("OnHandledSignal: {}", signal as i32)), "{said:#?}");
        assert!(log.lines().any(|line| line.ends_with(", 127.0.0.1, connected (1)")), "{log}");
        let logged = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert!(
            log.starts_with(&logged) && logged.lines().next().is_some_and(|line| line.len() == 45),
            "{logged}"
        );
    }
}

#[test]
fn the_demo_band_is_on_stage() {
    let server = Server::start(&["demo"]);
    let mut ann = Musician::new("Ann", server.addr);
    let names = ann.play_until(|event| Musician::names(event).filter(|names| names.len() == 4));
    for name in ["Ann", "Demo Bass", "Demo Chords", "Demo Beat"] {
        assert!(names.iter().any(|n| n == name), "{name} in {names:?}");
    }
    let (status, _, said) = server.stop(Signal::SIGTERM);
    assert!(status.success());
    assert!(said.iter().any(|line| line.contains("The demo band is playing")), "{said:#?}");
}

#[test]
fn a_demo_band_that_is_kept_out_is_named_in_one_line() {
    for (rule, network) in [("--allow", "192.0.2.0/24"), ("--deny", "127.0.0.0/8")] {
        let (_, _, said) = Server::start(&["demo", rule, network]).stop(Signal::SIGTERM);
        let wanted =
            "jamserver: warning: --allow or --deny keeps the demo band out, which comes from 127.0.0.1";
        assert_eq!(
            said.iter().filter(|line| line.contains("demo band")).collect::<Vec<_>>(),
            [wanted],
            "{said:#?}"
        );
    }
}

#[test]
fn a_busy_port_is_named() {
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    let output = run(&["-p", &port, "--serverbindip", "127.0.0.1", "-4"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains(&port) && said.contains("in use") && said.lines().count() == 1, "{said}");
}

#[test]
fn wrong_options_end_with_code_2_and_one_line() {
    for (args, wanted) in [
        (vec!["--prot", "1"], "jamserver: --prot: unknown option, see --help (did you mean --port?)"),
        (vec!["-m", "/tmp"], "jamserver: -m: not supported by this version"),
        (
            vec!["--config", "/nonexistent.toml"],
            "jamserver: /nonexistent.toml: No such file or directory (os error 2)",
        ),
        (vec!["plan", "--up", "1M"], "jamserver: --down: is needed: the line's rate, such as 1M"),
        (vec!["demo", "-u", "3"], "jamserver: -u: the band leaves no room for you: 4 at least"),
        (
            vec!["demo", "--band", "bass,drums"],
            "jamserver: --band: \"drums\" is no part of the band: bass, chords, beat, melody",
        ),
    ] {
        let output = run(&args);
        assert_eq!((output.status.code(), text(&output.stderr).trim_end()), (Some(2), wanted));
    }
}

#[test]
fn help_version_and_plan_go_to_standard_output() {
    for (args, wanted) in [
        (vec!["--help"], "Usage: jamserver [OPTIONS]"),
        (vec!["help"], "Usage: jamserver [OPTIONS]"),
        (vec!["demo", "--help"], "Usage: jamserver demo [OPTIONS]"),
        (vec!["plan", "-h"], "Usage: jamserver plan --up RATE --down RATE [OPTIONS]"),
        (vec!["--version"], concat!("jamserver ", env!("CARGO_PKG_VERSION"))),
        (vec!["plan", "--up", "1M", "--down", "10M", "--musicians", "5"], "Best sound for 5"),
        (vec!["plan", "--up", "1M", "--down", "10M", "--json"], "\"up_bits_per_second\":1000000"),
    ] {
        let output = run(&args);
        assert!(output.status.success() && output.stderr.is_empty(), "{args:?}");
        assert!(text(&output.stdout).contains(wanted), "{args:?}");
    }
}

#[test]
fn the_help_is_the_one_that_was_reviewed() {
    let reviewed = include_str!("help.txt");
    let now = text(&run(&["--help"]).stdout);
    assert_eq!(now, reviewed, "if the change is meant: jamserver --help > bins/jamserver/tests/help.txt");
}

#[test]
fn the_example_configuration_is_valid() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../conf/jamserver.toml");
    let server = Server::start(&["--config", example]);
    let (status, _, said) = server.stop(Signal::SIGTERM);
    assert!(status.success());
    assert!(said.iter().any(|line| line.starts_with("- option numchannels = 20 (")), "{said:#?}");
}

#[test]
fn the_service_manager_is_told_and_hangup_reloads() {
    let socket = temporary("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let config = temporary("reload.toml");
    std::fs::write(&config, "welcomemessage = \"one\"\n").unwrap();
    let arguments = ["--config", config.to_str().unwrap()];
    let mut server = Server::start_with(&arguments, &[("NOTIFY_SOCKET", socket.to_str().unwrap())]);
    let mut state = [0; 32];
    let len = manager.recv(&mut state).unwrap();
    assert_eq!(&state[..len], b"READY=1");

    std::fs::write(&config, "welcomemessage = \"two\"\nqos = 0\n").unwrap();
    server.signal(Signal::SIGHUP);
    server.wait_for_line("--qos changed; that takes a restart");
    server.wait_for_line("settings reloaded");
    std::fs::write(&config, "welcomemesage = \"three\"\n").unwrap();
    server.signal(Signal::SIGHUP);
    server.wait_for_line("(did you mean welcomemessage?); the settings stay as they are");
    let mut ann = Musician::new("Ann", server.addr);
    let welcome = ann.play_until(|event| match event {
        ClientEvent::Chat(text) => Some(text.to_string()),
        _ => None,
    });
    assert!(welcome.ends_with(" two"), "{welcome}");

    let (status, ..) = server.stop(Signal::SIGTERM);
    assert!(status.success());
    let len = manager.recv(&mut state).unwrap();
    assert_eq!(&state[..len], b"STOPPING=1");
    std::fs::remove_file(&socket).unwrap();
    std::fs::remove_file(&config).unwrap();
}

#[test]
fn a_reload_names_what_a_directory_does_not_take_over() {
    let config = temporary("directory.toml");
    let list = "directoryaddress = \"localhost\"\n";
    std::fs::write(&config, format!("{list}listfilter = \"192.0.2.1\"\n")).unwrap();
    let mut server = Server::start(&["--config", config.to_str().unwrap()]);
    std::fs::write(&config, format!("{list}listfilter = \"192.0.2.2\"\nserverpublicip = \"192.0.2.9\"\n"))
        .unwrap();
    server.signal(Signal::SIGHUP);
    server.wait_for_line("--listfilter changed; that takes a restart");
    server.wait_for_line("--serverpublicip changed; that takes a restart");
    server.wait_for_line("settings reloaded");
    assert!(server.stop(Signal::SIGTERM).0.success());
    std::fs::remove_file(&config).unwrap();
}

#[test]
fn a_server_registers_with_a_directory_that_remembers_it() {
    let list = temporary("directory");
    let directory = Server::start(&[
        "-e",
        "localhost",
        "-o",
        "Lists;Berlin;de",
        "--directoryfile",
        list.to_str().unwrap(),
    ]);
    let address = directory.addr.to_string();
    let mut server = Server::start(&["-e", &address, "-o", "Cellar;Köln;de"]);
    server.wait_for_line("Server Registration Status update: Registered");
    let port = server.addr.port();
    // Unregistering on exit would empty the list: the directory goes first.
    let (status, _, said) = directory.stop(Signal::SIGTERM);
    assert!(status.success());
    assert!(
        said.iter()
            .any(|line| line.starts_with(&format!("Requested to register entry for 127.0.0.1:{port} "))),
        "{said:#?}"
    );
    let saved = std::fs::read_to_string(&list).unwrap();
    assert!(saved.starts_with(&format!("127.0.0.1:{port};")) && saved.ends_with(";82;10;0\n"), "{saved}");

    // A new directory with the same file knows the server without having heard of it, and keeps it.
    let again = Server::start(&[
        "-e",
        "localhost",
        "-o",
        "Lists;Berlin;de",
        "--directoryfile",
        list.to_str().unwrap(),
    ]);
    let (status, ..) = again.stop(Signal::SIGTERM);
    assert!(status.success());
    assert_eq!(std::fs::read_to_string(&list).unwrap(), saved);
    std::fs::remove_file(&list).unwrap();
    let (status, ..) = server.stop(Signal::SIGTERM);
    assert!(status.success());
}
