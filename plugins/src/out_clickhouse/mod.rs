//! `@type clickhouse`.
#![allow(dead_code)]

mod cells;
mod cluster;
mod column;
mod create_table;
mod describe;
mod encode;
mod endpoint;
mod fault;
mod frame;
mod keys;
mod layout;
mod rows;
mod server_error;
mod table;
#[cfg(test)]
mod tests;
mod type_name;
