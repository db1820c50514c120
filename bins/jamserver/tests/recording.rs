//! Recording: files that programs can open, signals, and disks that fail.
#![expect(clippy::disallowed_methods, reason = "a running program lives in real time")]

mod support;

use std::path::{Path, PathBuf};

use jam_proto::client::{ClientCommand, ClientEvent};
use jam_proto::message::RecorderState;
use nix::sys::signal::Signal;
use support::{Musician, Server, temporary};

/// Plays until the server says that the recorder stands like this.
fn play_until(musician: &mut Musician, wanted: RecorderState) {
    musician.play_until(|event| {
        matches!(event, ClientEvent::RecorderState(state) if *state == wanted).then_some(())
    });
}

/// Leaves, and waits until the server has noticed.
fn leave(mut musician: Musician, server: &mut Server) {
    let now = std::time::Instant::now();
    musician.client.command(now, ClientCommand::Leave).expect("it is connected");
    musician.play_until(|event| matches!(event, ClientEvent::Left(_)).then_some(()));
    drop(musician);
    server.wait_for_line("- recording finished: ");
}

/// The directory that a line of the server names.
fn take(line: &str) -> PathBuf {
    line.trim_end().rsplit(' ').next().expect("a path is last").into()
}

/// The only file of a take with this extension.
fn file(take: &Path, extension: &str) -> PathBuf {
    let files =
        std::fs::read_dir(take).expect("the take exists").map(|entry| entry.expect("readable").path());
    let mut files = files.filter(|path| path.extension().is_some_and(|e| e == extension));
    let first = files.next().unwrap_or_else(|| panic!("no .{extension} in {}", take.display()));
    assert_eq!(files.next(), None);
    first
}

/// Checks a take of one stereo musician.
fn judge(take: &Path, name: &str) {
    let wav = file(take, "wav");
    let wav_name = wav.file_name().and_then(|name| name.to_str()).expect("names are ASCII");
    assert!(
        wav_name.starts_with(&format!("{name}-127_0_0_1_")) && wav_name.ends_with("-0-2.wav"),
        "{wav_name}"
    );
    let bytes = std::fs::read(&wav).expect("readable");
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize;
    assert_eq!((&bytes[..4], &bytes[8..16], &bytes[36..40]), (&b"RIFF"[..], &b"WAVEfmt "[..], &b"data"[..]));
    assert_eq!((number(4) + 8, number(40) + 44), (bytes.len(), bytes.len()));
    assert_eq!((number(24), bytes[22], bytes[34]), (48_000, 2, 16));
    let samples = number(40) / 4;
    assert!(samples > 0 && samples % 128 == 0, "{samples}");
    let project = std::fs::read_to_string(file(take, "rpp")).expect("readable");
    assert!(project.contains(&format!("FILE \"{}\"", wav.display())), "{project}");
    assert!(project.contains(&format!("LENGTH {:.14}\n", samples as f64 / 48_000.0)), "{project}");
    let list = std::fs::read_to_string(file(take, "lof")).expect("readable");
    assert_eq!(list, format!("file \"{wav_name}\" offset 0.00000000000000\n"));
}

#[test]
fn signals_cut_takes_and_every_file_is_whole() {
    let directory = temporary("takes").join("made/anew");
    let mut server = Server::start(&["-R", directory.to_str().expect("ASCII")]);
    let mut ann = Musician::new("Ann", server.addr);
    play_until(&mut ann, RecorderState::Recording);
    ann.play_until(|event| Musician::names(event).map(drop));
    let first = take(&server.wait_for_line("- recording to "));
    assert!(first.starts_with(&directory), "{}", first.display());

    // USR1 begins another take; USR2 stops and starts.
    server.signal(Signal::SIGUSR1);
    server.wait_for_line("- recording finished: 1 files");
    let second = take(&server.wait_for_line("- recording to "));
    assert_ne!(first, second);
    server.signal(Signal::SIGUSR2);
    play_until(&mut ann, RecorderState::NotEnabled);
    server.wait_for_line("Recording state: disabled");
    server.signal(Signal::SIGUSR2);
    play_until(&mut ann, RecorderState::Recording);
    let third = take(&server.wait_for_line("- recording to "));
    leave(ann, &mut server);

    // The take ends when nobody is there; who comes then is in another one.
    let mut bob = Musician::new("Bob", server.addr);
    bob.play_until(|event| Musician::names(event).map(drop));
    let fourth = take(&server.wait_for_line("- recording to "));
    let (status, _, said) = server.stop(Signal::SIGTERM);
    assert!(status.success(), "{said:#?}");
    assert!(said.contains(&format!("- recording saved in {}", fourth.display())), "{said:#?}");
    for (take, name) in [(&first, "Ann_"), (&second, "Ann_"), (&third, "Ann_"), (&fourth, "Bob_")] {
        judge(take, name);
    }
    assert_eq!(std::fs::read_dir(&directory).expect("it exists").count(), 4);
    std::fs::remove_dir_all(temporary("takes")).expect("ours");
}

#[test]
fn a_directory_that_cannot_be_used_disturbs_nobody_and_a_reload_can_replace_it() {
    let (file, directory, config) = (temporary("no-directory"), temporary("later"), temporary("record.toml"));
    std::fs::write(&file, "a file").expect("writable");
    let set = |path: &Path| {
        let text = format!("recording = \"{}\"\nnorecord = true\n", path.display());
        std::fs::write(&config, text).expect("writable");
    };
    set(&file);
    let mut server = Server::start(&["--config", config.to_str().expect("ASCII")]);
    server.wait_for_line("; nothing is recorded");
    server.signal(Signal::SIGUSR2);
    server.wait_for_line("there is no recording directory");
    let mut ann = Musician::new("Ann", server.addr);
    play_until(&mut ann, RecorderState::NotInitialised);

    set(&directory);
    server.signal(Signal::SIGHUP);
    play_until(&mut ann, RecorderState::NotEnabled);
    server.signal(Signal::SIGUSR2);
    play_until(&mut ann, RecorderState::Recording);
    let taken = take(&server.wait_for_line("- recording to "));

    // The disk goes away in the middle: the jam goes on, the musicians see that nothing is recorded.
    std::fs::remove_dir_all(&directory).expect("ours");
    server.signal(Signal::SIGUSR1);
    server.wait_for_line("jamserver: warning: recording stopped: ");
    play_until(&mut ann, RecorderState::NotEnabled);
    assert!(!taken.exists());
    let (status, _, said) = server.stop(Signal::SIGTERM);
    assert!(status.success(), "{said:#?}");
    std::fs::remove_file(&file).expect("ours");
    std::fs::remove_file(&config).expect("ours");
}
