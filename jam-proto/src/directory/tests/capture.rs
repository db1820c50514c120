use super::*;
use crate::Input;

/// One line of a capture.
#[derive(serde::Deserialize)]
struct Line {
    t: f64,
    src: u16,
    dst: u16,
    hex: String,
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

/// Replays what a shipped directory received and compares what it sent with what ours sends, byte for byte.
fn replay(capture: &str, country: Country) {
    const DIRECTORY_PORT: u16 = 33_300;
    let own = OwnEntry {
        name: "Dir".try_into().unwrap(),
        city: "Dirtown".try_into().unwrap(),
        country,
        clients_max: 10,
    };
    let mut directory = Directory::new(DirectoryConfig { own, ..DirectoryConfig::default() });
    let t0 = start();
    let is_directorys =
        |payload: &[u8]| Frame::parse(payload).is_some_and(|f| matches!(f.id, 1004..=1009 | 1016..=1018));
    let lines = capture.lines().skip(1).map(|line| serde_json::from_str::<Line>(line).unwrap());
    let (mut expected, mut ours, mut compared) = (Vec::new(), Vec::new(), 0);
    for line in lines {
        let payload = bytes(&line.hex);
        if !is_directorys(&payload) {
            continue;
        }
        if line.src == DIRECTORY_PORT {
            expected.push((line.dst, payload));
            continue;
        }
        if line.dst != DIRECTORY_PORT {
            continue;
        }
        assert_eq!(ours, expected, "before {} s", line.t);
        compared += expected.len();
        (expected, ours) = (Vec::new(), Vec::new());
        let src = SocketAddr::from(([127, 0, 0, 1], line.src));
        directory
            .handle_input(t0 + Duration::from_secs_f64(line.t), Input::Datagram { src, payload: &payload });
        while let Some(output) = directory.poll_output() {
            if let DirectoryOutput::Transmit(transmit) = output {
                ours.push((transmit.dst.port(), transmit.payload.to_vec()));
            }
        }
    }
    assert_eq!(ours, expected);
    assert_eq!(compared + expected.len(), 5, "an answer to the registration and two lists, twice");
}

#[test]
fn a_directory_of_3_9_1_answered_alike() {
    replay(include_str!("../../../tests/data/directory_391_new.jsonl"), Country(0));
}

#[test]
fn a_directory_of_the_newest_version_answered_alike() {
    replay(include_str!("../../../tests/data/directory_new_new.jsonl"), Country(82));
}
