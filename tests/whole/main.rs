//! The program as its users meet it: the binary, real files, real client libraries.
//!
//! Each test runs its own processes on free ports in its own directory. Waiting is for a state, with a limit that only a
//! program that hangs reaches; nothing is asserted about how long a thing took.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod ambiguous;
mod buffer;
mod clients;
mod cluster;
mod disk;
mod faults;
mod first_start;
mod hostile;
mod inputs;
mod joining;
mod kills;
mod kubernetes;
mod load;
mod logweir;
mod machine;
mod migrate;
mod names;
mod notify;
mod order;
mod own_log;
mod passing_on;
mod pieces;
mod program;
mod prometheus;
mod proxied;
mod reference;
mod rpc;
mod servio;
mod source_only;
mod store;
mod systemd;
mod tables;
mod tail;
mod too_many_parts;
mod tools;
mod workers;
