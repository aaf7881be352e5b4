//! What every Logweir plugin uses, and no plugin: configuration, expressions, MessagePack, routing, buffers and the
//! runtime of outputs. Plugins reach the world only through [`plugin`].

pub mod buffer;
pub mod clickhouse;
pub mod config;
pub mod delivery;
pub mod event;
pub mod expr;
pub mod io;
pub mod json;
pub mod msgpack;
pub mod net;
pub mod output;
pub mod plugin;
pub mod regexp;
pub mod route;
pub mod telemetry;
pub mod time;
