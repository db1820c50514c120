//! The conformance vectors `jitter`, `gop` and `queue`.

use bytes::Buf;
use edge_cluster::hub::{JoinKind, Lane};
use rtmp_core::{Media, MediaKind};
use serde_json::Value;

use crate::world::{
    MIN_LATENCY, World, audio, audio_header, cue_point, inter, key, letter, metadata, video_header,
};

fn vectors(section: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../data/hub-vectors.json")).expect("json");
    all[section]["cases"].as_array().expect("cases").clone()
}

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().expect(field)
}

#[test]
fn row_15_time_jitter_full_zero_and_off_give_the_times_of_the_vectors() {
    for case in vectors("jitter") {
        for (mode, expected) in [("full", "full"), ("zero", "zero_expect"), ("off", "off")] {
            let mut world = World::new(&format!("{MIN_LATENCY} play {{ time_jitter {mode}; }}"));
            let (viewer, upstream) = (world.viewer(), world.join(Lane::Chunks, JoinKind::Upstream));
            let mut times = Vec::new();
            for (number, input) in case["input"].as_array().expect("input").iter().enumerate() {
                let time = input["ts"].as_u64().expect("ts") as u32;
                times.push(time);
                match input["av"] == true {
                    true => world.push(&[audio(time, number as u32)]),
                    false => world.push(&[cue_point(time)]),
                }
            }
            let expected: Vec<u32> = serde_json::from_value(case[expected].clone()).expect("times");
            assert_eq!(world.players[viewer].times(), expected, "{} {mode}", text(&case, "name"));
            assert_eq!(
                world.players[upstream].times(),
                times,
                "an upstream server gets the times as they are"
            );
        }
    }
}

#[test]
fn row_13_gop_cache_holds_what_the_vectors_say() {
    for case in vectors("gop") {
        let frames = case["max_frames"].as_u64().expect("max_frames");
        for burst in [1, 7] {
            let mut world = World::new(&format!("{MIN_LATENCY} play {{ gop_cache_max_frames {frames}; }}"));
            let messages: Vec<Media> = (0..)
                .zip(text(&case, "seq").chars())
                .map(|(number, letter)| match letter {
                    'K' => key(number, number),
                    'V' => inter(number, number),
                    _ => audio(number, number),
                })
                .collect();
            messages.chunks(burst).for_each(|burst| world.push(burst));
            let viewer = world.viewer();
            let got: Vec<u32> = world.players[viewer].got.iter().map(crate::world::number).collect();
            let expected: Vec<u32> = serde_json::from_value(case["expect_indices"].clone()).expect("indices");
            assert_eq!(got, expected, "{} in bursts of {burst}", text(&case, "name"));
        }
    }
}

#[test]
fn row_14_queues_overflow_as_the_vectors_say() {
    for case in vectors("queue") {
        assert_eq!(case["limit_ms"], 1000);
        let mut world = World::new(&format!("{MIN_LATENCY} play {{ queue_length 1; time_jitter off; }}"));
        let viewer = world.viewer();
        world.players[viewer].window = 0;
        for (number, input) in (0..).zip(case["input"].as_array().expect("input")) {
            let time = input[1].as_u64().expect("ts") as u32;
            world.push(&[match input[0].as_str().expect("kind") {
                "M" => metadata(time, "a", "b"),
                "S" => video_header(time, number),
                "H" => audio_header(time, number),
                "K" => key(time, number),
                "V" => inter(time, number),
                _ => audio(time, number),
            }]);
        }
        world.open(viewer, usize::MAX);
        let mut got: Vec<_> = world.players[viewer].got.iter().map(seen).collect();
        let mut expected: Vec<(char, u32)> = case["expect"]
            .as_array()
            .expect("expect")
            .iter()
            .map(|entry| {
                let kind = entry[0].as_str().expect("kind").chars().next().expect("a letter");
                (kind, entry[1].as_u64().expect("ts") as u32)
            })
            .collect();
        // The order of headers is that of spec 9.2. Metadata has its time where nothing is corrected.
        for list in [&mut got, &mut expected] {
            let headers = list.iter().take_while(|(kind, _)| "MSH".contains(*kind)).count();
            list[..headers].sort_unstable();
            list.iter_mut().filter(|(kind, _)| *kind == 'M').for_each(|(_, time)| *time = 0);
        }
        assert_eq!(got, expected, "{}", text(&case, "name"));
    }
}

fn seen(media: &Media) -> (char, u32) {
    (letter(media), media.timestamp.millis())
}

#[test]
fn row_24_tags_have_the_form_of_the_vectors() {
    let mut world = World::new(&format!("{MIN_LATENCY} play {{ time_jitter off; }}"));
    let viewer = world.join(Lane::Flv, JoinKind::Viewer);
    world.players[viewer].window = 0;
    world.push(&[crate::world::media(MediaKind::Audio, 0x0100_0002, &[0xaf, 1, 0x21])]);
    let player = &mut world.players[viewer];
    world.hub.prepare(world.now, player.conn, &mut player.private);
    let mut out = world.hub.outgoing(player.conn, &mut player.private.bytes).expect("it watches");
    let count = out.remaining();
    let bytes = out.copy_to_bytes(count);
    let all: Value = serde_json::from_str(include_str!("../data/hub-vectors.json")).expect("json");
    let tag = all["flv"]
        .as_array()
        .expect("cases")
        .iter()
        .find(|case| case["name"].as_str().is_some_and(|name| name.starts_with("tag_audio")));
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(Some(hex.as_str()), tag.and_then(|tag| tag["hex"].as_str()));
}
