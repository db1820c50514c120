//! Any datagram: a frame that parses is the frame that would be written, and a message survives its own writing.
#![no_main]

use jam_proto::message::{Connectionless, Message};
use jam_proto::wire::{Frame, FrameWriter};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut writer = FrameWriter::new();
    // The fuzzer rarely finds a checksum: besides the datagram as it is, its rest is read as the body of any message.
    if let Some(frame) = Frame::parse(data) {
        assert_eq!(writer.frame(frame.id, frame.counter, frame.body), data);
        check(frame.id, frame.body, &mut writer);
    }
    if let Some((&[a, b], body)) = data.split_first_chunk() {
        check(u16::from_le_bytes([a, b]), body, &mut writer);
    }
});

fn check(id: u16, body: &[u8], writer: &mut FrameWriter) {
    if let Ok(Some(message)) = Message::parse(id, body) {
        let datagram = message.frame(7, writer);
        let frame = Frame::parse(&datagram).expect("a written frame parses");
        assert_eq!(frame.id, id);
        assert_eq!(Message::parse(frame.id, frame.body), Ok(Some(message)));
    }
    if let Ok(Some(message)) = Connectionless::parse(id, body) {
        let datagram = message.frame(writer);
        let frame = Frame::parse(&datagram).expect("a written frame parses");
        assert_eq!(Connectionless::parse(frame.id, frame.body), Ok(Some(message)));
    }
}
