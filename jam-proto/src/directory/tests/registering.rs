use super::*;
use crate::message::RegistrationResult;
use RegistrarOutput::{Resolve, Status};

const DIRECTORY: &str = "203.0.113.1:22124";

/// What came out, short: names of statuses, and messages to the directory.
#[derive(Debug, PartialEq)]
enum Out {
    Resolve(String),
    Status(RegistrationStatus),
    Register { permanent: bool, internal: Option<Ipv4Addr> },
    Unregister,
    Empty(SocketAddr),
}

fn drain(registrar: &mut Registrar) -> Vec<Out> {
    std::iter::from_fn(|| registrar.poll_output())
        .map(|output| match output {
            Resolve(name) => Out::Resolve(name.to_string()),
            Status(status) => Out::Status(status),
            RegistrarOutput::Transmit(transmit) => match message(&transmit) {
                Connectionless::Empty => Out::Empty(transmit.dst),
                Connectionless::UnregisterServer if transmit.dst == addr(DIRECTORY) => Out::Unregister,
                Connectionless::RegisterServerEx(r, _) if transmit.dst == addr(DIRECTORY) => {
                    Out::Register { permanent: r.permanent, internal: r.internal_address }
                }
                other => panic!("{other:?} to {}", transmit.dst),
            },
        })
        .collect()
}

fn registrar() -> Registrar {
    Registrar::new(RegistrarConfig::new("directory.example", registration("Cellar"), version("3.12.0")))
}

const REGISTER: Out = Out::Register { permanent: false, internal: Some(Ipv4Addr::new(192, 168, 1, 5)) };

fn resolve(registrar: &mut Registrar, now: Instant) {
    registrar.handle_input(now, RegistrarInput::Resolved(Some(addr(DIRECTORY))));
}

fn answer(registrar: &mut Registrar, now: Instant, from: &str, result: RegistrationResult) {
    assert!(registrar.handle(now, addr(from), &Connectionless::RegistrationResult(result)));
}

fn registered(now: Instant) -> Registrar {
    let mut registrar = registrar();
    registrar.command(now, RegistrarCommand::Start);
    resolve(&mut registrar, now);
    answer(&mut registrar, now, DIRECTORY, RegistrationResult::Registered);
    drain(&mut registrar);
    registrar
}

#[test]
fn a_registration_is_resolved_requested_answered_and_renewed() {
    let (t0, mut r) = (start(), registrar());
    assert_eq!((r.poll_timeout(), drain(&mut r)), (None, vec![]));

    r.command(t0, RegistrarCommand::Start);
    assert_eq!(
        drain(&mut r),
        [Out::Resolve("directory.example".into()), Out::Status(RegistrationStatus::Requested)]
    );
    resolve(&mut r, t0 + MS * 30);
    assert_eq!(drain(&mut r), [REGISTER]);
    answer(&mut r, t0 + MS * 60, DIRECTORY, RegistrationResult::Registered);
    assert_eq!(drain(&mut r), [Out::Status(RegistrationStatus::Registered)]);

    assert_eq!(r.poll_timeout(), Some(t0 + MS * 30 + KEEP_ALIVE_EVERY));
    let mut empties = 0;
    let refresh = loop {
        let now = r.poll_timeout().unwrap();
        r.handle_input(now, RegistrarInput::Timeout);
        match drain(&mut r).as_slice() {
            [Out::Empty(to)] => {
                assert_eq!(*to, addr(DIRECTORY));
                empties += 1;
            }
            [Out::Resolve(_), Out::Status(RegistrationStatus::Requested)] => break now,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((refresh - t0, empties), (MIN * 15, 15));
}

#[test]
fn an_unanswered_request_is_sent_five_times_and_again_at_the_next_refresh() {
    let (t0, mut r) = (start(), registrar());
    r.command(t0, RegistrarCommand::Start);
    resolve(&mut r, t0);
    drain(&mut r);
    for n in 1..5 {
        assert_eq!(r.poll_timeout(), Some(t0 + MS * 500 * n));
        r.handle_input(t0 + MS * 500 * n, RegistrarInput::Timeout);
        assert_eq!(drain(&mut r), [REGISTER]);
    }
    r.handle_input(t0 + MS * 2_500, RegistrarInput::Timeout);
    assert_eq!(drain(&mut r), [Out::Status(RegistrationStatus::TimeOut)]);
    assert_eq!(r.poll_timeout(), Some(t0 + KEEP_ALIVE_EVERY));

    // The answer to the last request may still come.
    answer(&mut r, t0 + S * 3, DIRECTORY, RegistrationResult::ListFull);
    assert_eq!(drain(&mut r), [Out::Status(RegistrationStatus::ListFull)]);
    r.handle_input(t0 + MIN * 15, RegistrarInput::Timeout);
    assert!(drain(&mut r).contains(&Out::Status(RegistrationStatus::Requested)));
}

#[test]
fn a_name_without_address_is_told_and_looked_up_again_later() {
    let (t0, mut r) = (start(), registrar());
    r.command(t0, RegistrarCommand::Start);
    drain(&mut r);
    r.handle_input(t0 + S, RegistrarInput::Resolved(None));
    assert_eq!(drain(&mut r), [Out::Status(RegistrationStatus::BadAddress)]);
    assert_eq!(r.poll_timeout(), Some(t0 + MIN * 15));
    r.handle_input(t0 + MIN * 15, RegistrarInput::Timeout);
    assert_eq!(
        drain(&mut r),
        [Out::Resolve("directory.example".into()), Out::Status(RegistrationStatus::Requested)]
    );
}

#[test]
fn every_decision_of_the_directory_is_a_status() {
    for (result, status, rpc_name) in [
        (RegistrationResult::Registered, "Registered", "registered"),
        (RegistrationResult::ListFull, "Server list full at directory", "directory_server_full"),
        (RegistrationResult::VersionTooOld, "Your server version is too old", "server_version_too_old"),
        (
            RegistrationResult::RequirementsNotFulfilled,
            "Requirements not fulfilled",
            "requirements_not_fulfilled",
        ),
    ] {
        let (t0, mut r) = (start(), registrar());
        r.command(t0, RegistrarCommand::Start);
        resolve(&mut r, t0);
        answer(&mut r, t0, DIRECTORY, result);
        assert_eq!((r.status().to_string().as_str(), r.status().rpc_name()), (status, rpc_name));
        assert!(r.poll_timeout().unwrap() > t0 + S, "no more repetitions");
    }
}

#[test]
fn only_the_directory_is_listened_to() {
    let t0 = start();
    let mut r = registered(t0);
    let punch = Connectionless::SendEmpty(v4("198.51.100.9:22134"));
    // Another port of the directory's host is a stranger too.
    for stranger in ["198.51.100.1:22124", "203.0.113.1:22125"] {
        answer(&mut r, t0, stranger, RegistrationResult::ListFull);
        assert!(r.handle(t0, addr(stranger), &punch));
    }
    assert_eq!((drain(&mut r), r.status()), (vec![], RegistrationStatus::Registered));
    assert_eq!(r.stats().messages_from_strangers, 4);

    assert!(r.handle(t0, addr(DIRECTORY), &punch));
    assert_eq!(drain(&mut r), [Out::Empty(addr("198.51.100.9:22134"))]);
    assert!(!r.handle(t0, addr(DIRECTORY), &Connectionless::RequestServerList), "that is for a directory");

    // The same through a dual-stack socket, and as a whole datagram.
    let payload = punch.frame(&mut crate::wire::FrameWriter::new());
    let src = addr("[::ffff:203.0.113.1]:22124");
    r.handle_input(t0, RegistrarInput::Datagram { src, payload: &payload });
    assert_eq!(drain(&mut r).len(), 1);
}

#[test]
fn a_server_at_rest_obeys_nobody() {
    let (t0, mut r) = (start(), registrar());
    assert!(r.handle(t0, addr(DIRECTORY), &Connectionless::SendEmpty(v4("198.51.100.9:1"))));
    answer(&mut r, t0, DIRECTORY, RegistrationResult::Registered);
    resolve(&mut r, t0);
    assert_eq!((drain(&mut r), r.poll_timeout()), (vec![], None));
}

#[test]
fn hole_punches_are_limited_and_never_go_to_impossible_addresses() {
    let t0 = start();
    let mut r = registered(t0);
    for n in 0..1_000 {
        r.handle(
            t0,
            addr(DIRECTORY),
            &Connectionless::SendEmpty(SocketAddrV4::new([198, 51, 100, 1].into(), 1 + n)),
        );
    }
    assert_eq!(drain(&mut r).len(), 400, "four seconds' worth at once");
    for n in 0..100 {
        r.handle(t0 + S, addr(DIRECTORY), &Connectionless::SendEmpty(v4(&format!("198.51.100.2:{}", n + 1))));
    }
    assert_eq!(drain(&mut r).len(), 100);
    for impossible in ["0.0.0.0:1", "198.51.100.1:0", "224.0.0.1:5"] {
        r.handle(t0 + MIN, addr(DIRECTORY), &Connectionless::SendEmpty(v4(impossible)));
    }
    assert_eq!((drain(&mut r), r.stats().punches_refused), (vec![], 603));
}

#[test]
fn a_server_becomes_permanent_after_48_hours_on_the_list() {
    let t0 = start();
    let mut r = registered(t0);
    let mut became = None;
    while became.is_none() {
        let now = r.poll_timeout().unwrap();
        assert!(now - t0 < S * 3600 * 50);
        r.handle_input(now, RegistrarInput::Timeout);
        for out in drain(&mut r) {
            match out {
                Out::Resolve(_) => resolve(&mut r, now),
                Out::Register { permanent: true, .. } => became = Some(now - t0),
                Out::Register { .. } => answer(&mut r, now, DIRECTORY, RegistrationResult::Registered),
                _ => {}
            }
        }
        for out in drain(&mut r) {
            match out {
                Out::Register { permanent: true, .. } => became = Some(now - t0),
                Out::Register { .. } => answer(&mut r, now, DIRECTORY, RegistrationResult::Registered),
                _ => {}
            }
        }
        drain(&mut r);
    }
    assert_eq!(became, Some(Registrar::PERMANENT_AFTER));
}

#[test]
fn stopping_unregisters_and_ends_everything() {
    let t0 = start();
    let mut r = registered(t0);
    r.command(t0 + S, RegistrarCommand::Stop);
    assert_eq!(drain(&mut r), [Out::Unregister, Out::Status(RegistrationStatus::NotRegistered)]);
    assert_eq!((r.poll_timeout(), r.directory()), (None, None));
    r.command(t0 + S, RegistrarCommand::Stop);
    assert_eq!(drain(&mut r), []);
}

#[test]
fn another_description_is_registered_at_once_but_only_while_registering() {
    let t0 = start();
    let mut r = registered(t0);
    let mut renamed = registration("Attic");
    renamed.internal_address = None;
    r.command(t0 + S, RegistrarCommand::Describe(renamed.clone()));
    resolve(&mut r, t0 + S);
    let register = Out::Register { permanent: false, internal: Some(Ipv4Addr::LOCALHOST) };
    assert!(drain(&mut r).contains(&register));

    let mut idle = registrar();
    idle.command(t0, RegistrarCommand::Describe(renamed));
    assert_eq!(drain(&mut idle), []);
}

#[test]
fn timeouts_always_move_on() {
    let t0 = start();
    let mut r = registrar();
    r.command(t0, RegistrarCommand::Start);
    resolve(&mut r, t0);
    for _ in 0..500 {
        let now = r.poll_timeout().unwrap();
        r.handle_input(now, RegistrarInput::Timeout);
        assert!(r.poll_timeout().unwrap() > now);
        drain(&mut r);
        resolve(&mut r, now);
    }
}
