//! What the program can be told to do.

mod buffer;
mod check;
mod first_start;
mod migrate;
mod query;
mod reference;
mod run;
mod setup;
mod show_config;
mod show_plugin;
mod store;

pub(crate) use buffer::buffer;
pub(crate) use check::check;
pub(crate) use first_start::{first_start, is_first_start};
pub(crate) use migrate::migrate;
pub(crate) use query::query;
pub(crate) use reference::reference;
pub(crate) use run::run;
pub(crate) use setup::setup;
pub(crate) use show_config::show_config;
pub(crate) use show_plugin::show_plugin;
pub(crate) use store::store;
