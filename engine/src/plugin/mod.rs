//! The contract between the program and its plugins.
//!
//! A plugin is one file or folder in `plugins/` with a `pub static PLUGIN: Descriptor`: what it is called, which
//! parameters it takes and how it is built. The descriptor's table drives type checks, error messages with
//! suggestions, `--show-plugin-config` and the reference pages.

mod build;
mod descriptor;
mod driver;
mod event_format;
mod extract;
mod field;
mod filter;
mod followed;
mod inject;
mod input;
mod monitor;
mod output;
mod text;

pub use build::{
    BuildContext, BuiltOutput, FileBuffer, LabelRef, PluginId, ROOT_LABEL, Registry, Shared, Store,
};
pub use descriptor::{
    BufferDefaults, BufferSupport, Build, BuildFn, Compat, DefaultValue, Descriptor, Kind, Origin, Param,
    ParamKind, SectionDefault, SectionSpec, Status,
};
pub use driver::Driver;
pub use event_format::EventFormat;
pub use extract::{EXTRACT, Extract};
pub use field::FieldPlace;
pub use filter::{
    AfterError, CountedFilter, Filter, FilterContext, FilterCounters, FilterError, FilterStep, RawFilter,
    RecordFilter, Select, StreamFilter, Verdict,
};
pub use followed::{FollowedFile, FollowedFiles};
pub use inject::{INJECT, Inject};
pub use input::{Input, InputContext, InputCounters, StartError};
pub use monitor::{PluginInfo, PluginState, Plugins};
pub use output::{
    BufferedOutput, ChunkFormatter, EmitFuture, FormatError, Output, OutputPlugin, WriteError, WriteFuture,
};
pub use text::{Formatter, Multiline, ParseFailure, ParseOutput, Parser};
