//! Time as Ruby and Fluentd read and write it.
//!
//! | what | Ruby | here |
//! |---|---|---|
//! | a format for writing | Time#strftime | [`TimeFormat`] |
//! | a format for reading | the strptime gem, Time.strptime | [`TimeParse`] |
//! | any form | Time.parse | [`parse_any`] |
//! | `%iso8601` | Time.iso8601 | [`parse_iso8601`] |
//! | time_type, time_format, timezone, ... | Fluent::TimeParser, TimeFormatter | [`TimeSettings`], [`TimeParser`], [`TimeFormatter`] |

mod any;
mod civil;
mod error;
mod fields;
mod format;
mod formatter;
mod iso8601;
mod memo;
mod parser;
mod reader;
mod settings;
mod strptime;
mod zone;
mod zone_name;

pub use any::parse_any;
pub use error::TimeError;
pub use fields::ParsedTime;
pub use format::TimeFormat;
pub use formatter::TimeFormatter;
pub use iso8601::parse_iso8601;
pub use parser::TimeParser;
pub use settings::{TIME_PARAMS, TIME_TYPES, TimeSettings, TimeType};
pub use strptime::TimeParse;
pub use zone::{Zone, ZoneError};
