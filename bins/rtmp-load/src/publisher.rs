//! The publishers, all on one thread.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use rtmp_core::message::PublishKind;
use rtmp_core::{ClientEvent, ConnectionConfig, Purpose, Target};

use crate::clock::{Nanos, instant};
use crate::conn::{Connection, End, Route, Scratch};
use crate::histogram::Histogram;
use crate::source::{Source, SourceSettings};
use crate::target::Place;

/// A publisher that lost its server tries again so often.
const RETRY: Duration = Duration::from_secs(1);
const SLEEP_MAX: Duration = Duration::from_millis(100);

/// What the threads tell each other.
#[derive(Debug, Default)]
pub(crate) struct PublishShared {
    pub(crate) stopping: AtomicBool,
    /// Publishers that were accepted at least once.
    pub(crate) accepted: AtomicU64,
    /// Connections that were refused or broke.
    pub(crate) lost: AtomicU64,
}

/// What the publishers experienced.
#[derive(Debug, Default)]
pub(crate) struct Published {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    /// How long after its time a frame was sent: this program's own delay.
    pub(crate) own_delay: Histogram,
    /// Connections that were refused or broke.
    pub(crate) lost: Vec<String>,
}

/// Runs one publisher per place until told to stop.
pub(crate) fn publish(
    places: &[Place],
    settings: SourceSettings,
    config: &Arc<ConnectionConfig>,
    shared: &PublishShared,
) -> io::Result<Published> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(64);
    let mut scratch = Scratch::default();
    let mut published = Published::default();
    let mut publishers: Vec<_> =
        places.iter().map(|place| Publisher::new(place.clone(), settings, instant())).collect();
    while !shared.stopping.load(Ordering::Relaxed) {
        let now = instant();
        let next = publishers.iter().map(|publisher| publisher.next_due(now)).min().unwrap_or(SLEEP_MAX);
        match poll.poll(&mut events, Some(next.min(SLEEP_MAX))) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        let now = instant();
        for (index, publisher) in publishers.iter_mut().enumerate() {
            let readable = events.iter().any(|event| event.token().0 == index);
            let result =
                publisher.run(&poll, Token(index), config, &mut scratch, readable, &mut published, now);
            if let Err(end) = result {
                shared.lost.fetch_add(1, Ordering::Relaxed);
                published.lost.push(format!("{}: {end}", publisher.place.stream));
                publisher.give_up(now);
            }
            if std::mem::take(&mut publisher.newly_accepted) {
                shared.accepted.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    for publisher in &mut publishers {
        if let Some(conn) = &mut publisher.conn
            && conn.client.close().is_ok()
        {
            let _ = conn.flush();
        }
    }
    Ok(published)
}

#[derive(Debug)]
struct Publisher {
    place: Place,
    settings: SourceSettings,
    conn: Option<Connection>,
    /// When to connect.
    connect_at: Instant,
    epoch: u16,
    /// The running stream and when it began.
    running: Option<(Source, Instant)>,
    accepted_before: bool,
    newly_accepted: bool,
    /// Why the server does not want it.
    refusal: Option<String>,
}

impl Publisher {
    fn new(place: Place, settings: SourceSettings, now: Instant) -> Self {
        Self {
            place,
            settings,
            conn: None,
            connect_at: now,
            epoch: 0,
            running: None,
            accepted_before: false,
            newly_accepted: false,
            refusal: None,
        }
    }

    /// How long nothing has to be done.
    fn next_due(&self, now: Instant) -> Duration {
        match (&self.conn, &self.running) {
            (None, _) => self.connect_at.saturating_duration_since(now),
            (Some(_), Some((source, begun))) => (*begun + source.due()).saturating_duration_since(now),
            (Some(_), None) => SLEEP_MAX,
        }
    }

    fn give_up(&mut self, now: Instant) {
        (self.conn, self.running) = (None, None);
        self.connect_at = now + RETRY;
        self.epoch += 1;
    }

    #[expect(clippy::too_many_arguments, reason = "what the thread owns, lent for one call")]
    fn run(
        &mut self,
        poll: &Poll,
        token: Token,
        config: &Arc<ConnectionConfig>,
        scratch: &mut Scratch,
        readable: bool,
        published: &mut Published,
        now: Instant,
    ) -> Result<(), End> {
        let Some(conn) = &mut self.conn else {
            if now >= self.connect_at {
                self.conn = Some(self.connect(poll, token, config, now).map_err(End::Io)?);
            }
            return Ok(());
        };
        let (mut accepted, mut over) = (false, false);
        if readable {
            let refusal = &mut self.refusal;
            let result = conn.read(scratch, now, usize::MAX, |event| match event {
                ClientEvent::PublishAccepted => accepted = true,
                ClientEvent::Refused(status) => *refusal = Some(status.code.to_string()),
                ClientEvent::Ended(status) => {
                    *refusal = Some(status.code.to_string());
                    over = true;
                }
                ClientEvent::Closed => over = true,
                _ => {}
            });
            match (result, over, self.refusal.take()) {
                (_, true, Some(status)) => return Err(End::Refused(status)),
                (Ok(()), true, None) => return Err(End::Closed),
                (result, ..) => result?,
            }
        }
        conn.handle_timeout(now)?;
        if accepted {
            let source = Source::new(self.settings, self.place.number, self.epoch);
            for header in source.headers() {
                conn.client.send_media(&header).map_err(End::Stuck)?;
            }
            self.running = Some((source, now));
            self.newly_accepted = !std::mem::replace(&mut self.accepted_before, true);
        }
        let Some((source, begun)) = &mut self.running else { return Ok(()) };
        while *begun + source.due() <= now {
            published.own_delay.add((now - (*begun + source.due())).as_nanos() as i64);
            let media = source.next(Nanos::now());
            published.frames += 1;
            published.bytes += media.payload.len() as u64;
            conn.client.send_media(&media).map_err(End::Stuck)?;
        }
        conn.flush()
    }

    fn connect(
        &self,
        poll: &Poll,
        token: Token,
        config: &Arc<ConnectionConfig>,
        now: Instant,
    ) -> io::Result<Connection> {
        let purpose = Purpose::Publish(PublishKind::Live);
        let target = Target::new(&self.place.tc_url, &self.place.app, &self.place.stream, purpose);
        let route = Route { server: self.place.address, source: None, receive_buffer: None };
        let mut conn = Connection::open(&route, target, config, u64::from(self.epoch) + 1, now)?;
        poll.registry().register(&mut conn.stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(conn)
    }
}
