//! The background (`daemon on`).
//!
//! A process with threads must not fork, and forking is unsafe code. So the program starts itself anew: the child opens a
//! session of its own, starts serving, and only then closes the console; the parent waits for that and passes on what went
//! wrong until then. Scripts thus learn of a busy port by the exit code.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::process::{Command, ExitCode, Stdio};

/// Marks the child. No variable of a directive begins so.
const MARK: &str = "SRSEDGE_DETACHED";

/// The child's last words on the console.
const READY: &[u8] = b"ready\n";

/// Whether this process is the child. It then is the leader of a session of its own.
pub(crate) fn is_detached() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Starts the child with the arguments of this process and waits until it serves or ends.
pub(crate) fn detach() -> io::Result<ExitCode> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(MARK, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = Vec::new();
    if let Some(mut stdout) = child.stdout.take() {
        // It ends when the child closes its console or dies.
        stdout.read_to_end(&mut said)?;
    }
    if said.ends_with(READY) {
        return Ok(ExitCode::SUCCESS);
    }
    let code = child.wait()?.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// In the child, first of all: leaves the session of the terminal.
pub(crate) fn leave_session() -> io::Result<()> {
    // A process that leads a group already cannot; then it has been started that way.
    match rustix::process::setsid() {
        Ok(_) | Err(rustix::io::Errno::PERM) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// In the child, when it serves: closes the console, which tells the parent.
pub(crate) fn close_console() -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(READY)?;
    out.flush()?;
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(())
}
