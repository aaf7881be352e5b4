//! Which events go where: tag patterns, pipelines, labels.

mod errors;
mod router;

pub use errors::ErrorEvents;
pub use router::Router;
