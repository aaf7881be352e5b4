//! The `<parse>` of in_http when none is written: not a parser but the rules by which in_http finds the time of a record.

use crate::text::{Defaults, parse_params};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Kind, Param, ParseFailure, ParseOutput, Parser,
};
use std::sync::Arc;

/// `@type in_http`
pub static PARSER: Descriptor = Descriptor {
    params: &PARAMS,
    ..Descriptor::new(
        Kind::Parser,
        "in_http",
        "Stands for what the input http does by itself: JSON, NDJSON, MessagePack and forms",
        Build::Parser(build),
    )
};

const PARAMS: [Param; 13] = parse_params(Defaults::TIME);

fn build(_: &Params, _: &mut BuildContext<'_>) -> Result<Arc<dyn Parser>, Diagnostic> {
    Ok(Arc::new(Nothing))
}

struct Nothing;

impl Parser for Nothing {
    /// Nothing matches, as in Fluentd: the input http does not ask.
    fn parse(&self, _: &[u8], _: &mut ParseOutput) -> Result<(), ParseFailure> {
        Err(ParseFailure::Unmatched)
    }
}
