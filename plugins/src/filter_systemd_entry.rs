//! `@type systemd_entry`: gives the fields of journal entries other names. See [`crate::systemd_entry`].

use crate::systemd_entry::{ENTRY_PARAMS, Mutator};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::msgpack::Event;
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Filter, FilterContext, FilterError, FilterStep, Kind, RecordFilter,
    Verdict,
};
use std::sync::Arc;

/// `@type systemd_entry`
pub static PLUGIN: Descriptor = Descriptor {
    params: &ENTRY_PARAMS,
    ..Descriptor::new(
        Kind::Filter,
        "systemd_entry",
        "Gives the fields of journal entries other names",
        Build::Filter(build),
    )
};

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Box<dyn Filter>, Diagnostic> {
    let mutator = Mutator::new(params, &context.log)?;
    Ok(Box::new(SystemdEntry((!mutator.is_idle()).then(|| Arc::new(mutator)))))
}

struct SystemdEntry(Option<Arc<Mutator>>);

impl Filter for SystemdEntry {
    fn for_tag(&self, _: &Tag) -> FilterStep {
        match &self.0 {
            Some(mutator) => FilterStep::Records(mutator.clone()),
            None => FilterStep::Pass,
        }
    }
}

impl RecordFilter for Mutator {
    fn filter<'a>(&self, event: &mut Event<'a>, _: &FilterContext<'a>) -> Result<Verdict, FilterError> {
        self.change(&mut event.record);
        Ok(Verdict::Keep)
    }
}

#[cfg(test)]
mod tests {
    use super::PLUGIN;
    use crate::testing::Routed;

    async fn changed(text: &str, record: &str) -> String {
        let routed = Routed::new(&PLUGIN, text);
        routed.feed("t", &[(1, record)]).await;
        routed.seen().join(" ").trim_start_matches("t 1 ").to_owned()
    }

    const ENTRY: &str = r#"{"_UID":"0","PRIORITY":"5","_PID":"141","_COMM":"login","_EXE":"/bin/login","MESSAGE":"ROOT LOGIN ON tty1","_CMDLINE":"login -- root"}"#;
    const MAP: &str =
        r#"field_map {"_PID":["msg","_PID"],"MESSAGE":"msg","_COMM":"_EXE","_CMDLINE":"command"}"#;

    #[tokio::test]
    async fn names_as_the_original_gives_them() {
        assert_eq!(changed("", ENTRY).await, ENTRY);
        assert_eq!(
            changed(MAP, ENTRY).await,
            r#"{"msg":"141 ROOT LOGIN ON tty1","_PID":"141","_EXE":"/bin/login login","command":"login -- root","_UID":"0","PRIORITY":"5"}"#
        );
        assert_eq!(
            changed(&format!("{MAP}\nfield_map_strict true"), ENTRY).await,
            r#"{"msg":"141 ROOT LOGIN ON tty1","_PID":"141","_EXE":"login","command":"login -- root"}"#
        );
        assert_eq!(
            changed(
                "fields_strip_underscores true\nfields_lowercase true",
                r#"{"__A":1,"B_":2,"_":3,"É":4}"#
            )
            .await,
            r#"{"a":1,"b_":2,"":3,"é":4}"#
        );
    }

    #[tokio::test]
    async fn names_that_meet_are_joined() {
        let strip = "fields_strip_underscores true";
        assert_eq!(changed(strip, r#"{"_PID":"1","PID":"2","__PID":3}"#).await, r#"{"PID":"3 2 1"}"#);
        assert_eq!(changed(strip, r#"{"_A":null,"B":null,"A":"x"}"#).await, r#"{"A":"x ","B":""}"#);
        assert_eq!(
            changed("field_map a:x,b:x,c:x", r#"{"c":2,"a":{"k":1},"b":null}"#).await,
            r#"{"x":"{\"k\"=>1} 2"}"#
        );
        assert_eq!(changed("field_map_strict true", r#"{"a":1}"#).await, "{}");
        assert_eq!(
            changed("field_map log:log,logger:logger", r#"{"log":1,"logger":2}"#).await,
            r#"{"log":1,"logger":2}"#
        );
    }

    #[test]
    fn mistakes() {
        for text in ["field_map {\"a\":1}", "field_map {\"a\":[\"b\",2]}", "field_map {\"a\":[]}"] {
            let error = Routed::try_new(&PLUGIN, text).err().unwrap();
            assert_eq!(error, "`field_map` values must be strings or an array of strings");
        }
    }
}
