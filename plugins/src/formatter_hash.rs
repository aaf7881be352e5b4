//! `@type hash`: the record as Ruby prints a Hash.

use crate::text::{ADD_NEWLINE, NEWLINE, Newline, format_params};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::json::ruby_inspect;
use logweir_engine::msgpack::Time;
use logweir_engine::plugin::{Build, BuildContext, Descriptor, FormatError, Formatter, Kind, Param};
use std::sync::Arc;

/// `@type hash`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    ..Descriptor::new(Kind::Formatter, "hash", "The record as Ruby prints a Hash", Build::Formatter(build))
};

const PARAMS: [Param; 8] = Param::join(format_params(), [NEWLINE, ADD_NEWLINE]);

fn build(params: &Params, _context: &mut BuildContext<'_>) -> Result<Arc<dyn Formatter>, Diagnostic> {
    Ok(Arc::new(Hash { newline: Newline::from_params(params) }))
}

struct Hash {
    newline: Newline,
}

impl Formatter for Hash {
    fn format(&self, _tag: &Tag, _time: Time, record: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
        ruby_inspect(record, out);
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
    fn records() {
        let written = |body: &str, record: &str| {
            format(&*formatter(&format!("@type hash\n{body}")), Time::None, record)
        };
        assert_eq!(written("", r#"{"a":1,"b":null}"#), "{\"a\"=>1, \"b\"=>nil}\n");
        assert_eq!(written("add_newline false", "{}"), "{}");
    }
}
