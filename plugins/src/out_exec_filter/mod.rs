//! `@type exec_filter`: events go through a command that runs all the time, and what it prints goes on as events.
//!
//! ```text
//! chunk ─> the standard input of one of num_children commands
//!          what it prints ─> parser ─> tag and time ─> the label, or the pipeline that this <match> stands in
//! ```
//!
//! A chunk is done when it was written to a command. What the command has not yet answered is lost if the machine or Logweir ends
//! without a stop, and is repeated if writing failed in the middle: as with Fluentd's. At a stop the buffer is flushed (if
//! flush_at_shutdown says so), then the commands get the end of their input, and what they still print goes on.

mod children;
mod results;
#[cfg(test)]
mod tests;

use crate::printed::Shape;
use children::{Children, Respawn};
use futures_util::future::BoxFuture;
use logweir_engine::buffer::Chunk;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::msgpack::Time;
use logweir_engine::plugin::{
    BufferDefaults, BufferSupport, BufferedOutput, Build, BuildContext, ChunkFormatter, Compat, Descriptor,
    EXTRACT, EventFormat, Extract, FormatError, INJECT, Kind, OutputPlugin, Param, ParamKind, SectionDefault,
    SectionSpec, StartError, Status, WriteFuture,
};
use logweir_engine::time::TimeType;
use results::Results;
use std::sync::Arc;

/// `@type exec_filter`
pub static PLUGIN: Descriptor = Descriptor {
    params: &[
        Param::new("command", ParamKind::String, "The command, for /bin/sh").required(),
        Param::new(
            "remove_prefix",
            ParamKind::String,
            "What tags lose before they are injected, with the dot behind it",
        )
        .status(Status::Deprecated("use @label instead for event routing")),
        Param::new("add_prefix", ParamKind::String, "What extracted tags get in front, with a dot")
            .status(Status::Deprecated("use @label instead for event routing")),
        Param::new(
            "tag",
            ParamKind::String,
            "Tag of the events, unless <extract> has a tag_key that they have",
        ),
        Param::new("tag_key", ParamKind::String, "tag_key of both <inject> and <extract>")
            .status(Status::Deprecated("use 'tag_key' in <inject>/<extract> instead")),
        Param::new("time_key", ParamKind::String, "time_key of both <inject> and <extract>")
            .status(Status::Deprecated("use 'time_key' in <inject>/<extract> instead")),
        Param::new("time_format", ParamKind::String, "time_format of both <inject> and <extract>")
            .status(Status::Deprecated("use 'time_format' in <inject>/<extract> instead")),
        Param::new("read_block_size", ParamKind::Size, "Bytes that are read at once").default("10240"),
        Param::new("num_children", ParamKind::Integer, "How many commands run side by side").default("1"),
        Param::new(
            "child_respawn",
            ParamKind::String,
            "Whether a command that ends is started again: none (or 0), inf (or -1), or a number, which is as good as inf",
        ),
        Param::new(
            "suppress_error_log_interval",
            ParamKind::Time,
            "Seconds in which errors of events are logged once; 0 logs them all",
        )
        .default("0"),
    ],
    sections: &[
        SectionSpec { defaults: &[SectionDefault::new("time_type", Some("unixtime"))], ..INJECT },
        SectionSpec::FORMAT.default_type("tsv"),
        SectionSpec {
            default_type: Some("tsv"),
            defaults: &[
                SectionDefault::new("time_key", None),
                SectionDefault::new("estimate_current_event", Some("false")),
            ],
            always: true,
            ..SectionSpec::PARSE
        },
        EXTRACT,
    ],
    compat: &[Compat::ExecFilter, Compat::Buffer],
    buffer: BufferSupport::Always(BufferDefaults {
        chunk_keys: &[],
        params: &[("flush_mode", "interval"), ("flush_interval", "1")],
    }),
    ..Descriptor::new(
        Kind::Output,
        "exec_filter",
        "Sends events through a command and takes what it prints as events",
        Build::Output(build),
    )
};

/// More commands than this are a slip of the pen.
const CHILDREN_MAX: i64 = 1000;

struct ExecFilter {
    format: Lines,
    children: Arc<Children>,
}

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<OutputPlugin, Diagnostic> {
    // As for <parse>, a format means that times are texts.
    let by_format = params.section("extract").is_some_and(|section| section.is_set("time_format"));
    let extract = Extract::with_type(params, by_format.then_some(TimeType::String), &context.log)?;
    let tag = params.str("tag");
    if tag.is_none() && !extract.as_ref().is_some_and(Extract::has_tag) {
        let message = "'tag' or '<extract> tag_key </extract>' option is required on exec_filter output";
        return Err(params.error_here(message));
    }
    let count = params.int("num_children").unwrap_or(1);
    if !(1..=CHILDREN_MAX).contains(&count) {
        let message = format!("'num_children' must be between 1 and {CHILDREN_MAX}: {count}");
        return Err(params.error("num_children", message));
    }
    let respawn = Respawn::parse(params.str("child_respawn")).ok_or_else(|| {
        params.error(
            "child_respawn",
            "child_respawn option argument invalid: none(or 0), inf(or -1) or positive number",
        )
    })?;
    let parser = context.parser(params, Some("tsv"))?;
    let kind = params.section("parse").map_or("tsv", Params::plugin_type);
    let results = Results {
        shape: Shape::of(kind, &*parser),
        parser,
        extract,
        tag: tag.map(Tag::new),
        add_prefix: params.str("add_prefix").map(|prefix| format!("{prefix}.")),
        router: context.router(params),
        ledger: Arc::clone(context.errors.ledger()),
        block: params.size("read_block_size").and_then(|size| usize::try_from(size).ok()).unwrap_or(1).max(1),
        quiet: results::Quiet::new(params.time("suppress_error_log_interval").unwrap_or_default()),
        log: context.log.clone(),
    };
    let format = Lines {
        is_binary: params.section("format").is_some_and(|format| format.plugin_type() == "msgpack"),
        remove_prefix: params.str("remove_prefix").map(|prefix| format!("{prefix}.")),
        event: EventFormat::from_params(params, "tsv", context)?,
    };
    let count = usize::try_from(count).unwrap_or(1);
    let children = Children::new(params.string("command"), count, respawn, results);
    Ok(OutputPlugin::Buffered(Box::new(ExecFilter { format, children: Arc::new(children) })))
}

/// An event as a line, whatever the formatter does.
struct Lines {
    is_binary: bool,
    /// With its dot.
    remove_prefix: Option<String>,
    event: EventFormat,
}

impl Lines {
    fn tag(&self, tag: &Tag) -> Option<Tag> {
        let rest = tag.as_str().strip_prefix(self.remove_prefix.as_deref()?)?;
        Some(Tag::new(rest))
    }
}

impl ChunkFormatter for Lines {
    fn format(&self, tag: &Tag, time: Time, record: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
        let removed = self.tag(tag);
        self.event.format(removed.as_ref().unwrap_or(tag), time, record, out)?;
        if !self.is_binary {
            for end in [b'\n', b'\r'] {
                if out.last() == Some(&end) {
                    out.pop();
                } else if end == b'\n' {
                    break;
                }
            }
            out.push(b'\n');
        }
        Ok(())
    }
}

impl BufferedOutput for ExecFilter {
    fn formatter(&self) -> Option<&dyn ChunkFormatter> {
        Some(&self.format)
    }

    fn write<'a>(&'a self, chunk: &'a Chunk) -> WriteFuture<'a> {
        Box::pin(self.children.write(chunk))
    }

    fn start(&self) -> BoxFuture<'_, Result<(), StartError>> {
        Box::pin(async { self.children.start().await })
    }

    fn sends_on(&self) -> bool {
        true
    }

    fn drained(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.children.end())
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.children.end())
    }
}
