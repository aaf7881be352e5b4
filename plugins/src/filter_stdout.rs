//! `@type stdout` as a filter: prints events to where the log goes and lets them on.

use futures_util::future::BoxFuture;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::delivery::Receipt;
use logweir_engine::event::{EventStream, Tag};
use logweir_engine::msgpack::Entries;
use logweir_engine::plugin::{
    Build, BuildContext, ChunkFormatter, Compat, Descriptor, EventFormat, Filter, FilterStep, INJECT, Kind,
    SectionSpec, StreamFilter,
};
use logweir_engine::route::{ErrorEvent, ErrorEvents};
use logweir_engine::telemetry;
use std::sync::Arc;

/// `@type stdout`
pub static PLUGIN: Descriptor = Descriptor {
    sections: &[SectionSpec::FORMAT, INJECT],
    compat: &[Compat::Inject, Compat::Formatter],
    ..Descriptor::new(Kind::Filter, "stdout", "Prints events and lets them on", Build::Filter(build))
};

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Box<dyn Filter>, Diagnostic> {
    let format = EventFormat::from_params(params, "stdout", context)?;
    Ok(Box::new(Stdout(Arc::new(Printer { format, errors: context.errors.clone() }))))
}

struct Stdout(Arc<Printer>);

struct Printer {
    format: EventFormat,
    errors: ErrorEvents,
}

impl Filter for Stdout {
    fn for_tag(&self, _tag: &Tag) -> FilterStep {
        FilterStep::Stream(self.0.clone())
    }

    fn takes_streams(&self) -> bool {
        true
    }
}

impl StreamFilter for Printer {
    fn filter<'a>(&'a self, stream: EventStream, receipt: &'a mut Receipt) -> BoxFuture<'a, EventStream> {
        let mut text = Vec::with_capacity(stream.entries.len() * 2);
        let mut failed = Vec::new();
        for entry in Entries::new(&stream.entries) {
            let start = text.len();
            if let Err(error) = self.format.format(&stream.tag, entry.time, entry.record, &mut text) {
                text.truncate(start);
                failed.push(ErrorEvent {
                    tag: stream.tag.clone(),
                    time: entry.time,
                    record: stream.entries.slice_ref(entry.record),
                    class: "Fluent::Plugin::Formatter::FormatError".to_owned(),
                    message: error.0,
                });
            }
        }
        telemetry::print_raw(&text);
        Box::pin(async move {
            for event in failed {
                self.errors.emit(event, receipt).await;
            }
            stream
        })
    }
}
