//! `case`, `while`, `begin` ... `rescue`.

use super::Eval;
use super::vm::{Unwind, Vm};
use crate::expr::syntax::ast::{Begin, Node, NodeKind, Rescue};
use crate::expr::value::{ClassId, Exception, Value};

impl<'p, 'a> Vm<'p, 'a> {
    pub(super) fn eval_case(
        &mut self,
        subject: Option<&'p Node>,
        whens: &'p [(Box<[Node]>, Node)],
        otherwise: &'p Node,
    ) -> Eval<'a> {
        let subject = match subject {
            Some(node) => Some(self.eval(node)?),
            None => None,
        };
        for (tests, body) in whens {
            for test in tests {
                let candidates = match &test.kind {
                    NodeKind::Splat(_) => self.eval_list(std::slice::from_ref(test))?,
                    _ => smallvec::smallvec![self.eval(test)?],
                };
                for candidate in candidates {
                    let chosen = match subject {
                        Some(subject) => crate::expr::methods::case_equal(self, candidate, subject)?,
                        None => candidate.truthy(),
                    };
                    if chosen {
                        return self.eval(body);
                    }
                }
            }
        }
        self.eval(otherwise)
    }

    pub(super) fn eval_while(
        &mut self,
        condition: &'p Node,
        body: &'p Node,
        negated: bool,
        body_first: bool,
    ) -> Eval<'a> {
        let tag = self.fresh_tag();
        let outer = std::mem::replace(&mut self.tag, tag);
        let result = self.while_rounds(condition, body, negated, body_first);
        self.tag = outer;
        match result {
            Err(Unwind::Break(value, broken)) if broken == tag => Ok(value),
            other => other,
        }
    }

    fn while_rounds(
        &mut self,
        condition: &'p Node,
        body: &'p Node,
        negated: bool,
        body_first: bool,
    ) -> Eval<'a> {
        let mut first = body_first;
        while first || self.eval(condition)?.truthy() != negated {
            first = false;
            match self.eval(body) {
                Ok(_) | Err(Unwind::Next(_)) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(Value::Nil)
    }

    pub(super) fn eval_begin(&mut self, begin: &'p Begin) -> Eval<'a> {
        let result = self.eval_rescued(begin);
        if let Some(ensure) = &begin.ensure {
            self.eval(ensure)?;
        }
        result
    }

    fn eval_rescued(&mut self, begin: &'p Begin) -> Eval<'a> {
        let depth = self.limits.depth;
        let exception = match self.eval(&begin.body) {
            Err(Unwind::Raise(exception)) => exception,
            Ok(value) => {
                return match &begin.otherwise {
                    Some(otherwise) => self.eval(otherwise),
                    None => Ok(value),
                };
            }
            Err(other) => return Err(other),
        };
        self.limits.depth = depth;
        for rescue in &begin.rescues {
            if self.rescues(rescue, exception)? {
                if let Some(slot) = rescue.variable {
                    self.set_local(slot, Value::Exception(exception));
                }
                return self.eval(&rescue.body);
            }
        }
        Err(Unwind::Raise(exception))
    }

    fn rescues(&mut self, rescue: &'p Rescue, exception: &'a Exception<'a>) -> Eval<'a, bool> {
        if rescue.classes.is_empty() {
            return Ok(exception.class.is_a(ClassId::StandardError));
        }
        for class in self.eval_list(&rescue.classes)? {
            match class {
                Value::Class(class) if exception.class.is_a(class) => return Ok(true),
                Value::Class(_) => {}
                _ => return Err(self.type_error("class or module required for rescue clause")),
            }
        }
        Ok(false)
    }
}
