//! Templates: what is refused, and what chunks make of them.

use crate::buffer::Variable;
use crate::event::Tag;
use crate::output::Template;
use crate::output::keys::{ChunkKeys, KeyNames};
use crate::output::placeholders::ChunkFacts;
use crate::output::slices::TimeSlices;
use crate::plugin::WriteError;
use crate::telemetry::PluginLog;
use crate::time::Zone;
use bytes::Bytes;
use std::sync::Arc;

const ID: &str = "660e9d87b4b5c4db99a9bc94b404346a";

fn keys(names: &[&str], unit: f64, zone: &str) -> Arc<ChunkKeys> {
    let names = KeyNames::parse(names.iter().copied()).unwrap();
    let time = names.time.then(|| TimeSlices { unit, zone: Zone::parse(zone).unwrap() });
    Arc::new(ChunkKeys { tag: names.tag, time, fields: names.fields })
}

fn template(text: &str, keys: &Arc<ChunkKeys>) -> Template {
    Template::new("path", text, keys, &PluginLog::program())
}

fn variable(name: &str, value: &[u8]) -> Variable {
    Variable { name: name.into(), value: Bytes::copy_from_slice(value) }
}

#[test]
fn texts_are_checked_against_the_chunk_keys() {
    let all = keys(&["tag", "time", "user", "$.k8s.ns"], 3600.0, "+0000");
    let none = keys(&[], 0.0, "+0000");
    let cases = [
        (&none, "/d/app", Ok(())),
        (&none, "/d/${chunk_id}", Ok(())),
        (&all, "/d/${tag}/${user}/${$.k8s.ns}/%Y%m%d%H", Ok(())),
        (&all, "/d/${tag[1]}/${user}/${$.k8s.ns}/%F_%T", Ok(())),
        (
            &all,
            "/d/${tag}/${user}/${$.k8s.ns}",
            Err(
                "Parameter 'path: /d/${tag}/${user}/${$.k8s.ns}' doesn't have timestamp placeholders for timekey 3600",
            ),
        ),
        (
            &all,
            "/d/%Y%m%d",
            Err(
                "Parameter 'path: /d/%Y%m%d' doesn't have timestamp placeholder for day('%d') for timekey 3600",
            ),
        ),
        (
            &none,
            "/d/%d",
            Err("Parameter 'path: /d/%d' has timestamp placeholders, but chunk key 'time' is not configured"),
        ),
        (&all, "/d/%H", Err("Parameter 'path: /d/%H' doesn't have tag placeholder")),
        (
            &none,
            "/d/${tag[-1]}",
            Err(
                "Parameter 'path: /d/${tag[-1]}' has tag placeholders, but chunk key 'tag' is not configured",
            ),
        ),
        (
            &all,
            "/d/${tag}%H",
            Err("Parameter 'path: /d/${tag}%H' doesn't have enough placeholders for keys $.k8s.ns,user"),
        ),
        (
            &none,
            "/d/${user}${age}",
            Err(
                "Parameter 'path: /d/${user}${age}' has placeholders, but chunk keys doesn't have keys age,user",
            ),
        ),
    ];
    for (keys, text, expected) in cases {
        let found = template(text, keys).validate();
        assert_eq!(found, expected.map_err(str::to_owned), "{text}");
    }
}

#[test]
fn placeholders_become_what_the_chunk_has() {
    let keys = keys(&["tag", "time", "user", "n"], 86400.0, "+0900");
    let tag = Tag::new("app.web.a");
    let fields = [variable("user", b"\xa3ann"), variable("n", &[7])];
    let chunk = ChunkFacts { id: ID, timekey: Some(1_704_121_200), tag: Some(&tag), fields: Some(&fields) };
    let cases = [
        ("${tag}/%Y-%m-%d/${user}", "app.web.a/2024-01-02/ann"),
        ("${tag[0]}${tag[2]}${tag[-1]}${tag[-3]}", "appaaapp"),
        ("<${tag[3]}${tag[-4]}${tag[99999999999999999999]}>", "<>"),
        ("${chunk_id}.${n}", "660e9d87b4b5c4db99a9bc94b404346a.7"),
        ("${other}|${a b}|${|$", "|${a b}|${|$"),
        ("%%%d", "%02"),
    ];
    for (text, expected) in cases {
        assert_eq!(template(text, &keys).fill(chunk).unwrap(), expected, "{text}");
    }
}

#[test]
fn a_missing_field_is_the_empty_text() {
    let keys = keys(&["user"], 0.0, "+0000");
    let fields = [variable("user", &[0xc0])];
    let chunk = ChunkFacts { id: ID, timekey: None, tag: None, fields: Some(&fields) };
    assert_eq!(template("x-${user}%Y", &keys).fill(chunk).unwrap(), "x-%Y");
}

#[test]
fn a_chunk_without_keys_only_knows_its_id() {
    let keys = keys(&["tag", "time"], 60.0, "+0000");
    let chunk = ChunkFacts { id: "ff", timekey: None, tag: None, fields: None };
    assert_eq!(template("${tag}%Y${chunk_id}", &keys).fill(chunk).unwrap(), "${tag}%Yff");
}

#[test]
fn values_that_lead_out_of_a_folder_are_refused() {
    let keys = keys(&["tag", "user"], 0.0, "+0000");
    for (tag, user) in [
        ("../etc", "ann"),
        ("a/../../b", "ann"),
        ("/etc/passwd", "ann"),
        ("a\n/etc", "ann"),
        ("a", "../x"),
        ("a", "/x"),
        ("a.", "./x"), // together with the text between them
    ] {
        let tag = Tag::new(tag);
        let mut raw = Vec::new();
        crate::msgpack::write_str(&mut raw, user.as_bytes());
        let fields = [variable("user", &raw)];
        let chunk = ChunkFacts { id: ID, timekey: None, tag: Some(&tag), fields: Some(&fields) };
        let text = if user.starts_with("./") { "/d/../${tag}${user}" } else { "/d/../${tag}/${user}" };
        let error = template(text, &keys).fill(chunk).unwrap_err();
        assert!(matches!(error, WriteError::Reject { .. }), "{tag:?} {user}");
        assert!(error.to_string().starts_with("Invalid path component detected"), "{error}");
    }
}

#[test]
fn an_example_has_every_placeholder_filled() {
    let keys = keys(&["tag", "user"], 0.0, "+0000");
    assert_eq!(
        template("/d/${tag}/${tag[3]}/${user}", &keys).example(),
        "/d/a.a.a/a/data".replace("/a/", "//")
    );
    assert_eq!(template("/d/x", &keys).example(), "/d/x");
    assert!(!template("/d/${tag}", &keys).is_constant());
}
