//! Every message as a typed value, from bytes and to bytes (spec 2).
//!
//! [`Message`] is what travels inside a connection and is acknowledged (see [`crate::reliable`]);
//! [`Connectionless`] is what anybody may send to anybody.

mod connectionless;
pub mod id;
mod parts;
mod props;
mod text;

pub use connectionless::Connectionless;
pub use parts::{
    ChannelInfo, ClientListEntry, Levels, Licence, MuteState, OsType, RecorderState, ReducedServerListEntry,
    Registration, RegistrationResult, ServerFeatures, ServerListEntry, VersionAndOs,
};
pub use text::{ChatText, City, Name, ServerName, Text, TextTooLong, VersionText};

use bytes::Bytes;

use crate::types::{AudioProps, ChannelId, Gain, JitterSize, Pan};
use crate::wire::{FrameWriter, Reader, Writer};

/// A message body that breaks the rules of its message; it has no effect, but a connected one is acknowledged.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("message {id}: {fault}")]
pub struct Malformed {
    /// The message's number.
    pub id: u16,
    /// The rule that is broken.
    pub fault: Fault,
}

/// What is wrong with a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The body ends inside a field.
    #[error("body is too short")]
    Short,
    /// Bytes follow the last field.
    #[error("bytes follow the last field")]
    Trailing,
    /// A text exceeds its limit.
    #[error("text is too long")]
    TextTooLong,
    /// A field has a value without meaning.
    #[error("{0} is out of range")]
    OutOfRange(&'static str),
}

/// A message inside a connection. Acknowledgements and split containers are below this level.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Message {
    /// 10: a client's jitter buffer wish, or the size the server's automatic chose.
    JitterBufferSize(JitterSize),
    /// 11: the server asks for [`Message::JitterBufferSize`].
    RequestJitterBufferSize,
    /// 13: how loud the sender wants a channel in its own mix.
    ChannelGain {
        /// Whose level.
        channel: ChannelId,
        /// How loud.
        gain: Gain,
    },
    /// 16: a client asks for [`Message::ClientList`].
    RequestClientList,
    /// 18: plain text from a client, a small HTML subset from the server.
    Chat(ChatText),
    /// 20: the audio format of both directions.
    AudioProps(AudioProps),
    /// 20 with the codec CELT, which is answered by [`Message::OpusSupported`].
    CeltProps,
    /// 21: the server asks for [`Message::AudioProps`].
    RequestAudioProps,
    /// 23: the server asks for [`Message::ChannelInfo`].
    RequestChannelInfo,
    /// 24: who is connected, in ascending order of channels. An empty list resets the receiver's mixer.
    ClientList(Vec<ClientListEntry>),
    /// 25: who the sender is.
    ChannelInfo(ChannelInfo),
    /// 26: the answer to [`Message::CeltProps`].
    OpusSupported,
    /// 27: whether the client has to show the agreement dialog.
    LicenceRequired(Licence),
    /// 28: clients still ask servers from before 3.6.0 for levels; the value is "send them".
    RequestLevels(bool),
    /// 29: what the server is.
    VersionAndOs(VersionAndOs),
    /// 30: where the sender wants a channel in its own mix.
    ChannelPan {
        /// Whose position.
        channel: ChannelId,
        /// Where.
        pan: Pan,
    },
    /// 31: a listener muted or unmuted the receiver.
    MuteStateChanged {
        /// The listener.
        channel: ChannelId,
        /// What it did.
        state: MuteState,
    },
    /// 32: the receiver's channel.
    ClientId(ChannelId),
    /// 33: whether the server records.
    RecorderState(RecorderState),
    /// 34: the server asks for [`Message::SplitSupported`].
    RequestSplitSupport,
    /// 35: the sender understands split messages.
    SplitSupported,
    /// 36: the server takes raw audio.
    RawAudioSupported,
}

impl Message {
    /// Reads a body. `Ok(None)` is a message we do not know, which has to be acknowledged and ignored.
    ///
    /// Messages without content are accepted with any body, as shipped programs do.
    ///
    /// # Errors
    /// [`Malformed`] if the body breaks the message's rules; the message has no effect then.
    pub fn parse(id: u16, body: &[u8]) -> Result<Option<Self>, Malformed> {
        Self::parse_body(id, body).map_err(|fault| Malformed { id, fault })
    }

    fn parse_body(id: u16, body: &[u8]) -> Result<Option<Self>, Fault> {
        let mut reader = Reader::new(body);
        let r = &mut reader;
        let message = match id {
            id::REQ_JITT_BUF_SIZE => return Ok(Some(Self::RequestJitterBufferSize)),
            id::REQ_CONN_CLIENTS_LIST => return Ok(Some(Self::RequestClientList)),
            id::REQ_NETW_TRANSPORT_PROPS => return Ok(Some(Self::RequestAudioProps)),
            id::REQ_CHANNEL_INFOS => return Ok(Some(Self::RequestChannelInfo)),
            id::OPUS_SUPPORTED => return Ok(Some(Self::OpusSupported)),
            id::REQ_SPLIT_MESS_SUPPORT => return Ok(Some(Self::RequestSplitSupport)),
            id::SPLIT_MESS_SUPPORTED => return Ok(Some(Self::SplitSupported)),
            id::RAWAUDIO_SUPPORTED => return Ok(Some(Self::RawAudioSupported)),

            id::JITT_BUF_SIZE => Self::JitterBufferSize(
                JitterSize::from_wire(r.u16()?).ok_or(Fault::OutOfRange("jitter buffer size"))?,
            ),
            id::CHANNEL_GAIN => Self::ChannelGain { channel: parts::channel(r)?, gain: Gain(r.u16()?) },
            id::CHANNEL_PAN => Self::ChannelPan { channel: parts::channel(r)?, pan: Pan::new(r.u16()?) },
            id::CHAT_TEXT => Self::Chat(r.text()?),
            id::NETW_TRANSPORT_PROPS => match props::parse(r)? {
                props::Props::Opus(props) => Self::AudioProps(props),
                props::Props::Celt => Self::CeltProps,
            },
            id::CONN_CLIENTS_LIST => Self::ClientList(parse_list(r, ClientListEntry::parse)?),
            id::CHANNEL_INFOS => Self::ChannelInfo(ChannelInfo::parse(r)?),
            id::LICENCE_REQUIRED => Self::LicenceRequired(match r.u8()? {
                0 => Licence::None,
                1 => Licence::Required,
                _ => return Err(Fault::OutOfRange("licence")),
            }),
            id::REQ_CHANNEL_LEVEL_LIST => Self::RequestLevels(r.u8()? != 0),
            id::VERSION_AND_OS => Self::VersionAndOs(VersionAndOs::parse(r)?),
            id::MUTE_STATE_CHANGED => Self::MuteStateChanged {
                channel: parts::channel(r)?,
                state: if r.u8()? == 0 { MuteState::Unmuted } else { MuteState::Muted },
            },
            id::CLIENT_ID => Self::ClientId(parts::channel(r)?),
            id::RECORDER_STATE => Self::RecorderState(RecorderState::parse(r)?),
            _ => return Ok(None),
        };
        reader.end()?;
        Ok(Some(message))
    }

    /// The message's number on the wire.
    #[must_use]
    pub const fn id(&self) -> u16 {
        match self {
            Self::JitterBufferSize(_) => id::JITT_BUF_SIZE,
            Self::RequestJitterBufferSize => id::REQ_JITT_BUF_SIZE,
            Self::ChannelGain { .. } => id::CHANNEL_GAIN,
            Self::RequestClientList => id::REQ_CONN_CLIENTS_LIST,
            Self::Chat(_) => id::CHAT_TEXT,
            Self::AudioProps(_) | Self::CeltProps => id::NETW_TRANSPORT_PROPS,
            Self::RequestAudioProps => id::REQ_NETW_TRANSPORT_PROPS,
            Self::RequestChannelInfo => id::REQ_CHANNEL_INFOS,
            Self::ClientList(_) => id::CONN_CLIENTS_LIST,
            Self::ChannelInfo(_) => id::CHANNEL_INFOS,
            Self::OpusSupported => id::OPUS_SUPPORTED,
            Self::LicenceRequired(_) => id::LICENCE_REQUIRED,
            Self::RequestLevels(_) => id::REQ_CHANNEL_LEVEL_LIST,
            Self::VersionAndOs(_) => id::VERSION_AND_OS,
            Self::ChannelPan { .. } => id::CHANNEL_PAN,
            Self::MuteStateChanged { .. } => id::MUTE_STATE_CHANGED,
            Self::ClientId(_) => id::CLIENT_ID,
            Self::RecorderState(_) => id::RECORDER_STATE,
            Self::RequestSplitSupport => id::REQ_SPLIT_MESS_SUPPORT,
            Self::SplitSupported => id::SPLIT_MESS_SUPPORTED,
            Self::RawAudioSupported => id::RAWAUDIO_SUPPORTED,
        }
    }

    /// Writes the body. A list that exceeds what receivers can read loses entries at its end (spec 2.5).
    pub fn emit(&self, writer: &mut Writer<'_>) {
        match self {
            Self::RequestJitterBufferSize
            | Self::RequestClientList
            | Self::RequestAudioProps
            | Self::RequestChannelInfo
            | Self::OpusSupported
            | Self::RequestSplitSupport
            | Self::SplitSupported
            | Self::RawAudioSupported => {}
            Self::JitterBufferSize(size) => writer.put_u16(size.wire()),
            Self::ChannelGain { channel, gain } => {
                writer.put_u8(channel.number());
                writer.put_u16(gain.0);
            }
            Self::Chat(text) => writer.put_text(text),
            Self::AudioProps(props) => props::emit(props, writer),
            Self::CeltProps => props::emit_celt(writer),
            Self::ClientList(list) => {
                emit_list(list, ClientListEntry::wire_bytes, ClientListEntry::emit, writer);
            }
            Self::ChannelInfo(info) => info.emit(writer),
            Self::LicenceRequired(licence) => writer.put_u8(match licence {
                Licence::None => 0,
                Licence::Required => 1,
            }),
            Self::RequestLevels(wanted) => writer.put_u8(u8::from(*wanted)),
            Self::VersionAndOs(version) => version.emit(writer),
            Self::ChannelPan { channel, pan } => {
                writer.put_u8(channel.number());
                writer.put_u16(pan.wire());
            }
            Self::MuteStateChanged { channel, state } => {
                writer.put_u8(channel.number());
                writer.put_u8(match state {
                    MuteState::Unmuted => 0,
                    MuteState::Muted => 1,
                });
            }
            Self::ClientId(channel) => writer.put_u8(channel.number()),
            Self::RecorderState(state) => writer.put_u8(state.wire()),
        }
    }

    /// The body alone, to be queued and framed later.
    pub fn body(&self, writer: &mut FrameWriter) -> Bytes {
        writer.body_with(|writer| self.emit(writer))
    }

    /// A complete frame.
    pub fn frame(&self, counter: u8, writer: &mut FrameWriter) -> Bytes {
        writer.frame_with(self.id(), counter, |writer| self.emit(writer))
    }
}

fn parse_list<T>(
    reader: &mut Reader<'_>,
    entry: impl Fn(&mut Reader<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut list = Vec::new();
    while !reader.is_empty() {
        list.push(entry(reader)?);
    }
    Ok(list)
}

/// Writes entries as long as they fit completely.
fn emit_list<T>(
    list: &[T],
    wire_bytes: impl Fn(&T) -> usize,
    emit: impl Fn(&T, &mut Writer<'_>),
    writer: &mut Writer<'_>,
) {
    for entry in list {
        if wire_bytes(entry) > writer.room() {
            break;
        }
        emit(entry, writer);
    }
}
