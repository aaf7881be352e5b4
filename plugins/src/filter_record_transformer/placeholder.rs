//! `${...}` without Ruby: a text is cut into literals and the few placeholders that Fluentd knows.
//!
//! | placeholder | value |
//! |---|---|
//! | `${tag}`, `${hostname}` | text |
//! | `${tag_parts[N]}`, `${tag_prefix[N]}`, `${tag_suffix[N]}` | text; N counts from the end if negative |
//! | `${time}` | `2023-11-14 22:13:20 +0000`, local time |
//! | `${record["key"]}` | the field, with its type if it stands alone |
//! | anything else | nil, with a warning |

use logweir_engine::event::Tag;

/// A text that may have placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) parts: Vec<Part>,
}

/// A piece of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Literal(String),
    /// The whole placeholder as it is written, and what it means.
    Placeholder(String, Placeholder),
}

/// What a placeholder means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Placeholder {
    Tag,
    Hostname,
    TagParts(i64),
    TagPrefix(i64),
    TagSuffix(i64),
    Time,
    Record(String),
    Unknown,
}

impl Template {
    /// Fluentd's `/(\${[^}]+}|__[A-Z_]+__)/`.
    pub(super) fn parse(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            match placeholder_len(rest) {
                Some(len) => {
                    if !literal.is_empty() {
                        parts.push(Part::Literal(std::mem::take(&mut literal)));
                    }
                    let written = &rest[..len];
                    parts.push(Part::Placeholder(written.to_owned(), meaning(written)));
                    rest = &rest[len..];
                }
                None => {
                    literal.push(c);
                    rest = &rest[c.len_utf8()..];
                }
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Self { parts }
    }

    /// The placeholder, if the text is nothing but one.
    pub(super) fn single(&self) -> Option<(&str, &Placeholder)> {
        match self.parts.as_slice() {
            [Part::Placeholder(written, placeholder)] => Some((written, placeholder)),
            _ => None,
        }
    }
}

fn placeholder_len(text: &str) -> Option<usize> {
    if let Some(rest) = text.strip_prefix("${") {
        let end = rest.find('}')?;
        return (end > 0).then_some(end + 3);
    }
    let rest = text.strip_prefix("__")?;
    let run = rest.bytes().take_while(|byte| byte.is_ascii_uppercase() || *byte == b'_').count();
    // The closing underscores are part of the run.
    (run >= 3 && rest[..run].ends_with("__")).then_some(run + 2)
}

fn meaning(written: &str) -> Placeholder {
    let Some(inner) = written.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) else {
        return Placeholder::Unknown;
    };
    let index = |name: &str| -> Option<i64> {
        let text = inner.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')?;
        let number: i64 = text.parse().ok()?;
        // Only the plain spelling is a key of Fluentd's table: neither `+1` nor `01`.
        (number.to_string() == text).then_some(number)
    };
    match inner {
        "tag" => Placeholder::Tag,
        "hostname" => Placeholder::Hostname,
        "time" => Placeholder::Time,
        _ => {
            if let Some(key) = inner.strip_prefix("record[\"").and_then(|rest| rest.strip_suffix("\"]")) {
                return Placeholder::Record(key.to_owned());
            }
            index("tag_parts")
                .map(Placeholder::TagParts)
                .or_else(|| index("tag_prefix").map(Placeholder::TagPrefix))
                .or_else(|| index("tag_suffix").map(Placeholder::TagSuffix))
                .unwrap_or(Placeholder::Unknown)
        }
    }
}

impl Placeholder {
    /// The text, for those that depend on the tag alone; `Some(None)` for an index out of range.
    pub(super) fn of_tag(&self, tag: &Tag, hostname: &str) -> Option<Option<String>> {
        let parts = tag.parts();
        let at = |index: i64| {
            let len = parts.len() as i64;
            usize::try_from(if index < 0 { index + len } else { index }).ok().filter(|at| *at < parts.len())
        };
        Some(match self {
            Self::Tag => Some(tag.as_str().to_owned()),
            Self::Hostname => Some(hostname.to_owned()),
            Self::TagParts(index) => at(*index).map(|at| parts[at].to_owned()),
            Self::TagPrefix(index) => at(*index).map(|at| parts[..=at].join(".")),
            Self::TagSuffix(index) => at(*index).map(|at| parts[at..].join(".")),
            Self::Time | Self::Record(_) | Self::Unknown => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_of_the_tag() {
        let of = |text: &str| {
            let template = Template::parse(text);
            template.single().unwrap().1.of_tag(&Tag::new("a.b.c"), "host").unwrap()
        };
        for (text, value) in [
            ("${tag}", Some("a.b.c")),
            ("${hostname}", Some("host")),
            ("${tag_parts[-1]}", Some("c")),
            ("${tag_parts[3]}", None),
            ("${tag_prefix[0]}", Some("a")),
            ("${tag_prefix[-1]}", Some("a.b.c")),
            ("${tag_suffix[-1]}", Some("c")),
            ("${tag_suffix[1]}", Some("b.c")),
        ] {
            assert_eq!(of(text).as_deref(), value, "{text}");
        }
    }

    #[test]
    fn other_spellings_are_unknown() {
        for text in
            ["${record['x']}", "${record[\"a\"][\"b\"]}x", "${tag_parts[01]}", "${nope}", "__HOSTNAME__"]
        {
            let template = Template::parse(text);
            let Some(Part::Placeholder(_, placeholder)) = template.parts.first() else { panic!("{text}") };
            assert!(matches!(placeholder, Placeholder::Unknown | Placeholder::Record(_)), "{text}");
        }
        assert_eq!(Template::parse("${}").parts, [Part::Literal("${}".to_owned())]);
        assert_eq!(Template::parse("a_b__C").parts.len(), 1);
    }
}
