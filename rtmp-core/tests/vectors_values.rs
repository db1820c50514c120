//! AMF, control messages, commands, media headers, aggregates, FLV and URLs against the conformance vectors.

mod common;

use bytes::{Bytes, BytesMut};
use common::{amf0_value, amf3_value, encoded, field, hex, number, same_bytes, vectors};
use rtmp_core::amf::{amf0, amf3};
use rtmp_core::media::{
    AudioCodec, AudioPacket, AudioTag, ChannelOrder, FourCc, FrameKind, MediaRole, MultitrackKind,
    VideoCodec, VideoPacket, VideoTag,
};
use rtmp_core::message::{
    Aggregate, BandwidthLimit, Command, Control, DataFrame, MessageType, SAMPLE_ACCESS, UserControl,
};
use rtmp_core::{AmfLimits, Media, MediaKind, StreamUrl, Timestamp, flv};
use serde_json::Value as Json;

fn cases(section: &str) -> Vec<Json> {
    vectors(section).as_array().expect("cases").clone()
}

fn wire_of(case: &Json) -> Bytes {
    let Some(prefix) = case["hex_prefix"].as_str() else { return hex(field(case, "hex")).into() };
    let mut wire = hex(prefix);
    wire.extend(std::iter::repeat_n(hex(field(case, "fill"))[0], number(case, "fill_count") as usize));
    wire.into()
}

#[test]
fn amf0_values_are_read_and_written() {
    let mut good = 0;
    for case in cases("amf0") {
        let name = field(&case, "name");
        let wire = wire_of(&case);
        let decoded = amf0::decode_all(wire.clone(), AmfLimits::data());
        if let Some(error) = case["error"].as_str() {
            assert!(decoded.is_err(), "{name} must be refused: {error}");
            continue;
        }
        let values = decoded.expect(name);
        assert_eq!(values.len(), 1, "{name}");
        if case["value"]["v"].is_null() {
            if let Some(length) = case["value"]["len"].as_u64() {
                assert_eq!(values[0].as_text().expect("text").len() as u64, length);
            }
        } else {
            assert!(same_bytes(&values[0], &amf0_value(&case["value"])), "{name}: {values:?}");
        }
        if case["roundtrip"] == true {
            assert_eq!(encoded(&values[0]), wire, "{name}");
        }
        good += 1;
    }
    assert_eq!(good, 50 - 12);
}

#[test]
fn amf3_values_are_read_and_written() {
    for case in cases("amf3") {
        let name = field(&case, "name");
        let wire = wire_of(&case);
        let decoded = amf3::decode_all(wire.clone(), AmfLimits::default());
        if case["error"].is_string() {
            assert!(decoded.is_err(), "{name}");
            continue;
        }
        assert_eq!(decoded.expect(name), [amf3_value(&case["value"])], "{name}");
        let mut out = BytesMut::new();
        amf3::encode(&amf3_value(&case["value"]), &mut out).expect(name);
        assert_eq!(out, wire, "{name}");
    }
}

#[test]
fn control_messages_are_read_and_written() {
    for case in cases("control") {
        let name = field(&case, "name");
        let payload = Bytes::from(hex(field(&case, "payload")));
        let kind = MessageType(number(&case, "type") as u8);
        let decoded = &case["decoded"];
        let value = |key| number(decoded, key);
        let control = Control::parse(kind, &payload).expect(name).expect("a control message");
        let expected = match kind.0 {
            1 => Control::SetChunkSize(value("size")),
            2 => Control::Abort(value("csid")),
            3 => Control::Acknowledgement(value("sequence")),
            5 => Control::WindowAckSize(value("window")),
            6 => {
                let limit = match field(decoded, "limit") {
                    "hard" => BandwidthLimit::Hard,
                    "soft" => BandwidthLimit::Soft,
                    _ => BandwidthLimit::Dynamic,
                };
                Control::SetPeerBandwidth { window: value("window"), limit }
            }
            _ => Control::UserControl(match value("event") {
                0 => UserControl::StreamBegin(value("msid")),
                1 => UserControl::StreamEof(value("msid")),
                2 => UserControl::StreamDry(value("msid")),
                3 => UserControl::SetBufferLength { msid: value("msid"), millis: value("ms") },
                4 => UserControl::StreamIsRecorded(value("msid")),
                6 => UserControl::PingRequest(value("time")),
                7 => UserControl::PingResponse(value("time")),
                0x1f => UserControl::BufferEmpty(value("msid")),
                0x20 => UserControl::BufferFull(value("msid")),
                event => UserControl::Other { event: event as u16, data: payload.slice(2..) },
            }),
        };
        assert_eq!(control, expected, "{name}");
        let mut wire = BytesMut::new();
        assert!(rtmp_core::chunk::ChunkWriter::default().write(&mut wire, &control.message()));
        assert_eq!(wire[..], hex(field(&case, "wire"))[..], "{name}");
    }
}

#[test]
fn commands_and_data_are_read_and_written() {
    for case in cases("commands") {
        let name = field(&case, "name");
        let kind = MessageType(number(&case, "type") as u8);
        let payload = Bytes::from(hex(field(&case, "payload")));
        if case["values"].is_null() {
            assert_eq!(DataFrame::recognise(&payload), DataFrame::Opaque, "{name}");
            continue;
        }
        let expected: Vec<_> = case["values"].as_array().expect("values").iter().map(amf0_value).collect();
        let plain = if kind.0 == 17 || kind.0 == 15 {
            if payload[0] == 0 { payload.slice(1..) } else { payload.clone() }
        } else {
            payload.clone()
        };
        let values = amf0::decode_all(plain.clone(), AmfLimits::default()).expect(name);
        assert_eq!(values, expected, "{name}");
        let mut out = BytesMut::new();
        amf0::encode_all(&values, &mut out).expect(name);
        assert_eq!(out, plain, "{name}");
        if kind == MessageType::COMMAND || kind == MessageType::COMMAND_AMF3 {
            let command = Command::parse(kind, &payload, AmfLimits::default()).expect(name);
            assert_eq!(Some(&command.name), expected[0].as_text(), "{name}");
            assert_eq!(command.payload().expect(name), plain, "{name}");
        }
        if name == "sample_access" {
            assert_eq!(payload, SAMPLE_ACCESS);
        }
    }
}

fn codec_name(codec: VideoCodec) -> String {
    match codec {
        VideoCodec::AVC => "avc".into(),
        VideoCodec::HEVC => "hevc_legacy_id12".into(),
        VideoCodec::Legacy(2) => "h263".into(),
        VideoCodec::Legacy(other) => format!("legacy {other}"),
        VideoCodec::FourCc(fourcc) => fourcc.to_string(),
    }
}

fn check_video(name: &str, payload: &[u8], expect: &Json) {
    let parsed = VideoTag::parse(payload);
    if expect["error"].is_string() || expect["empty"] == true {
        assert!(parsed.is_err(), "{name}");
        let role = MediaRole::of(MediaKind::Video, payload);
        assert_eq!(role, if payload.is_empty() { MediaRole::Empty } else { MediaRole::Unreadable }, "{name}");
        return;
    }
    let tag = parsed.expect(name);
    if let Some(codec) = expect["codec"].as_str() {
        assert_eq!(codec_name(tag.codec.expect(name)), codec, "{name}");
    }
    let is_key = tag.frame == FrameKind::Key && tag.packet != VideoPacket::Metadata;
    let checks = [
        ("key", is_key),
        ("sequence_header", tag.role() == MediaRole::SequenceHeader),
        ("end_of_sequence", tag.role() == MediaRole::SequenceEnd),
        ("ex", tag.enhanced),
    ];
    for (key, seen) in checks {
        if let Some(wanted) = expect[key].as_bool() {
            assert_eq!(seen, wanted, "{name} {key}");
        }
    }
    if let Some(cts) = expect["cts"].as_i64() {
        assert_eq!(i64::from(tag.composition_millis), cts, "{name}");
    }
    if expect["frame_type"] == 5 {
        assert_eq!((tag.frame, tag.role()), (FrameKind::Command, MediaRole::Command), "{name}");
    }
    if let Some(command) = expect["command"].as_u64() {
        assert_eq!(tag.packet, VideoPacket::Command(command as u8), "{name}");
    }
    if let Some(nanos) = expect["mod_ex"][0]["nano_offset"].as_u64() {
        assert_eq!(tag.nano_offset, Some(nanos as u32), "{name}");
    }
    if let Some(packet) = expect["inner_packet_type"].as_u64().or_else(|| expect["packet_type"].as_u64()) {
        let wanted = match packet {
            _ if expect["command"].is_u64() => tag.packet,
            0 => VideoPacket::SequenceStart,
            1 => VideoPacket::CodedFrames,
            2 => VideoPacket::SequenceEnd,
            3 => VideoPacket::CodedFramesX,
            4 => VideoPacket::Metadata,
            5 => VideoPacket::Mpeg2TsSequenceStart,
            other => VideoPacket::Other(other as u8),
        };
        assert_eq!(tag.packet, wanted, "{name}");
    }
    check_tracks(name, tag.tracks, expect);
}

fn check_tracks(name: &str, tracks: Option<rtmp_core::media::Tracks<'_>>, expect: &Json) {
    let Some(wanted) = expect["tracks"].as_array() else { return };
    let tracks = tracks.expect(name);
    let kind = match field(expect, "multitrack") {
        "OneTrack" => MultitrackKind::One,
        "ManyTracks" => MultitrackKind::Many,
        _ => MultitrackKind::ManyCodecs,
    };
    assert_eq!(tracks.kind(), kind, "{name}");
    let seen: Vec<_> =
        tracks.map(|track| (track.codec.to_string(), u32::from(track.id), track.body.to_vec())).collect();
    let wanted: Vec<_> = wanted
        .iter()
        .map(|track| (field(track, "fourcc").to_owned(), number(track, "id"), hex(field(track, "data"))))
        .collect();
    assert_eq!(seen, wanted, "{name}");
}

fn check_audio(name: &str, payload: &[u8], expect: &Json) {
    let parsed = AudioTag::parse(payload);
    if expect["error"].is_string() || expect["empty"] == true {
        assert!(parsed.is_err(), "{name}");
        return;
    }
    let tag = parsed.expect(name);
    if let Some(codec) = expect["codec"].as_str() {
        let seen = match tag.codec.expect(name) {
            AudioCodec::AAC => "aac".into(),
            AudioCodec::MP3 => "mp3".into(),
            AudioCodec::G711_A => "g711a".into(),
            AudioCodec::SPEEX => "speex".into(),
            AudioCodec::FourCc(FourCc(name)) => name.escape_ascii().to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(seen, codec, "{name}");
    }
    if let Some(wanted) = expect["sequence_header"].as_bool() {
        assert_eq!(tag.packet == AudioPacket::SequenceStart, wanted, "{name}");
    }
    if let Some(rate) = expect["rate"].as_u64() {
        assert_eq!((tag.rate_hz, tag.bits, tag.channels), (Some(rate as u32), Some(16), Some(2)), "{name}");
    }
    if let Some(mask) = expect["mask"].as_u64() {
        let order = ChannelOrder::Native(mask as u32);
        assert_eq!(tag.packet, AudioPacket::MultichannelConfig { order, channels: 2 }, "{name}");
    }
    if expect["inner_packet_type"] == 1 {
        assert_eq!(tag.packet, AudioPacket::CodedFrames, "{name}");
    }
    check_tracks(name, tag.tracks, expect);
}

#[test]
fn media_headers_are_recognised() {
    let cases = cases("media");
    assert_eq!(cases.len(), 39);
    for case in &cases {
        let payload = hex(field(case, "hex"));
        match field(case, "kind") {
            "video" => check_video(field(case, "name"), &payload, &case["expect"]),
            _ => check_audio(field(case, "name"), &payload, &case["expect"]),
        }
    }
}

#[test]
fn aggregates_are_taken_apart() {
    for case in cases("aggregate") {
        let name = field(&case, "name");
        let timestamp = Timestamp::from_millis(number(&case, "ts"));
        let walk = Aggregate::new(timestamp, hex(field(&case, "payload")).into(), 4096);
        let seen: Vec<_> =
            walk.map(|m| (u32::from(m.kind.0), m.timestamp.millis(), m.payload.to_vec())).collect();
        let wanted: Vec<_> = case["messages"]
            .as_array()
            .expect("messages")
            .iter()
            .map(|m| (number(m, "type"), number(m, "ts"), hex(field(m, "payload"))))
            .collect();
        assert_eq!(seen, wanted, "{name}");
    }
}

#[test]
fn flv_headers_and_tags_are_written_and_read() {
    for case in cases("flv") {
        let wire = hex(field(&case, "hex"));
        match field(&case, "name") {
            "header_av" => assert_eq!(flv::header(flv::Content::AudioVideo)[..], wire),
            "header_audio" => assert_eq!(flv::header(flv::Content::Audio)[..], wire),
            "header_video" => assert_eq!(flv::header(flv::Content::Video)[..], wire),
            _ => {
                let timestamp = Timestamp::from_millis(0x0100_0002);
                let payload = Bytes::from_static(&[0xaf, 0x01, 0x21]);
                let media = Media { kind: MediaKind::Audio, timestamp, payload };
                let mut out = BytesMut::new();
                assert!(flv::write_tag(&mut out, &media));
                assert_eq!(out[..], wire);
                let mut file = BytesMut::from(&flv::header(flv::Content::Audio)[..]);
                file.extend_from_slice(&wire);
                let mut reader = flv::Reader::new(1024);
                assert_eq!(reader.read(&mut file), Ok(Some(media)));
                assert_eq!(reader.read(&mut file), Ok(None));
                assert!(file.is_empty());
            }
        }
    }
}

#[test]
fn urls_are_taken_apart() {
    let url = vectors("url");
    let cases = url["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 34);
    for case in cases {
        let expect = &case["expect"];
        let parsed = StreamUrl::parse(field(case, "tcUrl"), field(case, "stream"));
        if let Some(error) = expect["error"].as_str() {
            let seen = parsed.expect_err(error).to_string();
            assert!(seen.contains(error), "{seen} is not about {error}");
            continue;
        }
        let url = parsed.expect("valid");
        let texts = [&url.scheme, &url.host, &url.vhost, &url.app, &url.stream, &url.param, &url.key()];
        let keys = ["schema", "host", "vhost", "app", "stream", "param", "key"];
        for (seen, key) in texts.into_iter().zip(keys) {
            assert_eq!(seen, field(expect, key), "{key} of {case}");
        }
        assert_eq!(u32::from(url.port), number(expect, "port"), "{case}");
    }
}
