//! Keys and values of a MessagePack map that is being put together.

use logweir_engine::json::{ReadOptions, to_msgpack};
use logweir_engine::msgpack::{write_map_len, write_nil, write_str};
use serde_json::{Map, Value};

/// Keys and raw values, one after the other, without the header of the map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pairs {
    raw: Vec<u8>,
    count: usize,
}

impl Pairs {
    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        write_str(&mut self.raw, value.as_bytes());
    }

    /// A map of texts, or of whatever JSON has there.
    pub(super) fn map(&mut self, key: &str, map: &Map<String, Value>) {
        self.key(key);
        write_map_len(&mut self.raw, map.len());
        for (name, value) in map {
            write_str(&mut self.raw, name.as_bytes());
            write_json(&mut self.raw, value);
        }
    }

    /// The same, if there is something in it.
    pub(super) fn some_map(&mut self, key: &str, map: &Map<String, Value>) {
        if !map.is_empty() {
            self.map(key, map);
        }
    }

    pub(super) fn json(&mut self, key: &str, value: &Value) {
        self.key(key);
        write_json(&mut self.raw, value);
    }

    /// Adds the pairs of another, which must have other keys.
    pub(super) fn append(&mut self, other: &Self) {
        self.raw.extend_from_slice(&other.raw);
        self.count += other.count;
    }

    /// As a map.
    pub(super) fn to_map(&self) -> Vec<u8> {
        let mut map = Vec::with_capacity(self.raw.len() + 5);
        write_map_len(&mut map, self.count);
        map.extend_from_slice(&self.raw);
        map
    }

    fn key(&mut self, key: &str) {
        write_str(&mut self.raw, key.as_bytes());
        self.count += 1;
    }

    #[cfg(test)]
    pub(super) fn to_json(&self) -> String {
        let mut text = Vec::new();
        logweir_engine::json::from_msgpack(&self.to_map(), &mut text, logweir_engine::json::JsonStyle::Oj)
            .unwrap();
        String::from_utf8(text).unwrap()
    }
}

fn write_json(out: &mut Vec<u8>, value: &Value) {
    if let Value::String(text) = value {
        return write_str(out, text.as_bytes());
    }
    let start = out.len();
    if to_msgpack(value.to_string().as_bytes(), out, ReadOptions::default()).is_err() {
        // Deeper than records may be.
        out.truncate(start);
        write_nil(out);
    }
}
