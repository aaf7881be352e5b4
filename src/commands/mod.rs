//! What the program can be told to do.

mod buffer;
mod check;
mod first_start;
mod query;
mod run;
mod setup;
mod show_config;
mod show_plugin;
mod store;

pub(crate) use buffer::buffer;
pub(crate) use check::check;
pub(crate) use first_start::{first_start, is_first_start};
pub(crate) use query::query;
pub(crate) use run::run;
pub(crate) use setup::setup;
pub(crate) use show_config::show_config;
pub(crate) use show_plugin::show_plugin;
pub(crate) use store::store;
