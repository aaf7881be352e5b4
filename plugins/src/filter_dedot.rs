//! `@type dedot`: no dots in the names of fields (fluent-plugin-dedot_filter 1.0).
//!
//! With `de_dot false` the original's filter answers nothing, which drops every event; here events then pass.

use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::msgpack::{Event, Key, Record, Value};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Filter, FilterContext, FilterError, FilterStep, Kind, Param, ParamKind,
    RecordFilter, Verdict,
};
use std::sync::Arc;

/// `@type dedot`
pub static PLUGIN: Descriptor = Descriptor {
    params: &[
        Param::new("de_dot", ParamKind::Bool, "Whether names are changed").default("true"),
        Param::new("de_dot_separator", ParamKind::String, "What a dot becomes").default("_"),
        Param::new(
            "de_dot_nested",
            ParamKind::Bool,
            "Whether hashes in fields and in their arrays are changed too",
        )
        .default("false"),
    ],
    ..Descriptor::new(Kind::Filter, "dedot", "Replaces dots in the names of fields", Build::Filter(build))
};

fn build(params: &Params, _context: &mut BuildContext<'_>) -> Result<Box<dyn Filter>, Diagnostic> {
    let separator = params.string("de_dot_separator");
    let is_on = params.bool("de_dot");
    if is_on && separator.contains('.') {
        let message = "Invalid de_dot_separator: cannot be or contain '.'";
        return Err(params.error("de_dot_separator", message));
    }
    let names = Names { separator, nested: params.bool("de_dot_nested") };
    Ok(Box::new(Dedot(is_on.then(|| Arc::new(names)))))
}

struct Dedot(Option<Arc<Names>>);

struct Names {
    separator: String,
    nested: bool,
}

impl Filter for Dedot {
    fn for_tag(&self, _tag: &Tag) -> FilterStep {
        match &self.0 {
            Some(names) => FilterStep::Records(names.clone()),
            None => FilterStep::Pass,
        }
    }
}

impl RecordFilter for Names {
    fn filter<'a>(&self, event: &mut Event<'a>, _: &FilterContext<'a>) -> Result<Verdict, FilterError> {
        self.change(&mut event.record);
        Ok(Verdict::Keep)
    }
}

impl Names {
    fn change(&self, record: &mut Record<'_>) {
        let arena = record.arena();
        let has_dot = |key: &Key<'_>| key.name().is_some_and(|name| memchr::memchr(b'.', name).is_some());
        if self.nested {
            for field in record.iter_mut() {
                match field.value.open(arena) {
                    Value::Map(map) => self.change(map),
                    Value::Array(items) => {
                        for item in items.iter_mut() {
                            if let Value::Map(map) = item.open(arena) {
                                self.change(map);
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
        if !record.iter().any(|field| has_dot(&field.key)) {
            return;
        }
        let mut changed = Record::new(arena);
        for field in record.iter() {
            let key = match field.key {
                Key::Str(name) | Key::Bin(name) if has_dot(&field.key) => {
                    let parts: Vec<&[u8]> = name.split(|byte| *byte == b'.').collect();
                    let name = arena.alloc_slice_copy(&parts.join(self.separator.as_bytes()));
                    if matches!(field.key, Key::Bin(_)) { Key::Bin(name) } else { Key::Str(name) }
                }
                key => key,
            };
            // Two names may have become one: the later value counts, at the earlier place.
            changed.set_key(key, field.value.clone());
        }
        *record = changed;
    }
}

#[cfg(test)]
mod tests {
    use super::PLUGIN;
    use crate::testing::Routed;

    async fn dedotted(text: &str, record: &str) -> String {
        let routed = Routed::new(&PLUGIN, text);
        routed.feed("t", &[(1, record)]).await;
        routed.seen().join(" ").trim_start_matches("t 1 ").to_owned()
    }

    #[tokio::test]
    async fn names() {
        let record = r#"{"a.b":1,"c":{"d.e":[{"f.g":1},[{"h.i":2}],"x.y"]},"a..z.":2}"#;
        assert_eq!(
            dedotted("", record).await,
            r#"{"a_b":1,"c":{"d.e":[{"f.g":1},[{"h.i":2}],"x.y"]},"a__z_":2}"#
        );
        assert_eq!(
            dedotted("de_dot_nested true\nde_dot_separator ->", record).await,
            r#"{"a->b":1,"c":{"d->e":[{"f->g":1},[{"h.i":2}],"x.y"]},"a->->z->":2}"#
        );
        assert_eq!(dedotted("de_dot false", record).await, record);
        assert_eq!(dedotted("", r#"{"a_b":1,"x":2,"a.b":3}"#).await, r#"{"a_b":3,"x":2}"#);
    }

    #[test]
    fn a_separator_with_a_dot_is_refused() {
        let refused = Routed::try_new(&PLUGIN, "de_dot_separator _._").err().unwrap();
        assert_eq!(refused, "Invalid de_dot_separator: cannot be or contain '.'");
        assert!(Routed::try_new(&PLUGIN, "de_dot_separator .\nde_dot false").is_ok());
    }
}
