//! What the plugins called prometheus share (fluent-plugin-prometheus 2.2).
//!
//! ```text
//! instruments   the <metric> sections of a filter or output, and what a stream does to them
//!   metric        one of them: its declaration, the number that a record gives it
//!   labels        the labels: texts, placeholders, fields
//!   initial       <initlabels>: label sets that are there from the start
//! board         what a monitor shows: gauges that are set anew, round after round
//! monitor       the input around a board
//! worker        which worker a plugin takes itself for
//! ```

mod board;
mod initial;
mod instruments;
mod labels;
mod metric;
mod monitor;
#[cfg(test)]
mod tests;
mod worker;

pub(crate) use board::{Board, MONITOR_SECTIONS, Shown};
pub(crate) use instruments::{Instruments, SECTIONS, TagInstruments};
pub(crate) use monitor::Monitor;
pub(crate) use worker::Worker;

use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::telemetry::prometheus::DeclareError;

/// A refused declaration, at the parameter (or section) that is at fault.
fn refused(params: &Params, error: DeclareError) -> Diagnostic {
    let diagnostic = match params.section(error.parameter) {
        Some(section) => section.error_here(error.message),
        None => params.error(error.parameter, error.message),
    };
    match error.other {
        Some(place) => diagnostic.note(format!("the other declaration stands at {place}")),
        None => diagnostic,
    }
}
