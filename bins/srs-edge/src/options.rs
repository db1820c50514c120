//! The command line (spec 1.7).

use std::ffi::OsString;
use std::fmt;

/// What `-h` prints.
pub(crate) const HELP: &str = "\
srs-edge: an SRS-compatible RTMP edge and origin.

srs-edge -c FILE              serves as FILE says
srs-edge -e                   serves as the environment says, in the foreground, log to the console
srs-edge demo [PORT]          serves a built-in stream through an origin and an edge, and says what to open
srs-edge -t -c FILE           checks FILE: lists all errors and warnings
srs-edge -t -e                checks the configuration of the environment alone
srs-edge directives [NAME]    prints the manual of all directives, or of NAME: play, gop_cache, vhost.play
srs-edge diff OLD NEW         tells what a reload from OLD to NEW would change

  -c FILE      the configuration file
  -t           check only
  -e           no file, only environment variables
  --lenient    unknown directives are warnings instead of errors
  -v, -V       version
  -g, -G       signature
  -h, -?       this text

SRS_CONFIG_FILE replaces the file of -c, SRS_ENV_ONLY=on is the same as -e, and SRS_... variables win over the file.

Signals: HUP reads the configuration again, USR1 opens the log file again, QUIT stops gracefully (60 s at most), TERM and
INT stop at once; a second QUIT, TERM or INT ends every wait.
Exit codes: 0 good, 1 failed, 2 bad configuration, bad use, or a reload that would be refused.
";

/// Where `demo` serves when it is not told otherwise: the usual port of RTMP.
const DEMO_PORT: u16 = 1935;

/// Where the configuration comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Input {
    /// A file and the environment.
    File(String),
    /// The environment alone.
    Environment,
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File(path) => path,
            Self::Environment => "environment",
        })
    }
}

/// What to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    Help,
    Version,
    Signature,
    Serve(Input),
    Demo { port: u16 },
    Check(Input),
    Directives(Option<String>),
    Diff { old: String, new: String },
}

/// The command line, understood.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Options {
    pub(crate) action: Action,
    pub(crate) lenient: bool,
}

/// Reads the arguments after the name of the program.
pub(crate) fn parse(args: impl Iterator<Item = OsString>) -> Result<Options, String> {
    let mut lenient = false;
    let mut test = false;
    let mut environment_only = std::env::var_os("SRS_ENV_ONLY").is_some_and(|value| value == "on");
    let mut file = None;
    let mut words = Vec::new();
    let mut asked = None;
    let mut args = args.map(|arg| arg.into_string().map_err(|arg| format!("not UTF-8: {arg:?}")));
    while let Some(arg) = args.next().transpose()? {
        match arg.as_str() {
            "-c" => file = Some(args.next().transpose()?.ok_or("-c needs a file")?),
            "-t" => test = true,
            "-e" => environment_only = true,
            "--lenient" => lenient = true,
            "-h" | "-?" | "--help" => asked = asked.or(Some(Action::Help)),
            "-v" | "-V" | "--version" => asked = asked.or(Some(Action::Version)),
            "-g" | "-G" => asked = asked.or(Some(Action::Signature)),
            option if option.starts_with('-') => return Err(format!("no option {option}, see srs-edge -h")),
            _ => words.push(arg),
        }
    }
    if let Some(action) = asked {
        return Ok(Options { action, lenient });
    }
    let action = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["directives"] => Action::Directives(None),
        ["directives", name] => Action::Directives(Some((*name).into())),
        ["diff", old, new] => Action::Diff { old: (*old).into(), new: (*new).into() },
        ["demo"] => Action::Demo { port: DEMO_PORT },
        ["demo", port] => match port.parse() {
            Ok(port) => Action::Demo { port },
            Err(_) => return Err(format!("{port:?} is no port, see srs-edge -h")),
        },
        ["directives" | "diff" | "demo", ..] => {
            return Err("directives [NAME], diff OLD NEW or demo [PORT], see srs-edge -h".into());
        }
        [] if file.is_some() || environment_only || test => {
            let input =
                if environment_only { Some(Input::Environment) } else { replaced(file).map(Input::File) };
            match (test, input) {
                (true, Some(input)) => Action::Check(input),
                (false, Some(input)) => Action::Serve(input),
                (_, None) => return Err("-t needs -c FILE or -e".into()),
            }
        }
        [word, ..] if file.is_some() || test => return Err(format!("{word} is too much, see srs-edge -h")),
        // As in SRS: nothing, or a word that means nothing, is a question.
        _ => Action::Help,
    };
    Ok(Options { action, lenient })
}

/// The file of `SRS_CONFIG_FILE` where that is set.
fn replaced(file: Option<String>) -> Option<String> {
    std::env::var("SRS_CONFIG_FILE").ok().filter(|path| !path.is_empty()).or(file)
}
