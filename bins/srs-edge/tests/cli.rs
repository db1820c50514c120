//! The program as an operator runs it.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Files of one test, removed afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("srs-edge-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.0.join(name), text).unwrap();
        self
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that stays is no reason to fail.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run_with(folder: &Path, args: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_srs-edge"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SRS_")) {
        command.env_remove(name);
    }
    let output = command.current_dir(folder).args(args).envs(variables.iter().copied()).output().unwrap();
    let Output { status, stdout, stderr } = output;
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn run(folder: &Path, args: &[&str]) -> (i32, String, String) {
    run_with(folder, args, &[])
}

#[test]
fn the_examples_are_good() {
    let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf");
    // They ask for more open files than some machines allow before ulimit -n; that check has its own test.
    let variables = [("SRS_MAX_CONNECTIONS", "100")];
    for (file, edges) in [("edge.conf", 1), ("rtmp.conf", 0)] {
        let (code, out, err) = run_with(&conf, &["-t", "-c", file], &variables);
        assert_eq!((code, err.as_str()), (0, ""), "{file}");
        let expected =
            format!("{file}: the configuration is good: listen 1935, vhosts 1 (edges {edges}), warnings 0\n");
        assert_eq!(out, expected);
    }
}

#[test]
fn all_errors_and_warnings_are_listed_and_the_code_is_2() {
    let folder = Folder::new("errors")
        .file("a.conf", "listen 1935;\nmax_connections 10;\ninclude b.conf;\nthreads { }\nfoo 1;\n")
        .file("b.conf", "vhost a { play { gop_cahce on; } }\n");
    let (code, out, err) = run(&folder.0, &["-t", "-c", "a.conf"]);
    assert_eq!((code, out.as_str()), (2, ""));
    let expected = "warning: a.conf:4:1: threads is accepted and has no effect here\n\
                    error: a.conf:5:1: unknown directive foo\n\
                    error: b.conf:1:18: unknown directive vhost.play.gop_cahce (did you mean \"gop_cache\"?)\n";
    assert_eq!(err, expected);
    let (code, _, err) = run(&folder.0, &["--lenient", "-t", "-c", "a.conf"]);
    assert_eq!((code, err.lines().count()), (0, 3));
    let (code, _, err) = run(&folder.0, &["-t", "-c", "gone.conf"]);
    assert_eq!(code, 2);
    assert!(err.starts_with("error: gone.conf: cannot read gone.conf: "), "{err}");
}

#[test]
fn the_environment_counts() {
    let folder = Folder::new("environment").file("a.conf", "listen 1935; max_connections 10; vhost a { }");
    let run = |args: &[&str], variables: &[(&str, &str)]| run_with(&folder.0, args, variables);
    let (code, out, _) = run(&["-t", "-c", "a.conf"], &[("SRS_LISTEN", "1 [::]:2")]);
    assert_eq!(code, 0);
    assert!(out.contains("listen 1 [::]:2, vhosts 1"), "{out}");
    let (code, _, err) = run(&["-t", "-c", "a.conf"], &[("SRS_VHOST_CLUSTER_MODE", "remote")]);
    assert_eq!(code, 2);
    assert!(err.contains("needs cluster.origin"), "{err}");
    let (code, out, _) = run(&["-t", "-c", "gone"], &[("SRS_CONFIG_FILE", "a.conf")]);
    assert_eq!(code, 0);
    assert!(out.starts_with("a.conf: "), "{out}");
    let few = ("SRS_MAX_CONNECTIONS", "10");
    let (code, out, _) = run(&["-t", "-e"], &[few]);
    assert_eq!(code, 0);
    assert!(out.starts_with("environment: the configuration is good: listen 1935"), "{out}");
    assert_eq!(run(&["-t"], &[few, ("SRS_ENV_ONLY", "on")]).0, 0);
}

#[test]
fn serving_a_bad_configuration_lists_all_errors_and_the_code_is_2() {
    let folder = Folder::new("serve").file("a.conf", "listen 1935;\nfoo 1;\nvhost a { bar 2; }\n");
    let (code, out, err) = run(&folder.0, &["-c", "a.conf"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert_eq!(
        err,
        "error: a.conf:2:1: unknown directive foo\nerror: a.conf:3:11: unknown directive vhost.bar\n"
    );
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1, "nothing was made");
}

#[test]
fn every_directive_out_of_scope_is_accepted_with_one_warning() {
    let text = "listen 1935; max_connections 10;\nrtc_server { enabled on; listen 8000; }\n\
                srt_server { enabled on; }\nstream_caster { enabled on; caster gb28181; }\n\
                vhost a { hls { enabled on; hls_path x; }\n dvr { enabled on; }\n rtc { enabled on; }\n\
                transcode x { enabled on; engine y { } }\n ingest i { enabled on; }\n bandcheck { a b; }\n}";
    let folder = Folder::new("scope").file("a.conf", text);
    let (code, _, err) = run(&folder.0, &["-t", "-c", "a.conf"]);
    assert_eq!(code, 0, "{err}");
    let mut places: Vec<&str> = err.lines().map(|line| line.split(": ").nth(1).unwrap()).collect();
    assert_eq!(places.len(), 9, "{err}");
    places.dedup();
    assert_eq!(places.len(), 9, "one warning each: {err}");
}

#[test]
fn help_version_and_bad_use() {
    let folder = Folder::new("help");
    for args in [&["-h"][..], &["-?"], &[], &["word"]] {
        let (code, out, _) = run(&folder.0, args);
        assert_eq!(code, 0, "{args:?}");
        assert!(out.contains("srs-edge -t -c FILE") && out.contains("srs-edge demo"), "{args:?}");
    }
    assert_eq!(run(&folder.0, &["-v"]).1, format!("{}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(run(&folder.0, &["-g"]).1, format!("srs-edge/{}\n", env!("CARGO_PKG_VERSION")));
    for args in [
        &["-x"][..],
        &["-c"],
        &["-t"],
        &["diff", "a"],
        &["directives", "a", "b"],
        &["-t", "-c", "a", "b"],
        &["demo", "x"],
    ] {
        let (code, out, err) = run(&folder.0, args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}");
        assert_eq!(err.lines().count(), 1, "{args:?}: {err}");
    }
}

#[test]
fn directives_are_explained() {
    let folder = Folder::new("directives");
    let (code, all, _) = run(&folder.0, &["directives"]);
    assert_eq!(code, 0);
    assert!(all.starts_with("listen [IP:]PORT...\n"));
    let (code, out, _) = run(&folder.0, &["directives", "gop_cache"]);
    assert_eq!(code, 0);
    assert!(out.starts_with("vhost.play.gop_cache on|off\n") && all.contains(&out), "{out}");
    let (code, _, err) = run(&folder.0, &["directives", "gopcache"]);
    assert_eq!(
        (code, err.as_str()),
        (2, "srs-edge: no directive \"gopcache\" (did you mean \"gop_cache\"?)\n")
    );
}

#[test]
fn a_reload_is_foretold() {
    let base = "listen 1935; max_connections 10;";
    let folder = Folder::new("diff")
        .file("old", &format!("{base} vhost a {{ }} vhost b {{ }}"))
        .file("new", &format!("{base} daemon on; vhost a {{ gop_cache off; }} vhost c {{ }}"))
        .file("mode", &format!("{base} vhost a {{ cluster {{ mode remote; origin o; }} }} vhost b {{ }}"));
    let (code, out, err) = run(&folder.0, &["diff", "old", "new"]);
    assert_eq!(code, 0);
    assert!(err.starts_with("warning: new:1:"), "{err}");
    assert_eq!(
        out,
        "vhost c: added\nvhost b: removed, its clients stay until they leave\n\
         daemon: off -> on, needs a restart\nvhost a: play.gop_cache: on -> off, at once\n"
    );
    assert_eq!(run(&folder.0, &["diff", "old", "old"]), (0, "no difference\n".into(), String::new()));
    let (code, _, err) = run(&folder.0, &["diff", "old", "mode"]);
    assert_eq!(code, 2);
    assert!(err.contains("the reload would be refused: vhost mode changed: a"), "{err}");
    assert_eq!(run(&folder.0, &["diff", "old", "gone"]).0, 2);
}
