//! Takes, tracks and project files as section 7 of the specification has them, and what happens when the disk fails.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use jam_mixer::recorder::{FileId, FileOp, Recorder, RecorderConfig, RecorderError, RecorderEvent, Report};
use jam_mixer::tap::Stem;
use jam_proto::message::RecorderState;
use jam_proto::{ChannelId, Layout};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// 2026-11-21 06:18:02.345 UTC.
const START: Duration = Duration::from_millis(1_795_241_882_345);
const TAKE: &str = "/rec/Jam-20261121-061802345";

fn channel(number: u8) -> ChannelId {
    ChannelId::new(number).unwrap()
}

fn stem(number: u8, layout: Layout, pcm: &[i16]) -> Stem<'_> {
    Stem { channel: channel(number), layout, pcm }
}

/// A recorder and a disk in memory.
struct Studio {
    recorder: Recorder,
    files: BTreeMap<PathBuf, Vec<u8>>,
    open: BTreeMap<FileId, PathBuf>,
    directories: Vec<PathBuf>,
    /// Operations are left undone while true.
    is_stalled: bool,
    /// Operations that can be done before the disk is full.
    room: usize,
    now: Duration,
}

impl Studio {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut RecorderConfig)) -> Self {
        let mut config = RecorderConfig::new("/rec");
        change(&mut config);
        let mut recorder = Recorder::new(config, START - Duration::from_secs(1));
        recorder.set_enabled(true);
        Self {
            recorder,
            files: BTreeMap::new(),
            open: BTreeMap::new(),
            directories: Vec::new(),
            is_stalled: false,
            room: usize::MAX,
            now: START,
        }
    }

    fn join(&mut self, number: u8, addr: &str, name: &str) {
        self.recorder.join(channel(number), addr.parse().unwrap());
        self.recorder.set_name(channel(number), name);
    }

    fn tick<'a>(&mut self, stems: impl IntoIterator<Item = Stem<'a>>) {
        self.recorder.tick(self.now, stems);
        self.now += Duration::from_micros(2667);
        self.work();
    }

    fn ticks(&mut self, count: usize, stems: &[Stem<'_>]) {
        for _ in 0..count {
            self.tick(stems.iter().copied());
        }
    }

    fn work(&mut self) {
        while !self.is_stalled {
            let Some(op) = self.recorder.poll_op() else { break };
            let report = self.perform(op);
            self.recorder.handle_report(report);
        }
    }

    fn perform(&mut self, op: FileOp) -> Report {
        if self.room == 0 {
            let buffer = if let FileOp::Append { bytes, .. } = op { Some(bytes) } else { None };
            return Report::Failed { error: "disk full".into(), buffer };
        }
        self.room -= 1;
        let mut buffer = None;
        match op {
            FileOp::CreateDir { path } => self.directories.push(path),
            FileOp::Create { file, path } => {
                assert!(self.files.insert(path.clone(), Vec::new()).is_none(), "{path:?} exists");
                self.open.insert(file, path);
            }
            FileOp::Append { file, bytes } => {
                self.content(file).extend_from_slice(&bytes);
                buffer = Some(bytes);
            }
            FileOp::AppendSilence { file, bytes } => {
                let content = self.content(file);
                content.resize(content.len() + bytes as usize, 0);
            }
            FileOp::Close { file, header } => {
                self.content(file)[..44].copy_from_slice(&header);
                self.open.remove(&file);
            }
            FileOp::WriteText { path, text } => {
                assert!(self.files.insert(path, text.into_bytes()).is_none());
            }
            _ => unreachable!("no other operations"),
        }
        Report::Done(buffer)
    }

    fn content(&mut self, file: FileId) -> &mut Vec<u8> {
        self.files.get_mut(&self.open[&file]).unwrap()
    }

    fn end(&mut self) {
        self.recorder.end_take();
        self.work();
        assert!(self.open.is_empty());
    }

    fn text(&self, path: &str) -> &str {
        std::str::from_utf8(&self.files[&PathBuf::from(path)]).unwrap()
    }

    fn file_names(&self) -> Vec<&str> {
        self.files.keys().map(|path| path.file_name().unwrap().to_str().unwrap()).collect()
    }

    /// The samples of a complete file, after its header has been checked.
    fn samples(&self, name: &str) -> Vec<i16> {
        let bytes = &self.files[&PathBuf::from(TAKE).join(name)];
        let size = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        assert_eq!((size(4), size(40)), (bytes.len() - 8, bytes.len() - 44));
        bytes[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
    }

    fn events(&mut self) -> Vec<RecorderEvent> {
        std::iter::from_fn(|| self.recorder.poll_event()).collect()
    }
}

#[test]
fn every_musician_gets_a_file_and_the_take_two_projects() {
    let mut studio = Studio::new();
    studio.join(0, "127.0.0.5:33172", "Jörg & Co");
    studio.join(3, "203.0.113.7:22134", "Ann");
    let (mono, stereo) = ([7; 128], [-2; 256]);
    studio.ticks(100, &[stem(0, Layout::Mono, &mono)]);
    studio.ticks(50, &[stem(0, Layout::Mono, &mono), stem(3, Layout::Stereo, &stereo)]);
    studio.end();
    assert_eq!(studio.directories, [PathBuf::from(TAKE)]);
    assert_eq!(
        studio.file_names(),
        [
            "Ann_-203_0_113_x_22134-100-2.wav",
            "Jam-20261121-061802345.lof",
            "Jam-20261121-061802345.rpp",
            "Jorg___Co-127_0_0_x_33172-0-1.wav",
        ]
    );
    assert_eq!(studio.samples("Jorg___Co-127_0_0_x_33172-0-1.wav"), [7; 150 * 128]);
    assert_eq!(studio.samples("Ann_-203_0_113_x_22134-100-2.wav"), [-2; 50 * 256]);
    assert_eq!(
        studio.text("/rec/Jam-20261121-061802345/Jam-20261121-061802345.lof"),
        "file \"Ann_-203_0_113_x_22134-100-2.wav\" offset 0.26666666666667\n\
         file \"Jorg___Co-127_0_0_x_33172-0-1.wav\" offset 0.00000000000000\n"
    );
}

/// Replaces each identifier by its number of appearance.
fn without_guids(text: &str) -> String {
    let mut known: Vec<&str> = Vec::new();
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (guid, after) = after.split_once('}').unwrap();
        assert_eq!(guid.len(), 36);
        assert!(guid.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-')), "{guid}");
        let number = known.iter().position(|&other| other == guid).unwrap_or_else(|| {
            known.push(guid);
            known.len() - 1
        });
        out.push_str(before);
        out.push_str(&format!("{{{number}}}"));
        rest = after;
    }
    out + rest
}

#[test]
fn the_reaper_project_is_the_one_of_the_specification() {
    let mut studio = Studio::new();
    let pcm = [1; 128];
    studio.join(0, "203.0.113.7:1000", "Ann");
    studio.ticks(3, &[stem(0, Layout::Mono, &pcm)]);
    studio.recorder.leave(channel(0));
    studio.join(0, "203.0.113.7:1000", "Ann");
    studio.ticks(3, &[stem(0, Layout::Mono, &pcm)]);
    studio.end();
    let expected = concat!(
        "<REAPER_PROJECT 0.1 \"5.0\" 1551567848\n",
        "  RECORD_PATH \"\" \"\"\n",
        "  SAMPLERATE 48000 0 0\n",
        "  TEMPO 120 4 4\n",
        "  <TRACK {0}\n",
        "    NAME Ann_-203_0_113_x_1000\n",
        "    TRACKID {0}\n",
        "    <ITEM \n",
        "      FADEIN 0 0 0 0 0 0\n",
        "      FADEOUT 0 0 0 0 0 0\n",
        "      POSITION 0.00000000000000\n",
        "      LENGTH 0.00800000000000\n",
        "      IGUID {1}\n",
        "      IID 0\n",
        "      NAME Ann_-203_0_113_x_1000 (1)\n",
        "      GUID {2}\n",
        "      <SOURCE WAVE\n",
        "        FILE \"/rec/Jam-20261121-061802345/Ann_-203_0_113_x_1000-0-1.wav\"\n",
        "      >\n",
        "    >\n",
        "    <ITEM \n",
        "      FADEIN 0 0 0 0 0 0\n",
        "      FADEOUT 0 0 0 0 0 0\n",
        "      POSITION 0.00800000000000\n",
        "      LENGTH 0.00800000000000\n",
        "      IGUID {3}\n",
        "      IID 1\n",
        "      NAME Ann_-203_0_113_x_1000 (2)\n",
        "      GUID {4}\n",
        "      <SOURCE WAVE\n",
        "        FILE \"/rec/Jam-20261121-061802345/Ann_-203_0_113_x_1000-3-1.wav\"\n",
        "      >\n",
        "    >\n",
        "  >\n",
        ">\n",
    );
    let project = studio.text("/rec/Jam-20261121-061802345/Jam-20261121-061802345.rpp");
    assert_eq!(without_guids(project), expected);
}

#[test]
fn a_file_keeps_its_first_name_and_the_project_takes_the_last() {
    let mut studio = Studio::new();
    studio.recorder.join(channel(0), "203.0.113.7:1000".parse().unwrap());
    studio.ticks(2, &[stem(0, Layout::Mono, &[0; 128])]);
    studio.recorder.set_name(channel(0), "Berta");
    studio.ticks(2, &[stem(0, Layout::Mono, &[0; 128])]);
    studio.end();
    assert!(studio.file_names().contains(&"____-203_0_113_x_1000-0-1.wav"));
    let project = studio.text("/rec/Jam-20261121-061802345/Jam-20261121-061802345.rpp");
    assert!(project.contains("    NAME Berta-203_0_113_x_1000\n"), "{project}");
}

#[test]
fn another_layout_or_address_starts_another_file() {
    let mut studio = Studio::new();
    studio.join(0, "203.0.113.7:1000", "Anna");
    studio.ticks(2, &[stem(0, Layout::Mono, &[0; 128])]);
    studio.ticks(2, &[stem(0, Layout::Stereo, &[0; 256])]);
    studio.join(0, "203.0.113.7:1001", "Anna");
    studio.ticks(2, &[stem(0, Layout::Stereo, &[0; 256])]);
    studio.end();
    let wavs: Vec<_> = studio.file_names().into_iter().filter(|name| name.ends_with(".wav")).collect();
    assert_eq!(
        wavs,
        ["Anna-203_0_113_x_1000-0-1.wav", "Anna-203_0_113_x_1000-2-2.wav", "Anna-203_0_113_x_1001-4-2.wav"]
    );
}

#[test]
fn equal_names_get_a_suffix() {
    let mut studio = Studio::new();
    // Their last bytes differ, which the file name does not tell.
    studio.join(0, "203.0.113.7:1000", "Anna");
    studio.join(1, "203.0.113.8:1000", "Anna");
    studio.join(2, "203.0.113.9:1000", "Anna");
    let pcm = [0; 128];
    studio.ticks(1, &[0, 1, 2].map(|n| stem(n, Layout::Mono, &pcm)));
    studio.end();
    let wavs: Vec<_> = studio.file_names().into_iter().filter(|name| name.ends_with(".wav")).collect();
    assert_eq!(
        wavs,
        [
            "Anna-203_0_113_x_1000-0-1.wav",
            "Anna-203_0_113_x_1000-0-1_1.wav",
            "Anna-203_0_113_x_1000-0-1_2.wav"
        ]
    );
}

#[test]
fn a_take_starts_with_the_first_samples_while_enabled_and_ends_on_demand() {
    let mut studio = Studio::new();
    studio.events();
    studio.tick([]);
    assert!(!studio.recorder.is_running(), "nobody plays");
    studio.join(0, "203.0.113.7:1000", "Anna");
    studio.ticks(1, &[stem(0, Layout::Mono, &[0; 128])]);
    let first = PathBuf::from("/rec/Jam-20261121-061802347");
    assert_eq!(studio.events(), [RecorderEvent::TakeStarted { path: first.clone() }]);
    // Within the same millisecond the next take still gets a name of its own.
    studio.now -= Duration::from_micros(2667);
    studio.recorder.restart();
    studio.ticks(1, &[stem(0, Layout::Mono, &[0; 128])]);
    let second = PathBuf::from("/rec/Jam-20261121-061802348");
    assert_eq!(
        studio.events(),
        [
            RecorderEvent::TakeEnded { path: first, tracks: 1 },
            RecorderEvent::TakeStarted { path: second.clone() }
        ]
    );
    studio.recorder.set_enabled(false);
    studio.ticks(5, &[stem(0, Layout::Mono, &[0; 128])]);
    assert_eq!(
        studio.events(),
        [
            RecorderEvent::TakeEnded { path: second, tracks: 1 },
            RecorderEvent::StateChanged(RecorderState::NotEnabled)
        ]
    );
    studio.recorder.restart();
    assert_eq!(studio.recorder.stats().takes, 2);
    assert_eq!(studio.directories.len(), 2);
}

#[test]
fn strangers_and_departures_of_strangers_are_tolerated() {
    let mut studio = Studio::new();
    studio.recorder.leave(channel(5));
    studio.recorder.set_name(channel(5), "Nobody");
    studio.ticks(3, &[stem(5, Layout::Mono, &[0; 128])]);
    assert!(!studio.recorder.is_running());
}

#[test]
fn while_a_file_is_open_its_header_promises_more_than_there_is() {
    let mut studio = Studio::new();
    studio.join(0, "203.0.113.7:1000", "Anna");
    studio.ticks(100, &[stem(0, Layout::Mono, &[5; 128])]);
    let bytes = &studio.files[&PathBuf::from(TAKE).join("Anna-203_0_113_x_1000-0-1.wav")];
    assert_eq!(bytes[4..8], [0; 4]);
    assert_eq!(bytes[40..44], 0x7fff_f000_u32.to_le_bytes());
    assert!(bytes.len() >= 44 + 64 * 256, "samples are on disk after a fraction of a second");
}

#[test]
fn a_slow_disk_leaves_silence_in_the_right_place() {
    let mut studio = Studio::with(|config| config.queue_bytes_max = 32 * 1024);
    studio.join(0, "203.0.113.7:1000", "Anna");
    let tick = |value| [value; 128];
    studio.ticks(10, &[stem(0, Layout::Mono, &tick(1))]);
    studio.is_stalled = true;
    studio.ticks(300, &[stem(0, Layout::Mono, &tick(2))]);
    assert!(studio.recorder.buffer_bytes() <= 32 * 1024);
    studio.is_stalled = false;
    studio.work();
    studio.ticks(10, &[stem(0, Layout::Mono, &tick(3))]);
    studio.end();
    let samples = studio.samples("Anna-203_0_113_x_1000-0-1.wav");
    assert_eq!(samples.len(), 320 * 128);
    assert_eq!(samples[310 * 128..], [3; 10 * 128]);
    let silent = samples.iter().filter(|&&sample| sample == 0).count();
    assert_eq!(silent as u64 * 2, studio.recorder.stats().bytes_silenced);
    assert!(silent > 150 * 128, "{silent}");
}

#[test]
fn skipped_ticks_are_silence_on_every_track() {
    let mut studio = Studio::new();
    studio.join(0, "203.0.113.7:1000", "Anna");
    studio.join(1, "203.0.113.7:1001", "Bert");
    let (mono, stereo) = ([1; 128], [1; 256]);
    studio.ticks(2, &[stem(0, Layout::Mono, &mono), stem(1, Layout::Stereo, &stereo)]);
    studio.recorder.skip(3);
    studio.ticks(2, &[stem(0, Layout::Mono, &mono), stem(1, Layout::Stereo, &stereo)]);
    studio.end();
    for (name, sides) in [("Anna-203_0_113_x_1000-0-1.wav", 1), ("Bert-203_0_113_x_1001-0-2.wav", 2)] {
        let samples = studio.samples(name);
        assert_eq!(samples.len(), 7 * 128 * sides);
        assert_eq!(samples[2 * 128 * sides..5 * 128 * sides], vec![0; 3 * 128 * sides]);
    }
}

#[test]
fn a_full_disk_disables_recording_once() {
    for room in 0..12 {
        let mut studio = Studio::new();
        studio.events();
        studio.join(0, "203.0.113.7:1000", "Anna");
        studio.room = room;
        studio.ticks(500, &[stem(0, Layout::Mono, &[1; 128])]);
        studio.recorder.set_enabled(false);
        studio.work();
        assert_eq!(studio.recorder.state(), RecorderState::NotEnabled);
        let events = studio.events();
        let failures: Vec<_> =
            events.iter().filter(|event| matches!(event, RecorderEvent::Failed(_))).collect();
        if room < 9 {
            let full = RecorderEvent::Failed(RecorderError::File("disk full".into()));
            assert_eq!(failures, [&full], "room for {room}: {events:?}");
        }
        // With room again it can be enabled again.
        studio.room = usize::MAX;
        studio.recorder.set_enabled(true);
        studio.ticks(2, &[stem(0, Layout::Mono, &[1; 128])]);
        assert!(studio.recorder.is_running());
        assert!(studio.events().iter().all(|event| !matches!(event, RecorderEvent::Failed(_))));
    }
}

#[test]
fn a_disk_that_stops_answering_disables_recording() {
    let mut studio = Studio::with(|config| config.operations_max = 50);
    studio.join(0, "203.0.113.7:1000", "Anna");
    studio.is_stalled = true;
    // A client that changes its layout all the time makes many operations.
    for n in 0..100 {
        let (layout, len) = if n % 2 == 0 { (Layout::Mono, 128) } else { (Layout::Stereo, 256) };
        studio.ticks(1, &[stem(0, layout, &vec![0; len])]);
    }
    assert_eq!(studio.recorder.state(), RecorderState::NotEnabled);
    assert!(studio.recorder.operations_waiting() < 50 + 10);
    assert!(studio.events().contains(&RecorderEvent::Failed(RecorderError::DiskStalled(51))));
}

#[test]
fn tracks_of_a_take_are_limited() {
    let mut studio = Studio::with(|config| config.tracks_max = 3);
    studio.join(0, "203.0.113.7:1000", "Anna");
    for n in 0..10 {
        let (layout, len) = if n % 2 == 0 { (Layout::Mono, 128) } else { (Layout::Stereo, 256) };
        studio.ticks(1, &[stem(0, layout, &vec![0; len])]);
    }
    studio.end();
    assert_eq!(studio.files.len(), 3 + 2);
    assert_eq!(studio.recorder.stats().stems_refused, 7);
}

#[test]
fn a_long_track_goes_on_in_another_file_of_the_same_track() {
    let mut studio = Studio::with(|config| config.file_data_bytes_max = 1000);
    studio.join(0, "203.0.113.7:1000", "Anna");
    studio.ticks(7, &[stem(0, Layout::Mono, &[1; 128])]);
    studio.end();
    let lengths =
        [0, 3, 6].map(|start| studio.samples(&format!("Anna-203_0_113_x_1000-{start}-1.wav")).len());
    assert_eq!(lengths, [384, 384, 128]);
    let project = studio.text("/rec/Jam-20261121-061802345/Jam-20261121-061802345.rpp");
    assert_eq!(project.matches("<TRACK").count(), 1);
    assert_eq!(project.matches("<ITEM ").count(), 3);
}

#[derive(Clone, Debug)]
enum Step {
    Tick(Vec<bool>, bool),
    Skip(u8),
    Join(u8),
    Leave(u8),
    Restart,
    Enable(bool),
    Stall(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (prop::collection::vec(any::<bool>(), 4), any::<bool>()).prop_map(|(on, wide)| Step::Tick(on, wide)),
        1 => any::<u8>().prop_map(Step::Skip),
        2 => (0_u8..4).prop_map(Step::Join),
        1 => (0_u8..4).prop_map(Step::Leave),
        1 => Just(Step::Restart),
        1 => any::<bool>().prop_map(Step::Enable),
        1 => any::<bool>().prop_map(Step::Stall),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_files_are_complete_and_as_long_as_their_items(steps in prop::collection::vec(step(), 1..200)) {
        let mut studio = Studio::with(|config| config.queue_bytes_max = 48 * 1024);
        for step in steps {
            match step {
                Step::Tick(on, wide) => {
                    let (layout, pcm) = if wide { (Layout::Stereo, vec![1; 256]) } else { (Layout::Mono, vec![1; 128]) };
                    let stems: Vec<_> =
                        (0..4).filter(|&n| on[n as usize]).map(|n| stem(n, layout, &pcm)).collect();
                    for _ in 0..20 {
                        studio.ticks(1, &stems);
                    }
                }
                Step::Skip(ticks) => studio.recorder.skip(u64::from(ticks)),
                Step::Join(n) => studio.join(n, &format!("203.0.113.{n}:1000"), "Anna"),
                Step::Leave(n) => studio.recorder.leave(channel(n)),
                Step::Restart => studio.recorder.restart(),
                Step::Enable(is_enabled) => studio.recorder.set_enabled(is_enabled),
                Step::Stall(is_stalled) => studio.is_stalled = is_stalled,
            }
            prop_assert!(studio.recorder.buffer_bytes() <= 48 * 1024);
        }
        studio.is_stalled = false;
        studio.end();
        prop_assert_eq!(studio.recorder.operations_waiting(), 0);
        for (path, bytes) in &studio.files {
            if path.extension().is_some_and(|extension| extension == "wav") {
                let size = u32::from_le_bytes(bytes[40..44].try_into().unwrap()) as usize;
                prop_assert_eq!(size, bytes.len() - 44);
                let project = studio.text(
                    path.parent().unwrap().join(path.parent().unwrap().file_name().unwrap())
                        .with_extension("rpp").to_str().unwrap(),
                );
                let sides = usize::from(bytes[22]);
                let length = format!("LENGTH {:.14}\n", (size / 2 / sides) as f64 / 48_000.0);
                let (before, _) = project.split_once(path.file_name().unwrap().to_str().unwrap()).unwrap();
                prop_assert!(before.rsplit_once("LENGTH").unwrap().1.starts_with(&length["LENGTH".len()..]));
            }
        }
    }
}

#[cfg(feature = "disk")]
mod on_disk {
    use super::*;
    use jam_mixer::recorder::disk::{self, Disk};

    /// A directory of its own for each test, removed at the end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("jam-recorder-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_take_that_exists_is_not_touched() {
        let scratch = Scratch::new("exists");
        let take = scratch.0.join("Jam-20261121-061802345");
        std::fs::create_dir_all(&take).unwrap();
        let mut recorder = Recorder::new(RecorderConfig::new(&scratch.0), Duration::ZERO);
        let mut disk = Disk::new();
        recorder.set_enabled(true);
        recorder.join(channel(0), "203.0.113.7:1000".parse().unwrap());
        recorder.tick(START, [stem(0, Layout::Mono, &[0; 128])]);
        while let Some(op) = recorder.poll_op() {
            recorder.handle_report(disk.perform(op));
        }
        assert_eq!(recorder.state(), RecorderState::NotEnabled);
        let failed = std::iter::from_fn(|| recorder.poll_event()).any(|event| {
            matches!(event, RecorderEvent::Failed(RecorderError::File(error)) if error.contains("Jam-2026"))
        });
        assert!(failed);
    }

    #[test]
    fn a_directory_that_cannot_be_used_says_so() {
        let scratch = Scratch::new("file");
        std::fs::write(&scratch.0, "a file").unwrap();
        let error = disk::prepare(&scratch.0).unwrap_err().to_string();
        assert!(error.contains("recording directory") && error.contains("jam-recorder-file"), "{error}");
        std::fs::remove_file(&scratch.0).unwrap();
    }
}
