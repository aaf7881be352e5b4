//! What a record must not cost: allocations, counted by the allocator itself.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod counting;
mod filters;
mod messages;
mod parsers;
