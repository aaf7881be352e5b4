//! `@type stdout`: prints events to where the log goes, or straight to standard output.
//!
//! ```text
//! 2024-01-02 03:04:05.000000000 +0000 app.web: {"message":"hello"}
//! ```

use logweir_engine::buffer::Chunk;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::delivery::{EmitError, Receipt};
use logweir_engine::event::{EventStream, Tag};
use logweir_engine::msgpack::{Entries, Time};
use logweir_engine::output::{blocking, file_error_class};
use logweir_engine::plugin::{
    BufferDefaults, BufferSupport, BufferedOutput, Build, BuildContext, ChunkFormatter, Compat, Descriptor,
    EmitFuture, EventFormat, FormatError, INJECT, Kind, Output, OutputPlugin, Param, ParamKind, SectionSpec,
    WriteError, WriteFuture,
};
use logweir_engine::route::{ErrorEvent, ErrorEvents};
use logweir_engine::telemetry;
use std::io::{self, Write};

/// `@type stdout`
pub static PLUGIN: Descriptor = Descriptor {
    params: &[Param::new(
        "use_logger",
        ParamKind::Bool,
        "Print to where the log goes; with false always to standard output",
    )
    .since("1.19")
    .default("true")],
    sections: &[SectionSpec::FORMAT, INJECT],
    compat: &[Compat::Inject, Compat::Formatter],
    buffer: BufferSupport::Optional(BufferDefaults {
        chunk_keys: &["tag"],
        params: &[("flush_at_shutdown", "true"), ("chunk_limit_size", "10k")],
    }),
    ..Descriptor::new(Kind::Output, "stdout", "Prints events", Build::Output(build))
};

struct Stdout {
    line: LineFormat,
    use_logger: bool,
    errors: ErrorEvents,
}

/// An event as a line.
struct LineFormat {
    event: EventFormat,
}

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<OutputPlugin, Diagnostic> {
    let stdout = Box::new(Stdout {
        line: LineFormat { event: EventFormat::from_params(params, "stdout", context)? },
        use_logger: params.bool("use_logger"),
        errors: context.errors.clone(),
    });
    Ok(match context.wants_buffer(params) {
        true => OutputPlugin::Buffered(stdout),
        false => OutputPlugin::Direct(stdout),
    })
}

impl Stdout {
    async fn print_stream(&self, stream: EventStream, receipt: &mut Receipt) -> Result<(), EmitError> {
        let mut text = Vec::with_capacity(stream.entries.len() * 2);
        let mut failed = Vec::new();
        for entry in Entries::new(&stream.entries) {
            let start = text.len();
            if let Err(error) = self.line.format(&stream.tag, entry.time, entry.record, &mut text) {
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
        let printed = blocking(|| self.print(&text));
        for event in failed {
            self.errors.emit(event, receipt).await;
        }
        printed.map_err(|error| EmitError::Failed {
            class: file_error_class(&error),
            message: format!("{error} @ out_stdout"),
        })
    }

    fn print(&self, text: &[u8]) -> io::Result<()> {
        if self.use_logger {
            telemetry::print_raw(text);
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(text)?;
        stdout.flush()
    }
}

impl Output for Stdout {
    fn emit<'a>(&'a self, stream: EventStream, receipt: &'a mut Receipt) -> EmitFuture<'a> {
        Box::pin(self.print_stream(stream, receipt))
    }
}

impl BufferedOutput for Stdout {
    fn formatter(&self) -> Option<&dyn ChunkFormatter> {
        Some(&self.line)
    }

    fn write<'a>(&'a self, chunk: &'a Chunk) -> WriteFuture<'a> {
        let write = || {
            let failed = |error: io::Error| {
                WriteError::retry(file_error_class(&error), format!("{error} @ out_stdout"))
            };
            self.print(&chunk.read().map_err(failed)?).map_err(failed)
        };
        Box::pin(async move { blocking(write) })
    }
}

impl ChunkFormatter for LineFormat {
    fn format(&self, tag: &Tag, time: Time, record: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
        let start = out.len();
        self.event.format(tag, time, record, out)?;
        // Ruby's chomp, then one line end.
        if out.len() > start && out.ends_with(b"\n") {
            out.pop();
        }
        if out.len() > start && out.ends_with(b"\r") {
            out.pop();
        }
        out.push(b'\n');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use logweir_engine::plugin::{Driver, Formatter};
    use std::sync::Arc;

    /// Prints the record's bytes as they are.
    struct Raw;

    impl Formatter for Raw {
        fn format(&self, _: &Tag, _: Time, record: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
            out.extend_from_slice(record);
            Ok(())
        }
    }

    #[test]
    fn a_line_has_one_end() {
        let line = LineFormat { event: EventFormat::new(None, Arc::new(Raw)) };
        for (text, expected) in
            [("a", "a\n"), ("a\n", "a\n"), ("a\r\n", "a\n"), ("a\n\n", "a\n\n"), ("a\r", "a\n"), ("", "\n")]
        {
            let mut out = b"before\n".to_vec();
            line.format(&"t".into(), Time::None, text.as_bytes(), &mut out).unwrap();
            assert_eq!(out, format!("before\n{expected}").as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn lines_have_time_and_tag_unless_another_format_is_configured() {
        let plugins = [&PLUGIN, &crate::formatter_stdout::PLUGIN, &crate::formatter_json::PLUGIN];
        let time = Time::Event(logweir_engine::event::EventTime { sec: 1_704_164_645, nsec: 7 });
        for (section, expected) in [
            ("", " a.b: {\"k\":1,\"t\":\"a.b\"}\n"),
            ("<format>\n@type json\n</format>", "{\"k\":1,\"t\":\"a.b\"}\n"),
            ("format json", "{\"k\":1,\"t\":\"a.b\"}\n"),
        ] {
            let text = format!(
                "<match **>\n@type stdout\n{section}\n<inject>\ntag_key t\n</inject>\n<buffer>\n</buffer>\n</match>"
            );
            let mut driver = Driver::new(&plugins);
            let params = driver.params(Kind::Output, &text).unwrap();
            let Ok(OutputPlugin::Buffered(output)) = build(&params, &mut driver.context()) else {
                panic!("not buffered");
            };
            let mut line = Vec::new();
            let format = BufferedOutput::formatter(&*output).unwrap();
            format.format(&"a.b".into(), time, b"\x81\xa1k\x01", &mut line).unwrap();
            let line = String::from_utf8(line).unwrap();
            assert!(line.ends_with(expected), "{line}");
            assert_eq!(line.contains(".000000007 "), section.is_empty(), "{line}");
        }
    }
}
