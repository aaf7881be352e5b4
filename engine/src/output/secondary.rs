//! The output that takes over what the primary cannot write.

use super::keys::ChunkKeys;
use crate::config::{Diagnostic, Params};
use crate::log_warn;
use crate::plugin::{BufferedOutput, Build, BuildContext, Kind, OutputPlugin};
use crate::telemetry::PluginLog;
use std::sync::Arc;

/// A `<secondary>`.
pub(crate) struct Secondary {
    pub output: Box<dyn BufferedOutput>,
    /// Whether it is of the primary's type: what the one refuses the other will refuse too.
    pub same_type: bool,
}

/// Whether `owner` has a `<secondary>`.
pub(crate) fn is_configured(owner: &Params) -> bool {
    owner.element().sections("secondary").next().is_some()
}

/// Builds the `<secondary>` of `owner`, if there is one. It sees chunks of the primary: their keys are `keys`, and their
/// bytes are what the primary's formatter made.
pub(crate) fn build(
    owner: &Params,
    keys: &Arc<ChunkKeys>,
    primary: &dyn BufferedOutput,
    context: &mut BuildContext<'_>,
) -> Result<Option<Secondary>, Diagnostic> {
    let Some(element) = owner.element().sections("secondary").next() else { return Ok(None) };
    for inner in ["buffer", "secondary"] {
        if let Some(section) = element.sections(inner).next() {
            let message = format!("<secondary> section cannot have <{inner}> section");
            return Err(Diagnostic::error(message).at(&section.span));
        }
    }
    let primary_type = owner.plugin_type().to_owned();
    let params = owner.plugin_section("secondary", Kind::Output, Some(&primary_type), context.registry)?;
    let Some(descriptor) = context.registry.find(Kind::Output, params.plugin_type()) else {
        return Err(params.unknown_plugin(Kind::Output, context.registry));
    };
    let Build::Output(build) = descriptor.build else { return Err(params.error_here("not an output")) };
    let id = context.shared.identify(&params)?;
    let log = PluginLog::new(id.configured.then(|| id.text.clone()), params.log_level())
        .in_worker(context.system.worker_id);
    let mut inner = BuildContext {
        id,
        log,
        system: context.system,
        registry: context.registry,
        errors: context.errors.clone(),
        shared: &mut *context.shared,
        secondary_of: Some(Arc::clone(keys)),
    };
    let OutputPlugin::Buffered(output) = build(&params, &mut inner)? else {
        let message =
            format!("secondary plugin '{}' must support buffering, but doesn't.", class(descriptor.name));
        return Err(params.error_here(message));
    };
    let same_type = descriptor.name == primary_type;
    let formats = primary.formatter().is_some() || output.formatter().is_some();
    if descriptor.name != "secondary_file" && !same_type && formats {
        log_warn!(
            context.log,
            "Use different plugin for secondary. Check the plugin works with primary like secondary_file",
            primary = class(&primary_type),
            secondary = class(descriptor.name)
        );
    }
    Ok(Some(Secondary { output, same_type }))
}

/// The class that Fluentd has for an output type: `secondary_file` is `Fluent::Plugin::SecondaryFileOutput`.
pub(crate) fn class(name: &str) -> String {
    let mut class = String::from("Fluent::Plugin::");
    for word in name.split('_') {
        let mut chars = word.chars();
        class.extend(chars.next().map(|c| c.to_ascii_uppercase()));
        class.push_str(chars.as_str());
    }
    class.push_str("Output");
    class
}

#[cfg(test)]
mod tests {
    #[test]
    fn classes_are_named_as_fluentd_names_them() {
        assert_eq!(super::class("secondary_file"), "Fluent::Plugin::SecondaryFileOutput");
    }
}
