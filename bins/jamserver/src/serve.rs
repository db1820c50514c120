//! The running server: starts it, tells what happens, stops it in good order.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use jam_mixer::recorder::RecorderEvent;
use jam_mixer::recorder::thread::{RecorderOrder, RecorderSetup};
use jam_mixer::server::{Command, Event, ListingConfig};
use jam_mixer::tokio::{JamServer, Notice, RecorderHandle};
use jam_proto::directory::ListFilter;
use jam_proto::message::{RecorderState, ServerFeatures};
use jam_proto::server::Event as JamEvent;

use crate::banner::banner;
use crate::demo::Band;
use crate::log::{ConnectionLog, local_zone, say, time_of_day, unix_time};
use crate::notify::Notifier;
use crate::office::Office;
use crate::options::{OptionError, Values};
use crate::rpc;
use crate::settings::{DirectoryChoice, Settings};
use crate::signals::{Caught, Signals, Wake, wake};

/// What the server needs to know besides its settings.
pub(crate) struct Job {
    pub(crate) settings: Settings,
    pub(crate) values: Values,
    /// Reads all options again, for SIGHUP.
    pub(crate) reread: Box<dyn Fn() -> Result<Settings, OptionError>>,
    /// Plays along if this is a demonstration.
    pub(crate) band: Option<Band>,
}

/// Serves until a signal asks to stop.
pub(crate) fn run(job: Job) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start: {error}")),
    };
    match runtime.block_on(serve(job)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(&message),
    }
}

fn fail(message: &str) -> ExitCode {
    say(&format!("jamserver: {message}"));
    ExitCode::FAILURE
}

async fn serve(job: Job) -> Result<(), String> {
    let Job { mut settings, values, reread, band } = job;
    let mut signals = Signals::new().map_err(|e| format!("cannot listen for signals: {e}"))?;
    let zone = local_zone();
    let mut log = ConnectionLog::open(settings.log_file.as_deref(), zone.clone())
        .map_err(|e| format!("cannot open the log {}: {e}", name(settings.log_file.as_deref())))?;
    let mut server = JamServer::builder(settings.config.clone())
        .listen(settings.listen)
        .traffic_class(settings.traffic_class)
        .threads(settings.threads)
        .realtime(settings.realtime)
        .local_time(Arc::new(move || time_of_day(&zone, unix_time())))
        .recorder(recorder_setup(&settings))
        .start()
        .map_err(|e| e.to_string())?;
    let recorder = server.recorder().ok_or("the recorder is missing")?;
    let office = Arc::new(Office::new(server.control(), recorder, &settings));
    say(banner(&settings, &values, server.local_addrs()).trim_end());
    for warning in &settings.warnings {
        say(&format!("jamserver: warning: {warning}"));
    }
    restore_directory(&server, settings.directory_file.as_deref()).await?;
    if let Some(rpc) = &settings.rpc {
        let addr = rpc::start(rpc, Arc::clone(&office)).await?;
        say(&format!("- JSON-RPC: Server started on {addr}"));
    }
    let playing = band.map(|band| band.play(server.local_addrs())).transpose()?;
    if let Some(playing) = &playing {
        say(&playing.invitation(&settings.config.protocol));
    }
    let manager = Notifier::new(std::env::var("NOTIFY_SOCKET").ok().as_deref());
    manager.tell("READY=1");

    loop {
        match wake(&mut server, &mut signals).await {
            Wake::Signal(Caught::Stop(number)) => {
                say(&format!("OnHandledSignal: {number}"));
                break;
            }
            Wake::Signal(Caught::Reload) => {
                if let Err(error) = log.reopen() {
                    say(&format!("jamserver: cannot open the log again: {error}"));
                }
                match reread() {
                    Ok(new) => reload(&office, &mut settings, new).await,
                    Err(error) => say(&format!("jamserver: {error}; the settings stay as they are")),
                }
            }
            Wake::Signal(Caught::Record(order, number)) => {
                say(&format!("OnHandledSignal: {number}"));
                record(office.recorder(), order);
            }
            Wake::Notice(notice) => tell(&notice, &mut log, &office),
            Wake::Ended => return Err("the audio thread has ended".to_owned()),
        }
    }
    manager.tell("STOPPING=1");
    drop(playing);
    let take = office.recorder().status().take;
    let closing = server.stop().await.map_err(|e| e.to_string())?;
    if let (true, Some(take)) = (closing.is_recording_whole, take) {
        say(&format!("- recording saved in {}", take.display()));
    } else if !closing.is_recording_whole {
        say("jamserver: warning: the disk does not answer; the end of the recording is lost");
    }
    match (settings.directory_file, closing.directory) {
        (Some(file), Some(list)) => save(&file, &list),
        _ => Ok(()),
    }
}

/// Says what a notice means to an operator.
fn tell(notice: &Notice, log: &mut ConnectionLog, office: &Office) {
    if let Notice::Event(Event::Protocol(event)) = notice {
        office.handle_event(event);
    }
    match notice {
        Notice::Recorder(event) => tell_recording(event, office),
        Notice::RealtimeDenied(denied) => say(&format!("jamserver: warning: {denied}")),
        Notice::Event(Event::Protocol(JamEvent::Joined { addr, connected, .. })) => {
            log.joined(addr.ip(), *connected)
        }
        Notice::Event(Event::Protocol(JamEvent::Left { connected: 0, .. })) => log.idle(),
        Notice::Event(Event::Protocol(JamEvent::Registration(status))) => {
            say(&format!("Server Registration Status update: {status}"))
        }
        Notice::Event(Event::Protocol(JamEvent::Directory(event))) => say(&event.to_string()),
        Notice::Event(Event::Full(true)) => {
            say("jamserver: warning: this machine is at its limit; newcomers are refused");
        }
        Notice::Event(Event::Full(false)) => say("jamserver: there is room for newcomers again"),
        Notice::Event(Event::FormatRefused { channel, error }) => {
            say(&format!("jamserver: musician {channel} is silent: {error}"));
        }
        _ => {}
    }
}

/// Says what happens to the recording.
fn tell_recording(event: &RecorderEvent, office: &Office) {
    match event {
        RecorderEvent::StateChanged(RecorderState::Recording) => say("Recording state: enabled"),
        RecorderEvent::StateChanged(RecorderState::NotEnabled) => say("Recording state: disabled"),
        RecorderEvent::StateChanged(RecorderState::NotInitialised) => say("Recording state: not initialised"),
        RecorderEvent::TakeStarted { path } => say(&format!("- recording to {}", path.display())),
        RecorderEvent::TakeEnded { path, tracks } => {
            say(&format!("- recording finished: {tracks} files in {}", path.display()));
        }
        RecorderEvent::Behind => {
            say(
                "jamserver: warning: the disk is too slow for the recording; what comes now is silence in it",
            );
        }
        RecorderEvent::Gap { ticks } => {
            let seconds = *ticks as f64 * office.tick_period().as_secs_f64();
            say(&format!(
                "jamserver: warning: the disk has caught up; {seconds:.1} s of the recording are silence"
            ));
        }
        RecorderEvent::Unusable(error) => say(&format!("jamserver: warning: {error}; nothing is recorded")),
        RecorderEvent::Failed(error) => say(&format!("jamserver: warning: {error}")),
        _ => {}
    }
}

/// Does what a signal asks of the recorder.
fn record(recorder: &RecorderHandle, order: RecorderOrder) {
    if recorder.status().state == RecorderState::NotInitialised {
        say("jamserver: there is no recording directory, see --recording");
    } else {
        give(recorder, order);
    }
}

/// Gives the recorder an order without waiting for its disk.
fn give(recorder: &RecorderHandle, order: RecorderOrder) {
    let recorder = recorder.clone();
    tokio::spawn(async move {
        if let Err(error) = recorder.order(order).await {
            say(&format!("jamserver: warning: {error}"));
        }
    });
}

fn takes_raw(settings: &Settings) -> bool {
    settings.config.protocol.has(ServerFeatures::RAW_AUDIO)
}

fn recorder_setup(settings: &Settings) -> RecorderSetup {
    let mut setup = RecorderSetup::new(settings.recording.clone());
    setup.is_enabled = settings.is_recording;
    setup
}

/// Takes over what can change while musicians play, and says what cannot.
async fn reload(office: &Office, old: &mut Settings, new: Settings) {
    let own = Some(DirectoryChoice::Own);
    let becomes_directory = (old.directory == own) != (new.directory == own);
    let fixed = [
        ("addresses and port", old.listen != new.listen),
        ("--qos", old.traffic_class != new.traffic_class),
        ("--threads", old.threads != new.threads),
        ("--realtime", old.realtime != new.realtime),
        ("--fastupdate", old.config.engine.tick.samples() != new.config.engine.tick.samples()),
        ("--noraw", takes_raw(old) != takes_raw(&new)),
        ("--delaypan", old.config.engine.delay_panning != new.config.engine.delay_panning),
        ("--directoryaddress", becomes_directory),
        ("--directoryfile", old.directory_file != new.directory_file),
        ("--listfilter", !becomes_directory && filter(old) != filter(&new)),
        ("--serverpublicip", !becomes_directory && public_address(old) != public_address(&new)),
        ("--jsonrpcport, --jsonrpcbindip or --jsonrpcsecretfile", old.rpc != new.rpc),
        ("--log", old.log_file != new.log_file),
    ];
    for (what, _) in fixed.iter().filter(|(_, changed)| *changed) {
        say(&format!("jamserver: warning: {what} changed; that takes a restart"));
    }
    if let Err(error) = office.replace_config(new.config.protocol).await {
        say(&format!("jamserver: the settings stay as they are: {error}"));
        return;
    }
    if !becomes_directory && old.directory != new.directory {
        match office.register_with(new.directory.clone()).await {
            Ok(()) => old.directory = new.directory,
            Err(error) => say(&format!("jamserver: warning: the server list stays as it is: {error}")),
        }
    }
    if old.recording != new.recording {
        old.recording = new.recording;
        give(office.recorder(), RecorderOrder::SetDirectory(old.recording.clone()));
    }
    if old.is_recording != new.is_recording {
        old.is_recording = new.is_recording;
        give(office.recorder(), RecorderOrder::SetEnabled(old.is_recording));
    }
    say("jamserver: settings reloaded");
}

/// Who may register here.
fn filter(settings: &Settings) -> Option<&ListFilter> {
    match &settings.config.listing {
        ListingConfig::Directory { filter, .. } => Some(filter),
        _ => None,
    }
}

/// What `--serverpublicip` says.
fn public_address(settings: &Settings) -> Option<Ipv4Addr> {
    match settings.config.listing {
        ListingConfig::Directory { public_address, .. } => public_address,
        ListingConfig::Register { internal_address, .. } => internal_address,
        ListingConfig::Private => None,
    }
}

/// Gives a directory the list that its file holds; a file that does not exist yet is an empty list.
async fn restore_directory(server: &JamServer, file: Option<&Path>) -> Result<(), String> {
    let Some(file) = file else { return Ok(()) };
    match std::fs::read_to_string(file) {
        Ok(list) => server.command(Command::RestoreDirectory(list)).await.map_err(|e| e.to_string()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // Said now rather than after a night of collecting.
            save(file, "")
        }
        Err(error) => Err(format!("cannot read the directory file {}: {error}", file.display())),
    }
}

/// Writes a directory's list beside the old one and then over it, so that a crash leaves one of the two.
fn save(file: &Path, list: &str) -> Result<(), String> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    std::fs::write(&beside, list)
        .and_then(|()| std::fs::rename(&beside, file))
        .map_err(|e| format!("cannot write the directory file {}: {e}", file.display()))
}

fn name(path: Option<&Path>) -> String {
    path.map(|p| p.display().to_string()).unwrap_or_default()
}
