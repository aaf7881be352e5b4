//! `@type relabel`: goes on in another `<label>`.

use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::delivery::Receipt;
use logweir_engine::event::EventStream;
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, EmitFuture, Kind, LabelRef, Output, OutputPlugin,
};

/// `@type relabel`
pub static PLUGIN: Descriptor = Descriptor::new(
    Kind::Output,
    "relabel",
    "Sends events to the <label> that @label names",
    Build::Output(build),
);

struct Relabel {
    label: LabelRef,
}

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<OutputPlugin, Diagnostic> {
    let Some(name) = params.label() else {
        return Err(params
            .error_here("'@label' parameter is required")
            .help("name the <label> that events go to, such as `@label @STORE`"));
    };
    Ok(OutputPlugin::Direct(Box::new(Relabel { label: context.label(name) })))
}

impl Output for Relabel {
    fn emit<'a>(&'a self, stream: EventStream, receipt: &'a mut Receipt) -> EmitFuture<'a> {
        Box::pin(self.label.emit(stream, receipt))
    }

    fn hands_on(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use logweir_engine::plugin::Driver;

    #[test]
    fn the_label_is_asked_for() {
        let mut driver = Driver::new(&[&PLUGIN]);
        driver.output("<match **>\n@type relabel\n@label @X\n</match>").unwrap();
        assert!(driver.shared.labels.contains_key("@X"));
    }

    #[test]
    fn without_a_label_there_is_nowhere_to_go() {
        let error = Driver::new(&[&PLUGIN]).output("<match **>\n@type relabel\n</match>").err().unwrap();
        assert_eq!(error.message(), "'@label' parameter is required");
    }
}
