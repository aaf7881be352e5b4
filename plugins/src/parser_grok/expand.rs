//! `%{NAME}`, `%{NAME:field}` and `%{NAME:field:type}`: from a grok pattern to a regular expression.

use std::collections::HashMap;
use std::path::Path;

/// Patterns by name.
pub(super) struct Patterns(HashMap<String, String>);

/// Which names the fields of the built-in patterns have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Series {
    /// Those of old.
    Legacy,
    /// Those of the Elastic Common Schema, version 1.
    EcsV1,
}

/// A regular expression, and the types of its fields.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expanded {
    pub(super) expression: String,
    /// As the parameter `types` has them.
    pub(super) types: Vec<(String, String)>,
}

/// A pattern that stands for itself would never end.
const EXPANDED_BYTES_MAX: usize = 1 << 20;
const EXPANSIONS_MAX: usize = 10_000;

/// The patterns that are there without a file, by series: those of a later text take the place of earlier ones.
const LEGACY: [&str; 2] = [include_str!("patterns/legacy.txt"), include_str!("patterns/own.txt")];
const ECS_V1: [&str; 1] = [include_str!("patterns/ecs-v1.txt")];

impl Patterns {
    /// Those of a `grok_pattern_series`.
    pub(super) fn built_in(series: Series) -> Self {
        let mut patterns = Self(HashMap::new());
        let texts = match series {
            Series::Legacy => &LEGACY[..],
            Series::EcsV1 => &ECS_V1[..],
        };
        texts.iter().for_each(|text| patterns.add(text));
        patterns
    }

    /// The names that are known.
    #[cfg(test)]
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// Adds those of a file, or of all files of a folder; a name that is known gets another pattern.
    pub(super) fn add_path(&mut self, path: &Path) -> std::io::Result<()> {
        if !path.is_dir() {
            self.add(&std::fs::read_to_string(path)?);
            return Ok(());
        }
        let mut files = Vec::new();
        for entry in std::fs::read_dir(path)? {
            files.push(entry?.path());
        }
        files.sort();
        for file in files.into_iter().filter(|file| file.is_file()) {
            self.add(&std::fs::read_to_string(file)?);
        }
        Ok(())
    }

    fn add(&mut self, text: &str) {
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let (name, pattern) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            self.0.insert(name.to_owned(), pattern.trim_start().to_owned());
        }
    }

    pub(super) fn expand(&self, pattern: &str) -> Result<Expanded, String> {
        let mut types: Vec<(String, String)> = Vec::new();
        let mut expression = pattern.to_owned();
        let mut from = 0;
        for _ in 0..EXPANSIONS_MAX {
            let Some((at, length, reference)) = Reference::find(&expression, from) else {
                return Ok(Expanded { expression, types });
            };
            let Some(inner) = self.0.get(&reference.name) else {
                return Err(format!("grok pattern not found: %{{{}}} in {pattern}", reference.name));
            };
            let replacement = match reference.field {
                Some(field) => {
                    let replacement = format!("(?<{field}>{inner})");
                    let kind = reference.kind.unwrap_or_else(|| "string".to_owned());
                    match types.iter_mut().find(|(known, _)| *known == field) {
                        Some((_, known)) => *known = kind,
                        None => types.push((field, kind)),
                    }
                    replacement
                }
                None => format!("(?:{inner})"),
            };
            expression.replace_range(at..at + length, &replacement);
            from = at;
            if expression.len() > EXPANDED_BYTES_MAX {
                break;
            }
        }
        Err(format!(
            "the grok pattern {pattern} stands for itself, or for more than {EXPANDED_BYTES_MAX} bytes"
        ))
    }
}

struct Reference {
    name: String,
    field: Option<String>,
    kind: Option<String>,
}

impl Reference {
    /// The first reference at `from` or behind it, and where it lies.
    fn find(text: &str, from: usize) -> Option<(usize, usize, Self)> {
        let mut start = from;
        loop {
            let at = start + text[start..].find("%{")?;
            let inside = &text[at + 2..];
            let end = inside.find('}')?;
            match Self::parse(&inside[..end]) {
                Some(reference) => return Some((at, 2 + end + 1, reference)),
                None => start = at + 2,
            }
        }
    }

    fn parse(inside: &str) -> Option<Self> {
        let (name, rest) = match inside.split_once(':') {
            Some((name, rest)) => (name, Some(rest)),
            None => (inside, None),
        };
        if name.is_empty() || !name.bytes().all(|b| matches!(b, b'A'..=b'z' | b'0'..=b'9')) {
            return None;
        }
        let name = name.to_owned();
        let Some(rest) = rest else { return Some(Self { name, field: None, kind: None }) };
        // A field's name may have colons in it: the first one behind which there is a type ends it.
        let typed = rest.match_indices(':').find(|(at, _)| is_type(&rest[at + 1..]));
        let (field, kind) = match typed {
            Some((at, _)) => (&rest[..at], Some(rest[at + 1..].to_owned())),
            None => (rest, None),
        };
        let allowed = |b: u8| matches!(b, b'@' | b'A'..=b'z' | b'0'..=b'9' | b':' | b'.' | b'-');
        if field.is_empty() || !field.bytes().all(allowed) {
            return None;
        }
        Some(Self { name, field: Some(nested(field)), kind })
    }
}

/// `[a][b]`, as newer patterns write it, is `a.b`.
fn nested(field: &str) -> String {
    match field.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inside) => inside.replace("][", "."),
        None => field.to_owned(),
    }
}

fn is_type(text: &str) -> bool {
    let (kind, rest) = text.split_once(':').map_or((text, None), |(kind, rest)| (kind, Some(rest)));
    match (kind, rest) {
        ("string" | "bool" | "integer" | "float" | "time" | "array", None) => true,
        ("time", Some(format)) => !format.is_empty(),
        ("array", Some(delimiter)) => delimiter.chars().count() <= 1,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<(String, String), String> {
        let mut patterns = Patterns::built_in(Series::Legacy);
        patterns.add("# a comment\n\nA a%{B}\nB  b b\nLOOP x%{LOOP}\nNONE\n");
        let Expanded { expression, types } = patterns.expand(text)?;
        let types: Vec<String> = types.into_iter().map(|(field, kind)| format!("{field}:{kind}")).collect();
        Ok((expression, types.join(",")))
    }

    #[test]
    fn references() {
        let ok = |expression: &str, types: &str| Ok((expression.to_owned(), types.to_owned()));
        assert_eq!(expanded("%{A}"), ok("(?:a(?:b b))", ""));
        assert_eq!(
            expanded("<%{A:x}|%{B:y:integer}>"),
            ok("<(?<x>a(?:b b))|(?<y>b b)>", "x:string,y:integer")
        );
        assert_eq!(expanded("%{B:t:time:%Y-%m}"), ok("(?<t>b b)", "t:time:%Y-%m"));
        assert_eq!(expanded("%{B:t:array:|}%{NONE}"), ok("(?<t>b b)(?:)", "t:array:|"));
        assert_eq!(
            expanded("%{B:[a][b]:float}%{B:@x.y-z}"),
            ok("(?<a.b>b b)(?<@x.y-z>b b)", "a.b:float,@x.y-z:string")
        );
        assert_eq!(
            expanded("%{B:a:b:float}%{B:x:int}"),
            ok("(?<a:b>b b)(?<x:int>b b)", "a:b:float,x:int:string")
        );
        assert_eq!(expanded("100%{ %{} %{B!}"), ok("100%{ %{} %{B!}", ""));
    }

    #[test]
    fn what_cannot_be_expanded() {
        assert_eq!(
            expanded("%{NOBODY:x}"),
            Err("grok pattern not found: %{NOBODY} in %{NOBODY:x}".to_owned())
        );
        assert!(expanded("%{LOOP}").unwrap_err().contains("stands for itself"));
    }
}
