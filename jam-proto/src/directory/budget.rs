//! How many bytes of lists a directory gives away (spec 10.6).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Instant;

/// How much a directory sends because somebody asks for its list.
///
/// The request has 9 bytes, its source can be forged, and the protocol has no way to prove it. A full list is up to
/// 40,000 bytes, so without a limit a directory would multiply an attacker's traffic by more than 1,000. Each answer is
/// therefore paid for in bytes: both lists, and 24 for each hole punch (15 to the server, 9 from the server to the
/// client). It is paid from two budgets, one per source address and one for all; an answer that exceeds one of them
/// is not sent. Registrations are not proven either, so hole punches are also counted per address of a server; one that
/// exceeds its rate is left out.
///
/// What that means with the defaults:
///
/// - a client that repeats its request every 2 s gets a list of 150 servers at least eight times in a row, and a usual
///   one of 13,000 bytes twelve times; later once every 7 s;
/// - somebody in whose name lists are asked for receives at most 160 KiB once and then 2 KiB a second from this directory
///   and its servers, however fast the attacker asks;
/// - somebody in whose name servers are registered receives at most 200 hole punches once and then 50 a second, which are
///   3,000 bytes and 750 bytes a second, whoever asks for lists and however many servers there are at this address;
///   besides, an answer to each registration, which is shorter, and a keep-alive of 9 bytes a minute for each entry;
/// - all together never exceed 2 MiB at once and 512 KiB a second. An attacker with many forged addresses can use that
///   up, and the list is late for others meanwhile: the harm stays with the directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListBudget {
    /// Bytes one source address can get at once. Default 160 KiB.
    pub source_burst_bytes: u64,
    /// Bytes one source address can get per second in the long run. Default 2 KiB.
    pub source_bytes_per_s: u64,
    /// Bytes all sources together can get at once. Default 2 MiB.
    pub total_burst_bytes: u64,
    /// Bytes all sources together can get per second in the long run. Default 512 KiB.
    pub total_bytes_per_s: u64,
    /// The least an answer costs, so that short lists do not allow a flood of hole punches. Default 2 KiB.
    pub answer_bytes_min: u64,
    /// Hole punches one address of servers can be asked for at once. Default 200.
    pub punches_burst: u64,
    /// Hole punches one address of servers can be asked for per second in the long run. Default 50.
    pub punches_per_s: u64,
    /// Source addresses remembered, and as many of servers; beyond, the one that owes least is forgotten. Default 4,096.
    pub sources_max: usize,
}

impl Default for ListBudget {
    fn default() -> Self {
        Self {
            source_burst_bytes: 160 << 10,
            source_bytes_per_s: 2 << 10,
            total_burst_bytes: 2 << 20,
            total_bytes_per_s: 512 << 10,
            answer_bytes_min: 2 << 10,
            punches_burst: 200,
            punches_per_s: 50,
            sources_max: 4_096,
        }
    }
}

/// Whether an answer may be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    Granted,
    SourceExceeded,
    TotalExceeded,
}

/// The state of a [`ListBudget`].
#[derive(Debug)]
pub(super) struct Purse {
    total: Bucket,
    sources: Shares,
    /// Hole punches of servers.
    punches: Shares,
}

/// What each address may have.
#[derive(Clone, Copy, Debug)]
struct Share {
    burst: u64,
    per_s: u64,
    /// Addresses remembered.
    addresses_max: usize,
}

/// What each of many addresses has had.
#[derive(Debug)]
struct Shares {
    buckets: BTreeMap<Ipv4Addr, Bucket>,
    /// With so many addresses, those that owe nothing are forgotten.
    sweep_at: usize,
}

impl Shares {
    /// Fewer addresses than this are not worth a sweep.
    const SWEEP_AT_MIN: usize = 64;
    /// The nodes of a tree are between half full and full.
    const ADDRESS_BYTES: usize = 2 * (size_of::<Ipv4Addr>() + size_of::<Bucket>());

    const fn new() -> Self {
        Self { buckets: BTreeMap::new(), sweep_at: Self::SWEEP_AT_MIN }
    }

    /// Takes tokens of an address if it has enough.
    fn take(&mut self, now: Instant, address: Ipv4Addr, tokens: u64, share: Share) -> bool {
        if !self.buckets.contains_key(&address) {
            self.make_room(now, share);
        }
        let bucket = self.buckets.entry(address).or_insert_with(|| Bucket::new(share.burst));
        bucket.take(now, tokens, share.per_s)
    }

    fn make_room(&mut self, now: Instant, Share { per_s, addresses_max, .. }: Share) {
        if self.buckets.len() < addresses_max.min(self.sweep_at) {
            return;
        }
        self.buckets.retain(|_, bucket| bucket.owes_nano(now, per_s) > 0);
        // At most half of the entries are of no use, and a sweep costs each new one two looks at most.
        self.sweep_at = (2 * self.buckets.len()).max(Self::SWEEP_AT_MIN);
        if self.buckets.len() >= addresses_max
            && let Some(least) =
                self.buckets.iter().min_by_key(|(_, b)| b.owes_nano(now, per_s)).map(|(a, _)| *a)
        {
            self.buckets.remove(&least);
        }
    }
}

impl Purse {
    pub(super) fn new(budget: &ListBudget) -> Self {
        Self { total: Bucket::new(budget.total_burst_bytes), sources: Shares::new(), punches: Shares::new() }
    }

    /// Pays for an answer of so many bytes, or leaves everything as it was.
    pub(super) fn pay(&mut self, now: Instant, source: Ipv4Addr, bytes: u64, budget: &ListBudget) -> Verdict {
        let bytes = bytes.max(budget.answer_bytes_min);
        // The cheap question first: a flood from forged addresses ends here and does not touch the table.
        if !self.total.has(now, bytes, budget.total_bytes_per_s) {
            return Verdict::TotalExceeded;
        }
        let share = Share {
            burst: budget.source_burst_bytes,
            per_s: budget.source_bytes_per_s,
            addresses_max: budget.sources_max,
        };
        if !self.sources.take(now, source, bytes, share) {
            return Verdict::SourceExceeded;
        }
        self.total.take(now, bytes, budget.total_bytes_per_s);
        Verdict::Granted
    }

    /// Whether a server at this address may be asked for a hole punch.
    pub(super) fn permits_punch(&mut self, now: Instant, server: Ipv4Addr, budget: &ListBudget) -> bool {
        let share = Share {
            burst: budget.punches_burst,
            per_s: budget.punches_per_s,
            addresses_max: budget.sources_max,
        };
        self.punches.take(now, server, 1, share)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        (self.sources.buckets.len() + self.punches.buckets.len()) * Shares::ADDRESS_BYTES
    }

    pub(super) const fn memory_bytes_max(budget: &ListBudget) -> usize {
        2 * budget.sources_max * Shares::ADDRESS_BYTES
    }

    #[cfg(test)]
    pub(super) fn sources(&self) -> usize {
        self.sources.buckets.len()
    }
}

/// A token bucket: holds `burst`, refilled at a rate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    burst: u64,
    /// In thousand-millionths of a token, so that no part is lost when little time passes between two calls.
    spent_nano: u128,
    at: Option<Instant>,
}

impl Bucket {
    const NANO: u128 = 1_000_000_000;

    pub(super) const fn new(burst: u64) -> Self {
        Self { burst, spent_nano: 0, at: None }
    }

    /// Takes tokens if there are enough.
    pub(super) fn take(&mut self, now: Instant, tokens: u64, per_s: u64) -> bool {
        let granted = self.has(now, tokens, per_s);
        if granted {
            self.spent_nano = self.owes_nano(now, per_s).saturating_add(u128::from(tokens) * Self::NANO);
            self.at = Some(now);
        }
        granted
    }

    fn has(&self, now: Instant, tokens: u64, per_s: u64) -> bool {
        let after = self.owes_nano(now, per_s).saturating_add(u128::from(tokens) * Self::NANO);
        after <= u128::from(self.burst) * Self::NANO
    }

    /// What is missing until it is full again.
    fn owes_nano(&self, now: Instant, per_s: u64) -> u128 {
        let since = self.at.map_or(0, |at| now.saturating_duration_since(at).as_nanos());
        self.spent_nano.saturating_sub(since.saturating_mul(u128::from(per_s)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const S: Duration = Duration::from_secs(1);

    fn start() -> Instant {
        crate::directory::tests::start()
    }

    fn source(n: u32) -> Ipv4Addr {
        Ipv4Addr::from(0xC633_6400 + n)
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let t0 = start();
        let mut bucket = Bucket::new(100);
        assert!(bucket.take(t0, 100, 10));
        assert!(!bucket.take(t0, 1, 10));
        assert!(!bucket.take(t0 + S, 11, 10));
        assert!(bucket.take(t0 + S, 10, 10));
        assert!(bucket.take(t0 + S * 1_000, 100, 10), "it never holds more than its burst");
        assert!(!bucket.take(t0 + S * 1_000, 1, 10));
    }

    #[test]
    fn a_bucket_loses_no_part_of_a_token() {
        let t0 = start();
        let mut bucket = Bucket::new(1);
        let granted = (0..100_000).filter(|ms| bucket.take(t0 + Duration::from_millis(*ms), 1, 100)).count();
        assert_eq!(granted, 10_000);
    }

    #[test]
    fn a_forged_source_gets_no_more_than_its_share_in_an_hour() {
        let budget = ListBudget::default();
        let mut purse = Purse::new(&budget);
        let t0 = start();
        let mut received = 0;
        for ms in (0..3_600_000).step_by(10) {
            if purse.pay(t0 + Duration::from_millis(ms), source(1), 13_000, &budget) == Verdict::Granted {
                received += 13_000;
            }
        }
        let bound = budget.source_burst_bytes + 3_600 * budget.source_bytes_per_s;
        assert!(received <= bound && received > bound - 20_000, "{received} of {bound}");
    }

    #[test]
    fn all_sources_together_get_no_more_than_the_total() {
        let budget = ListBudget::default();
        let mut purse = Purse::new(&budget);
        let t0 = start();
        let mut received = 0;
        for n in 0..20_000 {
            let now = t0 + Duration::from_micros(500) * n;
            if purse.pay(now, source(n), 13_000, &budget) == Verdict::Granted {
                received += 13_000;
            }
        }
        let bound = budget.total_burst_bytes + 10 * budget.total_bytes_per_s;
        assert!(received <= bound && received > bound - 20_000, "{received} of {bound}");
    }

    #[test]
    fn a_refused_answer_costs_nobody_anything() {
        let budget = ListBudget { total_burst_bytes: 10_000, total_bytes_per_s: 0, ..ListBudget::default() };
        let mut purse = Purse::new(&budget);
        let t0 = start();
        assert_eq!(purse.pay(t0, source(1), 12_000, &budget), Verdict::TotalExceeded);
        assert_eq!(purse.pay(t0, source(1), 9_000, &budget), Verdict::Granted);
        let tight = ListBudget { source_burst_bytes: 5_000, ..ListBudget::default() };
        let mut purse = Purse::new(&tight);
        assert_eq!(purse.pay(t0, source(1), 6_000, &tight), Verdict::SourceExceeded);
        assert_eq!(purse.pay(t0, source(1), 5_000, &tight), Verdict::Granted);
    }

    #[test]
    fn a_short_list_costs_the_minimum() {
        let budget =
            ListBudget { source_burst_bytes: 10 << 10, source_bytes_per_s: 0, ..ListBudget::default() };
        let mut purse = Purse::new(&budget);
        let t0 = start();
        let granted = (0..100).filter(|_| purse.pay(t0, source(1), 90, &budget) == Verdict::Granted).count();
        assert_eq!(granted, 5);
    }

    #[test]
    fn who_owes_nothing_is_forgotten_long_before_the_table_is_full() {
        let budget = ListBudget::default();
        let mut purse = Purse::new(&budget);
        let t0 = start();
        let mut most = 0;
        for n in 0..50_000 {
            // A list of 4,000 bytes is paid back after 2 s: 200 sources owe at any time.
            let now = t0 + Duration::from_millis(10) * n;
            assert_eq!(purse.pay(now, source(n), 4_000, &budget), Verdict::Granted);
            most = most.max(purse.sources());
        }
        assert!(most <= 2 * 201, "{most} sources");
    }

    #[test]
    fn the_table_of_sources_is_bounded_and_keeps_those_who_owe_most() {
        let budget = ListBudget { sources_max: 8, source_bytes_per_s: 1_000, ..ListBudget::default() };
        let mut purse = Purse::new(&budget);
        let t0 = start();
        assert_eq!(purse.pay(t0, source(0), 160 << 10, &budget), Verdict::Granted);
        for n in 1..100 {
            assert_eq!(purse.pay(t0 + S, source(n), 5_000, &budget), Verdict::Granted);
        }
        assert_eq!(purse.sources(), 8);
        assert_eq!(purse.pay(t0 + S, source(0), 5_000, &budget), Verdict::SourceExceeded);
        purse.pay(t0 + S * 20, source(200), 5_000, &budget);
        assert_eq!(purse.sources(), 2, "who owes nothing is forgotten first");
    }
}
