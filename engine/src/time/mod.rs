//! Time as Ruby and Fluentd read and write it.

mod civil;
mod error;
mod fields;
mod format;
mod reader;
mod strptime;
mod zone;
mod zone_name;

pub use error::TimeError;
pub use fields::ParsedTime;
pub use format::TimeFormat;
pub use strptime::TimeParse;
pub use zone::{Zone, ZoneError};
