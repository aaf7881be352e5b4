//! One `<rule>`, and the placeholders of a tag.

use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::json;
use logweir_engine::log_warn;
use logweir_engine::msgpack::{Accessor, ValueRef};
use logweir_engine::plugin::LabelRef;
use logweir_engine::regexp::{Captures, Regexp};
use logweir_engine::telemetry::PluginLog;
use std::borrow::Cow;
use std::fmt;

/// See the module.
pub(super) struct Rule {
    key: String,
    accessor: Accessor,
    pattern: Regexp,
    invert: bool,
    tag: Vec<Piece>,
    written_tag: String,
    label: Option<String>,
    router: LabelRef,
}

/// A piece of a new tag.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// `$1`
    Group(usize),
    /// What looks like a placeholder: `${tag_parts[0]}`, `__HOSTNAME__`.
    Placeholder(String),
}

impl Rule {
    pub(super) fn from_params(
        section: &Params,
        has_label: bool,
        router: LabelRef,
    ) -> Result<Self, Diagnostic> {
        let (key, tag) = (section.string("key"), section.string("tag"));
        if has_range(&tag) {
            let message =
                "${tag_parts[n]} and __TAG_PARTS[n]__ placeholder does not support range specify".to_owned();
            return Err(section.error("tag", format!("{message} at {tag}")));
        }
        let accessor = Accessor::parse(&key).map_err(|error| section.error("key", error.to_string()))?;
        let Some(pattern) = section.regexp("pattern") else {
            return Err(section.error_here("'pattern' parameter is required"));
        };
        let invert = section.bool("invert");
        let label = section.str("label").filter(|_| has_label).map(str::to_owned);
        Ok(Self {
            tag: pieces(&tag, !invert),
            written_tag: tag,
            key,
            accessor,
            pattern,
            invert,
            label,
            router,
        })
    }

    /// Whether both ask the same of a record.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.key == other.key && self.pattern == other.pattern && self.invert == other.invert
    }

    pub(super) fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    pub(super) fn router(&self) -> &LabelRef {
        &self.router
    }

    /// The new tag of a record that the rule takes.
    pub(super) fn apply(
        &self,
        record: &[u8],
        places: &Placeholders<'_>,
        capitalize: bool,
        log: &PluginLog,
    ) -> Option<String> {
        let value = self.accessor.get(record).map_or(Cow::Borrowed(&b""[..]), text);
        if value.is_empty() && !self.invert {
            return None;
        }
        let value = valid(&value);
        let found = self.pattern.captures(&value);
        if found.is_some() == self.invert {
            return None;
        }
        Some(self.new_tag(found.as_ref(), places, capitalize, log))
    }

    fn new_tag(
        &self,
        found: Option<&Captures<'_, '_>>,
        places: &Placeholders<'_>,
        capitalize: bool,
        log: &PluginLog,
    ) -> String {
        let mut tag = String::new();
        for piece in &self.tag {
            match piece {
                Piece::Text(text) => tag.push_str(text),
                Piece::Group(number) => {
                    // `$0` is no group.
                    let group = found.filter(|_| *number > 0).and_then(|found| found.get(*number));
                    let group = group.unwrap_or_default();
                    let group = String::from_utf8_lossy(group);
                    if capitalize { push_capitalized(&group, &mut tag) } else { tag.push_str(&group) }
                }
                Piece::Placeholder(name) => match places.value(name) {
                    Some(value) => tag.push_str(&value),
                    None => log_warn!(
                        log,
                        format!(
                            "rewrite_tag_filter: unknown placeholder found. :placeholder=>{name} :tag=>{} :rewritetag=>{}",
                            places.tag, self.written_tag
                        )
                    ),
                },
            }
        }
        tag
    }
}

/// `key/pattern/ -> tag`, for messages.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let invert = if self.invert { "!" } else { "" };
        write!(f, "{} {invert}{} {}", self.key, self.pattern, self.written_tag)?;
        self.label.as_ref().map_or(Ok(()), |label| write!(f, " {label}"))
    }
}

/// Ruby's `to_s`.
fn text(raw: &[u8]) -> Cow<'_, [u8]> {
    match ValueRef::read(raw) {
        Ok(ValueRef::Str(text) | ValueRef::Bin(text)) => Cow::Borrowed(text),
        _ => {
            let mut text = Vec::new();
            json::ruby_to_s(raw, &mut text);
            Cow::Owned(text)
        }
    }
}

/// With `?` for what is no UTF-8.
fn valid(value: &[u8]) -> Cow<'_, [u8]> {
    if std::str::from_utf8(value).is_ok() {
        return Cow::Borrowed(value);
    }
    let mut text = Vec::with_capacity(value.len());
    for chunk in value.utf8_chunks() {
        text.extend_from_slice(chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            text.push(b'?');
        }
    }
    Cow::Owned(text)
}

/// As String#capitalize.
fn push_capitalized(text: &str, out: &mut String) {
    let mut chars = text.chars();
    if let Some(first) = chars.next() {
        out.extend(first.to_uppercase());
        out.push_str(&chars.as_str().to_lowercase());
    }
}

/// `tag_parts[0..2]` in either spelling, with one digit on each side, which is all that the original looks for.
fn has_range(tag: &str) -> bool {
    ["${tag_parts[", "__TAG_PARTS["].iter().any(|start| {
        tag.match_indices(start).any(|(at, _)| {
            let inside = &tag[at + start.len()..];
            let Some((range, rest)) = inside.split_once(']') else { return false };
            let closed = rest.starts_with(if start.starts_with('$') { "}" } else { "__" });
            let ends = range.split_once("...").or_else(|| range.split_once(".."));
            let digit = |text: &str| text.len() == 1 && text.as_bytes()[0].is_ascii_digit();
            closed && ends.is_some_and(|(low, high)| digit(low) && digit(high))
        })
    })
}

/// Takes a tag apart; `$1` means something only where `groups` says so.
fn pieces(tag: &str, groups: bool) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = tag;
    while !rest.is_empty() {
        let (piece, length) = match (group(rest), placeholder(rest)) {
            (Some((number, length)), _) if groups => (Piece::Group(number), length),
            (_, Some(length)) => (Piece::Placeholder(rest[..length].to_owned()), length),
            _ => {
                let c = rest.chars().next().unwrap_or_default();
                text.push(c);
                rest = &rest[c.len_utf8()..];
                continue;
            }
        };
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        pieces.push(piece);
        rest = &rest[length..];
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    pieces
}

/// `$12` at the start of a text.
fn group(text: &str) -> Option<(usize, usize)> {
    let digits = text.strip_prefix('$')?;
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    Some((digits[..length].parse().ok()?, 1 + length))
}

/// `${[a-z_]+(\[[0-9]+\])?}`, `__[A-Z_]+__` or `__TAG_PARTS[0]__` at the start of a text: how long it is. The last is in the
/// documentation of the original, whose code does not find it.
fn placeholder(text: &str) -> Option<usize> {
    if let Some(inside) = text.strip_prefix("${") {
        let name = inside.bytes().take_while(|b| b.is_ascii_lowercase() || *b == b'_').count();
        if name == 0 {
            return None;
        }
        let mut length = name;
        if let Some(index) = inside[name..].strip_prefix('[') {
            let digits = index.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 || !index[digits..].starts_with(']') {
                return None;
            }
            length += digits + 2;
        }
        return inside[length..].starts_with('}').then_some(2 + length + 1);
    }
    if let Some(index) = text.strip_prefix("__TAG_PARTS[") {
        let digits = index.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 && index[digits..].starts_with("]__") {
            return Some("__TAG_PARTS[".len() + digits + "]__".len());
        }
    }
    let inside = text.strip_prefix("__")?;
    let run = inside.bytes().take_while(|b| b.is_ascii_uppercase() || *b == b'_').count();
    let end = inside[..run].rfind("__")?;
    (end > 0).then_some(2 + end + 2)
}

/// What stands for the tag of a stream.
pub(super) struct Placeholders<'t> {
    tag: Cow<'t, str>,
    hostname: &'t str,
}

impl<'t> Placeholders<'t> {
    /// `remove` is taken out of the tag, once.
    pub(super) fn new(tag: &'t str, remove: Option<&Regexp>, hostname: &'t str) -> Self {
        let found = remove.and_then(|regexp| regexp.captures(tag.as_bytes()));
        let tag = match found.and_then(|found| found.span(0)) {
            Some(span) => {
                let rest = [&tag.as_bytes()[..span.start], &tag.as_bytes()[span.end..]].concat();
                Cow::Owned(String::from_utf8_lossy(&rest).into_owned())
            }
            None => Cow::Borrowed(tag),
        };
        Self { tag, hostname }
    }

    fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        match name {
            "${tag}" | "__TAG__" => Some(Cow::Borrowed(&*self.tag)),
            "${hostname}" | "__HOSTNAME__" => Some(Cow::Borrowed(self.hostname)),
            _ => {
                let index = match name.strip_prefix("${tag_parts[") {
                    Some(rest) => rest.strip_suffix("]}")?,
                    None => name.strip_prefix("__TAG_PARTS[")?.strip_suffix("]__")?,
                };
                // `01` is not the name of a part.
                let number: usize =
                    index.parse().ok().filter(|number: &usize| number.to_string() == index)?;
                let mut parts: Vec<&str> = self.tag.split('.').collect();
                while parts.last().is_some_and(|part| part.is_empty()) {
                    parts.pop();
                }
                parts.get(number).map(|part| Cow::Borrowed(*part))
            }
        }
    }
}
