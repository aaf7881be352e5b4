//! The named values of a request: query, form and headers, of which only those are kept that something reads.

use super::multipart;
use crate::http_query::pairs;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Named values, in the order in which their names came first.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// Whether names that begin with HTTP_ are kept.
    keep_headers: bool,
    /// Whether names that begin with QUERY_ are kept.
    keep_query: bool,
    values: Vec<(Vec<u8>, Value)>,
    are_too_many: bool,
    places: HashMap<Vec<u8>, usize>,
}

/// A value; headers may come more than once.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value {
    One(Vec<u8>),
    Several(Vec<Vec<u8>>),
}

/// Values that are kept. Each goes into every record of the request.
const VALUES_MAX: usize = 1000;

/// The fields that hold records, and the time.
const READ: [&[u8]; 4] = [b"msgpack", b"json", b"ndjson", b"time"];

impl Fields {
    /// No values yet. Those whose names begin with HTTP_ or QUERY_ are only kept if that is wanted.
    pub(super) fn new(keep_headers: bool, keep_query: bool) -> Self {
        Self { keep_headers, keep_query, ..Self::default() }
    }

    /// Sets a value, if something reads it.
    pub(super) fn set(&mut self, name: Vec<u8>, value: Value) {
        if !self.reads(&name) {
            return;
        }
        if self.values.len() >= VALUES_MAX {
            self.are_too_many = true;
            return;
        }
        match self.places.entry(name) {
            Entry::Occupied(place) => self.values[*place.get()].1 = value,
            Entry::Vacant(place) => {
                self.values.push((place.key().clone(), value));
                place.insert(self.values.len() - 1);
            }
        }
    }

    /// Whether there were more than are kept.
    pub(super) fn are_too_many(&self) -> bool {
        self.are_too_many
    }

    /// A text.
    pub(super) fn get(&self, name: &[u8]) -> Option<&[u8]> {
        match &self.values[*self.places.get(name)?].1 {
            Value::One(text) => Some(text),
            Value::Several(texts) => texts.first().map(Vec::as_slice),
        }
    }

    /// The values whose names begin with `prefix`.
    pub(super) fn with_prefix<'s>(&'s self, prefix: &'s [u8]) -> impl Iterator<Item = &'s (Vec<u8>, Value)> {
        self.values.iter().filter(move |(name, _)| name.starts_with(prefix))
    }

    /// Adds the values of a query or a form: of those with the same name the first.
    pub(super) fn add_query(&mut self, text: &[u8]) {
        self.add_first(pairs(text));
    }

    /// Adds the values of a query as `QUERY_NAME`.
    pub(super) fn add_query_params(&mut self, text: &[u8]) {
        // Names that differ only in case are one name here, of which the last value stays.
        let mut first = Fields::new(false, true);
        first.add_first(pairs(text).map(|(name, value)| ([b"QUERY_".as_slice(), &name].concat(), value)));
        self.are_too_many |= first.are_too_many;
        for (name, value) in first.values {
            self.set([b"QUERY_".as_slice(), &shouted(&name[b"QUERY_".len()..])].concat(), value);
        }
    }

    /// Adds the parts of a multipart form.
    pub(super) fn add_multipart(&mut self, body: &[u8], boundary: &[u8]) {
        self.add_first(multipart::parts(body, boundary));
    }

    /// Adds a header as `HTTP_NAME`.
    pub(super) fn add_header(&mut self, name: &[u8], mut values: Vec<Vec<u8>>) {
        let value = match values.len() {
            1 => Value::One(values.remove(0)),
            _ => Value::Several(values),
        };
        self.set([b"HTTP_".as_slice(), &shouted(name)].concat(), value);
    }

    fn reads(&self, name: &[u8]) -> bool {
        READ.contains(&name)
            || self.keep_headers && name.starts_with(b"HTTP_")
            || self.keep_query && name.starts_with(b"QUERY_")
    }

    fn add_first(&mut self, pairs: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) {
        let mut seen = Fields::new(self.keep_headers, self.keep_query);
        for (name, value) in pairs {
            if !seen.places.contains_key(&name) {
                seen.set(name, Value::One(value));
            }
        }
        self.are_too_many |= seen.are_too_many;
        for (name, value) in seen.values {
            self.set(name, value);
        }
    }
}

/// `name.tr('-', '_').upcase`
fn shouted(name: &[u8]) -> Vec<u8> {
    name.iter().map(|byte| if *byte == b'-' { b'_' } else { byte.to_ascii_uppercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Value {
        Value::One(text.as_bytes().to_vec())
    }

    fn all(fields: &Fields) -> Vec<(&str, &Value)> {
        fields.values.iter().map(|(name, value)| (std::str::from_utf8(name).unwrap(), value)).collect()
    }

    #[test]
    fn what_nothing_reads_is_not_kept() {
        let mut fields = Fields::default();
        fields.add_query(b"a=1&json=%7B%22a%22+%3A1%7D&HTTP_X=1&time=5;QUERY_X=2&json=second&=&;&msgpack");
        assert_eq!(all(&fields), [("json", &one("{\"a\" :1}")), ("time", &one("5")), ("msgpack", &one(""))]);
        fields.add_query(b"json=form");
        assert_eq!(fields.get(b"json"), Some(&b"form"[..]));
        assert_eq!(fields.get(b"ndjson"), None);
    }

    #[test]
    fn headers_and_query_parameters_are_shouted() {
        let mut fields = Fields::new(true, true);
        fields.add_query(b"QUERY_Q=0&HTTP_Y=form");
        fields.add_query_params(b"a-b=1&q=2&Q=3&q=4");
        fields.add_header(b"x-one", vec![b"1".to_vec()]);
        fields.add_header(b"X-two", vec![b"1".to_vec(), b"2".to_vec()]);
        let several = Value::Several(vec![b"1".to_vec(), b"2".to_vec()]);
        assert_eq!(
            all(&fields),
            [
                ("QUERY_Q", &one("3")),
                ("HTTP_Y", &one("form")),
                ("QUERY_A_B", &one("1")),
                ("HTTP_X_ONE", &one("1")),
                ("HTTP_X_TWO", &several),
            ]
        );
        assert_eq!(fields.with_prefix(b"QUERY_").count(), 2);
    }
}
