//! `@type parse_json_field`: a text that is a JSON object becomes fields (of OpenShift's cluster logging).
//!
//! The first of json_fields that a record has is looked at, and only that one. A text that is no JSON object stays as it is.

use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::json::{Dialect, ReadOptions, document_to_msgpack};
use logweir_engine::log_debug;
use logweir_engine::msgpack::{Event, Record, Value};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Filter, FilterContext, FilterError, FilterStep, Kind, Param, ParamKind,
    RecordFilter, Verdict,
};
use logweir_engine::telemetry::PluginLog;
use std::sync::Arc;

/// `@type parse_json_field`
pub static PLUGIN: Descriptor = Descriptor {
    params: &[
        Param::new(
            "merge_json_log",
            ParamKind::Bool,
            "Whether what is in the text becomes fields of the record",
        )
        .default("true"),
        Param::new("preserve_json_log", ParamKind::Bool, "Whether the text stays then").default("true"),
        Param::new(
            "replace_json_log",
            ParamKind::Bool,
            "Whether the object takes the place of the text, if not merged",
        )
        .default("false"),
        Param::new("json_fields", ParamKind::Array, "The fields that are looked at, until one is there")
            .default("MESSAGE,log"),
    ],
    ..Descriptor::new(
        Kind::Filter,
        "parse_json_field",
        "Makes fields of a text that is a JSON object",
        Build::Filter(build),
    )
};

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Box<dyn Filter>, Diagnostic> {
    let target = if params.bool("merge_json_log") {
        Target::Record { preserve: params.bool("preserve_json_log") }
    } else if params.bool("replace_json_log") {
        Target::Field
    } else {
        return Ok(Box::new(ParseJsonField(None)));
    };
    let fields = params.array("json_fields").unwrap_or_default();
    Ok(Box::new(ParseJsonField(Some(Arc::new(Merge { fields, target, log: context.log.clone() })))))
}

struct ParseJsonField(Option<Arc<Merge>>);

struct Merge {
    fields: Vec<String>,
    target: Target,
    log: PluginLog,
}

/// Where the object goes.
enum Target {
    /// Its fields come first, but those of the record count.
    Record {
        preserve: bool,
    },
    Field,
}

impl Filter for ParseJsonField {
    fn for_tag(&self, _tag: &Tag) -> FilterStep {
        match &self.0 {
            Some(merge) => FilterStep::Records(merge.clone()),
            None => FilterStep::Pass,
        }
    }

    fn takes_streams(&self) -> bool {
        true
    }
}

impl RecordFilter for Merge {
    fn filter<'a>(&self, event: &mut Event<'a>, context: &FilterContext<'a>) -> Result<Verdict, FilterError> {
        let Some(key) = self.fields.iter().find(|key| event.record.contains(key.as_bytes())) else {
            return Ok(Verdict::Keep);
        };
        let Some(text) = event.record.get(key.as_bytes()).and_then(Value::bytes) else {
            return Ok(Verdict::Keep);
        };
        let stripped = strip(text);
        if !(stripped.starts_with(b"{") && stripped.ends_with(b"}")) {
            return Ok(Verdict::Keep);
        }
        let standard = ReadOptions::default();
        // Within a record the object is one deeper than a record.
        let options = ReadOptions { dialect: Dialect::Json, depth: standard.depth - 1 };
        let mut raw = Vec::new();
        if let Err(error) = document_to_msgpack(stripped, &mut raw, options) {
            let text = String::from_utf8_lossy(stripped);
            log_debug!(
                self.log,
                format!("parse_json_field could not parse field [{key}] as JSON: value [{text}]"),
                error = error.to_string()
            );
            return Ok(Verdict::Keep);
        }
        let raw: &'a [u8] = context.arena.alloc_slice_copy(&raw);
        match self.target {
            Target::Record { preserve } => {
                let Ok(mut merged) = Record::decode(raw, context.arena) else { return Ok(Verdict::Keep) };
                for field in event.record.iter() {
                    merged.set_key(field.key, field.value.clone());
                }
                if !preserve {
                    merged.remove(key.as_bytes());
                }
                event.record = merged;
            }
            Target::Field => event.record.set_copied(key.as_bytes(), Value::Raw(raw)),
        }
        Ok(Verdict::Keep)
    }
}

/// As String#strip: white space on both sides, and NULs.
fn strip(text: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b'\t'..=b'\r' | b' ' | 0);
    let start = text.iter().take_while(|byte| blank(byte)).count();
    let end = text.len() - text[start..].iter().rev().take_while(|byte| blank(byte)).count();
    &text[start..end]
}

#[cfg(test)]
mod tests {
    use super::PLUGIN;
    use crate::testing::Routed;

    async fn parsed(text: &str, record: &str) -> String {
        let routed = Routed::new(&PLUGIN, text);
        routed.feed("t", &[(1, record)]).await;
        routed.seen().join(" ").trim_start_matches("t 1 ").to_owned()
    }

    #[tokio::test]
    async fn objects_become_fields() {
        let record = r#"{"log":" {\"a\":1,\"b\":{\"c\":[2]},\"x\":\"theirs\"}\n","x":"ours"}"#;
        assert_eq!(
            parsed("", record).await,
            r#"{"a":1,"b":{"c":[2]},"x":"ours","log":" {\"a\":1,\"b\":{\"c\":[2]},\"x\":\"theirs\"}\n"}"#
        );
        assert_eq!(parsed("preserve_json_log false", record).await, r#"{"a":1,"b":{"c":[2]},"x":"ours"}"#);
        assert_eq!(
            parsed("merge_json_log false\nreplace_json_log true", record).await,
            r#"{"log":{"a":1,"b":{"c":[2]},"x":"theirs"},"x":"ours"}"#
        );
        assert_eq!(parsed("merge_json_log false", record).await, record);
    }

    #[tokio::test]
    async fn only_the_first_field_that_is_there() {
        let record = r#"{"log":"{\"a\":1}","MESSAGE":"no json"}"#;
        assert_eq!(parsed("", record).await, record);
        assert_eq!(
            parsed("json_fields other,log\npreserve_json_log false", record).await,
            r#"{"a":1,"MESSAGE":"no json"}"#
        );
    }

    #[tokio::test]
    async fn what_is_no_object_stays() {
        for record in [
            r#"{"log":"{broken}"}"#,
            r#"{"log":"[1]"}"#,
            r#"{"log":5}"#,
            r#"{"log":null}"#,
            r#"{"log":"{\"a\":1} x"}"#,
            "{}",
        ] {
            assert_eq!(parsed("", record).await, record);
        }
    }
}
