//! Which events go where: tag patterns, pipelines, labels.

mod errors;
mod pattern;
mod pipeline;
mod router;
mod unmatched;
mod workers;

pub use errors::{ErrorEvent, ErrorEvents};
pub use pattern::{PatternError, TagPatterns};
pub use router::{Collector, Router, Rule};
pub use workers::Workers;
