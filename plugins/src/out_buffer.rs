//! `@type buffer`: keeps events in a buffer of their own, and sends them on when that is flushed (Fluentd 1.18 and later).
//!
//! They go to the `@label`, or else into the pipeline that the `<match>` stands in. A chunk is done when the buffers behind it
//! have its events as safely as they promise; one that is sent again after a crash is recognised there, for a quarter of an hour.

use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::log_warn;
use logweir_engine::output::Reemit;
use logweir_engine::plugin::{
    BufferDefaults, BufferSupport, Build, BuildContext, Descriptor, Kind, OutputPlugin,
};

/// `@type buffer` in a `<match>`.
pub static PLUGIN: Descriptor = Descriptor {
    buffer: BufferSupport::Always(BufferDefaults {
        chunk_keys: &["tag"],
        params: &[("@type", "file"), ("flush_mode", "interval"), ("flush_interval", "10")],
    }),
    ..Descriptor::new(
        Kind::Output,
        "buffer",
        "Keeps events in a buffer, and sends them on when it is flushed",
        Build::Output(build),
    )
};

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<OutputPlugin, Diagnostic> {
    if !context.chunk_keys(params, PLUGIN.buffer)?.tag {
        let error = params
            .error_here("the chunk keys of a 'buffer' output must have 'tag': events are sent on by it");
        return Err(error.help("write `<buffer tag>`, or `<buffer>`"));
    }
    if params.label().is_none() {
        log_warn!(
            context.log,
            "without @label, events that this 'buffer' output sends on go to the first <match> of the same pipeline that takes \
             their tag, which may be itself"
        );
    }
    let to = context.router(params);
    Ok(OutputPlugin::Buffered(Box::new(Reemit::new(to, context))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Behaviour, Sink, build_error, file_chunk, with_params};
    use logweir_engine::event::EventTime;
    use logweir_engine::msgpack::{Time, write_entry};
    use logweir_engine::plugin::{Driver, WriteError};
    use logweir_engine::route::{Collector, ErrorEvents, Router, TagPatterns};
    use logweir_engine::telemetry::PluginLog;
    use std::sync::Arc;
    use std::time::Duration;

    fn router(sink: &Sink) -> Arc<Router> {
        let rules =
            vec![(TagPatterns::parse("**").expect("a pattern"), Collector::Output(Arc::new(sink.clone())))];
        let errors = ErrorEvents::new(PluginLog::program(), Duration::ZERO);
        Router::new(rules, errors, PluginLog::program(), false)
    }

    fn body(secs: std::ops::Range<i64>) -> Vec<u8> {
        let mut out = Vec::new();
        for sec in secs {
            write_entry(&mut out, Time::Event(EventTime::from_secs(sec)), None, b"\x81\xa1a\x01");
        }
        out
    }

    #[tokio::test]
    async fn a_chunk_is_kept_until_its_events_are_safe() {
        let (router_ref, output) = with_params(&PLUGIN, "@label @X", |params, context| {
            let OutputPlugin::Buffered(output) = build(params, context)? else { panic!("not buffered") };
            Ok((context.router(params), output))
        })
        .unwrap();
        let sink = Sink::default();
        let router = router(&sink);
        router_ref.connect(&router);
        let folder = tempfile::tempdir().unwrap();
        let (_buffer, chunk) = file_chunk(folder.path(), &[body(0..2)], 2);
        for behaviour in [Behaviour::Refuse, Behaviour::FailCommits] {
            sink.behave(behaviour);
            let error = output.write(&chunk).await.unwrap_err();
            assert!(matches!(error, WriteError::Retry { .. }), "{behaviour:?}: {error}");
        }
        sink.behave(Behaviour::Take);
        output.write(&chunk).await.unwrap();
    }

    #[test]
    fn the_tag_is_needed() {
        let message = build_error(&PLUGIN, "@label @X\n<buffer []>\npath /x\n</buffer>").unwrap_or_default();
        assert!(message.contains("must have 'tag'"), "{message}");
        assert_eq!(build_error(&PLUGIN, "@label @X\n<buffer tag,a>\npath /x\n</buffer>"), None);
        let mut driver = Driver::new(crate::PLUGINS);
        let error = driver.output("<match **>\n@type buffer\n</match>").err().unwrap();
        assert!(error.to_string().contains("buffer path is not configured"), "{error}");
    }
}
