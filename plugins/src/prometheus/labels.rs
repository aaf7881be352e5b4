//! Labels of metrics: what `<labels>` says, and what a record makes of it.
//!
//! | text | value |
//! |---|---|
//! | `$.a.b`, `$['a'][0]` | that field; empty if it is not there |
//! | `${tag}`, `${tag_parts[N]}`, `${tag_prefix[N]}`, `${tag_suffix[N]}` | of the tag; only `tag_parts` counts from the end too |
//! | `${hostname}`, `${worker_id}` | of the process |
//! | `${key}`, `${key[N]}`, `${key["name"]}` | a field, an element of an array or hash |
//! | anything else | as it is |
//!
//! A placeholder that means nothing stays as it is written, with a warning, as in the original.

use logweir_engine::config::Params;
use logweir_engine::event::Tag;
use logweir_engine::json;
use logweir_engine::msgpack::{Accessor, PathPart, RecordView, ValueRef};
use logweir_engine::telemetry::prometheus::LabelValues;
use std::collections::BTreeMap;

/// The labels of a metric by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Labels(pub(super) BTreeMap<String, LabelText>);

/// What a label's value is made of.
#[derive(Clone, Debug)]
pub(super) enum LabelText {
    /// As it is written, and what that means.
    Field(String, Accessor),
    Parts(Vec<Part>),
}

/// A piece of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Literal(String),
    /// `${...}`, as it is written.
    Placeholder(String, Placeholder),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Placeholder {
    Tag,
    TagPart(i64),
    TagPrefix(usize),
    TagSuffix(usize),
    /// `tag_parts` and its like, without an index that the tag can have.
    TagNothing,
    Record(RecordPlace),
}

/// A place in a record that a placeholder names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RecordPlace {
    /// All between the braces: a field may be called so.
    whole: String,
    /// A field, and the element or member of it.
    inside: Option<[PathPart; 2]>,
}

/// The values of the process.
#[derive(Clone, Debug)]
pub(super) struct Constants {
    pub(super) hostname: String,
    pub(super) worker: u32,
}

impl Labels {
    /// Reads a `<labels>` section; the error says which label is wrong, and why.
    pub(super) fn read(section: Option<&Params>, constants: &Constants) -> Result<Self, (String, String)> {
        let mut labels = BTreeMap::new();
        for (name, text) in section.into_iter().flat_map(Params::attrs) {
            let text = LabelText::parse(text, constants).map_err(|error| (name.to_owned(), error))?;
            labels.insert(name.to_owned(), text);
        }
        Ok(Self(labels))
    }

    /// `worker_id`, which all metrics have where there are several workers.
    pub(super) fn worker(constants: &Constants) -> Self {
        let text = LabelText::Parts(vec![Part::Literal(constants.worker.to_string())]);
        Self(BTreeMap::from([("worker_id".to_owned(), text)]))
    }

    /// These, and those of `own`, which win.
    pub(super) fn with(&self, own: Self) -> Self {
        let mut all = self.clone();
        all.0.extend(own.0);
        all
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// What is the same for all records of a tag.
    pub(super) fn for_tag(&self, tag: &Tag) -> TagLabels {
        TagLabels(self.0.values().map(|text| text.for_tag(tag)).collect())
    }
}

impl LabelText {
    pub(super) fn parse(text: &str, constants: &Constants) -> Result<Self, String> {
        if text.starts_with("$.") || text.starts_with("$[") {
            let accessor = Accessor::parse(text).map_err(|error| error.to_string())?;
            return Ok(Self::Field(text.to_owned(), accessor));
        }
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let Some(len) = placeholder_len(&rest[at..]) else {
                literal.push_str(&rest[..at + 2]);
                rest = &rest[at + 2..];
                continue;
            };
            literal.push_str(&rest[..at]);
            let written = &rest[at..at + len];
            match &written[2..len - 1] {
                "hostname" => literal.push_str(&constants.hostname),
                "worker_id" => literal.push_str(&constants.worker.to_string()),
                inner => {
                    if !literal.is_empty() {
                        parts.push(Part::Literal(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Placeholder(written.to_owned(), Placeholder::parse(inner)));
                }
            }
            rest = &rest[at + len..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self::Parts(parts))
    }

    /// The value, if it is the same for all records.
    pub(super) fn constant(&self) -> Option<String> {
        match self {
            Self::Parts(parts) => match parts.as_slice() {
                [] => Some(String::new()),
                [Part::Literal(text)] => Some(text.clone()),
                _ => None,
            },
            Self::Field(..) => None,
        }
    }

    /// As it is written, but for what is known by now.
    pub(super) fn written(&self) -> String {
        match self {
            Self::Field(text, _) => text.clone(),
            Self::Parts(parts) => parts
                .iter()
                .map(|part| match part {
                    Part::Literal(text) | Part::Placeholder(text, _) => text.as_str(),
                })
                .collect(),
        }
    }

    fn for_tag(&self, tag: &Tag) -> Vec<TagPart> {
        let parts = match self {
            Self::Field(_, accessor) => return vec![TagPart::Field(accessor.clone())],
            Self::Parts(parts) => parts,
        };
        let tag_parts = tag.parts();
        let mut pieces: Vec<TagPart> = Vec::new();
        for part in parts {
            let text = match part {
                Part::Literal(text) => text.clone(),
                Part::Placeholder(written, Placeholder::Record(place)) => {
                    pieces.push(TagPart::Record(written.clone(), place.clone()));
                    continue;
                }
                Part::Placeholder(written, placeholder) => match placeholder.of_tag(tag, &tag_parts) {
                    Some(text) => text,
                    None => {
                        pieces.push(TagPart::Unknown(written.clone()));
                        continue;
                    }
                },
            };
            pieces.push(TagPart::Text(text));
        }
        pieces
    }
}

/// The original's `\${[^\[}]+(\[[^\]]+\])?}`.
fn placeholder_len(text: &str) -> Option<usize> {
    let name = text[2..].find(['[', '}']).filter(|len| *len > 0)?;
    let mut end = 2 + name;
    if text[end..].starts_with('[') {
        let index = text[end + 1..].find(']').filter(|len| *len > 0)?;
        end += index + 2;
    }
    text[end..].starts_with('}').then_some(end + 1)
}

impl Placeholder {
    fn parse(inner: &str) -> Self {
        let indexed = inner.split_once('[').and_then(|(name, rest)| Some((name, rest.strip_suffix(']')?)));
        let (name, index) = indexed.map_or((inner, None), |(name, index)| (name, Some(index)));
        // Only the plain spelling of a number is one: neither `+1` nor `01`.
        let number =
            index.and_then(|text| text.parse::<i64>().ok().filter(|number| number.to_string() == text));
        let count = number.and_then(|number| usize::try_from(number).ok());
        match name {
            "tag" if index.is_none() => Self::Tag,
            "tag_parts" => number.map_or(Self::TagNothing, Self::TagPart),
            "tag_prefix" => count.map_or(Self::TagNothing, Self::TagPrefix),
            "tag_suffix" => count.map_or(Self::TagNothing, Self::TagSuffix),
            "tag" => Self::TagNothing,
            _ => {
                let key = |text: &str| PathPart::Key(text.as_bytes().into());
                let member = || Some(key(index?.strip_prefix('"')?.strip_suffix('"')?));
                let inside = number.map(PathPart::Index).or_else(member);
                let inside = inside.map(|inside| [key(name), inside]);
                Self::Record(RecordPlace { whole: inner.to_owned(), inside })
            }
        }
    }

    fn of_tag(&self, tag: &Tag, parts: &[&str]) -> Option<String> {
        match self {
            Self::Tag => Some(tag.as_str().to_owned()),
            Self::TagPart(index) => {
                let index = if *index < 0 { index + parts.len() as i64 } else { *index };
                parts.get(usize::try_from(index).ok()?).map(|part| (*part).to_owned())
            }
            Self::TagPrefix(last) => parts.get(..=*last).map(|parts| parts.join(".")),
            Self::TagSuffix(count) => {
                let from = parts.len().checked_sub(count.checked_add(1)?)?;
                Some(parts[from..].join("."))
            }
            Self::TagNothing | Self::Record(_) => None,
        }
    }
}

impl RecordPlace {
    /// The raw value; `None` if there is none that a label could have.
    fn find<'r>(&self, record: &'r [u8]) -> Option<&'r [u8]> {
        let view = RecordView::new(record);
        let is_single =
            |raw: &&[u8]| !matches!(ValueRef::read(raw), Ok(ValueRef::Array(_) | ValueRef::Map(_)));
        let field = view.get(self.whole.as_bytes()).filter(is_single);
        field.or_else(|| {
            let path = self.inside.as_ref()?;
            let is_element = matches!(path[1], PathPart::Index(_));
            let fits = match ValueRef::read(view.get_path(&path[..1])?).ok()? {
                ValueRef::Array(_) => is_element,
                ValueRef::Map(_) => !is_element,
                _ => false,
            };
            fits.then(|| view.get_path(path)).flatten()
        })
    }
}

/// The labels of a metric for one tag.
#[derive(Clone, Debug)]
pub(super) struct TagLabels(Vec<Vec<TagPart>>);

#[derive(Clone, Debug)]
enum TagPart {
    Text(String),
    Field(Accessor),
    Record(String, RecordPlace),
    /// A placeholder that means nothing for this tag.
    Unknown(String),
}

impl TagLabels {
    /// Whether all records of the tag have the same.
    pub(super) fn are_constant(&self) -> bool {
        let depends = |part: &TagPart| matches!(part, TagPart::Field(_) | TagPart::Record(..));
        !self.0.iter().flatten().any(depends)
    }

    /// The values that a raw record gives. `unknown` is told of placeholders that stay as they are.
    pub(super) fn fill(
        &self,
        record: &[u8],
        values: &mut LabelValues,
        scratch: &mut Vec<u8>,
        unknown: &mut impl FnMut(&str),
    ) {
        values.clear();
        let mut write = |values: &mut LabelValues, raw: &[u8]| {
            scratch.clear();
            json::ruby_to_s(raw, scratch);
            values.append(scratch);
        };
        for parts in &self.0 {
            for part in parts {
                match part {
                    TagPart::Text(text) => values.append(text.as_bytes()),
                    TagPart::Field(accessor) => {
                        if let Some(raw) = accessor.get(record) {
                            write(values, raw);
                        }
                    }
                    TagPart::Record(written, place) => match place.find(record) {
                        Some(raw) => write(values, raw),
                        None => {
                            unknown(written);
                            values.append(written.as_bytes());
                        }
                    },
                    TagPart::Unknown(written) => {
                        unknown(written);
                        values.append(written.as_bytes());
                    }
                }
            }
            values.end();
        }
    }
}
