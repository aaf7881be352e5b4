//! Metrics in Prometheus's text format, one registry for all of them:
//!
//! - [`MetricRegistry`]: those that a configuration declares (`filter prometheus`, `fluentd_*` of the monitors);
//! - [`Recorder`]: what the code counts through the crate `metrics` (`logweir_*`), for the life of the process;
//! - [`show_process`]: the process (`process_*`).
//!
//! [`OWN`] lists Logweir's own; their names are taken for everybody else. The format is version 0.0.4 of
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>.

mod exposition;
mod family;
mod own;
mod process;
mod recorder;
mod registry;

pub use exposition::{Exposition, MetricKind, Samples};
pub use family::{
    Bucket, DEFAULT_BUCKETS, Family, FamilySpec, LABEL_BYTES_MAX, LabelValues, Recorded, Retention, Update,
    Updates,
};
pub use own::{OWN, OwnMetric};
pub use process::show_process;
pub use recorder::{Recorder, install_recorder, recorder};
pub use registry::{DeclareError, MetricRegistry};
