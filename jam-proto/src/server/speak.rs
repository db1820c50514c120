//! What musicians are told: the join, news, chat, levels (spec 5.4, 5.8 to 5.10).

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::{LeaveReason, Server, all_ids};
use crate::channel::{Channel, JoinStep, Turn};
use crate::config::ServerConfig;
use crate::message::{
    ChatText, ClientListEntry, Connectionless, Levels, Licence, Message, MuteState, ServerFeatures, id,
};
use crate::responder::Snapshot;
use crate::text::LocalTime;
use crate::types::ChannelId;

impl Server {
    /// Marks a channel that may have something to be told or acknowledged; it is served before the call ends.
    pub(super) fn talk_to(&mut self, id: ChannelId) {
        self.dirty.talk.set(id, true);
    }

    /// Brings everything up to date at the end of a call.
    ///
    /// Serving a channel may find that it has to be given up, which is news for the others; as every round frees a
    /// channel, there are few.
    pub(super) fn settle(&mut self, now: Instant) {
        loop {
            if std::mem::take(&mut self.dirty.snapshot) {
                self.make_snapshot();
            }
            if std::mem::take(&mut self.dirty.list) {
                self.renamed.is_waiting = false;
                for channel in self.channels.iter_mut().flatten() {
                    channel.news.list = true;
                    self.dirty.talk.set(channel.id, true);
                }
            }
            let talk = std::mem::take(&mut self.dirty.talk);
            if talk.first().is_none() {
                return;
            }
            for id in talk.iter() {
                self.serve(now, id);
            }
        }
    }

    /// A musician has another name: everybody is told at once, but of many such changes only some times a second.
    pub(super) fn list_new_name(&mut self, now: Instant) {
        let pause = self.limits().renames_pause;
        if self.renamed.listed_at.is_some_and(|at| now.saturating_duration_since(at) < pause) {
            self.renamed.is_waiting = true;
            self.wake_at(self.renamed_deadline());
            return;
        }
        self.renamed.listed_at = Some(now);
        self.dirty.snapshot = true;
        self.dirty.list = true;
    }

    pub(super) fn on_renamed_timeout(&mut self, now: Instant) {
        if self.renamed.is_waiting {
            self.list_new_name(now);
        }
    }

    /// When the names that changed last are to be listed.
    pub(super) fn renamed_deadline(&self) -> Option<Instant> {
        self.renamed.listed_at.filter(|_| self.renamed.is_waiting)?.checked_add(self.limits().renames_pause)
    }

    fn make_snapshot(&mut self) {
        let entries: Vec<ClientListEntry> = self
            .channels
            .iter()
            .flatten()
            .map(|channel| ClientListEntry { channel: channel.id, info: channel.info() })
            .collect();
        self.list_body = Message::ClientList(entries).body(&mut self.writer);
        let connected = self.channels.iter().flatten().map(|channel| channel.addr).collect();
        let config = Arc::clone(&self.config);
        let bans = self.bans.clone();
        let snapshot =
            Snapshot::new(config, bans, self.recorder, &self.list_body, connected, &mut self.writer);
        self.snapshot = Arc::new(snapshot);
    }

    /// Sends what is due to a channel: acknowledgements, the next message, repetitions.
    fn serve(&mut self, now: Instant, id: ChannelId) {
        loop {
            let Some(channel) = self.channel(id) else { return };
            let addr = channel.addr;
            if channel.reliable.queue_messages() == 0 {
                self.queue_next(id);
            }
            let Some(channel) = self.channels.get_mut(id.index()).and_then(Option::as_deref_mut) else {
                return;
            };
            let Some(payload) = channel.reliable.poll_transmit(now, &mut self.writer) else {
                let due = channel.reliable.poll_timeout();
                if channel.reliable.is_exhausted() {
                    self.leave(now, id, LeaveReason::Unresponsive);
                } else {
                    self.wake_at(due);
                }
                return;
            };
            self.transmit(addr, payload);
        }
    }

    /// Chooses what an idle channel is told next: the rest of the join, then chat, lists and other news in turns.
    fn queue_next(&mut self, id: ChannelId) {
        let list = self.list_body.clone();
        let attempts_max = self.limits().attempts_max;
        let Some(channel) = self.channels.get_mut(id.index()).and_then(Option::as_deref_mut) else { return };
        let mut message = None;
        while channel.join != JoinStep::Done && message.is_none() {
            let step = channel.join;
            channel.join = step.next();
            message = join_message(&self.config, self.recorder, id, step);
            if message.is_some() && step <= JoinStep::RequestInfo {
                let counter = self.secret.next_u8();
                channel.reliable.set_counter_next(counter);
            }
        }
        if channel.is_proven() {
            channel.reliable.set_attempts_max(Some(attempts_max));
        }
        let body = match message {
            Some(message) => Some((message.id(), message.body(&mut self.writer))),
            None => self.next_in_turn(id, list),
        };
        let Some((message, body)) = body else { return };
        if let Some(channel) = self.channels.get_mut(id.index()).and_then(Option::as_deref_mut) {
            // The queue is empty and bodies are far below its limit, so nothing can be refused.
            let queued = channel.reliable.send_body(message, body);
            debug_assert!(queued.is_ok(), "one message fits an empty queue");
        }
    }

    fn next_in_turn(&mut self, id: ChannelId, list: Bytes) -> Option<(u16, Bytes)> {
        let mut turn = self.channel(id)?.told_last;
        for _ in 0..Turn::COUNT {
            turn = turn.next();
            let channel = self.channel_mut(id)?;
            let told = match turn {
                Turn::Chat => channel.chat.pop_front().map(|line| (id::CHAT_TEXT, line)),
                Turn::List => {
                    std::mem::take(&mut channel.news.list).then(|| (id::CONN_CLIENTS_LIST, list.clone()))
                }
                Turn::News => {
                    self.next_news(id).map(|message| (message.id(), message.body(&mut self.writer)))
                }
            };
            if told.is_some() {
                self.channel_mut(id)?.told_last = turn;
                return told;
            }
        }
        None
    }

    fn next_news(&mut self, id: ChannelId) -> Option<Message> {
        let recorder = self.recorder;
        let news = &mut self.channels.get_mut(id.index()).and_then(Option::as_deref_mut)?.news;
        if std::mem::take(&mut news.opus_supported) {
            return Some(Message::OpusSupported);
        }
        if std::mem::take(&mut news.recorder) {
            return Some(Message::RecorderState(recorder));
        }
        if let Some(size) = news.jitter.take() {
            return Some(Message::JitterBufferSize(size));
        }
        loop {
            let news = &mut self.channels.get_mut(id.index()).and_then(Option::as_deref_mut)?.news;
            let listener = news.muting.first()?;
            news.muting.set(listener, false);
            // Who left in the meantime has no fader any more.
            let Some(muted) = self.channel(listener).map(|channel| channel.muted.contains(id)) else {
                continue;
            };
            self.stats.mute_notices += 1;
            let state = if muted { MuteState::Muted } else { MuteState::Unmuted };
            return Some(Message::MuteStateChanged { channel: listener, state });
        }
    }

    /// Queues a chat line for everybody and returns it.
    pub(super) fn chat_to_all(&mut self, line: &str) -> Arc<str> {
        let text = ChatText::cut(line);
        let body = Message::Chat(text.clone()).body(&mut self.writer);
        for id in all_ids() {
            self.chat_to(id, body.clone());
        }
        text.shared()
    }

    pub(super) fn chat_to(&mut self, id: ChannelId, body: Bytes) {
        let waiting_max = self.limits().chat_queue_max;
        let Some(channel) = self.channel_mut(id) else { return };
        if channel.chat.len() >= waiting_max {
            self.stats.chat_overflowed += 1;
            return;
        }
        channel.chat.push_back(body);
        self.talk_to(id);
    }

    pub(super) fn send_levels(&mut self, levels: &[u8]) {
        let payload = Connectionless::Levels(Levels::new(levels.iter().copied())).frame(&mut self.writer);
        let Self { channels, outputs, stats, .. } = self;
        for channel in channels.iter().flatten().filter(|channel| channel.is_proven()) {
            stats.levels_sent += 1;
            let transmit = crate::Transmit { dst: channel.addr, payload: payload.clone() };
            outputs.push_back(super::Output::Transmit(transmit));
        }
    }

    pub(super) fn local_time(&self, now: Instant) -> LocalTime {
        let (at, time) = self.local_time;
        time.plus_seconds(now.saturating_duration_since(at).as_secs())
    }
}

/// One step of the join; `None` if this server leaves it out.
fn join_message(
    config: &ServerConfig,
    recorder: crate::message::RecorderState,
    id: ChannelId,
    step: JoinStep,
) -> Option<Message> {
    Some(match step {
        JoinStep::ClientId => Message::ClientId(id),
        JoinStep::RawAudio if config.has(ServerFeatures::RAW_AUDIO) => Message::RawAudioSupported,
        // Makes the client reset its mixer.
        JoinStep::EmptyList => Message::ClientList(Vec::new()),
        JoinStep::RequestSplit => Message::RequestSplitSupport,
        JoinStep::RequestJitter => Message::RequestJitterBufferSize,
        JoinStep::RequestInfo => Message::RequestChannelInfo,
        JoinStep::Welcome => Message::Chat(config.welcome_line()?),
        JoinStep::Licence if config.licence() == Licence::Required => {
            Message::LicenceRequired(Licence::Required)
        }
        JoinStep::Version => Message::VersionAndOs(config.version().clone()),
        JoinStep::Recorder => Message::RecorderState(recorder),
        JoinStep::RawAudio | JoinStep::Licence | JoinStep::Done => return None,
    })
}

impl Channel {
    /// What everybody is told about the recorder.
    pub(super) const fn note_recorder(&mut self) {
        // A newcomer hears of it as part of the join.
        if self.join as u8 > JoinStep::Recorder as u8 {
            self.news.recorder = true;
        }
    }
}
