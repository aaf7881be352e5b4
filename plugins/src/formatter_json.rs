//! `@type json`: the record as JSON.

use crate::text::{ADD_NEWLINE, NEWLINE, Newline, format_params, json_error};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::json::{JsonStyle, from_msgpack};
use logweir_engine::msgpack::Time;
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, FormatError, Formatter, Kind, Param, ParamKind,
};
use std::sync::Arc;

/// `@type json`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    ..Descriptor::new(Kind::Formatter, "json", "The record as JSON", Build::Formatter(build))
};

const PARAMS: [Param; 9] = Param::join(
    format_params(),
    [
        Param::new(
            "json_parser",
            ParamKind::String,
            "Whose spelling of JSON: oj, or any other word for Yajl's",
        )
        .default("oj"),
        NEWLINE,
        ADD_NEWLINE,
    ],
);

fn build(params: &Params, _context: &mut BuildContext<'_>) -> Result<Arc<dyn Formatter>, Diagnostic> {
    let style = if params.str("json_parser") == Some("oj") { JsonStyle::Oj } else { JsonStyle::Yajl };
    Ok(Arc::new(Json { style, newline: Newline::from_params(params) }))
}

struct Json {
    style: JsonStyle,
    newline: Newline,
}

impl Formatter for Json {
    fn format(&self, _tag: &Tag, _time: Time, record: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
        from_msgpack(record, out, self.style).map_err(|error| json_error(error, self.style))?;
        self.newline.write(out);
        Ok(())
    }

    fn content_type(&self) -> &'static str {
        "application/x-ndjson"
    }
}

#[cfg(test)]
mod tests {
    use crate::text::testing::{format, formatter};
    use logweir_engine::msgpack::Time;

    #[test]
    fn records() {
        let written = |body: &str, record: &str| format(&*formatter(body), Time::None, record);
        let record = r#"{"s":"text","i":12,"neg":-1,"f":1.5,"b":true,"n":null,"a":[1,"x",null],"m":{"k":"v","e":{}},"u":"é \"q\" \\ / \n\t<&>"}"#;
        assert_eq!(written("@type json", record), format!("{record}\n"));
        assert_eq!(written("@type json\nnewline crlf", r#"{"a":1}"#), "{\"a\":1}\r\n");
        assert_eq!(written("@type json\nadd_newline false", r#"{"a":1}"#), "{\"a\":1}");
        assert_eq!(
            written("@type json", r#"{"c":"\u0000\u0001\u001f\b\f\r","ls":"\u2028","em":"😀"}"#),
            "{\"c\":\"\\u0000\\u0001\\u001f\\b\\f\\r\",\"ls\":\"\u{2028}\",\"em\":\"😀\"}\n"
        );
    }

    #[test]
    fn numbers() {
        let record = r#"{"big":9007199254740993,"max":18446744073709551615,"f0":1.0,"fs":1e-07,"fl":1e22,"f3":0.1,"f17":123456789.12345679,"neg0":-0.0,"e15":1e15,"e16":1e16}"#;
        assert_eq!(
            format(&*formatter("@type json"), Time::None, record),
            "{\"big\":9007199254740993,\"max\":18446744073709551615,\"f0\":1.0,\"fs\":1.0e-07,\"fl\":1.0e+22,\"f3\":0.1,\"f17\":123456789.12345679,\"neg0\":0.0,\"e15\":1000000000000000.0,\"e16\":10000000000000000.0}\n"
        );
        assert_eq!(
            format(&*formatter("@type json\njson_parser yajl"), Time::None, r#"{"e16":1e16}"#),
            "{\"e16\":1.0e+16}\n"
        );
    }
}
