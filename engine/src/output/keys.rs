//! The chunk keys of a `<buffer>`: by what events are put into the same chunk.

use super::slices::TimeSlices;
use crate::msgpack::Accessor;
use std::sync::Arc;

/// From so many keys on (time not counted) there may be too many chunks.
pub(super) const KEYS_WARN: usize = 4;

/// The argument of `<buffer>`, checked.
#[derive(Clone, Debug, Default)]
pub struct ChunkKeys {
    /// By tag.
    pub tag: bool,
    /// By time slice.
    pub time: Option<TimeSlices>,
    /// By record fields.
    pub fields: Vec<FieldKey>,
}

/// A record field as chunk key.
#[derive(Clone, Debug)]
pub struct FieldKey {
    /// As it is written: `user`, `$.k8s.ns`.
    pub name: Arc<str>,
    /// Finds it in a record.
    pub accessor: Accessor,
}

/// The argument of `<buffer>`, taken apart, before its time slices are known.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyNames {
    pub tag: bool,
    pub time: bool,
    pub fields: Vec<FieldKey>,
}

impl KeyNames {
    /// Sorts `names` into tag, time and fields.
    pub(crate) fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut keys = Self::default();
        for name in names {
            match name {
                "tag" => keys.tag = true,
                "time" => keys.time = true,
                _ => keys.fields.push(field(name)?),
            }
        }
        Ok(keys)
    }
}

impl ChunkKeys {
    /// Whether a stream goes into one chunk whatever its records are.
    pub fn is_simple(&self) -> bool {
        self.time.is_none() && self.fields.is_empty()
    }

    /// The field names in the order of the argument.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| &*field.name)
    }
}

fn field(name: &str) -> Result<FieldKey, String> {
    // Fluentd's rescue clause catches its own exception, hence the text twice.
    if name.starts_with("$[") {
        return Err("in chunk_keys: in chunk_keys: bracket notation is not allowed".to_owned());
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
    if !name.starts_with("$.") && (name.is_empty() || !name.chars().all(allowed)) {
        return Err("chunk_keys specification includes invalid char".to_owned());
    }
    let accessor = Accessor::parse(name).map_err(|error| format!("in chunk_keys: {error}"))?;
    Ok(FieldKey { name: Arc::from(name), accessor })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_into_kinds() {
        let keys = KeyNames::parse(["user", "time", "$.k8s.ns", "tag"]).unwrap();
        assert!(keys.tag && keys.time);
        let names: Vec<_> = keys.fields.iter().map(|f| f.name.to_string()).collect();
        assert_eq!(names, ["user", "$.k8s.ns"]);
    }

    #[test]
    fn odd_names_are_refused_as_fluentd_refuses_them() {
        let message = |name| KeyNames::parse([name]).unwrap_err();
        assert_eq!(message("$['a']"), "in chunk_keys: in chunk_keys: bracket notation is not allowed");
        assert_eq!(message("a b"), "chunk_keys specification includes invalid char");
        assert_eq!(message("$x"), "chunk_keys specification includes invalid char");
    }
}
