//! A configuration without a file.

use super::diagnostic::{ConfigError, Location, Report};
use super::model::{DEFAULT_VHOST, EdgeConfig};
use super::tree::{Directive, MemorySources, Parser};
use super::{ListenIs, LoadOptions, finish, legacy, model};

/// Makes an [`EdgeConfig`] for a program that has no configuration file: one vhost for all names, and the same
/// directives, checks and defaults as in a file.
///
/// ```
/// use edge_cluster::config::EdgeConfig;
///
/// let config = EdgeConfig::builder()
///     .origin("origin.example:1935")
///     .root("max_connections 500;")
///     .vhost("play { gop_cache off; } tcp_nodelay on;")
///     .build()?;
/// assert_eq!(config.vhosts[0].cluster.origins[0].to_string(), "origin.example:1935");
/// assert_eq!(config.max_connections, 500);
/// assert!(!config.vhosts[0].play.gop_cache);
///
/// let error = EdgeConfig::builder().vhost("play { gop_cash off; }").build().unwrap_err();
/// assert!(error.to_string().contains("gop_cache"), "{error}");
/// # Ok::<(), edge_cluster::config::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct EdgeConfigBuilder {
    listen: Vec<String>,
    origins: Vec<String>,
    root: String,
    vhost: String,
}

impl EdgeConfig {
    /// Begins a configuration without a file.
    pub fn builder() -> EdgeConfigBuilder {
        EdgeConfigBuilder::default()
    }
}

impl EdgeConfigBuilder {
    /// Listens there too: `1935`, `127.0.0.1:1935`, `[::]:1935`. Port 1935 where none is named.
    pub fn listen(mut self, endpoint: impl Into<String>) -> Self {
        self.listen.push(endpoint.into());
        self
    }

    /// Pulls from and pushes to this origin too, `host` or `host:port`, in this order. Without an origin, streams are
    /// only relayed from those who publish here.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// Adds directives of the root, in the words of a configuration file.
    pub fn root(mut self, text: &str) -> Self {
        self.root.push_str(text);
        self.root.push('\n');
        self
    }

    /// Adds directives of the vhost, in the words of a configuration file.
    pub fn vhost(mut self, text: &str) -> Self {
        self.vhost.push_str(text);
        self.vhost.push('\n');
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    ///
    /// All errors that were found, as [`load`](super::load) does.
    pub fn build(self) -> Result<EdgeConfig, ConfigError> {
        let options = LoadOptions::default();
        let mut report = Report::new(options.limits.diagnostics_max);
        let sources = MemorySources::from([("root", self.root.as_str()), ("vhost", self.vhost.as_str())]);
        let mut read = |name: &str| Parser::new(&sources, &options.limits, &mut report).read(name).root;
        let (mut root, mut children) = (read("root"), read("vhost"));
        if report.failed() {
            return Err(report.into_error());
        }
        let place = Location { file: "builder".into(), line: 0, column: 0 };
        if !self.listen.is_empty() {
            root.push(Directive::new("listen", self.listen, &place));
        }
        if !self.origins.is_empty() {
            let cluster = [
                Directive::new("mode", vec!["remote".into()], &place),
                Directive::new("origin", self.origins, &place),
            ];
            // Of two blocks only the first would count.
            match children.iter_mut().find(|directive| directive.name == "cluster") {
                Some(written) => written.children.extend(cluster),
                None => children.push(Directive::block("cluster", cluster.into(), &place)),
            }
        }
        root.push(Directive {
            args: vec![DEFAULT_VHOST.into()],
            ..Directive::block("vhost", children, &place)
        });
        legacy::rewrite(&mut root, &mut report);
        let config = model(root, &place, ListenIs::Optional, &options, &mut report);
        finish(config, report).map(|loaded| loaded.config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_join_a_cluster_block_that_is_written() {
        let builder =
            EdgeConfig::builder().vhost("cluster { token_traverse on; }").origin("a").origin("b:1936");
        let config = builder.listen("127.0.0.1:2000").build().unwrap();
        let cluster = &config.vhosts[0].cluster;
        assert!(cluster.is_edge() && cluster.token_traverse && cluster.origins.len() == 2);
        assert_eq!(config.listen[0].port, 2000);
        assert_eq!(EdgeConfig::builder().build().unwrap().listen[0].port, 1935);
        assert!(EdgeConfig::builder().origin("a b;").build().is_err());
    }
}
