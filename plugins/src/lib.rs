//! Logweir's plugins: one file or folder each, named as Fluentd names them.

use logweir_engine::plugin::{Descriptor, Registry};

mod child;
mod forward;
mod http_query;
mod http_server;
mod inflate;
mod modifier;
mod printed;
mod prometheus;
mod socket;
mod systemd_entry;
mod text;

pub mod filter_concat;
pub mod filter_dedot;
pub mod filter_grep;
pub mod filter_kubernetes_metadata;
pub mod filter_mask;
pub mod filter_parse_json_field;
pub mod filter_parser;
pub mod filter_prometheus;
pub mod filter_record_modifier;
pub mod filter_record_transformer;
pub mod filter_stdout;
pub mod filter_systemd_entry;
pub mod formatter_csv;
pub mod formatter_hash;
pub mod formatter_json;
pub mod formatter_logfmt;
pub mod formatter_ltsv;
pub mod formatter_msgpack;
pub mod formatter_out_file;
pub mod formatter_single_value;
pub mod formatter_stdout;
pub mod formatter_tsv;
pub mod in_debug_agent;
pub mod in_exec;
pub mod in_forward;
pub mod in_http;
pub mod in_monitor_agent;
pub mod in_prometheus;
pub mod in_prometheus_monitor;
pub mod in_prometheus_output_monitor;
pub mod in_prometheus_tail_monitor;
pub mod in_sample;
pub mod in_syslog;
#[cfg(feature = "systemd")]
pub mod in_systemd;
pub mod in_tail;
pub mod in_tcp;
pub mod in_udp;
pub mod out_buffer;
pub mod out_clickhouse;
pub mod out_copy;
pub mod out_detect_exceptions;
pub mod out_exec;
pub mod out_exec_filter;
pub mod out_file;
pub mod out_forward;
pub mod out_http;
pub mod out_null;
pub mod out_prometheus;
pub mod out_record_modifier;
pub mod out_relabel;
pub mod out_remote_syslog;
pub mod out_rewrite_tag_filter;
pub mod out_roundrobin;
pub mod out_secondary_file;
pub mod out_stdout;
pub mod out_stream;
pub mod parser_apache;
pub mod parser_apache2;
pub mod parser_apache_error;
pub mod parser_cri;
pub mod parser_csv;
pub mod parser_grok;
pub mod parser_json;
pub mod parser_kubernetes;
pub mod parser_logfmt;
pub mod parser_ltsv;
pub mod parser_msgpack;
pub mod parser_multi_format;
pub mod parser_multiline;
pub mod parser_nginx;
pub mod parser_none;
pub mod parser_regexp;
pub mod parser_syslog;
pub mod parser_tsv;

#[cfg(feature = "fuzz")]
pub use inflate::fuzz as fuzz_inflate;

/// All plugins of Logweir, to which a program may add its own.
pub fn registry() -> Registry {
    Registry::new(PLUGINS)
}

#[rustfmt::skip] // one line a plugin
static PLUGINS: &[&Descriptor] = &[
    &filter_concat::PLUGIN,
    &filter_dedot::PLUGIN,
    &filter_grep::PLUGIN,
    &filter_kubernetes_metadata::PLUGIN,
    &filter_mask::PLUGIN,
    &filter_parse_json_field::PLUGIN,
    &filter_parser::PLUGIN,
    &filter_prometheus::PLUGIN,
    &filter_record_modifier::PLUGIN,
    &filter_record_transformer::PLUGIN,
    &filter_stdout::PLUGIN,
    &filter_systemd_entry::PLUGIN,
    &formatter_csv::PLUGIN,
    &formatter_hash::PLUGIN,
    &formatter_json::PLUGIN,
    &formatter_logfmt::PLUGIN,
    &formatter_ltsv::PLUGIN,
    &formatter_msgpack::PLUGIN,
    &formatter_out_file::PLUGIN,
    &formatter_single_value::PLUGIN,
    &formatter_stdout::PLUGIN,
    &formatter_tsv::PLUGIN,
    &in_debug_agent::GC_STAT,
    &in_debug_agent::OBJECT_SPACE,
    &in_debug_agent::PLUGIN,
    &in_exec::PLUGIN,
    &in_forward::PLUGIN,
    &in_forward::UNIX,
    &in_http::PARSER,
    &in_http::PLUGIN,
    &in_monitor_agent::PLUGIN,
    &in_prometheus::PLUGIN,
    &in_prometheus_monitor::PLUGIN,
    &in_prometheus_output_monitor::PLUGIN,
    &in_prometheus_tail_monitor::PLUGIN,
    &in_sample::PLUGIN,
    &in_syslog::PLUGIN,
    #[cfg(feature = "systemd")]
    &in_systemd::PLUGIN,
    &in_tail::PLUGIN,
    &in_tcp::PLUGIN,
    &in_udp::PLUGIN,
    &out_buffer::PLUGIN,
    &out_clickhouse::PLUGIN,
    &out_copy::PLUGIN,
    &out_detect_exceptions::PLUGIN,
    &out_exec::PLUGIN,
    &out_exec_filter::PLUGIN,
    &out_file::PLUGIN,
    &out_forward::PLUGIN,
    &out_http::PLUGIN,
    &out_null::PLUGIN,
    &out_prometheus::PLUGIN,
    &out_record_modifier::PLUGIN,
    &out_relabel::PLUGIN,
    &out_remote_syslog::PLUGIN,
    &out_rewrite_tag_filter::PLUGIN,
    &out_roundrobin::PLUGIN,
    &out_secondary_file::PLUGIN,
    &out_stdout::PLUGIN,
    &out_stream::TCP,
    &out_stream::UNIX,
    &parser_apache::PLUGIN,
    &parser_apache2::PLUGIN,
    &parser_apache_error::PLUGIN,
    &parser_cri::PLUGIN,
    &parser_csv::PLUGIN,
    &parser_grok::MULTILINE,
    &parser_grok::PLUGIN,
    &parser_json::PLUGIN,
    &parser_kubernetes::MULTILINE,
    &parser_kubernetes::PLUGIN,
    &parser_logfmt::PLUGIN,
    &parser_ltsv::PLUGIN,
    &parser_msgpack::PLUGIN,
    &parser_multi_format::PLUGIN,
    &parser_multiline::PLUGIN,
    &parser_nginx::PLUGIN,
    &parser_none::PLUGIN,
    &parser_regexp::PLUGIN,
    &parser_syslog::PLUGIN,
    &parser_tsv::PLUGIN,
];

#[cfg(test)]
mod parameters;
#[cfg(test)]
mod testing;
