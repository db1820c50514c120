//! What the HTTP API says about a stream, read from headers and metadata.

use bytes::Bytes;
use rtmp_core::amf::amf0::{Decoder, Value};
use rtmp_core::media::{AudioCodec, AudioTag, FourCc, MediaRole, VideoCodec, VideoTag};
use rtmp_core::{AmfLimits, Media, MediaKind};

use super::stats::IngestStats;
use crate::edge::{AudioSnapshot, VideoSnapshot};

/// Looks at an audio or video message: at every sequence header, and at the first message of a kind.
pub(super) fn look(stats: &mut IngestStats, media: &Media, role: MediaRole) {
    let is_header = role == MediaRole::SequenceHeader;
    match media.kind {
        MediaKind::Video if is_header || (stats.picture.is_none() && role != MediaRole::Command) => {
            let Ok(tag) = VideoTag::parse(&media.payload) else { return };
            let picture = stats.picture.get_or_insert_default();
            picture.codec = video_name(tag.codec);
            if is_header {
                video_details(picture, &tag);
            }
        }
        MediaKind::Audio if is_header || stats.sound.is_none() => {
            let Ok(tag) = AudioTag::parse(&media.payload) else { return };
            let sound = stats.sound.get_or_insert_default();
            sound.codec = audio_name(tag.codec);
            sound.sample_rate = tag.rate_hz.unwrap_or(sound.sample_rate);
            sound.channels = tag.channels.map_or(sound.channels, u32::from);
            if is_header && matches!(sound.codec.as_str(), "AAC") {
                aac_details(sound, tag.body);
            }
        }
        _ => {}
    }
}

/// Takes the size of the picture from the metadata.
pub(super) fn look_at_metadata(stats: &mut IngestStats, payload: &Bytes) {
    let size = |name| Some(property(payload, name)?.as_number()? as u32);
    if let (Some(width), Some(height)) = (size("width"), size("height"))
        && width > 0
        && height > 0
    {
        let picture = stats.picture.get_or_insert_default();
        (picture.width, picture.height) = (width, height);
    }
}

/// Whether the metadata names sound, and whether it names pictures.
pub(super) fn announced(payload: &Bytes) -> (bool, bool) {
    let named = |names: [&str; 2]| names.iter().any(|name| property(payload, name).is_some());
    (named(["audiocodecid", "audiosamplerate"]), named(["videocodecid", "width"]))
}

/// Whether the metadata asks for times as they are (`bravo_atc`, spec 9.6).
pub(super) fn asks_for_atc(payload: &Bytes) -> bool {
    property(payload, "bravo_atc").is_some_and(|value| value.as_str() == Some("true"))
}

fn property(payload: &Bytes, name: &str) -> Option<Value> {
    let mut decoder = Decoder::new(payload.clone(), AmfLimits::data());
    decoder.next_value().ok()??;
    let value = decoder.next_value().ok()??;
    value.as_object()?.get(name).cloned()
}

fn video_name(codec: Option<VideoCodec>) -> String {
    let name = match codec {
        Some(VideoCodec::AVC | VideoCodec::FourCc(FourCc::AVC)) => "H264",
        Some(VideoCodec::HEVC | VideoCodec::FourCc(FourCc::HEVC)) => "HEVC",
        Some(VideoCodec::AV1 | VideoCodec::FourCc(FourCc::AV1)) => "AV1",
        Some(VideoCodec::FourCc(FourCc::VVC)) => "VVC",
        Some(VideoCodec::FourCc(FourCc::VP9)) => "VP9",
        Some(VideoCodec::FourCc(FourCc::VP8)) => "VP8",
        Some(VideoCodec::Legacy(2)) => "H263",
        Some(VideoCodec::Legacy(4 | 5)) => "VP6",
        Some(VideoCodec::FourCc(other)) => return other.to_string(),
        Some(VideoCodec::Legacy(_)) | None => "",
    };
    name.to_owned()
}

fn video_details(picture: &mut VideoSnapshot, tag: &VideoTag<'_>) {
    let is = |codec| picture.codec == codec;
    match tag.body {
        [_, profile, _, level, ..] if is("H264") => {
            picture.profile = match profile {
                66 => "Baseline".to_owned(),
                77 => "Main".to_owned(),
                88 => "Extended".to_owned(),
                100 => "High".to_owned(),
                110 => "High(10)".to_owned(),
                122 => "High(422)".to_owned(),
                244 => "High(444)".to_owned(),
                other => other.to_string(),
            };
            picture.level = level_name(level / 10, level % 10);
        }
        [_, profile, _, _, _, _, _, _, _, _, _, _, level, ..] if is("HEVC") => {
            picture.profile = match profile & 0x1f {
                1 => "Main".to_owned(),
                2 => "Main10".to_owned(),
                other => other.to_string(),
            };
            // Thirty units are one level.
            picture.level = level_name(level / 30, level % 30 / 3);
        }
        _ => {}
    }
}

/// `4` or `3.1`, as the standards and SRS write levels.
fn level_name(whole: u8, tenth: u8) -> String {
    match tenth {
        0 => whole.to_string(),
        tenth => format!("{whole}.{tenth}"),
    }
}

fn audio_name(codec: Option<AudioCodec>) -> String {
    let name = match codec {
        Some(AudioCodec::AAC | AudioCodec::FourCc(FourCc::AAC)) => "AAC",
        Some(AudioCodec::OPUS | AudioCodec::FourCc(FourCc::OPUS)) => "Opus",
        Some(AudioCodec::MP3 | AudioCodec::Legacy(14)) => "MP3",
        Some(AudioCodec::G711_A) => "G711A",
        Some(AudioCodec::G711_MU) => "G711U",
        Some(AudioCodec::SPEEX) => "Speex",
        Some(AudioCodec::FourCc(other)) => return other.to_string(),
        Some(AudioCodec::Legacy(_)) | None => "",
    };
    name.to_owned()
}

/// Reads an AudioSpecificConfig: five bits of object type, four of rate, four of channels.
fn aac_details(sound: &mut AudioSnapshot, config: &[u8]) {
    const RATES: [u32; 13] = [
        96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
    ];
    let [a, b, ..] = config else { return };
    let object = a >> 3;
    let rate = usize::from((a & 0x07) << 1 | b >> 7);
    sound.profile = match object {
        1 => "Main",
        2 => "LC",
        3 => "SSR",
        5 => "HE",
        29 => "HEv2",
        _ => "Other",
    }
    .to_owned();
    // Index 15 says that the rate follows as a number, which no shipped encoder does.
    sound.sample_rate = RATES.get(rate).copied().unwrap_or(sound.sample_rate);
    sound.channels = match b >> 3 & 0x0f {
        0 => sound.channels,
        7 => 8,
        channels => u32::from(channels),
    };
}
