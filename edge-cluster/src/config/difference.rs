//! What a reload changes (spec 1.8).

use std::fmt;

use super::diagnostic::Location;
use super::model::{EdgeConfig, VhostConfig};
use super::table::{self, DirectiveSpec, ROOT, Reload};
use super::values::{Setting, Values};

/// One directive whose value is another one after the reload. A default that is now written down is no change.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Change {
    /// Name of the vhost; `None` outside of vhosts.
    pub vhost: Option<String>,
    /// Path of the directive: `play.gop_cache`.
    pub path: String,
    /// Its words before.
    pub old: Vec<String>,
    /// Its words afterwards.
    pub new: Vec<String>,
    /// When the new value counts.
    pub reload: Reload,
    /// Where the new value is written; `None` where it is the default.
    pub location: Option<Location>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(vhost) = &self.vhost {
            write!(f, "vhost {vhost}: ")?;
        }
        // A difference ends up in logs, and the cloud services have keys.
        let secret = self.path.ends_with("password")
            || self.path.ends_with("auth.token")
            || self.path.starts_with("tencentcloud");
        let words = |words: &[String]| match (words, secret) {
            ([], _) => String::from("(none)"),
            (_, true) => String::from("(hidden)"),
            _ => words.join(" "),
        };
        let (old, new) = (words(&self.old), words(&self.new));
        write!(f, "{}: {old} -> {new}, {}", self.path, self.reload.describe())
    }
}

/// Everything a reload changes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Difference {
    /// Names of vhosts that are new.
    pub vhosts_added: Vec<String>,
    /// Names of vhosts that are gone. Their clients stay until they leave.
    pub vhosts_removed: Vec<String>,
    /// Directives that changed: those of the root, then those of vhosts that stay, in the order of the new file.
    pub changes: Vec<Change>,
}

impl Difference {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.vhosts_added.is_empty() && self.vhosts_removed.is_empty() && self.changes.is_empty()
    }

    /// Changes for which the whole reload is refused and the old configuration stays.
    pub fn refused(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.reload == Reload::Refused)
    }

    /// Changes that only count after a restart.
    pub fn needs_restart(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.reload == Reload::Restart)
    }

    /// Names of vhosts that stay and have changes, each once.
    pub fn vhosts_changed(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.changes.iter().filter_map(|change| change.vhost.as_deref()).collect();
        names.dedup();
        names
    }

    /// Whether a running server can take the new configuration.
    ///
    /// # Errors
    ///
    /// The mode of a vhost changed: its streams would have to change their direction while they run.
    pub fn check(&self) -> Result<(), ReloadError> {
        match self.refused().next() {
            None => Ok(()),
            Some(change) => {
                Err(ReloadError::VhostModeChanged { vhost: change.vhost.clone().unwrap_or_default() })
            }
        }
    }
}

/// Why a running server does not take a configuration; the old one stays.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// `cluster.mode` is another one.
    #[error("vhost mode changed: {vhost} (remove the vhost, reload, add it, reload)")]
    VhostModeChanged {
        /// Name of the vhost.
        vhost: String,
    },
}

/// Compares the configuration that runs with a new one.
///
/// ```
/// use edge_cluster::config::{LoadOptions, MemorySources, difference, load};
///
/// let files = MemorySources::from([
///     ("old", "listen 1935; vhost a { }"),
///     ("new", "listen 1935; vhost a { play { gop_cache off; queue_length 30; } } vhost b { }"),
/// ]);
/// let options = LoadOptions::default();
/// let change = difference(&load(&files, "old", &options)?.config, &load(&files, "new", &options)?.config);
/// assert_eq!(change.vhosts_added, ["b"]);
/// assert_eq!(change.changes[0].to_string(), "vhost a: play.gop_cache: on -> off, at once");
/// assert_eq!(change.changes.len(), 1, "30 s is the default");
/// # Ok::<(), edge_cluster::config::ConfigError>(())
/// ```
pub fn difference(old: &EdgeConfig, new: &EdgeConfig) -> Difference {
    let missing_in = |config: &EdgeConfig, vhost: &VhostConfig| find(config, &vhost.name).is_none();
    let names_missing_in = |config: &EdgeConfig, from: &EdgeConfig| {
        from.vhosts.iter().filter(|vhost| missing_in(config, vhost)).map(|vhost| vhost.name.clone()).collect()
    };
    let mut found = Difference {
        vhosts_added: names_missing_in(old, new),
        vhosts_removed: names_missing_in(new, old),
        changes: Vec::new(),
    };
    compare(ROOT, None, &old.values, &new.values, &mut found.changes);
    let vhost_table = table::find(ROOT, "vhost").map_or(&[][..], DirectiveSpec::children);
    for vhost in &new.vhosts {
        if let Some(before) = find(old, &vhost.name) {
            compare(vhost_table, Some(&vhost.name), &before.values, &vhost.values, &mut found.changes);
        }
    }
    found
}

fn find<'a>(config: &'a EdgeConfig, name: &str) -> Option<&'a VhostConfig> {
    config.vhosts.iter().find(|vhost| vhost.name == name)
}

fn compare(
    table: &'static [DirectiveSpec],
    vhost: Option<&str>,
    old: &Values,
    new: &Values,
    changes: &mut Vec<Change>,
) {
    table::walk(table, "", &mut |path, spec| {
        let (Some(before), Some(after)) = (old.0.get(path), new.0.get(path)) else { return };
        if !differ(before, after, spec) {
            return;
        }
        changes.push(Change {
            vhost: vhost.map(String::from),
            path: path.into(),
            old: before.words.clone(),
            new: after.words.clone(),
            reload: spec.reload,
            location: after.location.clone(),
        });
    });
}

/// Whether the value is another one. A written list without words is not an absent one: `refer { all; }` refuses all.
fn differ(before: &Setting, after: &Setting, spec: &DirectiveSpec) -> bool {
    let list = matches!(spec.kind, table::Kind::Texts) && before.words.is_empty() && after.words.is_empty();
    before.words != after.words || (list && before.location.is_some() != after.location.is_some())
}
