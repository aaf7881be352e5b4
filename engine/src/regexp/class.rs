//! Sets of characters: brackets, POSIX brackets, properties and shorthands.

use super::error::RegexpError;
use super::escape::Member;
use super::parse::Parser;
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

/// How deep brackets may lie in brackets.
const DEPTH_MAX: usize = 50;

impl Parser<'_> {
    /// Reads a bracket expression; its `[` has been read.
    pub(super) fn bracket(&mut self, depth: usize) -> Result<ClassUnicode, RegexpError> {
        if depth > DEPTH_MAX {
            return Err(self.error("too deep nest level in character class"));
        }
        let negate = self.eat("^");
        let mut whole: Option<ClassUnicode> = None;
        let mut part = ClassUnicode::empty();
        if self.peek() == Some(']') {
            // `[]a]` begins with a literal bracket; `[]` alone is a mistake.
            self.next();
            if !self.rest().contains(']') {
                return Err(self.error("empty char-class"));
            }
            self.after_member(']', &mut part)?;
        }
        loop {
            if self.eat("&&") {
                whole = Some(intersection(whole, &part));
                part = ClassUnicode::empty();
                continue;
            }
            let Some(member) = self.bracket_member(depth)? else { break };
            match member {
                Member::Set(set) => part.union(&set),
                Member::Char(char) => self.after_member(char, &mut part)?,
            }
        }
        let mut set = match whole {
            Some(_) => intersection(whole, &part),
            None => part,
        };
        if self.flags.ignore_case {
            set.case_fold_simple();
        }
        if negate {
            set.negate();
        }
        Ok(set)
    }

    /// The next member; none at the closing bracket.
    fn bracket_member(&mut self, depth: usize) -> Result<Option<Member>, RegexpError> {
        if self.pending_unicode {
            return self.pending_unicode().map(Some);
        }
        Ok(Some(match self.next() {
            None => return Err(self.error("premature end of char-class")),
            Some(']') => return Ok(None),
            Some('[') => match self.posix()? {
                Some(set) => Member::Set(set),
                None => Member::Set(self.bracket(depth + 1)?),
            },
            Some('\\') => match self.next() {
                None => return Err(self.error("end pattern at escape")),
                Some('b') => Member::Char('\x08'),
                Some(escape) => self.character_escape(escape)?,
            },
            Some(char) => Member::Char(char),
        }))
    }

    /// Adds `start`, or the range that begins with it.
    fn after_member(&mut self, start: char, part: &mut ClassUnicode) -> Result<(), RegexpError> {
        let is_range = self.peek() == Some('-') && !self.pending_unicode && {
            let behind = &self.rest()[1..];
            // A hyphen at the end of the set or of a part of it is a literal.
            !behind.starts_with(']') && !behind.starts_with("&&") && !behind.is_empty()
        };
        if !is_range {
            part.push(ClassUnicodeRange::new(start, start));
            return Ok(());
        }
        self.next();
        if self.peek() == Some('[') {
            // `[a-[b]]`: the hyphen is a literal.
            for char in [start, '-'] {
                part.push(ClassUnicodeRange::new(char, char));
            }
            return Ok(());
        }
        match self.bracket_member(0)? {
            Some(Member::Char(end)) if start <= end => {
                part.push(ClassUnicodeRange::new(start, end));
                // Ruby reads the hyphen of `[a-c-e]` as a literal.
                if self.peek() == Some('-') {
                    self.next();
                    part.push(ClassUnicodeRange::new('-', '-'));
                }
                Ok(())
            }
            Some(Member::Char(_)) => Err(self.error("empty range in char class")),
            _ => Err(self.error("char-class value at end of range")),
        }
    }

    /// `[:alpha:]`, `[:^alpha:]`; the `[` has been read. None if this is a bracket in brackets.
    fn posix(&mut self) -> Result<Option<ClassUnicode>, RegexpError> {
        let Some(inside) = self.rest().strip_prefix(':') else { return Ok(None) };
        let Some(end) = inside.find(":]") else { return Ok(None) };
        let name = &inside[..end];
        let (negate, name) = match name.strip_prefix('^') {
            Some(name) => (true, name),
            None => (false, name),
        };
        if name.len() > 20 || !name.bytes().all(|b| b.is_ascii_alphabetic()) {
            return Ok(None);
        }
        match posix_set(name, self.flags.ascii) {
            Some(mut set) => {
                self.skip(end + 3);
                if negate {
                    set.negate();
                }
                Ok(Some(set))
            }
            None => Err(self.error("invalid POSIX bracket type")),
        }
    }
}

fn intersection(whole: Option<ClassUnicode>, part: &ClassUnicode) -> ClassUnicode {
    match whole {
        Some(mut whole) => {
            whole.intersect(part);
            whole
        }
        None => part.clone(),
    }
}

/// `\w`, `\d`, `\s`, `\h`
pub(super) fn shorthand(letter: char, unicode: bool) -> ClassUnicode {
    let ranges: &[(char, char)] = match (letter, unicode) {
        ('h', _) => &[('0', '9'), ('a', 'f'), ('A', 'F')],
        ('d', false) => &[('0', '9')],
        ('s', false) => &[('\t', '\r'), (' ', ' ')],
        ('w', false) => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        (letter, _) => {
            let pattern = ["\\", letter.encode_utf8(&mut [0; 4])].concat();
            return unicode_class(&pattern).unwrap_or_else(ClassUnicode::empty);
        }
    };
    set(ranges)
}

/// A set of ranges.
pub(super) fn set(ranges: &[(char, char)]) -> ClassUnicode {
    ClassUnicode::new(ranges.iter().map(|&(start, end)| ClassUnicodeRange::new(start, end)))
}

fn posix_set(name: &str, ascii: bool) -> Option<ClassUnicode> {
    let pattern = match (name, ascii) {
        ("ascii", _) => r"[\x00-\x7f]",
        ("xdigit", _) => "[0-9A-Fa-f]",
        ("alnum", false) => r"[\p{Alphabetic}\p{M}\p{Nd}]",
        ("alpha", false) => r"[\p{Alphabetic}\p{M}]",
        ("blank", false) => r"[\p{Zs}\t]",
        ("cntrl", false) => r"\p{Cc}",
        ("digit", false) => r"\p{Nd}",
        ("graph", false) => r"[^\p{White_Space}\p{Cc}\p{Cn}\p{Cs}]",
        ("lower", false) => r"\p{Lowercase}",
        ("print", false) => r"[[^\p{White_Space}\p{Cc}\p{Cn}\p{Cs}]\p{Zs}]",
        ("punct", false) => r"[\p{P}$+<=>^`|~]",
        ("space", false) => r"\p{White_Space}",
        ("upper", false) => r"\p{Uppercase}",
        ("word", false) => r"[\p{L}\p{M}\p{N}\p{Pc}]",
        ("alnum", true) => "[0-9A-Za-z]",
        ("alpha", true) => "[A-Za-z]",
        ("blank", true) => r"[\t ]",
        ("cntrl", true) => r"[\x00-\x1f\x7f]",
        ("digit", true) => "[0-9]",
        ("graph", true) => "[!-~]",
        ("lower", true) => "[a-z]",
        ("print", true) => "[ -~]",
        ("punct", true) => r"[!-/:-@\[-`{-~]",
        ("space", true) => r"[\t-\r ]",
        ("upper", true) => "[A-Z]",
        ("word", true) => "[0-9A-Z_a-z]",
        _ => return None,
    };
    unicode_class(pattern)
}

/// The set of a Unicode property (general category, script, binary property) or of a POSIX name.
pub(super) fn property(name: &str) -> Option<ClassUnicode> {
    let plain: String = name.chars().filter(|c| !matches!(c, ' ' | '_' | '-')).collect();
    let plain = plain.to_ascii_lowercase();
    if let Some(set) = posix_set(&plain, false) {
        return Some(set);
    }
    match plain.as_str() {
        "any" => Some(set(&[('\0', char::MAX)])),
        "assigned" => unicode_class(r"\P{Cn}"),
        _ if !plain.is_empty() && plain.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            unicode_class(&format!(r"\p{{{plain}}}"))
        }
        _ => None,
    }
}

fn unicode_class(pattern: &str) -> Option<ClassUnicode> {
    match regex_syntax::parse(pattern).ok()?.into_kind() {
        HirKind::Class(Class::Unicode(set)) => Some(set),
        HirKind::Class(Class::Bytes(set)) => set.to_unicode_class(),
        HirKind::Literal(literal) => {
            let char = std::str::from_utf8(&literal.0).ok()?.chars().next()?;
            Some(set(&[(char, char)]))
        }
        _ => None,
    }
}
