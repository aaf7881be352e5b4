//! `@type csv`: values between delimiters, quoted where they contain one.
//!
//! parser_engine `normal` reads what Ruby's CSV library reads and refuses what it refuses; `fast` is Fluentd's own and
//! more lenient reading.

use crate::text::{Defaults, ParseSettings, chomp, parse_params, split_all};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Kind, Param, ParamKind, ParseFailure, ParseOutput, Parser,
};
use memchr::memmem;
use std::borrow::Cow;
use std::sync::Arc;

/// `@type csv`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    ..Descriptor::new(Kind::Parser, "csv", "Values between delimiters", Build::Parser(build))
};

const PARAMS: [Param; 16] = Param::join(
    parse_params(Defaults::STANDARD),
    [
        Param::new("keys", ParamKind::Array, "The names of the fields, in order").required(),
        Param::new("delimiter", ParamKind::String, "What stands between values").default(","),
        Param::new(
            "parser_engine",
            ParamKind::Enum(&["normal", "fast"]),
            "normal, or fast, which is more lenient",
        )
        .aliases(&["parser_type"])
        .default("normal"),
    ],
);

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Arc<dyn Parser>, Diagnostic> {
    let settings = ParseSettings::new(params, context)?;
    let keys = params.array("keys").unwrap_or_default();
    let delimiter = params.string("delimiter").into_bytes();
    if delimiter.is_empty() {
        return Err(params.error("delimiter", ":col_sep must be 1 or more characters: \"\""));
    }
    let keys = keys.into_iter().map(String::into_bytes).collect();
    let is_fast = params.word("parser_engine") == Some("fast");
    Ok(Arc::new(Csv { settings, keys, delimiter, is_fast }))
}

struct Csv {
    settings: ParseSettings,
    keys: Vec<Vec<u8>>,
    delimiter: Vec<u8>,
    is_fast: bool,
}

impl Parser for Csv {
    fn parse(&self, text: &[u8], out: &mut ParseOutput) -> Result<(), ParseFailure> {
        if self.is_fast { self.parse_fast(text, out) } else { self.parse_normal(text, out) }
    }
}

impl Csv {
    fn parse_normal(&self, text: &[u8], out: &mut ParseOutput) -> Result<(), ParseFailure> {
        if text.is_empty() {
            return Err(ParseFailure::Invalid("wrong argument type NilClass (must respond to :each)".into()));
        }
        let mut fields = self.settings.begin(out, self.keys.len());
        let mut keys = self.keys.iter();
        let mut row = Row { text, at: 0, delimiter: &self.delimiter, is_done: starts_line_end(text) };
        while let Some(value) = row.next_value()? {
            match (keys.next(), value) {
                (Some(key), Value::Text(value)) => fields.text(key, &value)?,
                (Some(key), Value::Nil) => fields.nil(key)?,
                // Values beyond the keys are read, since a mistake in them counts, and dropped.
                (None, _) => {}
            }
        }
        for key in keys {
            fields.nil(key)?;
        }
        fields.finish_distinct();
        Ok(())
    }

    fn parse_fast(&self, text: &[u8], out: &mut ParseOutput) -> Result<(), ParseFailure> {
        let text = chomp(text);
        let mut fields = self.settings.begin(out, self.keys.len());
        let columns =
            if text.is_empty() { Default::default() } else { split_all(text, &self.delimiter, usize::MAX) };
        let (mut keys, mut n) = (self.keys.iter(), 0);
        while let (Some(column), Some(key)) = (columns.get(n), keys.next()) {
            let quotes = column.iter().filter(|byte| **byte == b'"').count();
            let is_quoted = column.len() > 1 && column.starts_with(b"\"") && column.ends_with(b"\"");
            match quotes {
                0 if column.is_empty() => fields.nil(key)?,
                1 if column.starts_with(b"\"") => {
                    // A delimiter within quotes: the columns up to the one that ends with a quote are one.
                    let last = (n + 1..columns.len()).find(|&n| columns[n].ends_with(b"\""));
                    n = last.unwrap_or(columns.len() - 1);
                    let start = offset(text, column) + 1;
                    let end = (offset(text, columns[n]) + columns[n].len()).saturating_sub(1).max(start);
                    fields.text(key, text.get(start..end).unwrap_or_default())?;
                }
                2 if is_quoted => fields.text(key, &column[1..column.len() - 1])?,
                0..=2 => fields.text(key, column)?,
                _ => {
                    let inside = if is_quoted { &column[1..column.len() - 1] } else { column };
                    fields.text(key, &unescape(inside))?;
                }
            }
            n += 1;
        }
        fields.finish_distinct();
        Ok(())
    }
}

enum Value<'t> {
    Nil,
    Text(Cow<'t, [u8]>),
}

/// The first row of a text.
struct Row<'t, 'd> {
    text: &'t [u8],
    at: usize,
    delimiter: &'d [u8],
    is_done: bool,
}

impl<'t> Row<'t, '_> {
    fn next_value(&mut self) -> Result<Option<Value<'t>>, ParseFailure> {
        if self.is_done {
            return Ok(None);
        }
        let value = match self.text.get(self.at) {
            Some(b'"') => self.quoted()?,
            _ => self.plain()?,
        };
        let rest = &self.text[self.at..];
        if rest.starts_with(self.delimiter) {
            self.at += self.delimiter.len();
        } else if rest.is_empty() || starts_line_end(rest) {
            self.is_done = true;
        } else {
            return Err(malformed("Any value after quoted field isn't allowed"));
        }
        Ok(Some(value))
    }

    fn plain(&mut self) -> Result<Value<'t>, ParseFailure> {
        let rest = &self.text[self.at..];
        let line = memchr::memchr2(b'\n', b'\r', rest).map_or(rest, |end| &rest[..end]);
        let value = memmem::find(line, self.delimiter).map_or(line, |end| &line[..end]);
        if memchr::memchr(b'"', value).is_some() {
            return Err(malformed("Illegal quoting"));
        }
        self.at += value.len();
        Ok(if value.is_empty() { Value::Nil } else { Value::Text(Cow::Borrowed(value)) })
    }

    fn quoted(&mut self) -> Result<Value<'t>, ParseFailure> {
        let inside = &self.text[self.at + 1..];
        let mut end = 0;
        let mut has_quotes = false;
        loop {
            let Some(quote) = memchr::memchr(b'"', &inside[end..]) else {
                return Err(malformed("Unclosed quoted field"));
            };
            end += quote;
            if inside.get(end + 1) != Some(&b'"') {
                break;
            }
            has_quotes = true;
            end += 2;
        }
        self.at += end + 2;
        let value = &inside[..end];
        Ok(Value::Text(if has_quotes { unescape(value) } else { Cow::Borrowed(value) }))
    }
}

fn starts_line_end(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'\n' | b'\r'))
}

fn malformed(what: &str) -> ParseFailure {
    ParseFailure::Invalid(format!("{what} in line 1."))
}

/// Two quotes are one.
fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memmem::find(rest, b"\"\"") {
        out.extend_from_slice(&rest[..=at]);
        rest = &rest[at + 2..];
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

/// Where `part` lies in `text`, of which it is a piece.
fn offset(text: &[u8], part: &[u8]) -> usize {
    (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize)
}

#[cfg(test)]
mod tests {
    use crate::text::testing::{parse_one, parser};

    #[test]
    fn what_rubys_csv_reads() {
        let csv = parser("@type csv\nkeys a,b,c");
        for (text, expected) in [
            ("1,2,3", r#"now {"a":"1","b":"2","c":"3"}"#),
            ("1,,\"\"", r#"now {"a":"1","b":null,"c":""}"#),
            ("1", r#"now {"a":"1","b":null,"c":null}"#),
            ("1,2,3,4", r#"now {"a":"1","b":"2","c":"3"}"#),
            ("1,2,", r#"now {"a":"1","b":"2","c":null}"#),
            ("1,\"x\ny\",3", r#"now {"a":"1","b":"x\ny","c":"3"}"#),
            ("\"a\"\"b\",c", r#"now {"a":"a\"b","b":"c","c":null}"#),
            ("1,2\n3,4", r#"now {"a":"1","b":"2","c":null}"#),
            ("1\r2,3", r#"now {"a":"1","b":null,"c":null}"#),
            ("\n", r#"now {"a":null,"b":null,"c":null}"#),
            ("\"\"", r#"now {"a":"","b":null,"c":null}"#),
            ("a\"b,c", "Illegal quoting in line 1."),
            ("\"a\"b,c", "Any value after quoted field isn't allowed in line 1."),
            ("\"a,b", "Unclosed quoted field in line 1."),
            (" a , \"b\"", "Illegal quoting in line 1."),
            ("1,2,3,\"x", "Unclosed quoted field in line 1."),
            ("", "wrong argument type NilClass (must respond to :each)"),
        ] {
            assert_eq!(parse_one(&*csv, text), expected, "{text:?}");
        }
    }

    #[test]
    fn other_delimiters_types_and_times() {
        let csv = parser(
            "@type csv\nkeys time,n,s\ndelimiter ||\ntime_key time\ntime_type unixtime\ntypes n:integer",
        );
        assert_eq!(parse_one(&*csv, "17||5||\"c||d\""), r#"17 {"n":5,"s":"c||d"}"#);
        assert_eq!(parse_one(&*csv, "||5"), "value must be a string or a number: (NilClass)");
    }

    #[test]
    fn fast() {
        let csv = parser("@type csv\nkeys a,b,c\nparser_engine fast");
        for (text, expected) in [
            ("1,2,3\n", r#"now {"a":"1","b":"2","c":"3"}"#),
            ("1,,3", r#"now {"a":"1","b":null,"c":"3"}"#),
            ("1", r#"now {"a":"1"}"#),
            ("", "now {}"),
            ("\"x,y\",2", r#"now {"a":"x,y","b":"2"}"#),
            ("\"x,y,z\",2", r#"now {"a":"x,y,z","b":"2"}"#),
            ("\"x\",2", r#"now {"a":"x","b":"2"}"#),
            ("\"x\"\"y\",2", r#"now {"a":"x\"y","b":"2"}"#),
            ("x\"y,2", r#"now {"a":"x\"y","b":"2"}"#),
            ("\"x,y", r#"now {"a":"x,"}"#),
            ("\"", r#"now {"a":""}"#),
            ("1,2,3,4,5", r#"now {"a":"1","b":"2","c":"3"}"#),
        ] {
            assert_eq!(parse_one(&*csv, text), expected, "{text:?}");
        }
    }
}
