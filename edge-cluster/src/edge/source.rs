//! Where streams come from: pulls that begin with the first viewer and end some seconds after the last one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use rtmp_core::Progress;

use super::client::ClientInfo;
use super::event::{Event, UpstreamKind};
use super::ids::mix;
use super::io::Output;
use super::options::EdgeOptions;
use super::refusal::Refusal;
use super::streams::{PullRun, Stream, StreamId};
use super::upstream::Owner;
use super::vhosts::Vhost;
use super::{Conn, Edge, TimerKey};
use crate::conn::ConnId;
use crate::hub::Update;
use crate::upstream::{
    OriginSettings, Pull, PullEvent, PullSettings, SourceEnd, UpstreamInput, UpstreamOutput, UpstreamStream,
};

impl Edge {
    /// Somebody wants to see the stream: it is opened, and there has to be a source, where one can be had.
    pub(super) fn open_watched(
        &mut self,
        now: Instant,
        client: &Arc<ClientInfo>,
        vhost: &Arc<Vhost>,
    ) -> Result<StreamId, Refusal> {
        let begins = match self.streams.find(&client.key).and_then(|id| self.streams.get(id)) {
            Some(stream) => stream.lacks_source().then_some(stream.had_media),
            None => (vhost.cluster.is_edge() && client.key.home(self.shards) == self.shard).then_some(false),
        };
        if let Some(had_media) = begins {
            self.check_pull(client, had_media)?;
        }
        let id = self.streams.open(now, client, vhost, (self.shard, self.shards));
        match self.streams.get(id).is_some_and(Stream::is_home) {
            true => self.want_pull(now, id, client),
            false => self.subscribe(id, client),
        }
        Ok(id)
    }

    /// At the stream's home: begins a pull where there is no source.
    fn want_pull(&mut self, now: Instant, id: StreamId, client: &Arc<ClientInfo>) {
        self.ask_as(id, client);
        if self.streams.get(id).is_some_and(Stream::lacks_source) {
            self.begin_pull(now, id, client);
        }
    }

    /// At the stream's home: from the next attempt on origins are asked in the name of this viewer. Whatever the source is
    /// now, another one may be needed later.
    pub(super) fn ask_as(&mut self, id: StreamId, client: &Arc<ClientInfo>) {
        let Some(home) = self.streams.get_mut(id).and_then(|stream| stream.home.as_mut()) else { return };
        let before = home.asker.replace(Arc::clone(client));
        if let Some(run) = &mut home.pull
            && before.is_none_or(|before| !before.asks_like(client))
        {
            run.pull.ask_as(upstream_stream(client));
        }
    }

    /// Whether a pull may begin in the name of this viewer.
    fn check_pull(&self, client: &ClientInfo, had_media: bool) -> Result<(), Refusal> {
        let vhost = &client.key.vhost;
        if self.vhosts.named(vhost).is_none() {
            // Nothing says any more where its origins are (spec 1.8).
            return Err(Refusal::VhostRemoved(Arc::clone(vhost)));
        }
        // Random stream names must not become any number of pulls (spec 5.3).
        let part = |limit| EdgeOptions::part(limit, self.shards);
        let (most, most_of_ip) =
            (part(self.options.waiting_pulls_max), part(self.options.waiting_pulls_per_ip_max));
        match had_media || self.waiting_pulls.have_room(client.ip(), most, most_of_ip) {
            true => Ok(()),
            false => Err(Refusal::Waiting),
        }
    }

    /// Those who watch have no source any more.
    fn pull_again(&mut self, now: Instant, id: StreamId, client: &ClientInfo) {
        let had_media = self.streams.get(id).is_some_and(|stream| stream.had_media);
        match self.check_pull(client, had_media) {
            Ok(()) => self.begin_pull(now, id, client),
            Err(refusal) => self.end_viewers(now, id, &refusal),
        }
    }

    fn begin_pull(&mut self, now: Instant, id: StreamId, client: &ClientInfo) {
        let seed = mix(self.seed ^ self.totals.upstream_attempts);
        let settings = match self.streams.get(id) {
            Some(stream) => self.pull_settings(stream),
            None => return,
        };
        let Some(stream) = self.streams.get_mut(id) else { return };
        let Some(home) = stream.home.as_mut() else { return };
        let mut upstream = upstream_stream(client);
        upstream.rotation = home.rotation;
        let pull = Pull::new(settings, upstream, seed, now);
        let waits_for = (!stream.had_media).then(|| client.ip());
        waits_for.into_iter().for_each(|ip| self.waiting_pulls.begin(ip));
        home.pull = Some(PullRun { pull, conn: None, waits_for, linger_until: None });
        self.drive_pull(now, id);
    }

    fn pull_settings(&self, stream: &Stream) -> Arc<PullSettings> {
        let own = self.own_for(&stream.vhost);
        let mut origin = OriginSettings::of(&self.config, &stream.vhost, own);
        if stream.vhost.cluster.identify {
            origin.identity.clone_from(&self.options.identity);
        }
        Arc::new(PullSettings::new(origin))
    }

    pub(super) fn pull_input(
        &mut self,
        now: Instant,
        id: StreamId,
        attempt: u64,
        input: UpstreamInput<'_>,
    ) -> Progress {
        let Some(run) = self.pull_run(id) else { return Progress::NeedBytes };
        let progress = run.pull.handle_input(now, attempt, input);
        self.drive_pull(now, id);
        progress
    }

    pub(super) fn pull_run(&mut self, id: StreamId) -> Option<&mut PullRun> {
        self.streams.get_mut(id)?.home.as_mut()?.pull.as_mut()
    }

    /// Does what the pull wants.
    pub(super) fn drive_pull(&mut self, now: Instant, id: StreamId) {
        while let Some(output) = self.pull_run(id).and_then(|run| run.pull.poll_output()) {
            match output {
                UpstreamOutput::Connect { attempt, target, timeout } => {
                    let conn = self.open_upstream(now, Owner::Pull(id), attempt, target, timeout);
                    if let Some(run) = self.pull_run(id) {
                        run.conn = Some(conn);
                    }
                }
                UpstreamOutput::Write => {
                    if let Some(conn) = self.pull_run(id).and_then(|run| run.conn) {
                        self.outputs.push_back(Output::Write { conn });
                    }
                }
                UpstreamOutput::Disconnect { farewell, .. } => {
                    let conn = self.pull_run(id).and_then(|run| run.conn.take());
                    self.close_upstream(conn, farewell.into());
                }
                UpstreamOutput::Event(event) => self.on_pull_event(now, id, event),
            }
        }
        self.pump(now, id);
    }

    fn on_pull_event(&mut self, now: Instant, id: StreamId, event: PullEvent) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        let key = stream.key.clone();
        let Some(home) = stream.home.as_mut() else { return };
        let Some(run) = home.pull.as_mut() else { return };
        let kind = UpstreamKind::Pull;
        match event {
            PullEvent::Media(media) => {
                stream.meter.received += media.payload.len() as u64;
                home.ingest.push(now, &media);
            }
            PullEvent::BurstEnd => home.ingest.burst_end(now),
            PullEvent::SourceBegan => {
                home.ingest.begin_pull(now);
                home.live_since = Some(now);
                if let Some(conn) = run.conn {
                    self.event(Event::UpstreamBegan { kind, key, conn });
                }
            }
            PullEvent::SourceEnded { target, why } => {
                let (reason, is_failure) = (why.to_string(), matches!(why, SourceEnd::Lost(_)));
                match is_failure {
                    true => home.ingest.lose(now),
                    false => home.ingest.end(now),
                }
                home.live_since = None;
                self.event(Event::UpstreamEnded { kind, key, target, reason, is_failure });
            }
            PullEvent::AttemptFailed { target, error } => {
                let gone = self.vhosts.named(&key.vhost).is_none();
                let reason = error.to_string();
                self.event(Event::UpstreamFailed { kind, key: key.clone(), target: target.clone(), reason });
                if gone {
                    let refusal = Refusal::VhostRemoved(Arc::clone(&key.vhost));
                    let (reason, is_failure) = ("the vhost was removed".to_owned(), false);
                    self.event(Event::UpstreamEnded { kind, key, target, reason, is_failure });
                    self.stop_pull(now, id);
                    self.end_viewers(now, id, &refusal);
                }
            }
            PullEvent::Redirected { from, to } => {
                self.event(Event::UpstreamRedirected { kind, key, from, to });
            }
            PullEvent::RoundFailed { wait } => self.event(Event::UpstreamWaits { kind, key, wait }),
            PullEvent::Accepted => {}
        }
    }

    /// Ends the pull of a stream.
    pub(super) fn stop_pull(&mut self, now: Instant, id: StreamId) {
        let Some(run) = self.pull_run(id) else { return };
        run.pull.stop();
        self.drive_pull(now, id);
        let Some(home) = self.streams.get_mut(id).and_then(|stream| stream.home.as_mut()) else { return };
        if let Some(run) = home.pull.take() {
            // What was kept for a source that was lost is of no use any more.
            home.ingest.end(now);
            home.rotation = run.pull.rotation();
            run.waits_for.into_iter().for_each(|ip| self.waiting_pulls.end(ip));
        }
        self.pump(now, id);
    }

    /// Carries what the source side of a stream has made to its viewers, here and on other shards.
    pub(super) fn pump(&mut self, now: Instant, id: StreamId) {
        while let Some(update) = self
            .streams
            .get_mut(id)
            .and_then(|stream| stream.home.as_mut())
            .and_then(|home| home.ingest.poll_update())
        {
            self.apply(now, id, &update);
            self.spread(id, &update);
        }
        self.take_hub_events(now, id);
        self.streams.mark_ready(id);
        self.touch_stream(id);
    }

    /// Something happened to the stream on this shard.
    pub(super) fn apply(&mut self, now: Instant, id: StreamId, update: &Update) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        let (was_known, was_active) = (stream.hub.content().is_some(), stream.hub.is_active());
        stream.hub.apply(now, update);
        if !was_known && stream.hub.content().is_some() {
            // Viewers over HTTP were held back until now.
            let is_flv = |conn: &&ConnId| match self.conns.get(**conn) {
                Some(Conn::Session(session)) => matches!(session.wire, super::session::Wire::Flv(_)),
                _ => false,
            };
            let held = stream.viewers.iter().filter(is_flv);
            self.outputs.extend(held.map(|conn| Output::Write { conn: *conn }));
        }
        match update {
            Update::Begin { chunk_size, .. } => {
                let (key, changed) = (stream.key.clone(), stream.chunk_size != *chunk_size);
                stream.chunk_size = *chunk_size;
                if changed {
                    self.announce_chunk_size(id);
                }
                self.event(Event::StreamBegan { key });
            }
            Update::End { .. } if was_active => {
                let key = stream.key.clone();
                self.event(Event::StreamEnded { key });
                self.end_flv_viewers(now, id);
            }
            Update::Segment(_) if !stream.had_media => {
                stream.had_media = true;
                stream.waiting.clear();
                let run = stream.home.as_mut().and_then(|home| home.pull.as_mut());
                run.and_then(|run| run.waits_for.take())
                    .into_iter()
                    .for_each(|ip| self.waiting_pulls.end(ip));
            }
            _ => {}
        }
    }

    /// The home of the stream uses another chunk size than its viewers here were told, because the configuration
    /// changed in between.
    fn announce_chunk_size(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get(id) else { return };
        for conn in &stream.viewers {
            if let Some(Conn::Session(session)) = self.conns.get_mut(*conn)
                && let Some(rtmp) = session.rtmp()
            {
                rtmp.configure(stream.vhost.with_chunk_size(stream.chunk_size));
            }
        }
    }

    /// Viewers or the source of a stream have changed: begins and ends what depends on that.
    pub(super) fn review_stream(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        let (watched, lacks_source) = (stream.is_watched(), stream.lacks_source());
        let linger = stream.vhost.extension.linger;
        let Some(home) = stream.home.as_mut() else {
            if !watched {
                self.unsubscribe(id);
                return self.forget_stream(id);
            }
            return self.touch_stream(id);
        };
        let mut wants_pull = None;
        if let Some(run) = home.pull.as_mut() {
            run.linger_until = match (watched, run.linger_until) {
                (true, _) => None,
                (false, None) => Some(now + linger),
                (false, until) => until,
            };
        } else if watched && lacks_source {
            // The publisher has left, or there was none: other edges may have one.
            wants_pull = home.asker.clone();
        }
        match watched || !home.is_published() {
            true => home.idle_since = None,
            false => {
                home.idle_since.get_or_insert(now);
            }
        }
        let used = watched || home.publisher.is_some() || home.pull.is_some();
        match used {
            true => self.streams.use_again(id),
            false => {
                // What never had media leaves nothing to remember but whose turn it is.
                if !stream.had_media && home.rotation == 0 && home.push_rotation == 0 {
                    return self.forget_stream(id);
                }
                let most = EdgeOptions::part(self.options.unused_streams_max, self.shards);
                if let Some(oldest) = self.streams.remember_unused(now, id, most) {
                    self.forget_stream(oldest);
                }
            }
        }
        if let Some(client) = wants_pull {
            self.pull_again(now, id, &client);
        }
        self.touch_stream(id);
    }

    /// A stream is not known any more.
    pub(super) fn forget_stream(&mut self, id: StreamId) {
        self.timers.remove(TimerKey::Stream(id));
        if let Some(stream) = self.streams.remove(id) {
            self.unweigh(&stream);
            self.retired(&stream);
        }
    }

    /// Viewers over HTTP on this shard: their response ends with the publish (spec 12).
    fn end_flv_viewers(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get(id) else { return };
        if stream.vhost.cluster.is_edge() {
            // Another edge may have the stream: they see a pause.
            return;
        }
        let viewers: BTreeSet<ConnId> = stream.viewers.clone();
        for conn in viewers {
            if self.session(conn).is_some_and(|session| session.rtmp().is_none()) {
                self.close(now, conn, super::CloseReason::StreamEnded);
            }
        }
    }
}

/// What origins are told about the client that asked.
pub(super) fn upstream_stream(client: &ClientInfo) -> UpstreamStream {
    let key = &client.key;
    let mut upstream = UpstreamStream::new(&*key.vhost, &*key.app, &*client.stream);
    upstream.host = rtmp_core::StreamUrl::parse(&client.tc_url, "").map(|url| url.host).unwrap_or_default();
    upstream.param = client.param.to_string();
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    upstream.page_url = text(&client.page_url);
    upstream.swf_url = text(&client.swf_url);
    upstream.arguments = client.arguments.to_vec();
    upstream
}

impl Edge {
    /// The configuration of a pull may have changed; it counts from the next attempt on.
    pub(super) fn reload_pull(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get(id) else { return };
        let settings = self.pull_settings(stream);
        if let Some(run) = self.pull_run(id) {
            run.pull.reload(settings);
        }
    }
}
