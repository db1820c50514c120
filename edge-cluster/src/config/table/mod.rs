//! The tables of directives: one per block. Checks, defaults, environment, manual and reload all come from them.

mod http;
mod root;
mod vhost;

pub use root::ROOT;

/// What the value of a directive is.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// `on` or `off`; any other word reads as the default (spec 1.3).
    Switch,
    /// Leading digits, 0 if there are none, limited to this range. The range is a warning, not an error.
    Integer {
        /// Smallest value.
        min: i64,
        /// Largest value.
        max: i64,
    },
    /// Leading decimal number, 0 if there is none.
    Number,
    /// A number of bytes, with an optional `k`, `m` or `g`.
    Bytes,
    /// One word.
    Text,
    /// One of these words; any other reads as the default.
    Choice(&'static [&'static str]),
    /// Any number of words.
    Texts,
    /// One or more addresses to listen on.
    Endpoints,
    /// One or more `host[:port]`.
    Hosts,
    /// Addresses and ranges of addresses.
    Networks,
    /// `publish|play all|ADDRESS|RANGE`.
    Rule,
    /// A block of the directives in this table.
    Block(&'static [DirectiveSpec]),
    /// A block that is accepted without a look inside.
    Opaque,
}

/// How far a directive is supported.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// Part of the edge.
    Core,
    /// Planned; accepted with one warning, no effect yet.
    Later,
    /// Known to SRS and not planned; accepted with one warning, no effect.
    Ignored,
}

/// When a changed value counts after a reload (spec 1.8).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Reload {
    /// At once, for live streams and connections too.
    Live,
    /// New addresses are bound, then removed ones closed; connections stay.
    Listeners,
    /// For connections made afterwards.
    NewConnections,
    /// At the next connect or retry.
    NextUse,
    /// For sources created afterwards.
    NewSources,
    /// The part of the vhost is stopped and started again.
    Restarted,
    /// Never; the server must be started again.
    Restart,
    /// The change is refused, and with it the reload.
    Refused,
    /// Never: the directive has no effect.
    NoEffect,
}

impl Reload {
    /// The same in words: `chunk_size: 60000 -> 4096, for new connections`.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Live => "at once",
            Self::Listeners => "new addresses are bound, removed ones closed, connections stay",
            Self::NewConnections => "for new connections",
            Self::NextUse => "at the next connect or retry",
            Self::NewSources => "for new streams",
            Self::Restarted => "restarted for the vhost",
            Self::Restart => "needs a restart",
            Self::Refused => "refused",
            Self::NoEffect => "no effect in this version",
        }
    }
}

/// Which environment variables set a directive (spec 1.6).
#[derive(Clone, Copy, Debug)]
pub enum Variables {
    /// `SRS_` and the path in upper case, and these more.
    Path(&'static [&'static str]),
    /// None.
    None,
}

/// One directive: a row of a table.
#[derive(Clone, Copy, Debug)]
pub struct DirectiveSpec {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// The value where it is absent, as it would be written; empty for none.
    pub default: &'static str,
    /// Unit of the value; empty for none.
    pub unit: &'static str,
    /// How far it is supported.
    pub scope: Scope,
    /// When a change counts.
    pub reload: Reload,
    /// Which variables set it.
    pub variables: Variables,
    /// Whether several of it in one block all count. Otherwise the first one counts.
    pub repeats: bool,
    /// What it means, in one sentence.
    pub sentence: &'static str,
}

/// One row; the other columns are set by the methods below.
const fn row(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    reload: Reload,
    sentence: &'static str,
) -> DirectiveSpec {
    DirectiveSpec {
        name,
        kind,
        default,
        unit: "",
        scope: Scope::Core,
        reload,
        variables: Variables::Path(&[]),
        repeats: false,
        sentence,
    }
}

/// A block of core directives.
const fn block(name: &'static str, table: &'static [DirectiveSpec], sentence: &'static str) -> DirectiveSpec {
    row(name, Kind::Block(table), "", Reload::Live, sentence)
}

impl DirectiveSpec {
    const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    const fn later(mut self) -> Self {
        self.scope = Scope::Later;
        self.reload = Reload::NoEffect;
        self
    }

    const fn ignored(mut self) -> Self {
        self.scope = Scope::Ignored;
        self.reload = Reload::NoEffect;
        self
    }

    const fn no_variable(mut self) -> Self {
        self.variables = Variables::None;
        self
    }

    const fn also(mut self, names: &'static [&'static str]) -> Self {
        self.variables = Variables::Path(names);
        self
    }

    const fn repeats(mut self) -> Self {
        self.repeats = true;
        self
    }

    /// The directives of its block; empty where it has none.
    pub fn children(&self) -> &'static [Self] {
        match self.kind {
            Kind::Block(table) => table,
            _ => &[],
        }
    }

    /// The environment variables that set it at `path`, the weakest first.
    pub fn variable_names(&self, path: &str) -> Vec<String> {
        let (Variables::Path(more), false) =
            (self.variables, matches!(self.kind, Kind::Block(_) | Kind::Opaque))
        else {
            return Vec::new();
        };
        let mut names: Vec<String> = more.iter().map(|&name| name.into()).collect();
        names.push(format!("SRS_{}", path.to_ascii_uppercase().replace('.', "_")));
        names
    }
}

/// The row called `name`.
pub(crate) fn find<'a>(table: &'a [DirectiveSpec], name: &str) -> Option<&'a DirectiveSpec> {
    table.iter().find(|spec| spec.name == name)
}

/// `parent.name`, or `name` at the root.
pub(crate) fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.into() } else { format!("{parent}.{name}") }
}

/// Calls `visit` with path and row for every directive below `table`, blocks before what they hold. What stands in a
/// block without effect has none either, and its row says so.
pub fn walk(table: &[DirectiveSpec], parent: &str, visit: &mut dyn FnMut(&str, &DirectiveSpec)) {
    walk_in(table, parent, Scope::Core, visit);
}

fn walk_in(
    table: &[DirectiveSpec],
    parent: &str,
    around: Scope,
    visit: &mut dyn FnMut(&str, &DirectiveSpec),
) {
    for spec in table {
        let path = join(parent, spec.name);
        let mut spec = *spec;
        if around != Scope::Core {
            (spec.scope, spec.reload) = (around, Reload::NoEffect);
        }
        visit(&path, &spec);
        walk_in(spec.children(), &path, spec.scope, visit);
    }
}

/// Any integer.
const ANY: Kind = Kind::Integer { min: 0, max: u32::MAX as i64 };
const PORT_OR_ENDPOINT: Kind = Kind::Endpoints;
