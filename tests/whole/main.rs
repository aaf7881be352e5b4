//! The program as its users meet it: the binary, real files, real client libraries.
//!
//! Each test runs its own processes on free ports in its own directory. Waiting is for a state, with a limit that only a
//! program that hangs reaches; nothing is asserted about how long a thing took.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod buffer;
mod clients;
mod disk;
mod first_start;
mod inputs;
mod logweir;
mod machine;
mod program;
mod servio;
mod store;
mod tail;
