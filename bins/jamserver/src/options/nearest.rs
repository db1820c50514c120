//! The word somebody probably meant.

/// The candidate most like `word`, if at most about a third of it would have to change.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|c| {
            // A beginning of at least three letters is as good as one typing error.
            let distance = if word.len() >= 3 && c.starts_with(&word) { 1 } else { edits(&word, c) };
            (distance, c)
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

/// How many letters must be inserted, removed, replaced or swapped with their neighbour to turn `a` into `b`.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (i, ca) in a.chars().enumerate() {
        let mut row = vec![i + 1];
        for (j, &cb) in b.iter().enumerate() {
            let mut cost = (last[j] + usize::from(ca != cb)).min(last[j + 1] + 1).min(row[j] + 1);
            if j > 0 && previous == Some(cb) && b[j - 1] == ca {
                cost = cost.min(before_last[j - 1] + 1);
            }
            row.push(cost);
        }
        before_last = std::mem::replace(&mut last, row);
        previous = Some(ca);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_count_single_letters() {
        for (a, b, n) in
            [("", "", 0), ("port", "port", 0), ("prot", "port", 1), ("por", "port", 1), ("abc", "", 3)]
        {
            assert_eq!(edits(a, b), n, "{a} {b}");
        }
    }

    #[test]
    fn only_near_words_are_suggested() {
        let words = ["port", "numchannels", "welcomemessage"];
        assert_eq!(nearest("prot", words), Some("port"));
        assert_eq!(nearest("numchanels", words), Some("numchannels"));
        assert_eq!(nearest("welcome", words), Some("welcomemessage"));
        assert_eq!(nearest("zzz", words), None);
    }
}
