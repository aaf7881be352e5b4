//! MessagePack as bytes: scanning, reading, writing, splicing, and the borrowed record of filters.
//!
//! Bytes from outside pass [`scan_entries`] (or [`skip`]) once; everything else in this room works on bytes that
//! have passed, and still never panics or recurses on bytes that have not. Terms:
//!
//! | term | bytes |
//! |---|---|
//! | entry | `[time, record]` or `[[time, metadata], record]` |
//! | record | a map, usually with strings as keys |
//! | raw value | the bytes of exactly one value |

mod accessor;
mod dup;
mod entry;
mod event;
mod marker;
mod merge;
#[cfg(test)]
mod properties;
mod reader;
mod record;
mod scan;
mod skip;
mod splice;
mod stage;
mod time;
#[cfg(test)]
pub(crate) mod tree;
mod value;
mod view;
mod write;

pub use accessor::{Accessor, AccessorError, PathPart};
pub(crate) use dup::key_hash;
pub use entry::{Entries, Entry, write_entry};
pub use event::Event;
pub use merge::merge_maps;
pub use reader::{Kind, ReadError, ReadErrorKind, Reader, ValueRef};
pub use record::{Field, Key, Record};
pub use scan::{EntryScan, Limits, Violation, ViolationKind, scan_entries, scan_entries_with};
pub use skip::{DEPTH_MAX, ScanError, ScanErrorKind, skip};
pub use splice::Splicer;
pub use time::Time;
pub use value::Value;
pub(crate) use view::key_name;
pub use view::{Pairs, RecordView};
pub use write::{
    BIG_INT_EXT, add_fields, big_int_digits, write_array_len, write_big_int, write_bin, write_bool,
    write_event_time, write_ext, write_f64, write_i64, write_map_len, write_nil, write_str, write_u64,
};
pub(crate) use write::{Sink, put_f64, put_i64, put_str, put_u64};
