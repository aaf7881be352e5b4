//! `@type tsv`: the values of chosen fields between tabs.

use crate::text::{ADD_NEWLINE, NEWLINE, Newline, format_params};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::json::ruby_to_s;
use logweir_engine::msgpack::{RecordView, Time};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, FormatError, Formatter, Kind, Param, ParamKind,
};
use std::sync::Arc;

/// `@type tsv`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    ..Descriptor::new(Kind::Formatter, "tsv", "Values between tabs", Build::Formatter(build))
};

const PARAMS: [Param; 10] = Param::join(
    format_params(),
    [
        Param::new("keys", ParamKind::Array, "The fields, in order").required(),
        Param::new("delimiter", ParamKind::String, "What stands between values").default("\t"),
        NEWLINE,
        ADD_NEWLINE,
    ],
);

fn build(params: &Params, _context: &mut BuildContext<'_>) -> Result<Arc<dyn Formatter>, Diagnostic> {
    Ok(Arc::new(Tsv {
        keys: params.array("keys").unwrap_or_default().into_iter().map(String::into_bytes).collect(),
        delimiter: params.string("delimiter").into_bytes(),
        newline: Newline::from_params(params),
    }))
}

struct Tsv {
    keys: Vec<Vec<u8>>,
    delimiter: Vec<u8>,
    newline: Newline,
}

impl Formatter for Tsv {
    fn format(&self, _tag: &Tag, _time: Time, record: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
        let record = RecordView::new(record);
        for (n, key) in self.keys.iter().enumerate() {
            if n > 0 {
                out.extend_from_slice(&self.delimiter);
            }
            if let Some(value) = record.get(key) {
                ruby_to_s(value, out);
            }
        }
        self.newline.write(out);
        Ok(())
    }

    fn content_type(&self) -> &'static str {
        "text/tab-separated-values"
    }
}

#[cfg(test)]
mod tests {
    use crate::text::testing::{format, formatter};
    use logweir_engine::msgpack::Time;

    #[test]
    fn values() {
        let record = r#"{"a":1,"c":"x\"y","n":null}"#;
        let written =
            |body: &str| format(&*formatter(&format!("@type tsv\nkeys a,b,n,c\n{body}")), Time::None, record);
        assert_eq!(written(""), "1\t\t\tx\"y\n");
        assert_eq!(written("delimiter |\nnewline crlf"), "1|||x\"y\r\n");
        assert_eq!(written("add_newline false"), "1\t\t\tx\"y");
    }
}
