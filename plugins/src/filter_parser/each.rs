//! What Fluentd from 1.17 on makes of records: every event that a parser finds in the text is one of its own, and a record whose
//! parser raises goes to `@ERROR` only.

use super::{OUTPUT, Parsed, Settings, Source};
use bumpalo::Bump;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use logweir_engine::delivery::Receipt;
use logweir_engine::event::{EventStream, Tag};
use logweir_engine::msgpack::{Entries, Entry, Event};
use logweir_engine::plugin::{AfterError, FilterContext, FilterError, StreamFilter, Verdict};
use logweir_engine::route::{ErrorEvent, ErrorEvents};
use std::sync::Arc;

/// See the module.
pub(super) struct Each {
    pub(super) settings: Arc<Settings>,
    pub(super) errors: ErrorEvents,
}

impl StreamFilter for Each {
    fn filter<'a>(&'a self, stream: EventStream, receipt: &'a mut Receipt) -> BoxFuture<'a, EventStream> {
        Box::pin(async move {
            let (mut out, mut count, mut failed) = (Vec::with_capacity(stream.entries.len()), 0, Vec::new());
            {
                let mut arena = Bump::new();
                for entry in Entries::new(&stream.entries) {
                    count += self.entry(&stream.tag, &entry, &arena, &mut out, &mut failed);
                    arena.reset();
                }
            }
            for event in failed {
                self.errors.emit(event, receipt).await;
            }
            EventStream::new(stream.tag, out.into(), count)
        })
    }
}

impl Each {
    /// Appends what becomes of an entry, and answers how many events that is.
    fn entry(
        &self,
        tag: &Tag,
        entry: &Entry<'_>,
        arena: &Bump,
        out: &mut Vec<u8>,
        failed: &mut Vec<ErrorEvent>,
    ) -> usize {
        let mut fail = |class: &str, message: String| {
            failed.push(ErrorEvent {
                tag: tag.clone(),
                time: entry.time,
                record: Bytes::copy_from_slice(entry.record),
                class: class.to_owned(),
                message,
            });
        };
        let mut event = match Event::decode(tag, entry, arena) {
            Ok(event) => event,
            Err(error) => {
                fail("NoMethodError", format!("the record is not a map: {error}"));
                return 0;
            }
        };
        let context = FilterContext { arena, tag };
        let settings = &*self.settings;
        let (mut count, mut further) = (0, 0);
        let verdict = match settings.source(&event) {
            Source::None => Some(settings.missing(&mut event, &context)),
            Source::NoText if settings.is_json => {
                let message = format!("pattern not matched with data in {}", settings.key_name);
                Some(settings.unmatched(&mut event, &context, message))
            }
            Source::NoText => Some(settings.no_text()),
            Source::Text(text) => OUTPUT.with_borrow_mut(|output| {
                let parsed = settings.parse(text, output);
                for index in 0..output.entries().len() {
                    let mut found = event.clone();
                    settings.parsed(&mut found, &context, output, index);
                    found.encode(out);
                    count += 1;
                }
                further = output.unmatched().saturating_sub(1);
                match parsed {
                    Parsed::Event | Parsed::Nothing(_) => None,
                    Parsed::Unmatched(message) => Some(settings.unmatched(&mut event, &context, message)),
                    Parsed::Raised(message) => Some(settings.raised(message)),
                }
            }),
        };
        let goes_on = match verdict {
            None | Some(Ok(Verdict::Drop)) => false,
            Some(Ok(Verdict::Keep)) => true,
            Some(Err(FilterError { class, message, then })) => {
                for _ in 0..further {
                    fail(class, message.clone());
                }
                fail(class, message);
                then == AfterError::Keep
            }
        };
        if goes_on {
            event.encode(out);
            count += 1;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use logweir_engine::config::FluentdVersion;
    use logweir_engine::json::{self, JsonStyle, ReadOptions};
    use logweir_engine::msgpack::{Time, write_entry};
    use logweir_engine::plugin::{Build, Driver, FilterStep, Kind};

    /// What goes on of a record, and how many error events there are.
    async fn filtered(options: &str, parse: &str, record: &str) -> (Vec<String>, u64) {
        let text =
            format!("<filter>\n@type parser\nkey_name m\n{options}\n<parse>\n{parse}\n</parse>\n</filter>");
        let mut driver = Driver::new(crate::PLUGINS);
        driver.system.follows = FluentdVersion::V1_19;
        let params = driver.params(Kind::Filter, &text).unwrap();
        let Build::Filter(build) = super::super::PLUGIN.build else { panic!("a filter") };
        let filter = build(&params, &mut driver.context()).unwrap();
        assert!(filter.takes_streams());
        let FilterStep::Stream(each) = filter.for_tag(&Tag::new("t")) else { panic!("a stream filter") };
        let (mut raw, mut entries) = (Vec::new(), Vec::new());
        json::to_msgpack(record.as_bytes(), &mut raw, ReadOptions::default()).unwrap();
        write_entry(&mut entries, Time::Int(7), None, &raw);
        let stream = EventStream::new(Tag::new("t"), entries.into(), 1);
        let out = each.filter(stream, &mut Receipt::unwatched()).await;
        let shown: Vec<String> = Entries::new(&out.entries)
            .map(|entry| {
                let mut text = Vec::new();
                json::from_msgpack(entry.record, &mut text, JsonStyle::Oj).unwrap();
                String::from_utf8(text).unwrap()
            })
            .collect();
        assert_eq!(shown.len(), out.count);
        (shown, driver.errors.count())
    }

    #[tokio::test]
    async fn each_object_of_an_array_is_an_event() {
        let two = r#"{"m":"[{\"a\":1},{\"a\":2}]","z":3}"#;
        assert_eq!(
            filtered("", "@type json", two).await,
            (vec![r#"{"a":1}"#.to_owned(), r#"{"a":2}"#.to_owned()], 0)
        );
        let (shown, errors) =
            filtered("reserve_data true\nremove_key_name_field true", "@type json", two).await;
        assert_eq!((shown, errors), (vec![r#"{"z":3,"a":1}"#.to_owned(), r#"{"z":3,"a":2}"#.to_owned()], 0));
        let mixed = r#"{"m":"[{\"a\":1},5,{\"a\":2}]"}"#;
        let (shown, errors) = filtered("", "@type json", mixed).await;
        assert_eq!((shown.len(), errors), (2, 1));
        assert_eq!(filtered("", "@type json", r#"{"m":"[1,\"x\"]"}"#).await, (Vec::new(), 2));
        assert_eq!(filtered("", "@type json", r#"{"m":"[]"}"#).await, (Vec::new(), 0));
    }

    #[tokio::test]
    async fn what_raises_goes_to_error_only() {
        let parse = "@type json\ntime_key ts\ntime_type string\ntime_format %iso8601";
        let bad = r#"{"m":"{\"ts\":\"nonsense\"}"}"#;
        assert_eq!(filtered("reserve_data true", parse, bad).await, (Vec::new(), 1));
        assert_eq!(
            filtered("reserve_data true\nemit_invalid_record_to_error false", parse, bad).await,
            (Vec::new(), 0)
        );
    }

    #[tokio::test]
    async fn what_does_not_match_is_as_it_was() {
        let text = |text: &str| text.to_owned();
        for (options, record, expected) in [
            ("", r#"{"m":"x"}"#, (vec![], 1)),
            ("reserve_data true", r#"{"m":"x"}"#, (vec![text(r#"{"m":"x"}"#)], 1)),
            ("reserve_data true", r#"{"n":1}"#, (vec![text(r#"{"n":1}"#)], 1)),
            ("emit_invalid_record_to_error false", r#"{"m":"x"}"#, (vec![], 0)),
            ("", r#"{"m":5}"#, (vec![], 1)),
            ("reserve_data true", r#"{"m":5}"#, (vec![text(r#"{"m":5}"#)], 1)),
        ] {
            assert_eq!(filtered(options, "@type json", record).await, expected, "{options} {record}");
        }
        let parse = "@type regexp\nexpression /(?<a>.)/";
        assert_eq!(filtered("reserve_data true", parse, r#"{"m":5}"#).await, (vec![], 1));
    }
}
