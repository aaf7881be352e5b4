//! ClickHouse's tokens, as far as it takes to know where a string, a comment or a statement ends.
//!
//! It follows ClickHouse's own lexer (`src/Parsers/Lexer.cpp`), because what one of the two takes for a string and the other
//! for SQL could smuggle a clause past the store.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword, a name or a number.
    Word,
    /// `'text'`, a heredoc, or a hexadecimal or binary string.
    Text,
    /// A name in double quotes or backticks.
    Quoted,
    /// One byte of anything else.
    Symbol(u8),
    /// A string or comment that does not end.
    Unfinished,
}

/// A token and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The tokens of a text, white space and comments left out.
pub(crate) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// What comes next, without taking it.
    pub(crate) fn peek(&self) -> Option<Token> {
        Lexer { text: self.text, at: self.at }.next()
    }

    /// Whether the next token is this keyword; takes it if so.
    pub(crate) fn take_word(&mut self, word: &str) -> bool {
        let found = self.peek().filter(|token| self.is_word(*token, word));
        if let Some(token) = found {
            self.at = token.end;
        }
        found.is_some()
    }

    /// Whether the next token is this symbol; takes it if so.
    pub(crate) fn take_symbol(&mut self, symbol: u8) -> bool {
        let found = self.peek().filter(|token| token.kind == Kind::Symbol(symbol));
        if let Some(token) = found {
            self.at = token.end;
        }
        found.is_some()
    }

    /// Takes what stands in parentheses, which the next token must open; `false` if they are not closed.
    pub(crate) fn take_parentheses(&mut self) -> bool {
        let mut depth = 0usize;
        for token in self.by_ref() {
            match token.kind {
                Kind::Symbol(b'(' | b'[' | b'{') => depth += 1,
                Kind::Symbol(b')' | b']' | b'}') => depth = depth.saturating_sub(1),
                Kind::Unfinished => return false,
                _ => {}
            }
            if depth == 0 {
                return true;
            }
        }
        false
    }

    /// Whether a token is this keyword, in whatever case.
    pub(crate) fn is_word(&self, token: Token, word: &str) -> bool {
        token.kind == Kind::Word && self.text[token.start..token.end].eq_ignore_ascii_case(word.as_bytes())
    }

    /// The bytes of a token.
    pub(crate) fn bytes(&self, token: Token) -> &'a [u8] {
        &self.text[token.start..token.end]
    }

    /// The end of what was taken so far.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    fn rest(&self) -> &'a [u8] {
        &self.text[self.at..]
    }

    /// Skips white space and comments; `false` if a comment does not end.
    fn skip(&mut self) -> bool {
        loop {
            let rest = self.rest();
            if rest.first().is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)) {
                self.at += 1;
            } else if let Some(size) = unicode_space(rest) {
                self.at += size;
            } else if rest.starts_with(b"--") || rest.starts_with(b"# ") || rest.starts_with(b"#!") {
                self.at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            } else if rest.starts_with(b"/*") {
                let Some(end) = find(&rest[2..], b"*/") else {
                    return false;
                };
                self.at += end + 4;
            } else {
                return true;
            }
        }
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let closed = self.skip();
        let start = self.at;
        let rest = self.rest();
        let first = *rest.first()?;
        let (kind, size) = if !closed {
            (Kind::Unfinished, None)
        } else {
            match first {
                b'\'' => (Kind::Text, quoted(rest, b'\'')),
                b'"' | b'`' => (Kind::Quoted, quoted(rest, first)),
                b'x' | b'X' | b'b' | b'B' if rest.get(1) == Some(&b'\'') => {
                    (Kind::Text, rest[2..].iter().position(|byte| *byte == b'\'').map(|end| end + 3))
                }
                b'$' => match heredoc(rest) {
                    Some(size) => (Kind::Text, Some(size)),
                    None => (Kind::Word, Some(word(rest))),
                },
                _ if rest.starts_with("‘".as_bytes()) => (Kind::Text, until(rest, "’")),
                _ if rest.starts_with("“".as_bytes()) => (Kind::Quoted, until(rest, "”")),
                b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => (Kind::Word, Some(word(rest))),
                other => (Kind::Symbol(other), Some(1)),
            }
        };
        let (kind, size) = match size {
            Some(size) => (kind, size),
            None => (Kind::Unfinished, rest.len()),
        };
        self.at += size;
        Some(Token { kind, start, end: start + size })
    }
}

fn word(text: &[u8]) -> usize {
    let inside = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$');
    text.iter().position(|byte| !inside(byte)).unwrap_or(text.len()).max(1)
}

/// The size of a quoted text: a backslash takes the next byte with it, a doubled quote is one of the text.
fn quoted(text: &[u8], quote: u8) -> Option<usize> {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            byte if byte == quote && text.get(at + 1) == Some(&quote) => at += 2,
            byte if byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

/// `$tag$ ... $tag$`
fn heredoc(text: &[u8]) -> Option<usize> {
    let tag = text[1..].iter().position(|byte| *byte == b'$')? + 2;
    let end = find(&text[tag..], &text[..tag])?;
    Some(tag + end + tag)
}

fn until(text: &[u8], end: &str) -> Option<usize> {
    find(text, end.as_bytes()).map(|at| at + end.len())
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// White space beyond ASCII that ClickHouse skips, as it comes out of text processors.
fn unicode_space(text: &[u8]) -> Option<usize> {
    const SPACES: [&str; 13] = [
        "\u{85}", "\u{a0}", "\u{180e}", "\u{2000}", "\u{200b}", "\u{200c}", "\u{200d}", "\u{2028}",
        "\u{2029}", "\u{202f}", "\u{205f}", "\u{2060}", "\u{3000}",
    ];
    if text.first().is_none_or(u8::is_ascii) {
        return None;
    }
    // U+2000 .. U+200D
    if text.starts_with(&[0xe2, 0x80]) && text.get(2).is_some_and(|byte| (0x80..=0x8d).contains(byte)) {
        return Some(3);
    }
    if text.starts_with("\u{feff}".as_bytes()) {
        return Some(3);
    }
    SPACES.iter().find(|space| text.starts_with(space.as_bytes())).map(|space| space.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<&str> {
        Lexer::new(text.as_bytes()).map(|token| &text[token.start..token.end]).collect()
    }

    #[test]
    fn texts_and_comments_hide_what_is_in_them() {
        assert_eq!(tokens("SELECT 'a;\\'b' -- ; x\n, \"q;\" /* ; */"), ["SELECT", "'a;\\'b'", ",", "\"q;\""]);
        assert_eq!(tokens("a''b `x``;`"), ["a", "''", "b", "`x``;`"]);
        assert_eq!(tokens("$$a;$$ $x$ ; $$ $x$ a$b"), ["$$a;$$", "$x$ ; $$ $x$", "a$b"]);
        assert_eq!(tokens("x'\\' ; # c\n #!d\n#e"), ["x'\\'", ";", "#", "e"]);
        assert_eq!(tokens("‘a;’ “b”\u{a0}c"), ["‘a;’", "“b”", "c"]);
    }

    #[test]
    fn what_does_not_end_is_unfinished() {
        for text in ["'a", "/* a", "\"a", "x'a", "‘a"] {
            assert_eq!(
                Lexer::new(text.as_bytes()).last().map(|token| token.kind),
                Some(Kind::Unfinished),
                "{text}"
            );
        }
        assert_eq!(Lexer::new(b"'a\\").last().map(|token| token.kind), Some(Kind::Unfinished));
    }
}
