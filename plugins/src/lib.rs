//! Logweir's plugins: one file or folder each, named as Fluentd names them.

use logweir_engine::plugin::{Descriptor, Registry};

mod forward;

pub mod in_forward;
pub mod out_copy;
pub mod out_file;
pub mod out_forward;
pub mod out_null;
pub mod out_relabel;
pub mod out_roundrobin;
pub mod out_secondary_file;
pub mod out_stdout;

/// All plugins of Logweir, to which a program may add its own.
pub fn registry() -> Registry {
    Registry::new(PLUGINS)
}

#[rustfmt::skip] // one line a plugin
static PLUGINS: &[&Descriptor] = &[
    &in_forward::PLUGIN,
    &out_copy::PLUGIN,
    &out_file::PLUGIN,
    &out_forward::PLUGIN,
    &out_null::PLUGIN,
    &out_relabel::PLUGIN,
    &out_roundrobin::PLUGIN,
    &out_secondary_file::PLUGIN,
    &out_stdout::PLUGIN,
];

#[cfg(test)]
mod testing;
