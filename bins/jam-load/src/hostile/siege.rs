//! Carries attacks out, on a thread of its own, so that the musicians keep their time.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use jam_proto::AudioProps;

use super::attack::{Arsenal, Attack, Attacker};
use super::member::{Manners, Member};
use super::strangers::{Strangers, Totals};
use crate::clock::Nanos;
use crate::run::now;

/// An attack sends in pieces of this length.
const SLOT: Duration = Duration::from_millis(1);
/// How long to listen for late answers.
const TAIL: Duration = Duration::from_millis(300);
/// How long a bad member has to join before its attack begins.
const JOIN_MAX: Duration = Duration::from_secs(3);
/// How long a bad member says goodbye.
const GOODBYE: Duration = Duration::from_millis(150);

/// What an attack did, and what it drew from the server.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    pub(super) sent: u64,
    pub(super) sent_bytes: u64,
    pub(super) back: u64,
    pub(super) back_bytes: u64,
    /// Whether the bad member was let in; `None` without one. If it was not, its attack was none.
    pub(super) admitted: Option<bool>,
    /// Whether the bad member was a member at the end of its attack; `None` without one.
    pub(super) joined: Option<bool>,
    pub(super) loans: Loans,
    pub(super) list_loans: Loans,
}

/// Bytes that strangers got beyond what they had sent, since the first attack.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Loans {
    /// The one address that got most.
    pub(super) worst: u64,
    pub(super) total: u64,
    /// Time since the first attack.
    pub(super) seconds: f64,
}

/// Everything the attackers have.
#[derive(Debug)]
pub(super) struct Siege {
    server: SocketAddrV4,
    props: AudioProps,
    arsenal: Arsenal,
    strangers: Strangers,
    list_strangers: Strangers,
    members: u8,
    start: Nanos,
    seconds: f64,
    rate: u32,
}

impl Siege {
    pub(super) fn new(
        server: SocketAddrV4,
        props: AudioProps,
        seed: u64,
        seconds: f64,
        rate: u32,
    ) -> io::Result<Self> {
        Ok(Self {
            server,
            props,
            arsenal: Arsenal::new(seed, props),
            strangers: Strangers::new(server)?,
            list_strangers: Strangers::new(server)?,
            members: 0,
            start: Nanos::now(),
            seconds,
            rate,
        })
    }

    /// Runs what it is told to until nobody tells it anything more.
    pub(super) fn obey(mut self, orders: &Receiver<Attack>, outcomes: &Sender<io::Result<Outcome>>) {
        while let Ok(attack) = orders.recv() {
            if outcomes.send(self.run(attack)).is_err() {
                return;
            }
        }
    }

    fn run(&mut self, attack: Attack) -> io::Result<Outcome> {
        self.arsenal.next_attack();
        let before = self.totals();
        let mut member = self.admit(attack)?;
        let admitted = member.as_ref().map(Member::is_joined);
        let begin = Nanos::now();
        let slots = (self.seconds * 1e3) as u64;
        let rate = u64::from(self.rate) / attack.thinning();
        let mut done = 0;
        for slot in 1..=slots {
            begin.plus(SLOT * slot as u32).sleep_until();
            let due = rate * slot / 1_000;
            for _ in done..due {
                self.strike(attack, member.as_mut())?;
            }
            done = due;
            if let Some(member) = member.as_mut().filter(|_| slot % 3 == 0) {
                member.play(now())?;
            }
            self.drain()?;
        }
        let joined = member.as_ref().map(Member::is_joined);
        if let Some(member) = &mut member {
            member.leave(now());
            self.play_until(member, Nanos::now().plus(GOODBYE), false)?;
        }
        let end = Nanos::now().plus(TAIL);
        while Nanos::now() < end {
            Nanos::now().plus(SLOT).sleep_until();
            self.drain()?;
        }
        let after = self.totals();
        let seconds = Nanos::now().since(self.start) as f64 / 1e9;
        let loans = |(worst, total)| Loans { worst, total, seconds };
        let of_member = |f: fn(&Member) -> u64| member.as_ref().map_or(0, f);
        Ok(Outcome {
            sent: after.datagrams_sent - before.datagrams_sent + of_member(|m| m.datagrams_sent),
            sent_bytes: after.bytes_sent - before.bytes_sent + of_member(|m| m.bytes_sent),
            back: after.datagrams_back - before.datagrams_back + of_member(|m| m.datagrams_back),
            back_bytes: after.bytes_back - before.bytes_back + of_member(|m| m.bytes_back),
            admitted,
            joined,
            loans: loans(self.strangers.lent()),
            list_loans: loans(self.list_strangers.lent()),
        })
    }

    /// Lets the bad member in, if the attack has one.
    fn admit(&mut self, attack: Attack) -> io::Result<Option<Member>> {
        let manners = match attack.attacker() {
            Attacker::Member(manners) => manners,
            _ if attack == Attack::Replayed => Manners::Polite,
            _ => return Ok(None),
        };
        self.members += 1;
        let from = Ipv4Addr::new(127, 2, 0, self.members);
        let mut member = Member::new(self.server, from, self.props, manners, now())?;
        self.play_until(&mut member, Nanos::now().plus(JOIN_MAX), true)?;
        Ok(Some(member))
    }

    fn play_until(&mut self, member: &mut Member, end: Nanos, stop_when_joined: bool) -> io::Result<()> {
        while Nanos::now() < end && !(stop_when_joined && member.is_joined()) {
            Nanos::now().plus(3 * SLOT).sleep_until();
            member.play(now())?;
            self.drain()?;
        }
        Ok(())
    }

    /// One datagram.
    fn strike(&mut self, attack: Attack, member: Option<&mut Member>) -> io::Result<()> {
        match (attack, attack.attacker(), member) {
            (Attack::Replayed, _, Some(member)) => {
                let (from, any) = self.arsenal.stranger(attack);
                let old = member.sent_before.get(usize::from(any.first().copied().unwrap_or(0)) * 2).cloned();
                let Some(old) = old else { return Ok(()) };
                // A tenth by the member itself: more than a network ever repeats.
                if any.last().is_some_and(|byte| *byte < 26) {
                    member.send(&old)
                } else {
                    self.strangers.send(from, &old)
                }
            }
            (Attack::Duplicated, _, _) | (_, Attacker::Nobody, _) => Ok(()),
            (Attack::MemberNoise, _, Some(member)) => member.send(&self.arsenal.member_noise()),
            (_, Attacker::Member(_), Some(member)) => match self.arsenal.member(attack) {
                Some(message) => member.shout(&message),
                None => Ok(()),
            },
            (_, Attacker::ListStrangers, _) => {
                let (from, payload) = self.arsenal.stranger(attack);
                self.list_strangers.send(from, &payload)
            }
            _ => {
                let (from, payload) = self.arsenal.stranger(attack);
                self.strangers.send(from, &payload)
            }
        }
    }

    fn drain(&mut self) -> io::Result<()> {
        self.strangers.drain()?;
        self.list_strangers.drain()
    }

    fn totals(&self) -> Totals {
        self.strangers.totals.plus(self.list_strangers.totals)
    }
}
