//! Options from one table: the command line, the environment, the configuration file and the help read the same
//! definitions.
//!
//! ```text
//!   --port 22124 ─────────┐
//!   JAMSERVER_PORT=22124 ─┼─▶ Values ──▶ typed settings        command line > environment > file > default
//!   port = 22124 ─────────┘
//! ```

mod args;
mod env;
mod error;
mod file;
mod help;
mod kind;
mod nearest;
mod values;

#[cfg(test)]
mod tests;

pub(crate) use args::{Args, parse_args};
pub(crate) use env::parse_env;
pub(crate) use error::OptionError;
pub(crate) use file::parse_file;
pub(crate) use help::render as render_help;
pub(crate) use kind::Kind;
pub(crate) use nearest::nearest;
pub(crate) use values::{Origin, Values};

/// One option: everything the program knows about it.
#[derive(Debug)]
pub(crate) struct OptionDef {
    /// The long name without its dashes, which is also the key of the configuration file. The environment name is
    /// derived from it.
    pub(crate) key: &'static str,
    /// Other long names that mean the same.
    pub(crate) aliases: &'static [&'static str],
    /// The letter or digit behind a single dash.
    pub(crate) short: Option<char>,
    /// What value it takes, and which values are valid.
    pub(crate) kind: Kind,
    /// The value when nobody gives one; empty for none.
    pub(crate) default: &'static str,
    /// The heading it stands under in the help.
    pub(crate) group: &'static str,
    /// One sentence for the help.
    pub(crate) help: &'static str,
}

/// Why an option that users of the original program know has no place here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Foreign {
    /// It concerns a window this program does not have: accepted with a warning.
    Window,
    /// It is for clients: refused.
    Client,
    /// A server option whose function this version lacks: refused.
    Missing,
}

/// An option of the original program that is not one of ours.
#[derive(Debug)]
pub(crate) struct ForeignDef {
    /// The long name without its dashes.
    pub(crate) key: &'static str,
    /// Its letter.
    pub(crate) short: Option<char>,
    /// Whether a value follows.
    pub(crate) takes_value: bool,
    /// What to do when it is met.
    pub(crate) verdict: Foreign,
}

/// The options of one command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    /// The groups of options, in the order of the help.
    pub(crate) parts: &'static [&'static [OptionDef]],
    /// Names that are known but not ours.
    pub(crate) foreign: &'static [ForeignDef],
    /// What environment names start with; empty if the command reads none.
    pub(crate) env_prefix: &'static str,
}

/// What a name on the command line or in a file stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found {
    Ours(&'static OptionDef),
    Foreign(&'static ForeignDef),
}

impl Table {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static OptionDef> + use<> {
        self.parts.iter().flat_map(|part| part.iter())
    }

    /// The option with this long name, or one of its aliases.
    fn by_long(&self, name: &str) -> Option<Found> {
        self.iter()
            .find(|d| d.key == name || d.aliases.contains(&name))
            .map(Found::Ours)
            .or_else(|| self.foreign.iter().find(|d| d.key == name).map(Found::Foreign))
    }

    fn by_short(&self, letter: char) -> Option<Found> {
        self.iter()
            .find(|d| d.short == Some(letter))
            .map(Found::Ours)
            .or_else(|| self.foreign.iter().find(|d| d.short == Some(letter)).map(Found::Foreign))
    }

    /// The option a command line argument names, if it names one.
    fn by_argument(&self, argument: &str) -> Option<Found> {
        if let Some(long) = argument.strip_prefix("--") {
            return self.by_long(long);
        }
        let mut letters = argument.strip_prefix('-')?.chars();
        let letter = letters.next()?;
        letters.next().is_none().then(|| self.by_short(letter)).flatten()
    }

    /// The long name most like `name`, if one is near enough to be meant.
    fn nearest_long(&self, name: &str) -> Option<&'static str> {
        nearest(name, self.iter().flat_map(|d| std::iter::once(d.key).chain(d.aliases.iter().copied())))
    }
}

impl OptionDef {
    /// The environment variable of this option.
    pub(crate) fn env_name(&self, prefix: &str) -> String {
        let mut name = prefix.to_owned();
        name.extend(self.key.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_uppercase() }));
        name
    }
}

impl ForeignDef {
    /// Refuses the option, or says in a warning that it does nothing here.
    fn judge(&self, place: &str) -> Result<String, OptionError> {
        match self.verdict {
            Foreign::Window => Ok(format!("{place}: this server has no window; the option does nothing")),
            Foreign::Client => {
                Err(OptionError::new(place, "this is an option of clients, and jamserver is a server only"))
            }
            Foreign::Missing => Err(OptionError::new(place, "not supported by this version")),
        }
    }
}
