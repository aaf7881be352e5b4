//! `@type record_modifier`: sets, removes and replaces fields, with Ruby expressions. See [`crate::modifier`].
//!
//! Unlike record_transformer's, its expressions see what the fields before them have set, `time` is a Fluent::EventTime, and
//! what an expression does to `record` stays done.

use crate::modifier::{Modifier, PARAMS, RemoveKeys, SECTIONS};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::expr::TagNames;
use logweir_engine::msgpack::Event;
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Filter, FilterContext, FilterError, FilterStep, Kind, RecordFilter,
    Verdict,
};
use std::sync::Arc;

/// `@type record_modifier`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    sections: SECTIONS,
    ..Descriptor::new(
        Kind::Filter,
        "record_modifier",
        "Sets, removes and replaces fields, with Ruby expressions",
        Build::Filter(build),
    )
};

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Box<dyn Filter>, Diagnostic> {
    let modifier = Modifier::from_params(params, context, RemoveKeys::Accessors)?;
    Ok(Box::new(RecordModifier(Arc::new(modifier))))
}

struct RecordModifier(Arc<Modifier>);

impl Filter for RecordModifier {
    fn for_tag(&self, tag: &Tag) -> FilterStep {
        match self.0.splicer(tag) {
            Some(splicer) if splicer.is_empty() => FilterStep::Pass,
            Some(splicer) => FilterStep::Splice(splicer),
            None => FilterStep::Records(Arc::new(ModifyRecords {
                modifier: self.0.clone(),
                tag: TagNames::new(tag),
            })),
        }
    }
}

/// The filter for the events of one tag.
struct ModifyRecords {
    modifier: Arc<Modifier>,
    tag: TagNames,
}

impl RecordFilter for ModifyRecords {
    fn filter<'a>(&self, event: &mut Event<'a>, context: &FilterContext<'a>) -> Result<Verdict, FilterError> {
        self.modifier.modify(&self.tag, event, context.arena)?;
        Ok(Verdict::Keep)
    }
}

#[cfg(test)]
mod tests;
