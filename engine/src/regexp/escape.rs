//! What a backslash means, inside and outside of brackets.

use super::class;
use super::error::RegexpError;
use super::parse::Parser;
use super::text::stand_in;
use regex_syntax::hir::ClassUnicode;

/// A character or a set of characters.
pub(super) enum Member {
    Char(char),
    Set(ClassUnicode),
}

impl Parser<'_> {
    /// Reads an escape that stands for characters; the backslash and `escape` have been read.
    pub(super) fn character_escape(&mut self, escape: char) -> Result<Member, RegexpError> {
        Ok(match escape {
            'w' | 'W' | 'd' | 'D' | 's' | 'S' | 'h' | 'H' => {
                let mut set = class::shorthand(escape.to_ascii_lowercase(), self.flags.unicode);
                if escape.is_ascii_uppercase() {
                    set.negate();
                }
                Member::Set(set)
            }
            'p' | 'P' => self.property(escape == 'P')?,
            't' => Member::Char('\t'),
            'v' => Member::Char('\x0b'),
            'n' => Member::Char('\n'),
            'r' => Member::Char('\r'),
            'f' => Member::Char('\x0c'),
            'a' => Member::Char('\x07'),
            'e' => Member::Char('\x1b'),
            'x' => self.hex()?,
            'u' => self.unicode()?,
            'c' => self.control()?,
            'C' if self.eat("-") => self.control()?,
            'C' => return Err(self.error("too short control sequence")),
            'M' if self.eat("-") => self.meta()?,
            'M' => return Err(self.error("too short meta sequence")),
            '0'..='7' => self.octal(escape),
            other => Member::Char(other),
        })
    }

    /// `\nnn`; its first digit has been read.
    fn octal(&mut self, first: char) -> Member {
        let mut value = first.to_digit(8).unwrap_or(0);
        for _ in 0..2 {
            match self.peek().and_then(|c| c.to_digit(8)) {
                Some(digit) => {
                    value = value * 8 + digit;
                    self.next();
                }
                None => break,
            }
        }
        self.byte((value & 0xff) as u8)
    }

    /// `\xH`, `\xHH`, or several that together are one character in UTF-8.
    fn hex(&mut self) -> Result<Member, RegexpError> {
        match self.hex_digits(2) {
            Some(byte) => Ok(self.byte(byte as u8)),
            None => Err(self.error("invalid hex escape")),
        }
    }

    /// The character that begins with this byte, if the rest of it follows as `\xHH`; else the byte itself.
    fn byte(&mut self, first: u8) -> Member {
        if first.is_ascii() {
            return Member::Char(char::from(first));
        }
        let mut bytes = vec![first];
        let mark = self.place();
        while bytes.len() < 4 && self.eat(r"\x") {
            match self.hex_digits(2) {
                Some(byte @ 0x80..=0xbf) => bytes.push(byte as u8),
                _ => break,
            }
            if let Some(char) = std::str::from_utf8(&bytes).ok().and_then(|text| text.chars().next()) {
                return Member::Char(char);
            }
        }
        self.back_to(mark);
        Member::Char(stand_in(first))
    }

    /// `\uHHHH`, `\u{H...}`; of several characters in braces all but the first are left to be read.
    fn unicode(&mut self) -> Result<Member, RegexpError> {
        let code = if self.eat("{") {
            self.skip_blanks();
            let code = self.hex_digits(6);
            self.skip_blanks();
            if !self.eat("}") {
                // `\u{41 42}` is read as `\u{41}\u{42}`.
                if self.peek().is_none_or(|c| !c.is_ascii_hexdigit()) {
                    return Err(self.error("invalid Unicode escape"));
                }
                self.pending_unicode = true;
            }
            code
        } else {
            let mark = self.place();
            let code = self.hex_digits(4);
            (self.place() == mark + 4).then_some(code).flatten()
        };
        code.and_then(char::from_u32).map(Member::Char).ok_or_else(|| self.error("invalid Unicode escape"))
    }

    /// The next character of a `\u{..}` with several.
    pub(super) fn pending_unicode(&mut self) -> Result<Member, RegexpError> {
        self.pending_unicode = false;
        let code = self.hex_digits(6).and_then(char::from_u32);
        self.skip_blanks();
        if !self.eat("}") {
            if self.peek().is_none_or(|c| !c.is_ascii_hexdigit()) {
                return Err(self.error("invalid Unicode escape"));
            }
            self.pending_unicode = true;
        }
        code.map(Member::Char).ok_or_else(|| self.error("invalid Unicode escape"))
    }

    fn control(&mut self) -> Result<Member, RegexpError> {
        match self.next() {
            Some('?') => Ok(Member::Char('\x7f')),
            Some(c) if c.is_ascii() => Ok(Member::Char(char::from(c as u8 & 0x1f))),
            _ => Err(self.error("too short control sequence")),
        }
    }

    fn meta(&mut self) -> Result<Member, RegexpError> {
        match self.next() {
            Some(c) if c.is_ascii() && c != '\\' => Ok(self.byte(c as u8 | 0x80)),
            _ => Err(self.error("too short meta sequence")),
        }
    }

    /// `\p{name}`, `\p{^name}`, `\P{name}`
    fn property(&mut self, negate: bool) -> Result<Member, RegexpError> {
        if !self.eat("{") {
            return Ok(Member::Char(if negate { 'P' } else { 'p' }));
        }
        let negate = self.eat("^") != negate;
        let Some(name) = self.until("}") else {
            return Err(self.error("invalid character property name {p}"));
        };
        match class::property(name) {
            Some(mut set) => {
                if negate {
                    set.negate();
                }
                Ok(Member::Set(set))
            }
            None => Err(self.error(format!("invalid character property name {{{name}}}"))),
        }
    }

    fn hex_digits(&mut self, digits_max: usize) -> Option<u32> {
        let mut value = None;
        for _ in 0..digits_max {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(16)) else { break };
            value = Some(value.unwrap_or(0) * 16 + digit);
            self.next();
        }
        value
    }

    fn skip_blanks(&mut self) {
        while self.eat(" ") {}
    }
}
