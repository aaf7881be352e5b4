//! Operators, loosest first: `and`/`or`, `not`, assignment, `? :`, ranges, the binary ones, the unary ones.

use super::{Parse, Parser};
use crate::expr::methods::{self, Row};
use crate::expr::syntax::ast::{Begin, Call, Node, NodeKind, Rescue};
use crate::expr::syntax::lexer::Place;
use crate::expr::syntax::token::{Keyword, Op, Span, Tok};

/// How tightly a binary operator binds, whether it groups to the right, and the method that it calls.
struct Binary {
    level: u8,
    kind: BinaryKind,
}

enum BinaryKind {
    Method(&'static str),
    /// `!=`, `!~`: the negation of a method.
    Negated(&'static str),
    And,
    Or,
    Match,
}

const LEVEL_OR: u8 = 1;
const LEVEL_EQUALITY: u8 = 3;
const LEVEL_POWER: u8 = 10;

fn binary(op: Op) -> Option<Binary> {
    use BinaryKind::{And, Match, Method, Negated, Or};
    let (level, kind) = match op {
        Op::OrOr => (LEVEL_OR, Or),
        Op::AndAnd => (2, And),
        Op::Compare => (LEVEL_EQUALITY, Method("<=>")),
        Op::Equal => (LEVEL_EQUALITY, Method("==")),
        Op::CaseEqual => (LEVEL_EQUALITY, Method("===")),
        Op::NotEqual => (LEVEL_EQUALITY, Negated("==")),
        Op::Match => (LEVEL_EQUALITY, Match),
        Op::NotMatch => (LEVEL_EQUALITY, Negated("=~")),
        Op::Less => (4, Method("<")),
        Op::LessEqual => (4, Method("<=")),
        Op::Greater => (4, Method(">")),
        Op::GreaterEqual => (4, Method(">=")),
        Op::Pipe => (5, Method("|")),
        Op::Caret => (5, Method("^")),
        Op::Amp => (6, Method("&")),
        Op::ShiftLeft => (7, Method("<<")),
        Op::ShiftRight => (7, Method(">>")),
        Op::Plus => (8, Method("+")),
        Op::Minus => (8, Method("-")),
        Op::Star => (9, Method("*")),
        Op::Slash => (9, Method("/")),
        Op::Percent => (9, Method("%")),
        Op::Power => (LEVEL_POWER, Method("**")),
        _ => return None,
    };
    Some(Binary { level, kind })
}

impl<'s> Parser<'s> {
    /// `a and b or not c`
    pub(super) fn expression_statement(&mut self) -> Parse<Node> {
        let mut left = self.not_expression()?;
        loop {
            let token = self.peek()?;
            let and = match token.kind {
                Tok::Keyword(Keyword::And) => true,
                Tok::Keyword(Keyword::Or) => false,
                _ => return Ok(left),
            };
            self.next()?;
            let right = self.not_expression()?;
            let span = left.span.to(right.span);
            let (left_box, right_box) = (Box::new(left), Box::new(right));
            let kind =
                if and { NodeKind::And(left_box, right_box) } else { NodeKind::Or(left_box, right_box) };
            left = self.node(kind, span)?;
        }
    }

    fn not_expression(&mut self) -> Parse<Node> {
        let token = self.peek()?;
        if token.kind != Tok::Keyword(Keyword::Not) {
            return self.statement_expression();
        }
        self.next()?;
        let inner = self.nested(Self::not_expression)?;
        let span = token.span.to(inner.span);
        self.node(NodeKind::Not(Box::new(inner)), span)
    }

    /// One expression, assignments included: what an argument, an element or a branch holds.
    pub(super) fn expression(&mut self) -> Parse<Node> {
        let left = self.ternary()?;
        self.assignment(left)
    }

    /// `condition ? yes : no`
    pub(super) fn ternary(&mut self) -> Parse<Node> {
        let condition = self.range()?;
        if !self.at(Op::Question)? {
            return Ok(condition);
        }
        self.next()?;
        self.nested(|parser| {
            parser.skip_newlines()?;
            let then = parser.expression()?;
            parser.skip_newlines()?;
            parser.ternary_colon()?;
            parser.skip_newlines()?;
            let otherwise = parser.expression()?;
            let span = condition.span.to(otherwise.span);
            parser.node(
                NodeKind::If {
                    condition: Box::new(condition),
                    then: Box::new(then),
                    otherwise: Box::new(otherwise),
                },
                span,
            )
        })
    }

    /// The `:` of `a ? b :c`, where the lexer may have seen a symbol.
    fn ternary_colon(&mut self) -> Parse<()> {
        let token = self.next()?;
        match token.kind {
            Tok::Op(Op::Colon) => Ok(()),
            Tok::Symbol(_) | Tok::SymbolString(_) => {
                self.lexer.seek(token.span.start as usize + 1, Place::Value);
                Ok(())
            }
            _ => Err(self.missing(token, ":")),
        }
    }

    fn range(&mut self) -> Parse<Node> {
        let token = self.peek()?;
        if let Tok::Op(op @ (Op::Range | Op::RangeExclusive)) = token.kind {
            self.next()?;
            let high = self.binary(LEVEL_OR)?;
            let span = token.span.to(high.span);
            let kind = NodeKind::Range {
                low: None,
                high: Some(Box::new(high)),
                exclusive: op == Op::RangeExclusive,
            };
            return self.node(kind, span);
        }
        let low = self.binary(LEVEL_OR)?;
        let token = self.peek()?;
        let Tok::Op(op @ (Op::Range | Op::RangeExclusive)) = token.kind else { return Ok(low) };
        self.next()?;
        let mut span = low.span.to(token.span);
        let high = if self.range_is_endless()? {
            None
        } else {
            let high = self.binary(LEVEL_OR)?;
            span = low.span.to(high.span);
            Some(Box::new(high))
        };
        let kind = NodeKind::Range { low: Some(Box::new(low)), high, exclusive: op == Op::RangeExclusive };
        self.node(kind, span)
    }

    fn range_is_endless(&mut self) -> Parse<bool> {
        Ok(matches!(
            self.peek()?.kind,
            Tok::End
                | Tok::Newline
                | Tok::Op(Op::ParenClose | Op::BracketClose | Op::BraceClose | Op::Comma)
                | Tok::Keyword(Keyword::Then)
        ))
    }

    /// Binary operators of at least `lowest` level.
    pub(super) fn binary(&mut self, lowest: u8) -> Parse<Node> {
        let mut left = self.unary()?;
        loop {
            let token = self.peek()?;
            let Tok::Op(op) = token.kind else { return Ok(left) };
            let Some(Binary { level, kind }) = binary(op) else { return Ok(left) };
            if level < lowest {
                return Ok(left);
            }
            self.next()?;
            self.skip_newlines()?;
            let above = if level == LEVEL_POWER { level } else { level + 1 };
            let right = self.nested(|parser| parser.binary(above))?;
            let span = left.span.to(right.span);
            left = match kind {
                BinaryKind::And => self.node(NodeKind::And(Box::new(left), Box::new(right)), span)?,
                BinaryKind::Or => self.node(NodeKind::Or(Box::new(left), Box::new(right)), span)?,
                BinaryKind::Match => self.match_operator(left, right, span)?,
                BinaryKind::Method(name) => self.operator_call(name, left, vec![right], span)?,
                BinaryKind::Negated(name) => {
                    let call = self.operator_call(name, left, vec![right], span)?;
                    self.node(NodeKind::Not(Box::new(call)), span)?
                }
            };
        }
    }

    fn unary(&mut self) -> Parse<Node> {
        let token = self.peek()?;
        let Tok::Op(op) = token.kind else { return self.defined_or_postfix() };
        let name = match op {
            Op::Not => {
                self.next()?;
                let inner = self.nested(Self::unary)?;
                let span = token.span.to(inner.span);
                return self.node(NodeKind::Not(Box::new(inner)), span);
            }
            Op::Minus => "-@",
            Op::Plus => "+@",
            Op::Tilde => "~",
            Op::Amp => {
                return Err(
                    self.error(token.span, "a block can only be passed as the last argument of a call")
                );
            }
            _ => return self.postfix(),
        };
        self.next()?;
        // A sign that touches a number belongs to the number (`-2.abs`), except before a power (`-2 ** 2`).
        let digits = self.peek()?;
        if op == Op::Minus && !digits.spaced && matches!(digits.kind, Tok::Int(_) | Tok::Float(_)) {
            return self.negative_number(token.span);
        }
        // The operand binds like `*` would: `-a ** 2` is `-(a ** 2)`.
        let inner = self.nested(|parser| parser.binary(LEVEL_POWER))?;
        let span = token.span.to(inner.span);
        self.operator_call(name, inner, Vec::new(), span)
    }

    fn negative_number(&mut self, sign: Span) -> Parse<Node> {
        let token = self.next()?;
        let span = sign.to(token.span);
        if self.at(Op::Power)? {
            let base = self.number_node(token, false, span)?;
            self.next()?;
            let exponent = self.nested(|parser| parser.binary(LEVEL_POWER))?;
            let span = sign.to(exponent.span);
            let power = self.operator_call("**", base, vec![exponent], span)?;
            return self.operator_call("-@", power, Vec::new(), span);
        }
        let number = self.number_node(token, true, span)?;
        self.postfix_of(number)
    }

    fn defined_or_postfix(&mut self) -> Parse<Node> {
        if !self.at_keyword(Keyword::Defined)? {
            return self.postfix();
        }
        let start = self.next()?.span;
        let inner = self.nested(Self::unary)?;
        let span = start.to(inner.span);
        let known = match &inner.kind {
            NodeKind::Local(_) | NodeKind::Given(..) => Some("local-variable"),
            NodeKind::SetLocal(..) | NodeKind::SetMany(..) | NodeKind::Update(_) => Some("assignment"),
            NodeKind::Nil | NodeKind::True | NodeKind::False | NodeKind::SelfObject => Some("expression"),
            NodeKind::Int(_) | NodeKind::Float(_) | NodeKind::Str(_) | NodeKind::Symbol(_) => {
                Some("expression")
            }
            _ => None,
        };
        self.node(NodeKind::Defined(known, Box::new(inner)), span)
    }

    /// `left =~ right`. A regular expression with named groups on the left sets variables of these names.
    fn match_operator(&mut self, left: Node, right: Node, span: Span) -> Parse<Node> {
        let names: Vec<String> = match left.kind {
            NodeKind::Regexp(index) => {
                self.regexps[index as usize].names().iter().map(|name| name.name().to_owned()).collect()
            }
            _ => Vec::new(),
        };
        if names.is_empty() {
            return self.operator_call("=~", left, vec![right], span);
        }
        let mut slots = Vec::new();
        for name in names {
            let slot = self.variable(&name, span)?;
            slots.push((name.into_boxed_str(), slot));
        }
        self.node(NodeKind::MatchNames(Box::new(left), Box::new(right), slots.into()), span)
    }

    /// A call of an operator's method.
    pub(super) fn operator_call(
        &mut self,
        name: &'static str,
        receiver: Node,
        args: Vec<Node>,
        span: Span,
    ) -> Parse<Node> {
        let method = self.operator_row(name, span)?;
        let call = Call {
            receiver: Some(receiver),
            method,
            args: args.into(),
            safe: false,
            block: None,
            splat: false,
        };
        self.node(NodeKind::Call(Box::new(call)), span)
    }

    /// The row of a method that the syntax itself calls.
    pub(super) fn operator_row(&mut self, name: &'static str, span: Span) -> Parse<&'static Row> {
        match methods::row(name) {
            Some(row) => {
                self.note_effects(row);
                Ok(row)
            }
            None => Err(self.error(span, format!("operator `{name}` is not supported"))),
        }
    }

    /// `body rescue other`
    pub(super) fn rescue_modifier(&mut self, body: Node, other: Node) -> Parse<Node> {
        let span = body.span.to(other.span);
        let rescue = Rescue { classes: Box::new([]), variable: None, body: other };
        let begin = Begin { body, rescues: Box::new([rescue]), otherwise: None, ensure: None };
        self.node(NodeKind::Begin(Box::new(begin)), span)
    }

    /// A two-way branch; `swapped` for `unless`.
    pub(super) fn branch(
        &mut self,
        condition: Node,
        then: Node,
        otherwise: Node,
        swapped: bool,
        span: Span,
    ) -> Parse<Node> {
        let (then, otherwise) = if swapped { (otherwise, then) } else { (then, otherwise) };
        let kind = NodeKind::If {
            condition: Box::new(condition),
            then: Box::new(then),
            otherwise: Box::new(otherwise),
        };
        self.node(kind, span)
    }
}
