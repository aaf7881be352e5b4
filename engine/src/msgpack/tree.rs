//! A value as a tree, for property tests: made by proptest, read and written by rmp-serde as the oracle.

use proptest::prelude::*;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::write::*;

/// A value of any kind.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    Nil,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Str(String),
    Bin(Vec<u8>),
    Ext(i8, Vec<u8>),
    Array(Vec<Tree>),
    Map(Vec<(Tree, Tree)>),
}

impl Tree {
    /// Appends it with this crate's writers.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nil => write_nil(out),
            Self::Bool(value) => write_bool(out, *value),
            Self::Int(value) => write_i64(out, *value),
            Self::UInt(value) => write_u64(out, *value),
            Self::Float(value) => write_f64(out, *value),
            Self::Str(text) => write_str(out, text.as_bytes()),
            Self::Bin(bytes) => write_bin(out, bytes),
            Self::Ext(kind, payload) => write_ext(out, *kind, payload),
            Self::Array(items) => {
                write_array_len(out, items.len());
                items.iter().for_each(|item| item.write(out));
            }
            Self::Map(pairs) => {
                write_map_len(out, pairs.len());
                for (key, value) in pairs {
                    key.write(out);
                    value.write(out);
                }
            }
        }
    }

    /// Its MessagePack.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    /// Reads with rmp-serde.
    pub(crate) fn read(raw: &[u8]) -> Self {
        rmp_serde::from_slice(raw).unwrap()
    }
}

/// Leaves of every kind.
pub(crate) fn leaf() -> impl Strategy<Value = Tree> {
    prop_oneof![
        Just(Tree::Nil),
        any::<bool>().prop_map(Tree::Bool),
        prop_oneof![any::<i64>(), -200..200i64, -70_000..70_000i64].prop_map(Tree::Int),
        (i64::MAX as u64 + 1..).prop_map(Tree::UInt),
        any::<i32>().prop_map(|value| Tree::Float(f64::from(value) / 16.0)),
        prop_oneof!["[a-d]{0,2}", ".{0,40}"].prop_map(Tree::Str),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Tree::Bin),
        (any::<i8>(), prop::collection::vec(any::<u8>(), 0..20))
            .prop_map(|(kind, payload)| Tree::Ext(kind, payload)),
    ]
}

/// Values with containers, some of more than 15 children.
pub(crate) fn value() -> impl Strategy<Value = Tree> {
    leaf().prop_recursive(5, 60, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Tree::Array),
            prop::collection::vec((leaf(), inner), 0..20).prop_map(Tree::Map),
        ]
    })
}

/// Pairs of a record whose keys repeat now and then.
pub(crate) fn pairs() -> impl Strategy<Value = Vec<(Tree, Tree)>> {
    let key = prop_oneof![9 => "[a-e]{1,2}".prop_map(Tree::Str), 1 => leaf()];
    prop::collection::vec((key, value()), 0..20)
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nil => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::UInt(value) => serializer.serialize_u64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Str(text) => serializer.serialize_str(text),
            Self::Bin(bytes) => serializer.serialize_bytes(bytes),
            Self::Ext(kind, payload) => serializer.serialize_newtype_struct(
                rmp_serde::MSGPACK_EXT_STRUCT_NAME,
                &(kind, Bytes(payload.clone())),
            ),
            Self::Array(items) => items.serialize(serializer),
            Self::Map(pairs) => {
                let mut map = serializer.serialize_map(Some(pairs.len()))?;
                for (key, value) in pairs {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Nil)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(i64::try_from(value).map_or(Tree::UInt(value), Tree::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Str(text.to_owned()))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Tree, E> {
        Ok(Tree::Bin(bytes.to_owned()))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        let (kind, payload) = <(i8, Bytes)>::deserialize(deserializer)?;
        Ok(Tree::Ext(kind, payload.0))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Tree::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Tree::Map(pairs))
    }
}

struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor;
        impl Visitor<'_> for BytesVisitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_owned()))
            }
        }
        deserializer.deserialize_bytes(BytesVisitor)
    }
}
