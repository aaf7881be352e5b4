//! `@type tsv`: values between tabs, none quoted.

use crate::text::{Defaults, ParseSettings, parse_params, split_limited};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Kind, Param, ParamKind, ParseFailure, ParseOutput, Parser,
};
use std::sync::Arc;

/// `@type tsv`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    ..Descriptor::new(Kind::Parser, "tsv", "Values between tabs", Build::Parser(build))
};

const PARAMS: [Param; 15] = Param::join(
    parse_params(Defaults::STANDARD),
    [
        Param::new(
            "keys",
            ParamKind::Array,
            "The names of the fields, in order; the last one takes the rest",
        )
        .required(),
        Param::new("delimiter", ParamKind::String, "What stands between values").default("\t"),
    ],
);

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Arc<dyn Parser>, Diagnostic> {
    let settings = ParseSettings::new(params, context)?;
    let keys = params.array("keys").unwrap_or_default().into_iter().map(String::into_bytes).collect();
    Ok(Arc::new(Tsv { settings, keys, delimiter: params.string("delimiter").into_bytes() }))
}

struct Tsv {
    settings: ParseSettings,
    keys: Vec<Vec<u8>>,
    delimiter: Vec<u8>,
}

impl Parser for Tsv {
    fn parse(&self, text: &[u8], out: &mut ParseOutput) -> Result<(), ParseFailure> {
        let values = split_limited(text, &self.delimiter, self.keys.len().max(1));
        let mut fields = self.settings.begin(out, self.keys.len());
        for (n, key) in self.keys.iter().enumerate() {
            match values.get(n) {
                Some(value) => fields.text(key, value)?,
                None => fields.nil(key)?,
            }
        }
        fields.finish_distinct();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::text::testing::{parse_one, parser};

    #[test]
    fn values() {
        let tsv = parser("@type tsv\nkeys a,b,c\ntypes b:integer");
        assert_eq!(parse_one(&*tsv, "x\t5\ty\tz"), r#"now {"a":"x","b":5,"c":"y\tz"}"#);
        assert_eq!(parse_one(&*tsv, "x\t\t"), r#"now {"a":"x","b":0,"c":""}"#);
        assert_eq!(parse_one(&*tsv, "x"), r#"now {"a":"x","b":null,"c":null}"#);
        assert_eq!(parse_one(&*tsv, ""), r#"now {"a":null,"b":null,"c":null}"#);
        let timed = parser("@type tsv\nkeys t,m\ndelimiter |\ntime_key t\ntime_format %Y-%m-%d %H:%M:%S %z");
        assert_eq!(parse_one(&*timed, "2023-11-14 22:13:20 +0000|hi"), r#"1700000000 {"m":"hi"}"#);
    }
}
