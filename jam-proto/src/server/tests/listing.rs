//! A server on a directory's list, and a server that keeps one (spec 6).

use super::*;
use crate::directory::{
    Directory, DirectoryConfig, DirectoryEvent, Registrar, RegistrarConfig, RegistrationStatus,
};
use crate::message::{Registration, RegistrationResult};

fn registration() -> Registration {
    Registration {
        internal_port: 22124,
        country: Country(82),
        clients_max: 10,
        permanent: false,
        name: crate::message::ServerName::cut("Cellar"),
        internal_address: None,
        city: City::cut("Köln"),
    }
}

fn registered(room: &mut Room, directory: SocketAddr) {
    let version = room.server.config().version().clone();
    let config = RegistrarConfig::new("directory.example", registration(), version);
    room.server.register_with(room.now, Registrar::new(config));
    room.collect();
    assert_eq!(std::mem::take(&mut room.resolve), [Arc::from("directory.example")]);
    room.command(Command::Resolved(Some(directory))).unwrap();
}

#[test]
fn a_server_registers_renews_and_takes_itself_off_the_list() {
    let directory = addr("203.0.113.5:22124");
    // A list of allowed musicians must not keep the directory out.
    let mut room = Room::with(|config| config.allow(["10.0.0.0/8".parse().unwrap()]));
    registered(&mut room, directory);
    let sent = room.one_sent();
    assert_eq!((sent.dst, sent.id), (directory, id::CLM_REGISTER_SERVER_EX));
    room.pass(ms(500));
    assert_eq!(room.one_sent().id, id::CLM_REGISTER_SERVER_EX);

    let accepted = Connectionless::RegistrationResult(RegistrationResult::Registered);
    room.connectionless(addr("198.51.100.66:1"), &accepted);
    assert_eq!(room.server.registrar().unwrap().status(), RegistrationStatus::Requested);
    room.connectionless(directory, &accepted);
    assert_eq!(room.events().last(), Some(&Event::Registration(RegistrationStatus::Registered)));
    assert_eq!(room.sent(), []);

    room.pass(ms(59_000));
    assert_eq!(room.one_sent().id, id::CLM_EMPTY_MESSAGE);
    room.command(Command::Shutdown).unwrap();
    assert_eq!(room.sent_ids(), [id::CLM_UNREGISTER_SERVER]);
}

#[test]
fn only_its_directory_can_make_a_server_open_its_nat() {
    let directory = addr("203.0.113.5:22124");
    let mut room = Room::new();
    registered(&mut room, directory);
    room.sent();
    let punch = Connectionless::SendEmpty("192.0.2.77:22134".parse().unwrap());
    room.connectionless(addr("198.51.100.66:1"), &punch);
    assert_eq!(room.sent(), []);
    room.connectionless(directory, &punch);
    let sent = room.one_sent();
    assert_eq!((sent.dst, sent.id), (addr("192.0.2.77:22134"), id::CLM_EMPTY_MESSAGE));
}

#[test]
fn without_directory_nobody_is_answered_about_lists() {
    let mut room = Room::new();
    for message in [
        Connectionless::RequestServerList,
        Connectionless::RegisterServer(registration()),
        Connectionless::UnregisterServer,
        Connectionless::SendEmpty("192.0.2.77:22134".parse().unwrap()),
    ] {
        room.connectionless(addr("198.51.100.1:9"), &message);
    }
    assert_eq!((room.sent(), room.server.poll_timeout()), (vec![], None));
}

#[test]
fn a_server_that_keeps_a_directory_serves_musicians_and_lists() {
    let mut room = Room::new();
    room.server.keep_directory(Directory::new(DirectoryConfig::default()));
    let _ann = room.joined("192.0.2.1:5000", "Ann");
    room.events();
    let other = addr("203.0.113.9:22124");
    room.connectionless(other, &Connectionless::RegisterServer(registration()));
    assert_eq!(
        room.one_sent().connectionless(),
        Connectionless::RegistrationResult(RegistrationResult::Registered)
    );
    assert!(matches!(
        room.events()[..],
        [
            Event::Directory(DirectoryEvent::Requested { .. }),
            Event::Directory(DirectoryEvent::Answered { .. })
        ]
    ));
    room.connectionless(addr("198.51.100.1:9"), &Connectionless::RequestServerList);
    let ids = room.sent_ids();
    assert!(ids.contains(&id::CLM_RED_SERVER_LIST) && ids.contains(&id::CLM_SERVER_LIST), "{ids:?}");
    assert_eq!(room.server.directory().unwrap().entries().len(), 1);
    room.pass(ms(40 * 60_000));
    assert_eq!(room.server.directory().unwrap().entries().len(), 0);
}
