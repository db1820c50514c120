//! Forms of older SRS versions, rewritten to today's with a warning (spec 1.5).

use super::diagnostic::Report;
use super::tree::Directive;

/// Vhost directives that moved into a block: old name, block, new name.
const MOVED: &[(&str, &str, &str)] = &[
    ("publish_1stpkt_timeout", "publish", "firstpkt_timeout"),
    ("publish_normal_timeout", "publish", "normal_timeout"),
    ("time_jitter", "play", "time_jitter"),
    ("mix_correct", "play", "mix_correct"),
    ("atc", "play", "atc"),
    ("atc_auto", "play", "atc_auto"),
    ("mw_latency", "play", "mw_latency"),
    ("gop_cache", "play", "gop_cache"),
    ("gop_cache_max_frames", "play", "gop_cache_max_frames"),
    ("queue_length", "play", "queue_length"),
    ("send_min_interval", "play", "send_min_interval"),
    ("reduce_sequence_header", "play", "reduce_sequence_header"),
    ("mode", "cluster", "mode"),
    ("origin", "cluster", "origin"),
    ("token_traverse", "cluster", "token_traverse"),
    ("vhost", "cluster", "vhost"),
    ("debug_srs_upnode", "cluster", "debug_srs_upnode"),
    ("nack", "rtc", "nack"),
    ("twcc", "rtc", "twcc"),
];

/// Directives of blocks that no longer exist and had no successor: block, name.
const DROPPED: &[(&str, &str)] = &[("http_remux", "hstrs"), ("hls", "hls_storage"), ("hls", "hls_mount")];

/// Rewrites the old forms in a whole configuration.
pub(super) fn rewrite(root: &mut [Directive], report: &mut Report) {
    for directive in root {
        match directive.name.as_str() {
            "http_stream" => rename(directive, "http_server", report),
            "vhost" => rewrite_vhost(directive, report),
            _ => {}
        }
    }
}

fn rewrite_vhost(vhost: &mut Directive, report: &mut Report) {
    let old = std::mem::take(&mut vhost.children);
    let mut moved = Vec::new();
    let mut refer = Vec::new();
    for mut directive in old {
        match directive.name.as_str() {
            "http" => {
                rename(&mut directive, "http_static", report);
                vhost.children.push(directive);
            }
            "refer" | "refer_play" | "refer_publish" if !directive.has_block => refer.push(directive),
            "mr" if directive.has_block => split_merged_read(directive, &mut moved, report),
            "forward" if !directive.has_block => vhost.children.push(forward_block(directive, report)),
            // A block of that name is another mistake: a vhost inside a vhost, after a forgotten brace.
            name => match MOVED.iter().find(|(old, ..)| *old == name && !directive.has_block) {
                Some(&(old, block, new)) => {
                    report.warn(&directive.location, format!("old form: {old} is now {block} {{ {new}; }}"));
                    new.clone_into(&mut directive.name);
                    moved.push((block, directive));
                }
                None => vhost.children.push(directive),
            },
        }
    }
    for (block, directive) in moved {
        append(&mut vhost.children, block, directive);
    }
    if let Some(block) = refer_block(refer, report) {
        vhost.children.push(block);
    }
    for &(block, name) in DROPPED {
        let Some(block) = vhost.children.iter_mut().find(|child| child.name == block) else { continue };
        block.children.retain(|child| {
            let dropped = child.name == name;
            if dropped {
                report.warn(&child.location, format!("old form: {name} no longer exists and is left out"));
            }
            !dropped
        });
    }
}

fn rename(directive: &mut Directive, name: &str, report: &mut Report) {
    report.warn(&directive.location, format!("old form: {} is now {name}", directive.name));
    name.clone_into(&mut directive.name);
}

/// `mr { enabled; latency; }` became `publish { mr; mr_latency; }`.
fn split_merged_read(mr: Directive, moved: &mut Vec<(&'static str, Directive)>, report: &mut Report) {
    report.warn(&mr.location, "old form: mr { enabled; latency; } is now publish { mr; mr_latency; }");
    for mut child in mr.children {
        match child.name.as_str() {
            "enabled" => child.name = String::from("mr"),
            "latency" => child.name = String::from("mr_latency"),
            // An unknown name is reported where it ends up.
            _ => {}
        }
        moved.push(("publish", child));
    }
}

/// `forward a b;` became `forward { enabled on; destination a b; }`.
fn forward_block(old: Directive, report: &mut Report) -> Directive {
    report.warn(&old.location, "old form: forward A B; is now forward { enabled on; destination A B; }");
    let at = &old.location;
    let children =
        vec![Directive::new("enabled", vec!["on".into()], at), Directive::new("destination", old.args, at)];
    Directive::block("forward", children, at)
}

/// `refer A; refer_play B; refer_publish C;` became `refer { enabled on; all A; play B; publish C; }`.
fn refer_block(old: Vec<Directive>, report: &mut Report) -> Option<Directive> {
    let at = old.first()?.location.clone();
    report.warn(&at, "old form: refer A; is now refer { enabled on; all A; play B; publish C; }");
    let mut children = vec![Directive::new("enabled", vec!["on".into()], &at)];
    for directive in old {
        let name = match directive.name.as_str() {
            "refer_play" => "play",
            "refer_publish" => "publish",
            _ => "all",
        };
        children.push(Directive::new(name, directive.args, &directive.location));
    }
    Some(Directive::block("refer", children, &at))
}

/// Puts `directive` at the end of the first block of that name, which is made where there is none: the new form, where
/// both are present, comes first and wins.
fn append(children: &mut Vec<Directive>, block: &str, directive: Directive) {
    if let Some(existing) = children.iter_mut().find(|child| child.name == block) {
        if !existing.children.iter().any(|child| child.name == directive.name) {
            existing.children.push(directive);
        }
        return;
    }
    let at = directive.location.clone();
    children.push(Directive::block(block, vec![directive], &at));
}
