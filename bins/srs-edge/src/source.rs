//! Where the configuration comes from, at start and for each reload.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use edge_cluster::config::{ConfigError, LoadOptions, Loaded, Severity, load, load_environment};

use crate::files::{Disk, Mark};
use crate::options::Input;

/// Files whose presence says that the process runs in a container.
const CONTAINER_MARKS: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];

/// Reads the configuration, again and again.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    input: Input,
    options: LoadOptions,
    /// The working directory at the start: paths do not change their meaning with `work_dir`.
    folder: PathBuf,
}

impl Source {
    /// With the environment of this process, which may have `open_files_max` files open.
    pub(crate) fn new(input: Input, lenient: bool, open_files_max: Option<u64>) -> Self {
        let mut options = LoadOptions::default();
        options.lenient = lenient;
        options.open_files_max = open_files_max;
        options.environment = environment();
        options.in_container = CONTAINER_MARKS.iter().any(|mark| Path::new(mark).exists());
        Self { input, options, folder: std::env::current_dir().unwrap_or_default() }
    }

    /// Reads everything.
    pub(crate) fn read(&self) -> Result<Loaded, ConfigError> {
        self.read_and_list().0
    }

    /// Reads everything, and lists the files that it is in, as they were.
    pub(crate) fn read_and_list(&self) -> (Result<Loaded, ConfigError>, Vec<(PathBuf, Mark)>) {
        let disk = Disk::new(&self.folder, self.options.limits.file_bytes_max);
        let result = match &self.input {
            Input::File(path) => load(&disk, path, &self.options),
            Input::Environment => load_environment(&self.options),
        };
        (result, disk.into_marks())
    }
}

/// The variables of SRS. Those that are not text cannot be meant.
fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("SRS_"))
        .collect()
}

/// Lists errors and warnings on standard error; gives back a usable configuration.
pub(crate) fn report(result: Result<Loaded, ConfigError>) -> io::Result<Option<Loaded>> {
    let mut err = io::stderr().lock();
    let (diagnostics, omitted) = match &result {
        Ok(loaded) => (loaded.warnings.as_slice(), loaded.warnings_omitted),
        Err(error) => (error.diagnostics(), error.omitted()),
    };
    for diagnostic in diagnostics {
        let severity = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(err, "{severity}: {diagnostic}")?;
    }
    if omitted > 0 {
        writeln!(err, "and {omitted} more")?;
    }
    Ok(result.ok())
}
