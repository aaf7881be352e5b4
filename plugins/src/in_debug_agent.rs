//! `@type debug_agent`, `@type gc_stat` and `@type object_space`: they look into a Ruby process, and here is none. They are accepted, so
//! that a configuration need not be changed, and say once that they do nothing.

use futures_util::future::BoxFuture;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::log_warn;
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Input, InputContext, Kind, Param, ParamKind, StartError, Status,
};

const NO_RUBY: Status = Status::WithoutEffect("there is no Ruby process to look into");

/// `@type debug_agent`
pub static PLUGIN: Descriptor = Descriptor {
    params: &[
        Param::new("bind", ParamKind::String, "Address that Fluentd's listens on")
            .default("0.0.0.0")
            .status(NO_RUBY),
        Param::new("port", ParamKind::Integer, "Port that Fluentd's listens on")
            .default("24230")
            .status(NO_RUBY),
        Param::new("unix_path", ParamKind::String, "Unix socket that Fluentd's listens on instead")
            .status(NO_RUBY),
        Param::new("object", ParamKind::String, "The Ruby object that Fluentd's serves")
            .default("Fluent::Engine")
            .status(NO_RUBY),
    ],
    ..Descriptor::new(
        Kind::Input,
        "debug_agent",
        "Does nothing: a debugger of Ruby processes",
        Build::Input(debug_agent),
    )
};

/// `@type gc_stat`
pub static GC_STAT: Descriptor = Descriptor {
    params: &[
        Param::new("emit_interval", ParamKind::Time, "Seconds between events of Fluentd's")
            .default("60")
            .status(NO_RUBY),
        Param::new("use_symbol_keys", ParamKind::Bool, "How Fluentd's names its fields")
            .default("true")
            .status(NO_RUBY),
        Param::new("tag", ParamKind::String, "Tag of the events of Fluentd's").required(),
    ],
    ..Descriptor::new(
        Kind::Input,
        "gc_stat",
        "Does nothing: numbers of Ruby's garbage collector",
        Build::Input(gc_stat),
    )
};

/// `@type object_space`
pub static OBJECT_SPACE: Descriptor = Descriptor {
    params: &[
        Param::new("emit_interval", ParamKind::Time, "Seconds between events of Fluentd's")
            .default("60")
            .status(NO_RUBY),
        Param::new("tag", ParamKind::String, "Tag of the events of Fluentd's").required(),
        Param::new("top", ParamKind::Integer, "How many classes Fluentd's lists")
            .default("15")
            .status(NO_RUBY),
    ],
    ..Descriptor::new(
        Kind::Input,
        "object_space",
        "Does nothing: numbers of Ruby's objects",
        Build::Input(object_space),
    )
};

fn debug_agent(_: &Params, _: &mut BuildContext<'_>) -> Result<Box<dyn Input>, Diagnostic> {
    let instead = "it serves Ruby objects to a Ruby debugger, and Logweir is no Ruby program; SIGCONT writes what it does to a \
                   file, and monitor_agent shows it by HTTP";
    Ok(Box::new(Nothing { name: "debug_agent", instead, tag: None }))
}

fn gc_stat(params: &Params, _: &mut BuildContext<'_>) -> Result<Box<dyn Input>, Diagnostic> {
    let instead = "its events are of Ruby's garbage collector, and Logweir has none";
    Ok(Box::new(Nothing { name: "gc_stat", instead, tag: params.str("tag").map(str::to_owned) }))
}

fn object_space(params: &Params, _: &mut BuildContext<'_>) -> Result<Box<dyn Input>, Diagnostic> {
    let instead = "its events are of the objects of a Ruby process, and Logweir has none";
    Ok(Box::new(Nothing { name: "object_space", instead, tag: params.str("tag").map(str::to_owned) }))
}

struct Nothing {
    name: &'static str,
    instead: &'static str,
    /// Of the events that Fluentd's would emit.
    tag: Option<String>,
}

impl Input for Nothing {
    fn start(&mut self, context: InputContext) -> BoxFuture<'_, Result<(), StartError>> {
        Box::pin(async move {
            let mut message = format!("'{}' does nothing here: {}", self.name, self.instead);
            if let Some(tag) = &self.tag {
                message.push_str(&format!("; no event comes with the tag {tag}"));
            }
            log_warn!(context.log, message);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Pipeline, build_error, with_params};

    #[tokio::test]
    async fn they_start_and_do_nothing() {
        for (descriptor, text) in [
            (&PLUGIN, "bind 127.0.0.1\nport 24230"),
            (&PLUGIN, "unix_path /nonexistent/sock\nobject Foo"),
            (&GC_STAT, "tag gc\nemit_interval 1s"),
            (&OBJECT_SPACE, "tag o\ntop 3"),
        ] {
            let Build::Input(build) = descriptor.build else { panic!("not an input") };
            let mut input = with_params(descriptor, text, build).unwrap();
            let pipeline = Pipeline::new();
            input.start(pipeline.context.clone()).await.unwrap();
            assert!(pipeline.stop().await.events().is_empty());
        }
        assert!(build_error(&GC_STAT, "").unwrap().contains("'tag' parameter is required"));
    }
}
