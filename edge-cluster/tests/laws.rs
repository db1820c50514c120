//! What holds for all inputs: no panic, bounded work, and what is read is what was written.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

use edge_cluster::config::{Directive, LoadOptions, MemorySources, difference, load, parse};
use proptest::prelude::*;

/// Words and signs of the language in any order, so that inputs get past the lexer.
fn soup() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "listen",
        "1935",
        "vhost",
        "a",
        "cluster",
        "mode",
        "remote",
        "origin",
        "b:1",
        "play",
        "gop_cache",
        "on",
        "off",
        "include",
        "x.conf",
        "forward",
        "refer",
        "mr",
        "enabled",
        "extension",
        "linger",
        "-1",
        "99999999999999999999",
        "security",
        "allow",
        "deny",
        "all",
        "rtmp",
        "chunk_size",
        "hls",
        "http",
        "{",
        "}",
        ";",
        "\n",
        "#",
        "\"",
        "'",
        "é",
    ]);
    prop::collection::vec(words, 0..200).prop_map(|words| words.join(" "))
}

fn load_all(text: &[u8]) {
    let sources =
        MemorySources::from([("a.conf", text.to_vec()), ("x.conf", b"listen 1; play { atc on; }".to_vec())]);
    let mut options = LoadOptions::default();
    for lenient in [false, true] {
        options.lenient = lenient;
        match load(&sources, "a.conf", &options) {
            Ok(loaded) => {
                assert!(difference(&loaded.config, &loaded.config).is_empty());
                assert!(!loaded.config.listen.is_empty());
            }
            Err(error) => {
                assert!(error.errors().count() > 0);
                assert!(error.diagnostics().len() <= options.limits.diagnostics_max);
            }
        }
    }
}

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_.:/@#}é-]{1,12}".prop_filter("starts as a word", |word| !word.starts_with(['#', '}']))
}

/// A word that needs quotes.
fn quoted_word() -> impl Strategy<Value = String> {
    "[a-z ;{}#']{1,8}"
}

fn write(directives: &[(String, Vec<String>, Vec<String>)]) -> String {
    let mut text = String::new();
    for (name, args, quoted) in directives {
        text += &format!("  {name}");
        args.iter().for_each(|arg| text += &format!(" {arg}"));
        quoted.iter().for_each(|arg| text += &format!(" \"{arg}\""));
        text += " { inner 1; }\n";
    }
    text
}

proptest! {
    #[test]
    fn any_bytes_end_without_a_panic(text in prop::collection::vec(any::<u8>(), 0..2000)) {
        load_all(&text);
    }

    #[test]
    fn any_words_end_without_a_panic(text in soup()) {
        load_all(text.as_bytes());
    }

    #[test]
    fn what_is_read_is_what_was_written(
        directives in prop::collection::vec(
            (word().prop_filter("no include", |name| name != "include"), prop::collection::vec(word(), 0..4),
             prop::collection::vec(quoted_word(), 0..3)), 0..8)
    ) {
        let sources = MemorySources::from([("a.conf", write(&directives))]);
        let tree = parse(&sources, "a.conf", &Default::default()).unwrap();
        prop_assert_eq!(tree.len(), directives.len());
        for (line, (found, (name, args, quoted))) in tree.iter().zip(&directives).enumerate() {
            let expected: Vec<String> = args.iter().chain(quoted).cloned().collect();
            prop_assert_eq!(&found.name, name);
            prop_assert_eq!(&found.args, &expected);
            prop_assert_eq!(found.child("inner").and_then(Directive::arg), Some("1"));
            prop_assert_eq!((found.location.line as usize, found.location.column), (line + 1, 3));
        }
    }
}
