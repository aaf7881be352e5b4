//! `@type record_modifier` as an output: the same edits as the filter, and a new tag, which may depend on the record.

use crate::modifier::{FieldValue, Modifier, PARAMS, RemoveKeys, SECTIONS, expression_failed};
use bumpalo::Bump;
use bytes::Bytes;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::delivery::{EmitError, Receipt};
use logweir_engine::event::{EventStream, Tag};
use logweir_engine::expr::{RecordScope, TagNames};
use logweir_engine::msgpack::{Entries, Event};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, EmitFuture, FilterError, Kind, LabelRef, Output, OutputPlugin, Param,
    ParamKind,
};
use logweir_engine::route::{ErrorEvent, ErrorEvents};

/// `@type record_modifier`
pub static PLUGIN: Descriptor = Descriptor {
    params: &Param::join::<1, 4, 5>(
        [Param::new("tag", ParamKind::String, "The new tag, in which ${...} is a Ruby expression")
            .required()],
        PARAMS,
    ),
    sections: SECTIONS,
    ..Descriptor::new(
        Kind::Output,
        "record_modifier",
        "Sets, removes and replaces fields, with Ruby expressions, and changes the tag",
        Build::Output(build),
    )
};

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<OutputPlugin, Diagnostic> {
    let modifier = Modifier::from_params(params, context, RemoveKeys::Names)?;
    let tag = FieldValue::parse("tag", &params.string("tag"), modifier.fields().prepared(), params)?;
    let (router, errors) = (context.router(params), context.errors.clone());
    Ok(OutputPlugin::Direct(Box::new(RecordModifier { modifier, tag, router, errors })))
}

struct RecordModifier {
    modifier: Modifier,
    tag: FieldValue,
    router: LabelRef,
    errors: ErrorEvents,
}

/// The events of a new tag.
struct Retagged {
    tag: Tag,
    entries: Vec<u8>,
    count: usize,
}

impl RecordModifier {
    async fn take(&self, stream: EventStream, receipt: &mut Receipt) -> Result<(), EmitError> {
        let (retagged, failed) = self.modify(&stream);
        for event in failed {
            self.errors.emit(event, receipt).await;
        }
        for Retagged { tag, entries, count } in retagged {
            self.router.emit(EventStream::new(tag, entries.into(), count), receipt).await?;
        }
        Ok(())
    }

    fn modify(&self, stream: &EventStream) -> (Vec<Retagged>, Vec<ErrorEvent>) {
        let names = TagNames::new(&stream.tag);
        let mut retagged: Vec<Retagged> = Vec::new();
        let mut failed = Vec::new();
        let mut arena = Bump::new();
        for entry in Entries::new(&stream.entries) {
            match self.modified(&stream.tag, &names, &entry, &arena) {
                Ok((tag, event)) => {
                    let at = match retagged.iter().position(|other| other.tag.as_str() == tag) {
                        Some(at) => at,
                        None => {
                            retagged.push(Retagged { tag: Tag::new(&tag), entries: Vec::new(), count: 0 });
                            retagged.len() - 1
                        }
                    };
                    event.encode(&mut retagged[at].entries);
                    retagged[at].count += 1;
                }
                Err(error) => failed.push(ErrorEvent {
                    tag: stream.tag.clone(),
                    time: entry.time,
                    record: Bytes::copy_from_slice(entry.record),
                    class: error.class.to_owned(),
                    message: error.message,
                }),
            }
            arena.reset();
        }
        (retagged, failed)
    }

    fn modified<'a>(
        &self,
        tag: &'a Tag,
        names: &TagNames,
        entry: &logweir_engine::msgpack::Entry<'a>,
        arena: &'a Bump,
    ) -> Result<(String, Event<'a>), FilterError> {
        let mut event = Event::decode(tag, entry, arena).map_err(|error| {
            crate::modifier::raised("NoMethodError", format!("the record is not a map: {error}"))
        })?;
        self.modifier.modify(names, &mut event, arena)?;
        let new_tag = match &self.tag {
            FieldValue::Nil => String::new(),
            FieldValue::Text(text) => text.clone(),
            FieldValue::Expression(expression) => {
                let time = event.time.to_event_time().unwrap_or_default();
                let scope = RecordScope::new(
                    names,
                    time,
                    &event.record,
                    self.modifier.host(),
                    expression.mutates(),
                    arena,
                )
                .with_prepared(self.modifier.fields().prepared());
                let outcome = scope.evaluate(expression).map_err(|error| expression_failed(&error))?;
                let text = scope.text(outcome).map_err(|error| expression_failed(&error))?;
                String::from_utf8_lossy(text).into_owned()
            }
        };
        Ok((new_tag, event))
    }
}

impl Output for RecordModifier {
    fn emit<'a>(&'a self, stream: EventStream, receipt: &'a mut Receipt) -> EmitFuture<'a> {
        Box::pin(self.take(stream, receipt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Routed;

    #[tokio::test]
    async fn events_get_a_new_tag_and_new_fields() {
        let text = "tag foo.${record[\"field1\"]}\n<record>\nfoo bar\n</record>\nremove_keys a.b";
        let routed = Routed::new(&PLUGIN, text);
        routed
            .feed(
                "test",
                &[(1, r#"{"field1":"x","a.b":1}"#), (2, r#"{"field1":"y"}"#), (3, r#"{"field1":"x"}"#)],
            )
            .await;
        assert_eq!(
            routed.seen(),
            [
                r#"foo.x 1 {"field1":"x","foo":"bar"}"#,
                r#"foo.x 3 {"field1":"x","foo":"bar"}"#,
                r#"foo.y 2 {"field1":"y","foo":"bar"}"#,
            ]
        );
    }

    #[tokio::test]
    async fn a_tag_may_be_fixed_and_a_label_may_be_named() {
        let routed = Routed::new(&PLUGIN, "@label @NEXT\ntag fixed\nwhitelist_keys a");
        routed.feed("test", &[(1, r#"{"a":1,"b":2}"#)]).await;
        assert_eq!(routed.seen(), [r#"@NEXT fixed 1 {"a":1}"#]);
    }

    #[tokio::test]
    async fn an_event_without_a_tag_is_an_error_event() {
        let routed = Routed::new(&PLUGIN, "tag ${record['a'].upcase}");
        routed.feed("test", &[(1, r#"{"a":"x"}"#), (2, r#"{"a":1}"#)]).await;
        assert_eq!(routed.seen(), [r#"@ERROR test 2 {"a":1}"#, r#"X 1 {"a":"x"}"#]);
    }
}
