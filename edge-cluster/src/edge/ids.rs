//! Names made from the seed: they look random and repeat with it.

use std::sync::Arc;

const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Mixes 64 bits (the finaliser of SplitMix64).
pub(super) fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The name of a connection in logs and in the API: eight characters.
pub(super) fn client_id(seed: u64, number: u64) -> Arc<str> {
    characters(mix(mix(seed) ^ number), 8).into()
}

/// The name of a stream or vhost in the API.
pub(super) fn vid(seed: u64, name: &[u8]) -> Arc<str> {
    let hash = name.iter().fold(mix(seed), |hash, byte| mix(hash ^ u64::from(*byte)));
    format!("vid-{}", characters(hash, 7)).into()
}

fn characters(mut value: u64, count: usize) -> String {
    (0..count)
        .map(|_| {
            let digit = DIGITS.get((value % 36) as usize).copied().unwrap_or(b'0');
            value /= 36;
            char::from(digit)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_known_form_and_differ() {
        let (a, b) = (client_id(1, 1), client_id(1, 2));
        assert_ne!(a, b);
        assert!(a.len() == 8 && a.bytes().all(|byte| DIGITS.contains(&byte)), "{a}");
        let vid = vid(1, b"v/live/show");
        assert!(vid.starts_with("vid-") && vid.len() == 11, "{vid}");
    }
}
