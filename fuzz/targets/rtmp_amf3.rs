//! AMF3 from anywhere: what can be read can be written, and reads the same again.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use rtmp_core::AmfLimits;
use rtmp_core::amf::amf3::{self, Value};

fn write(values: &[Value]) -> Bytes {
    let mut out = BytesMut::new();
    for value in values {
        amf3::encode(value, &mut out).expect("what was read can be written");
    }
    out.freeze()
}

fuzz_target!(|data: &[u8]| {
    let limits = AmfLimits::default();
    let Ok(values) = amf3::decode_all(Bytes::copy_from_slice(data), limits) else { return };
    let written = write(&values);
    let again = amf3::decode_all(written.clone(), limits).expect("our own bytes");
    assert_eq!(again.len(), values.len());
    // Compared as bytes, because NaN is not equal to itself.
    assert_eq!(write(&again), written);
});
