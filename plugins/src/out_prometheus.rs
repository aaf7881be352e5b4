//! `@type prometheus` as an output: counts what is in records (fluent-plugin-prometheus 2.2), and keeps nothing of them.

use crate::prometheus::{Instruments, SECTIONS};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::delivery::Receipt;
use logweir_engine::event::EventStream;
use logweir_engine::plugin::{Build, BuildContext, Descriptor, EmitFuture, Kind, Output, OutputPlugin};
use std::sync::Arc;

/// `@type prometheus` in a `<match>` or `<store>`.
pub static PLUGIN: Descriptor = Descriptor {
    sections: SECTIONS,
    ..Descriptor::new(
        Kind::Output,
        "prometheus",
        "Makes metrics of records, and keeps nothing else of them",
        Build::Output(build),
    )
};

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<OutputPlugin, Diagnostic> {
    Ok(OutputPlugin::Direct(Box::new(Prometheus(Instruments::read(params, context)?))))
}

struct Prometheus(Arc<Instruments>);

impl Output for Prometheus {
    fn emit<'a>(&'a self, stream: EventStream, receipt: &'a mut Receipt) -> EmitFuture<'a> {
        Box::pin(async move {
            self.0.for_tag(&stream.tag).count(&stream, receipt).await;
            Ok(())
        })
    }
}
