//! Bytes of hostile peers that do not wait for answers.

use bytes::{BufMut as _, BytesMut};
use rtmp_core::chunk::{ChunkWriter, Message, MessageType};
use rtmp_core::handshake::PACKET_BYTES;
use rtmp_core::message::{Command, Control};

use super::peer::{connect_command, hello, publish_command};
use crate::target::Place;

/// Bytes under construction.
#[derive(Debug)]
pub(super) struct Script {
    bytes: BytesMut,
    writer: ChunkWriter,
}

impl Script {
    /// Nothing yet.
    pub(super) fn empty() -> Self {
        Self { bytes: BytesMut::new(), writer: ChunkWriter::default() }
    }

    /// A whole handshake, without looking at what the server says.
    pub(super) fn handshake() -> Self {
        let mut script = Self::empty();
        script.bytes.put_slice(&hello());
        script.bytes.put_bytes(0, PACKET_BYTES);
        script
    }

    /// The same, then `connect` and `createStream`.
    pub(super) fn session(place: &Place) -> Self {
        Self::handshake().command(&connect_command(place), 0).command(&Command::new("createStream", 2.0), 0)
    }

    /// The same, then `play`.
    pub(super) fn play(place: &Place, stream: &str) -> Self {
        Self::session(place).command(&Command::new("play", 3.0).with(stream), 1)
    }

    /// The same, then `publish`.
    pub(super) fn publish(place: &Place, stream: &str) -> Self {
        Self::session(place).command(&publish_command(stream), 1)
    }

    pub(super) fn command(self, command: &Command, msid: u32) -> Self {
        match command.message(msid) {
            Ok(message) => self.message(&message),
            // Only values nested too deep cannot be written, and those are made by hand.
            Err(_) => self,
        }
    }

    pub(super) fn control(mut self, control: &Control) -> Self {
        self = self.message(&control.message());
        if let Control::SetChunkSize(size) = control {
            self.writer.set_chunk_size((*size).max(1));
        }
        self
    }

    pub(super) fn message(mut self, message: &Message) -> Self {
        self.writer.write(&mut self.bytes, message);
        self
    }

    /// A chunk header of format 0 that announces any length, and some payload.
    pub(super) fn chunk(mut self, csid: u32, kind: MessageType, length: u32, payload: &[u8]) -> Self {
        match csid {
            2..=63 => self.bytes.put_u8(csid as u8),
            64..=319 => {
                self.bytes.put_u8(0);
                self.bytes.put_u8((csid - 64) as u8);
            }
            _ => {
                self.bytes.put_u8(1);
                self.bytes.put_u16_le((csid - 64) as u16);
            }
        }
        self.bytes.put_uint(0, 3);
        self.bytes.put_uint(u64::from(length), 3);
        self.bytes.put_u8(kind.0);
        self.bytes.put_u32_le(1);
        self.bytes.put_slice(payload);
        self
    }

    pub(super) fn bytes(self) -> Vec<u8> {
        self.bytes.to_vec()
    }
}
