//! YAML text to a tree: anchors, merge keys, and Fluentd's own tags.

use super::node::{Key, Node, Scalar, Value};
use super::scalar;
use crate::config::embedded::{code_end, first_worker};
use crate::config::include::{self, Files};
use crate::config::parser::DEPTH_MAX;
use crate::config::{Diagnostic, Diagnostics, Evaluate, Evaluated, RawValue, Source, Span};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use yaml_rust2::parser::{Event, Parser, Tag};
use yaml_rust2::scanner::{Marker, TScalarStyle};

/// Reads YAML files.
pub(super) struct Reader<'a> {
    pub(super) evaluate: &'a dyn Evaluate,
    pub(super) diagnostics: &'a mut Diagnostics,
    pub(super) files: &'a mut Files,
    /// Values so far, those of aliases included.
    pub(super) nodes: usize,
}

/// A collection that is being read.
struct Open {
    node: Node,
    anchor: usize,
    tag: Option<String>,
    key: Option<Key>,
}

impl Reader<'_> {
    /// The first document of a file. `None` after an error, or if there is nothing in it.
    pub(super) fn document(&mut self, source: &Arc<Source>, folder: &Path) -> Option<Node> {
        let mut parser = Parser::new_from_str(&source.text);
        let lines = Lines::new(&source.text);
        let mut anchors: HashMap<usize, Node> = HashMap::new();
        let mut open: Vec<Open> = Vec::new();
        loop {
            let (event, mark) = match parser.next_token() {
                Ok(token) => token,
                Err(error) => {
                    let at = lines.offset(error.marker());
                    let span = Span::new(source, at, at);
                    self.error(format!("invalid YAML: {}", error.info()), &span);
                    return None;
                }
            };
            let at = lines.offset(&mark);
            let span = Span::new(source, at, at);
            self.nodes += 1;
            if self.nodes > NODES_MAX || open.len() > DEPTH_MAX {
                self.error("the YAML is too large or nested too deeply", &span);
                return None;
            }
            let done = match event {
                Event::StreamEnd | Event::DocumentEnd => return None,
                Event::Nothing | Event::StreamStart | Event::DocumentStart => continue,
                Event::SequenceStart(anchor, tag) => {
                    let node = Node { span, value: Value::List(Vec::new()) };
                    open.push(Open { node, anchor, tag: tag.as_ref().map(name), key: None });
                    continue;
                }
                Event::MappingStart(anchor, tag) => {
                    let node = Node { span, value: Value::Map(Vec::new()) };
                    open.push(Open { node, anchor, tag: tag.as_ref().map(name), key: None });
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    let closed = open.pop()?;
                    if is_worker(open.last()) {
                        self.evaluate.in_worker(None);
                    }
                    let node = self.tagged(closed.node, closed.tag.as_deref(), folder)?;
                    (node, closed.anchor)
                }
                Event::Alias(anchor) => {
                    let Some(node) = anchors.get(&anchor) else {
                        self.error("this alias stands for a value that contains it", &span);
                        return None;
                    };
                    self.nodes += node.size();
                    (node.clone(), 0)
                }
                Event::Scalar(text, style, anchor, tag) => {
                    let span = scalar_span(source, at, &text);
                    let tag = tag.as_ref().map(name);
                    let is_plain = style == TScalarStyle::Plain && tag.is_none();
                    let scalar = if is_plain { scalar::plain(&text) } else { scalar::text_of(&text) };
                    let node = Node { span, value: Value::Scalar(scalar) };
                    (self.tagged(node, tag.as_deref(), folder)?, anchor)
                }
            };
            let (node, anchor) = done;
            if anchor > 0 {
                anchors.insert(anchor, node.clone());
            }
            if let [.., outer, inner] = &*open
                && is_worker(Some(outer))
                && inner.key.as_ref().is_some_and(|key| key.text == "$arg")
            {
                self.evaluate.in_worker(first_worker(&node.joined().unwrap_or_default()));
            }
            match open.last_mut() {
                None => return Some(node),
                Some(parent) => self.add(parent, node),
            }
        }
    }

    fn add(&mut self, parent: &mut Open, node: Node) {
        match &mut parent.node.value {
            Value::List(items) => items.push(node),
            Value::Map(members) => match parent.key.take() {
                None => {
                    let text = node.joined().unwrap_or_default();
                    if !matches!(node.value, Value::Scalar(_)) {
                        self.error("a key must be a text", &node.span);
                    }
                    parent.key = Some(Key { text, span: node.span });
                }
                Some(key) if key.text == "<<" && merge(members, &node) => {}
                Some(key) => set(members, key, node),
            },
            Value::Scalar(_) => {}
        }
    }

    /// A node whose tag is dealt with; `None` after an error from which there is no way on.
    fn tagged(&mut self, node: Node, tag: Option<&str>, folder: &Path) -> Option<Node> {
        match tag {
            Some("include") => self.include(&node, folder),
            Some("fluent/s") => {
                let text = node.joined().unwrap_or_default();
                let value = Value::Scalar(self.interpolated(&text, &node.span));
                Some(Node { value, ..node })
            }
            Some("fluent/json") => {
                let value = Value::Scalar(scalar::text_of(&node.to_json().to_string()));
                Some(Node { value, ..node })
            }
            _ => Some(node),
        }
    }

    fn include(&mut self, node: &Node, folder: &Path) -> Option<Node> {
        let uri = node.joined().unwrap_or_default();
        let failed = |reason: String| format!("include error {uri} - {reason}");
        let mut items = Vec::new();
        let pattern = match include::pattern(&uri, folder) {
            Ok(pattern) => pattern,
            Err(scheme) => {
                self.error(failed(format!("{scheme} is not supported")), &node.span);
                return None;
            }
        };
        for path in self.files.expand(&pattern) {
            if let Err(reason) = self.files.enter(&path) {
                self.error(failed(reason), &node.span);
                return None;
            }
            let included = match include::read(&path) {
                Ok(text) => {
                    let source = Source::new(path.display().to_string(), text);
                    self.files.add(&source);
                    self.document(&source, path.parent().unwrap_or(Path::new(".")))
                }
                Err(reason) => {
                    self.error(failed(reason), &node.span);
                    None
                }
            };
            self.files.leave();
            match included.map(|included| (included.span, included.value)) {
                Some((_, Value::List(list))) => items.extend(list),
                Some((span, _)) => self.error("an included file must hold a list", &span),
                None => {}
            }
        }
        Some(Node { span: node.span.clone(), value: Value::List(items) })
    }

    /// A text as Ruby reads it between double quotes.
    fn interpolated(&mut self, text: &str, span: &Span) -> Scalar {
        let mut out = String::new();
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            at += c.len_utf8();
            match c {
                '\\' => {
                    let Some(escaped) = text[at..].chars().next() else { break };
                    at += escaped.len_utf8();
                    out.push(match escaped {
                        'n' => '\n',
                        't' => '\t',
                        'r' => '\r',
                        's' => ' ',
                        '0' => '\0',
                        'a' => '\x07',
                        'b' => '\x08',
                        'e' => '\x1b',
                        'f' => '\x0c',
                        'v' => '\x0b',
                        other => other,
                    });
                }
                '#' if text[at..].starts_with('{') => {
                    let Some(end) = code_end(text, at + 1) else {
                        self.error("expected end of embedded code but $end", span);
                        return invalid();
                    };
                    let code = &text[at + 1..end];
                    at = end + 1;
                    match self.evaluate.evaluate(code) {
                        Ok(Evaluated::Text(value)) => out.push_str(&value),
                        Ok(Evaluated::Nil) => {}
                        Ok(Evaluated::UseNil) => return scalar::text_of(""),
                        Ok(Evaluated::UseDefault) => {
                            return Scalar { value: RawValue::Default, is_plain: false };
                        }
                        Err(reason) => {
                            let code = code.trim();
                            self.error(
                                format!("cannot evaluate embedded code \"#{{{code}}}\": {reason}"),
                                span,
                            );
                            return invalid();
                        }
                    }
                }
                c => out.push(c),
            }
        }
        scalar::text_of(&out)
    }

    fn error(&mut self, message: impl Into<String>, span: &Span) {
        self.diagnostics.push(Diagnostic::error(message).class_name("Fluent::ConfigParseError").at(span));
    }
}

/// Whether the value of the key `worker` comes next in a map.
fn is_worker(open: Option<&Open>) -> bool {
    open.and_then(|open| open.key.as_ref()).is_some_and(|key| key.text == "worker")
}

fn invalid() -> Scalar {
    Scalar { value: RawValue::Invalid, is_plain: false }
}

/// The tag without its `!` and prefix.
fn name(tag: &Tag) -> String {
    tag.suffix.trim_start_matches(['!', '/']).to_owned()
}

/// `<<: {...}`, or a list of maps: their members become members. False if it is something else.
fn merge(members: &mut Vec<(Key, Node)>, node: &Node) -> bool {
    match &node.value {
        Value::Map(merged) => {
            for (key, value) in merged {
                set(members, key.clone(), value.clone());
            }
            true
        }
        Value::List(maps) if maps.iter().all(|map| map.as_map().is_some()) => {
            for map in maps.iter().rev() {
                merge(members, map);
            }
            true
        }
        _ => false,
    }
}

/// Adds a member; an equal key is replaced where it stands.
fn set(members: &mut Vec<(Key, Node)>, key: Key, node: Node) {
    match members.iter_mut().find(|(known, _)| known.text == key.text) {
        Some(member) => *member = (key, node),
        None => members.push((key, node)),
    }
}

/// Where the lines of a text begin.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(ends).collect() }
    }

    /// The byte offset of a marker, whose line counts from 1 and whose column counts characters from 0.
    fn offset(&self, mark: &Marker) -> usize {
        let line = mark.line().saturating_sub(1);
        let start = self.starts.get(line).copied().unwrap_or(self.text.len());
        let rest = &self.text[start..];
        start + rest.char_indices().nth(mark.col()).map_or(rest.len(), |(index, _)| index)
    }
}

fn scalar_span(source: &Arc<Source>, at: usize, text: &str) -> Span {
    let rest = &source.text[at..];
    let line = rest.find(['\n', '\r']).unwrap_or(rest.len());
    let length = match rest.as_bytes().first() {
        _ if text.is_empty() => 0,
        _ if rest.starts_with(text) => text.len(),
        Some(b'"' | b'\'') if rest[1..].starts_with(text) => text.len() + 2,
        _ => line,
    };
    Span::new(source, at, at + length.min(line))
}

/// Values of a configuration, at most, aliases expanded.
const NODES_MAX: usize = 1_000_000;
