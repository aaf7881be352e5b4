//! Plugins that configurations name and that are not built in: which gem has them, and what to use instead. Also where a plugin
//! comes from that is built in.

use crate::plugin::Kind::{self, Filter, Formatter, Input, Output, Parser};

/// A plugin of a gem.
#[derive(Clone, Copy, Debug)]
pub struct Gem {
    /// What it is used as.
    pub kind: Kind,
    /// Its `@type`.
    pub name: &'static str,
    /// The gem.
    pub gem: &'static str,
    /// What to use instead; empty if Logweir has the plugin.
    pub instead: &'static str,
}

/// Where a plugin of this kind and name comes from, if it is one of Fluentd's own.
pub fn is_fluentds(kind: Kind, name: &str) -> bool {
    FLUENTD.iter().any(|(known, names)| *known == kind && names.contains(&name))
}

/// The gem that has the plugin, if it is one of those that are known.
pub fn gem(kind: Kind, name: &str) -> Option<&'static Gem> {
    GEMS.iter().find(|gem| gem.kind == kind && gem.name == name)
}

/// All plugins of gems that are known.
pub fn gems() -> &'static [Gem] {
    GEMS
}

/// The plugins that Fluentd 1.16 brings along, and those of 1.17 to 1.19.
const FLUENTD: &[(Kind, &[&str])] = &[
    (
        Input,
        &[
            "debug_agent",
            "dummy",
            "exec",
            "forward",
            "gc_stat",
            "http",
            "monitor_agent",
            "object_space",
            "sample",
            "syslog",
            "tail",
            "tcp",
            "udp",
            "unix",
        ],
    ),
    (Filter, &["grep", "parser", "record_transformer", "stdout"]),
    (
        Output,
        &[
            "buffer",
            "copy",
            "exec",
            "exec_filter",
            "file",
            "forward",
            "http",
            "null",
            "relabel",
            "roundrobin",
            "secondary_file",
            "stdout",
            "stream",
        ],
    ),
    (
        Parser,
        &[
            "apache",
            "apache2",
            "apache_error",
            "csv",
            "in_http",
            "json",
            "ltsv",
            "msgpack",
            "multiline",
            "nginx",
            "none",
            "regexp",
            "syslog",
            "tsv",
        ],
    ),
    (Formatter, &["csv", "hash", "json", "ltsv", "msgpack", "out_file", "single_value", "stdout", "tsv"]),
];

const fn built_in(kind: Kind, name: &'static str, gem: &'static str) -> Gem {
    Gem { kind, name, gem, instead: "" }
}

const fn other(kind: Kind, name: &'static str, gem: &'static str, instead: &'static str) -> Gem {
    Gem { kind, name, gem, instead }
}

/// What Fluent Bit sends on.
macro_rules! bit {
    ($output:literal) => {
        concat!(
            "@type clickhouse stores events; or send them with @type forward to a Fluent Bit with its output ",
            $output,
            ", or to a Fluentd that has the gem"
        )
    };
}

const FORWARD: &str = "send events with @type forward to a Fluentd that has the gem";
const TAKE_FORWARD: &str = "run a Fluentd that has the gem, with @type forward as its output, and take its events with @type forward here";
const FROM_BIT: &str =
    "run a Fluent Bit or Fluentd that reads them, and take its events with @type forward here";
const RUBY: &str = "@type record_transformer with enable_ruby true computes fields";
const METRICS: &str = "@type monitor_agent shows the same numbers as JSON";

/// The most frequent ones of public configurations and downloads.
#[rustfmt::skip] // one line a plugin
const GEMS: &[Gem] = &[
    // Those that are built in.
    built_in(Input, "prometheus", "fluent-plugin-prometheus"),
    built_in(Input, "prometheus_monitor", "fluent-plugin-prometheus"),
    built_in(Input, "prometheus_output_monitor", "fluent-plugin-prometheus"),
    built_in(Input, "prometheus_tail_monitor", "fluent-plugin-prometheus"),
    built_in(Filter, "prometheus", "fluent-plugin-prometheus"),
    built_in(Output, "prometheus", "fluent-plugin-prometheus"),
    built_in(Input, "systemd", "fluent-plugin-systemd"),
    built_in(Filter, "systemd_entry", "fluent-plugin-systemd"),
    built_in(Filter, "kubernetes_metadata", "fluent-plugin-kubernetes_metadata_filter"),
    built_in(Filter, "concat", "fluent-plugin-concat"),
    built_in(Filter, "dedot", "fluent-plugin-dedot_filter"),
    built_in(Filter, "parse_json_field", "origin-aggregated-logging"),
    built_in(Filter, "record_modifier", "fluent-plugin-record-modifier"),
    built_in(Output, "record_modifier", "fluent-plugin-record-modifier"),
    built_in(Output, "detect_exceptions", "fluent-plugin-detect-exceptions"),
    built_in(Output, "remote_syslog", "fluent-plugin-remote_syslog"),
    built_in(Output, "rewrite_tag_filter", "fluent-plugin-rewrite-tag-filter"),
    built_in(Parser, "cri", "fluent-plugin-parser-cri"),
    built_in(Parser, "grok", "fluent-plugin-grok-parser"),
    built_in(Parser, "multiline_grok", "fluent-plugin-grok-parser"),
    built_in(Parser, "kubernetes", "fluentd-kubernetes-daemonset"),
    built_in(Parser, "multiline_kubernetes", "fluentd-kubernetes-daemonset"),
    built_in(Parser, "logfmt", "fluent-plugin-parser-logfmt"),
    built_in(Parser, "multi_format", "fluent-plugin-multi-format-parser"),
    built_in(Formatter, "logfmt", "fluent-plugin-logfmt"),
    // Search engines, object stores and databases.
    other(Output, "elasticsearch", "fluent-plugin-elasticsearch", bit!("es")),
    other(Output, "elasticsearch_dynamic", "fluent-plugin-elasticsearch", bit!("es")),
    other(Output, "elasticsearch_data_stream", "fluent-plugin-elasticsearch", bit!("es")),
    other(Output, "aws-elasticsearch-service", "fluent-plugin-aws-elasticsearch-service", bit!("es")),
    other(Filter, "elasticsearch_genid", "fluent-plugin-elasticsearch", "leave it out with @type clickhouse, which names each chunk so that it is stored once"),
    other(Output, "opensearch", "fluent-plugin-opensearch", bit!("opensearch")),
    other(Output, "opensearch_data_stream", "fluent-plugin-opensearch", bit!("opensearch")),
    other(Output, "s3", "fluent-plugin-s3", "@type file writes the same files, for a job that copies them; or send events with @type forward to a Fluent Bit with its output s3"),
    other(Input, "s3", "fluent-plugin-s3", TAKE_FORWARD),
    other(Output, "gcs", "fluent-plugin-gcs", "@type file writes the same files, for a job that copies them; or send events with @type forward to a Fluentd that has the gem"),
    other(Output, "azurestorage", "fluent-plugin-azurestorage", "@type file writes the same files, for a job that copies them; or send events with @type forward to a Fluent Bit with its output azure_blob"),
    other(Output, "azure-storage-append-blob", "fluent-plugin-azure-storage-append-blob", "@type file writes the same files, for a job that copies them; or send events with @type forward to a Fluent Bit with its output azure_blob"),
    other(Output, "webhdfs", "fluent-plugin-webhdfs", "@type file writes the same files, for a job that copies them; or send events with @type forward to a Fluentd that has the gem"),
    other(Output, "mongo", "fluent-plugin-mongo", "@type clickhouse stores events; or send them with @type forward to a Fluentd that has the gem"),
    other(Output, "mongo_replset", "fluent-plugin-mongo", "@type clickhouse stores events; or send them with @type forward to a Fluentd that has the gem"),
    other(Input, "mongo_tail", "fluent-plugin-mongo", TAKE_FORWARD),
    other(Output, "bigquery", "fluent-plugin-bigquery", bit!("bigquery")),
    other(Output, "bigquery_insert", "fluent-plugin-bigquery", bit!("bigquery")),
    other(Output, "bigquery_load", "fluent-plugin-bigquery", bit!("bigquery")),
    other(Output, "influxdb", "fluent-plugin-influxdb", bit!("influxdb")),
    other(Output, "redshift", "fluent-plugin-redshift", "@type clickhouse stores events; or send them with @type forward to a Fluentd that has the gem"),
    other(Output, "mysql_bulk", "fluent-plugin-mysql-bulk", "@type clickhouse stores events; or send them with @type forward to a Fluentd that has the gem"),
    other(Output, "sql", "fluent-plugin-sql", "@type clickhouse stores events; or send them with @type forward to a Fluentd that has the gem"),
    other(Input, "sql", "fluent-plugin-sql", "@type exec runs a client of the database on a schedule"),
    other(Output, "dynamodb", "fluent-plugin-dynamodb", FORWARD),
    other(Output, "redis", "fluent-plugin-redis", FORWARD),
    other(Output, "redis_store", "fluent-plugin-redis-store", FORWARD),
    other(Output, "cassandra_cql", "fluent-plugin-cassandra-cql", FORWARD),
    other(Output, "vertica", "fluent-plugin-vertica", FORWARD),
    other(Output, "tdlog", "fluent-plugin-td", bit!("td")),
    other(Output, "clickhouse-json", "fluent-plugin-clickhouse-json-format-output", "@type clickhouse takes the same parameters"),
    // Queues.
    other(Output, "kafka", "fluent-plugin-kafka", bit!("kafka")),
    other(Output, "kafka2", "fluent-plugin-kafka", bit!("kafka")),
    other(Output, "kafka_buffered", "fluent-plugin-kafka", bit!("kafka")),
    other(Output, "rdkafka2", "fluent-plugin-kafka", bit!("kafka")),
    other(Input, "kafka", "fluent-plugin-kafka", FROM_BIT),
    other(Input, "kafka_group", "fluent-plugin-kafka", FROM_BIT),
    other(Input, "rdkafka_group", "fluent-plugin-kafka", FROM_BIT),
    other(Output, "kinesis_streams", "fluent-plugin-kinesis", bit!("kinesis_streams")),
    other(Output, "kinesis_streams_aggregated", "fluent-plugin-kinesis", bit!("kinesis_streams")),
    other(Output, "kinesis_firehose", "fluent-plugin-kinesis", bit!("kinesis_firehose")),
    other(Output, "kinesis", "fluent-plugin-kinesis", bit!("kinesis_streams")),
    other(Output, "sqs", "fluent-plugin-sqs", FORWARD),
    other(Input, "sqs", "fluent-plugin-sqs", TAKE_FORWARD),
    other(Output, "sns", "fluent-plugin-sns", FORWARD),
    other(Output, "gcloud_pubsub", "fluent-plugin-gcloud-pubsub-custom", FORWARD),
    other(Input, "gcloud_pubsub", "fluent-plugin-gcloud-pubsub-custom", TAKE_FORWARD),
    other(Output, "amqp", "fluent-plugin-amqp", FORWARD),
    other(Input, "amqp", "fluent-plugin-amqp", TAKE_FORWARD),
    other(Output, "rabbitmq", "fluent-plugin-rabbitmq", FORWARD),
    other(Input, "rabbitmq", "fluent-plugin-rabbitmq", TAKE_FORWARD),
    other(Output, "mqtt", "fluent-plugin-mqtt-io", FORWARD),
    other(Input, "mqtt", "fluent-plugin-mqtt-io", FROM_BIT),
    // Services.
    other(Output, "cloudwatch_logs", "fluent-plugin-cloudwatch-logs", bit!("cloudwatch_logs")),
    other(Input, "cloudwatch_logs", "fluent-plugin-cloudwatch-logs", TAKE_FORWARD),
    other(Output, "google_cloud", "fluent-plugin-google-cloud", bit!("stackdriver")),
    other(Filter, "add_insert_ids", "fluent-plugin-google-cloud", RUBY),
    other(Filter, "insert_id", "fluent-plugin-google-cloud", RUBY),
    other(Filter, "analyze_config", "fluent-plugin-google-cloud", "leave it out: it reports on configurations to Google"),
    other(Output, "azure-loganalytics", "fluent-plugin-azure-loganalytics", bit!("azure")),
    other(Output, "azure_logs_ingestion", "fluent-plugin-azure-logs-ingestion", bit!("azure_logs_ingestion")),
    other(Output, "loki", "fluent-plugin-grafana-loki", bit!("loki")),
    other(Output, "datadog", "fluent-plugin-datadog", "@type http with endpoint https://http-intake.logs.datadoghq.com/api/v2/logs, json_array true and the header DD-API-KEY"),
    other(Output, "splunk_hec", "fluent-plugin-splunk-hec", "@type http with endpoint https://HOST:8088/services/collector/raw and the header Authorization: Splunk TOKEN"),
    other(Output, "splunk_ingest_api", "fluent-plugin-splunk-hec", bit!("splunk")),
    other(Output, "splunk-http-eventcollector", "fluent-plugin-splunk-http-eventcollector", "@type http with endpoint https://HOST:8088/services/collector/raw and the header Authorization: Splunk TOKEN"),
    other(Output, "sumologic", "fluent-plugin-sumologic_output", "@type http with the URL of the HTTP source as endpoint"),
    other(Output, "newrelic", "fluent-plugin-newrelic", bit!("nrlogs")),
    other(Output, "logzio_buffered", "fluent-plugin-logzio", "@type http with the listener's address and token as endpoint"),
    other(Output, "logzio", "fluent-plugin-logzio", "@type http with the listener's address and token as endpoint"),
    other(Output, "loggly", "fluent-plugin-loggly", "@type http with endpoint https://logs-01.loggly.com/bulk/TOKEN/tag/TAG/"),
    other(Output, "loggly_buffered", "fluent-plugin-loggly", "@type http with endpoint https://logs-01.loggly.com/bulk/TOKEN/tag/TAG/"),
    other(Output, "lm", "lm-logs-fluentd", FORWARD),
    other(Output, "coralogix", "fluent-plugin-coralogix", FORWARD),
    other(Output, "honeycomb", "fluent-plugin-honeycomb", FORWARD),
    other(Output, "slack", "fluent-plugin-slack", "@type exec with a program that posts to Slack's webhook"),
    other(Output, "mail", "fluent-plugin-mail", "@type exec with a program that sends mail"),
    other(Output, "papertrail", "fluent-plugin-papertrail", FORWARD),
    other(Output, "gelf", "fluent-plugin-gelf-hs", bit!("gelf")),
    other(Output, "graylog", "fluent-plugin-graylog", bit!("gelf")),
    other(Output, "syslog_tls", "fluent-plugin-syslog-tls", bit!("syslog")),
    other(Output, "syslog", "fluent-plugin-syslog", bit!("syslog")),
    other(Output, "truncating_remote_syslog", "fluent-plugin-remote-syslog", bit!("syslog")),
    other(Output, "secure_forward", "fluent-plugin-secure-forward", "@type forward with transport tls and a <security> section"),
    other(Input, "secure_forward", "fluent-plugin-secure-forward", "@type forward with <transport tls> and a <security> section"),
    other(Output, "websocket", "fluent-plugin-websocket", FORWARD),
    other(Output, "statsd", "fluent-plugin-statsd", FORWARD),
    other(Output, "zabbix", "fluent-plugin-zabbix", FORWARD),
    other(Output, "growthforecast", "fluent-plugin-growthforecast", FORWARD),
    other(Output, "norikra", "fluent-plugin-norikra", FORWARD),
    other(Output, "opentelemetry", "fluent-plugin-opentelemetry", bit!("opentelemetry")),
    other(Input, "opentelemetry", "fluent-plugin-opentelemetry", FROM_BIT),
    // What changes or counts events on their way.
    other(Output, "record_reformer", "fluent-plugin-record-reformer", "@type record_transformer as a <filter>, and @type rewrite_tag_filter where the tag changes"),
    other(Output, "rewrite", "fluent-plugin-rewrite", "@type rewrite_tag_filter for tags, @type record_transformer for fields"),
    other(Output, "parser", "fluent-plugin-parser", "@type parser as a <filter>"),
    other(Output, "grep", "fluent-plugin-grep", "@type grep as a <filter>"),
    other(Output, "map", "fluent-plugin-map", RUBY),
    other(Filter, "map", "fluent-plugin-map", RUBY),
    other(Output, "forest", "fluent-plugin-forest", "write ${tag} into the parameters, with tag as a chunk key of <buffer>"),
    other(Output, "route", "fluent-plugin-route", "@type relabel and <label> sections, or @type rewrite_tag_filter"),
    other(Output, "label_router", "fluent-plugin-label-router", "@type rewrite_tag_filter with a label in each <rule>"),
    other(Output, "retag", "fluent-plugin-retag", "@type rewrite_tag_filter with a pattern that always matches"),
    other(Output, "add", "fluent-plugin-add", "@type record_transformer as a <filter>"),
    other(Output, "flatten_hash", "fluent-plugin-flatten-hash", "@type clickhouse fills columns named a.b from nested fields"),
    other(Filter, "flatten_hash", "fluent-plugin-flatten-hash", "@type clickhouse fills columns named a.b from nested fields"),
    other(Output, "flowcounter", "fluent-plugin-flowcounter", METRICS),
    other(Output, "flowcounter_simple", "fluent-plugin-flowcounter-simple", METRICS),
    other(Filter, "flowcounter_simple", "fluent-plugin-flowcounter-simple", METRICS),
    other(Output, "datacounter", "fluent-plugin-datacounter", "@type clickhouse and a query that counts"),
    other(Output, "numeric_counter", "fluent-plugin-numeric-counter", "@type clickhouse and a query that counts"),
    other(Output, "numeric_monitor", "fluent-plugin-numeric-monitor", "@type clickhouse and a query that computes"),
    other(Output, "notifier", "fluent-plugin-notifier", "@type grep and an output that tells somebody"),
    other(Output, "suppress", "fluent-plugin-suppress", FORWARD),
    other(Filter, "suppress", "fluent-plugin-suppress", FORWARD),
    other(Filter, "throttle", "fluent-plugin-throttle", "<group> of @type tail limits lines of each pod"),
    other(Output, "sampling_filter", "fluent-plugin-sampling-filter", FORWARD),
    other(Filter, "sampling", "fluent-plugin-sampling-filter", FORWARD),
    other(Output, "anonymizer", "fluent-plugin-anonymizer", "@type mask as a <filter>"),
    other(Filter, "anonymizer", "fluent-plugin-anonymizer", "@type mask, whose rules hash or redact fields"),
    other(Filter, "geoip", "fluent-plugin-geoip", "ClickHouse looks addresses up: CREATE DICTIONARY ... LAYOUT(ip_trie)"),
    other(Output, "geoip", "fluent-plugin-geoip", "ClickHouse looks addresses up: CREATE DICTIONARY ... LAYOUT(ip_trie)"),
    other(Filter, "geoip2", "fluent-plugin-geoip2", "ClickHouse looks addresses up: CREATE DICTIONARY ... LAYOUT(ip_trie)"),
    other(Filter, "ua_parser", "fluent-plugin-ua-parser", "ClickHouse takes user agents apart: CREATE DICTIONARY ... LAYOUT(regexp_tree)"),
    other(Output, "ua_parser", "fluent-plugin-ua-parser", "ClickHouse takes user agents apart: CREATE DICTIONARY ... LAYOUT(regexp_tree)"),
    other(Filter, "woothee", "fluent-plugin-woothee", "ClickHouse takes user agents apart: CREATE DICTIONARY ... LAYOUT(regexp_tree)"),
    other(Filter, "jq_transformer", "fluent-plugin-jq", RUBY),
    other(Filter, "jq", "fluent-plugin-jq", RUBY),
    other(Filter, "extract", "fluent-plugin-extract", "@type parser with a regexp"),
    other(Filter, "ecs_metadata", "fluent-plugin-ecs-metadata-filter", "@type record_transformer adds what the environment says"),
    other(Filter, "ec2_metadata", "fluent-plugin-ec2-metadata", "@type record_transformer adds what the environment says"),
    other(Output, "ec2_metadata", "fluent-plugin-ec2-metadata", "@type record_transformer adds what the environment says"),
    other(Filter, "viaq_data_model", "fluent-plugin-viaq_data_model", RUBY),
    other(Filter, "detect_exceptions", "fluent-plugin-detect-exceptions", "@type detect_exceptions is a <match>; it sends events on"),
    other(Filter, "rename_key", "fluent-plugin-rename-key", "@type record_transformer with remove_keys"),
    other(Output, "rename_key", "fluent-plugin-rename-key", "@type record_transformer with remove_keys"),
    other(Filter, "json_in_json", "fluent-plugin-json-in-json", "@type parse_json_field, or @type parser with @type json"),
    other(Filter, "multiline_extended", "fluent-plugin-tail-multiline", "@type concat"),
    other(Input, "tail_multiline", "fluent-plugin-tail-multiline", "@type tail with <parse> @type multiline"),
    other(Input, "tail_ex", "fluent-plugin-tail-ex", "@type tail, whose path takes patterns and times"),
    other(Input, "tail_asis", "fluent-plugin-tail-asis", "@type tail with <parse> @type none"),
    // Sources.
    other(Input, "dstat", "fluent-plugin-dstat", "@type exec runs the command on a schedule"),
    other(Input, "netflow", "fluent-plugin-netflow", TAKE_FORWARD),
    other(Input, "elb_log", "fluent-plugin-elb-log", TAKE_FORWARD),
    other(Input, "windows_eventlog", "fluent-plugin-windows-eventlog", FROM_BIT),
    other(Input, "windows_eventlog2", "fluent-plugin-windows-eventlog", FROM_BIT),
    other(Input, "docker", "fluent-plugin-docker", "@type tail reads the files of containers; or Docker's log driver fluentd sends to @type forward"),
    other(Input, "beats", "fluent-plugin-beats", TAKE_FORWARD),
    other(Input, "heroku_syslog_http", "fluent-plugin-heroku-syslog", TAKE_FORWARD),
    other(Input, "http_healthcheck", "fluent-plugin-http-healthcheck", "a GET to @type http is answered with 200"),
    other(Input, "snmp", "fluent-plugin-snmp", "@type exec runs snmpget on a schedule"),
    other(Input, "protobuf_http", "fluent-plugin-protobuf-http", TAKE_FORWARD),
    other(Parser, "grok_pure", "fluent-plugin-grok_pure-parser", "@type grok"),
    other(Parser, "json_in_string", "fluent-plugin-json-in-string-parser", "@type json, or @type parse_json_field as a <filter>"),
    other(Parser, "json_in_json", "fluent-plugin-json-in-json-2", "@type json, and a <filter> @type parse_json_field behind it"),
    other(Parser, "url_encoded", "fluent-plugin-url_encoded-parser", "@type http takes forms"),
    other(Parser, "cef", "fluent-plugin-parser-cef", "@type regexp"),
    other(Parser, "protobuf", "fluent-plugin-parser-protobuf", TAKE_FORWARD),
    other(Parser, "avro", "fluent-plugin-parser-avro", TAKE_FORWARD),
    other(Parser, "winevt_xml", "fluent-plugin-parser-winevt_xml", FROM_BIT),
    other(Formatter, "sprintf", "fluent-plugin-formatter_sprintf", "@type single_value, behind a @type record_transformer that makes the text"),
    other(Formatter, "ltsv_pretty", "fluent-plugin-formatter-ltsv", "@type ltsv"),
    other(Formatter, "avro", "fluent-plugin-formatter-avro", FORWARD),
    other(Formatter, "protobuf", "fluent-plugin-formatter-protobuf", FORWARD),
    other(Formatter, "pretty_json", "fluent-plugin-formatter_pretty_json", "@type json"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_plugin_stands_once_and_a_hundred_gems_have_advice() {
        let mut seen = BTreeSet::new();
        for gem in GEMS {
            assert!(seen.insert((format!("{:?}", gem.kind), gem.name)), "{} stands twice", gem.name);
            assert!(!is_fluentds(gem.kind, gem.name), "{} is Fluentd's own", gem.name);
        }
        let gems: BTreeSet<&str> =
            GEMS.iter().filter(|gem| !gem.instead.is_empty()).map(|gem| gem.gem).collect();
        assert!(gems.len() >= 100, "{} gems", gems.len());
    }
}
