//! Deadlines.

use std::time::Instant;

use super::event::CloseReason;
use super::meter::SAMPLE_EVERY;
use super::room::give_back_room;
use super::streams::{FORGET_AFTER, StreamId};
use super::{Conn, Edge, TimerKey};

impl Edge {
    pub(super) fn on_timeout(&mut self, now: Instant) {
        while let Some(key) = self.timers.pop(now) {
            match key {
                TimerKey::Conn(conn) => self.on_conn_timeout(now, conn),
                TimerKey::Stream(id) => self.on_stream_timeout(now, id),
                TimerKey::Probe(client) => self.on_probe_timeout(now, client),
                TimerKey::Drain => self.close_remaining(now),
                TimerKey::Sample => self.sample(now),
            }
        }
    }

    fn on_stream_timeout(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        stream.hub.handle_timeout(now);
        if let Some(home) = stream.home.as_mut() {
            home.ingest.handle_timeout(now);
            if let Some(run) = home.pull.as_mut() {
                run.pull.handle_timeout(now);
            }
        }
        self.drive_pull(now, id);
        self.on_outlets_timeout(now, id);
        self.release_waiting(now, id);
        self.end_unused(now, id);
        self.touch_stream(id);
    }

    /// Ends what nobody has needed for long enough.
    fn end_unused(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get(id) else { return };
        let Some(home) = &stream.home else { return };
        let kickoff = stream.vhost.publish.kickoff_for_idle;
        if let (Some(after), Some(since), Some(publisher)) = (kickoff, home.idle_since, &home.publisher)
            && now >= since + after
        {
            let conn = publisher.conn;
            return self.close(now, conn, CloseReason::Idle(after));
        }
        if home.pull.as_ref().and_then(|run| run.linger_until).is_some_and(|until| now >= until) {
            self.stop_pull(now, id);
            return self.review_stream(now, id);
        }
        if stream.unused_since().is_some_and(|since| now >= since + FORGET_AFTER) {
            self.forget_stream(id);
        }
    }

    /// A stream has changed: sets its next deadline and counts what it holds.
    pub(super) fn touch_stream(&mut self, id: StreamId) {
        self.weigh(id);
        let Some(stream) = self.streams.get(id) else { return };
        let mut due = [
            stream.hub.poll_timeout(),
            stream.waiting.front().map(|(until, _)| *until),
            None,
            None,
            None,
            None,
        ];
        if let Some(home) = &stream.home {
            let idle = stream.vhost.publish.kickoff_for_idle.zip(home.idle_since);
            let pull = home.pull.as_ref();
            let rest = [
                home.ingest.poll_timeout(),
                pull.and_then(|run| run.pull.poll_timeout()),
                pull.and_then(|run| run.linger_until),
                [
                    home.outlets.values().filter_map(|outlet| outlet.machine.poll_timeout()).min(),
                    idle.map(|(after, since)| since + after),
                    stream.unused_since().map(|since| since + FORGET_AFTER),
                ]
                .into_iter()
                .flatten()
                .min(),
            ];
            for (place, at) in due.iter_mut().skip(2).zip(rest) {
                *place = at;
            }
        }
        self.timers.set(TimerKey::Stream(id), due.into_iter().flatten().min());
    }

    /// Takes a sample of all counters, for the rates.
    fn sample(&mut self, now: Instant) {
        for (_, conn) in self.conns.iter_mut() {
            match conn {
                Conn::Session(session) => session.meter.sample(now),
                Conn::Upstream(upstream) => upstream.meter.sample(now),
            }
        }
        for (_, stream) in self.streams.iter_mut() {
            stream.meter.sample(now);
        }
        debug_assert_eq!(
            self.waiting_pulls.count(),
            self.streams.iter().filter(|(_, stream)| stream.waits_for_media()).count(),
            "a pull waits without being counted, or the other way round"
        );
        debug_assert_eq!(self.memory.held, self.memory_bytes(), "a stream has changed without being counted");
        self.give_back_room();
        self.timers.set(TimerKey::Sample, Some(now + SAMPLE_EVERY));
    }

    /// Tables keep as much room as they ever needed; four places for each connection that is there are enough.
    fn give_back_room(&mut self) {
        let most = 4 * self.conns.len();
        give_back_room(&mut self.outputs, most);
        self.conns.give_back_room(most);
        self.streams.give_back_room(most);
        self.timers.give_back_room(most);
    }
}
