//! The signals the server obeys (spec 9.2), and waiting for them.

use std::future::Future as _;
use std::pin::pin;
use std::task::Poll;

use jam_mixer::recorder::thread::RecorderOrder;
use jam_mixer::tokio::{JamServer, Notice};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What the main loop wakes up for.
pub(crate) enum Wake {
    Signal(Caught),
    Notice(Notice),
    Ended,
}

/// What a signal asks for.
#[derive(Clone)]
pub(crate) enum Caught {
    /// Stop; the number is the signal's.
    Stop(i32),
    Reload,
    /// Tell the recorder this; the number is the signal's.
    Record(RecorderOrder, i32),
}

/// The signals the server obeys.
pub(crate) struct Signals([(Signal, Caught); 5]);

impl Signals {
    pub(crate) fn new() -> std::io::Result<Self> {
        let stop =
            |kind: SignalKind| Ok::<_, std::io::Error>((signal(kind)?, Caught::Stop(kind.as_raw_value())));
        let record = |kind: SignalKind, order| {
            Ok::<_, std::io::Error>((signal(kind)?, Caught::Record(order, kind.as_raw_value())))
        };
        Ok(Self([
            stop(SignalKind::interrupt())?,
            stop(SignalKind::terminate())?,
            (signal(SignalKind::hangup())?, Caught::Reload),
            record(SignalKind::user_defined1(), RecorderOrder::Restart)?,
            record(SignalKind::user_defined2(), RecorderOrder::Toggle)?,
        ]))
    }
}

/// Waits for a signal or a notice, whichever comes first.
pub(crate) async fn wake(server: &mut JamServer, signals: &mut Signals) -> Wake {
    let mut notice = pin!(server.next_notice());
    std::future::poll_fn(|cx| {
        for (signal, caught) in &mut signals.0 {
            if signal.poll_recv(cx).is_ready() {
                return Poll::Ready(Wake::Signal(caught.clone()));
            }
        }
        notice.as_mut().poll(cx).map(|notice| notice.map_or(Wake::Ended, Wake::Notice))
    })
    .await
}
