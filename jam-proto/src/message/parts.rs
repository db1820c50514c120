//! Values that messages consist of.

use std::net::{Ipv4Addr, SocketAddrV4};

use smallvec::SmallVec;

use super::{City, Fault, Name, ServerName, Text, VersionText};
use crate::tables::{Country, Instrument, Skill};
use crate::types::ChannelId;
use crate::wire::{Reader, Writer};

/// Who a musician is (message 25). Numbers are relayed unchanged, whatever they are.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct ChannelInfo {
    /// Where the musician is at home.
    pub country: Country,
    /// What the musician plays.
    pub instrument: Instrument,
    /// How well.
    pub skill: Skill,
    /// The name under the fader.
    pub name: Name,
    /// Where the musician is.
    pub city: City,
}

impl ChannelInfo {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self {
            country: Country(reader.u16()?),
            instrument: Instrument(reader.u32()?),
            skill: Skill(reader.u8()?),
            name: reader.text()?,
            city: reader.text()?,
        })
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) {
        writer.put_u16(self.country.0);
        writer.put_u32(self.instrument.0);
        writer.put_u8(self.skill.0);
        writer.put_text(&self.name);
        writer.put_text(&self.city);
    }
}

/// One line of a client list (messages 24 and 1013).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientListEntry {
    /// The musician's channel.
    pub channel: ChannelId,
    /// The musician.
    pub info: ChannelInfo,
}

impl ClientListEntry {
    /// Everything but the two texts.
    const FIXED_BYTES: usize = 1 + 2 + 4 + 1 + 4 + 2 + 2;

    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let channel = channel(reader)?;
        let country = Country(reader.u16()?);
        let instrument = Instrument(reader.u32()?);
        let skill = Skill(reader.u8()?);
        let _formerly_address = reader.u32()?;
        let info = ChannelInfo { country, instrument, skill, name: reader.text()?, city: reader.text()? };
        Ok(Self { channel, info })
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) {
        writer.put_u8(self.channel.number());
        writer.put_u16(self.info.country.0);
        writer.put_u32(self.info.instrument.0);
        writer.put_u8(self.info.skill.0);
        writer.put_u32(0);
        writer.put_text(&self.info.name);
        writer.put_text(&self.info.city);
    }

    pub(super) fn wire_bytes(&self) -> usize {
        Self::FIXED_BYTES.saturating_add(self.info.name.len()).saturating_add(self.info.city.len())
    }
}

pub(super) fn channel(reader: &mut Reader<'_>) -> Result<ChannelId, Fault> {
    ChannelId::new(reader.u8()?).ok_or(Fault::OutOfRange("channel"))
}

/// What a program says about itself (messages 29 and 1011).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct VersionAndOs {
    /// The operating system it runs on.
    pub os: OsType,
    /// Its version.
    pub version: VersionText,
}

impl VersionAndOs {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self { os: OsType(reader.u8()?), version: reader.text()? })
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) {
        writer.put_u8(self.os.0);
        writer.put_text(&self.version);
    }

    /// The leading `a.b.c` of the version, which is all that peers compare; missing numbers are 0.
    ///
    /// ```
    /// use jam_proto::message::{OsType, VersionAndOs, VersionText};
    ///
    /// let server = VersionAndOs { os: OsType::LINUX, version: VersionText::cut("3.12.4dev-nogit") };
    /// assert_eq!(server.numbers(), [3, 12, 4]);
    /// assert!(server.numbers() >= [3, 6, 0]);
    /// ```
    #[must_use]
    pub fn numbers(&self) -> [u32; 3] {
        let mut numbers = [0_u32; 3];
        let mut rest = self.version.as_str();
        for number in &mut numbers {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (text, tail) = rest.split_at_checked(digits).unwrap_or((rest, ""));
            let Ok(value) = text.parse() else { break };
            *number = value;
            let Some(tail) = tail.strip_prefix('.') else { break };
            rest = tail;
        }
        numbers
    }
}

/// An operating system by its number on the wire; unknown numbers are kept.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OsType(pub u8);

impl OsType {
    /// Windows.
    pub const WINDOWS: Self = Self(0);
    /// macOS.
    pub const MACOS: Self = Self(1);
    /// Linux.
    pub const LINUX: Self = Self(2);
    /// Android.
    pub const ANDROID: Self = Self(3);
    /// iOS.
    pub const IOS: Self = Self(4);
    /// Another Unix.
    pub const UNIX: Self = Self(5);
}

/// Whether a server records (message 33).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RecorderState {
    /// The server has no recording directory.
    NotInitialised,
    /// The server could record, but does not.
    NotEnabled,
    /// Everything is being recorded.
    Recording,
}

impl RecorderState {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        match reader.u8()? {
            1 => Ok(Self::NotInitialised),
            2 => Ok(Self::NotEnabled),
            3 => Ok(Self::Recording),
            _ => Err(Fault::OutOfRange("recorder state")),
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn wire(self) -> u8 {
        match self {
            Self::NotInitialised => 1,
            Self::NotEnabled => 2,
            Self::Recording => 3,
        }
    }
}

/// Whether a listener hears a channel (message 31).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum MuteState {
    /// The fader is above zero.
    Unmuted,
    /// The fader is at zero.
    Muted,
}

/// Whether a musician must agree to something before playing (message 27).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Licence {
    /// Nothing to agree to.
    None,
    /// The client shows the agreement dialog.
    Required,
}

/// Level meters in list order, 0 to 9 each, at most 150 of them (message 1015).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Levels(SmallVec<[u8; 32]>);

impl Levels {
    /// What fills the last byte of an odd number of levels.
    const FILLER: u8 = 0xF;
    const LEVEL_MAX: u8 = 9;

    /// Levels in ascending order of channels. Values above 9 become 9; what exceeds 150 channels is left out.
    pub fn new(levels: impl IntoIterator<Item = u8>) -> Self {
        let levels = levels.into_iter().take(ChannelId::COUNT_MAX);
        Self(levels.map(|level| level.min(Self::LEVEL_MAX)).collect())
    }

    /// The levels, one per channel of the client list.
    #[must_use]
    pub fn values(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn parse(body: &[u8]) -> Result<Self, Fault> {
        if body.len() > ChannelId::COUNT_MAX / 2 {
            return Err(Fault::OutOfRange("number of levels"));
        }
        let mut levels: SmallVec<[u8; 32]> = body.iter().flat_map(|byte| [byte & 0xF, byte >> 4]).collect();
        if levels.last() == Some(&Self::FILLER) {
            levels.pop();
        }
        if levels.iter().any(|&level| level > Self::LEVEL_MAX) {
            return Err(Fault::OutOfRange("level"));
        }
        Ok(Self(levels))
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) {
        for pair in self.0.chunks(2) {
            match *pair {
                [first, second] => writer.put_u8(first | second << 4),
                [last] => writer.put_u8(last | Self::FILLER << 4),
                _ => {}
            }
        }
    }
}

/// What a server tells a directory about itself (messages 1004 and 1017).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Registration {
    /// The port in the server's own network.
    pub internal_port: u16,
    /// The country it is in.
    pub country: Country,
    /// How many channels it has.
    pub clients_max: u8,
    /// Whether the server claims to be always on.
    pub permanent: bool,
    /// Its name.
    pub name: ServerName,
    /// Its address in its own network; servers of long ago leave it out.
    pub internal_address: Option<Ipv4Addr>,
    /// Where it is.
    pub city: City,
}

impl Registration {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self {
            internal_port: reader.u16()?,
            country: Country(reader.u16()?),
            clients_max: reader.u8()?,
            permanent: reader.u8()? != 0,
            name: reader.text()?,
            internal_address: parse_address_text(&reader.text::<15>()?)?,
            city: reader.text()?,
        })
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) {
        writer.put_u16(self.internal_port);
        writer.put_u16(self.country.0);
        writer.put_u8(self.clients_max);
        writer.put_u8(u8::from(self.permanent));
        writer.put_text(&self.name);
        let address = self.internal_address.map(|address| address.to_string()).unwrap_or_default();
        writer.put_text(&Text::<15>::cut(&address));
        writer.put_text(&self.city);
    }
}

fn parse_address_text(text: &str) -> Result<Option<Ipv4Addr>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| Fault::OutOfRange("internal address"))
}

/// What a directory says to a registration (message 1016).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RegistrationResult {
    /// The server is on the list.
    Registered,
    /// The list is full.
    ListFull,
    /// The server is too old for this directory.
    VersionTooOld,
    /// The server is not on the directory's white list.
    RequirementsNotFulfilled,
}

impl RegistrationResult {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        match reader.u8()? {
            0 => Ok(Self::Registered),
            1 => Ok(Self::ListFull),
            2 => Ok(Self::VersionTooOld),
            3 => Ok(Self::RequirementsNotFulfilled),
            _ => Err(Fault::OutOfRange("registration result")),
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn wire(self) -> u8 {
        match self {
            Self::Registered => 0,
            Self::ListFull => 1,
            Self::VersionTooOld => 2,
            Self::RequirementsNotFulfilled => 3,
        }
    }
}

/// One server of a directory's list (message 1006).
///
/// The first entry is the directory itself, with address 0.0.0.0 and port 0.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerListEntry {
    /// Where the server is reached.
    pub address: SocketAddrV4,
    /// The country it is in.
    pub country: Country,
    /// How many channels it has.
    pub clients_max: u8,
    /// Whether the server claims to be always on.
    pub permanent: bool,
    /// Its name.
    pub name: ServerName,
    /// Where it is.
    pub city: City,
}

impl ServerListEntry {
    /// Everything but the two texts; the third string is always empty.
    pub(crate) const FIXED_BYTES: usize = 4 + 2 + 2 + 1 + 1 + 2 + 2 + 2;

    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let address = parse_socket_address(reader)?;
        let country = Country(reader.u16()?);
        let clients_max = reader.u8()?;
        let permanent = reader.u8()? != 0;
        let name = reader.text()?;
        let unused_bytes = reader.u16()?;
        reader.bytes(usize::from(unused_bytes))?;
        Ok(Self { address, country, clients_max, permanent, name, city: reader.text()? })
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) {
        emit_socket_address(self.address, writer);
        writer.put_u16(self.country.0);
        writer.put_u8(self.clients_max);
        writer.put_u8(u8::from(self.permanent));
        writer.put_text(&self.name);
        writer.put_u16(0);
        writer.put_text(&self.city);
    }

    pub(super) fn wire_bytes(&self) -> usize {
        Self::FIXED_BYTES.saturating_add(self.name.len()).saturating_add(self.city.len())
    }
}

/// One server of a directory's reduced list (message 1018).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReducedServerListEntry {
    /// Where the server is reached.
    pub address: SocketAddrV4,
    /// Its name.
    pub name: ServerName,
}

impl ReducedServerListEntry {
    pub(crate) const FIXED_BYTES: usize = 4 + 2 + 1;

    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self { address: parse_socket_address(reader)?, name: reader.short_text()? })
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) {
        emit_socket_address(self.address, writer);
        writer.put_short_text(&self.name);
    }

    pub(super) fn wire_bytes(&self) -> usize {
        Self::FIXED_BYTES.saturating_add(self.name.len())
    }
}

pub(super) fn parse_socket_address(reader: &mut Reader<'_>) -> Result<SocketAddrV4, Fault> {
    let address = Ipv4Addr::from(reader.u32()?);
    Ok(SocketAddrV4::new(address, reader.u16()?))
}

pub(super) fn emit_socket_address(address: SocketAddrV4, writer: &mut Writer<'_>) {
    writer.put_u32(u32::from(*address.ip()));
    writer.put_u16(address.port());
}

/// What a server can do, as bits (message 1019). Unknown bits are kept.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct ServerFeatures(pub u32);

impl ServerFeatures {
    /// Mixes in steps of 64 samples.
    pub const FAST_UPDATE: Self = Self(1 << 0);
    /// Mixes on several threads.
    pub const MULTITHREADING: Self = Self(1 << 1);
    /// Has a recording directory.
    pub const RECORDER_DIRECTORY: Self = Self(1 << 2);
    /// Records.
    pub const RECORDING: Self = Self(1 << 3);
    /// Pans with delays.
    pub const DELAY_PANNING: Self = Self(1 << 4);
    /// Listens on IPv6.
    pub const IPV6: Self = Self(1 << 5);
    /// Takes raw audio.
    pub const RAW_AUDIO: Self = Self(1 << 6);
    /// Tells clients to leave when it stops.
    pub const DISCONNECT_ON_QUIT: Self = Self(1 << 7);
    /// Has a welcome message.
    pub const WELCOME_MESSAGE: Self = Self(1 << 8);
    /// Writes a connection log.
    pub const LOGGING: Self = Self(1 << 9);
    /// Wants an agreement.
    pub const LICENCE_REQUIRED: Self = Self(1 << 10);

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_leading_numbers_of_a_version_count() {
        let numbers =
            |text: &str| VersionAndOs { os: OsType::LINUX, version: VersionText::cut(text) }.numbers();
        assert_eq!(numbers("3.9.1"), [3, 9, 1]);
        assert_eq!(numbers("3.12.4dev-nogit"), [3, 12, 4]);
        assert_eq!(numbers("4"), [4, 0, 0]);
        assert_eq!(numbers("3.6"), [3, 6, 0]);
        assert_eq!(numbers("git"), [0, 0, 0]);
        assert_eq!(numbers("99999999999.1"), [0, 0, 0]);
    }

    #[test]
    fn levels_fill_the_last_byte_of_an_odd_number() {
        assert_eq!(Levels::parse(&[0x21, 0xF9]), Ok(Levels::new([1, 2, 9])));
        assert_eq!(Levels::new(vec![200; 500]).values(), [9; 150]);
        assert!(Levels::parse(&[0; 76]).is_err());
        assert!(Levels::parse(&[0xF0, 0x00]).is_err());
    }
}
