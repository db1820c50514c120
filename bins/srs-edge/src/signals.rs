//! The signals that the server obeys (spec 14.2). PIPE is ignored by every Rust program, ABRT dumps core.

use std::io;
use std::task::Poll;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Caught {
    /// HUP: read the configuration again.
    Reload,
    /// USR1: open the log file again.
    Reopen,
    /// QUIT: stop gracefully.
    Quit,
    /// TERM: stop at once, or gracefully with `force_grace_quit`.
    Terminate,
    /// INT: stop at once.
    Interrupt,
    /// USR2: reserved.
    Ignored,
}

/// Listens for them.
pub(crate) struct Signals(Vec<(Signal, Caught)>);

impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        let kinds = [
            (SignalKind::hangup(), Caught::Reload),
            (SignalKind::user_defined1(), Caught::Reopen),
            (SignalKind::user_defined2(), Caught::Ignored),
            (SignalKind::quit(), Caught::Quit),
            (SignalKind::terminate(), Caught::Terminate),
            (SignalKind::interrupt(), Caught::Interrupt),
        ];
        kinds
            .into_iter()
            .map(|(kind, caught)| Ok((signal(kind)?, caught)))
            .collect::<io::Result<_>>()
            .map(Self)
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Caught {
        std::future::poll_fn(|cx| {
            let mut ready = self
                .0
                .iter_mut()
                .filter_map(|(signal, caught)| signal.poll_recv(cx).is_ready().then_some(*caught));
            ready.next().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}
