//! The recorder on its thread, fed as the audio thread feeds it, on a real disk.

use super::*;
use crate::tap::Stems;
use jam_proto::message::ChannelInfo;
use jam_proto::server::{Event, LeaveReason};

/// Nothing here takes longer on a machine that is merely busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// A directory of its own for each test, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("jam-studio-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    /// The files of all takes with their content, names ascending.
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        for take in std::fs::read_dir(&self.0).unwrap() {
            for file in std::fs::read_dir(take.unwrap().path()).unwrap() {
                let file = file.unwrap();
                files.push((file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap()));
            }
        }
        files.sort();
        files
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One musician on channel 0 who plays the same 128 samples in every tick.
struct Solo(Vec<i16>);

impl Stems for Solo {
    fn stem(&self, channel: ChannelId) -> Option<Stem<'_>> {
        (channel.number() == 0).then_some(Stem { channel, layout: Layout::Mono, pcm: &self.0 })
    }
}

impl Solo {
    fn frames(&self, number: u64) -> Frames<'_> {
        Frames { stems: self, main: &[], samples: 128, number }
    }
}

fn solo() -> Solo {
    Solo((0..128).map(|n| n * 100 - 3000).collect())
}

fn channel() -> ChannelId {
    ChannelId::new(0).unwrap()
}

fn arrive(feed: &mut RecorderFeed, name: &str) {
    let addr = "203.0.113.7:1000".parse().unwrap();
    feed.handle_event(&Event::Joined { channel: channel(), addr, connected: 1 });
    // Nobody knows who this is yet.
    feed.tick(&solo().frames(0));
    let info = ChannelInfo { name: jam_proto::message::Name::cut(name), ..ChannelInfo::default() };
    feed.handle_event(&Event::Identified { channel: channel(), info });
}

fn leave(feed: &mut RecorderFeed) {
    let addr = "203.0.113.7:1000".parse().unwrap();
    let reason = LeaveReason::Disconnected;
    feed.handle_event(&Event::Left { channel: channel(), addr, reason, connected: 0 });
}

/// Gives an order and waits until the thread has come to it; everything fed before is done then too.
fn obey(control: &RecorderControl, order: RecorderOrder) {
    let (done, carried_out) = mpsc::channel();
    control.order(order, move || done.send(()).unwrap()).unwrap();
    carried_out.recv_timeout(PATIENCE).unwrap();
}

fn ready(control: &RecorderControl) {
    obey(control, RecorderOrder::SetEnabled(true));
}

#[test]
fn what_is_played_is_in_the_file_and_skipped_ticks_are_silence() {
    let scratch = Scratch::new("writes");
    let setup = RecorderSetup::new(Some(scratch.0.clone()));
    let (mut feed, control) = spawn(setup, 128, |_| {}).unwrap();
    ready(&control);
    arrive(&mut feed, "Anna");
    let solo = solo();
    for number in (1..101).chain(151..201) {
        assert!(!feed.tick(&solo.frames(number)));
    }
    assert!(control.status().take.is_none_or(|take| take.starts_with(&scratch.0)));
    leave(&mut feed);
    assert!(control.finish(PATIENCE) && control.finish(PATIENCE));
    let files = scratch.files();
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[0], "Anna-203_0_113_x_1000-0-1.wav");
    assert!(names.len() == 3 && names[1].ends_with(".lof") && names[2].ends_with(".rpp"), "{names:?}");
    let sound = &files[0].1;
    let played: Vec<u8> = solo.0.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    assert_eq!(sound.len(), 44 + 200 * 256);
    assert_eq!(sound[40..44], (200_u32 * 256).to_le_bytes());
    let (before, rest) = sound[44..].split_at(100 * 256);
    let (silence, after) = rest.split_at(50 * 256);
    assert!(before.chunks(256).chain(after.chunks(256)).all(|tick| tick == played));
    assert!(silence.iter().all(|&byte| byte == 0));
}

#[test]
fn a_disk_that_stands_still_costs_one_gap_and_never_the_audio_thread() {
    let scratch = Scratch::new("stall");
    let (release, stalled) = mpsc::channel::<()>();
    let (tell, events) = mpsc::channel();
    let setup = RecorderSetup::new(Some(scratch.0.clone()));
    let (mut feed, control) = spawn(setup, 128, move |event| {
        if matches!(event, RecorderEvent::TakeStarted { .. }) {
            let _ = stalled.recv_timeout(PATIENCE);
        }
        // After a failed test nobody listens.
        let _ = tell.send(event);
    })
    .unwrap();
    ready(&control);
    arrive(&mut feed, "Anna");
    ready(&control);
    let solo = solo();
    let fell_behind: Vec<u64> = (1..1001).filter(|&number| feed.tick(&solo.frames(number))).collect();
    // One second is kept.
    assert_eq!(fell_behind, [376]);
    release.send(()).unwrap();
    ready(&control);
    for number in 1001..1011 {
        assert!(!feed.tick(&solo.frames(number)));
    }
    assert!(control.finish(PATIENCE));
    let gaps: Vec<u64> = events
        .try_iter()
        .filter_map(|event| if let RecorderEvent::Gap { ticks } = event { Some(ticks) } else { None })
        .collect();
    assert_eq!(gaps, [625]);
    let sound = &scratch.files()[0].1;
    assert_eq!(sound.len(), 44 + 1010 * 256);
    assert!(sound[44 + 375 * 256..44 + 1000 * 256].iter().all(|&byte| byte == 0));
    assert_ne!(sound[44 + 1000 * 256], 0);
}

#[test]
fn a_directory_can_be_unusable_and_be_replaced() {
    let scratch = Scratch::new("replaced");
    let file = scratch.0.with_extension("file");
    std::fs::write(&file, "no directory").unwrap();
    let (tell, events) = mpsc::channel();
    let setup = RecorderSetup::new(Some(file.clone()));
    let (feed, control) = spawn(setup, 128, move |event| tell.send(event).unwrap()).unwrap();
    ready(&control);
    assert_eq!((feed.state(), control.status().state), (RecorderState::NotInitialised, feed.state()));
    assert!(control.status().error.contains("jam-studio-replaced"), "{:?}", control.status());
    obey(&control, RecorderOrder::SetDirectory(Some(scratch.0.clone())));
    assert_eq!((feed.state(), control.status().error.as_str()), (RecorderState::Recording, ""));
    obey(&control, RecorderOrder::Toggle);
    assert_eq!(feed.state(), RecorderState::NotEnabled);
    obey(&control, RecorderOrder::SetDirectory(None));
    assert_eq!((feed.state(), control.status().directory), (RecorderState::NotInitialised, None));
    assert!(control.finish(PATIENCE));
    std::fs::remove_file(&file).unwrap();
    let events: Vec<RecorderEvent> = events.try_iter().collect();
    assert!(matches!(&events[0], RecorderEvent::Unusable(_)), "{events:?}");
    let states = [RecorderState::Recording, RecorderState::NotEnabled, RecorderState::NotInitialised];
    assert_eq!(events[1..], states.map(RecorderEvent::StateChanged));
}

#[test]
fn who_stopped_recording_is_not_recorded_again_by_another_directory() {
    let scratch = Scratch::new("switch");
    let file = scratch.0.with_extension("file");
    std::fs::write(&file, "no directory").unwrap();
    let (feed, control) = spawn(RecorderSetup::new(Some(scratch.0.clone())), 128, |_| {}).unwrap();
    obey(&control, RecorderOrder::SetEnabled(false));
    for directory in [Some(file.clone()), None] {
        obey(&control, RecorderOrder::SetDirectory(directory));
        assert_eq!(feed.state(), RecorderState::NotInitialised);
        obey(&control, RecorderOrder::SetDirectory(Some(scratch.0.clone())));
        assert_eq!(feed.state(), RecorderState::NotEnabled);
    }
    obey(&control, RecorderOrder::Toggle);
    obey(&control, RecorderOrder::SetDirectory(None));
    obey(&control, RecorderOrder::SetDirectory(Some(scratch.0.clone())));
    assert_eq!(feed.state(), RecorderState::Recording);
    // What is wanted can be said before there is a directory.
    for (is_enabled, state) in [(false, RecorderState::NotEnabled), (true, RecorderState::Recording)] {
        obey(&control, RecorderOrder::SetDirectory(None));
        obey(&control, RecorderOrder::SetEnabled(is_enabled));
        obey(&control, RecorderOrder::SetDirectory(Some(scratch.0.clone())));
        assert_eq!(feed.state(), state);
    }
    assert!(control.finish(PATIENCE));
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn a_disk_that_fails_disables_recording_until_it_is_enabled_again() {
    let scratch = Scratch::new("fails");
    let setup = RecorderSetup::new(Some(scratch.0.clone()));
    let (mut feed, control) = spawn(setup, 128, |_| {}).unwrap();
    ready(&control);
    std::fs::remove_dir(&scratch.0).unwrap();
    arrive(&mut feed, "Anna");
    let solo = solo();
    feed.tick(&solo.frames(1));
    // An order that changes nothing: what was fed before is done.
    obey(&control, RecorderOrder::Restart);
    assert_eq!(feed.state(), RecorderState::NotEnabled);
    assert!(control.status().error.contains("recording stopped"), "{:?}", control.status());
    std::fs::create_dir(&scratch.0).unwrap();
    ready(&control);
    assert_eq!((feed.state(), control.status().error.as_str()), (RecorderState::Recording, ""));
    feed.tick(&solo.frames(2));
    obey(&control, RecorderOrder::Restart);
    feed.tick(&solo.frames(3));
    assert!(control.finish(PATIENCE));
    let sounds = scratch.files().iter().filter(|(name, _)| name.ends_with(".wav")).count();
    assert_eq!(sounds, 2, "restarting begins another take");
}
