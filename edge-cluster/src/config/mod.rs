//! The configuration language of SRS: reading, checking, explaining and comparing.
//!
//! | step | in | out |
//! |---|---|---|
//! | read | files from [`Sources`] | a tree of directives with places, `include` put in place |
//! | rewrite | forms of SRS 1 and 2 | today's forms, one warning each |
//! | environment | [`LoadOptions::environment`] | directives that win over the files |
//! | check | the tables of directives | unknown names, values that read otherwise, directives without effect |
//! | model | checked values | [`EdgeConfig`], or every error at once |
//!
//! [`manual`] prints the tables, [`difference`] compares two configurations for a reload.
//!
//! # Where we differ from SRS
//!
//! - `daemon` is off unless the file says on.
//! - An edge without an origin is an error at once; a file with a zero byte, too.
//! - Values that read otherwise than they look (`gop_cache no`, `queue_length ten`) have the value of SRS and a warning.
//! - A chunk size out of range is brought into range; `queue_length 0` is 30 seconds.
//! - A second directive of the same name has no effect, as in SRS, and a warning.
//! - The limits of [`ConfigLimits`].

mod address;
mod build;
mod build_vhost;
mod builder;
mod diagnostic;
mod difference;
mod environment;
mod legacy;
mod lexer;
mod limits;
mod manual;
mod model;
pub mod table;
mod tree;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use address::{Endpoint, EndpointError, HostPort, HostPortError, Network, NetworkError, RTMP_PORT};
pub use builder::EdgeConfigBuilder;
pub use diagnostic::{ConfigError, Diagnostic, Location, Severity};
pub use difference::{Change, Difference, ReloadError, difference};
pub use limits::ConfigLimits;
pub use manual::{manual, similar_directive};
pub use model::{
    ApiAuth, BasicAuth, BearerAuth, ClusterConfig, ClusterMode, ConnectionLimits, ContainerConfig,
    DEFAULT_VHOST, EdgeConfig, ExporterConfig, HooksConfig, HttpApiConfig, HttpServerConfig, LogConfig,
    LogLevel, LogTank, Operation, PlayConfig, PublishConfig, ReferConfig, RemuxConfig, Rule, SecurityConfig,
    StopConfig, StreamExtension, TimeJitter, VhostConfig,
};
pub use tree::{Directive, MemorySources, Sources};

use diagnostic::{Report, nearest};
use table::{DirectiveSpec, ROOT};
use tree::{Parser, Tree};
use values::Unknown;

/// How to read a configuration.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LoadOptions {
    /// Bounds of sizes and counts.
    pub limits: ConfigLimits,
    /// Whether unknown directives are warnings instead of errors.
    pub lenient: bool,
    /// Environment variables; those without the prefix `SRS_` do not matter.
    pub environment: BTreeMap<String, String>,
    /// Files that the process may have open, for the check of `max_connections`; `None` does not check.
    pub open_files_max: Option<u64>,
    /// Whether the process runs in a container, as `in_docker on` says too: in the foreground, log to the console where
    /// `srs_log_tank` does not say otherwise, configuration watched.
    pub in_container: bool,
}

/// A usable configuration.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// The configuration.
    pub config: EdgeConfig,
    /// What its author should know, in the order of the files.
    pub warnings: Vec<Diagnostic>,
    /// Warnings beyond [`ConfigLimits::diagnostics_max`], which were not kept.
    pub warnings_omitted: usize,
}

/// Reads the file `path` and everything it includes.
///
/// # Errors
///
/// All errors that were found: in the syntax, or else in names and values. Where only included files are missing, those
/// in names and values of the others are among them.
pub fn load(sources: &dyn Sources, path: &str, options: &LoadOptions) -> Result<Loaded, ConfigError> {
    let mut report = Report::new(options.limits.diagnostics_max);
    let file = Location { file: Arc::from(path), line: 0, column: 0 };
    let Tree { mut root, left_out } = Parser::new(sources, &options.limits, &mut report).read(path);
    if root.is_empty() && !report.failed() {
        report.error(&file, "empty configuration");
    }
    if root.is_empty() || report.errors() > left_out {
        // A tree with holes would only give errors that are none.
        return Err(report.into_error());
    }
    if left_out > 0 {
        report.set_partial();
    }
    legacy::rewrite(&mut root, &mut report);
    let config = model(root, &file, ListenIs::Required, options, &mut report);
    finish(config, report)
}

/// The configuration of the environment alone: in the foreground, log to the console, port 1935 where `SRS_LISTEN` does
/// not say otherwise, and one vhost for all names.
///
/// # Errors
///
/// All variables whose value is an error.
pub fn load_environment(options: &LoadOptions) -> Result<Loaded, ConfigError> {
    let mut report = Report::new(options.limits.diagnostics_max);
    let file = Location { file: Arc::from("environment"), line: 0, column: 0 };
    let one = |name: &str, value: &str| Directive::new(name, vec![value.into()], &file);
    let vhost =
        Directive { args: vec![DEFAULT_VHOST.into()], ..Directive::block("vhost", Vec::new(), &file) };
    let root = vec![one("daemon", "off"), one("srs_log_tank", "console"), vhost];
    let config = model(root, &file, ListenIs::Optional, options, &mut report);
    finish(config, report)
}

/// Reads the tree of `path` without looking at names and values: for tools that work on configurations.
///
/// # Errors
///
/// All errors of the syntax that were found.
pub fn parse(
    sources: &dyn Sources,
    path: &str,
    limits: &ConfigLimits,
) -> Result<Vec<Directive>, ConfigError> {
    let mut report = Report::new(limits.diagnostics_max);
    let Tree { root, .. } = Parser::new(sources, limits, &mut report).read(path);
    report.finish().map(|_| root)
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum ListenIs {
    Required,
    Optional,
}

fn finish(config: EdgeConfig, report: Report) -> Result<Loaded, ConfigError> {
    let (warnings, warnings_omitted) = report.finish()?;
    Ok(Loaded { config, warnings, warnings_omitted })
}

/// Names that look as if more clients were meant than those that ask for this very name.
fn warn_of_name(name: &str, at: &Location, report: &mut Report) {
    let wildcard = name.contains('*');
    let near = if name == DEFAULT_VHOST { None } else { nearest(name, [DEFAULT_VHOST].iter()) };
    if wildcard || near.is_some() {
        let message = format!("vhost {name} serves only clients that ask for exactly this name");
        report.push(Severity::Warning, at, message, near.or_else(|| Some(DEFAULT_VHOST.to_owned())));
    }
}

fn model(
    mut root: Vec<Directive>,
    file: &Location,
    listen: ListenIs,
    options: &LoadOptions,
    report: &mut Report,
) -> EdgeConfig {
    environment::apply(&options.environment, &mut root, &options.limits, report);
    let unknown = if options.lenient { Unknown::Warn } else { Unknown::Refuse };
    let values = values::read(ROOT, "", &root, unknown, report);
    let vhost_table = table::find(ROOT, "vhost").map_or(&[][..], DirectiveSpec::children);
    let mut places: BTreeMap<&str, &Location> = BTreeMap::new();
    let mut vhosts = Vec::new();
    for directive in root.iter().filter(|directive| directive.name == "vhost") {
        let at = &directive.location;
        let Some(name) = directive.arg() else {
            report.error(at, "a vhost needs a name");
            continue;
        };
        if let Some(first) = places.get(name) {
            report.warn(at, format!("second vhost {name} without effect, the first at {first} counts"));
            continue;
        }
        places.insert(name, at);
        warn_of_name(name, at, report);
        if !directive.has_block {
            report.warn(at, format!("vhost {name} has no block"));
        }
        let own = values::read(vhost_table, "vhost", &directive.children, unknown, report);
        vhosts.push(build_vhost::vhost(name, directive, own, &values, report));
    }
    let context = build::Context {
        file,
        open_files_max: options.open_files_max,
        in_container: options.in_container,
        listen_optional: listen == ListenIs::Optional,
    };
    build::root(values, vhosts, &context, report)
}
