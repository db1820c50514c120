//! Finds the libopus sources.
//!
//! Cargo does not tell a build script where a build-dependency was unpacked, so the places where cargo puts it are
//! tried in turn. Everything tried is listed when nothing was found.

use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names the directory of the libopus sources and overrides every other place.
const OVERRIDE: &str = "JAM_OPUS_SOURCE";
/// The package the sources travel in. The version is that of `Cargo.toml`; the file list belongs to it.
const PACKAGE: &str = "opusic-sys";
const VERSION: &str = "0.7.7";
const LIBOPUS: &str = "1.6.1";

/// The directory that contains `celt` and `include`, or a text that says what to do.
pub(crate) fn opus_source() -> Result<PathBuf, String> {
    println!("cargo:rerun-if-env-changed={OVERRIDE}");
    if let Some(path) = env::var_os(OVERRIDE) {
        let path = PathBuf::from(path);
        return accept(&path).ok_or_else(|| {
            format!(
                "error: {OVERRIDE} is {}, which is no libopus source directory (no celt/celt_encoder.c in it).\n\
                 Set it to an unpacked libopus {LIBOPUS}, or unset it.",
                path.display()
            )
        });
    }
    let mut tried = Vec::new();
    let searches: [fn() -> Vec<PathBuf>; 4] = [siblings, registries, dep_info, metadata];
    for search in searches {
        for candidate in search() {
            if let Some(found) = accept(&candidate) {
                return Ok(found);
            }
            tried.push(candidate);
        }
    }
    Err(not_found(&tried))
}

/// The source directory if `path` is one or is an unpacked `opusic-sys`, of the pinned version.
fn accept(path: &Path) -> Option<PathBuf> {
    [path.join("opus"), path.to_path_buf()].into_iter().find(|root| {
        root.join("celt/celt_encoder.c").is_file()
            && fs::read_to_string(root.join("package_version"))
                .map_or(true, |version| version.contains(LIBOPUS))
    })
}

/// Beside this package: cargo's registry (`name-version`) and `cargo vendor` (`name`, or with `--versioned-dirs`).
fn siblings() -> Vec<PathBuf> {
    let Some(here) = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from) else { return Vec::new() };
    let Some(parent) = here.parent() else { return Vec::new() };
    vec![parent.join(format!("{PACKAGE}-{VERSION}")), parent.join(PACKAGE)]
}

/// Where cargo unpacks registry packages: this package is a path dependency or a workspace member.
fn registries() -> Vec<PathBuf> {
    let home = env::var_os("CARGO_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let user = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
    let user = env::var_os(user).map(|user| PathBuf::from(user).join(".cargo"));
    let mut found = Vec::new();
    for home in [home, user].into_iter().flatten() {
        let sources = home.join("registry/src");
        let mut indexes: Vec<PathBuf> =
            fs::read_dir(sources).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        indexes.sort();
        found.extend(indexes.into_iter().map(|index| index.join(format!("{PACKAGE}-{VERSION}"))));
    }
    found
}

/// What the compiler noted when it compiled the package's Rust part for this build: the list of its source files.
///
/// This finds a vendor directory that belongs to the program which depends on this package by path.
fn dep_info() -> Vec<PathBuf> {
    let out = env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    let here = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let mut found = Vec::new();
    for ancestor in out.ancestors().skip(1).take(6) {
        for deps in [ancestor.join("deps"), ancestor.join("debug/deps"), ancestor.join("release/deps")] {
            for entry in fs::read_dir(deps).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                if !(name.starts_with("opusic_sys-") && name.ends_with(".d")) {
                    continue;
                }
                let text = fs::read_to_string(entry.path()).unwrap_or_default();
                let sources = text.lines().filter_map(|line| line.strip_suffix(':'));
                for source in sources.filter(|source| source.ends_with("lib.rs")) {
                    let source = PathBuf::from(source.replace("\\ ", " "));
                    let Some(package) = source.parent().and_then(Path::parent) else { continue };
                    if package.is_absolute() {
                        found.push(package.to_path_buf());
                    } else {
                        // Relative to the root of the workspace that is built.
                        found.extend(out.ancestors().chain(here.ancestors()).map(|base| base.join(package)));
                    }
                }
            }
        }
    }
    found
}

/// Asks cargo, which knows every source replacement.
fn metadata() -> Vec<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let output = Command::new(cargo).args(["metadata", "--format-version=1", "--offline"]).output();
    let Ok(output) = output else { return Vec::new() };
    let text = String::from_utf8_lossy(&output.stdout);
    text.split("\"manifest_path\":\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|path| path.contains(PACKAGE))
        .filter_map(|path| PathBuf::from(path.replace("\\\\", "\\")).parent().map(Path::to_path_buf))
        .filter(|package| {
            let name = package.file_name().map(|name| name.to_string_lossy().into_owned());
            name.is_some_and(|name| name == PACKAGE || name == format!("{PACKAGE}-{VERSION}"))
        })
        .collect()
}

fn not_found(tried: &[PathBuf]) -> String {
    let mut text = format!(
        "error: the libopus sources were not found.\n\
         \n\
         jam-mixer (feature \"opus-custom\") compiles the CELT part of libopus {LIBOPUS} from the sources inside the\n\
         package {PACKAGE} {VERSION}, which cargo unpacks as a build-dependency. None of these is such a directory:\n"
    );
    if tried.is_empty() {
        text.push_str("  (no candidate at all: CARGO_MANIFEST_DIR, CARGO_HOME and HOME are unset)\n");
    }
    for path in tried {
        let _ = writeln!(text, "  {}", path.display());
    }
    let _ = write!(
        text,
        "\nDo one of these:\n\
         - run `cargo fetch` and build again, if the registry sources were deleted;\n\
         - set {OVERRIDE} to the directory of {PACKAGE} {VERSION} or of libopus {LIBOPUS} (the one with `celt` in it),\n  \
           which is the way for build systems that place packages elsewhere than cargo does;\n\
         - build without the codec: `default-features = false`, and bring your own `Codec`.\n"
    );
    text
}
