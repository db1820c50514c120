//! Chance as an argument: a seeded generator for simulations and one for numbers a stranger must not guess.
//!
//! The machines own no randomness; whoever builds them hands in a seed. The same seed gives the same run.

/// A fast seeded generator for tests, simulations and spreading load: SplitMix64.
///
/// Its output can be predicted from a few values; use [`Unguessable`] where a stranger must not know the next one.
///
/// ```
/// use jam_proto::rng::Rng;
/// assert_eq!(Rng::new(7).next_u64(), Rng::new(7).next_u64());
/// assert!(Rng::new(7).below(6) < 6);
/// ```
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// A generator that repeats itself for the same seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        // A Weyl sequence (steps of 2^64 divided by the golden ratio), finished by a mixing function.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, evenly spread to within 2^-64 of `end`; 0 when `end` is 0.
    pub const fn below(&mut self, end: u64) -> u64 {
        ((self.next_u64() as u128 * end as u128) >> 64) as u64
    }

    /// A number between `low` and `high`, both possible; `low` when the bounds are the wrong way round.
    pub const fn between(&mut self, low: u64, high: u64) -> u64 {
        low.wrapping_add(self.below(high.saturating_sub(low).saturating_add(1)))
    }

    /// A number from 0.0 up to but without 1.0.
    pub const fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// `true` with this probability (0.0 never, 1.0 always).
    pub const fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of the choices; `None` of an empty slice.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        choices.get(self.below(choices.len() as u64) as usize)
    }

    /// A generator of its own for one part of a simulation, so that draws there do not shift draws here.
    pub const fn fork(&mut self) -> Self {
        Self::new(self.next_u64())
    }
}

/// Numbers that cannot be foretold without the key: SipHash-2-4 over a running count.
///
/// Used where the protocol's only proof of an address is repeating a number we chose (spec 10.6). It is as good as the
/// seed: give it one from the operating system in production.
#[derive(Clone, Debug)]
pub struct Unguessable {
    key: [u64; 2],
    count: u64,
}

impl Unguessable {
    /// A generator for a 64-bit secret.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        // The two halves of the key must differ; anything fixed and odd does.
        Self { key: [seed, seed.rotate_left(32) ^ 0x6a61_6d2d_7072_6f74], count: 0 }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let value = sip_hash_2_4(self.key, &self.count.to_le_bytes());
        self.count = self.count.wrapping_add(1);
        value
    }

    /// The next 8 bits.
    pub fn next_u8(&mut self) -> u8 {
        (self.next_u64() >> 56) as u8
    }

    /// What belongs to these words, always the same. The running count is one word and these are four, so neither
    /// tells anything about the other.
    pub(crate) fn of(&self, words: [u64; 4]) -> u64 {
        sip_hash_2_4(self.key, words.map(u64::to_le_bytes).as_flattened())
    }
}

/// SipHash with two rounds per word and four at the end: a keyed hash whose outputs do not give the key away.
fn sip_hash_2_4([k0, k1]: [u64; 2], message: &[u8]) -> u64 {
    // "somepseudorandomlygeneratedbytes", as the definition has it.
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let (words, rest) = message.as_chunks::<8>();
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    let last = u64::from_le_bytes(last) | ((message.len() as u64) << 56);
    for word in words.iter().map(|w| u64::from_le_bytes(*w)).chain([last]) {
        v[3] ^= word;
        sip_round(&mut v);
        sip_round(&mut v);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    for _ in 0..4 {
        sip_round(&mut v);
    }
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

const fn sip_round(v: &mut [u64; 4]) {
    let [mut a, mut b, mut c, mut d] = *v;
    a = a.wrapping_add(b);
    c = c.wrapping_add(d);
    b = b.rotate_left(13) ^ a;
    d = d.rotate_left(16) ^ c;
    a = a.rotate_left(32);
    c = c.wrapping_add(b);
    a = a.wrapping_add(d);
    b = b.rotate_left(17) ^ c;
    d = d.rotate_left(21) ^ a;
    c = c.rotate_left(32);
    *v = [a, b, c, d];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_gives_the_published_sequence_of_splitmix64() {
        let mut rng = Rng::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| rng.next_u64()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn the_keyed_hash_gives_the_published_vectors() {
        let key = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        let message: Vec<u8> = (0..15).collect();
        assert_eq!(sip_hash_2_4(key, &[]), 0x726f_db47_dd0e_0e31);
        assert_eq!(sip_hash_2_4(key, &message), 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn numbers_are_spread_evenly() {
        let mut rng = Rng::new(3);
        let mut dice = [0_u32; 6];
        for _ in 0..60_000 {
            dice[rng.below(6) as usize] += 1;
        }
        assert!(dice.iter().all(|n| (9_600..10_400).contains(n)), "{dice:?}");
        let hits = (0..100_000).filter(|_| rng.chance(0.02)).count();
        assert!((1_800..2_200).contains(&hits), "{hits}");
        let bytes = (0..25_600).fold([0_u32; 256], {
            let mut secret = Unguessable::new(9);
            move |mut seen, _| {
                seen[usize::from(secret.next_u8())] += 1;
                seen
            }
        });
        assert!(bytes.iter().all(|n| (50..160).contains(n)), "{bytes:?}");
    }

    #[test]
    fn bounds_are_kept_at_the_edges() {
        let mut rng = Rng::new(5);
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.between(4, 4), 4);
        assert_eq!(rng.between(4, 1), 4);
        assert!((0..100).map(|_| rng.between(1, 3)).all(|n| (1..=3).contains(&n)));
        assert_eq!(rng.pick::<u8>(&[]), None);
        assert!(!rng.chance(0.0));
        assert!(rng.chance(1.0));
    }

    #[test]
    fn what_belongs_to_words_depends_on_each_of_them_and_on_the_seed() {
        let words = [1, 2, 3, 4];
        let mut all: Vec<u64> = (0..4)
            .map(|at| {
                let mut other = words;
                other[at] += 1;
                Unguessable::new(9).of(other)
            })
            .collect();
        all.extend([
            Unguessable::new(9).of(words),
            Unguessable::new(8).of(words),
            Unguessable::new(9).next_u64(),
        ]);
        let mut secret = Unguessable::new(9);
        secret.next_u64();
        assert_eq!(secret.of(words), all[4], "however many numbers were drawn");
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 7);
    }

    #[test]
    fn other_seeds_give_other_secrets() {
        let drawn: std::collections::BTreeSet<u64> =
            (0..1_000).map(|seed| Unguessable::new(seed).next_u64()).collect();
        assert_eq!(drawn.len(), 1_000);
    }
}
