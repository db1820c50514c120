//! Coming and going: strangers, probes, slots, quarantine (spec 5.3 to 5.5, 10.6).

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::{Admission, Event, LeaveReason, Server, add_reliable, all_ids};
use crate::channel::Channel;
use crate::guard::{Loan, host_of};
use crate::message::{Connectionless, Message, id};
use crate::responder::Answer;
use crate::types::ChannelId;
use crate::wire::{FRAME_OVERHEAD_BYTES, Frame};

/// Bytes of message 20, the only one a newcomer sends on its own.
const PROPS_BYTES: usize = 19;

/// Questions a newcomer has to answer. One has only 256 answers, and nothing keeps a forger from trying many addresses.
const QUESTIONS: usize = 2;

/// How often the time to answer doubles: 2, 2, 4, 4 s.
const LONGER_TIMES: u8 = 1;

/// How often an address that had its time is asked in the next one: where half of all datagrams are lost, one question is
/// seldom enough.
const ATTEMPTS_AGAIN: u8 = 2;

/// An address is asked the same questions for so long. An answer from the period before is never a guess.
const QUESTIONS_PERIOD: Duration = Duration::from_secs(64);

#[derive(Clone, Copy, Debug)]
struct Question {
    /// Another one than the other questions'.
    counter: u8,
    answered: bool,
}

/// A newcomer that has been asked to prove its address.
///
/// It is asked with message 21 under counters it cannot guess. Clients answer it whether or not they are connected
/// already (spec 10.6). Both questions are asked at the same time, so that two cost no more time than one.
///
/// The counters belong to the address and the time, so one that had to give way is asked the same when it knocks again,
/// and its answers are good however often that happened meanwhile.
#[derive(Debug)]
pub(super) struct Probe {
    questions: [Question; QUESTIONS],
    /// Acknowledgements that were neither.
    wrong: u8,
    /// Whether it has been asked at all.
    asked: bool,
    /// How often it may be asked until its time is over.
    attempts_left: u8,
    /// How often it got another time.
    renewals: u8,
    began_at: Instant,
    /// When it knocked last.
    heard_at: Instant,
    /// When to ask again; `None` never.
    next_at: Option<Instant>,
    /// Message 20 usually arrives before the acknowledgement; it is processed once there is a channel.
    props: Option<(u8, [u8; PROPS_BYTES])>,
}

impl Probe {
    /// The time it has to answer: longer and longer if it does not and goes on knocking.
    fn time_to_answer(&self, lifetime: Duration) -> Duration {
        lifetime.saturating_mul(1 << self.renewals.saturating_sub(1).min(LONGER_TIMES))
    }

    /// Whether it is time to ask.
    fn is_due(&self, now: Instant) -> bool {
        self.next_at.is_some_and(|at| at <= now)
    }

    fn is_over(&self, now: Instant, lifetime: Duration) -> bool {
        now.saturating_duration_since(self.began_at) >= self.time_to_answer(lifetime)
    }
}

/// What is remembered of an address that left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quarantine {
    /// Until when its audio is ignored; `None` for ever.
    until: Option<Instant>,
    /// How often in a row it has not told who it is.
    unidentified: u8,
}

impl Quarantine {
    fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// How a newcomer showed up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Newcomer {
    /// With audio.
    Knocking,
    /// With its audio format; audio will follow.
    Announcing,
}

impl Server {
    /// A datagram from an address without a channel.
    pub(super) fn on_stranger(
        &mut self,
        now: Instant,
        src: SocketAddr,
        bytes: usize,
        frame: Option<Frame<'_>>,
    ) {
        if !self.admits(now, src.ip()) && !self.is_our_directory(src) {
            self.stats.datagrams_denied += 1;
            return;
        }
        self.responder.guard.received(now, src.ip(), bytes);
        match frame {
            None => self.on_stranger_audio(now, src),
            Some(frame) if frame.is_connectionless() => self.on_connectionless(now, src, frame, None),
            Some(frame) => self.on_stranger_message(now, src, frame),
        }
    }

    /// A message without connection, from a channel's address or a stranger's.
    pub(super) fn on_connectionless(
        &mut self,
        now: Instant,
        src: SocketAddr,
        frame: Frame<'_>,
        channel: Option<ChannelId>,
    ) {
        if frame.id == id::CLM_DISCONNECTION {
            self.probes.remove(&src);
            if let Some(channel) = channel {
                self.leave(now, channel, LeaveReason::Disconnected);
            }
            return;
        }
        if self.on_listing_message(now, src, frame) {
            return;
        }
        let answer = self.responder.answer_frame(now, &self.snapshot, src, frame, channel.is_none());
        if let Answer::Reply(payload) = answer {
            self.transmit(src, payload);
        }
    }

    /// Audio from a stranger is how a client knocks.
    fn on_stranger_audio(&mut self, now: Instant, src: SocketAddr) {
        if self.quarantine.get(&src).is_some_and(|quarantine| !quarantine.is_over(now)) {
            self.stats.quarantined += 1;
            return;
        }
        if let Some(probe) = self.probes.get_mut(&src) {
            probe.heard_at = now;
        } else if !self.remember(now, src, Newcomer::Knocking) {
            return;
        }
        self.ask(now, src);
    }

    /// Makes an entry for a newcomer; `false` if that is not possible.
    fn remember(&mut self, now: Instant, src: SocketAddr, newcomer: Newcomer) -> bool {
        if self.responder.guard.is_locked_out(now, src) {
            return false;
        }
        if !self.has_room_for(src) {
            if newcomer == Newcomer::Knocking {
                self.refuse(now, src);
            }
            return false;
        }
        if !self.make_way(now, src) {
            self.stats.probes_limited += 1;
            return false;
        }
        let questions = self
            .questions_to(src, self.questions_period(now))
            .map(|counter| Question { counter, answered: false });
        let fresh = || Probe {
            questions,
            wrong: 0,
            asked: false,
            attempts_left: self.config.limits().probe_attempts_max,
            renewals: 0,
            began_at: now,
            heard_at: now,
            next_at: Some(now),
            props: None,
        };
        let (_, evicted) = self.probes.touch_or(src, fresh);
        self.stats.probes_evicted += u64::from(evicted.is_some());
        self.wake_at(now.checked_add(self.limits().probe_lifetime));
        true
    }

    /// Makes sure that there is room for one more newcomer; `false` if all others were asked only just now.
    ///
    /// Whoever was asked is left in peace long enough to answer, so that a crowd or a flood does not take turns in being
    /// asked. Nobody can stay longer while others wait, however often it knocks.
    fn make_way(&mut self, now: Instant, src: SocketAddr) -> bool {
        let (of_host_max, interval) = (self.limits().probes_per_host_max, self.limits().probe_interval);
        let gives_way =
            |probe: &Probe| !probe.asked || now.saturating_duration_since(probe.began_at) >= interval;
        if self.probes.next_evicted().is_some_and(|probe| !gives_way(probe)) {
            return false;
        }
        let host = host_of(src.ip());
        let of_host = || self.probes.iter().filter(|(addr, _)| host_of(addr.ip()) == host);
        if of_host().count() >= of_host_max {
            let longest =
                of_host().filter(|(_, probe)| gives_way(probe)).min_by_key(|(_, probe)| probe.began_at);
            let Some((addr, _)) = longest else { return false };
            self.probes.remove(&addr);
            self.stats.probes_evicted += 1;
        }
        true
    }

    /// The number of the period whose questions are asked now.
    pub(super) fn questions_period(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started_at).as_secs() / QUESTIONS_PERIOD.as_secs()
    }

    /// The counters under which an address is asked, two different ones.
    pub(super) fn questions_to(&self, src: SocketAddr, period: u64) -> [u8; QUESTIONS] {
        let ip = match src.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let bits = ip.to_bits();
        let chosen = self.secret.of([(bits >> 64) as u64, bits as u64, u64::from(src.port()), period]);
        let first = chosen as u8;
        // One of the 255 others, each as likely.
        [first, first.wrapping_add(1 + ((chosen >> 8) % 255) as u8)]
    }

    /// Asks what is not answered, if it is time to and the stranger has paid for it with bytes of its own.
    fn ask(&mut self, now: Instant, src: SocketAddr) {
        let interval = self.limits().probe_interval;
        let Some(probe) = self.probes.get_mut(&src) else { return };
        if !probe.is_due(now) {
            return;
        }
        let questions = probe.questions;
        let open = questions.iter().filter(|question| !question.answered);
        let bytes = FRAME_OVERHEAD_BYTES * open.clone().count();
        if probe.attempts_left > 0 && self.responder.guard.permits_bytes(now, src.ip(), bytes, Loan::Never) {
            self.stats.probed += u64::from(!probe.asked);
            probe.asked = true;
            probe.attempts_left -= 1;
            probe.next_at = now.checked_add(interval);
            for question in open {
                let payload = Message::RequestAudioProps.frame(question.counter, &mut self.writer);
                self.transmit(src, payload);
            }
            self.wake_at(now.checked_add(interval));
        }
        // An address that has not paid yet is asked with its next datagram.
    }

    pub(super) fn on_probe_timeouts(&mut self, now: Instant) {
        let (lifetime, interval) = (self.limits().probe_lifetime, self.limits().probe_interval);
        let mut due = Vec::new();
        for (addr, probe) in self.probes.iter_mut() {
            if probe.is_over(now, lifetime) {
                due.push((addr, true));
            } else if probe.asked && probe.attempts_left > 0 && probe.is_due(now) {
                due.push((addr, false));
            }
        }
        for (addr, expired) in due {
            if expired {
                self.renew_or_forget(now, addr);
            }
            self.ask(now, addr);
            if let Some(probe) = self.probes.get_mut(&addr).filter(|probe| probe.is_due(now)) {
                probe.next_at = now.checked_add(interval);
            }
        }
    }

    /// Ends the time a newcomer had to answer.
    ///
    /// Whoever still knocks is asked once more and gets another time: programs with a window were seen to answer nothing
    /// for two seconds while they played already.
    fn renew_or_forget(&mut self, now: Instant, addr: SocketAddr) {
        let lifetime = self.limits().probe_lifetime;
        let knocking = |probe: &&mut Probe| now.saturating_duration_since(probe.heard_at) < lifetime / 2;
        match self.probes.touch(&addr).filter(knocking) {
            Some(probe) => {
                (probe.attempts_left, probe.began_at, probe.next_at) = (ATTEMPTS_AGAIN, now, Some(now));
                probe.renewals = probe.renewals.saturating_add(1);
            }
            None => {
                self.probes.remove(&addr);
                self.stats.probes_expired += 1;
            }
        }
    }

    pub(super) fn probe_deadline(&self) -> Option<Instant> {
        let limits = self.limits();
        let deadlines = self.probes.iter().flat_map(|(_, probe)| {
            let asks = probe.asked && probe.attempts_left > 0;
            let over_at = probe.began_at.checked_add(probe.time_to_answer(limits.probe_lifetime));
            [over_at, probe.next_at.filter(|_| asks)]
        });
        deadlines.flatten().min()
    }

    /// A message of a connection from an address that has none: the answer to a probe, or nothing.
    pub(super) fn on_stranger_message(&mut self, now: Instant, src: SocketAddr, frame: Frame<'_>) {
        match (frame.id, frame.body) {
            (id::NETW_TRANSPORT_PROPS, body) => match body.try_into() {
                Ok(body) => self.on_stranger_props(now, src, (frame.counter, body)),
                Err(_) => self.stats.messages_malformed += 1,
            },
            (id::ACKN, body) if *body == id::REQ_NETW_TRANSPORT_PROPS.to_le_bytes() => {
                self.on_stranger_acknowledgement(now, src, frame.counter);
            }
            _ => self.stats.messages_unconnected += 1,
        }
    }

    /// A client started with an address to connect to announces its format even before its first audio. Forgetting it
    /// would cost 400 ms.
    fn on_stranger_props(&mut self, now: Instant, src: SocketAddr, props: (u8, [u8; PROPS_BYTES])) {
        let is_leaving = self.quarantine.get(&src).is_some_and(|quarantine| !quarantine.is_over(now));
        let known = self.probes.get(&src).is_some();
        if known || (!is_leaving && self.remember(now, src, Newcomer::Announcing)) {
            if let Some(probe) = self.probes.get_mut(&src) {
                probe.props = Some(props);
            }
        } else {
            self.stats.messages_unconnected += 1;
        }
    }

    fn on_stranger_acknowledgement(&mut self, now: Instant, src: SocketAddr, counter: u8) {
        let Some(probe) = self.probes.get_mut(&src).filter(|probe| probe.asked) else {
            self.stats.messages_unconnected += 1;
            return;
        };
        if let Some(question) = probe.questions.iter_mut().find(|question| question.counter == counter) {
            // What was asked twice is answered twice: no guess.
            question.answered = true;
            if probe.questions.iter().all(|question| question.answered) {
                self.stats.probes_answered += 1;
                let props = self.probes.remove(&src).and_then(|probe| probe.props);
                self.join(now, src, props);
            }
            return;
        }
        let period = self.questions_period(now);
        let of_period = |period: u64| self.questions_to(src, period).contains(&counter);
        if of_period(period) || period.checked_sub(1).is_some_and(of_period) {
            // It was asked this before it had to give way, or before it gave up for a while.
            self.stats.messages_unconnected += 1;
            return;
        }
        self.stats.acknowledgements_wrong += 1;
        let wrong_max = self.limits().guard.wrong_acknowledgements_max;
        let Some(probe) = self.probes.get_mut(&src) else { return };
        probe.wrong = probe.wrong.saturating_add(1);
        if probe.wrong >= wrong_max {
            self.probes.remove(&src);
            self.lock_out(now, src);
        }
    }

    /// Ignores an address with its port for a while, because it guessed.
    pub(super) fn lock_out(&mut self, now: Instant, src: SocketAddr) {
        self.stats.locked_out += 1;
        self.responder.guard.lock_out(now, src);
    }

    fn has_room_for(&self, src: SocketAddr) -> bool {
        let host = host_of(src.ip());
        let of_host =
            || self.channels.iter().flatten().filter(|channel| host_of(channel.addr.ip()) == host).count();
        let per_host_max = self.limits().channels_per_host_max;
        self.admission == Admission::Open
            && self.connected() < usize::from(self.config.channels_max())
            && (per_host_max >= ChannelId::COUNT_MAX || of_host() < per_host_max)
    }

    /// Tells a newcomer that there is no room, unless that would be too often or too much.
    fn refuse(&mut self, now: Instant, src: SocketAddr) {
        if self.responder.guard.permits_refusal(now, src.ip(), FRAME_OVERHEAD_BYTES) {
            self.stats.refused += 1;
            let payload = Connectionless::ServerFull.frame(&mut self.writer);
            self.transmit(src, payload);
        } else {
            self.stats.refused_silently += 1;
        }
    }

    /// Gives a newcomer the lowest free slot.
    fn join(&mut self, now: Instant, addr: SocketAddr, props: Option<(u8, [u8; PROPS_BYTES])>) {
        let free = all_ids().find(|id| self.channel(*id).is_none());
        let Some(id) = free.filter(|_| self.has_room_for(addr)) else {
            self.refuse(now, addr);
            return;
        };
        let counter = self.secret.next_u8();
        let limits = self.config.limits();
        let wake = now.checked_add(limits.silence_max.min(limits.unidentified_max));
        let mut newcomer = Channel::new(id, addr, limits, counter, now);
        newcomer.unidentified_before =
            self.quarantine.remove(&addr).map_or(0, |quarantine| quarantine.unidentified);
        if let Some(slot) = self.channels.get_mut(id.index()) {
            *slot = Some(Box::new(newcomer));
        }
        self.by_addr.insert(addr, id);
        self.stats.joined += 1;
        self.wake_at(wake);
        self.reset_muting(id);
        let connected = self.connected_count();
        self.event(Event::Joined { channel: id, addr, connected });
        self.dirty.snapshot = true;
        match props {
            Some((counter, body)) => {
                self.on_connected_frame(
                    now,
                    id,
                    Frame { id: id::NETW_TRANSPORT_PROPS, counter, body: &body },
                );
            }
            None => self.talk_to(id),
        }
    }

    /// A slot changes hands: nobody mutes the new musician, and it mutes nobody (spec 5.3, 5.8).
    fn reset_muting(&mut self, id: ChannelId) {
        let muted = self.muted_by_last.get_mut(id.index()).map(std::mem::take).unwrap_or_default();
        for last in &mut self.muted_by_last {
            last.set(id, false);
        }
        for channel in self.channels.iter_mut().flatten().filter(|channel| channel.id != id) {
            channel.muted.set(id, false);
            channel.news.muting.set(id, muted.contains(channel.id));
        }
        for other in muted.iter().filter(|other| *other != id) {
            self.talk_to(other);
        }
    }

    /// Frees a slot.
    pub(super) fn leave(&mut self, now: Instant, id: ChannelId, reason: LeaveReason) {
        let Some(channel) = self.channels.get_mut(id.index()).and_then(Option::take) else { return };
        let addr = channel.addr;
        self.by_addr.remove(&addr);
        self.dirty.talk.set(id, false);
        add_reliable(&mut self.stats, &channel);
        if let Some(last) = self.muted_by_last.get_mut(id.index()) {
            *last = channel.muted;
        }
        *match reason {
            LeaveReason::Disconnected => &mut self.stats.left_disconnected,
            LeaveReason::TimedOut => &mut self.stats.left_timed_out,
            LeaveReason::Unresponsive => &mut self.stats.left_unresponsive,
            LeaveReason::Restarted => &mut self.stats.left_restarted,
            LeaveReason::Unidentified => &mut self.stats.left_unidentified,
            LeaveReason::Forged | LeaveReason::Removed | LeaveReason::Banned | LeaveReason::Shutdown => {
                &mut self.stats.left_removed
            }
        } += 1;
        self.quarantine_for(now, &channel, reason);
        self.dirty.snapshot = true;
        self.dirty.list = true;
        let connected = self.connected_count();
        self.event(Event::Left { channel: id, addr, reason, connected });
    }

    /// Remembers who left. A program started anew may join at once; so may one that did not tell who it is the first time.
    fn quarantine_for(&mut self, now: Instant, channel: &Channel, reason: LeaveReason) {
        let limits = self.limits();
        let before = channel.unidentified_before;
        let (time, unidentified) = match reason {
            LeaveReason::Restarted => return,
            LeaveReason::Unidentified => {
                let time = limits.unidentified_max.saturating_mul(u32::from(before));
                (time.min(limits.unidentified_quarantine_max), before.saturating_add(1))
            }
            _ => (limits.quarantine, 0),
        };
        // Beyond the end of time means for ever.
        let quarantine = Quarantine { until: now.checked_add(time), unidentified };
        if let (Some(entry), _) = self.quarantine.touch_or(channel.addr, || quarantine) {
            *entry = quarantine;
        }
    }

    /// As [`Server::leave`], and the client is told.
    pub(super) fn remove(&mut self, now: Instant, id: ChannelId, reason: LeaveReason) {
        let Some(addr) = self.channel(id).map(|channel| channel.addr) else { return };
        let payload = Connectionless::Disconnection.frame(&mut self.writer);
        self.transmit(addr, payload);
        self.leave(now, id, reason);
    }

    fn connected_count(&self) -> u8 {
        u8::try_from(self.connected()).unwrap_or(u8::MAX)
    }
}
