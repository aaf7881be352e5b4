//! What a record must not cost: allocations, counted by the allocator itself.

mod counting;
mod parsers;
mod path;
