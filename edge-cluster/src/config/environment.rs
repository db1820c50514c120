//! Environment variables that set directives (spec 1.6).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::ConfigLimits;
use super::diagnostic::{Location, Report, Severity, nearest};
use super::table::{DirectiveSpec, Kind, ROOT, join};
use super::tree::Directive;

/// Variables with that prefix which are no directives: read by the program, or by the server.
const OTHERS: &[&str] = &["SRS_CONFIG_FILE", "SRS_ENV_ONLY", "SRS_DEVICE_IP"];

/// Puts the values of `variables` into the tree, over those of the files.
pub(super) fn apply(
    variables: &BTreeMap<String, String>,
    root: &mut Vec<Directive>,
    limits: &ConfigLimits,
    report: &mut Report,
) {
    let mut run = Run {
        variables,
        limits,
        report,
        known: OTHERS.iter().map(|&name| name.into()).collect(),
        opaque: Vec::new(),
    };
    run.block(ROOT, "", root);
    run.report_unknown();
}

struct Run<'a> {
    variables: &'a BTreeMap<String, String>,
    limits: &'a ConfigLimits,
    report: &'a mut Report,
    known: BTreeSet<String>,
    opaque: Vec<String>,
}

impl Run<'_> {
    fn block(&mut self, table: &'static [DirectiveSpec], parent: &str, children: &mut Vec<Directive>) {
        for spec in table {
            let path = join(parent, spec.name);
            match spec.kind {
                Kind::Block(_) if spec.name == "vhost" && parent.is_empty() => {
                    // Names are collected even where there is no vhost.
                    self.block(spec.children(), &path, &mut Vec::new());
                    for vhost in children.iter_mut().filter(|child| child.name == "vhost") {
                        self.block(spec.children(), &path, &mut vhost.children);
                    }
                }
                Kind::Block(inner) => self.inner_block(inner, spec.name, &path, children),
                Kind::Opaque => {
                    self.opaque.push(format!("SRS_{}_", path.to_ascii_uppercase().replace('.', "_")))
                }
                _ => self.leaf(spec, &path, children),
            }
        }
    }

    fn inner_block(
        &mut self,
        table: &'static [DirectiveSpec],
        name: &str,
        path: &str,
        children: &mut Vec<Directive>,
    ) {
        if let Some(existing) = children.iter_mut().find(|child| child.name == name) {
            return self.block(table, path, &mut existing.children);
        }
        let mut made = Vec::new();
        self.block(table, path, &mut made);
        if let Some(location) = made.first().map(|child| child.location.clone()) {
            children.push(Directive::block(name, made, &location));
        }
    }

    fn leaf(&mut self, spec: &DirectiveSpec, path: &str, children: &mut Vec<Directive>) {
        for name in spec.variable_names(path) {
            if let Some(value) = self.variables.get(&name) {
                let location = Location::whole(&Arc::from(name.as_str()));
                if value.len() > self.limits.word_bytes_max {
                    let max = self.limits.word_bytes_max;
                    self.report.error(&location, format!("a value of more than {max} bytes"));
                } else {
                    let args = value.split_whitespace().map(String::from).collect();
                    children.retain(|child| child.name != spec.name);
                    children.push(Directive::new(spec.name, args, &location));
                }
            }
            self.known.insert(name);
        }
    }

    fn report_unknown(&mut self) {
        for name in self.variables.keys().filter(|name| name.starts_with("SRS_")) {
            if self.known.contains(name) {
                continue;
            }
            // The whole name is no use in a message when it is this long.
            let location = Location::whole(&Arc::from(name.chars().take(100).collect::<String>().as_str()));
            if self.opaque.iter().any(|prefix| name.starts_with(prefix)) {
                self.report.warn(&location, "environment variable without effect in this version");
                continue;
            }
            let message = String::from("environment variable that sets no directive");
            let suggestion = nearest(name, self.known.iter());
            self.report.push(Severity::Warning, &location, message, suggestion);
        }
    }
}
