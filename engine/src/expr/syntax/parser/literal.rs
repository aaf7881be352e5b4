//! Numbers, strings, symbols, regular expressions, arrays and hashes.

use super::{Parse, Parser};
use crate::expr::syntax::ast::{HashPart, Node, NodeKind, RegexpOptions};
use crate::expr::syntax::lexer::Place;
use crate::expr::syntax::quoted::Part;
use crate::expr::syntax::token::{Op, Quote, Span, Tok, Token};

/// A piece of a string: text, or code whose value is put in.
pub(super) type Pieces = Vec<Node>;

impl<'s> Parser<'s> {
    pub(super) fn literal(&mut self, token: Token<'s>) -> Parse<Node> {
        let span = token.span;
        match token.kind {
            Tok::Int(_) | Tok::Float(_) => self.number_node(token, false, span),
            Tok::String(quote) => self.string(quote, span),
            Tok::Char(text) => self.node(NodeKind::Str(text.as_bytes().into()), span),
            Tok::Symbol(name) => self.node(NodeKind::Symbol(name.into()), span),
            Tok::SymbolString(quote) => {
                let parts = self.parts(quote)?;
                let span = self.to_here(span);
                self.symbol_of(parts, span)
            }
            Tok::Regexp(quote) => self.regexp_literal(quote, span),
            Tok::Words(quote) => self.words(quote, span, false),
            Tok::Symbols(quote) => self.words(quote, span, true),
            _ => Err(self.unexpected(token)),
        }
    }

    pub(super) fn number_node(&mut self, token: Token<'s>, negative: bool, span: Span) -> Parse<Node> {
        let sign = if negative { "-" } else { "" };
        let kind = match token.kind {
            Tok::Float(text) => {
                NodeKind::Float(format!("{sign}{}", text.replace('_', "")).parse().unwrap_or(f64::NAN))
            }
            Tok::Int(text) => {
                let digits = text.replace('_', "").to_ascii_lowercase();
                let (radix, digits) = match digits.as_bytes() {
                    [b'0', b'x', ..] => (16, &digits[2..]),
                    [b'0', b'b', ..] => (2, &digits[2..]),
                    [b'0', b'o', ..] => (8, &digits[2..]),
                    [b'0', b'd', ..] => (10, &digits[2..]),
                    [b'0', _, ..] => (8, &digits[1..]),
                    _ => (10, digits.as_str()),
                };
                match i64::from_str_radix(&format!("{sign}{digits}"), radix) {
                    Ok(value) => NodeKind::Int(value),
                    Err(_) if radix == 10 && digits.len() > 18 => {
                        NodeKind::BigInt(format!("{sign}{digits}").into_boxed_str())
                    }
                    Err(_) => return Err(self.error(span, "this number is not supported")),
                }
            }
            _ => return Err(self.unexpected(token)),
        };
        self.node(kind, span)
    }

    /// `"..."`, and the strings that touch it: `"a" "b"` is `"ab"`.
    fn string(&mut self, quote: Quote, span: Span) -> Parse<Node> {
        let parts = self.parts(quote)?;
        self.string_of(parts, span)
    }

    /// The string that begins with these pieces.
    fn string_of(&mut self, mut parts: Pieces, span: Span) -> Parse<Node> {
        while !self.at_label_colon()
            && let Tok::String(quote) = self.peek()?.kind
        {
            self.next()?;
            parts.extend(self.parts(quote)?);
        }
        let span = self.to_here(span);
        self.interpolated(parts, span)
    }

    /// Whether a `:` that makes the text before it a key stands right here.
    fn at_label_colon(&self) -> bool {
        self.peeked.is_none() && {
            let rest = self.lexer.rest();
            rest.starts_with(':') && !rest.starts_with("::")
        }
    }

    /// From `start` to the end of the last token.
    fn to_here(&self, start: Span) -> Span {
        let end = self.peeked.map_or(self.lexer.position(), |token| token.span.start as usize);
        Span::new(start.start as usize, end)
    }

    /// The inside of a literal whose opening was read, up to its end.
    pub(super) fn parts(&mut self, quote: Quote) -> Parse<Pieces> {
        let mut pieces: Pieces = Vec::new();
        let mut depth = 0;
        loop {
            let start = self.lexer.position();
            let part = self.lexer.part(quote, &mut depth)?;
            let span = Span::new(start, self.lexer.position());
            match part {
                Part::Text(text) => pieces.push(self.node(NodeKind::Str(text.into()), span)?),
                Part::Close => return Ok(pieces),
                Part::Code => {
                    let outer_do = std::mem::replace(&mut self.no_do, false);
                    let code = self.statements()?;
                    self.no_do = outer_do;
                    self.expect(Op::BraceClose, "}")?;
                    // A literal alone would pass for text that was written.
                    let code = match code.kind {
                        NodeKind::Str(_) => code,
                        _ => self.node(NodeKind::Interpolated(Box::new([code])), span)?,
                    };
                    pieces.push(code);
                }
            }
        }
    }

    /// Pieces as one node: text alone is a plain string.
    pub(super) fn interpolated(&mut self, pieces: Pieces, span: Span) -> Parse<Node> {
        let plain = pieces.iter().all(|piece| matches!(piece.kind, NodeKind::Str(_)));
        if !plain {
            return self.node(NodeKind::Interpolated(pieces.into()), span);
        }
        let mut text = Vec::new();
        for piece in pieces {
            if let NodeKind::Str(bytes) = piece.kind {
                text.extend_from_slice(&bytes);
            }
        }
        self.node(NodeKind::Str(text.into()), span)
    }

    fn symbol_of(&mut self, pieces: Pieces, span: Span) -> Parse<Node> {
        let node = self.interpolated(pieces, span)?;
        let kind = match node.kind {
            NodeKind::Str(text) => NodeKind::Symbol(String::from_utf8_lossy(&text).into()),
            NodeKind::Interpolated(pieces) => NodeKind::InterpolatedSymbol(pieces),
            other => other,
        };
        self.node(kind, span)
    }

    fn regexp_literal(&mut self, quote: Quote, span: Span) -> Parse<Node> {
        let parts = self.parts(quote)?;
        let mut options = RegexpOptions::default();
        for flag in self.lexer.regexp_flags().to_owned().chars() {
            match flag {
                'i' => options.ignore_case = true,
                'x' => options.extended = true,
                'm' => options.multiline = true,
                'o' | 'u' | 'n' => {}
                other => return Err(self.error(span, format!("unknown regular expression option `{other}`"))),
            }
        }
        let span = self.to_here(span);
        let node = self.interpolated(parts, span)?;
        let kind = match node.kind {
            NodeKind::Str(source) => {
                let source = String::from_utf8_lossy(&source).into_owned();
                NodeKind::Regexp(self.regexp(&source, options, span)?)
            }
            NodeKind::Interpolated(pieces) => NodeKind::InterpolatedRegexp(pieces, options),
            other => other,
        };
        self.node(kind, span)
    }

    fn words(&mut self, quote: Quote, span: Span, symbols: bool) -> Parse<Node> {
        let mut list = Vec::new();
        let mut depth = 0;
        while let Some(word) = self.lexer.word_of(quote, &mut depth)? {
            let kind = if symbols {
                NodeKind::Symbol(String::from_utf8_lossy(&word).into())
            } else {
                NodeKind::Str(word.into())
            };
            list.push(self.node(kind, span)?);
        }
        let span = self.to_here(span);
        self.node(NodeKind::Array(list.into()), span)
    }

    /// `[a, *b, c => d]`
    pub(super) fn array(&mut self, open: Span) -> Parse<Node> {
        let (list, block) = self.argument_list(Op::BracketClose)?;
        if block.is_some() {
            return Err(self.error(open, "`&` is not supported in an array"));
        }
        let close = self.expect(Op::BracketClose, "]")?;
        self.node(NodeKind::Array(list.into()), open.to(close))
    }

    /// `{a => b, c: d, "e": f, **g}`
    pub(super) fn hash(&mut self, open: Span) -> Parse<Node> {
        let parts = self.nested(|parser| {
            let mut parts = Vec::new();
            loop {
                parser.skip_newlines()?;
                if parser.at(Op::BraceClose)? {
                    break;
                }
                match parser.hash_part()? {
                    Some(part) => parts.push(part),
                    None => {
                        let key = parser.expression()?;
                        parser.skip_newlines()?;
                        parser.expect(Op::Arrow, "=>")?;
                        parser.skip_newlines()?;
                        let value = parser.expression()?;
                        parts.push(HashPart::Pair(key, value));
                    }
                }
                parser.skip_newlines()?;
                if !parser.accept(Op::Comma)? {
                    break;
                }
            }
            Ok(parts)
        })?;
        let close = self.expect(Op::BraceClose, "}")?;
        self.node(NodeKind::Hash(parts.into()), open.to(close))
    }

    /// `name: value`, `"name": value` or `**value`, if one begins here.
    pub(super) fn hash_part(&mut self) -> Parse<Option<HashPart>> {
        let token = self.peek()?;
        match token.kind {
            Tok::Op(Op::Power) => {
                self.next()?;
                let value = self.nested(|parser| parser.ternary())?;
                Ok(Some(HashPart::Splat(value)))
            }
            Tok::Ident(_) | Tok::Const(_) | Tok::Keyword(_) if self.label_follows() => {
                self.next()?;
                let name = &self.lexer.source()[token.span.range()];
                let key = self.node(NodeKind::Symbol(name.into()), token.span)?;
                Ok(Some(HashPart::Pair(key, self.label_value(name, token.span)?)))
            }
            Tok::String(quote) => self.quoted_label(quote, token.span),
            _ => Ok(None),
        }
    }

    /// Whether the name that was peeked is directly followed by a single colon.
    fn label_follows(&self) -> bool {
        let rest = self.lexer.rest();
        rest.starts_with(':') && !rest.starts_with("::")
    }

    /// The value behind `name:`; without one it is the variable of that name.
    fn label_value(&mut self, name: &str, span: Span) -> Parse<Node> {
        self.lexer.advance(1, Place::Value);
        self.skip_newlines()?;
        let token = self.peek()?;
        if matches!(token.kind, Tok::Op(Op::Comma | Op::BraceClose | Op::ParenClose)) {
            return match self.local(name, span)? {
                Some(node) => Ok(node),
                None => Err(self.error(span, format!("the value of `{name}:` is missing"))),
            };
        }
        self.nested(Self::expression)
    }

    /// `"name": value`. A text that turns out to be no key is handed on as the beginning of an expression.
    fn quoted_label(&mut self, quote: Quote, span: Span) -> Parse<Option<HashPart>> {
        self.next()?;
        let parts = self.parts(quote)?;
        if !self.at_label_colon() {
            let node = self.string_of(parts, span)?;
            self.parsed = Some(node);
            let after = self.peeked.take();
            if let Some(token) = after {
                self.lexer.seek(token.span.start as usize, Place::Operator);
            }
            self.peeked = Some(Token { kind: Tok::Parsed, span, spaced: false });
            return Ok(None);
        }
        let span = self.to_here(span);
        let key = self.symbol_of(parts, span)?;
        self.lexer.advance(1, Place::Value);
        self.skip_newlines()?;
        let value = self.nested(Self::expression)?;
        Ok(Some(HashPart::Pair(key, value)))
    }
}
