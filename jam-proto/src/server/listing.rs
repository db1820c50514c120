//! Server lists: the registration of this server, and the directory it may keep (spec 6).
//!
//! Both machines live on the server's socket. The server hands them their messages and passes on what they want.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Event, Output, Server};
use crate::Input;
use crate::directory::{
    Directory, DirectoryCommand, DirectoryOutput, Registrar, RegistrarCommand, RegistrarInput,
    RegistrarOutput,
};
use crate::message::Connectionless;
use crate::responder::is_of_directories;
use crate::wire::Frame;

impl Server {
    /// Registers with a directory from now on. An earlier registration is forgotten; stop it before.
    pub fn register_with(&mut self, now: Instant, mut registrar: Registrar) {
        registrar.command(now, RegistrarCommand::Start);
        self.registrar = Some(Box::new(registrar));
        self.drain_listing();
    }

    /// Keeps a directory from now on, for instance one restored from a file.
    pub fn keep_directory(&mut self, directory: Directory) {
        self.directory = Some(Box::new(directory));
        self.drain_listing();
    }

    /// The registration, if there is one.
    #[must_use]
    pub fn registrar(&self) -> Option<&Registrar> {
        self.registrar.as_deref()
    }

    /// The directory this server keeps, if it keeps one.
    #[must_use]
    pub fn directory(&self) -> Option<&Directory> {
        self.directory.as_deref()
    }

    /// Whether a datagram comes from the directory we are registered with, which no list of ours may keep out.
    pub(super) fn is_our_directory(&self, src: SocketAddr) -> bool {
        self.registrar.as_ref().is_some_and(|registrar| registrar.directory() == Some(src))
    }

    /// A message of directories; `false` if it is none.
    pub(super) fn on_listing_message(&mut self, now: Instant, src: SocketAddr, frame: Frame<'_>) -> bool {
        if !is_of_directories(frame.id) {
            return false;
        }
        if self.registrar.is_none() && self.directory.is_none() {
            return true;
        }
        let Ok(Some(message)) = Connectionless::parse(frame.id, frame.body) else {
            self.stats.messages_malformed += 1;
            return true;
        };
        if let Some(registrar) = &mut self.registrar {
            registrar.handle(now, src, &message);
        }
        if let Some(directory) = &mut self.directory {
            directory.handle(now, src, &message);
        }
        self.drain_listing();
        true
    }

    pub(super) fn on_registrar_command(&mut self, now: Instant, command: RegistrarCommand) {
        if let Some(registrar) = &mut self.registrar {
            registrar.command(now, command);
        }
        self.drain_listing();
    }

    pub(super) fn on_resolved(&mut self, now: Instant, address: Option<SocketAddr>) {
        if let Some(registrar) = &mut self.registrar {
            registrar.handle_input(now, RegistrarInput::Resolved(address));
        }
        self.drain_listing();
    }

    pub(super) fn on_directory_command(&mut self, command: DirectoryCommand) {
        if let Some(directory) = &mut self.directory {
            directory.command(command);
        }
        self.drain_listing();
    }

    pub(super) fn on_listing_timeouts(&mut self, now: Instant) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if let Some(registrar) = self.registrar.as_mut().filter(|registrar| due(registrar.poll_timeout())) {
            registrar.handle_input(now, RegistrarInput::Timeout);
        }
        if let Some(directory) = self.directory.as_mut().filter(|directory| due(directory.poll_timeout())) {
            directory.handle_input(now, Input::Timeout);
        }
        self.drain_listing();
    }

    pub(super) fn listing_deadline(&self) -> Option<Instant> {
        let registrar = self.registrar.as_ref().and_then(|registrar| registrar.poll_timeout());
        let directory = self.directory.as_ref().and_then(|directory| directory.poll_timeout());
        [registrar, directory].into_iter().flatten().min()
    }

    fn drain_listing(&mut self) {
        while let Some(output) = self.registrar.as_mut().and_then(|registrar| registrar.poll_output()) {
            self.outputs.push_back(match output {
                RegistrarOutput::Transmit(transmit) => Output::Transmit(transmit),
                RegistrarOutput::Resolve(name) => Output::Resolve(name),
                RegistrarOutput::Status(status) => Output::Event(Event::Registration(status)),
            });
        }
        while let Some(output) = self.directory.as_mut().and_then(|directory| directory.poll_output()) {
            self.outputs.push_back(match output {
                DirectoryOutput::Transmit(transmit) => Output::Transmit(transmit),
                DirectoryOutput::Event(event) => Output::Event(Event::Directory(event)),
            });
        }
        self.wake_at(self.listing_deadline());
    }
}
