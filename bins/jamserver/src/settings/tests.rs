//! Options become settings, and contradictions are refused.

use super::*;
use crate::options::{Args, parse_args};
use crate::table::SERVER;

fn values(line: &[&str]) -> Values {
    match parse_args(SERVER, line.iter().map(|s| (*s).to_owned())) {
        Ok(Args::Run(values, _)) => values,
        other => panic!("{line:?}: {other:?}"),
    }
}

fn settings(line: &[&str]) -> Settings {
    Settings::from_values(&values(line)).unwrap()
}

fn refusal(line: &[&str]) -> String {
    Settings::from_values(&values(line)).unwrap_err().to_string()
}

#[test]
fn no_option_is_parsed_and_then_forgotten() {
    let values = values(&[]);
    Settings::from_values(&values).unwrap();
    assert_eq!(values.unread(), Vec::<&str>::new());
}

#[test]
fn defaults_are_those_of_the_original() {
    let s = settings(&["-s", "-n"]);
    assert_eq!(s.listen, Listen::everywhere(22_124));
    assert_eq!((s.config.protocol.channels_max(), s.traffic_class), (10, 128));
    assert_eq!(s.config.engine.tick.samples(), 128);
    assert!(matches!(s.config.listing, ListingConfig::Private));
    assert!(s.config.protocol.has(ServerFeatures::RAW_AUDIO) && s.warnings.is_empty());
}

#[test]
fn options_reach_the_configuration() {
    let s = settings(&[
        "-p",
        "4000",
        "-u",
        "150",
        "-F",
        "-P",
        "-L",
        "-d",
        "--noraw",
        "-Q",
        "0",
        "-4",
        "--threads",
        "3",
        "--realtime",
        "7",
        "-o",
        "Cellar;Köln;de",
        "-w",
        "Hello",
        "--serverbindip",
        "127.0.0.1",
        "--deny",
        "10.0.0.0/8",
    ]);
    let protocol = &s.config.protocol;
    assert_eq!((s.listen.port, s.listen.v4, s.listen.v6), (4000, Some(Ipv4Addr::LOCALHOST), None));
    assert_eq!((protocol.channels_max(), s.config.engine.tick.samples()), (150, 64));
    assert!(s.config.engine.delay_panning && !protocol.has(ServerFeatures::RAW_AUDIO));
    assert!(protocol.has(ServerFeatures::DISCONNECT_ON_QUIT) && !protocol.has(ServerFeatures::IPV6));
    assert_eq!((s.traffic_class, s.realtime), (0, Realtime::Wanted(7)));
    assert_eq!(s.threads, Threads::AtMost(NonZeroUsize::new(3).unwrap()));
    assert_eq!((protocol.name().as_str(), protocol.country().0, protocol.welcome()), ("Cellar", 82, "Hello"));
    assert!(protocol.admits([192, 0, 2, 1].into()) && !protocol.admits([10, 1, 1, 1].into()));
}

#[test]
fn strangers_are_lent_nothing_if_the_owner_says_so() {
    let replies = |args: &[&str]| settings(args).config.protocol.limits().guard.replies;
    assert_eq!(replies(&["--strictreplies"]), ReplyPolicy::Strict);
    assert_eq!(replies(&[]), ReplyPolicy::default());
}

#[test]
fn a_welcome_message_may_be_a_file() {
    let path = std::env::temp_dir().join(format!("jamserver-welcome-{}.html", std::process::id()));
    std::fs::write(&path, "<b>Hi</b>\n").unwrap();
    let s = settings(&["-w", path.to_str().unwrap()]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(s.config.protocol.welcome(), "<b>Hi</b>");
    let long = "x".repeat(1601);
    let s = settings(&["-w", &long]);
    assert_eq!((s.config.protocol.welcome().len(), s.warnings.len()), (1600, 1));
}

#[test]
fn listings_follow_the_directory_address() {
    let s = settings(&[
        "-e",
        "localhost",
        "-f",
        "192.0.2.1;[3.8.0]",
        "--directoryfile",
        "list",
        "--serverpublicip",
        "192.0.2.9",
    ]);
    let ListingConfig::Directory { public_address, filter, .. } = &s.config.listing else {
        panic!("no directory")
    };
    assert_eq!((*public_address, filter.version_min), (Some(Ipv4Addr::new(192, 0, 2, 9)), Some([3, 8, 0])));
    let s = settings(&["-e", "rock", "-o", "a;b;de"]);
    let ListingConfig::Register { directory, .. } = &s.config.listing else { panic!("no registration") };
    assert_eq!(directory, "rock.jamulus.app:22424");
    assert!(s.warnings.is_empty());
    assert_eq!(settings(&["-e", "rock"]).warnings.len(), 1);
}

#[test]
fn contradictions_name_the_option() {
    for (line, wanted) in [
        (vec!["-4", "-6"], "-4: contradicts --enableipv6"),
        (vec!["-4", "--serverbindip6", "::1"], "--serverbindip6: contradicts --noipv6"),
        (vec!["-T", "--threads", "1"], "--threads: 1 contradicts --multithreading"),
        (vec!["-f", "192.0.2.1"], "-f: is for directories only: add --directoryaddress localhost"),
        (
            vec!["-e", "rock", "--directoryfile", "x"],
            "--directoryfile: is for directories only: add --directoryaddress localhost",
        ),
        (vec!["--serverpublicip", "192.0.2.1"], "--serverpublicip: has no use without --directoryaddress"),
    ] {
        assert_eq!(refusal(&line), wanted);
    }
}
