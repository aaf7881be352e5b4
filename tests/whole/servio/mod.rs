//! The production example, conf/servio: real files into a real ClickHouse.

mod example;
mod moments;
mod postgresql;
mod production;
mod queries;
mod quickstart;
mod survival;

use crate::logweir::Logweir;
use logweir_testing::ClickHouse;
use serde_json::{Value, json};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The services of Servio's guide, each with its log file.
const SERVICES: [&str; 4] = ["app", "api", "worker", "db"];

/// A file of conf/servio.
fn conf(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/servio").join(name)
}

fn conf_text(name: &str) -> String {
    fs::read_to_string(conf(name)).unwrap()
}

/// A configuration of conf/servio with `dir` in the place of /var/log, and a ClickHouse on this machine.
fn substituted(name: &str, dir: &Path, port: u16) -> String {
    let text = conf_text(name).replace("/var/log/", &format!("{}/", dir.display()));
    let text =
        text.replace("  host clickhouse\n  port 8123\n", &format!("  host 127.0.0.1\n  port {port}\n"));
    assert!(!text.contains("/var/log") && !text.contains("8123"), "{text}");
    text
}

/// The statements of a file, without comments.
fn statements(name: &str) -> Vec<String> {
    let text = conf_text(name);
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("--")).collect();
    let statements = lines.join("\n");
    statements.split(';').map(str::trim).filter(|sql| !sql.is_empty()).map(str::to_owned).collect()
}

/// Makes Servio's table, which loses its TTL on a server that knows none.
fn make_table(server: &ClickHouse) {
    let has_ttl = server.version() >= (19, 6);
    for statement in statements("schema.sql") {
        let end = if has_ttl { None } else { statement.find("\nTTL") };
        server.query(&statement[..end.unwrap_or(statement.len())]);
    }
}

/// Makes the log files, empty.
fn make_logs(logs: &Path) {
    fs::create_dir_all(logs).unwrap();
    for service in SERVICES {
        fs::write(logs.join(format!("{service}.log")), "").unwrap();
    }
}

/// The `n`th record of a service: as in the guide, in two months, with what some records lack and others have twice.
fn record(service: &str, n: usize) -> Value {
    let level = ["debug", "info", "warn", "error", "fatal"][n % 5];
    let month = 1 + n % 2;
    let (hour, minute, second) = (n / 3600 % 24, n / 60 % 60, n % 60);
    let zone = if n.is_multiple_of(7) { "+00:00" } else { "Z" };
    let mut record = json!({
        "timestamp": format!("2024-{month:02}-15T{hour:02}:{minute:02}:{second:02}.123{zone}"),
        "level": level,
        "service": service,
        "environment": "development",
        "venueId": "venue_123",
        "userId": format!("user_{}", n % 10),
        "message": format!("Something \"happened\" in {service}: grün\tNr. {n}"),
        "context": {"email": "user@example.com", "ip": "192.168.1.1", "duration": n as f64 / 4.0, "list": [1, null, {"a": "\\"}]},
        "metadata": {"requestId": format!("{service}-{n:06}"), "traceId": "trace_abc", "spanId": "span_def"},
    });
    let fields = record.as_object_mut().unwrap();
    match n % 11 {
        3 => drop(fields.remove("venueId")),
        4 => drop(fields.remove("userId")),
        5 => drop(fields.remove("context")),
        6 => drop(fields.insert("hostname".to_owned(), json!("overwritten"))),
        _ => {}
    }
    record
}

/// Waits until so many files are followed: what is in a file when Logweir first sees it is passed over.
fn wait_for_files(logweir: &mut Logweir, count: usize) {
    logweir
        .wait("files to be followed", |logweir| logweir.log().matches("following tail of").count() >= count);
}

fn append(file: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).open(file).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Checks that the table holds the records 0..count of each service, each once, with every field.
fn assert_stored_once(server: &ClickHouse, counts: &[(&str, usize)]) {
    let total: usize = counts.iter().map(|(_, count)| count).sum();
    let id = "visitParamExtractString(metadata, 'requestId')";
    let found = server.query(&format!("SELECT count(), uniqExact({id}) FROM servio_logs.logs"));
    if found != format!("{total}\t{total}") {
        let twice = server.query(&format!(
            "SELECT {id} AS id, count() AS c FROM servio_logs.logs GROUP BY id HAVING c > 1 ORDER BY id LIMIT 50"
        ));
        let by_service =
            server.query("SELECT service, count() FROM servio_logs.logs GROUP BY service ORDER BY service");
        let missing = missing(server, counts);
        panic!(
            "{total} records, but {found} rows;\n{by_service}\nmore than once:\n{twice}\nmissing: {missing:?}"
        );
    }
    let columns = "toString(timestamp), level, service, environment, venueId, userId, message, context, metadata, \
                   hostname, toString(date)";
    for (service, count) in counts {
        let rows = server.query(&format!(
            "SELECT {columns} FROM servio_logs.logs WHERE service = '{service}' ORDER BY {id} FORMAT JSONCompact"
        ));
        let answer: Value = serde_json::from_str(&rows).unwrap();
        let rows: Vec<Vec<String>> = serde_json::from_value(answer["data"].clone()).unwrap();
        assert_eq!(rows.len(), *count);
        for (n, row) in rows.iter().enumerate() {
            assert_eq!(*row, expected(&record(service, n)));
        }
    }
}

/// The row of a record.
fn expected(record: &Value) -> Vec<String> {
    let text = |name: &str| match &record[name] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        nested => nested.to_string(),
    };
    let timestamp = text("timestamp");
    let fields = ["venueId", "userId", "message", "context", "metadata"].map(text);
    let mut row =
        vec![timestamp[..19].replace('T', " "), text("level"), text("service"), "production".to_owned()];
    row.extend(fields);
    row.extend([hostname(), timestamp[..10].to_owned()]);
    row
}

/// The records that are missing, as ranges.
fn missing(server: &ClickHouse, counts: &[(&str, usize)]) -> Vec<String> {
    let there = server.query("SELECT visitParamExtractString(metadata, 'requestId') FROM servio_logs.logs");
    let there: std::collections::HashSet<&str> = there.lines().collect();
    let mut ranges = Vec::new();
    for (service, count) in counts {
        let is_there = |n: &usize| there.contains(&*format!("{service}-{n:06}"));
        let mut n = 0;
        while let Some(first) = (n..*count).find(|n| !is_there(n)) {
            n = (first..*count).find(is_there).unwrap_or(*count);
            ranges.push(format!("{service} {first}..{n}"));
        }
    }
    ranges
}

fn rows(server: &ClickHouse) -> usize {
    server.query("SELECT count() FROM servio_logs.logs").parse().unwrap()
}

fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Waits until the table has `count` rows and nothing waits in the buffer.
fn wait_for_rows(logweir: &mut Logweir, server: &ClickHouse, buffer: &Path, count: usize) {
    logweir.wait("the rows", |_| rows(server) >= count);
    logweir.wait("an empty buffer", |_| chunks(buffer).is_empty());
}

/// The chunk files of a buffer, which makes its folder when it needs it.
fn chunks(buffer: &Path) -> Vec<String> {
    let names = fs::read_dir(buffer).into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    // Lock, marks and the spare file have names with a dot in front.
    names.filter(|name| name.starts_with("buffer.")).collect()
}
