//! What strangers may cost: bytes, answers, guesses (spec 10.6).
//!
//! UDP sources can be forged, so an answer may hit somebody who asked nothing. The rules, per IP address that owns no
//! channel:
//!
//! 1. **Credit.** Every received byte is one byte of credit, kept up to [`CREDIT_BYTES_MAX`]. Everything we send costs
//!    its size. Pings, probes and refusals never go beyond the credit: they cannot amplify at all.
//! 2. **Loan** ([`ReplyPolicy::Lenient`], the default). The version, the client list, the features and the welcome
//!    message are larger than the nine bytes that ask for them, and the connect dialog of shipped clients asks for them
//!    at once. What the credit does not cover is lent, per address ([`ReplyPolicy::Lenient::source`]) and over all
//!    addresses together ([`ReplyPolicy::Lenient::total`]).
//! 3. **[`ReplyPolicy::Strict`]** lends nothing: answers never exceed what was received. Clients repeat their requests
//!    with every ping (2.5 s), so a version of 22 bytes is answered to the third request, a list later.
//! 4. **Rates.** Requests are counted per address and in total, refusals once a second per address. Each connected
//!    musician has a rate of its own, whoever is behind the same address.
//! 5. **Guesses.** Who acknowledges what it was not asked is ignored for a while: this port of this address only, because
//!    the datagrams may be forged and others may be behind the same address.
//!
//! Worst case with the defaults, in bytes of payload: whatever a forger sends, one victim receives as many bytes as the
//! forger spent, plus 2 KiB once (at most one answer beyond: 5 KiB for a full list of 150), plus 256 bytes per second.
//! All victims together receive, on top of the forger's own bytes, 16 KiB once and 8 KiB per second (64 kbit/s, the rate
//! of one telephone call), however many sources are forged. With `Strict` the amplification is 1 for every address, at
//! any time.

mod bans;
mod bucket;
mod networks;
mod table;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use crate::types::ChannelId;
pub use networks::{IpNetwork, IpNetworkError, IpNetworks};

pub(crate) use bans::Bans;
pub(crate) use bucket::Bucket;
pub(crate) use table::{SeededHash, Table};

/// Credit of one address beyond which received bytes are not counted.
pub const CREDIT_BYTES_MAX: u32 = 64 * 1024;

/// So many at once, so many per second.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    /// What comes back each second.
    pub per_second: u32,
    /// What can be used at once after a pause.
    pub burst: u32,
}

/// How much larger than its request an answer to an unverified address may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReplyPolicy {
    /// No address ever receives more bytes than came from it.
    Strict,
    /// A few bytes are lent, so that connect dialogs fill at once; see the [module](self).
    Lenient {
        /// Bytes lent to one address.
        source: Rate,
        /// Bytes lent to all addresses together.
        total: Rate,
    },
}

impl Default for ReplyPolicy {
    fn default() -> Self {
        Self::Lenient {
            source: Rate { per_second: 256, burst: 2 * 1024 },
            total: Rate { per_second: 8 * 1024, burst: 16 * 1024 },
        }
    }
}

/// Bounds on what strangers can make a server do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GuardLimits {
    /// Addresses remembered at once, and as many guessers; the one silent for longest is forgotten. Default 1024.
    pub sources_max: usize,
    /// How much answers may exceed requests.
    pub replies: ReplyPolicy,
    /// Requests answered per address of strangers, and per connected musician; a list costs more the longer it is.
    /// Default 20/s, 60 at once.
    pub requests_per_source: Rate,
    /// Requests of strangers answered in total. Default 5,000/s.
    pub requests_total: Rate,
    /// "Server full" answers in total; each address gets one a second. Default 200/s.
    pub refusals_total: Rate,
    /// Wrong acknowledgements after which a port of an address is ignored for [`GuardLimits::lockout`]. Default 2: with one wrong
    /// guess, 3 of 254 numbers can be tried, and both right ones are among them once in 10,710 times.
    pub wrong_acknowledgements_max: u8,
    /// How long a guesser is ignored. Default 60 s.
    pub lockout: Duration,
}

impl Default for GuardLimits {
    fn default() -> Self {
        Self {
            sources_max: 1024,
            replies: ReplyPolicy::default(),
            requests_per_source: Rate { per_second: 20, burst: 60 },
            requests_total: Rate { per_second: 5_000, burst: 5_000 },
            refusals_total: Rate { per_second: 200, burst: 200 },
            wrong_acknowledgements_max: 2,
            lockout: Duration::from_secs(60),
        }
    }
}

/// Whether an answer may go beyond the credit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Loan {
    /// Only what the address has sent itself.
    Never,
    /// As far as [`ReplyPolicy`] lends.
    Allowed,
}

/// The books about strangers.
#[derive(Debug)]
pub(crate) struct Guard {
    limits: GuardLimits,
    sources: Table<IpAddr, Source>,
    /// Who guessed too often, and until when it is ignored.
    guessers: Table<SocketAddr, Option<Instant>>,
    /// Requests of connected musicians. Who left is forgotten when others come.
    members: Table<SocketAddr, Bucket>,
    requests: Bucket,
    refusals: Bucket,
    loans: Bucket,
    /// Bytes that went out beyond what had come in.
    pub(crate) loaned_bytes: u64,
}

#[derive(Debug)]
struct Source {
    credit_bytes: u32,
    requests: Bucket,
    loans: Bucket,
    refused_at: Option<Instant>,
}

impl Guard {
    pub(crate) fn new(limits: GuardLimits, seed: u64, now: Instant) -> Self {
        Self {
            sources: Table::new(limits.sources_max, seed),
            guessers: Table::new(limits.sources_max, seed),
            members: Table::new(ChannelId::COUNT_MAX, seed),
            requests: Bucket::full(limits.requests_total, now),
            refusals: Bucket::full(limits.refusals_total, now),
            loans: Bucket::full(limits.total_loans(), now),
            loaned_bytes: 0,
            limits,
        }
    }

    /// Takes new limits; the table keeps the size it was made with.
    pub(crate) fn set_limits(&mut self, limits: GuardLimits) {
        self.limits = limits;
    }

    /// Bytes came from a stranger. This is what answers are paid with.
    pub(crate) fn received(&mut self, now: Instant, ip: IpAddr, bytes: usize) {
        if let Some(source) = self.source(now, ip) {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            source.credit_bytes = source.credit_bytes.saturating_add(bytes).min(CREDIT_BYTES_MAX);
        }
    }

    /// Whether so many bytes may be sent to a stranger; they count as sent then.
    pub(crate) fn permits_bytes(&mut self, now: Instant, ip: IpAddr, bytes: usize, loan: Loan) -> bool {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let (of_source, of_all) = (self.limits.source_loans(), self.limits.total_loans());
        let Some(source) = self.sources.get_mut(&ip) else { return false };
        let lent = bytes.saturating_sub(source.credit_bytes);
        if lent > 0 {
            if loan == Loan::Never || self.limits.replies == ReplyPolicy::Strict {
                return false;
            }
            if !source.loans.would_pass(now, of_source, lent) || !self.loans.take(now, of_all, lent) {
                return false;
            }
            source.loans.take(now, of_source, lent);
            self.loaned_bytes = self.loaned_bytes.saturating_add(u64::from(lent));
        }
        source.credit_bytes = source.credit_bytes.saturating_sub(bytes);
        true
    }

    /// Whether a stranger's request whose answer has so many bytes is within the rates.
    pub(crate) fn permits_request(&mut self, now: Instant, ip: IpAddr, bytes: usize) -> bool {
        let cost = cost_of_answer(bytes);
        let (of_source, of_all) = (self.limits.requests_per_source, self.limits.requests_total);
        let total = &mut self.requests;
        let (Some(source), _) = self.sources.touch_or(ip, || Source::new(&self.limits, now)) else {
            return false;
        };
        total.would_pass(now, of_all, 1)
            && source.requests.take(now, of_source, cost)
            && total.take(now, of_all, 1)
    }

    /// Whether a connected musician's request whose answer has so many bytes is within its rate.
    pub(crate) fn permits_request_of_member(
        &mut self,
        now: Instant,
        member: SocketAddr,
        bytes: usize,
    ) -> bool {
        let rate = self.limits.requests_per_source;
        let (requests, _) = self.members.touch_or(member, || Bucket::full(rate, now));
        requests.is_some_and(|requests| requests.take(now, rate, cost_of_answer(bytes)))
    }

    /// Whether a stranger may be told that there is no room for it now.
    pub(crate) fn permits_refusal(&mut self, now: Instant, ip: IpAddr, bytes: usize) -> bool {
        let total = self.limits.refusals_total;
        let Some(source) = self.sources.get_mut(&ip) else { return false };
        let pause = Duration::from_secs(1);
        if source.refused_at.is_some_and(|at| now.saturating_duration_since(at) < pause)
            || !self.refusals.would_pass(now, total, 1)
            || !self.permits_bytes(now, ip, bytes, Loan::Never)
        {
            return false;
        }
        if let Some(source) = self.sources.get_mut(&ip) {
            source.refused_at = Some(now);
        }
        self.refusals.take(now, total, 1)
    }

    /// Ignores an address with its port for a while.
    pub(crate) fn lock_out(&mut self, now: Instant, src: SocketAddr) {
        // Beyond the end of time means for ever.
        let until = now.checked_add(self.limits.lockout);
        if let (Some(entry), _) = self.guessers.touch_or(src, || until) {
            *entry = until;
        }
    }

    /// Whether an address with its port is being ignored because it guessed.
    pub(crate) fn is_locked_out(&self, now: Instant, src: SocketAddr) -> bool {
        self.guessers.get(&src).is_some_and(|until| until.is_none_or(|until| now < until))
    }

    fn source(&mut self, now: Instant, ip: IpAddr) -> Option<&mut Source> {
        self.sources.touch_or(ip, || Source::new(&self.limits, now)).0
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.sources.memory_bytes() + self.guessers.memory_bytes() + self.members.memory_bytes()
    }

    /// The most [`Guard::memory_bytes`] can be.
    pub(crate) fn memory_bytes_max(limits: &GuardLimits) -> usize {
        // Vectors and hash tables grow in powers of two.
        let table = |entries: usize, bytes: usize| entries.next_power_of_two() * 2 * (bytes + 128);
        table(limits.sources_max, size_of::<Source>())
            + table(limits.sources_max, size_of::<Option<Instant>>())
            + table(ChannelId::COUNT_MAX, size_of::<Bucket>())
    }
}

impl Source {
    fn new(limits: &GuardLimits, now: Instant) -> Self {
        Self {
            credit_bytes: 0,
            requests: Bucket::full(limits.requests_per_source, now),
            loans: Bucket::full(limits.source_loans(), now),
            refused_at: None,
        }
    }
}

impl GuardLimits {
    const NOTHING: Rate = Rate { per_second: 0, burst: 0 };

    const fn source_loans(&self) -> Rate {
        match self.replies {
            ReplyPolicy::Strict => Self::NOTHING,
            ReplyPolicy::Lenient { source, .. } => source,
        }
    }

    const fn total_loans(&self) -> Rate {
        match self.replies {
            ReplyPolicy::Strict => Self::NOTHING,
            ReplyPolicy::Lenient { total, .. } => total,
        }
    }
}

/// Long answers cost more of the same rate: one for every 128 bytes.
fn cost_of_answer(bytes: usize) -> u32 {
    u32::try_from(bytes / 128).unwrap_or(u32::MAX).saturating_add(1)
}

/// The part of an address that one party usually holds: an IPv4 address, or the /64 of an IPv6 address.
pub(crate) const fn host_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;
    use crate::sim::start;

    fn ip(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
    }

    fn strict() -> GuardLimits {
        GuardLimits { replies: ReplyPolicy::Strict, ..GuardLimits::default() }
    }

    #[test]
    fn a_strict_guard_answers_when_enough_has_come_in() {
        let now = start();
        let mut guard = Guard::new(strict(), 1, now);
        for (received, permitted) in [(9, false), (9, false), (9, true), (9, false), (9, true)] {
            guard.received(now, ip(1), received);
            assert_eq!(guard.permits_bytes(now, ip(1), 22, Loan::Allowed), permitted);
        }
    }

    #[test]
    fn a_lenient_guard_lends_to_one_address_and_to_all_together_no_more_than_it_says() {
        let now = start();
        let mut guard = Guard::new(GuardLimits::default(), 1, now);
        let mut given = 0;
        for last in 0..=255 {
            guard.received(now, ip(last), 9);
            given +=
                (0..100).filter(|_| guard.permits_bytes(now, ip(last), 309, Loan::Allowed)).count() * 309;
        }
        // 16 KiB lent, and nine bytes of their own for each of the eight or so that got something.
        assert!((16 * 1024 - 309..16 * 1024 + 309).contains(&given), "{given}");
        assert!(!guard.permits_bytes(now, ip(1), 9, Loan::Never));
    }

    #[test]
    fn refusals_come_once_a_second_and_only_when_paid() {
        let now = start();
        let mut guard = Guard::new(GuardLimits::default(), 1, now);
        let mut refuse = |at, bytes| {
            guard.received(at, ip(1), bytes);
            guard.permits_refusal(at, ip(1), 9)
        };
        assert!(!refuse(now, 1));
        assert!(refuse(now, 8));
        assert!(!refuse(now + Duration::from_millis(999), 100));
        assert!(refuse(now + Duration::from_millis(1_000), 1));
    }

    #[test]
    fn a_guesser_is_ignored_for_a_while() {
        let now = start();
        let mut guard = Guard::new(GuardLimits::default(), 1, now);
        let [guesser, neighbour] = [5_000, 5_001].map(|port| SocketAddr::new(ip(1), port));
        guard.lock_out(now, guesser);
        assert!(guard.is_locked_out(now + Duration::from_secs(59), guesser));
        assert!(!guard.is_locked_out(now, neighbour));
        assert!(!guard.is_locked_out(now + Duration::from_secs(60), guesser));
    }

    #[test]
    fn requests_have_a_rate_and_long_answers_cost_more() {
        let now = start();
        let mut guard = Guard::new(GuardLimits::default(), 1, now);
        let many = |guard: &mut Guard, last, bytes| {
            (0..100).filter(|_| guard.permits_request(now, ip(last), bytes)).count()
        };
        assert_eq!(many(&mut guard, 1, 13), 60);
        assert_eq!(many(&mut guard, 2, 1_280), 5);
    }

    #[test]
    fn requests_of_all_strangers_together_have_a_rate_too() {
        let now = start();
        let limits =
            GuardLimits { requests_total: Rate { per_second: 1, burst: 7 }, ..GuardLimits::default() };
        let mut guard = Guard::new(limits, 1, now);
        let permitted = (0..=255).filter(|last| guard.permits_request(now, ip(*last), 13)).count();
        assert_eq!(permitted, 7);
        // Connected musicians do not suffer from strangers.
        assert!(guard.permits_request_of_member(now, SocketAddr::new(ip(1), 1), 13));
    }

    #[test]
    fn neighbours_in_one_ipv6_network_are_one_host() {
        let host = |text: &str| host_of(text.parse().unwrap());
        assert_eq!(host("2001:db8::1"), host("2001:db8::ffff:1:2:3"));
        assert_ne!(host("2001:db8::1"), host("2001:db8:0:1::1"));
        assert_ne!(host("192.0.2.1"), host("192.0.2.2"));
    }

    proptest! {
        #[test]
        fn nobody_gets_more_than_it_sent_when_strict_and_memory_is_bounded(
            calls in prop::collection::vec((0_u8..6, 0_usize..200, any::<bool>()), 0..400),
        ) {
            let mut now = start();
            let limits = GuardLimits { sources_max: 4, ..strict() };
            let bound = Guard::memory_bytes_max(&limits);
            let mut guard = Guard::new(limits, 7, now);
            let mut balance = BTreeMap::<u8, usize>::new();
            for (last, bytes, receive) in calls {
                now += Duration::from_millis(5);
                let owed = balance.entry(last).or_default();
                if receive {
                    guard.received(now, ip(last), bytes);
                    *owed += bytes;
                } else if guard.permits_bytes(now, ip(last), bytes, Loan::Allowed) {
                    prop_assert!(*owed >= bytes);
                    *owed -= bytes;
                }
                prop_assert!(guard.memory_bytes() <= bound);
            }
        }
    }
}
