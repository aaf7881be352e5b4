//! `@type exec`: events out of what a command prints, run once or at an interval.
//!
//! | part | what it does |
//! |---|---|
//! | [`process`] | the command: started, read, ended with its children |
//! | [`crate::printed`] | what it prints -> the texts that the parser reads |

mod process;
#[cfg(test)]
mod tests;

use crate::printed::Shape;
use futures_util::future::BoxFuture;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::plugin::{
    Build, BuildContext, Compat, Descriptor, EXTRACT, Extract, Input, InputContext, Kind, Param, ParamKind,
    SectionDefault, SectionSpec, StartError,
};
use logweir_engine::time::TimeType;
use process::{Command, run};

/// `@type exec` in a `<source>`.
pub static PLUGIN: Descriptor = Descriptor {
    params: &[
        Param::new("command", ParamKind::String, "The command, for /bin/sh").required(),
        Param::new(
            "connect_mode",
            ParamKind::Enum(&["read", "read_with_stderr"]),
            "Whether its standard error is read too, or thrown away",
        )
        .default("read"),
        Param::new(
            "tag",
            ParamKind::String,
            "Tag of the events, unless <extract> has a tag_key that they have",
        ),
        Param::new(
            "run_interval",
            ParamKind::Time,
            "Seconds between the starts of the command; without it, it is started once",
        ),
        Param::new("read_block_size", ParamKind::Size, "Bytes that are read at once").default("10240"),
        Param::new(
            "encoding",
            ParamKind::String,
            "Encoding of what it prints; without it texts are byte arrays",
        )
        .since("1.18"),
    ],
    sections: &[
        SectionSpec {
            default_type: Some("tsv"),
            defaults: &[
                SectionDefault::new("time_type", Some("float")).unless("time_format"),
                SectionDefault::new("time_key", None),
                SectionDefault::new("estimate_current_event", Some("false")),
            ],
            always: true,
            ..SectionSpec::PARSE
        },
        EXTRACT,
    ],
    compat: &[Compat::Extract, Compat::Parser],
    ..Descriptor::new(Kind::Input, "exec", "Runs a command and reads what it prints", Build::Input(build))
};

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Box<dyn Input>, Diagnostic> {
    Ok(Box::new(Exec(Some(configured(params, context)?))))
}

fn configured(params: &Params, context: &mut BuildContext<'_>) -> Result<Command, Diagnostic> {
    // As for <parse>, a format means that times are texts.
    let by_format = params.section("extract").is_some_and(|section| section.is_set("time_format"));
    let extract = Extract::with_type(params, by_format.then_some(TimeType::String), &context.log)?;
    let tag = params.str("tag");
    if tag.is_none() && !extract.as_ref().is_some_and(Extract::has_tag) {
        return Err(params.error_here("'tag' or 'tag_key' option is required on exec input"));
    }
    let interval = params.time("run_interval");
    if interval.is_some_and(|interval| interval.is_zero()) {
        return Err(params.error("run_interval", "'run_interval' must be more than 0"));
    }
    let encoding = match params.str("encoding") {
        None => None,
        Some(name) => Some(
            encoding_rs::Encoding::for_label(name.as_bytes())
                .ok_or_else(|| params.error("encoding", format!("unknown encoding name - {name}")))?,
        ),
    };
    let parser = context.parser(params, Some("tsv"))?;
    let kind = params.section("parse").map_or("tsv", Params::plugin_type);
    Ok(Command {
        text: params.string("command"),
        with_stderr: params.word("connect_mode") == Some("read_with_stderr"),
        interval,
        block: params.size("read_block_size").and_then(|size| usize::try_from(size).ok()).unwrap_or(1).max(1),
        shape: Shape::of(kind, &*parser),
        encoding,
        parser,
        extract,
        tag: tag.map(Tag::new),
    })
}

struct Exec(Option<Command>);

impl Input for Exec {
    fn start(&mut self, context: InputContext) -> BoxFuture<'_, Result<(), StartError>> {
        Box::pin(async move {
            if let Some(command) = self.0.take() {
                let tasks = context.tasks.clone();
                tasks.spawn(run(command, context));
            }
            Ok(())
        })
    }
}
