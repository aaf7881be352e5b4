//! What an expression begins with: variables, functions, constants, parentheses, lambdas.

use super::assign::update_operator;
use super::postfix::Arguments;
use super::scope::Name;
use super::{Names, Parse, Parser};
use crate::expr::methods::{self, Kind};
use crate::expr::syntax::ast::{Call, MatchPart, Node, NodeKind, Sentinel};
use crate::expr::syntax::lexer::Place;
use crate::expr::syntax::token::{Keyword, Op, Span, Tok, Token};

impl<'s> Parser<'s> {
    pub(super) fn primary(&mut self) -> Parse<Node> {
        let token = self.next()?;
        let span = token.span;
        match token.kind {
            Tok::Ident(name) => self.identifier(name, span),
            Tok::Const(name) => self.constant(name, span),
            Tok::Ivar(name) => self.instance_variable(name, span),
            Tok::Gvar(name) => self.global(name, span),
            Tok::Keyword(keyword) => self.keyword(keyword, span),
            Tok::Op(Op::ParenOpen) => self.parentheses(span),
            Tok::Op(Op::BracketOpen) => self.array(span),
            Tok::Op(Op::BraceOpen) => self.hash(span),
            Tok::Op(Op::Lambda) => self.lambda(span),
            Tok::Parsed => match self.parsed.take() {
                Some(node) => Ok(node),
                None => Err(self.unexpected(token)),
            },
            Tok::Op(Op::Scope) => {
                let token = self.next()?;
                match token.kind {
                    Tok::Const(name) => self.constant(name, token.span),
                    _ => Err(self.unexpected(token)),
                }
            }
            _ => self.literal(token),
        }
    }

    fn identifier(&mut self, name: &'s str, span: Span) -> Parse<Node> {
        let called = self.lexer.rest().starts_with('(');
        if !called && let Some(node) = self.local(name, span)? {
            self.place(Place::Operator);
            return Ok(node);
        }
        if let Some(sentinel) = self.sentinel(name) {
            self.place(Place::Operator);
            return self.node(NodeKind::Use(sentinel), span);
        }
        match name {
            "lambda" | "proc" => return self.lambda_call(name, span),
            "__method__" => return self.node(NodeKind::Nil, span),
            "require" | "require_relative" => return self.require(name, span),
            _ => {}
        }
        let Some(row) = methods::row(name).filter(|row| row.has(Kind::FUNCTION)) else {
            return self.unknown_name(name, span);
        };
        self.note_effects(row);
        let args = self.call_arguments(true)?;
        self.check_function(name, &args, span)?;
        self.function_call(row, args, span)
    }

    pub(super) fn function_call(
        &mut self,
        method: &'static methods::Row,
        mut args: Arguments,
        span: Span,
    ) -> Parse<Node> {
        if args.block.is_none() {
            args.block = self.block(false)?;
        }
        let span = span.to(args.end.unwrap_or(span));
        let splat = args.has_splat();
        let Arguments { list, block, .. } = args;
        let call = Call { receiver: None, method, args: list.into(), safe: false, block, splat };
        self.node(NodeKind::Call(Box::new(call)), span)
    }

    fn sentinel(&self, name: &str) -> Option<Sentinel> {
        match name {
            _ if self.names != Names::Configuration => None,
            "use_nil" => Some(Sentinel::Nil),
            "use_default" => Some(Sentinel::Default),
            _ => None,
        }
    }

    fn global(&mut self, name: &str, span: Span) -> Parse<Node> {
        let part = match name {
            "~" => MatchPart::Data,
            "&" => MatchPart::Group(0),
            "`" => MatchPart::Before,
            "'" => MatchPart::After,
            "+" => MatchPart::LastGroup,
            _ => match name.parse() {
                Ok(group) if group > 0 => MatchPart::Group(group),
                _ => {
                    return Err(self.error(span, format!("the global variable `${name}` is not supported")));
                }
            },
        };
        self.node(NodeKind::LastMatch(part), span)
    }

    /// `@name`: nil unless it is set, which only prepare_value may do: an expression is evaluated for one event and keeps
    /// nothing for the next.
    fn instance_variable(&mut self, name: &str, span: Span) -> Parse<Node> {
        let kind = match self.scope.find(name) {
            Some(Name::Local(slot)) => NodeKind::Local(slot),
            Some(Name::Given(given, slot)) => NodeKind::Given(given, slot),
            Some(Name::OutOfReach) => return Err(self.out_of_reach(name, span)),
            None => NodeKind::Unset,
        };
        let assigned =
            matches!(self.peek()?.kind, Tok::Op(op) if op == Op::Assign || update_operator(op).is_some());
        match kind {
            NodeKind::Unset if assigned && self.names == Names::Prepare => {
                // The assignment that follows takes it off again.
                self.undefined.push((name.to_owned(), span));
                self.node(NodeKind::Undefined(name.into()), span)
            }
            _ if assigned && self.names != Names::Prepare => Err(self.error_help(
                span,
                format!("`{name}` cannot be set here"),
                "an expression keeps nothing for the next event; set it in prepare_value of record_modifier",
            )),
            kind => self.node(kind, span),
        }
    }

    fn keyword(&mut self, keyword: Keyword, span: Span) -> Parse<Node> {
        match keyword {
            Keyword::Nil => self.node(NodeKind::Nil, span),
            Keyword::True => self.node(NodeKind::True, span),
            Keyword::False => self.node(NodeKind::False, span),
            Keyword::Self_ => self.node(NodeKind::SelfObject, span),
            Keyword::If | Keyword::Unless => self.if_expression(span, keyword == Keyword::Unless),
            Keyword::Case => self.case(span),
            Keyword::Begin => self.begin(span),
            Keyword::While | Keyword::Until => self.while_loop(span, keyword == Keyword::Until),
            Keyword::For => self.for_loop(span),
            Keyword::Break | Keyword::Next | Keyword::Return => self.jump(keyword, span),
            Keyword::Not => {
                let inner = self.nested(Self::expression)?;
                let span = span.to(inner.span);
                self.node(NodeKind::Not(Box::new(inner)), span)
            }
            Keyword::End | Keyword::Else | Keyword::Then | Keyword::Do | Keyword::And | Keyword::Or => {
                self.unexpected_keyword(keyword, span)
            }
            _ => Err(self.error_help(
                span,
                format!("`{}` is not supported in expressions", keyword.text()),
                "expressions compute a value; they cannot define anything",
            )),
        }
    }

    fn unexpected_keyword(&self, keyword: Keyword, span: Span) -> Parse<Node> {
        Err(self.unexpected(Token { kind: Tok::Keyword(keyword), span, spaced: false }))
    }

    fn jump(&mut self, keyword: Keyword, span: Span) -> Parse<Node> {
        let has_value = !matches!(
            self.peek()?.kind,
            Tok::End
                | Tok::Newline
                | Tok::Op(Op::BraceClose | Op::ParenClose | Op::BracketClose | Op::Colon)
                | Tok::Keyword(Keyword::If | Keyword::Unless | Keyword::End)
        );
        let value = if has_value { self.nested(Self::expression)? } else { self.node(NodeKind::Nil, span)? };
        if keyword != Keyword::Return && self.loops == 0 {
            return Err(self.error(span, format!("`{}` outside of a block or loop", keyword.text())));
        }
        let span = span.to(value.span);
        let value = Box::new(value);
        let kind = match keyword {
            Keyword::Break => NodeKind::Break(value),
            Keyword::Next => NodeKind::Next(value),
            _ => NodeKind::Return(value),
        };
        self.node(kind, span)
    }

    fn parentheses(&mut self, open: Span) -> Parse<Node> {
        let outer_do = std::mem::replace(&mut self.no_do, false);
        let node = self.statements()?;
        self.no_do = outer_do;
        let close = self.expect(Op::ParenClose, ")")?;
        Ok(Node { span: open.to(close), ..node })
    }

    /// `->(x) { ... }`
    fn lambda(&mut self, span: Span) -> Parse<Node> {
        self.scope.enter(true);
        let params = if self.accept(Op::ParenOpen)? {
            let params = self.params(Op::ParenClose)?;
            self.expect(Op::ParenClose, ")")?;
            params
        } else {
            self.params(Op::BraceOpen)?
        };
        self.lambda_body(span, true, Some(params))
    }

    /// `lambda { |x| ... }`, `proc { |x| ... }`
    fn lambda_call(&mut self, name: &str, span: Span) -> Parse<Node> {
        self.place(Place::Operator);
        self.lambda_body(span, name == "lambda", None)
    }

    fn lambda_body(
        &mut self,
        span: Span,
        lambda: bool,
        params: Option<crate::expr::syntax::ast::Params>,
    ) -> Parse<Node> {
        let open = self.next()?;
        let close = match open.kind {
            Tok::Op(Op::BraceOpen) => None,
            Tok::Keyword(Keyword::Do) => Some(Keyword::End),
            _ => return Err(self.missing(open, "{")),
        };
        let id = self.nested(|parser| parser.block_body(open.span, close, true, lambda, params))?;
        let span = span.to(Span::new(self.lexer.position(), self.lexer.position()));
        self.node(NodeKind::Lambda(id), span)
    }
}
