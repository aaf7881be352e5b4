//! Text to tokens, on demand: what `/`, `%`, `?`, `-` or `[` means in Ruby depends on what stands before it, and
//! after a name on whether the parser knows that name as a variable. So the parser asks for one token at a time
//! and tells the lexer what kind of place it is in.

use super::error::SyntaxError;
use super::token::{Keyword, Op, Quote, Span, Tok, Token};

/// The place that the next token stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Where a value begins: after an operator, a comma, an opening bracket.
    Value,
    /// Behind a value: operators and ends.
    Operator,
    /// Behind a method name, whose arguments may follow without parentheses.
    Argument,
    /// Behind a dot: reserved words and operators are method names.
    Name,
}

/// Reads tokens from an expression.
pub(crate) struct Lexer<'s> {
    pub(super) source: &'s str,
    pub(super) at: usize,
    /// Set after each token; the parser corrects it after names.
    pub(crate) place: Place,
}

/// Operators, longest first.
const OPERATORS: &[(&str, Op)] = &[
    ("**=", Op::PowerAssign),
    ("<=>", Op::Compare),
    ("===", Op::CaseEqual),
    ("...", Op::RangeExclusive),
    ("<<=", Op::ShiftLeftAssign),
    (">>=", Op::ShiftRightAssign),
    ("&&=", Op::AndAssign),
    ("||=", Op::OrAssign),
    ("**", Op::Power),
    ("==", Op::Equal),
    ("!=", Op::NotEqual),
    ("=~", Op::Match),
    ("!~", Op::NotMatch),
    ("<=", Op::LessEqual),
    (">=", Op::GreaterEqual),
    ("&&", Op::AndAnd),
    ("||", Op::OrOr),
    ("<<", Op::ShiftLeft),
    (">>", Op::ShiftRight),
    ("+=", Op::PlusAssign),
    ("-=", Op::MinusAssign),
    ("*=", Op::StarAssign),
    ("/=", Op::SlashAssign),
    ("%=", Op::PercentAssign),
    ("&=", Op::AmpAssign),
    ("|=", Op::PipeAssign),
    ("^=", Op::CaretAssign),
    ("::", Op::Scope),
    ("&.", Op::SafeDot),
    ("..", Op::Range),
    ("=>", Op::Arrow),
    ("->", Op::Lambda),
    ("+", Op::Plus),
    ("-", Op::Minus),
    ("*", Op::Star),
    ("/", Op::Slash),
    ("%", Op::Percent),
    ("<", Op::Less),
    (">", Op::Greater),
    ("!", Op::Not),
    ("~", Op::Tilde),
    ("&", Op::Amp),
    ("|", Op::Pipe),
    ("^", Op::Caret),
    ("=", Op::Assign),
    ("?", Op::Question),
    (":", Op::Colon),
    (",", Op::Comma),
    (".", Op::Dot),
    ("(", Op::ParenOpen),
    (")", Op::ParenClose),
    ("[", Op::BracketOpen),
    ("]", Op::BracketClose),
    ("{", Op::BraceOpen),
    ("}", Op::BraceClose),
];

/// Operators that are method names behind a dot or a colon, longest first.
const OPERATOR_NAMES: &[&str] = &[
    "[]=", "<=>", "===", "**", "==", "!=", "=~", "!~", "<=", ">=", "<<", ">>", "[]", "+@", "-@", "+", "-",
    "*", "/", "%", "<", ">", "!", "~", "&", "|", "^",
];

impl<'s> Lexer<'s> {
    pub(crate) fn new(source: &'s str) -> Self {
        Self { source, at: 0, place: Place::Value }
    }

    pub(crate) fn source(&self) -> &'s str {
        self.source
    }

    /// The offset behind the last token.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Goes back to a place that was read before, or on to one that was read by other means.
    pub(crate) fn seek(&mut self, at: usize, place: Place) {
        self.at = at;
        self.place = place;
    }

    /// What is left.
    pub(crate) fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    pub(crate) fn error(&self, span: Span, message: impl Into<String>) -> SyntaxError {
        SyntaxError::new(self.source, span.range(), message)
    }

    /// The next token.
    pub(crate) fn next(&mut self) -> Result<Token<'s>, SyntaxError> {
        let before = self.at;
        if let Some(newline) = self.skip_blanks() {
            self.place = Place::Value;
            return Ok(Token { kind: Tok::Newline, span: newline, spaced: false });
        }
        let start = self.at;
        let spaced = start > before;
        let kind = self.kind(spaced)?;
        Ok(Token { kind, span: Span::new(start, self.at), spaced })
    }

    /// Skips blanks and comments, and line ends where a value is awaited or the next line goes on with `.name`.
    /// Answers a line end that ends a statement.
    fn skip_blanks(&mut self) -> Option<Span> {
        loop {
            let rest = self.rest().as_bytes();
            match rest.first() {
                Some(b' ' | b'\t' | b'\r' | 0x0b | 0x0c) => self.at += 1,
                Some(b'\\') if rest.get(1) == Some(&b'\n') => self.at += 2,
                Some(b'\\') if rest.starts_with(b"\\\r\n") => self.at += 3,
                Some(b'#') => self.at += self.rest().find('\n').unwrap_or(rest.len()),
                Some(b'\n') if matches!(self.place, Place::Value | Place::Name) || self.goes_on() => {
                    self.at += 1
                }
                Some(b'\n') => {
                    self.at += 1;
                    return Some(Span::new(self.at - 1, self.at));
                }
                _ => return None,
            }
        }
    }

    /// Whether the text behind this line end begins with `.name` or `&.name`.
    fn goes_on(&self) -> bool {
        let next = self.rest().trim_start();
        (next.starts_with('.') && !next.starts_with("..")) || next.starts_with("&.")
    }

    fn kind(&mut self, spaced: bool) -> Result<Tok<'s>, SyntaxError> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(Tok::End) };
        if first == ';' {
            self.advance(1, Place::Value);
            return Ok(Tok::Newline);
        }
        if first == '_' || first.is_alphabetic() || !first.is_ascii() {
            return Ok(self.word());
        }
        if first.is_ascii_digit() && self.place != Place::Name {
            return self.number();
        }
        if self.place == Place::Name {
            return self.operator_name();
        }
        if self.begins_value(spaced)
            && let Some(kind) = self.literal()?
        {
            return Ok(kind);
        }
        self.operator()
    }

    /// Whether an ambiguous character begins a value here.
    fn begins_value(&self, spaced: bool) -> bool {
        let mut chars = self.rest().chars();
        if matches!(chars.next(), Some('"' | '\'' | '`' | '@' | '$')) {
            return true;
        }
        match self.place {
            Place::Value => true,
            Place::Operator | Place::Name => false,
            Place::Argument => spaced && chars.next().is_some_and(|c| !c.is_whitespace() && c != '='),
        }
    }

    fn word(&mut self) -> Tok<'s> {
        let rest = self.rest();
        let mut end =
            rest.find(|c: char| !(c == '_' || c.is_alphanumeric() || !c.is_ascii())).unwrap_or(rest.len());
        let behind = &rest.as_bytes()[end..];
        // `name?` and `name!`, but not the first half of `name != x` or `name ?x : y`.
        if matches!(behind.first(), Some(b'?' | b'!'))
            && (behind.get(1) != Some(&b'=') || behind.get(2) == Some(&b'='))
            && !(behind[0] == b'?' && behind.get(1) == Some(&b':') && behind.get(2) == Some(&b':'))
        {
            end += 1;
        }
        let text = &rest[..end];
        let named = self.place == Place::Name;
        self.at += end;
        if !named && let Some(keyword) = Keyword::parse(text) {
            self.place = match keyword {
                Keyword::End | Keyword::Self_ | Keyword::True | Keyword::False | Keyword::Nil => {
                    Place::Operator
                }
                Keyword::Break | Keyword::Next | Keyword::Return | Keyword::Redo | Keyword::Retry => {
                    Place::Argument
                }
                Keyword::Defined | Keyword::Super | Keyword::Yield => Place::Argument,
                _ => Place::Value,
            };
            return Tok::Keyword(keyword);
        }
        self.place = Place::Argument;
        if text.chars().next().is_some_and(char::is_uppercase) && !text.ends_with(['?', '!']) {
            self.place = if named { Place::Argument } else { Place::Operator };
            return Tok::Const(text);
        }
        Tok::Ident(text)
    }

    fn number(&mut self) -> Result<Tok<'s>, SyntaxError> {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let digits = |from: usize, ok: fn(&u8) -> bool| {
            from + bytes[from..].iter().take_while(|b| ok(b) || **b == b'_').count()
        };
        let mut float = false;
        let mut end = match bytes.get(1) {
            Some(b'x' | b'X') if bytes[0] == b'0' => digits(2, u8::is_ascii_hexdigit),
            Some(b'b' | b'B' | b'o' | b'O' | b'd' | b'D') if bytes[0] == b'0' => {
                digits(2, u8::is_ascii_digit)
            }
            _ => digits(0, u8::is_ascii_digit),
        };
        if !rest.starts_with("0x") {
            if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
                float = true;
                end = digits(end + 1, u8::is_ascii_digit);
            }
            if matches!(bytes.get(end), Some(b'e' | b'E')) {
                let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
                if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
                    float = true;
                    end = digits(end + 1 + sign, u8::is_ascii_digit);
                }
            }
        }
        if let Some(suffix) = rest[end..].chars().next().filter(|c| c.is_alphanumeric()) {
            let span = Span::new(self.at, self.at + end + suffix.len_utf8());
            return Err(self.error(
                span,
                format!("`{}` is no number that is supported", &rest[..end + suffix.len_utf8()]),
            ));
        }
        self.advance(end, Place::Operator);
        Ok(if float { Tok::Float(&rest[..end]) } else { Tok::Int(&rest[..end]) })
    }

    /// A literal that begins with punctuation, if one does here.
    fn literal(&mut self) -> Result<Option<Tok<'s>>, SyntaxError> {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let quote =
            |close: u8, interpolates| Quote { open: None, close: Some(close), interpolates, regexp: false };
        let kind = match bytes[0] {
            b'"' => {
                self.at += 1;
                Tok::String(quote(b'"', true))
            }
            b'\'' => {
                self.at += 1;
                Tok::String(quote(b'\'', false))
            }
            b'`' => {
                let span = Span::new(self.at, self.at + 1);
                return Err(self.error(span, "running a command with backquotes is not supported"));
            }
            b'/' => {
                self.at += 1;
                Tok::Regexp(Quote { regexp: true, ..quote(b'/', true) })
            }
            b'?' => {
                let mut chars = rest[1..].chars();
                match (chars.next(), chars.next()) {
                    (Some(c), next)
                        if !c.is_whitespace()
                            && c != '\\'
                            && !next.is_some_and(|n| n == '_' || n.is_alphanumeric()) =>
                    {
                        let text = &rest[1..1 + c.len_utf8()];
                        self.advance(1 + c.len_utf8(), Place::Operator);
                        return Ok(Some(Tok::Char(text)));
                    }
                    _ => return Ok(None),
                }
            }
            b'%' => return self.percent_literal(),
            b'<' if rest.starts_with("<<~") || rest.starts_with("<<-") || rest.starts_with("<<\"") => {
                let span = Span::new(self.at, self.at + 2);
                return Err(self.error(span, "heredocs are not supported").help("write the text in quotes"));
            }
            _ => return self.symbol_or_variable(),
        };
        self.place = Place::Operator;
        Ok(Some(kind))
    }

    fn symbol_or_variable(&mut self) -> Result<Option<Tok<'s>>, SyntaxError> {
        let rest = self.rest();
        let name_length = |text: &str| {
            text.find(|c: char| !(c == '_' || c.is_alphanumeric() || !c.is_ascii())).unwrap_or(text.len())
        };
        match rest.as_bytes()[0] {
            b':' if rest.starts_with(":\"") || rest.starts_with(":'") => {
                let close = rest.as_bytes()[1];
                self.advance(2, Place::Operator);
                let quote =
                    Quote { open: None, close: Some(close), interpolates: close == b'"', regexp: false };
                Ok(Some(Tok::SymbolString(quote)))
            }
            b':' if !rest.starts_with("::") => {
                let name = &rest[1..];
                let mut length = name_length(name);
                if length > 0 && !name.as_bytes()[0].is_ascii_digit() {
                    let behind = &name.as_bytes()[length..];
                    if matches!(behind.first(), Some(b'?' | b'!')) && behind.get(1) != Some(&b'=')
                        || behind.first() == Some(&b'=') && !matches!(behind.get(1), Some(b'=' | b'~' | b'>'))
                    {
                        length += 1;
                    }
                } else {
                    length = OPERATOR_NAMES.iter().find(|op| name.starts_with(**op)).map_or(0, |op| op.len());
                }
                if length == 0 {
                    return Ok(None);
                }
                self.advance(1 + length, Place::Operator);
                Ok(Some(Tok::Symbol(&name[..length])))
            }
            b'$' => {
                let name = &rest[1..];
                let length = match name.chars().next() {
                    Some(c) if c.is_ascii_digit() => name.bytes().take_while(u8::is_ascii_digit).count(),
                    Some(c) if c == '_' || c.is_alphabetic() => name_length(name),
                    Some(c) => c.len_utf8(),
                    None => 0,
                };
                self.advance(1 + length, Place::Operator);
                Ok(Some(Tok::Gvar(&name[..length])))
            }
            b'@' => {
                let length = rest.bytes().take_while(|b| *b == b'@').count();
                let length = length + name_length(&rest[length..]);
                self.advance(length, Place::Operator);
                Ok(Some(Tok::Ivar(&rest[..length])))
            }
            _ => Ok(None),
        }
    }

    fn percent_literal(&mut self) -> Result<Option<Tok<'s>>, SyntaxError> {
        let bytes = self.rest().as_bytes();
        let (letter, skip) = match bytes.get(1) {
            Some(c @ (b'w' | b'W' | b'i' | b'I' | b'q' | b'Q' | b'r' | b's' | b'x')) => (*c, 2),
            _ => (b'Q', 1),
        };
        let Some(&open) = bytes.get(skip).filter(|b| b.is_ascii_punctuation()) else {
            return Ok(None);
        };
        let (nests, close) = match open {
            b'(' => (true, b')'),
            b'[' => (true, b']'),
            b'{' => (true, b'}'),
            b'<' => (true, b'>'),
            other => (false, other),
        };
        let quote = Quote {
            open: nests.then_some(open),
            close: Some(close),
            interpolates: !matches!(letter, b'w' | b'i' | b'q' | b's'),
            regexp: letter == b'r',
        };
        let span = Span::new(self.at, self.at + 2);
        self.advance(skip + 1, Place::Operator);
        Ok(Some(match letter {
            b'w' | b'W' => Tok::Words(quote),
            b'i' | b'I' => Tok::Symbols(quote),
            b'q' | b'Q' => Tok::String(quote),
            b's' => Tok::SymbolString(quote),
            b'r' => Tok::Regexp(quote),
            _ => return Err(self.error(span, "running a command with %x is not supported")),
        }))
    }

    fn operator_name(&mut self) -> Result<Tok<'s>, SyntaxError> {
        let rest = self.rest();
        if rest.starts_with('(') {
            // `proc.(x)` is `proc.call(x)`; the parenthesis is read again as the argument list.
            self.place = Place::Argument;
            return Ok(Tok::Ident("call"));
        }
        match OPERATOR_NAMES.iter().find(|op| rest.starts_with(**op)) {
            Some(op) => {
                self.advance(op.len(), Place::Argument);
                Ok(Tok::Ident(&rest[..op.len()]))
            }
            None => Err(self.unexpected()),
        }
    }

    fn operator(&mut self) -> Result<Tok<'s>, SyntaxError> {
        let rest = self.rest();
        let Some((text, op)) = OPERATORS.iter().find(|(text, _)| rest.starts_with(text)) else {
            return Err(self.unexpected());
        };
        let place = match op {
            Op::ParenClose | Op::BracketClose | Op::BraceClose => Place::Operator,
            Op::Dot | Op::SafeDot => Place::Name,
            _ => Place::Value,
        };
        self.advance(text.len(), place);
        Ok(Tok::Op(*op))
    }

    pub(super) fn advance(&mut self, bytes: usize, place: Place) {
        self.at += bytes;
        self.place = place;
    }

    fn unexpected(&self) -> SyntaxError {
        match self.rest().chars().next() {
            Some(c) => self.error(Span::new(self.at, self.at + c.len_utf8()), format!("unexpected `{c}`")),
            None => self.error(Span::new(self.at, self.at), "unexpected end of the expression"),
        }
    }
}
