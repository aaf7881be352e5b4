//! The encoder against real engines: Debian's server over HTTP, the current engine through libchdb.

mod codes;
mod doubts;
mod engines;
mod late;
mod misbehaving;
mod plugin;
mod rows;
mod servers;
mod servio;
mod trouble;
mod types;
