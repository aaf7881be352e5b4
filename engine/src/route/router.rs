//! One label's ordered list of filters and matches.

use crate::delivery::{EmitError, Receipt};
use crate::event::EventStream;

/// Routes streams of one label (or of the top level) by their tag.
pub struct Router {}

impl Router {
    /// Takes `stream` through the filters that match its tag and into the first output that does.
    pub async fn emit(&self, _stream: EventStream, _receipt: &mut Receipt) -> Result<(), EmitError> {
        Ok(())
    }
}
