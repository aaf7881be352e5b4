//! `@type prometheus` as a filter: counts what is in records (fluent-plugin-prometheus 2.2), and lets them on as they are.
//!
//! A metric that no record can change (a counter without `key`, labels of the tag alone) costs one addition a stream.

use crate::prometheus::{Instruments, SECTIONS, TagInstruments};
use futures_util::future::BoxFuture;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::delivery::Receipt;
use logweir_engine::event::{EventStream, Tag};
use logweir_engine::plugin::{Build, BuildContext, Descriptor, Filter, FilterStep, Kind, StreamFilter};
use std::sync::Arc;

/// `@type prometheus` in a `<filter>`.
pub static PLUGIN: Descriptor = Descriptor {
    sections: SECTIONS,
    ..Descriptor::new(
        Kind::Filter,
        "prometheus",
        "Makes metrics of records, which go on as they are",
        Build::Filter(build),
    )
};

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Box<dyn Filter>, Diagnostic> {
    Ok(Box::new(Prometheus(Instruments::read(params, context)?)))
}

struct Prometheus(Arc<Instruments>);

impl Filter for Prometheus {
    fn for_tag(&self, tag: &Tag) -> FilterStep {
        match self.0.are_none() {
            true => FilterStep::Pass,
            false => FilterStep::Stream(Arc::new(self.0.for_tag(tag))),
        }
    }
}

impl StreamFilter for TagInstruments {
    fn filter<'a>(&'a self, stream: EventStream, receipt: &'a mut Receipt) -> BoxFuture<'a, EventStream> {
        Box::pin(async move {
            self.count(&stream, receipt).await;
            stream
        })
    }
}
