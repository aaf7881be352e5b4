//! The embedded store: ClickHouse's HTTP interface over libchdb, the ClickHouse engine as one shared library.
//!
//! ```text
//! server      connections, paths, time limits           async
//! request     a request's URL and headers               pure
//! auth        who may ask                               pure
//! spool       a request's body, whole, before it counts
//! compression what bodies and answers are packed in     pure
//! lexer, statement   where a query ends and data begins pure
//! pool        how many queries at a time, cancelling
//! execute     one query on one connection               blocking
//! answer      the engine's output as an HTTP answer      async
//! engine      the one engine of the process, its settings
//! confine     which files the process may open
//! library     dlopen and the C interface                unsafe
//! ```
//!
//! Data never goes through the C interface, which has no way for it: the engine reads an insert's rows from, and writes a
//! query's output into, a file descriptor of this process (`FROM INFILE`/`INTO OUTFILE '/proc/self/fd/N'`). So answers
//! stream in every format, and a slow reader holds the engine back instead of filling memory.

mod answer;
mod auth;
mod compression;
mod confine;
mod deduplication;
mod engine;
mod engine_config;
mod error;
mod execute;
mod lexer;
pub mod library;
mod limits;
mod locate;
mod patient;
mod pool;
mod request;
mod server;
mod session;
mod spool;
mod statement;

pub use auth::User;
pub use engine::StoreError;
pub use limits::Limits;
pub use locate::{Location, find_library};
pub use server::{Options, serve};
pub use statement::statements;
