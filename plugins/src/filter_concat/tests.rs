//! The cases of the original plugin's README, and what its code does beyond them.

use super::PLUGIN;
use super::joiner::{HELD_BYTES_MAX, Joiner};
use super::settings::Settings;
use crate::testing::{Routed, with_params};
use logweir_engine::event::{EventTime, Tag};
use logweir_engine::msgpack::{Entries, Time, write_entry, write_map_len, write_str};
use std::time::Duration;
use tokio::time::Instant;

/// What comes out of messages, each with its own time: 1, 2, ...
async fn joined(text: &str, messages: &[&str]) -> Vec<String> {
    let routed = Routed::new(&PLUGIN, &format!("key message\n{text}"));
    for (at, message) in messages.iter().enumerate() {
        let record = format!("{{\"n\":{at},\"message\":\"{message}\"}}");
        routed.feed("t", &[(at as i64 + 1, &record)]).await;
    }
    routed.seen()
}

#[tokio::test]
async fn a_number_of_lines() {
    assert_eq!(
        joined("n_lines 2", &["a", "b", "c", "d", "e"]).await,
        [r#"t 2 {"n":0,"message":"a\nb"}"#, r#"t 4 {"n":2,"message":"c\nd"}"#]
    );
    assert_eq!(
        joined("n_lines 2\nseparator \" \"\nuse_first_timestamp true", &["a", "b"]).await,
        [r#"t 1 {"n":0,"message":"a b"}"#]
    );
}

#[tokio::test]
async fn a_first_line() {
    assert_eq!(
        joined("multiline_start_regexp /^Start/", &["x", "Start", "1", "2", "Start", "3"]).await,
        [r#"t 1 {"n":0,"message":"x"}"#, r#"t 5 {"n":1,"message":"Start\n1\n2"}"#]
    );
    assert_eq!(
        joined(
            "multiline_start_regexp /^Start/\ncontinuous_line_regexp /^ /",
            &["Start", " 1", "x", " 2", "Start", "Start"]
        )
        .await,
        [
            r#"t 3 {"n":0,"message":"Start\n 1"}"#,
            r#"t 3 {"n":2,"message":"x"}"#,
            r#"t 4 {"n":3,"message":" 2"}"#,
            r#"t 6 {"n":4,"message":"Start"}"#,
        ]
    );
}

#[tokio::test]
async fn a_last_line() {
    assert_eq!(
        joined("multiline_end_regexp /;$/\nseparator \"\"", &["a", "b;", "c;", "d"]).await,
        [r#"t 2 {"n":0,"message":"ab;"}"#, r#"t 3 {"n":2,"message":"c;"}"#]
    );
    assert_eq!(
        joined(
            "multiline_start_regexp /^</\nmultiline_end_regexp />$/",
            &["x", "<a>", "<b", "c>", "<d", "<e>"]
        )
        .await,
        [
            r#"t 1 {"n":0,"message":"x"}"#,
            r#"t 2 {"n":1,"message":"<a>"}"#,
            r#"t 4 {"n":2,"message":"<b\nc>"}"#,
            r#"t 6 {"n":4,"message":"<d"}"#,
            r#"t 6 {"n":5,"message":"<e>"}"#,
        ]
    );
}

#[tokio::test]
async fn fields_are_those_of_the_first_part_and_those_that_only_the_last_has() {
    let routed = Routed::new(&PLUGIN, "key message\nn_lines 2");
    let events =
        [(1, r#"{"a":1,"message":"x"}"#), (2, r#"{"message":"y","b":2,"a":3}"#), (3, r#"{"other":1}"#)];
    routed.feed("t", &events).await;
    assert_eq!(routed.seen(), [r#"t 2 {"message":"x\ny","b":2,"a":1}"#, r#"t 3 {"other":1}"#]);
}

#[tokio::test]
async fn streams_are_kept_apart() {
    let routed = Routed::new(&PLUGIN, "key message\nn_lines 2\nstream_identity_key id");
    let event = |id: &str, message: &str| format!(r#"{{"id":{id},"message":"{message}"}}"#);
    routed.feed("t", &[(1, &event("1", "a")), (2, &event("2", "b"))]).await;
    routed.feed("u", &[(3, &event("1", "c"))]).await;
    routed.feed("t", &[(4, &event("\"1\"", "d"))]).await;
    assert_eq!(routed.seen(), [r#"t 4 {"id":1,"message":"a\nd"}"#]);
}

#[tokio::test]
async fn docker_parts() {
    let text = "key log\npartial_key partial_message\npartial_value true\nseparator \"\"";
    let events = [
        (1, r#"{"log":"a","partial_message":"true"}"#),
        (2, r#"{"log":"b","partial_message":"true"}"#),
        (3, r#"{"log":"other"}"#),
        (4, r#"{"log":"c","partial_message":"false"}"#),
    ];
    let routed = Routed::new(&PLUGIN, text);
    routed.feed("t", &events).await;
    assert_eq!(routed.seen(), [r#"t 3 {"log":"other"}"#, r#"t 4 {"log":"abc"}"#]);
    let routed = Routed::new(&PLUGIN, &format!("{text}\nkeep_partial_key true\nuse_first_timestamp true"));
    routed.feed("t", &events).await;
    assert_eq!(routed.seen(), [r#"t 3 {"log":"other"}"#, r#"t 1 {"log":"abc","partial_message":"false"}"#]);
}

#[tokio::test]
async fn docker_metadata() {
    let part = |names: [&str; 4], id: &str, ordinal: &str, last: &str, log: &str| {
        let [message, id_key, ordinal_key, last_key] = names;
        format!(
            r#"{{"log":"{log}","{message}":"true","{id_key}":"{id}","{ordinal_key}":"{ordinal}","{last_key}":"{last}"}}"#
        )
    };
    for (format, names) in [
        ("docker-fluentd", ["partial_message", "partial_id", "partial_ordinal", "partial_last"]),
        (
            "docker-journald",
            [
                "CONTAINER_PARTIAL_MESSAGE",
                "CONTAINER_PARTIAL_ID",
                "CONTAINER_PARTIAL_ORDINAL",
                "CONTAINER_PARTIAL_LAST",
            ],
        ),
        (
            "docker-journald-lowercase",
            [
                "container_partial_message",
                "container_partial_id",
                "container_partial_ordinal",
                "container_partial_last",
            ],
        ),
    ] {
        let text =
            format!("key log\nuse_partial_metadata true\npartial_metadata_format {format}\nseparator \"\"");
        let routed = Routed::new(&PLUGIN, &text);
        // Two texts at once, and parts that come in another order than they are in.
        for (id, ordinal, last, log) in [
            ("x", "2", "false", "b"),
            ("y", "1", "false", "1"),
            ("x", "1", "false", "a"),
            ("x", "10", "true", "c"),
        ] {
            routed.feed("t", &[(1, &part(names, id, ordinal, last, log))]).await;
        }
        routed.feed("t", &[(2, r#"{"log":"whole"}"#)]).await;
        assert_eq!(routed.seen(), [r#"t 1 {"log":"abc"}"#, r#"t 2 {"log":"whole"}"#], "{format}");
        let routed = Routed::new(&PLUGIN, &format!("{text}\nkeep_partial_metadata true"));
        let one = part(names, "x", "1", "true", "a");
        routed.feed("t", &[(1, &one)]).await;
        assert_eq!(routed.seen(), [format!("t 1 {one}")]);
    }
}

#[tokio::test]
async fn cri_parts() {
    let text = "key message\nuse_partial_cri_logtag true\npartial_cri_logtag_key logtag\nseparator \"\"\n\
                stream_identity_key stream";
    let events = [
        (1, r#"{"stream":"stdout","logtag":"P","message":"a"}"#),
        (2, r#"{"stream":"stderr","logtag":"F","message":"e"}"#),
        (3, r#"{"stream":"stdout","logtag":"P","message":"b"}"#),
        (4, r#"{"stream":"stdout","logtag":"F:x","message":"c"}"#),
        (5, r#"{"stream":"stdout","message":"no tag"}"#),
    ];
    let routed = Routed::new(&PLUGIN, text);
    routed.feed("t", &events).await;
    assert_eq!(
        routed.seen(),
        [
            r#"@ERROR t 5 {"stream":"stdout","message":"no tag"}"#,
            r#"t 2 {"message":"e"}"#,
            r#"t 4 {"message":"abc"}"#,
        ]
    );
    let routed = Routed::new(&PLUGIN, &format!("{text}\nkeep_partial_key true"));
    routed.feed("t", &events[..4]).await;
    assert_eq!(
        routed.seen(),
        [r#"t 2 {"logtag":"F","message":"e"}"#, r#"t 4 {"logtag":"F:x","message":"abc"}"#]
    );
}

#[tokio::test]
async fn parts_that_are_too_large() {
    // Each counts as 9 bytes: "log", its text, "part", its text.
    let part = |log: &str, more: &str| format!(r#"{{"log":"{log}","part":"{more}"}}"#);
    let text = |method: &str| {
        format!(
            "key log\npartial_key part\npartial_value y\nseparator \"\"\nbuffer_limit_size 20\nbuffer_overflow_method {method}"
        )
    };
    for (method, expected) in [
        ("ignore", vec![r#"t 3 {"log":"abc"}"#]),
        ("truncate", vec![r#"t 3 {"log":"ab"}"#]),
        ("new", vec![r#"t 3 {"log":"ab"}"#, r#"t 3 {"log":"c"}"#]),
        ("drop", vec![r#"@ERROR t 3 {"log":"c","part":"n"}"#]),
    ] {
        let routed = Routed::new(&PLUGIN, &text(method));
        routed.feed("t", &[(1, &part("a", "y")), (2, &part("b", "y")), (3, &part("c", "n"))]).await;
        assert_eq!(routed.seen(), expected, "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_stays_incomplete_is_given_up() {
    for (label, to) in [("", "@ERROR "), ("timeout_label @LATE", "@LATE ")] {
        let routed = Routed::new(
            &PLUGIN,
            &format!("key message\nmultiline_start_regexp /^S/\nflush_interval 5\n{label}"),
        );
        routed.start().await;
        routed.feed("t", &[(1, r#"{"message":"S1"}"#), (2, r#"{"message":"a"}"#)]).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        routed.feed("t", &[(3, r#"{"message":"b"}"#)]).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(routed.seen(), [""; 0]);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(routed.seen(), [format!(r#"{to}t now {{"message":"S1\na\nb"}}"#)]);
        routed.feed("t", &[(4, r#"{"message":"S2"}"#)]).await;
        assert_eq!(routed.stop().await, [format!(r#"{to}t 4 {{"message":"S2"}}"#)]);
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_interval_only_the_end_gives_up() {
    let text = "key message\nn_lines 3\nflush_interval 0\nuse_first_timestamp true";
    let routed = Routed::new(&PLUGIN, text);
    routed.start().await;
    routed.feed("t", &[(1, r#"{"message":"a"}"#), (2, r#"{"message":"b"}"#)]).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(routed.seen(), [""; 0]);
    assert_eq!(routed.stop().await, [r#"@ERROR t 1 {"message":"a\nb"}"#]);
}

#[tokio::test]
async fn own_log_events_and_odd_values_pass() {
    let routed = Routed::new(&PLUGIN, "key message\nmultiline_start_regexp /x/");
    routed.feed("fluent.info", &[(1, r#"{"message":"x"}"#)]).await;
    routed.feed("t", &[(1, r#"{"message":null}"#), (2, r#"{"message":5}"#)]).await;
    assert_eq!(
        routed.seen(),
        [r#"fluent.info 1 {"message":"x"}"#, r#"@ERROR t 2 {"message":5}"#, r#"t 1 {"message":null}"#]
    );
}

#[test]
fn a_text_without_an_end_is_given_up_at_a_limit() {
    let settings = with_params(&PLUGIN, "key m\nmultiline_end_regexp /never/", |params, _| {
        Settings::from_params(params)
    });
    let mut joiner = Joiner::new(settings.unwrap());
    let mut record = Vec::new();
    write_map_len(&mut record, 1);
    write_str(&mut record, b"m");
    write_str(&mut record, &vec![b'x'; 32 << 20]);
    let mut raw = Vec::new();
    write_entry(&mut raw, Time::Event(EventTime::from_secs(1)), None, &record);
    let entry = Entries::new(&raw).next().unwrap();
    let mut out = Vec::new();
    let mut taken = 0;
    while joiner.take_overflow().is_none() {
        joiner.push(&Tag::new("t"), &entry, Instant::now(), &mut out).unwrap();
        taken += record.len();
        assert!(taken <= HELD_BYTES_MAX + record.len(), "more is held than allowed");
    }
    assert!(joiner.take_all().is_empty() && out.is_empty());
}

#[test]
fn what_makes_no_sense_is_refused() {
    let refused = |text: &str| Routed::try_new(&PLUGIN, &format!("key a\n{text}")).err().expect("an error");
    assert_eq!(
        refused(""),
        "Either n_lines, multiline_start_regexp, multiline_end_regexp, partial_key, use_partial_metadata or \
         use_partial_cri_logtag is required"
    );
    for (text, message) in [
        (
            "n_lines 2\nmultiline_start_regexp /a/",
            "n_lines and multiline_start_regexp/multiline_end_regexp are exclusive",
        ),
        ("n_lines 2\npartial_key a", "partial_key and n_lines are exclusive"),
        ("partial_key a", "partial_value is required when partial_key is specified"),
        ("use_partial_metadata true\nn_lines 2", "use_partial_metadata and n_lines are exclusive"),
        (
            "use_partial_cri_logtag true\npartial_key a\npartial_value b",
            "use_partial_cri_logtag and partial_key are exclusive",
        ),
        (
            "use_partial_cri_logtag true",
            "partial_cri_logtag_key is required when use_partial_cri_logtag is specified",
        ),
        ("multiline_start_regexp a", "multiline_start_regexp must be written /regexp/: a"),
    ] {
        assert_eq!(refused(text), message);
    }
}
