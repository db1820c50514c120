//! Messages between programs that need no connection: pings, lists, registration (spec 2.3, 2.4).

use std::net::SocketAddrV4;

use bytes::Bytes;

use super::parts::{emit_socket_address, parse_socket_address};
use super::{
    ChatText, ClientListEntry, Fault, Levels, Malformed, ReducedServerListEntry, Registration,
    RegistrationResult, ServerFeatures, ServerListEntry, VersionAndOs, emit_list, id, parse_list,
};
use crate::wire::{FrameWriter, Reader, Writer};

/// A message that needs no connection and is never acknowledged.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Connectionless {
    /// 1001: returned unchanged by servers.
    Ping {
        /// The sender's clock, opaque to the server.
        time_ms: u32,
    },
    /// 1002: returned by servers with their number of clients.
    PingWithClients {
        /// The sender's clock, opaque to the server.
        time_ms: u32,
        /// The number of connected clients, in answers.
        clients: u8,
    },
    /// 1003: no channel is free.
    ServerFull,
    /// 1004: registration of servers before 3.5.9.
    RegisterServer(Registration),
    /// 1005: takes the sender off the list.
    UnregisterServer,
    /// 1006: a directory's list.
    ServerList(Vec<ServerListEntry>),
    /// 1007: asks a directory for its lists.
    RequestServerList,
    /// 1008: a directory asks a registered server to send [`Connectionless::Empty`] to this address.
    SendEmpty(SocketAddrV4),
    /// 1009: opens a NAT; has no effect at the receiver.
    Empty,
    /// 1010: the sender leaves.
    Disconnection,
    /// 1011: what the sender is.
    VersionAndOs(VersionAndOs),
    /// 1012: asks for [`Connectionless::VersionAndOs`].
    RequestVersionAndOs,
    /// 1013: who is connected.
    ClientList(Vec<ClientListEntry>),
    /// 1014: asks for [`Connectionless::ClientList`].
    RequestClientList,
    /// 1015: level meters in the order of the client list.
    Levels(Levels),
    /// 1016: what the directory decided.
    RegistrationResult(RegistrationResult),
    /// 1017: registration with version.
    RegisterServerEx(Registration, VersionAndOs),
    /// 1018: a directory's list with fewer fields.
    ReducedServerList(Vec<ReducedServerListEntry>),
    /// 1019: what the server can do.
    ServerFeatures(ServerFeatures),
    /// 1020: asks for [`Connectionless::ServerFeatures`].
    RequestServerFeatures,
    /// 1021: the bare welcome message; empty if there is none.
    WelcomeMessage(ChatText),
    /// 1022: asks for [`Connectionless::WelcomeMessage`].
    RequestWelcomeMessage,
}

impl Connectionless {
    /// Reads a body. `Ok(None)` is a message we do not know; it is ignored.
    ///
    /// Messages without content are accepted with any body, as shipped programs do.
    ///
    /// # Errors
    /// [`Malformed`] if the body breaks the message's rules; nobody answers such a message.
    pub fn parse(id: u16, body: &[u8]) -> Result<Option<Self>, Malformed> {
        Self::parse_body(id, body).map_err(|fault| Malformed { id, fault })
    }

    fn parse_body(id: u16, body: &[u8]) -> Result<Option<Self>, Fault> {
        let mut reader = Reader::new(body);
        let r = &mut reader;
        let message = match id {
            id::CLM_SERVER_FULL => return Ok(Some(Self::ServerFull)),
            id::CLM_UNREGISTER_SERVER => return Ok(Some(Self::UnregisterServer)),
            id::CLM_REQ_SERVER_LIST => return Ok(Some(Self::RequestServerList)),
            id::CLM_EMPTY_MESSAGE => return Ok(Some(Self::Empty)),
            id::CLM_DISCONNECTION => return Ok(Some(Self::Disconnection)),
            id::CLM_REQ_VERSION_AND_OS => return Ok(Some(Self::RequestVersionAndOs)),
            id::CLM_REQ_CONN_CLIENTS_LIST => return Ok(Some(Self::RequestClientList)),
            id::CLM_REQ_SERVER_FEATURES => return Ok(Some(Self::RequestServerFeatures)),
            id::CLM_REQ_WELCOME_MESSAGE => return Ok(Some(Self::RequestWelcomeMessage)),
            id::CLM_CHANNEL_LEVEL_LIST => {
                return Levels::parse(body).map(|levels| Some(Self::Levels(levels)));
            }

            id::CLM_PING_MS => Self::Ping { time_ms: r.u32()? },
            id::CLM_PING_MS_WITHNUMCLIENTS => Self::PingWithClients { time_ms: r.u32()?, clients: r.u8()? },
            id::CLM_REGISTER_SERVER => Self::RegisterServer(Registration::parse(r)?),
            id::CLM_SERVER_LIST => Self::ServerList(parse_list(r, ServerListEntry::parse)?),
            id::CLM_SEND_EMPTY_MESSAGE => Self::SendEmpty(parse_socket_address(r)?),
            id::CLM_VERSION_AND_OS => Self::VersionAndOs(VersionAndOs::parse(r)?),
            id::CLM_CONN_CLIENTS_LIST => Self::ClientList(parse_list(r, ClientListEntry::parse)?),
            id::CLM_REGISTER_SERVER_RESP => Self::RegistrationResult(RegistrationResult::parse(r)?),
            id::CLM_REGISTER_SERVER_EX => {
                Self::RegisterServerEx(Registration::parse(r)?, VersionAndOs::parse(r)?)
            }
            id::CLM_RED_SERVER_LIST => Self::ReducedServerList(parse_list(r, ReducedServerListEntry::parse)?),
            id::CLM_SERVER_FEATURES => Self::ServerFeatures(ServerFeatures(r.u32()?)),
            id::CLM_WELCOME_MESSAGE => Self::WelcomeMessage(r.text()?),
            _ => return Ok(None),
        };
        reader.end()?;
        Ok(Some(message))
    }

    /// The message's number on the wire.
    #[must_use]
    pub const fn id(&self) -> u16 {
        match self {
            Self::Ping { .. } => id::CLM_PING_MS,
            Self::PingWithClients { .. } => id::CLM_PING_MS_WITHNUMCLIENTS,
            Self::ServerFull => id::CLM_SERVER_FULL,
            Self::RegisterServer(_) => id::CLM_REGISTER_SERVER,
            Self::UnregisterServer => id::CLM_UNREGISTER_SERVER,
            Self::ServerList(_) => id::CLM_SERVER_LIST,
            Self::RequestServerList => id::CLM_REQ_SERVER_LIST,
            Self::SendEmpty(_) => id::CLM_SEND_EMPTY_MESSAGE,
            Self::Empty => id::CLM_EMPTY_MESSAGE,
            Self::Disconnection => id::CLM_DISCONNECTION,
            Self::VersionAndOs(_) => id::CLM_VERSION_AND_OS,
            Self::RequestVersionAndOs => id::CLM_REQ_VERSION_AND_OS,
            Self::ClientList(_) => id::CLM_CONN_CLIENTS_LIST,
            Self::RequestClientList => id::CLM_REQ_CONN_CLIENTS_LIST,
            Self::Levels(_) => id::CLM_CHANNEL_LEVEL_LIST,
            Self::RegistrationResult(_) => id::CLM_REGISTER_SERVER_RESP,
            Self::RegisterServerEx(..) => id::CLM_REGISTER_SERVER_EX,
            Self::ReducedServerList(_) => id::CLM_RED_SERVER_LIST,
            Self::ServerFeatures(_) => id::CLM_SERVER_FEATURES,
            Self::RequestServerFeatures => id::CLM_REQ_SERVER_FEATURES,
            Self::WelcomeMessage(_) => id::CLM_WELCOME_MESSAGE,
            Self::RequestWelcomeMessage => id::CLM_REQ_WELCOME_MESSAGE,
        }
    }

    /// Writes the body. A list that exceeds what receivers can read loses entries at its end (spec 2.5).
    pub fn emit(&self, writer: &mut Writer<'_>) {
        match self {
            Self::ServerFull
            | Self::UnregisterServer
            | Self::RequestServerList
            | Self::Empty
            | Self::Disconnection
            | Self::RequestVersionAndOs
            | Self::RequestClientList
            | Self::RequestServerFeatures
            | Self::RequestWelcomeMessage => {}
            Self::Ping { time_ms } => writer.put_u32(*time_ms),
            Self::PingWithClients { time_ms, clients } => {
                writer.put_u32(*time_ms);
                writer.put_u8(*clients);
            }
            Self::RegisterServer(registration) => registration.emit(writer),
            Self::ServerList(list) => {
                emit_list(list, ServerListEntry::wire_bytes, ServerListEntry::emit, writer);
            }
            Self::SendEmpty(address) => emit_socket_address(*address, writer),
            Self::VersionAndOs(version) => version.emit(writer),
            Self::ClientList(list) => {
                emit_list(list, ClientListEntry::wire_bytes, ClientListEntry::emit, writer);
            }
            Self::Levels(levels) => levels.emit(writer),
            Self::RegistrationResult(result) => writer.put_u8(result.wire()),
            Self::RegisterServerEx(registration, version) => {
                registration.emit(writer);
                version.emit(writer);
            }
            Self::ReducedServerList(list) => {
                emit_list(list, ReducedServerListEntry::wire_bytes, ReducedServerListEntry::emit, writer);
            }
            Self::ServerFeatures(features) => writer.put_u32(features.0),
            Self::WelcomeMessage(text) => writer.put_text(text),
        }
    }

    /// A complete frame, ready to be sent.
    pub fn frame(&self, writer: &mut FrameWriter) -> Bytes {
        writer.frame_with(self.id(), 0, |writer| self.emit(writer))
    }
}
