//! What parsers and formatters share: the parameters of `<parse>`, conversions of values, and how fields are written.

mod convert;
mod encoding;
#[cfg(test)]
mod expressions;
mod fields;
mod last;
mod map;
mod newline;
mod params;
mod record;
mod refusal;
#[cfg(test)]
mod robustness;
mod settings;
mod split;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use convert::{Converter, leading_float};
pub(crate) use encoding::encoding_named;
pub(crate) use fields::Fields;
pub(crate) use last::set_in_last;
pub(crate) use newline::{ADD_NEWLINE, NEWLINE, Newline};
pub(crate) use params::{Defaults, format_params, parse_params, timed_format_params};
pub(crate) use record::{fields, json_error};
pub(crate) use refusal::refused_expression;
pub(crate) use settings::ParseSettings;
pub(crate) use split::{chomp, find, is_blank, split, split_all, split_limited};
