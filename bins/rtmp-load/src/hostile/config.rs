//! Configurations that lead in circles, never end, or are no text.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::findings::{Findings, round};
use super::siege::Siege;
use crate::clock::{instant, wait};

/// A check takes no longer.
const LIMIT: Duration = Duration::from_secs(10);

/// Checks each with `-t`: exit code 2 and a reason.
pub(super) fn configurations(siege: &mut Siege) -> Result<Findings, String> {
    let mut findings = Findings::default();
    let program = siege.program.clone().ok_or("no program")?;
    let folder = siege.folder.join("configurations");
    let mut slowest = Duration::ZERO;
    let mut tried = 0_u64;
    let cases = prepare(&folder).map_err(|error| format!("configurations: {error}"))?;
    for (name, reason) in cases {
        let begun = instant();
        let (code, said) = check(&program, &folder, name).map_err(|error| format!("{name}: {error}"))?;
        slowest = slowest.max(begun.elapsed());
        tried += 1;
        findings.require(code == Some(2), || format!("{name}: exit code {code:?}, {}", first_line(&said)));
        findings
            .require(said.contains(reason), || format!("{name}: no word of {reason}: {}", first_line(&said)));
    }
    findings.note("configurations", tried);
    findings.note("slowest_s", round(slowest.as_secs_f64(), 2));
    Ok(findings)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Writes them; each with a word that the message must have.
fn prepare(folder: &Path) -> io::Result<Vec<(&'static str, &'static str)>> {
    std::fs::create_dir_all(folder.join("folder"))?;
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text);
    write("itself.conf", "listen 1935;\ninclude itself.conf;\n".into())?;
    write("two.conf", "listen 1935;\ninclude other.conf;\n".into())?;
    write("other.conf", "include two.conf;\n".into())?;
    for depth in 0..30 {
        write(&format!("deep{depth}.conf"), format!("include deep{}.conf;\n", depth + 1))?;
    }
    write("deep30.conf", "listen 1935;\n".into())?;
    // Each file twice in the next: 2^20 copies of the last one.
    for depth in 0..7 {
        let next = format!("wide{}.conf", depth + 1);
        write(&format!("wide{depth}.conf"), format!("include {next};\n").repeat(30))?;
    }
    write("wide7.conf", "vhost a { }\n".into())?;
    write("blocks.conf", format!("listen 1935;\n{}{}", "vhost a {\n".repeat(5000), "}".repeat(5000)))?;
    write("open.conf", "listen 1935;\nvhost a {\n".into())?;
    write("endless-word.conf", format!("listen {};\n", "1".repeat(2 << 20)))?;
    write("device.conf", "listen 1935;\ninclude /dev/zero;\n".into())?;
    write("random.conf", "listen 1935;\ninclude /dev/urandom;\n".into())?;
    write("to-folder.conf", "listen 1935;\ninclude folder;\n".into())?;
    write("to-nothing.conf", "listen 1935;\ninclude nothing.conf;\n".into())?;
    write("to-pipe.conf", "listen 1935;\ninclude pipe;\n".into())?;
    let pipe = folder.join("pipe");
    if !pipe.exists() {
        let made = Command::new("mkfifo").arg(&pipe).status()?;
        if !made.success() {
            return Err(io::Error::other("mkfifo failed"));
        }
    }
    std::fs::write(folder.join("binary.conf"), [0xff, 0xfe, 0, 1, 2, b';', b'{'])?;
    write("many.conf", format!("listen 1935;\n{}", "vhost a { enabled on; }\n".repeat(60_000)))?;
    Ok(vec![
        ("itself.conf", "include"),
        ("two.conf", "include"),
        ("deep0.conf", "include"),
        ("wide0.conf", "256 files"),
        ("blocks.conf", "blocks inside each other"),
        ("open.conf", "end"),
        ("endless-word.conf", "bytes"),
        ("device.conf", "/dev/zero"),
        ("random.conf", "/dev/urandom"),
        ("to-folder.conf", "folder"),
        ("to-nothing.conf", "nothing.conf"),
        ("to-pipe.conf", "pipe"),
        ("binary.conf", "binary.conf"),
        ("many.conf", "bytes"),
    ])
}

/// Exit code and everything said; no code when it had to be stopped.
fn check(program: &Path, folder: &Path, name: &str) -> io::Result<(Option<i32>, String)> {
    let program = std::fs::canonicalize(program)?;
    let said = folder.join("said.txt");
    let out = std::fs::File::create(&said)?;
    let mut child = Command::new(program)
        .args(["-t", "-c", name])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .spawn()?;
    let end = instant() + LIMIT;
    let code = loop {
        if let Some(status) = child.try_wait()? {
            break status.code();
        }
        if instant() > end {
            child.kill()?;
            child.wait()?;
            break None;
        }
        wait(Duration::from_millis(5));
    };
    Ok((code, std::fs::read_to_string(said)?))
}
