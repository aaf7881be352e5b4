//! `@type single_value`: the value of one field.

use crate::text::{ADD_NEWLINE, NEWLINE, Newline, format_params};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::json::ruby_to_s;
use logweir_engine::msgpack::{RecordView, Time};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, FormatError, Formatter, Kind, Param, ParamKind,
};
use std::sync::Arc;

/// `@type single_value`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    ..Descriptor::new(Kind::Formatter, "single_value", "The value of one field", Build::Formatter(build))
};

const PARAMS: [Param; 9] = Param::join(
    format_params(),
    [Param::new("message_key", ParamKind::String, "The field").default("message"), NEWLINE, ADD_NEWLINE],
);

fn build(params: &Params, _context: &mut BuildContext<'_>) -> Result<Arc<dyn Formatter>, Diagnostic> {
    let message_key = params.string("message_key").into_bytes();
    Ok(Arc::new(SingleValue { message_key, newline: Newline::from_params(params) }))
}

struct SingleValue {
    message_key: Vec<u8>,
    newline: Newline,
}

impl Formatter for SingleValue {
    fn format(&self, _tag: &Tag, _time: Time, record: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
        if let Some(value) = RecordView::new(record).get(&self.message_key) {
            ruby_to_s(value, out);
        }
        self.newline.write(out);
        Ok(())
    }

    fn content_type(&self) -> &'static str {
        "text/plain"
    }
}

#[cfg(test)]
mod tests {
    use crate::text::testing::{format, formatter};
    use logweir_engine::msgpack::Time;

    #[test]
    fn one_value() {
        let written = |body: &str, record: &str| {
            format(&*formatter(&format!("@type single_value\n{body}")), Time::None, record)
        };
        assert_eq!(written("", r#"{"message":"hi"}"#), "hi\n");
        assert_eq!(written("", r#"{"m":"hi"}"#), "\n");
        assert_eq!(written("message_key m\nadd_newline false", r#"{"m":{"a":1}}"#), "{\"a\"=>1}");
    }
}
