//! `@type copy`: gives each event to several outputs, in order.

use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::delivery::{EmitError, Receipt};
use logweir_engine::event::EventStream;
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, EmitFuture, Kind, Output, OutputPlugin, Param, ParamKind, SectionSpec,
    Status, Store,
};
use logweir_engine::telemetry::{Account, Ledger, PluginLog, Shown};
use logweir_engine::{log_debug, log_error, log_warn};
use std::sync::Arc;

/// `@type copy`
pub static PLUGIN: Descriptor = Descriptor {
    params: &[
        Param::new("deep_copy", ParamKind::Bool, "The same as copy_mode shallow")
            .default("false")
            .status(Status::WithoutEffect(NO_COPIES)),
        Param::new(
            "copy_mode",
            ParamKind::Enum(&["no_copy", "shallow", "deep", "marshal"]),
            "Which copies of records the outputs get",
        )
        .default("no_copy")
        .status(Status::WithoutEffect(NO_COPIES)),
    ],
    sections: &[SectionSpec {
        required: true,
        repeated: true,
        plugin: Some(Kind::Output),
        ..SectionSpec::new("store", "An output; the argument may be ignore_error or ignore_if_prev_success")
    }],
    ..Descriptor::new(Kind::Output, "copy", "Gives each event to several outputs", Build::Output(build))
};

const NO_COPIES: &str = "no output sees what another one does to an event, with any value";

struct Copy {
    stores: Vec<Target>,
    log: PluginLog,
    ledger: Arc<Ledger>,
}

struct Target {
    output: Arc<dyn Output>,
    id: Arc<str>,
    ignore_error: bool,
    ignore_if_prev_success: bool,
}

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<OutputPlugin, Diagnostic> {
    let mut stores = Vec::new();
    for Store { params: section, output, id } in context.stores(params)? {
        let (ignore_error, ignore_if_prev_success) =
            (section.arg().contains("ignore_error"), section.arg().contains("ignore_if_prev_success"));
        if stores.is_empty() && ignore_if_prev_success {
            let message = "ignore_if_prev_success must specify 2nd or later <store> directives";
            return Err(section.error_here(message));
        }
        stores.push(Target { output, id, ignore_error, ignore_if_prev_success });
    }
    if stores.iter().all(|store| store.ignore_error)
        && !stores.iter().any(|store| store.ignore_if_prev_success)
    {
        log_warn!(
            context.log,
            "ignore_errors are specified in all <store>, but ignore_if_prev_success is not specified. Is this \
             intended?"
        );
    }
    let (log, ledger) = (context.log.clone(), Arc::clone(context.errors.ledger()));
    Ok(OutputPlugin::Direct(Box::new(Copy { stores, log, ledger })))
}

impl Copy {
    async fn copy(&self, stream: EventStream, receipt: &mut Receipt) -> Result<(), EmitError> {
        let mut previous = false;
        let mut is_copy = false;
        for (index, store) in self.stores.iter().enumerate() {
            if previous && store.ignore_if_prev_success {
                log_debug!(
                    self.log,
                    format!("ignore copy because prev_success in {}", store.id),
                    index = index
                );
                previous = false; // not run, so not a success for the next one
                continue;
            }
            if std::mem::replace(&mut is_copy, true) {
                self.ledger.add(Account::Copied, stream.count as u64);
            }
            let result = store.output.emit(stream.clone(), receipt).await;
            previous = result.is_ok();
            match result {
                Err(error) if store.ignore_error => {
                    self.ledger.add(Account::DroppedIgnored, receipt.take_refused());
                    log_error!(
                        self.log,
                        format!("ignore emit error in {}", store.id),
                        error_class = Shown(error.class()),
                        error = error.to_string()
                    );
                }
                result => result?,
            }
        }
        Ok(())
    }
}

impl Output for Copy {
    fn emit<'a>(&'a self, stream: EventStream, receipt: &'a mut Receipt) -> EmitFuture<'a> {
        Box::pin(self.copy(stream, receipt))
    }

    fn has(&self, receipt: &Receipt) -> bool {
        self.stores.iter().any(|store| store.output.has(receipt))
    }

    fn hands_on(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::out_null;
    use logweir_engine::plugin::Driver;
    use std::sync::atomic::Ordering::Relaxed;

    fn driver() -> Driver {
        Driver::new(&[&PLUGIN, &out_null::PLUGIN])
    }

    /// Stores by argument and whether they work; answers how many streams each was given, and whether the emit worked.
    async fn emit(stores: &[(&str, bool)]) -> (Vec<u64>, bool) {
        let mut text = "<match **>\n@type copy\n".to_owned();
        for (arg, works) in stores {
            text.push_str(&format!("<store {arg}>\n@type null\nnever_flush {}\n</store>\n", !works));
        }
        let mut driver = driver();
        let output = driver.output(&format!("{text}</match>")).unwrap();
        let stream = EventStream::new("t".into(), (&b"\x92\x01\x80"[..]).into(), 1);
        let worked = output.emit(stream, &mut Receipt::unwatched()).await.is_ok();
        let given = |index: usize| {
            driver.shared.outputs[index].output.status().unwrap().counters.emit_count.load(Relaxed)
        };
        ((0..stores.len()).map(given).collect(), worked)
    }

    #[tokio::test]
    async fn stores_get_events_in_order_until_one_fails() {
        assert_eq!(emit(&[("", true), ("", true)]).await, (vec![1, 1], true));
        assert_eq!(emit(&[("", false), ("", true)]).await, (vec![1, 0], false));
        assert_eq!(emit(&[("ignore_error", false), ("", true)]).await, (vec![1, 1], true));
    }

    #[tokio::test]
    async fn ignore_if_prev_success_is_a_fallback() {
        assert_eq!(
            emit(&[("", true), ("ignore_if_prev_success", true), ("", true)]).await,
            (vec![1, 0, 1], true)
        );
        let chain = [
            ("ignore_error", false),
            ("ignore_error ignore_if_prev_success", false),
            ("ignore_if_prev_success", true),
        ];
        assert_eq!(emit(&chain).await, (vec![1, 1, 1], true));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let message = |text: &str| driver().output(text).err().unwrap().message().to_owned();
        assert_eq!(
            message("<match **>\n@type copy\n<store ignore_if_prev_success>\n@type null\n</store>\n</match>"),
            "ignore_if_prev_success must specify 2nd or later <store> directives"
        );
        assert_eq!(
            message("<match **>\n@type copy\n<store>\n</store>\n</match>"),
            "Missing '@type' parameter in <store> section"
        );
    }
}
