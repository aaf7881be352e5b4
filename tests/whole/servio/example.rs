//! conf/servio/fluent.conf word for word: its own paths below /var/log, the host `clickhouse`, port 8123.
//!
//! That takes a machine of its own. Where there can be none, it runs with paths, host and port substituted, and says so.

use super::*;
use crate::logweir::BINARY;
use crate::machine::{INSIDE, in_a_machine_of_its_own};
use logweir_testing::Options;
use std::process::{Command, Stdio};

/// The example as Servio's guide, and the issue that asks for it, print it.
const EXAMPLE: &str = r##"<source>
  @type tail
  path /var/log/servio/*.log
  pos_file /var/log/fluentd-servio.pos
  tag servio.*
  <parse>
    @type json
  </parse>
</source>

<filter servio.**>
  @type record_transformer
  <record>
    hostname "#{Socket.gethostname}"
    environment "#{ENV['ENVIRONMENT'] || 'development'}"
  </record>
</filter>

<match servio.**>
  @type clickhouse
  host clickhouse
  port 8123
  database servio_logs
  table logs
  <buffer>
    @type file
    path /var/log/fluentd-buffers/servio
    flush_mode interval
    flush_interval 5s
  </buffer>
</match>
"##;

#[test]
fn runs_word_for_word() {
    assert_eq!(conf_text("fluent.conf"), EXAMPLE);
    if std::env::var_os(INSIDE).is_some() {
        let server = ClickHouse::start_with(&Options { http_port: Some(8123), ..Options::default() });
        let var_log = Path::new("/var/log");
        make_logs(&var_log.join("servio"));
        let log = fs::File::create(var_log.join("logweir.log")).unwrap();
        let mut command = Command::new(BINARY);
        command.arg("-c").arg(conf("fluent.conf")).env("ENVIRONMENT", "production").stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        make_table(&server);
        moves_files(Logweir::adopt(var_log, command.spawn().unwrap()), var_log, &server);
    } else if !in_a_machine_of_its_own("servio::example::runs_word_for_word") {
        let server = ClickHouse::start();
        let dir = tempfile::tempdir().unwrap();
        make_logs(&dir.path().join("servio"));
        make_table(&server);
        let config = substituted("fluent.conf", dir.path(), server.port());
        moves_files(Logweir::start(dir.path(), &config), dir.path(), &server);
    }
}

/// Lines into the files below `var_log`, rows out of the table.
fn moves_files(mut logweir: Logweir, var_log: &Path, server: &ClickHouse) {
    let guide = json!({
        "timestamp": "2024-01-15T10:30:45.123Z", "level": "info", "service": "guide", "environment": "production",
        "venueId": "venue_123", "userId": "user_456", "message": "User logged in",
        "context": {"email": "user@example.com", "ip": "192.168.1.1", "userAgent": "Mozilla/5.0"},
        "metadata": {"requestId": "req_789", "traceId": "trace_abc", "spanId": "span_def"}
    });
    wait_for_files(&mut logweir, SERVICES.len());
    append(&var_log.join("servio/app.log"), &format!("{guide}\n"));
    logweir.wait("the guide's record", |_| rows(server) == 1);
    assert_eq!(
        server.query("SELECT *, date FROM servio_logs.logs FORMAT TabSeparatedRaw"),
        format!(
            "2024-01-15 10:30:45\tinfo\tguide\tproduction\tvenue_123\tuser_456\tUser logged in\t\
             {{\"email\":\"user@example.com\",\"ip\":\"192.168.1.1\",\"userAgent\":\"Mozilla/5.0\"}}\t\
             {{\"requestId\":\"req_789\",\"traceId\":\"trace_abc\",\"spanId\":\"span_def\"}}\t{}\t2024-01-15",
            hostname()
        )
    );
    server.query("TRUNCATE TABLE servio_logs.logs");
    for service in SERVICES {
        let lines: String = (0..500).map(|n| format!("{}\n", record(service, n))).collect();
        append(&var_log.join(format!("servio/{service}.log")), &lines);
    }
    wait_for_rows(&mut logweir, server, &var_log.join("fluentd-buffers/servio"), 2000);
    assert_eq!(logweir.stop().code(), Some(0));
    assert_stored_once(server, &SERVICES.map(|service| (service, 500)));
    assert!(var_log.join("fluentd-servio.pos").is_file() && var_log.join("fluentd-buffers/servio").is_dir());
}
