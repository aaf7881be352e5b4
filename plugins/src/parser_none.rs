//! `@type none`: the text is one field.

use crate::text::{Defaults, ParseSettings, parse_params};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Kind, Param, ParamKind, ParseFailure, ParseOutput, Parser,
};
use std::sync::Arc;

/// `@type none`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    ..Descriptor::new(Kind::Parser, "none", "The text is one field", Build::Parser(build))
};

const PARAMS: [Param; 14] = Param::join(
    parse_params(Defaults::STANDARD),
    [Param::new("message_key", ParamKind::String, "The field that holds the text").default("message")],
);

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Arc<dyn Parser>, Diagnostic> {
    let settings = ParseSettings::new(params, context)?;
    Ok(Arc::new(None { settings, message_key: params.string("message_key").into_bytes() }))
}

struct None {
    settings: ParseSettings,
    message_key: Vec<u8>,
}

impl Parser for None {
    fn parse(&self, text: &[u8], out: &mut ParseOutput) -> Result<(), ParseFailure> {
        let mut fields = self.settings.begin(out, 1);
        fields.plain(&self.message_key, text);
        fields.finish();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::text::testing::{parse_one, parser};
    use logweir_engine::plugin::ParseOutput;

    #[test]
    fn one_field() {
        let none = parser("@type none");
        assert_eq!(parse_one(&*none, r#"anything {"a":1}"#), r#"now {"message":"anything {\"a\":1}"}"#);
        assert_eq!(parse_one(&*none, ""), r#"now {"message":""}"#);
        let other = parser("@type none\nmessage_key log\nestimate_current_event false");
        assert_eq!(parse_one(&*other, "x"), r#"none {"log":"x"}"#);
    }

    #[test]
    fn text_without_an_encoding_is_binary() {
        let mut out = ParseOutput::new();
        out.set_binary(true);
        parser("@type none").parse(b"ok", &mut out).unwrap();
        assert_eq!(out.record(0), b"\x81\xa7message\xc4\x02ok");
    }
}
