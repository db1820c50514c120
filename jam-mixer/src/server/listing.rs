//! How the server gets onto a server list, or keeps one: makes the machines that the protocol side nests.

use std::net::Ipv4Addr;
use std::time::Instant;

use jam_proto::directory::{
    Directory, DirectoryCommand, DirectoryConfig, OwnEntry, Registrar, RegistrarCommand, RegistrarConfig,
};
use jam_proto::message::Registration;
use jam_proto::server::Command;
use jam_proto::{Server, ServerConfig};

use super::ListingConfig;

/// Begins what `listing` says.
pub(super) fn begin(server: &mut Server, listing: &ListingConfig, now: Instant) {
    let config = std::sync::Arc::clone(server.config());
    match listing {
        ListingConfig::Private => {}
        ListingConfig::Register { directory, .. } => {
            let registration = registration(&config, listing);
            let registrar = RegistrarConfig::new(directory, registration, config.version().clone());
            server.register_with(now, Registrar::new(registrar));
        }
        ListingConfig::Directory { .. } => server.keep_directory(new_directory(&config, listing)),
    }
}

/// Leaves the list of `listing` and begins what `new` says.
pub(super) fn change(server: &mut Server, listing: &mut ListingConfig, new: ListingConfig, now: Instant) {
    let is_directory = |listing: &ListingConfig| matches!(listing, ListingConfig::Directory { .. });
    if is_directory(listing) || is_directory(&new) {
        return;
    }
    // Cannot fail: leaving only frees.
    let _ = server.command(now, Command::Registrar(RegistrarCommand::Stop));
    *listing = new;
    begin(server, listing, now);
}

/// Tells new names, cities and numbers of channels.
pub(super) fn describe(server: &mut Server, listing: &ListingConfig, now: Instant, config: &ServerConfig) {
    let command = match listing {
        ListingConfig::Private => return,
        ListingConfig::Register { .. } => {
            Command::Registrar(RegistrarCommand::Describe(registration(config, listing)))
        }
        ListingConfig::Directory { .. } => Command::Directory(DirectoryCommand::Describe(own_entry(config))),
    };
    // Cannot fail: lists are never full of their own entry.
    let _ = server.command(now, command);
}

/// Starts a directory anew with the entries of its file.
pub(super) fn restore(server: &mut Server, listing: &ListingConfig, now: Instant, text: &str) {
    if matches!(listing, ListingConfig::Directory { .. }) {
        let mut directory = new_directory(server.config(), listing);
        // Lines that cannot be read are left out; the next save drops them.
        let _ = directory.restore(now, text);
        server.keep_directory(directory);
    }
}

fn new_directory(config: &ServerConfig, listing: &ListingConfig) -> Directory {
    let ListingConfig::Directory { public_address, filter, limits } = listing else {
        return Directory::new(DirectoryConfig { own: own_entry(config), ..DirectoryConfig::default() });
    };
    Directory::new(DirectoryConfig {
        own: own_entry(config),
        public_address: *public_address,
        filter: filter.clone(),
        limits: limits.clone(),
    })
}

fn registration(config: &ServerConfig, listing: &ListingConfig) -> Registration {
    let (port, address) = match listing {
        ListingConfig::Register { port, internal_address, .. } => (*port, *internal_address),
        _ => (0, None),
    };
    Registration {
        internal_port: port,
        internal_address: Some(address.unwrap_or(Ipv4Addr::LOCALHOST)),
        country: config.country(),
        clients_max: config.channels_max(),
        permanent: false,
        name: config.name().clone(),
        city: config.city().clone(),
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
