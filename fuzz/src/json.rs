//! Targets of `logweir_engine::json`.

use logweir_engine::json::{
    Dialect, JsonStyle, ReadOptions, document_to_msgpack, from_msgpack, ruby_inspect, ruby_to_s, to_msgpack,
};
use logweir_engine::msgpack::skip;

/// What is read is well-formed and nested within the limit; written and read again it is the same text.
pub fn json_to_msgpack(data: &[u8]) {
    for dialect in [Dialect::Oj, Dialect::Yajl, Dialect::Json] {
        let mut raw = vec![0x07];
        let Ok(end) = to_msgpack(data, &mut raw, ReadOptions { dialect, depth: 40 }) else {
            assert_eq!(raw, [0x07]);
            continue;
        };
        assert!(end <= data.len());
        // The keys are known the second time.
        let mut twice = vec![0x07];
        let padded = [data, &[b' '; 40]].concat();
        if end < data.len() {
            assert_eq!(to_msgpack(&padded, &mut twice, ReadOptions { dialect, depth: 40 }), Ok(end));
            assert_eq!(twice, raw);
        }
        assert_eq!(skip(&raw, 1), Ok(raw.len()));
        let mut first = Vec::new();
        from_msgpack(&raw[1..], &mut first, JsonStyle::Oj).expect("what was read can be written");
        let mut again = Vec::new();
        document_to_msgpack(&first, &mut again, ReadOptions::default())
            .expect("what was written can be read");
        let mut second = Vec::new();
        from_msgpack(&again, &mut second, JsonStyle::Oj).expect("what was read can be written");
        assert_eq!(first, second);
    }
}

/// No bytes make the generators panic or leave something behind an error; what Yajl's style writes, its dialect reads if
/// all of it is UTF-8.
pub fn json_from_msgpack(data: &[u8]) {
    for style in [JsonStyle::Oj, JsonStyle::Yajl, JsonStyle::Ruby] {
        let mut text = b"x".to_vec();
        match from_msgpack(data, &mut text, style) {
            Err(_) => assert_eq!(text, b"x"),
            Ok(()) if style == JsonStyle::Oj => {}
            Ok(()) if std::str::from_utf8(&text).is_err() => assert!(style == JsonStyle::Yajl),
            Ok(()) => {
                let mut raw = Vec::new();
                let options = ReadOptions { dialect: Dialect::Yajl, depth: 200 };
                document_to_msgpack(&text[1..], &mut raw, options).expect("what was written can be read");
            }
        }
    }
    let mut text = Vec::new();
    ruby_inspect(data, &mut text);
    ruby_to_s(data, &mut text);
}
