//! Tokens to a compiled tree: recursive descent over the part of Ruby's grammar that expressions use.
//!
//! | file | part |
//! |---|---|
//! | this one | entry points, statements and their modifiers |
//! | `operators` | `and`/`or`/`not`, ternary, ranges, binary and unary operators |
//! | `assign` | assignments of every kind |
//! | `postfix` | calls, arguments, blocks, indexing |
//! | `primary`, `literal` | literals, variables, functions |
//! | `control` | `if`, `case`, `while`, `begin` |
//! | `names` | constants, functions and methods by name; what is refused and why |

mod assign;
mod control;
mod literal;
mod names;
mod operators;
mod postfix;
mod primary;
mod scope;

use super::ast::{Block, Given, Node, NodeKind, RegexpOptions, Slot};
use super::error::SyntaxError;
use super::lexer::{Lexer, Place};
use super::token::{Keyword, Op, Quote, Span, Tok, Token};
use crate::regexp::Regexp;
use scope::Scope;

/// Errors are boxed to keep the frames of the recursion small.
type Parse<T> = Result<T, Box<SyntaxError>>;

/// The names that an expression may use besides its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// `"#{...}"` in a configuration: `hostname`, `worker_id`, `use_nil`, `use_default`.
    Configuration,
    /// `${...}` in record_transformer: `record`, `tag`, `time`, ...
    Record,
    /// `${...}` in record_modifier: `record`, `tag`, `time`, `tag_parts` and what `prepare_value` has set.
    Modifier,
    /// `prepare_value` of record_modifier, which sets instance variables.
    Prepare,
}

/// What an expression is compiled to.
pub(crate) struct Parsed {
    pub(crate) body: Node,
    pub(crate) blocks: Vec<Block>,
    pub(crate) regexps: Vec<Regexp>,
    pub(crate) slots: u16,
    /// The caller's values that are named.
    pub(crate) given: Vec<Given>,
    /// Whether something is called that changes its receiver.
    pub(crate) mutates: bool,
    /// Whether something is called whose answer changes by itself: the clock, random numbers, files.
    pub(crate) impure: bool,
    /// Names that nobody defines: they are errors when they are evaluated.
    pub(crate) undefined: Vec<(String, Span)>,
    /// The instance variables that are set, and their places.
    pub(crate) instance_variables: Vec<(String, Slot)>,
}

/// Parentheses, blocks and branches inside one another; bounds the recursion of parser and evaluator.
const NESTING_MAX: usize = 64;
/// Pieces of one expression; bounds the depth of chains such as `a.b.c`.
const NODES_MAX: usize = 4096;

pub(crate) struct Parser<'s> {
    lexer: Lexer<'s>,
    peeked: Option<Token<'s>>,
    /// The node behind a [`Tok::Parsed`].
    parsed: Option<Node>,
    scope: Scope,
    names: Names,
    blocks: Vec<Option<Block>>,
    regexps: Vec<Regexp>,
    nesting: usize,
    nodes: usize,
    /// Blocks and loops around this place, in which `break` and `next` mean something.
    loops: usize,
    mutates: bool,
    impure: bool,
    undefined: Vec<(String, Span)>,
    /// Set while the condition of a `while`, `until` or `for` is read, whose `do` belongs to the loop.
    no_do: bool,
}

impl<'s> Parser<'s> {
    pub(crate) fn new(source: &'s str, names: Names) -> Self {
        Self {
            lexer: Lexer::new(source),
            peeked: None,
            parsed: None,
            scope: Scope::new(names::given(names)),
            names,
            blocks: Vec::new(),
            regexps: Vec::new(),
            nesting: 0,
            nodes: 0,
            loops: 0,
            mutates: false,
            impure: false,
            undefined: Vec::new(),
            no_do: false,
        }
    }

    /// With instance variables that have values already; their numbers are [`Given::Prepared`].
    pub(crate) fn prepared(mut self, names: &[String]) -> Self {
        self.scope.prepare(names);
        self
    }

    /// The whole text as statements.
    pub(crate) fn program(mut self) -> Parse<Parsed> {
        let body = self.statements()?;
        let token = self.peek()?;
        if token.kind != Tok::End {
            return Err(self.unexpected(token));
        }
        Ok(self.finish(body))
    }

    /// The whole text as the inside of a `%Q[...]`.
    pub(crate) fn template(mut self) -> Parse<Parsed> {
        let source = self.lexer.source();
        let parts = self.parts(Quote::TEMPLATE)?;
        let body = self.interpolated(parts, Span::new(0, source.len()))?;
        Ok(self.finish(body))
    }

    fn finish(self, body: Node) -> Parsed {
        Parsed {
            body,
            blocks: self.blocks.into_iter().flatten().collect(),
            regexps: self.regexps,
            slots: self.scope.slots(),
            given: self.scope.given().collect(),
            mutates: self.mutates,
            impure: self.impure,
            undefined: self.undefined,
            instance_variables: self.scope.instance_variables(),
        }
    }

    /// Statements up to a token that none of them can begin with.
    fn statements(&mut self) -> Parse<Node> {
        self.nested(|parser| {
            let start = parser.peek()?.span;
            let mut list = Vec::new();
            loop {
                while parser.accept_newline()? {}
                let token = parser.peek()?;
                if ends_statements(token.kind) {
                    break;
                }
                list.push(parser.statement()?);
                let token = parser.peek()?;
                if !matches!(token.kind, Tok::Newline) && !ends_statements(token.kind) {
                    return Err(parser.unexpected(token));
                }
            }
            let span = start.to(list.last().map_or(start, |node: &Node| node.span));
            Ok(match list.len() {
                0 => parser.node(NodeKind::Nil, span)?,
                1 => list.remove(0),
                _ => parser.node(NodeKind::Sequence(list.into()), span)?,
            })
        })
    }

    /// An expression with its modifiers: `x if y`, `x rescue y`, ...
    fn statement(&mut self) -> Parse<Node> {
        let mut node = self.expression_statement()?;
        loop {
            let token = self.peek()?;
            let Tok::Keyword(keyword) = token.kind else { return Ok(node) };
            node = match keyword {
                Keyword::If | Keyword::Unless => {
                    self.next()?;
                    let condition = self.expression_statement()?;
                    let span = node.span.to(condition.span);
                    let nothing = self.node(NodeKind::Nil, span)?;
                    self.branch(condition, node, nothing, keyword == Keyword::Unless, span)?
                }
                Keyword::While | Keyword::Until => {
                    self.next()?;
                    let body_first = matches!(node.kind, NodeKind::Begin(_));
                    let condition = self.expression_statement()?;
                    let span = node.span.to(condition.span);
                    self.node(
                        NodeKind::While {
                            condition: Box::new(condition),
                            body: Box::new(node),
                            negated: keyword == Keyword::Until,
                            body_first,
                        },
                        span,
                    )?
                }
                Keyword::Rescue => {
                    self.next()?;
                    let other = self.expression_statement()?;
                    self.rescue_modifier(node, other)?
                }
                _ => return Ok(node),
            };
        }
    }

    /// Runs `parse` one level deeper.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        if self.nesting >= NESTING_MAX {
            let span = self.peek()?.span;
            return Err(self.error(span, "this expression is nested too deeply"));
        }
        self.nesting += 1;
        let result = parse(self);
        self.nesting -= 1;
        result
    }

    fn node(&mut self, kind: NodeKind, span: Span) -> Parse<Node> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(self.error(span, "this expression is too long"));
        }
        Ok(Node { kind, span })
    }

    fn peek(&mut self) -> Parse<Token<'s>> {
        match self.peeked {
            Some(token) => Ok(token),
            None => {
                let token = self.lexer.next()?;
                self.peeked = Some(token);
                Ok(token)
            }
        }
    }

    fn next(&mut self) -> Parse<Token<'s>> {
        let token = self.peek()?;
        self.peeked = None;
        Ok(token)
    }

    /// Tells the lexer what the name that was just taken is; what stands behind it may read differently.
    fn place(&mut self, place: Place) {
        debug_assert!(self.peeked.is_none(), "a token was read too early");
        self.lexer.place = place;
    }

    fn at(&mut self, op: Op) -> Parse<bool> {
        Ok(self.peek()?.kind == Tok::Op(op))
    }

    fn at_keyword(&mut self, keyword: Keyword) -> Parse<bool> {
        Ok(self.peek()?.kind == Tok::Keyword(keyword))
    }

    fn accept(&mut self, op: Op) -> Parse<bool> {
        let found = self.at(op)?;
        if found {
            self.next()?;
        }
        Ok(found)
    }

    fn accept_keyword(&mut self, keyword: Keyword) -> Parse<bool> {
        let found = self.at_keyword(keyword)?;
        if found {
            self.next()?;
        }
        Ok(found)
    }

    fn accept_newline(&mut self) -> Parse<bool> {
        let found = self.peek()?.kind == Tok::Newline;
        if found {
            self.next()?;
        }
        Ok(found)
    }

    fn skip_newlines(&mut self) -> Parse<()> {
        while self.accept_newline()? {}
        Ok(())
    }

    /// Takes `op`, or says that it is missing.
    fn expect(&mut self, op: Op, text: &str) -> Parse<Span> {
        let token = self.next()?;
        if token.kind == Tok::Op(op) {
            return Ok(token.span);
        }
        Err(self.missing(token, text))
    }

    fn expect_keyword(&mut self, keyword: Keyword) -> Parse<Span> {
        self.skip_newlines()?;
        let token = self.next()?;
        if token.kind == Tok::Keyword(keyword) {
            return Ok(token.span);
        }
        Err(self.missing(token, keyword.text()))
    }

    fn missing(&self, token: Token<'s>, text: &str) -> Box<SyntaxError> {
        if token.kind == Tok::End {
            return self.error(token.span, format!("`{text}` is missing"));
        }
        let found = &self.lexer.source()[token.span.range()];
        self.error(token.span, format!("`{text}` is expected before `{}`", found.trim_end()))
    }

    fn unexpected(&self, token: Token<'s>) -> Box<SyntaxError> {
        match token.kind {
            Tok::End => self.error(token.span, "the expression ends too early"),
            Tok::Newline => self.error(token.span, "the expression ends too early on this line"),
            _ => {
                let found = &self.lexer.source()[token.span.range()];
                self.error(token.span, format!("unexpected `{found}`"))
            }
        }
    }

    fn error(&self, span: Span, message: impl Into<String>) -> Box<SyntaxError> {
        Box::new(self.lexer.error(span, message))
    }

    fn error_help(
        &self,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Box<SyntaxError> {
        Box::new(self.lexer.error(span, message).help(help))
    }

    fn regexp(&mut self, source: &str, options: RegexpOptions, span: Span) -> Parse<u32> {
        match crate::expr::value::compile_regexp(source, options) {
            Ok(regexp) => {
                self.regexps.push(regexp);
                Ok(self.regexps.len() as u32 - 1)
            }
            Err(error) => Err(self.error(span, format!("this regular expression cannot be used: {error}"))),
        }
    }
}

/// Whether no statement begins with it.
fn ends_statements(token: Tok<'_>) -> bool {
    match token {
        Tok::End => true,
        Tok::Op(op) => matches!(op, Op::BraceClose | Op::ParenClose | Op::BracketClose),
        Tok::Keyword(keyword) => matches!(
            keyword,
            Keyword::End
                | Keyword::Else
                | Keyword::Elsif
                | Keyword::When
                | Keyword::In
                | Keyword::Rescue
                | Keyword::Ensure
                | Keyword::Then
        ),
        _ => false,
    }
}
