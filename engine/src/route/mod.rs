//! Which events go where: tag patterns, pipelines, labels.

mod errors;
mod pattern;
mod router;

pub use errors::{ErrorEvent, ErrorEvents};
pub use pattern::{PatternError, TagPatterns};
pub use router::Router;
