//! Names that the program makes up: of the server, of its runs, of connections in the log.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// `length` characters of `[0-9a-z]`, at most 12.
pub(crate) fn random(length: usize) -> String {
    // Every RandomState of the standard library has keys of its own, from the system.
    let mut number = RandomState::new().build_hasher().finish();
    let digit = || {
        let index = (number % 36) as usize;
        number /= 36;
        char::from(ALPHABET.get(index).copied().unwrap_or(b'0'))
    };
    std::iter::repeat_with(digit).take(length.min(12)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_form_of_srs() {
        let name = random(8);
        assert!(name.len() == 8 && name.bytes().all(|b| ALPHABET.contains(&b)), "{name}");
        assert_ne!(name, random(8));
    }
}
