//! What connected musicians say (spec 2.2, 5.4, 5.6, 5.8, 5.9).

use std::time::Instant;

use super::{Event, LeaveReason, RESTART_PAUSE_MIN, RESTART_SHOWS_WITHIN, Server};
use crate::message::{ChannelInfo, Message, id};
use crate::reliable::Received;
use crate::text;
use crate::types::{AudioProps, ChannelId, Gain, Sequence};
use crate::wire::Frame;

/// Acknowledgements that match nothing before a newcomer counts as forged. Late repetitions of genuine ones, which
/// networks produce, stay far below.
const GUESSES_MAX: u8 = 8;

impl Server {
    /// A frame of a connection, from its channel.
    pub(super) fn on_connected_frame(&mut self, now: Instant, id: ChannelId, frame: Frame<'_>) {
        let (rate, renames) = (self.limits().messages, self.limits().renames);
        if frame.id == id::ACKN && *frame.body == id::REQ_NETW_TRANSPORT_PROPS.to_le_bytes() {
            // A late answer to what was asked before there was a channel, which is never sent this itself. Programs that
            // start slowly answer all repetitions at once.
            self.stats.messages_duplicate += 1;
            return;
        }
        let Some(channel) = self.channels.get_mut(id.index()).and_then(Option::as_deref_mut) else { return };
        if frame.id != id::ACKN && !channel.messages.take(now, rate, 1)
            || subject(&frame) == id::CHANNEL_INFOS && !channel.renames.take(now, renames, 1)
        {
            // Not acknowledged either: the peer repeats it when it has calmed down.
            self.stats.messages_limited += 1;
            return;
        }
        let paused = now.saturating_duration_since(channel.last_datagram) >= RESTART_PAUSE_MIN
            || channel.resumed_at.is_some_and(|at| now.saturating_duration_since(at) <= RESTART_SHOWS_WITHIN);
        if frame.id != id::ACKN && paused && channel.reliable.begins_anew(frame.id, frame.counter) {
            // Started anew on the same address so soon that the new program continued the old one's joining; it lacks
            // what the old one was told (spec 11.4).
            let addr = channel.addr;
            self.leave(now, id, LeaveReason::Restarted);
            self.on_stranger_message(now, addr, frame);
            return;
        }
        let goes_on = channel.reliable.continues(frame.counter);
        let received = channel.reliable.handle_frame(&frame);
        if frame.id != id::ACKN && received != Received::Duplicate {
            channel.note_count(now, goes_on);
        }
        match received {
            Received::Message { id: message, body } => {
                self.stats.messages += 1;
                let addr = channel.addr;
                self.on_message(now, id, message, &body);
                if self.channel(id).is_none() {
                    // The message told that the client was started anew: it is a newcomer's message.
                    self.on_stranger_message(now, addr, frame);
                }
            }
            Received::WrongAcknowledgement if !channel.is_proven() => {
                channel.guesses = channel.guesses.saturating_add(1);
                if channel.guesses > GUESSES_MAX {
                    let addr = channel.addr;
                    self.lock_out(now, addr);
                    self.leave(now, id, LeaveReason::Forged);
                }
            }
            Received::Malformed => self.stats.messages_malformed += 1,
            Received::Acknowledged { .. }
            | Received::WrongAcknowledgement
            | Received::Duplicate
            | Received::Part => {}
        }
        self.talk_to(id);
    }

    fn on_message(&mut self, now: Instant, id: ChannelId, message: u16, body: &[u8]) {
        if !is_for_servers(message) {
            self.stats.messages_unknown += 1;
            return;
        }
        let message = match Message::parse(message, body) {
            Ok(Some(message)) => message,
            Ok(None) => {
                self.stats.messages_unknown += 1;
                return;
            }
            Err(_) => {
                self.stats.messages_malformed += 1;
                return;
            }
        };
        match message {
            Message::JitterBufferSize(size) => self.event(Event::JitterBuffer { channel: id, size }),
            Message::ChannelGain { channel, gain } => self.on_gain(id, channel, gain),
            // What is set for a free slot is forgotten when somebody takes it, so it need not be noted.
            Message::ChannelPan { channel, pan } if self.channel(channel).is_some() => {
                self.event(Event::Pan { listener: id, source: channel, pan });
            }
            Message::RequestClientList => {
                if let Some(channel) = self.channel_mut(id) {
                    channel.news.list = true;
                }
            }
            Message::Chat(text) => self.on_chat(now, id, &text),
            Message::AudioProps(props) => self.on_props(now, id, props),
            Message::CeltProps => {
                if let Some(channel) = self.channel_mut(id) {
                    channel.news.opus_supported = true;
                }
            }
            Message::ChannelInfo(info) => self.on_info(now, id, info),
            Message::SplitSupported => {
                if let Some(channel) = self.channel_mut(id) {
                    channel.reliable.allow_split();
                }
            }
            // Levels go to everybody since 3.6.0, whether asked for or not (spec 2.2, message 28).
            _ => {}
        }
    }

    /// Repeated settings, which clients send while they start, change nothing.
    fn on_props(&mut self, now: Instant, id: ChannelId, props: AudioProps) {
        let Some(channel) = self.channel_mut(id) else { return };
        if channel.props == Some(props) {
            return;
        }
        let had_sequence = channel.props.is_some_and(|props| props.sequence == Sequence::With);
        if had_sequence && props.sequence == Sequence::Without {
            // Clients switch sequence bytes on once they know our version, and never off: this one was started anew on
            // the same address and knows nothing of this connection (spec 11.4). Its next audio makes it a newcomer.
            self.leave(now, id, LeaveReason::Restarted);
            return;
        }
        channel.set_props(props);
        self.event(Event::Transport { channel: id, props });
    }

    fn on_gain(&mut self, listener: ChannelId, source: ChannelId, gain: Gain) {
        if self.channel(source).is_none() {
            return;
        }
        let gain = gain.min(self.config.gain_max());
        let Some(channel) = self.channel_mut(listener) else { return };
        if channel.muted.set(source, gain == Gain::ZERO) {
            if let Some(source) = self.channel_mut(source) {
                source.news.muting.set(listener, true);
            }
            self.talk_to(source);
        }
        self.event(Event::Gain { listener, source, gain });
    }

    fn on_info(&mut self, now: Instant, id: ChannelId, info: ChannelInfo) {
        let Some(channel) = self.channel_mut(id) else { return };
        if channel.info.as_ref() == Some(&info) {
            return;
        }
        if channel.info.replace(info.clone()).is_none() {
            self.stats.identified += 1;
            self.dirty.snapshot = true;
            self.dirty.list = true;
            self.event(Event::Identified { channel: id, info });
        } else {
            self.list_new_name(now);
            self.event(Event::Renamed { channel: id, info });
        }
    }

    fn on_chat(&mut self, now: Instant, id: ChannelId, text: &str) {
        let rate = self.limits().chat;
        let time = self.local_time(now);
        let Some(channel) = self.channel_mut(id) else { return };
        if !channel.chat_rate.take(now, rate, 1) {
            self.stats.chat_limited += 1;
            return;
        }
        let name = channel.info.as_ref().map_or("", |info| info.name.as_str());
        let line = text::chat_line(id, time, name, text);
        self.stats.chat_lines += 1;
        let line = self.chat_to_all(&line);
        self.event(Event::Chat { channel: id, line });
    }
}

/// The message that a frame brings, or a part of.
fn subject(frame: &Frame<'_>) -> u16 {
    match *frame.body {
        [low, high, ..] if frame.id == id::SPLIT => u16::from_le_bytes([low, high]),
        _ => frame.id,
    }
}

/// Whether clients send this message to servers; the others need not even be read.
const fn is_for_servers(message: u16) -> bool {
    matches!(
        message,
        id::JITT_BUF_SIZE
            | id::CHANNEL_GAIN
            | id::REQ_CONN_CLIENTS_LIST
            | id::CHAT_TEXT
            | id::NETW_TRANSPORT_PROPS
            | id::CHANNEL_INFOS
            | id::REQ_CHANNEL_LEVEL_LIST
            | id::CHANNEL_PAN
            | id::SPLIT_MESS_SUPPORTED
    )
}
