//! The embedded store as its clients meet it: `logweir store` on a free port, with a directory of its own.
//!
//! The tests run where libchdb is (see `Libchdb::path`).

mod clients;
mod corpus;
mod crash;
mod embedded;
mod http;
mod logweir_into_store;
mod moving;
mod query;
mod running;

pub(crate) use running::Store;
