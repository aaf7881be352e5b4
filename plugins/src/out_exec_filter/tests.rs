//! Real commands.

use super::{PLUGIN, build};
use crate::testing::{Behaviour, Sink, build_error, with_params};
use bytes::Bytes;
use logweir_engine::buffer::{Chunk, Metadata};
use logweir_engine::event::{EventTime, Tag};
use logweir_engine::json::{self, JsonStyle, ReadOptions};
use logweir_engine::msgpack::{Entries, Time};
use logweir_engine::plugin::{BufferedOutput, Driver, Kind, OutputPlugin, WriteError};
use logweir_engine::route::{Collector, ErrorEvents, Router, TagPatterns};
use logweir_engine::telemetry::PluginLog;
use std::sync::Arc;
use std::time::Duration;

struct Running {
    output: Box<dyn BufferedOutput>,
    sink: Sink,
    _router: Arc<Router>,
}

impl Running {
    async fn start(text: &str) -> Self {
        let text = format!("<match **>\n@type exec_filter\n{text}\n</match>");
        let mut driver = Driver::new(crate::PLUGINS);
        let params = driver.params(Kind::Output, &text).unwrap_or_else(|error| panic!("{}", error.message()));
        let built =
            build(&params, &mut driver.context()).unwrap_or_else(|error| panic!("{}", error.message()));
        let OutputPlugin::Buffered(output) = built else { panic!("not buffered") };
        let sink = Sink::default();
        let rules =
            vec![(TagPatterns::parse("**").expect("a pattern"), Collector::Output(Arc::new(sink.clone())))];
        let errors = ErrorEvents::new(PluginLog::program(), Duration::ZERO);
        let router = Router::new(rules, errors, PluginLog::program(), false);
        for reference in driver.shared.labels.values() {
            reference.connect(&router);
        }
        output.start().await.unwrap();
        Self { output, sink, _router: router }
    }

    /// Formats events (tag, seconds, record) and writes them as one chunk.
    async fn write(&self, events: &[(&str, i64, &str)]) -> Result<(), WriteError> {
        let mut text = Vec::new();
        for (tag, sec, record) in events {
            let mut raw = Vec::new();
            json::to_msgpack(record.as_bytes(), &mut raw, ReadOptions::default()).unwrap();
            let formatter = self.output.formatter().unwrap();
            formatter
                .format(&Tag::new(tag), Time::Event(EventTime::from_secs(*sec)), &raw, &mut text)
                .unwrap();
        }
        let chunk = Chunk::in_memory(Metadata::default(), Bytes::from(text), events.len()).into_formatted();
        self.output.write(&chunk).await
    }

    async fn events(&self, count: usize) -> Vec<String> {
        self.sink.wait_for(count).await.iter().map(|(tag, entry)| shown(tag, entry)).collect()
    }

    async fn stop(self) -> Vec<String> {
        tokio::time::timeout(Duration::from_secs(60), self.output.drained()).await.expect("an end");
        self.sink.events().iter().map(|(tag, entry)| shown(tag, entry)).collect()
    }
}

fn shown(tag: &str, entry: &[u8]) -> String {
    let entry = Entries::new(entry).next().unwrap();
    let time = entry.time.to_event_time().unwrap();
    let now = EventTime::now().sec;
    let time = if (now - 60..=now).contains(&time.sec) { "now".to_owned() } else { time.sec.to_string() };
    let mut text = format!("{tag} {time} ").into_bytes();
    json::from_msgpack(entry.record, &mut text, JsonStyle::Oj).unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn events_go_through_the_command() {
    let text = "command sed -u 's/a/b/'\ntag out\n<inject>\ntag_key tag\ntime_key time\n</inject>\n\
                <format>\nkeys time,tag,m\n</format>\n<parse>\nkeys time,tag,m\n</parse>\n\
                <extract>\ntag_key tag\ntime_key time\ntime_type unixtime\n</extract>";
    let running = Running::start(text).await;
    running.write(&[("x.y", 1_500_000_000, r#"{"m":"banana"}"#), ("x.z", 2, r#"{"m":"c"}"#)]).await.unwrap();
    assert_eq!(running.events(2).await, [r#"x.y 1500000000 {"m":"bbnana"}"#, r#"x.z 2 {"m":"c"}"#]);
    running.write(&[("x", 3, r#"{"m":"a"}"#)]).await.unwrap();
    assert_eq!(running.stop().await.len(), 3, "what the command still has comes at the end");
}

#[tokio::test]
async fn json_and_messagepack_both_ways() {
    for kind in ["json", "msgpack"] {
        let text =
            format!("command cat\ntag t\n<format>\n@type {kind}\n</format>\n<parse>\n@type {kind}\n</parse>");
        let running = Running::start(&text).await;
        running.write(&[("x", 1, r#"{"a":{"b":[1,"é"]}}"#), ("x", 2, r#"{"a":2}"#)]).await.unwrap();
        assert_eq!(running.stop().await, [r#"t now {"a":{"b":[1,"é"]}}"#, r#"t now {"a":2}"#]);
    }
}

#[tokio::test]
async fn old_spellings() {
    let text = "command cat\nin_keys time,tag,m\nout_keys time,tag,m\ntag_key tag\ntime_key time\n\
                time_format %Y-%m-%dT%H:%M:%S\nremove_prefix a\nadd_prefix z\nflush_interval 0.1s";
    let running = Running::start(text).await;
    let day = 86400 * 366;
    running.write(&[("a.b", day, r#"{"m":"1"}"#), ("ab", day, r#"{"m":"2"}"#)]).await.unwrap();
    let seen = running.stop().await;
    assert_eq!(seen, [format!(r#"z.b {day} {{"m":"1"}}"#), format!(r#"z.ab {day} {{"m":"2"}}"#)]);
    let text = "command cat\nin_format json\nout_format json\nin_tag_key t\nout_tag_key t";
    let running = Running::start(text).await;
    running.write(&[("a.b", 5, r#"{"m":1}"#)]).await.unwrap();
    assert_eq!(running.stop().await, [r#"a.b now {"m":1}"#]);
}

#[tokio::test]
async fn children_take_turns() {
    let text = "command while read l; do echo \"$l $$\"; done\nnum_children 3\ntag t\n\
                <format>\n@type single_value\nmessage_key m\n</format>\n<parse>\n@type none\n</parse>";
    let running = Running::start(text).await;
    for n in 0..6 {
        running.write(&[("x", 1, &format!(r#"{{"m":"{n}"}}"#))]).await.unwrap();
    }
    let events = running.stop().await;
    let pids: std::collections::HashSet<&str> =
        events.iter().map(|event| event.rsplit(' ').next().unwrap()).collect();
    assert_eq!((events.len(), pids.len()), (6, 3), "{events:?}");
}

#[tokio::test]
async fn a_child_that_ends_is_started_again_if_that_is_wanted() {
    let text = "command head -n 1\ntag t\n<format>\n@type single_value\nmessage_key m\n</format>\n\
                <parse>\n@type none\n</parse>";
    let running = Running::start(&format!("{text}\nchild_respawn inf")).await;
    let mut written = 0;
    for _ in 0..2000 {
        let done = running.write(&[("x", 1, r#"{"m":"a"}"#)]).await;
        written += usize::from(done.is_ok());
        if running.sink.events().len() >= 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(written >= 3);
    assert!(running.stop().await.len() >= 3);
    let running = Running::start(text).await;
    running.write(&[("x", 1, r#"{"m":"a"}"#)]).await.unwrap();
    running.events(1).await;
    for _ in 0..2000 {
        if let Err(WriteError::Retry { message, .. }) = running.write(&[("x", 1, r#"{"m":"b"}"#)]).await
            && message == "no healthy child processes exist"
        {
            assert_eq!(running.stop().await.len(), 1);
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody noticed that the child has ended");
}

#[tokio::test]
async fn what_cannot_be_read_is_said_and_the_rest_goes_on() {
    let text = "command cat\nsuppress_error_log_interval 10s\n<format>\n@type single_value\nmessage_key m\n</format>\n\
                <parse>\n@type regexp\nexpression /^(?<tag>\\w+) (?<t>\\S+)$/\n</parse>\n\
                <extract>\ntag_key tag\ntime_key t\ntime_type string\ntime_format %Y\n</extract>";
    let running = Running::start(text).await;
    let lines = ["a 1971", "no match here", "b notime", "c 1972"];
    for line in lines {
        running.write(&[("x", 1, &format!(r#"{{"m":"{line}"}}"#))]).await.unwrap();
    }
    assert_eq!(running.stop().await, ["a 31536000 {}", "c 63072000 {}"]);
}

#[tokio::test]
async fn a_full_buffer_behind_it_is_waited_for() {
    let text = "command cat\ntag t\n<format>\n@type json\n</format>\n<parse>\n@type json\n</parse>";
    let running = Running::start(text).await;
    running.sink.behave(Behaviour::Refuse);
    running.write(&[("x", 1, r#"{"a":1}"#)]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(running.sink.events().is_empty());
    running.sink.behave(Behaviour::Take);
    assert_eq!(running.events(1).await, [r#"t now {"a":1}"#]);
    running.stop().await;
}

#[test]
fn lines_end_with_one_newline() {
    let output = |text: &str| {
        let text = format!("command cat\ntag t\n<parse>\n@type none\n</parse>\n{text}");
        with_params(&PLUGIN, &text, build).unwrap()
    };
    for (format, expected) in [
        ("@type json", &b"{\"a\":\"x\"}\n"[..]),
        ("@type single_value\nmessage_key a", b"x\n"),
        ("@type single_value\nmessage_key a\nadd_newline false", b"x\n"),
        ("@type ltsv\nnewline crlf", b"a:x\n"),
        ("@type msgpack", b"\x81\xa1a\xa1x"),
    ] {
        let OutputPlugin::Buffered(output) = output(&format!("<format>\n{format}\n</format>")) else {
            panic!()
        };
        let mut out = Vec::new();
        output
            .formatter()
            .unwrap()
            .format(&Tag::new("t"), Time::Int(0), b"\x81\xa1a\xa1x", &mut out)
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(expected), "{format}");
    }
}

#[test]
fn mistakes() {
    let formats = "<format>\nkeys a\n</format>\n<parse>\nkeys a\n</parse>";
    for (text, message) in [
        ("tag t", "'command' parameter is required"),
        ("command cat", "'tag' or '<extract> tag_key </extract>' option is required on exec_filter output"),
        ("command cat\ntag t\nnum_children 0", "'num_children' must be between 1 and 1000: 0"),
        ("command cat\ntag t\nchild_respawn often", "child_respawn option argument invalid"),
    ] {
        let error = build_error(&PLUGIN, &format!("{text}\n{formats}")).unwrap_or_default();
        assert!(error.contains(message), "{text}: {error}");
    }
    assert_eq!(
        build_error(&PLUGIN, &format!("command cat\n<extract>\ntag_key t\n</extract>\n{formats}")),
        None
    );
}
