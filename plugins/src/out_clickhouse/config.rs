//! The parameters of `@type clickhouse`, and what they mean together.

use super::cells::OnFault;
use super::create_table::{EXTRA_COLUMN, TableOptions};
use super::embedded::StoreOptions;
use super::endpoint::Access;
use super::layout::{ColumnOptions, Source};
use jiff::tz::TimeZone;
use logweir_engine::clickhouse::frame::Compression;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::msgpack::{Accessor, PathPart};
use logweir_engine::net::tls::{ClientOptions, ClientParameters, TlsClient, protocol_versions};
use logweir_engine::output::{ChunkKeys, Template};
use logweir_engine::plugin::{Param, ParamKind, SectionSpec};
use logweir_engine::telemetry::PluginLog;
use std::sync::Arc;
use std::time::Duration;

/// The parameters.
pub(crate) static PARAMS: &[Param] = &[
    Param::new("host", ParamKind::String, "One server, or several that hold the same data (a,b:8124)")
        .default("localhost")
        .aliases(&["hosts"]),
    Param::new("port", ParamKind::Integer, "Port of the HTTP interface; default: 8123, with TLS 8443"),
    Param::new("urls", ParamKind::Array, "Servers as URLs, instead of host and port").aliases(&["url", "endpoints"]),
    Param::new("scheme", ParamKind::Enum(&["http", "https"]), "Whether connections use TLS"),
    Param::new("ssl", ParamKind::Bool, "The same as scheme https").aliases(&["secure", "use_ssl", "tls"]),
    Param::new("embedded", ParamKind::Bool, "Run the embedded store and use it; a path without a host means the same"),
    Param::new("path", ParamKind::String, "The embedded store's directory"),
    Param::new("libchdb", ParamKind::String, "The embedded store's engine; default: the usual library folders"),
    Param::new("memory", ParamKind::Size, "What the embedded store may use; default: half of the machine's"),
    Param::new("database", ParamKind::String, "The database; may have placeholders").default("default").aliases(&["db"]),
    Param::new("table", ParamKind::String, "The table; may have placeholders").required(),
    Param::new("user", ParamKind::String, "The user").default("default").aliases(&["username"]),
    Param::new("password", ParamKind::String, "The user's password").default("").secret(),
    Param::new("access_token", ParamKind::String, "A token, instead of user and password").secret(),
    Param::new("columns", ParamKind::Array, "Store these fields only; default: each that has a column").aliases(&["fields"]),
    Param::new("datetime_name", ParamKind::String, "The column that always gets the event's time")
        .aliases(&["time_column"]),
    Param::new("tz_offset", ParamKind::Integer, "Minutes that are added to that time").default("0"),
    Param::new("tag_column", ParamKind::String, "The column that always gets the tag"),
    Param::new("extra_column", ParamKind::String, "The column (Map, JSON or String) for fields that have none"),
    Param::new("timezone", ParamKind::String, "Zone of times in text that name none; default: the server's"),
    Param::new(
        "on_row_error",
        ParamKind::Enum(&["dead_letter", "null_or_default", "drop", "fail_chunk"]),
        "What becomes of a row with a value that its column cannot hold: @ERROR, a default, nothing, or the chunk fails",
    )
    .default("dead_letter"),
    Param::new("compress", ParamKind::Enum(&["lz4", "zstd", "none"]), "Compression of inserts").default("lz4"),
    Param::new("compress_level", ParamKind::Integer, "Level of zstd").default("1"),
    Param::new("max_insert_rows", ParamKind::Integer, "Rows of one insert; larger chunks are divided")
        .default("1000000"),
    Param::new("max_insert_bytes", ParamKind::Size, "Bytes of records of one insert; larger chunks are divided")
        .default("64m"),
    Param::new("deduplicate", ParamKind::Bool, "Name each insert, so that the server stores a repeated one once")
        .default("true"),
    Param::new(
        "doubt_wait",
        ParamKind::Time,
        "How long a chunk of which a server may have rows (its answer was lost, and the table does not deduplicate) waits for that \
         server before another one gets it, or any chunk of which a server may have rows before <secondary> does, so that it may be \
         stored twice; not set: until that server answers",
    ),
    Param::new("async_insert", ParamKind::Bool, "Let the server gather inserts, for many small senders").default("false"),
    Param::new("settings", ParamKind::Hash, "ClickHouse settings of each insert; <settings> is the same"),
    Param::new("schema_refresh_interval", ParamKind::Time, "Read the table's columns anew this often").default("60s"),
    Param::new("create_table", ParamKind::Bool, "Make database and table if they are missing").default("false"),
    Param::new("engine", ParamKind::String, "Engine of a table that is made").default("MergeTree"),
    Param::new("order_by", ParamKind::String, "Its ORDER BY; default: the first time column"),
    Param::new("partition_by", ParamKind::String, "Its PARTITION BY; default: day or month of that column"),
    Param::new("ttl", ParamKind::String, "After what time its rows may go (30d), or a TTL expression"),
    Param::new("cluster", ParamKind::String, "Its ON CLUSTER"),
    Param::new("open_timeout", ParamKind::Time, "Time for a connection to be made").default("5s").aliases(&["connect_timeout"]),
    Param::new("send_timeout", ParamKind::Time, "Time for a piece of an insert to be sent").default("60s").aliases(&["write_timeout"]),
    Param::new("http_timeout", ParamKind::Time, "Time for the server to answer").default("180s").aliases(&["read_timeout"]),
    Param::new("ssl_verify", ParamKind::Bool, "Check the server's certificate").default("true").aliases(&["verify_ssl"]),
    Param::new("ssl_verify_hostname", ParamKind::Bool, "Check that it names the server").default("true"),
    Param::new("ca_path", ParamKind::String, "Certificates to trust beside the system's (PEM)").aliases(&["ca_file"]),
    Param::new("client_cert_path", ParamKind::String, "Own certificate (PEM)").aliases(&["client_cert"]),
    Param::new("client_key_path", ParamKind::String, "Its key (PEM)").aliases(&["client_key"]),
    Param::new("client_key_passphrase", ParamKind::String, "The key's passphrase").secret(),
];

/// The sections.
pub(crate) static SECTIONS: &[SectionSpec] = &[
    SectionSpec { free: true, ..SectionSpec::new("settings", "ClickHouse settings of each insert") },
    SectionSpec {
        free: true,
        ..SectionSpec::new(
            "column_map",
            "Column and where its value comes from: a field, $.a.b, $time, $tag or $extra",
        )
    },
    SectionSpec {
        free: true,
        ..SectionSpec::new("schema", "Columns and types of a table that create_table makes")
    },
];

/// What becomes of a row that a column refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowErrors {
    /// It goes to `@ERROR`.
    DeadLetter,
    /// The value is replaced by NULL or the column's default.
    UseDefault,
    /// It is counted and forgotten.
    Drop,
    /// The whole chunk is given up.
    FailChunk,
}

impl RowErrors {
    /// What the encoder does.
    pub(crate) fn on_fault(self) -> OnFault {
        match self {
            Self::UseDefault => OnFault::UseDefault,
            _ => OnFault::RefuseRow,
        }
    }
}

/// The configuration, checked.
pub(crate) struct Config {
    /// Servers.
    pub(crate) urls: Vec<String>,
    /// The store that is run for this, if it is.
    pub(crate) embedded: Option<StoreOptions>,
    /// How to reach them.
    pub(crate) access: Access,
    /// Database.
    pub(crate) database: Template,
    /// Table.
    pub(crate) table: Template,
    /// Columns.
    pub(crate) columns: ColumnOptions,
    /// Zone of times that name none.
    pub(crate) zone: Option<TimeZone>,
    /// Rows that a column refuses.
    pub(crate) row_errors: RowErrors,
    /// Compression of inserts.
    pub(crate) compression: Compression,
    /// Limits of an insert.
    pub(crate) rows_max: usize,
    /// Bytes of records.
    pub(crate) bytes_max: usize,
    /// Whether inserts are named.
    pub(crate) deduplicate: bool,
    /// How long a silent server that may have an insert is waited for.
    pub(crate) doubt_wait: Option<Duration>,
    /// Settings of each insert; they override ours.
    pub(crate) settings: Vec<(String, String)>,
    /// Whether the server gathers inserts.
    pub(crate) async_insert: bool,
    /// How long a description of a table is good for.
    pub(crate) refresh: Duration,
    /// The table to make if it is missing.
    pub(crate) create: Option<TableOptions>,
    /// Whether entries must keep their tag in the buffer.
    pub(crate) keeps_tag: bool,
}

impl Config {
    /// Checks what the tables cannot check.
    pub(crate) fn new(params: &Params, keys: &Arc<ChunkKeys>, log: &PluginLog) -> Result<Self, Diagnostic> {
        let embedded = StoreOptions::new(params)?;
        let urls = match &embedded {
            Some(store) => vec![store.url()],
            None => urls(params)?,
        };
        let create = create(params)?;
        let mut columns = columns(params)?;
        let makes_default_table = create.as_ref().is_some_and(|table| table.columns.is_empty());
        if makes_default_table && columns.extra_column.is_none() {
            columns.extra_column_if_there = Some(EXTRA_COLUMN.to_owned());
        }
        let wants_tag = columns.tag_column.is_some()
            || columns.sources.iter().any(|(_, source)| *source == Source::Tag)
            || makes_default_table;
        let zone = params.str("timezone").map(|name| {
            TimeZone::get(name).map_err(|_| params.error("timezone", format!("unknown time zone: {name}")))
        });
        Ok(Self {
            urls,
            embedded,
            access: access(params)?,
            database: template(params, "database", keys, log)?,
            table: template(params, "table", keys, log)?,
            zone: zone.transpose()?,
            row_errors: match params.word("on_row_error") {
                Some("null_or_default") => RowErrors::UseDefault,
                Some("drop") => RowErrors::Drop,
                Some("fail_chunk") => RowErrors::FailChunk,
                _ => RowErrors::DeadLetter,
            },
            compression: match params.word("compress") {
                Some("none") => Compression::None,
                Some("zstd") => Compression::Zstd(at_least(params, "compress_level", 1)? as i32),
                _ => Compression::Lz4,
            },
            rows_max: at_least(params, "max_insert_rows", 1)?,
            bytes_max: params.size("max_insert_bytes").unwrap_or(1).max(1) as usize,
            deduplicate: params.bool("deduplicate"),
            doubt_wait: params.time("doubt_wait"),
            settings: settings(params),
            async_insert: params.bool("async_insert"),
            refresh: params.time("schema_refresh_interval").unwrap_or_default(),
            create,
            keeps_tag: wants_tag && !keys.tag,
            columns,
        })
    }
}

fn at_least(params: &Params, name: &str, least: i64) -> Result<usize, Diagnostic> {
    match params.int(name) {
        Some(number) if number >= least => Ok(number as usize),
        _ => Err(params.error(name, format!("must be at least {least}"))),
    }
}

/// The port, or this one.
pub(crate) fn port(params: &Params, default: u16) -> Result<u16, Diagnostic> {
    match params.int("port") {
        None => Ok(default),
        Some(port) => u16::try_from(port).map_err(|_| params.error("port", format!("no port: {port}"))),
    }
}

/// The servers' URLs, without a path.
fn urls(params: &Params) -> Result<Vec<String>, Diagnostic> {
    let tls = params.bool("ssl") || params.word("scheme") == Some("https");
    if params.bool("ssl") && params.word("scheme") == Some("http") {
        return Err(params.error("ssl", "ssl true and scheme http contradict each other"));
    }
    let scheme = if tls { "https" } else { "http" };
    let port = port(params, if tls { 8443 } else { 8123 })?;
    let listed = params.array("urls").unwrap_or_default();
    let (name, hosts) = if listed.is_empty() {
        ("host", params.string("host").split(',').map(|host| host.trim().to_owned()).collect())
    } else {
        ("urls", listed)
    };
    let hosts: Vec<String> = hosts.into_iter().filter(|host| !host.is_empty()).collect();
    if hosts.is_empty() {
        return Err(params.error(name, "names no server"));
    }
    hosts.iter().map(|host| url(host, scheme, port).map_err(|why| params.error(name, why))).collect()
}

/// `host`, `host:port`, `[v6]:port` or a URL, as a URL with port.
fn url(host: &str, scheme: &str, port: u16) -> Result<String, String> {
    let (scheme, rest) = host.split_once("://").unwrap_or((scheme, host));
    if !matches!(scheme, "http" | "https") {
        return Err(format!("{host}: ClickHouse is reached with http or https, not with {scheme}"));
    }
    let authority = rest.trim_end_matches('/');
    let v6_without_brackets = authority.parse::<std::net::Ipv6Addr>().is_ok();
    let has_port =
        !v6_without_brackets && authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
    let url = match (has_port, v6_without_brackets) {
        (true, _) => format!("{scheme}://{authority}"),
        (false, true) => format!("{scheme}://[{authority}]:{port}"),
        (false, false) => format!("{scheme}://{authority}:{port}"),
    };
    let valid = url.parse::<hyper::Uri>().is_ok_and(|uri| {
        uri.host().is_some_and(|host| !host.is_empty())
            && uri.port_u16().is_some()
            && matches!(uri.path(), "" | "/")
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
    });
    if valid {
        Ok(url)
    } else {
        Err(format!("not a server: {host} (expected host, host:port or http://host:port)"))
    }
}

fn access(params: &Params) -> Result<Access, Diagnostic> {
    let options = ClientOptions {
        versions: protocol_versions("ssl", None, None, None)
            .map_err(|error| params.error_here(error.to_string()))?,
        insecure: !params.bool("ssl_verify"),
        verify_hostname: params.bool("ssl_verify_hostname"),
        trusted: params.str("ca_path").map(str::to_owned).into_iter().collect(),
        certificates: params.str("client_cert_path").map(str::to_owned),
        key: params.str("client_key_path").map(str::to_owned),
        passphrase: params.str("client_key_passphrase").map(str::to_owned),
    };
    let names =
        ClientParameters { trusted: "ca_path", certificates: "client_cert_path", key: "client_key_path" };
    let time = |name: &str| params.time(name).unwrap_or_default();
    Ok(Access {
        user: params.string("user"),
        password: params.string("password"),
        access_token: params.str("access_token").map(str::to_owned),
        tls: TlsClient::new(&options, names)
            .map_err(|error| params.error(error.parameter, error.message.clone()))?,
        connect_timeout: time("open_timeout"),
        send_timeout: time("send_timeout"),
        answer_timeout: time("http_timeout"),
    })
}

/// A name with placeholders; those that the chunk keys do not provide are refused. Chunk keys that the name does not use
/// are fine: they only decide what is inserted together.
fn template(
    params: &Params,
    name: &str,
    keys: &Arc<ChunkKeys>,
    log: &PluginLog,
) -> Result<Template, Diagnostic> {
    let text = params.string(name);
    let template = Template::new(name, &text, keys, log);
    let problem = if template.has_tag() && !keys.tag {
        template.validate_tag().err()
    } else if template.has_time() && keys.time.is_none() {
        template.validate_time().err()
    } else {
        let unknown = template.field_names().find(|field| !keys.field_names().any(|key| key == *field));
        unknown.map(|field| {
            format!("Parameter '{name}: {text}' has placeholders, but chunk keys doesn't have keys {field}")
        })
    };
    match problem {
        Some(problem) => Err(params.error(name, problem)),
        None if text.is_empty() => Err(params.error(name, "is empty")),
        None => Ok(template),
    }
}

fn columns(params: &Params) -> Result<ColumnOptions, Diagnostic> {
    let text = |name: &str| params.str(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let mut options = ColumnOptions {
        columns: params.array("columns"),
        time_column: text("datetime_name"),
        time_offset_seconds: params.int("tz_offset").unwrap_or(0).saturating_mul(60),
        tag_column: text("tag_column"),
        extra_column: text("extra_column"),
        extra_column_if_there: None,
        sources: Vec::new(),
    };
    // The name under which other plugins give the tag.
    if options.tag_column.is_none() && options.columns.iter().flatten().any(|column| column == "tag") {
        options.tag_column = Some("tag".to_owned());
    }
    if let Some(section) = params.section("column_map") {
        for (column, source) in section.attrs() {
            let source = source_of(source).map_err(|why| section.error(column, why))?;
            options.sources.push((column.to_owned(), source));
        }
    }
    Ok(options)
}

fn source_of(text: &str) -> Result<Source, String> {
    match text {
        "$time" => return Ok(Source::Time),
        "$tag" => return Ok(Source::Tag),
        "$extra" => return Ok(Source::Extra),
        "" => return Err("says no field".to_owned()),
        _ => {}
    }
    if !text.starts_with('$') {
        return Ok(Source::Field(vec![text.to_owned()]));
    }
    if !text.starts_with("$.") && !text.starts_with("$[") {
        return Err(format!("{text} is none of $time, $tag and $extra, nor a path ($.a.b)"));
    }
    let accessor = Accessor::parse(text).map_err(|error| error.message)?;
    let keys = accessor.parts().iter().map(|part| match part {
        PathPart::Key(key) => Ok(String::from_utf8_lossy(key).into_owned()),
        PathPart::Index(index) => {
            Err(format!("an element of an array ([{index}]) cannot be a column's source"))
        }
    });
    keys.collect::<Result<Vec<_>, _>>().map(Source::Field)
}

fn settings(params: &Params) -> Vec<(String, String)> {
    let hash = params.hash("settings").unwrap_or_default().into_iter().map(|(name, value)| {
        let value = match value {
            serde_json::Value::String(text) => text,
            serde_json::Value::Bool(truth) => u8::from(truth).to_string(),
            other => other.to_string(),
        };
        (name, value)
    });
    let mut settings: Vec<_> = hash.collect();
    if let Some(section) = params.section("settings") {
        settings.extend(section.attrs().map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    settings
}

fn create(params: &Params) -> Result<Option<TableOptions>, Diagnostic> {
    if !params.bool("create_table") {
        for name in ["order_by", "partition_by", "ttl", "cluster"] {
            if params.is_set(name) {
                return Err(params
                    .error(name, format!("{name} is for tables that create_table makes; it is not set")));
            }
        }
        return Ok(None);
    }
    let text = |name: &str| params.str(name).map(str::to_owned);
    let ttl = params.str("ttl").map(str::trim).filter(|ttl| !ttl.is_empty());
    let ttl_seconds = ttl.and_then(seconds);
    let columns = params
        .section("schema")
        .map(|section| section.attrs().map(|(column, kind)| (column.to_owned(), kind.to_owned())).collect());
    Ok(Some(TableOptions {
        columns: columns.unwrap_or_default(),
        engine: params.string("engine"),
        order_by: text("order_by"),
        partition_by: text("partition_by"),
        ttl_seconds,
        ttl_expression: ttl.filter(|_| ttl_seconds.is_none()).map(str::to_owned),
        cluster: text("cluster"),
    }))
}

/// `30d`, `12h`, `90m`, `3600s`, `3600`; `None` for anything else, which is an expression then.
fn seconds(text: &str) -> Option<u64> {
    let (digits, unit) = match text.char_indices().next_back()? {
        (_, last) if last.is_ascii_digit() => (text, 1),
        (at, 's') => (&text[..at], 1),
        (at, 'm') => (&text[..at], 60),
        (at, 'h') => (&text[..at], 3600),
        (at, 'd') => (&text[..at], 86_400),
        (at, 'w') => (&text[..at], 604_800),
        _ => return None,
    };
    digits.trim().parse::<u64>().ok()?.checked_mul(unit).filter(|seconds| *seconds > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_in_every_spelling() {
        for (host, expected) in [
            ("clickhouse", "http://clickhouse:8123"),
            ("clickhouse:9", "http://clickhouse:9"),
            ("10.0.0.1", "http://10.0.0.1:8123"),
            ("::1", "http://[::1]:8123"),
            ("[::1]:9", "http://[::1]:9"),
            ("[::1]", "http://[::1]:8123"),
            ("https://a.b/", "https://a.b:8123"),
            ("http://a:1", "http://a:1"),
        ] {
            assert_eq!(url(host, "http", 8123).as_deref(), Ok(expected), "{host}");
        }
        for host in ["tcp://a", "a b", "http://", "http://u:p@h:1", "a/path", "a:99999"] {
            assert!(url(host, "http", 8123).is_err(), "{host}");
        }
    }

    #[test]
    fn sources_of_columns() {
        assert_eq!(source_of("a"), Ok(Source::Field(vec!["a".into()])));
        assert_eq!(source_of("$['a']['b.c']"), Ok(Source::Field(vec!["a".into(), "b.c".into()])));
        assert_eq!(source_of("$time"), Ok(Source::Time));
        assert_eq!(source_of("$extra"), Ok(Source::Extra));
        assert!(source_of("$.a[0]").unwrap_err().contains("array"));
        assert!(source_of("$tga").unwrap_err().contains("$tag"));
    }

    #[test]
    fn retention_as_a_time_or_an_expression() {
        assert_eq!(seconds("30d"), Some(2_592_000));
        assert_eq!(seconds("2w"), Some(1_209_600));
        assert_eq!(seconds("90"), Some(90));
        assert_eq!(seconds("timestamp + INTERVAL 30 DAY"), None);
        assert_eq!(seconds("0"), None);
        assert_eq!(seconds("99999999999999999999d"), None);
    }
}
