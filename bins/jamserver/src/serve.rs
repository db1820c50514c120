//! The running server: starts it, tells what happens, stops it in good order.

use std::io::Write as _;
use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::Poll;

use jam_mixer::server::{Command, Event};
use jam_mixer::tokio::{JamServer, Notice};
use jam_proto::server::Event as JamEvent;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::banner::banner;
use crate::demo::Band;
use crate::log::{ConnectionLog, local_zone, time_of_day, unix_time};
use crate::notify::Notifier;
use crate::options::{OptionError, Values};
use crate::settings::Settings;

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

/// A line of diagnostics. A closed terminal must not stop the music.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
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
        .start()
        .map_err(|e| e.to_string())?;
    say(banner(&settings, &values, server.local_addrs()).trim_end());
    for warning in &settings.warnings {
        say(&format!("jamserver: warning: {warning}"));
    }
    restore_directory(&server, settings.directory_file.as_deref()).await?;
    let playing = band.map(|band| band.play(server.local_addrs())).transpose()?;
    if let Some(playing) = &playing {
        say(&playing.invitation());
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
                    Ok(new) => reload(&server, &mut settings, new).await,
                    Err(error) => say(&format!("jamserver: {error}; the settings stay as they are")),
                }
            }
            Wake::Notice(notice) => tell(&notice, &mut log),
            Wake::Ended => return Err("the audio thread has ended".to_owned()),
        }
    }
    manager.tell("STOPPING=1");
    drop(playing);
    let closing = server.stop().await.map_err(|e| e.to_string())?;
    match (settings.directory_file, closing.directory) {
        (Some(file), Some(list)) => save(&file, &list),
        _ => Ok(()),
    }
}

/// Says what a notice means to an operator.
fn tell(notice: &Notice, log: &mut ConnectionLog) {
    match notice {
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

/// Takes over what can change while musicians play, and says what cannot.
async fn reload(server: &JamServer, old: &mut Settings, new: Settings) {
    let fixed = [
        ("addresses and port", old.listen != new.listen),
        ("--qos", old.traffic_class != new.traffic_class),
        ("--threads", old.threads != new.threads),
        ("--realtime", old.realtime != new.realtime),
        ("--fastupdate", old.config.engine.tick.samples() != new.config.engine.tick.samples()),
        ("--delaypan", old.config.engine.delay_panning != new.config.engine.delay_panning),
        ("--directoryaddress", old.directory != new.directory),
        ("--directoryfile", old.directory_file != new.directory_file),
        ("--log", old.log_file != new.log_file),
    ];
    for (what, _) in fixed.iter().filter(|(_, changed)| *changed) {
        say(&format!("jamserver: warning: {what} changed; that takes a restart"));
    }
    match server.command(Command::Reload(Arc::clone(&new.config.protocol))).await {
        Ok(()) => {
            say("jamserver: settings reloaded");
            old.config.protocol = new.config.protocol;
        }
        Err(error) => say(&format!("jamserver: the settings stay as they are: {error}")),
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

enum Wake {
    Signal(Caught),
    Notice(Notice),
    Ended,
}

#[derive(Clone, Copy)]
enum Caught {
    /// Stop; the number is the signal's.
    Stop(i32),
    Reload,
}

/// The signals the server obeys.
struct Signals([(Signal, Caught); 3]);

impl Signals {
    fn new() -> std::io::Result<Self> {
        let stop =
            |kind: SignalKind| Ok::<_, std::io::Error>((signal(kind)?, Caught::Stop(kind.as_raw_value())));
        Ok(Self([
            stop(SignalKind::interrupt())?,
            stop(SignalKind::terminate())?,
            (signal(SignalKind::hangup())?, Caught::Reload),
        ]))
    }
}

/// Waits for a signal or a notice, whichever comes first.
async fn wake(server: &mut JamServer, signals: &mut Signals) -> Wake {
    let mut notice = pin!(server.next_notice());
    std::future::poll_fn(|cx| {
        for (signal, caught) in &mut signals.0 {
            if signal.poll_recv(cx).is_ready() {
                return Poll::Ready(Wake::Signal(*caught));
            }
        }
        notice.as_mut().poll(cx).map(|notice| notice.map_or(Wake::Ended, Wake::Notice))
    })
    .await
}
