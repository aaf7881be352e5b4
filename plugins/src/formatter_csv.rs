//! `@type csv`: the values of chosen fields between commas, quoted.

use crate::text::{ADD_NEWLINE, format_params};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::json::ruby_to_s;
use logweir_engine::msgpack::{Accessor, Time, ValueRef};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, FormatError, Formatter, Kind, Param, ParamKind,
};
use std::sync::Arc;

/// `@type csv`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    ..Descriptor::new(Kind::Formatter, "csv", "Values between commas", Build::Formatter(build))
};

const PARAMS: [Param; 10] = Param::join(
    format_params(),
    [
        Param::new("fields", ParamKind::Array, "The fields, in record accessor syntax, in order").required(),
        Param::new("delimiter", ParamKind::String, "What stands between values; TAB is a tab").default(","),
        Param::new("force_quotes", ParamKind::Bool, "Whether values that need no quotes have them, too")
            .default("true"),
        ADD_NEWLINE,
    ],
);

fn build(params: &Params, _context: &mut BuildContext<'_>) -> Result<Arc<dyn Formatter>, Diagnostic> {
    let names = params.array("fields").unwrap_or_default();
    let accessors = names.iter().filter(|name| !name.is_empty()).map(|name| Accessor::parse(name));
    let accessors =
        accessors.collect::<Result<Vec<_>, _>>().map_err(|e| params.error("fields", e.to_string()))?;
    if accessors.is_empty() {
        return Err(params.error("fields", "empty value is specified in fields parameter"));
    }
    let delimiter = match params.str("delimiter") {
        Some(r"\t" | "TAB") => "\t",
        other => other.unwrap_or(","),
    };
    Ok(Arc::new(Csv {
        accessors,
        delimiter: delimiter.as_bytes().to_vec(),
        force_quotes: params.bool("force_quotes"),
        newline: if params.bool("add_newline") { b"\n" } else { b"" },
    }))
}

struct Csv {
    accessors: Vec<Accessor>,
    delimiter: Vec<u8>,
    force_quotes: bool,
    newline: &'static [u8],
}

impl Formatter for Csv {
    fn format(&self, _tag: &Tag, _time: Time, record: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
        for (n, accessor) in self.accessors.iter().enumerate() {
            if n > 0 {
                out.extend_from_slice(&self.delimiter);
            }
            let value = accessor.get(record).filter(|raw| !matches!(ValueRef::read(raw), Ok(ValueRef::Nil)));
            match value {
                Some(raw) => self.write(raw, out),
                // nil is told apart from the empty text by its quotes, unless all have them.
                None if self.force_quotes => out.extend_from_slice(b"\"\""),
                None => {}
            }
        }
        out.extend_from_slice(self.newline);
        Ok(())
    }

    fn content_type(&self) -> &'static str {
        "text/csv"
    }
}

impl Csv {
    fn write(&self, raw: &[u8], out: &mut Vec<u8>) {
        let at = out.len();
        ruby_to_s(raw, out);
        let text = &out[at..];
        if !self.force_quotes && !self.needs_quotes(text) {
            return;
        }
        let quotes = memchr::memchr_iter(b'"', text).count();
        if quotes == 0 {
            out.insert(at, b'"');
        } else {
            let text = out.split_off(at);
            out.push(b'"');
            for part in text.split_inclusive(|byte| *byte == b'"') {
                out.extend_from_slice(part);
                if part.ends_with(b"\"") {
                    out.push(b'"');
                }
            }
        }
        out.push(b'"');
    }

    /// As Ruby's CSV decides: texts that are empty or contain a quote, a line end or any character of the delimiter.
    fn needs_quotes(&self, text: &[u8]) -> bool {
        text.is_empty()
            || text.iter().any(|byte| matches!(byte, b'"' | b'\n' | b'\r') || self.delimiter.contains(byte))
    }
}

#[cfg(test)]
mod tests {
    use crate::text::testing::{format, formatter};
    use logweir_engine::msgpack::Time;

    fn written(body: &str, record: &str) -> String {
        format(&*formatter(&format!("@type csv\n{body}")), Time::None, record)
    }

    #[test]
    fn all_quoted() {
        let record = r#"{"s":"text","i":12,"neg":-1,"f":1.5,"b":true,"n":null,"a":[1,"x",null],"m":{"k":"v","e":{}},"u":"é \"q\" \\ / \n\t<&>"}"#;
        assert_eq!(
            written("fields s,i,gone,u,n,m,b,f", record),
            "\"text\",\"12\",\"\",\"é \"\"q\"\" \\ / \n\t<&>\",\"\",\"{\"\"k\"\"=>\"\"v\"\", \"\"e\"\"=>{}}\",\"true\",\"1.5\"\n"
        );
        assert_eq!(written("fields s,i,", r#"{"s":"a,b \"c\"","i":1}"#), "\"a,b \"\"c\"\"\",\"1\"\n");
    }

    #[test]
    fn quoted_where_needed() {
        let body = "fields a,b,c\ndelimiter \";\"\nforce_quotes false";
        assert_eq!(written(body, r#"{"a":"x","b":"y;z","c":null}"#), "x;\"y;z\";\n");
        assert_eq!(written(body, r#"{"a":"","c":"\""}"#), "\"\";;\"\"\"\"\n");
        assert_eq!(written(body, r#"{"a":" x","b":"x\ty","c":"x\ny"}"#), " x;x\ty;\"x\ny\"\n");
    }

    #[test]
    fn nested_fields_and_tabs() {
        assert_eq!(
            written("fields $.a.b,c\ndelimiter TAB\nadd_newline false", r#"{"a":{"b":1},"c":2}"#),
            "\"1\"\t\"2\""
        );
    }
}
