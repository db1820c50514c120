//! One connected musician: address, identity, what to say next (spec 5.3, 5.4).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;

use crate::config::ServerLimits;
use crate::guard::Bucket;
use crate::message::ChannelInfo;
use crate::reliable::{Reliable, ReliableLimits};
use crate::types::{AudioProps, ChannelId, JitterSize, Sequence};

/// A set of channels.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct ChannelSet([u64; 3]);

impl ChannelSet {
    pub(crate) fn contains(self, channel: ChannelId) -> bool {
        self.0.get(channel.index() / 64).is_some_and(|word| word >> (channel.index() % 64) & 1 == 1)
    }

    /// Adds or takes out; says whether that changed anything.
    pub(crate) fn set(&mut self, channel: ChannelId, inside: bool) -> bool {
        let changes = self.contains(channel) != inside;
        if let Some(word) = self.0.get_mut(channel.index() / 64).filter(|_| changes) {
            *word ^= 1 << (channel.index() % 64);
        }
        changes
    }

    pub(crate) fn first(self) -> Option<ChannelId> {
        let at = self.0.iter().position(|word| *word != 0)?;
        let bit = self.0.get(at)?.trailing_zeros() as usize;
        u8::try_from(at * 64 + bit).ok().and_then(ChannelId::new)
    }

    pub(crate) fn iter(mut self) -> impl Iterator<Item = ChannelId> {
        std::iter::from_fn(move || {
            let channel = self.first()?;
            self.set(channel, false);
            Some(channel)
        })
    }
}

/// What a newcomer is told, one message after the other (spec 5.4).
///
/// Its address was proven by 21 already, which the original sends after 34. Each of these messages carries a counter of
/// its own choice: acknowledging all up to [`JoinStep::RequestInfo`] cannot be done by guessing.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum JoinStep {
    ClientId,
    RawAudio,
    EmptyList,
    RequestSplit,
    RequestJitter,
    RequestInfo,
    Welcome,
    Licence,
    Version,
    Recorder,
    Done,
}

impl JoinStep {
    pub(crate) const fn next(self) -> Self {
        match self {
            Self::ClientId => Self::RawAudio,
            Self::RawAudio => Self::EmptyList,
            Self::EmptyList => Self::RequestSplit,
            Self::RequestSplit => Self::RequestJitter,
            Self::RequestJitter => Self::RequestInfo,
            Self::RequestInfo => Self::Welcome,
            Self::Welcome => Self::Licence,
            Self::Licence => Self::Version,
            Self::Version => Self::Recorder,
            Self::Recorder | Self::Done => Self::Done,
        }
    }
}

/// News of which only the newest matters; told when nothing else is under way to the channel.
///
/// Keeping facts instead of messages bounds what a slow peer can make us store, whatever the others do.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct News {
    pub(crate) list: bool,
    pub(crate) recorder: bool,
    pub(crate) opus_supported: bool,
    pub(crate) jitter: Option<JitterSize>,
    /// Listeners that muted or unmuted this channel.
    pub(crate) muting: ChannelSet,
}

/// The kinds of things a musician is told take turns, so that one that never ends keeps no other waiting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Turn {
    Chat,
    List,
    News,
}

impl Turn {
    /// As many as there are.
    pub(crate) const COUNT: usize = 3;

    pub(crate) const fn next(self) -> Self {
        match self {
            Self::Chat => Self::List,
            Self::List => Self::News,
            Self::News => Self::Chat,
        }
    }
}

/// Nothing but datagrams of a wrong size: a program started anew, or a message 20 that waits behind others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WrongSize {
    /// Since when, or since the last message that shows that the program is the same.
    pub(crate) since: Instant,
    /// Whether every message since continued the count; a program started anew begins it anew.
    pub(crate) count_goes_on: bool,
}

/// One slot in use.
#[derive(Debug)]
pub(crate) struct Channel {
    // What every audio datagram needs comes first.
    pub(crate) last_datagram: Instant,
    /// When datagrams came again after a pause in which a program can be started anew.
    pub(crate) resumed_at: Option<Instant>,
    /// Every datagram has had a wrong size for some time.
    pub(crate) wrong_size: Option<WrongSize>,
    /// Size of an audio datagram; 0 while the format is unknown.
    pub(crate) datagram_bytes: usize,
    pub(crate) id: ChannelId,
    pub(crate) addr: SocketAddr,
    pub(crate) joined_at: Instant,
    /// How often this address has had a channel before and did not tell who it is.
    pub(crate) unidentified_before: u8,
    pub(crate) props: Option<AudioProps>,
    /// What message 25 said; `None` until it came (not *identified*).
    pub(crate) info: Option<ChannelInfo>,
    pub(crate) reliable: Reliable,
    pub(crate) join: JoinStep,
    pub(crate) news: News,
    /// Chat lines that wait for this receiver.
    pub(crate) chat: VecDeque<Bytes>,
    /// What kind of thing was told last.
    pub(crate) told_last: Turn,
    /// Whose fader this listener has at zero.
    pub(crate) muted: ChannelSet,
    pub(crate) messages: Bucket,
    pub(crate) renames: Bucket,
    pub(crate) chat_rate: Bucket,
    /// Acknowledgements that matched nothing, until the address is proven beyond doubt.
    pub(crate) guesses: u8,
}

impl Channel {
    pub(crate) fn new(
        id: ChannelId,
        addr: SocketAddr,
        limits: &ServerLimits,
        counter_first: u8,
        now: Instant,
    ) -> Self {
        let attempts_max = Some(limits.unproven_attempts_max);
        let reliable = ReliableLimits { attempts_max, ..ReliableLimits::default() };
        Self {
            last_datagram: now,
            resumed_at: None,
            wrong_size: None,
            datagram_bytes: 0,
            id,
            addr,
            joined_at: now,
            unidentified_before: 0,
            props: None,
            info: None,
            reliable: Reliable::new(reliable, counter_first),
            join: JoinStep::ClientId,
            news: News::default(),
            chat: VecDeque::new(),
            told_last: Turn::News,
            muted: ChannelSet::default(),
            messages: Bucket::full(limits.messages, now),
            renames: Bucket::full(limits.renames, now),
            chat_rate: Bucket::full(limits.chat, now),
            guesses: 0,
        }
    }

    /// Whether the peer has acknowledged enough unguessable counters to be sent audio and levels.
    pub(crate) fn is_proven(&self) -> bool {
        // The step names what comes next; behind RequestInfo means that it was sent, and sent means that everything
        // before it was acknowledged.
        self.join > JoinStep::RequestInfo
    }

    /// Whether the musician has not said who it is, or in which format it plays.
    pub(crate) fn is_unidentified(&self) -> bool {
        self.info.is_none() || self.props.is_none()
    }

    /// Who the musician is; nobody in particular before message 25.
    pub(crate) fn info(&self) -> ChannelInfo {
        self.info.clone().unwrap_or_default()
    }

    pub(crate) fn set_props(&mut self, props: AudioProps) {
        self.datagram_bytes = props.datagram_bytes();
        self.props = Some(props);
        self.wrong_size = None;
    }

    /// Notes a new message of the peer, by whether its counter continues the count.
    pub(crate) fn note_count(&mut self, now: Instant, goes_on: bool) {
        if let Some(wrong_size) = &mut self.wrong_size {
            wrong_size.count_goes_on &= goes_on;
            if wrong_size.count_goes_on {
                wrong_size.since = now;
            }
        }
    }

    /// Whether the size is that of the same format with sequence bytes: clients switch them on as soon as they know our
    /// version, and message 20, which says so, may be held up behind others for seconds.
    pub(crate) fn is_adding_sequence(&self, bytes: usize) -> bool {
        self.props.is_some_and(|props| {
            props.sequence == Sequence::Without
                && bytes == AudioProps { sequence: Sequence::With, ..props }.datagram_bytes()
        })
    }

    /// Bytes on the heap.
    pub(crate) fn memory_bytes(&self) -> usize {
        let chat: usize = self.chat.iter().map(Bytes::len).sum();
        size_of::<Self>() + self.chat.capacity() * size_of::<Bytes>() + chat + self.reliable.memory_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_channel_set_is_a_set(calls in prop::collection::vec((0_u8..150, any::<bool>()), 0..200)) {
            let mut set = ChannelSet::default();
            let mut model = BTreeSet::new();
            for (number, inside) in calls {
                let channel = ChannelId::new(number).unwrap();
                let changed = if inside { model.insert(channel) } else { model.remove(&channel) };
                prop_assert_eq!(set.set(channel, inside), changed);
                prop_assert_eq!(set.first(), model.first().copied());
            }
            prop_assert!(set.iter().eq(model));
        }
    }
}
