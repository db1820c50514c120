//! AMF0 from anywhere: what can be read can be written, and reads the same again.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use rtmp_core::amf::amf0::{self, Decoder};
use rtmp_core::chunk::MessageType;
use rtmp_core::message::{Aggregate, Call, Command, Control, DataFrame, Status, without_property};
use rtmp_core::{AmfLimits, Timestamp};

fuzz_target!(|data: &[u8]| {
    let bytes = Bytes::copy_from_slice(data);
    let limits = AmfLimits::default();
    let mut decoder = Decoder::new(bytes.clone(), limits);
    let mut values = Vec::new();
    let end = loop {
        let before = decoder.offset();
        match decoder.next_value() {
            Ok(Some(value)) => values.push(value),
            end => break end,
        }
        assert!(decoder.offset() > before, "each value has bytes");
        assert_eq!(decoder.remaining(), bytes.slice(decoder.offset()..));
    };
    let all = amf0::decode_all(bytes.clone(), limits);
    assert_eq!(all.is_ok(), end.is_ok());
    let mut written = BytesMut::new();
    amf0::encode_all(&values, &mut written).expect("what was read is not nested too deep");
    let again = amf0::decode_all(written.clone().freeze(), limits).expect("our own bytes");
    let mut twice = BytesMut::new();
    amf0::encode_all(&again, &mut twice).expect("the same values");
    assert_eq!(twice, written, "NaN is not equal to itself, but its bytes are");
    for value in &values {
        if let Some(status) = Status::from_value(value) {
            let _ = status.redirect_url();
            assert_eq!(Status::from_value(&status.to_value()).map(|again| again.code), Some(status.code));
        }
    }

    for kind in [MessageType::COMMAND, MessageType::COMMAND_AMF3] {
        if let Ok(command) = Command::parse(kind, &bytes, limits) {
            let _ = Call::from_command(&command);
            let payload = command.payload().expect("what was read can be written");
            let again = Command::parse(MessageType::COMMAND, &payload, limits).expect("our own bytes");
            assert_eq!(again.name, command.name);
        }
    }
    if let Some(frame) = DataFrame::recognise(&bytes).metadata() {
        if let Ok(Some(cut)) = without_property(frame, "duration") {
            assert!(cut.len() < frame.len());
            assert_eq!(without_property(&cut, "duration"), Ok(None));
        }
    }
    for kind in 0..8 {
        if let Ok(Some(control)) = Control::parse(MessageType(kind), &bytes) {
            let message = control.message();
            assert_eq!(Control::parse(message.kind, &message.payload), Ok(Some(control)));
        }
    }
    let parts: usize =
        Aggregate::new(Timestamp::ZERO, bytes.clone(), 4096).map(|part| part.payload.len() + 11).sum();
    assert!(parts <= bytes.len());
});
