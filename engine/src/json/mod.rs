//! JSON text to MessagePack and back, without a tree in between; and the texts that Ruby has for values.
//!
//! Fluentd reads and writes JSON with three Ruby libraries that disagree in details (Oj by default, Yajl, json), and
//! users see those details in their files. Each has its [`Dialect`] for reading and its [`JsonStyle`] for writing.

mod block;
mod escape;
mod float;
mod generate;
mod generator;
mod inspect;
mod known_keys;
mod number;
mod out;
#[cfg(test)]
mod properties;
mod read;
mod string;
mod transcode;
mod watch;

pub use float::write_ruby_float;
pub use generate::{GenerateError, JsonStyle, from_msgpack, write_json_string};
pub use inspect::{ruby_inspect, ruby_inspect_str, ruby_to_s};
pub use read::{
    Dialect, JsonError, JsonErrorKind, ReadOptions, document_to_msgpack, document_to_msgpack_watching,
    to_msgpack,
};
pub use watch::{Watched, WatchedKey};
