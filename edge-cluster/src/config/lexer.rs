//! Bytes to words, `;`, `{` and `}` (spec 1.1).

/// What stands at a place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum TokenKind {
    /// A bare or quoted word.
    Word(String),
    /// `;`
    Semicolon,
    /// `{`
    Open,
    /// `}` where a word could start.
    Close,
    /// End of the text.
    End,
}

/// One token and its place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// A line ended between the token before and this one.
    pub(crate) after_line_end: bool,
    /// A comment stood between the token before and this one.
    pub(crate) after_comment: bool,
}

/// Why no token could be read. Nothing after this point of the file makes sense.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum LexError {
    #[error("a closing quote must be followed by space, ; or {{")]
    QuoteNotFollowed,
    #[error("end of file inside a quoted string")]
    UnterminatedQuote,
    #[error("a zero byte, this is not a text file")]
    Nul,
    #[error("a word that is not UTF-8")]
    NotUtf8,
    #[error("a word of more than {0} bytes")]
    WordTooLong(usize),
}

/// Reads tokens from a text. Columns count characters.
#[derive(Debug)]
pub(crate) struct Lexer<'a> {
    rest: &'a [u8],
    line: u32,
    column: u32,
    word_bytes_max: usize,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a [u8], word_bytes_max: usize) -> Self {
        // Editors of some systems put a byte order mark in front; it is not part of the first word.
        let rest = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        Self { rest, line: 1, column: 1, word_bytes_max }
    }

    /// Line and column of the next byte.
    pub(crate) fn position(&self) -> (u32, u32) {
        (self.line, self.column)
    }

    /// The next token.
    pub(crate) fn token(&mut self) -> Result<Token, LexError> {
        let (after_line_end, after_comment) = self.skip_separators();
        let (line, column) = self.position();
        let kind = match self.rest.first() {
            None => TokenKind::End,
            Some(b';') => self.punctuation(TokenKind::Semicolon),
            Some(b'{') => self.punctuation(TokenKind::Open),
            Some(b'}') => self.punctuation(TokenKind::Close),
            Some(&quote @ (b'"' | b'\'')) => self.quoted(quote)?,
            Some(_) => self.bare()?,
        };
        Ok(Token { kind, line, column, after_line_end, after_comment })
    }

    fn punctuation(&mut self, kind: TokenKind) -> TokenKind {
        self.advance(1);
        kind
    }

    /// Skips spaces, line ends and comments; tells whether there was a line end and a comment.
    fn skip_separators(&mut self) -> (bool, bool) {
        let (mut line_end, mut comment) = (false, false);
        while let Some(&byte) = self.rest.first() {
            match byte {
                b' ' | b'\t' => self.advance(1),
                b'\r' | b'\n' => {
                    line_end = true;
                    self.advance(1);
                }
                b'#' => {
                    comment = true;
                    let length = self.rest.iter().position(|b| matches!(b, b'\r' | b'\n'));
                    self.advance(length.unwrap_or(self.rest.len()));
                }
                _ => break,
            }
        }
        (line_end, comment)
    }

    fn quoted(&mut self, quote: u8) -> Result<TokenKind, LexError> {
        let inside = self.rest.get(1..).unwrap_or_default();
        let length = inside.iter().position(|&b| b == quote).ok_or(LexError::UnterminatedQuote)?;
        let (word, after) = inside.split_at(length);
        if !matches!(after.get(1), None | Some(b' ' | b'\t' | b'\r' | b'\n' | b';' | b'{')) {
            return Err(LexError::QuoteNotFollowed);
        }
        let word = self.word(word)?;
        self.advance(length + 2);
        Ok(word)
    }

    fn bare(&mut self) -> Result<TokenKind, LexError> {
        let end = self.rest.iter().position(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | b';' | b'{'));
        let (word, _) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        let kind = self.word(word)?;
        self.advance(word.len());
        Ok(kind)
    }

    fn word(&self, bytes: &[u8]) -> Result<TokenKind, LexError> {
        if bytes.contains(&0) {
            return Err(LexError::Nul);
        }
        if bytes.len() > self.word_bytes_max {
            return Err(LexError::WordTooLong(self.word_bytes_max));
        }
        let word = std::str::from_utf8(bytes).map_err(|_| LexError::NotUtf8)?;
        Ok(TokenKind::Word(word.to_owned()))
    }

    /// Moves over `count` bytes and keeps line and column. CR LF, CR and LF each end one line.
    fn advance(&mut self, count: usize) {
        let (passed, rest) = self.rest.split_at(count.min(self.rest.len()));
        let mut bytes = passed.iter().peekable();
        while let Some(&byte) = bytes.next() {
            let next = bytes.peek().copied().or_else(|| rest.first());
            match byte {
                b'\r' if next == Some(&b'\n') => {}
                b'\r' | b'\n' => {
                    self.line = self.line.saturating_add(1);
                    self.column = 1;
                }
                // The second and later bytes of a character.
                0x80..=0xbf => {}
                _ => self.column = self.column.saturating_add(1),
            }
        }
        self.rest = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str) -> Vec<(TokenKind, u32, u32)> {
        let mut lexer = Lexer::new(text.as_bytes(), 100);
        let mut found = Vec::new();
        loop {
            let token = lexer.token().unwrap();
            if token.kind == TokenKind::End {
                return found;
            }
            found.push((token.kind, token.line, token.column));
        }
    }

    fn word(text: &str) -> TokenKind {
        TokenKind::Word(text.into())
    }

    #[test]
    fn lines_and_columns_count_characters() {
        let text = "a b;\r\n\t\"é é\" x;\r# ü\n {";
        assert_eq!(
            places(text),
            [
                (word("a"), 1, 1),
                (word("b"), 1, 3),
                (TokenKind::Semicolon, 1, 4),
                (word("é é"), 2, 2),
                (word("x"), 2, 8),
                (TokenKind::Semicolon, 2, 9),
                (TokenKind::Open, 4, 2),
            ]
        );
    }

    #[test]
    fn unreadable_words_are_refused() {
        let error = |text: &[u8]| Lexer::new(text, 4).token().unwrap_err();
        assert_eq!(error(b"a\0b"), LexError::Nul);
        assert_eq!(error(b"\xff"), LexError::NotUtf8);
        assert_eq!(error(b"abcde"), LexError::WordTooLong(4));
        assert_eq!(error(b"'a"), LexError::UnterminatedQuote);
        assert_eq!(error(b"'a'}"), LexError::QuoteNotFollowed);
    }

    #[test]
    fn comments_may_hold_any_bytes_and_a_byte_order_mark_is_skipped() {
        let mut lexer = Lexer::new(b"\xef\xbb\xbf# \xff\xfe\nok;", 4);
        let token = lexer.token().unwrap();
        assert_eq!((token.kind, token.line, token.column), (word("ok"), 2, 1));
        assert!(token.after_comment && token.after_line_end);
    }
}
