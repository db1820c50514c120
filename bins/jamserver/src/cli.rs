//! From the command line to the command that runs, and its exit code.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use crate::demo::{Band, Part};
use crate::options::{
    Args, OptionError, Table, Values, nearest, parse_args, parse_env, parse_file, render_help,
};
use crate::plan::Question;
use crate::serve::{self, Job};
use crate::settings::Settings;
use crate::table::{DEMO, PLAN, SERVER};

/// What is wrong with options ends the program with this code.
const USAGE: u8 = 2;

/// What the first argument may be beside an option.
const COMMANDS: [&str; 3] = ["plan", "demo", "help"];

/// Runs the command that the arguments name. Exit codes: 0 done, 1 failed, 2 wrong options.
pub(crate) fn run(args: Vec<OsString>) -> ExitCode {
    let args: Result<Vec<String>, OsString> = args.into_iter().map(OsString::into_string).collect();
    let mut args = match args {
        Ok(args) => args,
        Err(odd) => return refuse(&OptionError::new(odd.to_string_lossy(), "is not valid UTF-8")),
    };
    let command = match args.first().map(|word| command(word)) {
        Some(Ok(true)) => args.remove(0),
        Some(Err(error)) => return refuse(&error),
        Some(Ok(false)) | None => String::new(),
    };
    match command.as_str() {
        "plan" => plan(args),
        "help" => print(&help(SERVER, "")),
        _ => serve(args, command == "demo"),
    }
}

/// Whether the first argument is a command instead of an option.
fn command(word: &str) -> Result<bool, OptionError> {
    if COMMANDS.contains(&word) || word.starts_with('-') {
        return Ok(COMMANDS.contains(&word));
    }
    Err(OptionError::new(word, "is neither a command nor an option; options start with a dash, see --help")
        .meant(nearest(word, COMMANDS)))
}

fn plan(args: Vec<String>) -> ExitCode {
    let question = match parse_args(PLAN, args) {
        Ok(Args::Help) => return print(&help(PLAN, "plan")),
        Ok(Args::Version) => return print(&version()),
        Ok(Args::Run(values, _)) => Question::from_values(&values),
        Err(error) => Err(error),
    };
    match question {
        Ok(question) => print(&question.answer()),
        Err(error) => refuse(&error),
    }
}

fn serve(args: Vec<String>, demo: bool) -> ExitCode {
    let table = if demo { DEMO } else { SERVER };
    let (values, warnings) = match gather(table, args.clone(), environment()) {
        Ok(Gathered::Run(values, warnings)) => (values, warnings),
        Ok(Gathered::Help) => return print(&help(table, if demo { "demo" } else { "" })),
        Ok(Gathered::Version) => return print(&version()),
        Err(error) => return refuse(&error),
    };
    for warning in warnings {
        eprintln!("jamserver: warning: {warning}");
    }
    let settings = match Settings::from_values(&values) {
        Ok(settings) => settings,
        Err(error) => return refuse(&error),
    };
    let band = match demo.then(|| band(&values, &settings)).transpose() {
        Ok(band) => band,
        Err(error) => return refuse(&error),
    };
    let reread = Box::new(move || match gather(table, args.clone(), environment())? {
        Gathered::Run(values, _) => Settings::from_values(&values),
        Gathered::Help | Gathered::Version => Err(OptionError::new("options", "no longer start a server")),
    });
    serve::run(Job { settings, values, reread, band })
}

/// The band that the options of `demo` ask for.
fn band(values: &Values, settings: &Settings) -> Result<Band, OptionError> {
    let band = Band::new(&values.list::<Part>("band")?, values.parsed("tempo")?.unwrap_or(100));
    let room = usize::from(settings.config.protocol.channels_max());
    if band.len() >= room {
        let need = band.len() + 1;
        return Err(values.error("numchannels", format!("the band leaves no room for you: {need} at least")));
    }
    Ok(band)
}

/// The environment, as far as it is text.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// What the command line asks for.
enum Gathered {
    Help,
    Version,
    Run(Values, Vec<String>),
}

/// Puts the sources of options together: command line over environment over file over defaults.
fn gather(
    table: Table,
    args: Vec<String>,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<Gathered, OptionError> {
    let (given, mut warnings) = match parse_args(table, args)? {
        Args::Help => return Ok(Gathered::Help),
        Args::Version => return Ok(Gathered::Version),
        Args::Run(values, warnings) => (values, warnings),
    };
    let (environment, more) = parse_env(table, variables)?;
    warnings.extend(more);
    let path = given.text("config").or_else(|| environment.text("config"));
    let mut values = Values::new(table);
    if let Some(path) = path {
        let text =
            std::fs::read_to_string(&path).map_err(|e| OptionError::new(path.as_str(), e.to_string()))?;
        let (file, more) = parse_file(table, &path, &text)?;
        if file.is_given("config") {
            return Err(file.error("config", "a configuration file cannot name another one"));
        }
        values.overlay(file);
        warnings.extend(more);
    }
    values.overlay(environment);
    values.overlay(given);
    Ok(Gathered::Run(values, warnings))
}

fn refuse(error: &OptionError) -> ExitCode {
    eprintln!("jamserver: {error}");
    ExitCode::from(USAGE)
}

fn print(text: &str) -> ExitCode {
    // A closed pipe (`jamserver --help | head`) is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn version() -> String {
    format!("jamserver {}\n", env!("CARGO_PKG_VERSION"))
}

fn help(table: Table, command: &str) -> String {
    let front = match command {
        "plan" => {
            "Says how many musicians a line carries, in which quality.\n\n\
             Usage: jamserver plan --up RATE --down RATE [OPTIONS]\n"
        }
        "demo" => {
            "Serves a jam session with a small band already in it, for a first try with one client.\n\n\
             Usage: jamserver demo [OPTIONS]\n"
        }
        _ => {
            "A Jamulus-compatible jam server for musicians over the Internet.\n\n\
             Usage: jamserver [OPTIONS]\n       \
             jamserver plan --up RATE --down RATE   how many musicians your line carries\n       \
             jamserver demo                         a server with a small band in it, for a first try\n"
        }
    };
    let back = match command {
        "plan" => "",
        _ => {
            "\nValues follow their option or an equals sign: --port 22124, --port=22124.\n\
             Every option is also an environment variable and a key of the configuration file:\n\
             JAMSERVER_PORT=22124, port = 22124. The command line wins over the environment, the\n\
             environment over the file.\n\n\
             Stops in good order on SIGINT and SIGTERM; reads its options and opens its log again on SIGHUP.\n\
             SIGUSR1 begins another recording, SIGUSR2 stops and starts recording.\n\
             Exit codes: 0 stopped, 1 failed, 2 wrong options.\n"
        }
    };
    let other = "\nOther:\n  -h, --help                        Prints this help.\n  \
                 -v, --version                     Prints the version.\n";
    format!("{}{front}{}{other}{back}", version(), render_help(table))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_command_is_answered_with_the_nearest_one() {
        for (word, expected) in
            [("plan", Some(true)), ("--port", Some(false)), ("-p", Some(false)), ("plam", None)]
        {
            assert_eq!(command(word).ok(), expected, "{word}");
        }
        let error = command("plam").expect_err("no command");
        assert_eq!(
            error.to_string(),
            "plam: is neither a command nor an option; options start with a dash, see --help (did you mean plan?)"
        );
    }
}
