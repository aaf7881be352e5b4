//! The chunk file: one self-describing, append-only file a chunk.
//!
//! ```text
//! header | header again | frame | frame | ...
//! ```
//!
//! [`header`] and [`frame`] have the layouts as tables, [`origin`] what a frame says about where its records came from.

mod content;
pub(crate) mod frame;
pub(crate) mod header;
pub(crate) mod open;
pub(crate) mod origin;
pub(crate) mod scan;

pub(crate) use content::{FileContent, gone};
