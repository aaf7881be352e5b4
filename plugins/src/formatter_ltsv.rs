//! `@type ltsv`: labelled values between tabs (<http://ltsv.org>).

use crate::text::{ADD_NEWLINE, NEWLINE, Newline, fields, find, format_params};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::json::ruby_to_s;
use logweir_engine::msgpack::Time;
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, FormatError, Formatter, Kind, Param, ParamKind,
};
use std::sync::Arc;

/// `@type ltsv`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    ..Descriptor::new(Kind::Formatter, "ltsv", "Labelled values between tabs", Build::Formatter(build))
};

const PARAMS: [Param; 11] = Param::join(
    format_params(),
    [
        Param::new("delimiter", ParamKind::String, "What stands between fields").default("\t"),
        Param::new("label_delimiter", ParamKind::String, "What stands between a label and its value")
            .default(":"),
        Param::new("replacement", ParamKind::String, "What a delimiter in a value becomes").default(" "),
        NEWLINE,
        ADD_NEWLINE,
    ],
);

fn build(params: &Params, _context: &mut BuildContext<'_>) -> Result<Arc<dyn Formatter>, Diagnostic> {
    Ok(Arc::new(Ltsv {
        delimiter: params.string("delimiter").into_bytes(),
        label_delimiter: params.string("label_delimiter").into_bytes(),
        replacement: params.string("replacement").into_bytes(),
        newline: Newline::from_params(params),
    }))
}

struct Ltsv {
    delimiter: Vec<u8>,
    label_delimiter: Vec<u8>,
    replacement: Vec<u8>,
    newline: Newline,
}

impl Formatter for Ltsv {
    fn format(&self, _tag: &Tag, _time: Time, record: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
        for (n, (label, value)) in fields(record).enumerate() {
            if n > 0 {
                out.extend_from_slice(&self.delimiter);
            }
            ruby_to_s(label, out);
            out.extend_from_slice(&self.label_delimiter);
            let at = out.len();
            ruby_to_s(value, out);
            self.replace(out, at);
        }
        self.newline.write(out);
        Ok(())
    }
}

impl Ltsv {
    /// Replaces the delimiters behind `at`.
    fn replace(&self, out: &mut Vec<u8>, at: usize) {
        if self.delimiter.is_empty() || find(&out[at..], &self.delimiter).is_none() {
            return;
        }
        let value = out.split_off(at);
        let mut rest = &value[..];
        while let Some(found) = find(rest, &self.delimiter) {
            out.extend_from_slice(&rest[..found]);
            out.extend_from_slice(&self.replacement);
            rest = &rest[found + self.delimiter.len()..];
        }
        out.extend_from_slice(rest);
    }
}

#[cfg(test)]
mod tests {
    use crate::text::testing::{format, formatter};
    use logweir_engine::msgpack::Time;

    #[test]
    fn fields() {
        let record = r#"{"s":"text","i":12,"neg":-1,"f":1.5,"b":true,"n":null,"a":[1,"x",null],"m":{"k":"v","e":{}},"u":"tab\there nl\nend"}"#;
        assert_eq!(
            format(&*formatter("@type ltsv"), Time::None, record),
            "s:text\ti:12\tneg:-1\tf:1.5\tb:true\tn:\ta:[1, \"x\", nil]\tm:{\"k\"=>\"v\", \"e\"=>{}}\tu:tab here nl\nend\n"
        );
        assert_eq!(
            format(
                &*formatter("@type ltsv\ndelimiter ,\nlabel_delimiter =\nreplacement ;;\nadd_newline false"),
                Time::None,
                r#"{"a":"x,y,","b":1}"#
            ),
            "a=x;;y;;,b=1"
        );
        assert_eq!(format(&*formatter("@type ltsv"), Time::None, "{}"), "\n");
    }
}
