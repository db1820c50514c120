//! Configuration files and environment of anybody.
//!
//! The input's parts, separated by the byte 1: the file, a file it may include as "inc", another file to compare with,
//! environment variables one per line.
#![no_main]

use edge_cluster::config::{LoadOptions, MemorySources, difference, load, load_environment, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(4, |&byte| byte == 1);
    let mut part = || parts.next().unwrap_or_default();
    let (file, include, other, variables) = (part(), part(), part(), part());
    let files = MemorySources::from([("file", file), ("inc", include), ("other", other)]);
    let mut options = LoadOptions::default();
    options.limits.diagnostics_max = 20;
    options.limits.files_max = 16;
    options.lenient = file.len() % 2 == 1;
    options.open_files_max = Some(1024);
    for line in String::from_utf8_lossy(variables).lines() {
        if let Some((name, value)) = line.split_once('=') {
            options.environment.insert(format!("SRS_{name}"), value.to_owned());
        }
    }
    let _ = load_environment(&options);
    let tree = parse(&files, "file", &options.limits);
    let loaded = load(&files, "file", &options);
    assert!(tree.is_ok() || loaded.is_err(), "what has no tree is no configuration");
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            assert!(error.errors().next().is_some(), "a refusal has a reason");
            assert!(error.diagnostics().len() <= 20);
            return;
        }
    };
    let config = loaded.config;
    assert!(loaded.warnings.len() <= 20);
    assert!(difference(&config, &config).is_empty(), "nothing differs from itself");
    for vhost in &config.vhosts {
        assert!(config.vhost(&vhost.name).is_some(), "{} is found by its name", vhost.name);
    }
    let _ = config.vhost(&String::from_utf8_lossy(include));
    if let Ok(other) = load(&files, "other", &options) {
        let (there, back) = (difference(&config, &other.config), difference(&other.config, &config));
        assert_eq!((&there.vhosts_added, there.changes.len()), (&back.vhosts_removed, back.changes.len()));
        let _ = there.check();
    }
});
