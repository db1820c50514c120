//! Tokens to directives, with included files put in place (spec 1.2).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ConfigLimits;
use super::diagnostic::{Location, Report};
use super::lexer::{Lexer, Token, TokenKind};

/// Gives the parser the text of a file, so that it does no I/O itself.
///
/// # For implementers
///
/// A relative path counts from the working directory, not from the including file (spec 1.2). Read at most
/// [`ConfigLimits::file_bytes_max`] plus one byte; longer texts are refused anyway. The error text is shown to the
/// operator after the name of the file.
pub trait Sources {
    /// The bytes of the file named `path`.
    ///
    /// # Errors
    ///
    /// Why the file cannot be read, for the operator.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;
}

/// [`Sources`] from memory: names with their text.
#[derive(Clone, Debug, Default)]
pub struct MemorySources(BTreeMap<String, Vec<u8>>);

impl<N: Into<String>, T: Into<Vec<u8>>, const COUNT: usize> From<[(N, T); COUNT]> for MemorySources {
    fn from(files: [(N, T); COUNT]) -> Self {
        Self(files.into_iter().map(|(name, text)| (name.into(), text.into())).collect())
    }
}

impl Sources for MemorySources {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        self.0.get(path).cloned().ok_or_else(|| String::from("no such file"))
    }
}

/// One directive as it was written: a name, arguments, and perhaps a block.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Directive {
    /// The first word.
    pub name: String,
    /// The other words; empty quoted words are not kept.
    pub args: Vec<String>,
    /// The directives of its block, in order; duplicates are kept.
    pub children: Vec<Self>,
    /// Whether it had a block, even an empty one.
    pub has_block: bool,
    /// Where its name stands.
    pub location: Location,
}

impl Directive {
    pub(crate) fn new(name: &str, args: Vec<String>, location: &Location) -> Self {
        Self { name: name.into(), args, children: Vec::new(), has_block: false, location: location.clone() }
    }

    pub(crate) fn block(name: &str, children: Vec<Self>, location: &Location) -> Self {
        Self { children, has_block: true, ..Self::new(name, Vec::new(), location) }
    }

    /// The first child of that name: later ones do not count.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The first argument.
    pub fn arg(&self) -> Option<&str> {
        self.args.first().map(String::as_str)
    }
}

/// Nothing more can be read: of this file, or at all.
enum Stop {
    File,
    Everything,
}

/// Reads files into one tree.
pub(crate) struct Parser<'a> {
    sources: &'a dyn Sources,
    limits: &'a ConfigLimits,
    report: &'a mut Report,
    open_files: Vec<Arc<str>>,
    files: usize,
    bytes: usize,
    directives: usize,
    left_out: usize,
}

/// What could be read.
pub(crate) struct Tree {
    /// The directives.
    pub(crate) root: Vec<Directive>,
    /// Files that are not among them, one error in the report each; all other errors left holes in the tree.
    pub(crate) left_out: usize,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(sources: &'a dyn Sources, limits: &'a ConfigLimits, report: &'a mut Report) -> Self {
        Self {
            sources,
            limits,
            report,
            open_files: Vec::new(),
            files: 0,
            bytes: 0,
            directives: 0,
            left_out: 0,
        }
    }

    /// The directives of `path` and the files it includes. What could not be read is in the report.
    pub(crate) fn read(mut self, path: &str) -> Tree {
        let mut root = Vec::new();
        let at = Location::whole(&Arc::from(path));
        // Either kind of stop is in the report already.
        let _ = self.file(path, &at, 0, &mut root);
        Tree { root, left_out: self.left_out }
    }

    fn file(
        &mut self,
        path: &str,
        asked_at: &Location,
        depth: usize,
        into: &mut Vec<Directive>,
    ) -> Result<(), Stop> {
        if self.open_files.iter().any(|open| &**open == path) {
            return self.refuse(asked_at, format!("{path} includes itself"));
        }
        if self.open_files.len() > self.limits.include_depth_max {
            let max = self.limits.include_depth_max;
            return self.refuse(asked_at, format!("more than {max} files included in each other"));
        }
        if self.files >= self.limits.files_max {
            return self.exhausted(asked_at, format!("more than {} files", self.limits.files_max));
        }
        let text = match self.sources.read(path) {
            Ok(text) => text,
            Err(reason) => {
                let relative = !self.open_files.is_empty() && !path.starts_with('/');
                let base = if relative { " (include counts from the working directory)" } else { "" };
                return self.refuse(asked_at, format!("cannot read {path}: {reason}{base}"));
            }
        };
        if text.len() > self.limits.file_bytes_max {
            let max = self.limits.file_bytes_max;
            return self.refuse(asked_at, format!("{path} has more than {max} bytes"));
        }
        self.files += 1;
        self.bytes = self.bytes.saturating_add(text.len());
        if self.bytes > self.limits.total_bytes_max {
            let max = self.limits.total_bytes_max;
            return self.exhausted(asked_at, format!("all files together have more than {max} bytes"));
        }
        let name: Arc<str> = Arc::from(path);
        self.open_files.push(Arc::clone(&name));
        let mut source =
            Source { file: name, lexer: Lexer::new(&text, self.limits.word_bytes_max), again: None };
        let result = self.block(&mut source, depth, Inside::File, into);
        self.open_files.pop();
        match result {
            Err(Stop::Everything) => Err(Stop::Everything),
            Ok(()) | Err(Stop::File) => Ok(()),
        }
    }

    /// Directives up to the `}` of this block or the end of the file.
    fn block(
        &mut self,
        source: &mut Source<'_>,
        depth: usize,
        inside: Inside<'_>,
        into: &mut Vec<Directive>,
    ) -> Result<(), Stop> {
        loop {
            let token = self.token(source)?;
            let at = source.at(&token);
            match token.kind {
                TokenKind::Word(word) if word.is_empty() => {}
                TokenKind::Word(name) => self.directive(source, name, at, depth, into)?,
                TokenKind::Semicolon => self.report.error(&at, "unexpected ;"),
                TokenKind::Open => {
                    self.report.error(&at, "unexpected {, a block needs a name");
                    return Err(Stop::File);
                }
                TokenKind::Close if matches!(inside, Inside::Block(_)) => return Ok(()),
                TokenKind::Close => self.report.error(&at, "unexpected }, no block is open"),
                TokenKind::End if matches!(inside, Inside::File) => return Ok(()),
                TokenKind::End => {
                    let open = match inside {
                        Inside::Block(open) => format!(": the }} of {open} is missing"),
                        Inside::File => String::new(),
                    };
                    self.report.error(&at, format!("end of file inside a block{open}"));
                    return Err(Stop::File);
                }
            }
        }
    }

    fn directive(
        &mut self,
        source: &mut Source<'_>,
        name: String,
        at: Location,
        depth: usize,
        into: &mut Vec<Directive>,
    ) -> Result<(), Stop> {
        self.directives += 1;
        if self.directives > self.limits.directives_max {
            return self.exhausted(&at, format!("more than {} directives", self.limits.directives_max));
        }
        let mut directive = Directive::new(&name, Vec::new(), &at);
        loop {
            let token = self.token(source)?;
            let here = source.at(&token);
            let broken = if token.after_comment {
                Some("a comment cannot stand inside a directive")
            } else if token.after_line_end && token.kind != TokenKind::End {
                Some("a directive must end on its line, a ; is missing")
            } else {
                None
            };
            if let Some(message) = broken {
                self.report.error(&directive.location, message);
                // The directive is taken as ended, so that the rest of the file can be read.
                return match token.kind {
                    TokenKind::Open => self.child_block(source, directive, &here, depth, into),
                    TokenKind::Semicolon => Ok(()),
                    _ => {
                        source.again = Some(token);
                        Ok(())
                    }
                };
            }
            match token.kind {
                TokenKind::Word(word) if word.is_empty() => {}
                TokenKind::Word(word) => {
                    if directive.args.len() >= self.limits.arguments_max {
                        let max = self.limits.arguments_max;
                        self.report.error(&here, format!("more than {max} arguments"));
                        return Err(Stop::File);
                    }
                    directive.args.push(word);
                }
                TokenKind::Semicolon if directive.name == "include" => {
                    return self.include(&directive, depth, into);
                }
                TokenKind::Semicolon => {
                    into.push(directive);
                    return Ok(());
                }
                TokenKind::Open => return self.child_block(source, directive, &here, depth, into),
                TokenKind::Close => {
                    self.report.error(&here, format!("unexpected }}, {name} needs a ; before it"));
                    source.again = Some(token);
                    return Ok(());
                }
                TokenKind::End => {
                    self.report.error(&directive.location, "end of file inside a directive, a ; is missing");
                    return Err(Stop::File);
                }
            }
        }
    }

    fn child_block(
        &mut self,
        source: &mut Source<'_>,
        mut directive: Directive,
        at: &Location,
        depth: usize,
        into: &mut Vec<Directive>,
    ) -> Result<(), Stop> {
        if depth >= self.limits.block_depth_max {
            let max = self.limits.block_depth_max;
            self.report.error(at, format!("more than {max} blocks inside each other"));
            return Err(Stop::File);
        }
        if directive.name == "include" {
            self.report.error(at, "include takes files, not a block");
        }
        directive.has_block = true;
        let (location, name) = (&directive.location, &directive.name);
        let open = match directive.arg() {
            Some(arg) => format!("{name} {arg}, opened at {location},"),
            None => format!("{name}, opened at {location},"),
        };
        let result = self.block(source, depth + 1, Inside::Block(&open), &mut directive.children);
        into.push(directive);
        result
    }

    fn include(
        &mut self,
        directive: &Directive,
        depth: usize,
        into: &mut Vec<Directive>,
    ) -> Result<(), Stop> {
        if directive.args.is_empty() {
            self.report.error(&directive.location, "include needs a file");
        }
        for path in &directive.args {
            self.file(path, &directive.location, depth, into)?;
        }
        Ok(())
    }

    fn token(&mut self, source: &mut Source<'_>) -> Result<Token, Stop> {
        if let Some(mut token) = source.again.take() {
            (token.after_comment, token.after_line_end) = (false, false);
            return Ok(token);
        }
        source.lexer.token().map_err(|error| {
            let (line, column) = source.lexer.position();
            let at = Location { file: Arc::clone(&source.file), line, column };
            self.report.error(&at, error.to_string());
            Stop::File
        })
    }

    /// A file is left out; what includes it can be read all the same.
    fn refuse(&mut self, at: &Location, message: String) -> Result<(), Stop> {
        self.left_out += 1;
        self.report.error(at, message);
        Ok(())
    }

    fn exhausted(&mut self, at: &Location, message: String) -> Result<(), Stop> {
        self.report.error(at, message);
        Err(Stop::Everything)
    }
}

#[derive(Clone, Copy)]
enum Inside<'a> {
    File,
    /// What the block is and where it begins, for the operator.
    Block(&'a str),
}

/// One file being read. `again` is a token that was looked at and belongs to what follows.
struct Source<'a> {
    file: Arc<str>,
    lexer: Lexer<'a>,
    again: Option<Token>,
}

impl Source<'_> {
    fn at(&self, token: &Token) -> Location {
        Location { file: Arc::clone(&self.file), line: token.line, column: token.column }
    }
}
