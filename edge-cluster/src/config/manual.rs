//! The manual of directives, written from the tables.

use std::fmt::Write;

use super::table::{DirectiveSpec, Kind, ROOT, Reload, Scope, walk};

/// The manual as text: one paragraph per directive whose path or name is `name`, with everything in it where it is a
/// block; all directives without a name. Empty where no directive has that name.
///
/// ```
/// let text = edge_cluster::config::manual(Some("gop_cache"));
/// assert!(text.starts_with("vhost.play.gop_cache on|off\n"));
/// assert!(text.contains("SRS_VHOST_PLAY_GOP_CACHE"));
/// ```
pub fn manual(name: Option<&str>) -> String {
    let mut text = String::new();
    let mut inside: Option<String> = None;
    walk(ROOT, "", &mut |path, spec| {
        let named = |name: &str| path == name || spec.name == name;
        let below = inside.as_ref().is_some_and(|block| path.starts_with(block.as_str()));
        if !below && !name.is_none_or(named) {
            return;
        }
        if !below && name.is_some() {
            inside = Some(format!("{path}."));
        }
        if !text.is_empty() {
            text.push('\n');
        }
        paragraph(&mut text, path, spec);
    });
    text
}

/// Names of directives, with their path, that are near `name`.
pub fn similar_directive(name: &str) -> Option<String> {
    let mut paths = Vec::new();
    walk(ROOT, "", &mut |path, spec| {
        paths.push(String::from(path));
        paths.push(String::from(spec.name));
    });
    super::diagnostic::nearest(name, paths.iter())
}

fn paragraph(text: &mut String, path: &str, spec: &DirectiveSpec) {
    // Writing to a String does not fail.
    let _ = writeln!(text, "{path}{}", value(spec.kind));
    let _ = writeln!(text, "    {}", spec.sentence);
    let mut facts = Vec::new();
    if !spec.default.is_empty() {
        let space = if spec.unit.is_empty() { "" } else { " " };
        facts.push(format!("default {}{space}{}", spec.default, spec.unit));
    } else if !spec.unit.is_empty() {
        facts.push(format!("in {}", spec.unit));
    }
    match spec.scope {
        Scope::Core => {}
        Scope::Later => facts.push("planned, no effect yet".into()),
        Scope::Ignored => facts.push("accepted, no effect".into()),
    }
    if !matches!(spec.kind, Kind::Block(_)) && spec.reload != Reload::NoEffect {
        facts.push(format!("reload: {}", spec.reload.describe()));
    }
    let variables = spec.variable_names(path);
    if !variables.is_empty() {
        facts.push(format!("environment {}", variables.join(", ")));
    }
    if !facts.is_empty() {
        let _ = writeln!(text, "    {}", facts.join("; "));
    }
}

fn value(kind: Kind) -> String {
    match kind {
        Kind::Switch => " on|off".into(),
        Kind::Integer { .. } | Kind::Number => " NUMBER".into(),
        Kind::Bytes => " SIZE".into(),
        Kind::Text => " WORD".into(),
        Kind::Choice(words) => format!(" {}", words.join("|")),
        Kind::Texts => " WORD...".into(),
        Kind::Endpoints => " [IP:]PORT...".into(),
        Kind::Hosts => " HOST[:PORT]...".into(),
        Kind::Networks => " ADDRESS[/BITS]...".into(),
        Kind::Rule => " publish|play all|ADDRESS[/BITS]".into(),
        Kind::Block(_) | Kind::Opaque => " { ... }".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_directive_has_its_sentence_and_its_paragraph() {
        let all = manual(None);
        let mut count = 0;
        walk(ROOT, "", &mut |path, spec| {
            count += 1;
            let sentence = spec.sentence;
            assert!(sentence.len() > 10 && sentence.ends_with('.'), "{path}: {sentence:?}");
            let paragraph = format!("{path}{}\n    {sentence}\n", value(spec.kind));
            assert!(all.contains(&paragraph), "{path}");
        });
        assert_eq!(all.split("\n\n").count(), count);
    }

    #[test]
    fn a_block_comes_with_what_it_holds() {
        let text = manual(Some("vhost.cluster"));
        assert!(text.starts_with("vhost.cluster { ... }\n"));
        assert!(text.contains("\nvhost.cluster.origin HOST[:PORT]...\n"));
        assert!(!text.contains("vhost.play"));
        assert_eq!(manual(Some("nonsense")), "");
        assert_eq!(similar_directive("orgin").as_deref(), Some("origin"));
    }
}
