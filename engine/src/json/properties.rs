//! Properties of this room, with serde_json as the oracle.

use proptest::prelude::*;
use serde_json::{Map, Number, Value as Json};

use super::*;
use crate::msgpack::skip;
use crate::plugin::FieldPlace;

/// Values that serde_json can hold without loss.
fn json() -> impl Strategy<Value = Json> {
    let text = || prop_oneof![".{0,30}", "[a-c\"\\\\\\n\\x00é😀]{0,20}"];
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        prop_oneof![any::<i64>(), -200..200i64].prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        float().prop_map(|value| Number::from_f64(value).map_or(Json::Null, Json::Number)),
        text().prop_map(Json::String),
    ];
    leaf.prop_recursive(5, 60, 20, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Json::Array),
            prop::collection::vec((text(), inner), 0..20)
                .prop_map(|pairs| Json::Object(pairs.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>(), (-1e6..1e6f64), any::<i32>().prop_map(|value| f64::from(value) / 64.0)]
}

fn transcode(text: &[u8]) -> Result<Vec<u8>, JsonError> {
    let mut out = Vec::new();
    document_to_msgpack(text, &mut out, ReadOptions::default()).map(|()| out)
}

/// MessagePack to JSON by rmp-serde.
fn oracle(raw: &[u8]) -> Json {
    rmp_serde::from_slice(raw).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_value_is_read(value in json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
        let raw = transcode(&text).unwrap();
        prop_assert_eq!(skip(&raw, 0), Ok(raw.len()));
        prop_assert_eq!(oracle(&raw), value.clone());
        // The map order too, which equality of serde_json's maps does not look at.
        prop_assert_eq!(serde_json::to_vec(&oracle(&raw)).unwrap(), serde_json::to_vec(&value).unwrap());
    }

    #[test]
    fn a_watched_field_is_where_a_search_finds_it(
        value in json(),
        pick in any::<prop::sample::Index>(),
        repeat in any::<bool>(),
        dialect in prop_oneof![Just(Dialect::Oj), Just(Dialect::Json)],
    ) {
        let names: Vec<&String> = value.as_object().map(|map| map.keys().collect()).unwrap_or_default();
        let name = if names.is_empty() { "a" } else { names[pick.index(names.len())] };
        let mut text = serde_json::to_vec(&value).unwrap();
        if let (true, Some(object)) = (repeat, value.as_object().filter(|map| !map.is_empty())) {
            // The key once more, at the end.
            text.pop();
            text.extend_from_slice(b",");
            text.extend_from_slice(&serde_json::to_vec(&Json::from(name)).unwrap());
            text.extend_from_slice(b":");
            text.extend_from_slice(&serde_json::to_vec(&object[name]).unwrap());
            text.extend_from_slice(b"}");
        }
        let options = ReadOptions { dialect, ..ReadOptions::default() };
        // Twice: the second time the keys are known.
        for key in [name, name, "no such key"] {
            let mut out = b"before".to_vec();
            let key = key.as_bytes();
            let watched = document_to_msgpack_watching(&text, &mut out, options, &WatchedKey::new(key)).unwrap();
            let mut plain = b"before".to_vec();
            document_to_msgpack(&text, &mut plain, options).unwrap();
            prop_assert_eq!(&out, &plain);
            let record = &out[6..];
            prop_assert_eq!(FieldPlace::watched(record, 6, key, watched), FieldPlace::find(record, key));
        }
    }

    #[test]
    fn every_value_is_written(value in json()) {
        let raw = rmp_serde::to_vec(&value).unwrap();
        for style in [JsonStyle::Oj, JsonStyle::Yajl, JsonStyle::Ruby] {
            let mut text = Vec::new();
            from_msgpack(&raw, &mut text, style).unwrap();
            let read = transcode(&text).unwrap();
            if style == JsonStyle::Oj {
                // Oj has no -0.0; numerically it is the same.
                prop_assert_eq!(oracle(&read), value.clone());
            } else {
                prop_assert_eq!(serde_json::to_vec(&oracle(&read)).unwrap(), serde_json::to_vec(&value).unwrap());
            }
            let by_serde: Json = serde_json::from_slice(&text).unwrap();
            prop_assert_eq!(shape(&by_serde), shape(&value));
        }
    }

    #[test]
    fn what_serde_json_accepts_is_accepted(
        value in json(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let mut text = serde_json::to_vec(&value).unwrap();
        for (at, byte) in changes {
            let at = at.index(text.len());
            text[at] = byte;
        }
        let ours = transcode(&text);
        match serde_json::from_slice::<Json>(&text) {
            Ok(theirs) => match rmp_serde::from_slice::<Json>(ours.as_ref().unwrap()) {
                Ok(ours) => prop_assert_eq!(shape(&ours), shape(&theirs)),
                // An integer of more than 64 bits is an extension, for which serde_json has no value.
                Err(_) => prop_assert_eq!(skip(ours.as_ref().unwrap(), 0), Ok(ours.as_ref().unwrap().len())),
            },
            // What more is accepted is the dialect's; it must be well-formed.
            Err(_) => if let Ok(raw) = ours {
                prop_assert_eq!(skip(&raw, 0), Ok(raw.len()));
            },
        }
    }

    #[test]
    fn what_was_read_before_changes_nothing(values in prop::collection::vec(json(), 1..5)) {
        let texts: Vec<Vec<u8>> = values.iter().map(|value| serde_json::to_vec(value).unwrap()).collect();
        let first: Vec<_> = texts.iter().map(|text| transcode(text).unwrap()).collect();
        for (text, raw) in texts.iter().zip(&first).rev().chain(texts.iter().zip(&first)) {
            // Known keys of the text itself, cut off or not, and of the others.
            let _ = transcode(&text[..text.len() - 1]);
            prop_assert_eq!(&transcode(text).unwrap(), raw);
            prop_assert_eq!(&transcode(&[text, &[b' '; 40][..]].concat()).unwrap(), raw);
        }
    }

    #[test]
    fn ruby_floats_read_back(value in any::<f64>()) {
        let mut text = Vec::new();
        write_ruby_float(&mut text, value);
        let read: f64 = std::str::from_utf8(&text).unwrap().parse().unwrap();
        prop_assert!(read.to_bits() == value.to_bits() || value.is_nan());
    }

    #[test]
    fn nothing_panics(text in prop::collection::vec(any::<u8>(), 0..60)) {
        for dialect in [Dialect::Oj, Dialect::Yajl, Dialect::Json] {
            let mut out = Vec::new();
            let _ = to_msgpack(&text, &mut out, ReadOptions { dialect, depth: 4 });
        }
        let mut out = Vec::new();
        let _ = from_msgpack(&text, &mut out, JsonStyle::Yajl);
        ruby_inspect(&text, &mut out);
        ruby_to_s(&text, &mut out);
        ruby_inspect_str(&text, &mut out);
    }
}

/// The value without the last digits of floats, which serde_json does not read exactly.
fn shape(value: &Json) -> Json {
    match value {
        Json::Number(number) if number.is_f64() => {
            Json::String(format!("{:.10e}", number.as_f64().unwrap_or_default() + 0.0))
        }
        Json::Array(items) => items.iter().map(shape).collect(),
        Json::Object(map) => {
            Json::Object(map.iter().map(|(key, value)| (key.clone(), shape(value))).collect())
        }
        _ => value.clone(),
    }
}
