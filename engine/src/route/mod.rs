//! Which events go where: tag patterns, pipelines, labels.

mod errors;
mod pattern;
mod pipeline;
mod router;
mod unmatched;

pub use errors::{ErrorEvent, ErrorEvents};
pub use pattern::{PatternError, TagPatterns};
pub use router::{Collector, Router};
