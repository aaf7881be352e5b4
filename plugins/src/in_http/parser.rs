//! The `<parse>` of in_http when none is written: not a parser but the rules by which in_http finds the time of a record.

use super::records::TimeField;
use crate::text::{Defaults, parse_params};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Kind, Param, ParseFailure, ParseOutput, Parser, Status,
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

const PARAMS: [Param; 13] = {
    let mut params = parse_params(Defaults::TIME);
    // All that is not about the time of a record.
    let unused = [0, 2, 3, 4, 6];
    let mut n = 0;
    while n < unused.len() {
        let why = "the input http reads bodies itself, and only times by these parameters";
        params[unused[n]] = params[unused[n]].status(Status::WithoutEffect(why));
        n += 1;
    }
    params
};

fn build(params: &Params, _: &mut BuildContext<'_>) -> Result<Arc<dyn Parser>, Diagnostic> {
    TimeField::new(params)?;
    Ok(Arc::new(Nothing))
}

struct Nothing;

impl Parser for Nothing {
    /// Nothing matches, as in Fluentd: the input http does not ask.
    fn parse(&self, _: &[u8], _: &mut ParseOutput) -> Result<(), ParseFailure> {
        Err(ParseFailure::Unmatched)
    }
}
