//! MessagePack as bytes: scanning, reading, writing, splicing, and the borrowed record of filters.

mod time;

pub use time::Time;

/// An event that a record filter edits.
pub struct Event<'a> {
    _arena: std::marker::PhantomData<&'a ()>,
}

/// Edits of a record's top-level fields, compiled to copies of byte ranges.
pub struct Splicer {}
