//! `if`, `unless`, `case`, `while`, `until`, `for`, `begin`.

use super::{Parse, Parser};
use crate::expr::methods;
use crate::expr::syntax::ast::{
    Begin, Block, BlockArg, BlockId, Call, Node, NodeKind, Params, Pattern, Rescue,
};
use crate::expr::syntax::lexer::Place;
use crate::expr::syntax::token::{Keyword, Op, Span, Tok};

impl<'s> Parser<'s> {
    pub(super) fn if_expression(&mut self, start: Span, unless: bool) -> Parse<Node> {
        let condition = self.condition()?;
        self.then()?;
        let then = self.statements()?;
        let otherwise = self.otherwise()?;
        let end = self.expect_keyword(Keyword::End)?;
        self.branch(condition, then, otherwise, unless, start.to(end))
    }

    /// What follows the first branch, up to (and without) `end`.
    fn otherwise(&mut self) -> Parse<Node> {
        let token = self.peek()?;
        match token.kind {
            Tok::Keyword(Keyword::Elsif) => {
                self.next()?;
                let condition = self.condition()?;
                self.then()?;
                let then = self.statements()?;
                let otherwise = self.nested(Self::otherwise)?;
                self.branch(condition, then, otherwise, false, token.span)
            }
            Tok::Keyword(Keyword::Else) => {
                self.next()?;
                self.statements()
            }
            _ => self.node(NodeKind::Nil, token.span),
        }
    }

    fn condition(&mut self) -> Parse<Node> {
        self.nested(Self::expression_statement)
    }

    /// `then`, `;` or a line end.
    fn then(&mut self) -> Parse<()> {
        let newline = self.accept_newline()?;
        self.skip_newlines()?;
        if !self.accept_keyword(Keyword::Then)? && !newline {
            let token = self.peek()?;
            return Err(self.missing(token, "then"));
        }
        Ok(())
    }

    pub(super) fn case(&mut self, start: Span) -> Parse<Node> {
        let has_subject = !matches!(self.peek()?.kind, Tok::Newline | Tok::Keyword(Keyword::When));
        let subject = if has_subject { Some(Box::new(self.condition()?)) } else { None };
        self.skip_newlines()?;
        let mut whens = Vec::new();
        while self.accept_keyword(Keyword::When)? {
            let mut tests = vec![self.element()?];
            while self.accept(Op::Comma)? {
                self.skip_newlines()?;
                tests.push(self.element()?);
            }
            self.then()?;
            whens.push((tests.into_boxed_slice(), self.statements()?));
        }
        let token = self.peek()?;
        if token.kind == Tok::Keyword(Keyword::In) {
            return Err(self.error(token.span, "pattern matching with `in` is not supported"));
        }
        let otherwise = match self.accept_keyword(Keyword::Else)? {
            true => self.statements()?,
            false => self.node(NodeKind::Nil, token.span)?,
        };
        let end = self.expect_keyword(Keyword::End)?;
        let kind = NodeKind::Case { subject, whens: whens.into(), otherwise: Box::new(otherwise) };
        self.node(kind, start.to(end))
    }

    pub(super) fn begin(&mut self, start: Span) -> Parse<Node> {
        let body = self.body_with_rescue()?;
        let end = self.expect_keyword(Keyword::End)?;
        let span = start.to(end);
        // `begin ... end while` must be told apart from `(...) while`.
        match body.kind {
            NodeKind::Begin(_) => Ok(Node { span, ..body }),
            _ => {
                let begin = Begin { body, rescues: Box::new([]), otherwise: None, ensure: None };
                self.node(NodeKind::Begin(Box::new(begin)), span)
            }
        }
    }

    /// Statements with `rescue`, `else` and `ensure` clauses, up to (and without) `end`.
    pub(super) fn body_with_rescue(&mut self) -> Parse<Node> {
        let body = self.statements()?;
        let mut rescues = Vec::new();
        while self.accept_keyword(Keyword::Rescue)? {
            rescues.push(self.rescue_clause()?);
        }
        let otherwise = if self.accept_keyword(Keyword::Else)? { Some(self.statements()?) } else { None };
        let ensure = if self.accept_keyword(Keyword::Ensure)? { Some(self.statements()?) } else { None };
        if rescues.is_empty() && otherwise.is_none() && ensure.is_none() {
            return Ok(body);
        }
        let span = body.span;
        let begin = Begin { body, rescues: rescues.into(), otherwise, ensure };
        self.node(NodeKind::Begin(Box::new(begin)), span)
    }

    /// `rescue A, B => e` and its statements.
    fn rescue_clause(&mut self) -> Parse<Rescue> {
        let mut classes = Vec::new();
        // A line end behind `rescue` means something, although a value could follow.
        self.place(Place::Argument);
        while !matches!(self.peek()?.kind, Tok::Newline | Tok::Keyword(Keyword::Then) | Tok::Op(Op::Arrow)) {
            classes.push(self.nested(Self::ternary)?);
            if !self.accept(Op::Comma)? {
                break;
            }
        }
        let mut variable = None;
        if self.accept(Op::Arrow)? {
            let token = self.next()?;
            let Tok::Ident(name) = token.kind else { return Err(self.unexpected(token)) };
            variable = Some(self.variable(name, token.span)?);
            self.place(Place::Operator);
        }
        self.then()?;
        Ok(Rescue { classes: classes.into(), variable, body: self.statements()? })
    }

    pub(super) fn while_loop(&mut self, start: Span, negated: bool) -> Parse<Node> {
        let outer = std::mem::replace(&mut self.no_do, true);
        let condition = self.condition()?;
        self.no_do = outer;
        let body = self.loop_body()?;
        let end = self.expect_keyword(Keyword::End)?;
        let kind = NodeKind::While {
            condition: Box::new(condition),
            body: Box::new(body),
            negated,
            body_first: false,
        };
        self.node(kind, start.to(end))
    }

    fn loop_body(&mut self) -> Parse<Node> {
        if !self.accept_keyword(Keyword::Do)? && !self.accept_newline()? {
            let token = self.peek()?;
            return Err(self.missing(token, "do"));
        }
        self.loops += 1;
        let body = self.statements()?;
        self.loops -= 1;
        Ok(body)
    }

    /// `for a in list`: `list.each` with a block whose parameters are variables of the place around it.
    pub(super) fn for_loop(&mut self, start: Span) -> Parse<Node> {
        let mut required: Vec<Pattern> = vec![self.pattern(false)?];
        while self.accept(Op::Comma)? {
            required.push(self.pattern(false)?);
        }
        self.expect_keyword(Keyword::In)?;
        let outer = std::mem::replace(&mut self.no_do, true);
        let list = self.condition()?;
        self.no_do = outer;
        let body = self.loop_body()?;
        let end = self.expect_keyword(Keyword::End)?;
        let span = start.to(end);
        let Some(method) = methods::row("each") else {
            return Err(self.error(span, "`for` is not supported"));
        };
        let id = self.blocks.len() as BlockId;
        let params = Params { required: required.into(), ..Params::default() };
        self.blocks.push(Some(Block { params, body, slots: (0, 0), lambda: false }));
        let block = Some(BlockArg::Code(id));
        let call =
            Call { receiver: Some(list), method, args: Box::new([]), safe: false, block, splat: false };
        self.node(NodeKind::Call(Box::new(call)), span)
    }
}
