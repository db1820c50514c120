//! Bounds of what a configuration may cost.

/// Upper bounds of one configuration. Every field is enforced; reaching one is an error that names the place.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ConfigLimits {
    /// Largest single file, in bytes. Default 1 MiB: the longest files in use have a tenth of that.
    pub file_bytes_max: usize,
    /// All files together, in bytes, counted once per inclusion. Default 8 MiB.
    pub total_bytes_max: usize,
    /// Files read, the first one included. Default 256.
    pub files_max: usize,
    /// Files included from files included from files... Default 8 (spec 1.2).
    pub include_depth_max: usize,
    /// Blocks inside blocks, counted through included files. Default 16; the language itself uses 4.
    pub block_depth_max: usize,
    /// Directives of all files together. Default 50,000: thousands of vhosts.
    pub directives_max: usize,
    /// Arguments of one directive. Default 1024.
    pub arguments_max: usize,
    /// One name or argument, in bytes. Default 8192. Also the longest value of an environment variable.
    pub word_bytes_max: usize,
    /// Diagnostics kept; the rest is only counted. Default 100.
    pub diagnostics_max: usize,
}

impl Default for ConfigLimits {
    fn default() -> Self {
        Self {
            file_bytes_max: 1 << 20,
            total_bytes_max: 8 << 20,
            files_max: 256,
            include_depth_max: 8,
            block_depth_max: 16,
            directives_max: 50_000,
            arguments_max: 1024,
            word_bytes_max: 8192,
            diagnostics_max: 100,
        }
    }
}
