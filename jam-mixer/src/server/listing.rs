//! The server's place on a server list: none, registered with a directory, or being the directory.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use jam_proto::directory::{
    Directory, DirectoryCommand, DirectoryConfig, DirectoryEvent, DirectoryOutput, OwnEntry, Registrar,
    RegistrarCommand, RegistrarConfig, RegistrarInput, RegistrarOutput, RegistrationStatus,
};
use jam_proto::message::{Connectionless, Registration, id};
use jam_proto::wire::Frame;
use jam_proto::{Input, ServerConfig, Transmit};

use super::{JamConfig, ListingConfig};

#[derive(Debug)]
pub(super) enum Listing {
    Private,
    Registered(Box<Registrar>, Registration),
    Directory(Box<Directory>),
}

/// What a listing wants done.
pub(super) enum Listed {
    Transmit(Transmit),
    Resolve { host: Arc<str> },
    Status(RegistrationStatus),
    Directory(DirectoryEvent),
}

impl Listing {
    pub(super) fn new(config: &JamConfig, now: Instant) -> Self {
        let protocol = &config.protocol;
        match &config.listing {
            ListingConfig::Private => Self::Private,
            ListingConfig::Register { directory, port, internal_address } => {
                let registration = Registration {
                    internal_port: *port,
                    internal_address: Some(internal_address.unwrap_or(std::net::Ipv4Addr::LOCALHOST)),
                    country: protocol.country(),
                    clients_max: protocol.channels_max(),
                    permanent: false,
                    name: protocol.name().clone(),
                    city: protocol.city().clone(),
                };
                let config =
                    RegistrarConfig::new(directory, registration.clone(), protocol.version().clone());
                let mut registrar = Registrar::new(config);
                registrar.command(now, RegistrarCommand::Start);
                Self::Registered(Box::new(registrar), registration)
            }
            ListingConfig::Directory { public_address, filter, limits } => {
                let config = DirectoryConfig {
                    own: own_entry(protocol),
                    public_address: *public_address,
                    filter: filter.clone(),
                    limits: limits.clone(),
                };
                Self::Directory(Box::new(Directory::new(config)))
            }
        }
    }

    /// Takes a datagram if it is about server lists; `false` leaves it to the server.
    pub(super) fn takes(&mut self, now: Instant, src: SocketAddr, payload: &[u8]) -> bool {
        // A look at the number first: most datagrams are audio.
        let &[0, 0, a, b, ..] = payload else { return false };
        let ours = id::CLM_REGISTER_SERVER..=id::CLM_EMPTY_MESSAGE;
        let newer = id::CLM_REGISTER_SERVER_RESP..=id::CLM_RED_SERVER_LIST;
        let number = u16::from_le_bytes([a, b]);
        if !ours.contains(&number) && !newer.contains(&number) {
            return false;
        }
        let Some(frame) = Frame::parse(payload) else { return false };
        // Malformed ones are the server's to count.
        let Ok(Some(message)) = Connectionless::parse(frame.id, frame.body) else { return false };
        match self {
            Self::Private => false,
            Self::Registered(registrar, _) => registrar.handle(now, src, &message),
            Self::Directory(directory) => directory.handle(now, src, &message),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        // Asked at every tick: nothing happens before something is due.
        if self.poll_timeout().is_none_or(|at| at > now) {
            return;
        }
        match self {
            Self::Private => {}
            Self::Registered(registrar, _) => registrar.handle_input(now, RegistrarInput::Timeout),
            Self::Directory(directory) => directory.handle_input(now, Input::Timeout),
        }
    }

    pub(super) fn resolved(&mut self, now: Instant, addr: Option<SocketAddr>) {
        if let Self::Registered(registrar, _) = self {
            registrar.handle_input(now, RegistrarInput::Resolved(addr));
        }
    }

    /// New name, city or number of channels.
    pub(super) fn describe(&mut self, now: Instant, config: &ServerConfig) {
        match self {
            Self::Private => {}
            Self::Registered(registrar, registration) => {
                let new = Registration {
                    country: config.country(),
                    clients_max: config.channels_max(),
                    name: config.name().clone(),
                    city: config.city().clone(),
                    ..registration.clone()
                };
                if new != *registration {
                    *registration = new.clone();
                    registrar.command(now, RegistrarCommand::Describe(new));
                }
            }
            Self::Directory(directory) => directory.command(DirectoryCommand::Describe(own_entry(config))),
        }
    }

    pub(super) fn restore(&mut self, now: Instant, text: &str) {
        if let Self::Directory(directory) = self {
            // Lines that cannot be read are left out; the next save drops them.
            let _ = directory.restore(now, text);
        }
    }

    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Directory(directory) => Some(directory.save()),
            _ => None,
        }
    }

    pub(super) fn stop(&mut self, now: Instant) {
        if let Self::Registered(registrar, _) = self {
            registrar.command(now, RegistrarCommand::Stop);
        }
    }

    pub(super) fn poll_output(&mut self) -> Option<Listed> {
        match self {
            Self::Private => None,
            Self::Registered(registrar, _) => loop {
                return match registrar.poll_output()? {
                    RegistrarOutput::Transmit(transmit) => Some(Listed::Transmit(transmit)),
                    RegistrarOutput::Resolve(host) => Some(Listed::Resolve { host }),
                    RegistrarOutput::Status(status) => Some(Listed::Status(status)),
                    _ => continue,
                };
            },
            Self::Directory(directory) => loop {
                return match directory.poll_output()? {
                    DirectoryOutput::Transmit(transmit) => Some(Listed::Transmit(transmit)),
                    DirectoryOutput::Event(event) => Some(Listed::Directory(event)),
                    _ => continue,
                };
            },
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Private => None,
            Self::Registered(registrar, _) => registrar.poll_timeout(),
            Self::Directory(directory) => directory.poll_timeout(),
        }
    }
}

fn own_entry(config: &ServerConfig) -> OwnEntry {
    OwnEntry {
        name: config.name().clone(),
        city: config.city().clone(),
        country: config.country(),
        clients_max: config.channels_max(),
    }
}
