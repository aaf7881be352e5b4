//! The inside of string-like literals: text, escapes, and where an interpolation begins.

use super::error::SyntaxError;
use super::lexer::{Lexer, Place};
use super::token::{Quote, Span};

/// A piece of a string-like literal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Text with its escapes resolved (in regular expressions they stay).
    Text(Vec<u8>),
    /// `#{` was read: statements and a `}` follow.
    Code,
    /// The closing delimiter was read.
    Close,
}

impl Lexer<'_> {
    /// The next piece of a literal that ends as `quote` says. `depth` counts the nested brackets and starts at 0.
    pub(crate) fn part(&mut self, quote: Quote, depth: &mut usize) -> Result<Part, SyntaxError> {
        let start = self.at;
        let mut text = Vec::new();
        loop {
            let rest = self.rest();
            let bytes = rest.as_bytes();
            let Some(&first) = bytes.first() else {
                if quote == Quote::TEMPLATE {
                    if *depth > 0 {
                        return Err(self.unbalanced("`]` for each of its `[`", 0));
                    }
                    return Ok(if text.is_empty() { Part::Close } else { Part::Text(text) });
                }
                return Err(
                    self.error(Span::new(start.saturating_sub(1), self.at), "this literal is not closed")
                );
            };
            if Some(first) == quote.close && *depth == 0 {
                if !text.is_empty() {
                    return Ok(Part::Text(text));
                }
                self.advance(1, Place::Operator);
                return Ok(Part::Close);
            }
            if quote.interpolates && rest.starts_with("#{") {
                if !text.is_empty() {
                    return Ok(Part::Text(text));
                }
                self.advance(2, Place::Value);
                return Ok(Part::Code);
            }
            if quote.interpolates && (rest.starts_with("#@") || rest.starts_with("#$")) && bytes.len() > 2 {
                let what = if bytes[1] == b'@' { "instance variables" } else { "global variables" };
                return Err(self
                    .error(Span::new(self.at, self.at + 2), format!("{what} in strings are not supported"))
                    .help("write `\\#` for the character `#`"));
            }
            match first {
                b'\\' => self.escape(quote, &mut text)?,
                _ => {
                    if Some(first) == quote.open {
                        *depth += 1;
                    } else if Some(first) == quote.close || quote == Quote::TEMPLATE && first == b']' {
                        *depth = depth.checked_sub(1).ok_or_else(|| self.unbalanced("`[` before it", 1))?;
                    }
                    let length = rest.chars().next().map_or(1, char::len_utf8);
                    text.extend_from_slice(&bytes[..length]);
                    self.at += length;
                }
            }
        }
    }

    /// Fluentd reads a template as `%Q[...]`, which a bracket too many or too few breaks.
    fn unbalanced(&self, missing: &str, length: usize) -> SyntaxError {
        self.error(Span::new(self.at, self.at + length), format!("this text has no {missing}"))
            .help("with enable_ruby, write `\\[` and `\\]` for brackets that stand alone")
    }

    /// The next word of a `%w[]`, or `None` behind the last. Words are separated by blanks; a backslash takes the
    /// next character as it is.
    pub(crate) fn word_of(
        &mut self,
        quote: Quote,
        depth: &mut usize,
    ) -> Result<Option<Vec<u8>>, SyntaxError> {
        let start = self.at;
        self.at += self.rest().len() - self.rest().trim_start().len();
        let mut word = Vec::new();
        loop {
            let rest = self.rest();
            let Some(c) = rest.chars().next() else {
                return Err(
                    self.error(Span::new(start.saturating_sub(1), self.at), "this list is not closed")
                );
            };
            let closes = quote.close.is_some_and(|close| char::from(close) == c);
            if closes && *depth == 0 {
                if word.is_empty() {
                    self.advance(1, Place::Operator);
                    return Ok(None);
                }
                return Ok(Some(word));
            }
            if c.is_whitespace() {
                return Ok(Some(word));
            }
            if quote.interpolates && rest.starts_with("#{") {
                return Err(self
                    .error(Span::new(self.at, self.at + 2), "interpolation in %W and %I is not supported"));
            }
            self.at += c.len_utf8();
            if c == '\\'
                && let Some(next) = self.rest().chars().next()
            {
                word.extend_from_slice(next.encode_utf8(&mut [0; 4]).as_bytes());
                self.at += next.len_utf8();
                continue;
            }
            if quote.open.is_some_and(|open| char::from(open) == c) {
                *depth += 1;
            } else if closes {
                *depth -= 1;
            }
            word.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    /// The letters behind a regular expression.
    pub(crate) fn regexp_flags(&mut self) -> &str {
        let length = self.rest().bytes().take_while(u8::is_ascii_alphabetic).count();
        let flags = &self.source[self.at..self.at + length];
        self.advance(length, Place::Operator);
        flags
    }

    /// Resolves the escape at the current backslash into `text`.
    fn escape(&mut self, quote: Quote, text: &mut Vec<u8>) -> Result<(), SyntaxError> {
        let at = self.at;
        let Some(c) = self.rest()[1..].chars().next() else {
            self.at += 1;
            text.push(b'\\');
            return Ok(());
        };
        self.at += 1 + c.len_utf8();
        if quote.regexp {
            // Ruby keeps escapes for the regexp compiler; only an escaped delimiter loses its backslash.
            if quote.close != Some(c as u32 as u8) || !c.is_ascii() || is_regexp_meta(c) {
                text.push(b'\\');
            }
            text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return Ok(());
        }
        if !quote.interpolates {
            let special = c == '\\' || [quote.open, quote.close].contains(&u8::try_from(c).ok());
            if !special {
                text.push(b'\\');
            }
            text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return Ok(());
        }
        match c {
            'n' => text.push(b'\n'),
            't' => text.push(b'\t'),
            'r' => text.push(b'\r'),
            's' => text.push(b' '),
            'f' => text.push(0x0c),
            'v' => text.push(0x0b),
            'b' => text.push(0x08),
            'a' => text.push(0x07),
            'e' => text.push(0x1b),
            '\n' => {}
            '0'..='7' => {
                self.at -= 1;
                let value = self.digits(3, 8).unwrap_or(0);
                text.push(value as u8);
            }
            'x' => match self.digits(2, 16) {
                Some(value) => text.push(value as u8),
                None => return Err(self.error(Span::new(at, self.at), "hexadecimal digits are missing")),
            },
            'u' => self.unicode_escape(at, text)?,
            'c' | 'C' | 'M' => {
                return Err(self.error(Span::new(at, self.at), "control and meta escapes are not supported"));
            }
            other => text.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        Ok(())
    }

    fn unicode_escape(&mut self, at: usize, text: &mut Vec<u8>) -> Result<(), SyntaxError> {
        let braced = self.rest().starts_with('{');
        if braced {
            self.at += 1;
        }
        loop {
            let digits = if braced {
                self.at += self.rest().len() - self.rest().trim_start_matches(' ').len();
                self.digits(6, 16)
            } else {
                let before = self.at;
                self.digits(4, 16).filter(|_| self.at == before + 4)
            };
            let Some(c) = digits.and_then(char::from_u32) else {
                return Err(self.error(Span::new(at, self.at), "invalid Unicode escape"));
            };
            text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            if !braced {
                return Ok(());
            }
            let rest = self.rest();
            if rest.trim_start_matches(' ').starts_with('}') {
                self.at += rest.len() - rest.trim_start_matches(' ').len() + 1;
                return Ok(());
            }
        }
    }

    fn digits(&mut self, most: usize, radix: u32) -> Option<u32> {
        let rest = self.rest();
        let length = rest.chars().take(most).take_while(|c| c.is_digit(radix)).count();
        let value = u32::from_str_radix(&rest[..length], radix).ok();
        self.at += length;
        value
    }
}

/// Delimiters that mean something to the regexp compiler and so keep their backslash.
fn is_regexp_meta(c: char) -> bool {
    matches!(c, '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>' | '|' | '.' | '*' | '+' | '?' | '^' | '$')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, quote: Quote) -> Result<Vec<u8>, SyntaxError> {
        let mut lexer = Lexer::new(text);
        let mut depth = 0;
        let mut out = Vec::new();
        loop {
            match lexer.part(quote, &mut depth)? {
                Part::Text(text) => out.extend(text),
                Part::Code => out.extend(b"<code>"),
                Part::Close => return Ok(out),
            }
        }
    }

    const DOUBLE: Quote = Quote { open: None, close: Some(b'"'), interpolates: true, regexp: false };
    const SINGLE: Quote = Quote { open: None, close: Some(b'\''), interpolates: false, regexp: false };
    const BRACKETS: Quote = Quote { open: Some(b'['), close: Some(b']'), interpolates: true, regexp: false };
    const REGEXP: Quote = Quote { open: None, close: Some(b'/'), interpolates: true, regexp: true };

    #[test]
    fn escapes_follow_the_kind_of_quotes() {
        assert_eq!(
            read(r#"a\n\t\x41\u00e9\u{1F600 41}\d\"" "#, DOUBLE).unwrap(),
            "a\n\tA\u{e9}\u{1F600}Ad\"".as_bytes()
        );
        assert_eq!(read(r"a\n\'\\' ", SINGLE).unwrap(), br"a\n'\");
        assert_eq!(read(r"\d\/\.[x]/i", REGEXP).unwrap(), br"\d/\.[x]");
        assert_eq!(read(r"a[b[c]]d]", BRACKETS).unwrap(), b"a[b[c]]d");
    }

    #[test]
    fn an_open_literal_is_an_error() {
        let error = read("abc", DOUBLE).unwrap_err();
        assert_eq!(error.message, "this literal is not closed");
        assert!(read(r#"\u12""#, DOUBLE).is_err());
    }

    #[test]
    fn words_are_split_at_blanks() {
        let mut lexer = Lexer::new(r"a  b\ c [d] ]");
        let (quote, mut depth) = (Quote { interpolates: false, ..BRACKETS }, 0);
        let mut words = Vec::new();
        while let Some(word) = lexer.word_of(quote, &mut depth).unwrap() {
            words.push(String::from_utf8(word).unwrap());
        }
        assert_eq!(words, ["a", "b c", "[d]"]);
    }
}
