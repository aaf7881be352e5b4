//! `@type buffer` (Fluentd 1.18): keeps events in a file buffer, and sends them on from there.

use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::output::Reemit;
use logweir_engine::plugin::{
    BufferDefaults, BufferSupport, Build, BuildContext, Descriptor, Kind, OutputPlugin,
};

/// `@type buffer`
pub static PLUGIN: Descriptor = Descriptor {
    buffer: BufferSupport::Always(BufferDefaults {
        chunk_keys: &["tag"],
        params: &[("@type", "file"), ("flush_mode", "interval"), ("flush_interval", "10")],
    }),
    ..Descriptor::new(
        Kind::Output,
        "buffer",
        "Keeps events in a file buffer, and sends them on to the <label> that @label names",
        Build::Output(build),
    )
};

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<OutputPlugin, Diagnostic> {
    if params.label().is_none() {
        return Err(params
            .error_here("'@label' parameter is required")
            .help("name the <label> that events go on to; without one they would come back here"));
    }
    let to = context.router(params);
    Ok(OutputPlugin::Buffered(Box::new(Reemit::new(to, context))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use logweir_engine::plugin::Driver;

    #[test]
    fn it_needs_a_label_to_go_on_to() {
        let directive = |label: &str| {
            format!("<match **>\n@type buffer\n{label}\n<buffer>\npath /no/such\n</buffer>\n</match>")
        };
        let mut driver = Driver::new(&[&PLUGIN]);
        driver.output(&directive("@label @X")).unwrap();
        assert!(driver.shared.labels.contains_key("@X"));
        let error = driver.output(&directive("")).err().unwrap();
        assert_eq!(error.message(), "'@label' parameter is required");
    }
}
