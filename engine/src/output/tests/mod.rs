//! The runtime of buffered outputs on tokio's paused clock: every time below is exact.

mod configuring;
mod conservation;
mod flushing;
pub(super) mod harness;
mod lives;
mod overflow;
mod retrying;
mod shutdown;
mod templates;
