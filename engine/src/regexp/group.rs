//! Parentheses: groups, options, look-around, conditions.

use super::captures::GroupName;
use super::error::RegexpError;
use super::node::Node;
use super::parse::Parser;
use smallvec::SmallVec;

impl<'p> Parser<'p> {
    /// What follows an opening parenthesis.
    pub(super) fn group(&mut self) -> Result<Node, RegexpError> {
        if !self.eat("?") {
            return if self.named { self.group_end() } else { self.capture(None) };
        }
        let looks = [("=", false, false), ("!", false, true), ("<=", true, false), ("<!", true, true)];
        for (open, behind, negate) in looks {
            if self.eat(open) {
                return Ok(Node::Look { behind, negate, node: Box::new(self.group_end()?) });
            }
        }
        if self.eat(":") {
            return self.group_end();
        }
        if self.eat(">") {
            return Ok(Node::Atomic(Box::new(self.group_end()?)));
        }
        if self.eat("~") {
            return Err(self.error("the absent operator (?~) is not supported"));
        }
        if self.eat("(") {
            return self.condition();
        }
        match self.peek() {
            Some('<' | '\'') => {
                let name = self.group_name()?;
                self.capture(Some(name))
            }
            None => Err(self.error("end pattern in group")),
            _ => self.options(),
        }
    }

    /// The rest of a group whose kind is known. Options set inside end with it.
    fn group_end(&mut self) -> Result<Node, RegexpError> {
        let flags = self.flags;
        let node = self.alternatives()?;
        self.flags = flags;
        match self.eat(")") {
            true => Ok(node),
            false => Err(self.error("end pattern with unmatched parenthesis")),
        }
    }

    fn capture(&mut self, name: Option<&str>) -> Result<Node, RegexpError> {
        self.groups += 1;
        let index = self.groups;
        if let Some(name) = name {
            match self.names.iter_mut().find(|group| group.name() == name) {
                Some(group) => group.groups.push(index),
                None => {
                    self.names.push(GroupName { name: name.into(), groups: SmallVec::from_elem(index, 1) })
                }
            }
        }
        Ok(Node::Capture { index, node: Box::new(self.group_end()?) })
    }

    /// `<name>` or `'name'` of a group: anything that does not begin like a number.
    fn group_name(&mut self) -> Result<&'p str, RegexpError> {
        match self.name_in_brackets() {
            Some("") => Err(self.error("group name is empty")),
            Some(name)
                if name.starts_with(|c: char| c.is_ascii_digit() || c == '-') || name.contains(')') =>
            {
                Err(self.error(format!("invalid group name <{name}>")))
            }
            Some(name) => Ok(name),
            None => Err(self.error("end pattern in group")),
        }
    }

    pub(super) fn name_in_brackets(&mut self) -> Option<&'p str> {
        if self.eat("<") {
            self.until(">")
        } else if self.eat("'") {
            self.until("'")
        } else {
            None
        }
    }

    /// `(?(1)yes|no)`, `(?(<name>)yes|no)`; its second parenthesis has been read.
    fn condition(&mut self) -> Result<Node, RegexpError> {
        let bracketed = self.name_in_brackets();
        let Some(name) = (match bracketed {
            Some(name) => self.eat(")").then_some(name),
            None => self.until(")"),
        }) else {
            return Err(self.error("invalid conditional pattern"));
        };
        let group = match self.backref(name)? {
            Node::Backref { groups, .. } => groups.last().copied().unwrap_or(0),
            _ => 0,
        };
        if group > self.groups {
            return Err(self.error("invalid backref number/name"));
        }
        let (yes, no) = match self.group_end()? {
            Node::Alternate(mut branches) if branches.len() == 2 => {
                let no = branches.pop().unwrap_or(Node::Empty);
                (branches.pop().unwrap_or(Node::Empty), no)
            }
            Node::Alternate(_) => return Err(self.error("invalid conditional pattern")),
            yes => (yes, Node::Empty),
        };
        Ok(Node::Condition { group, yes: Box::new(yes), no: Box::new(no) })
    }

    /// `(?i-mx)`, which holds until the end of the group, or `(?i-mx:...)`.
    fn options(&mut self) -> Result<Node, RegexpError> {
        let outside = self.flags;
        let mut on = true;
        loop {
            match self.next() {
                Some('-') => on = false,
                Some('i') => self.flags.ignore_case = on,
                Some('m') => self.flags.dot_all = on,
                Some('x') => self.flags.extended = on,
                Some('a') if on => (self.flags.ascii, self.flags.unicode) = (true, false),
                Some('d') if on => (self.flags.ascii, self.flags.unicode) = (false, false),
                Some('u') if on => (self.flags.ascii, self.flags.unicode) = (false, true),
                Some(')') => break,
                Some(':') => {
                    let node = self.group_end()?;
                    self.flags = outside;
                    return Ok(node);
                }
                _ => return Err(self.error("undefined group option")),
            }
        }
        // The rest of the group, its alternatives included: `a(?i)b|c` is `a(?i:b|c)`.
        self.alternatives()
    }
}
