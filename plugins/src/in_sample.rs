//! `@type sample` (`dummy` of old): events out of nothing, at a rate.
//!
//! A second has ten ticks. Each brings a tenth of `rate`, rounded down, and the last one the remainder. A pipeline that
//! pushes back makes ticks late; what it held up is not made up for in a burst.

use futures_util::future::BoxFuture;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::delivery::Receipt;
use logweir_engine::event::{EventStream, EventTime, Tag};
use logweir_engine::json::{self, Dialect, JsonStyle, ReadOptions};
use logweir_engine::log_debug;
use logweir_engine::msgpack::{
    Kind as ValueKind, Reader, RecordView, Splicer, add_fields, write_event_time, write_i64, write_str,
};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Input, InputContext, Kind, Param, ParamKind, StartError, Status,
};
use std::time::Duration;
use tokio::time::Instant;

/// `@type sample`
pub static PLUGIN: Descriptor = Descriptor {
    aliases: &["dummy"],
    params: &[
        Param::new("tag", ParamKind::String, "Tag of the events").required(),
        Param::new("size", ParamKind::Integer, "Events in one stream").default("1"),
        Param::new("rate", ParamKind::Integer, "Streams a second").default("1"),
        Param::new("auto_increment_key", ParamKind::String, "Field that counts the events from 0"),
        Param::new("suspend", ParamKind::Bool, "Whether the count goes on after a restart; it never does")
            .default("false")
            .status(Status::WithoutEffect("Fluentd 1.16 ignores it too: the count begins at 0")),
        Param::new("reuse_record", ParamKind::Bool, "Whether Fluentd emits the same object again and again")
            .since("1.17")
            .default("false")
            .status(Status::WithoutEffect("events are bytes, which nothing downstream can change")),
        Param::new("sample", ParamKind::String, "The records, in turn: a JSON object or an array of them")
            .aliases(&["dummy"])
            .default(r#"{"message":"sample"}"#),
    ],
    ..Descriptor::new(Kind::Input, "sample", "Makes events up, at a rate", Build::Input(build))
};

/// Ticks in a second.
const TICKS: u32 = 10;

/// Events that are emitted together at most, however many a tick has: they are all in memory.
const EVENTS_MAX: u64 = 1000;

fn build(params: &Params, _: &mut BuildContext<'_>) -> Result<Box<dyn Input>, Diagnostic> {
    let records = records(&params.string("sample")).map_err(|message| params.error("sample", message))?;
    let key = params.str("auto_increment_key");
    let count = |name: &str| params.int(name).and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
    Ok(Box::new(Sample {
        tag: Tag::new(&params.string("tag")),
        size: count("size").max(1),
        rate: count("rate"),
        records: records.iter().map(|record| Template::new(record, key)).collect(),
    }))
}

/// The records of `sample` as raw maps.
fn records(text: &str) -> Result<Vec<Vec<u8>>, String> {
    let mut raw = Vec::new();
    let options = ReadOptions { dialect: Dialect::Json, ..ReadOptions::default() };
    json::document_to_msgpack(text.as_bytes(), &mut raw, options)
        .map_err(|error| format!("JSON::ParserError: {error}"))?;
    let mut reader = Reader::new(&raw);
    let is_array = reader.peek() == Ok(ValueKind::Array);
    let count = if is_array { reader.read_array_len().map_err(|error| error.to_string())? } else { 1 };
    if count == 0 {
        return Err("sample has no elements; give at least one JSON object".to_owned());
    }
    let mut records = Vec::with_capacity(count);
    for index in 0..count {
        let is_map = reader.peek() == Ok(ValueKind::Map);
        let record = reader.read_raw().map_err(|error| error.to_string())?;
        if !is_map {
            let mut shown = Vec::new();
            let _ = json::from_msgpack(record, &mut shown, JsonStyle::Oj);
            let shown = String::from_utf8_lossy(&shown).into_owned();
            return Err(format!("{index}th element of sample, {shown}, is not a hash"));
        }
        records.push(record.to_vec());
    }
    Ok(records)
}

struct Sample {
    tag: Tag,
    size: u64,
    rate: u64,
    records: Vec<Template>,
}

impl Input for Sample {
    fn start(&mut self, context: InputContext) -> BoxFuture<'_, Result<(), StartError>> {
        let generator = Generator {
            tag: self.tag.clone(),
            size: self.size,
            records: std::mem::take(&mut self.records),
            made: 0,
            context: context.clone(),
        };
        let rate = self.rate;
        Box::pin(async move {
            context.tasks.spawn(generator.run(rate));
            Ok(())
        })
    }
}

/// A record, and where its number goes.
enum Template {
    Fixed(Vec<u8>),
    /// The record with a field more, which has its key and lacks its value.
    Appended(Vec<u8>),
    /// The record has that field already, somewhere.
    Replaced(Vec<u8>, Vec<u8>),
}

impl Template {
    fn new(record: &[u8], key: Option<&str>) -> Self {
        let Some(key) = key else { return Self::Fixed(record.to_vec()) };
        if RecordView::new(record).get(key.as_bytes()).is_some() {
            return Self::Replaced(record.to_vec(), key.as_bytes().to_vec());
        }
        let mut appended = record.to_vec();
        add_fields(&mut appended, 0, |out| {
            write_str(out, key.as_bytes());
            1
        });
        Self::Appended(appended)
    }

    fn write(&self, number: i64, out: &mut Vec<u8>) {
        match self {
            Self::Fixed(record) => out.extend_from_slice(record),
            Self::Appended(record) => {
                out.extend_from_slice(record);
                write_i64(out, number);
            }
            Self::Replaced(record, key) => {
                let mut value = Vec::with_capacity(9);
                write_i64(&mut value, number);
                Splicer::new().set(key, &value).splice(record, out);
            }
        }
    }
}

struct Generator {
    tag: Tag,
    size: u64,
    records: Vec<Template>,
    /// Events made so far.
    made: u64,
    context: InputContext,
}

impl Generator {
    async fn run(mut self, rate: u64) {
        let stop = self.context.stop.clone();
        let (batch, rest) = (rate / u64::from(TICKS), rate % u64::from(TICKS));
        let tick = Duration::from_secs(1) / TICKS;
        let mut due = Instant::now();
        let mut number = 0;
        loop {
            number = (number + 1) % TICKS;
            let streams = if number == 0 { batch + rest } else { batch };
            self.emit(streams).await;
            // Ticks that have gone by are not made up for.
            due = (due + tick).max(Instant::now());
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(due) => {}
            }
        }
    }

    /// Emits as many streams, joined as far as memory allows: whoever reads them cannot tell.
    async fn emit(&mut self, streams: u64) {
        let mut left = streams.saturating_mul(self.size);
        while left > 0 && !self.context.stop.is_cancelled() {
            let count = left.min(EVENTS_MAX);
            left -= count;
            let mut entries = Vec::new();
            for _ in 0..count {
                entries.push(0x92);
                write_event_time(&mut entries, EventTime::now());
                let record = &self.records[(self.made % self.records.len() as u64) as usize];
                record.write(self.made as i64, &mut entries);
                self.made += 1;
            }
            let stream = EventStream::new(self.tag.clone(), entries.into(), count as usize);
            if let Err(error) = self.context.emit(stream, &mut Receipt::unwatched()).await {
                // The router has logged what is worth it; the next tick may fare better.
                log_debug!(
                    self.context.log,
                    "events that were made up are dropped",
                    count = count,
                    error = error.to_string()
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Behaviour, Pipeline, build_error, with_params};

    /// Runs the plugin until `count` events have come; answers their tags and records.
    async fn made(text: &str, count: usize) -> Vec<String> {
        let mut input = with_params(&PLUGIN, text, build).unwrap();
        let pipeline = Pipeline::new();
        input.start(pipeline.context.clone()).await.unwrap();
        let events = pipeline.sink.wait_for(count).await;
        pipeline.stop().await;
        events.iter().take(count).map(|(tag, entry)| shown(tag, entry)).collect()
    }

    fn shown(tag: &str, entry: &[u8]) -> String {
        let mut text = Vec::new();
        json::from_msgpack(&entry[11..], &mut text, JsonStyle::Oj).unwrap();
        format!("{tag} {}", String::from_utf8(text).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn records_come_in_turn_and_are_counted() {
        assert_eq!(
            made("tag s\nrate 20\nauto_increment_key n\nsample [{\"a\":1},{\"n\":5,\"a\":2},{}]", 5).await,
            [
                r#"s {"a":1,"n":0}"#,
                r#"s {"n":1,"a":2}"#,
                r#"s {"n":2}"#,
                r#"s {"a":1,"n":3}"#,
                r#"s {"n":4,"a":2}"#
            ]
        );
        assert_eq!(made("tag d\ndummy {\"x\":\"y\"}", 2).await, [r#"d {"x":"y"}"#, r#"d {"x":"y"}"#]);
        assert_eq!(made("tag s\nsize 3", 1).await, [r#"s {"message":"sample"}"#]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_that_of_streams_a_second() {
        for (parameters, expected) in [("rate 25", 75), ("rate 7\nsize 3", 63), ("rate 1", 3), ("rate 0", 0)]
        {
            let mut input = with_params(&PLUGIN, &format!("tag s\n{parameters}"), build).unwrap();
            let pipeline = Pipeline::new();
            input.start(pipeline.context.clone()).await.unwrap();
            // Tests' time goes on by itself: 30 ticks are three seconds.
            tokio::time::sleep(Duration::from_millis(2950)).await;
            assert_eq!(pipeline.stop().await.events().len(), expected, "{parameters}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pipeline_that_refuses_stops_nothing_and_one_that_blocks_brings_no_burst() {
        let mut input = with_params(&PLUGIN, "tag s\nrate 10", build).unwrap();
        let pipeline = Pipeline::new();
        pipeline.sink.behave(Behaviour::Refuse);
        input.start(pipeline.context.clone()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(450)).await;
        pipeline.sink.behave(Behaviour::Block);
        tokio::time::sleep(Duration::from_secs(60)).await;
        pipeline.sink.behave(Behaviour::Take);
        tokio::time::sleep(Duration::from_millis(450)).await;
        assert!((4..=6).contains(&pipeline.stop().await.events().len()));
    }

    #[test]
    fn mistakes() {
        let error = |text: &str| build_error(&PLUGIN, text).unwrap_or_default();
        assert!(error("").contains("'tag' parameter is required"));
        assert!(error("tag s\nsample [{\"a\":1},5]").contains("1th element of sample, 5, is not a hash"));
        assert!(error("tag s\nsample []").contains("sample has no elements"));
        assert!(error("tag s\nsample nonsense").contains("JSON::ParserError"));
    }
}
