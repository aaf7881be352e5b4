//! conf/servio/postgresql.conf, within production.conf, with what a real PostgreSQL logs.

use super::*;
use crate::logweir::BINARY;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// Who runs PostgreSQL when this test runs as root, which PostgreSQL refuses: nobody.
const NOBODY: u32 = 65534;

#[test]
fn statements_and_errors_arrive_as_records_of_the_service_db() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let server = ClickHouse::start();
    make_table(&server);
    let postgres = Postgres::start(&dir.path().join("postgresql"));
    for name in ["production.conf", "fluent.conf", "postgresql.conf"] {
        let text = conf_text(name).replace("/var/log/", &format!("{}/", dir.path().display()));
        let here = format!("  host 127.0.0.1\n  port {}\n", server.port());
        fs::write(dir.path().join(name), text.replace("  host clickhouse\n  port 8123\n", &here)).unwrap();
    }
    let log = fs::File::create(dir.path().join("logweir.log")).unwrap();
    let mut command = Command::new(BINARY);
    command.arg("--suppress-config-dump").arg("-c").arg(dir.path().join("production.conf"));
    command.env("ENVIRONMENT", "production").stdin(Stdio::null());
    let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
    let mut logweir = Logweir::adopt(dir.path(), child);

    wait_for_files(&mut logweir, 1);
    // Only here, so that nothing else is slow on a busy machine.
    postgres.psql_with("-c log_min_duration_statement=100", "SELECT pg_sleep(0.15), 'slow one' AS answer");
    postgres.psql("SELECT no_such_column");
    postgres.psql("DO $$ BEGIN RAISE WARNING 'careful: grün'; END $$");
    postgres.psql("CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1), (1)");
    let of_psql = "visitParamExtractString(metadata, 'application') = 'servio-test'";
    let count = format!("SELECT count() FROM servio_logs.logs WHERE {of_psql}");
    logweir.wait("the records", |_| server.query(&count).parse::<usize>().unwrap() >= 4);
    assert_eq!(logweir.stop().code(), Some(0));

    let answer = server.query(&format!(
        "SELECT level, message, service, environment, hostname, context, metadata, timestamp > now() - 3600 AND timestamp <= now() + 1 \
         FROM servio_logs.logs WHERE {of_psql} ORDER BY visitParamExtractFloat(context, 'duration') DESC, message FORMAT JSONCompact"
    ));
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let rows = answer["data"].as_array().unwrap();
    let heads: Vec<(&str, &str)> =
        rows.iter().map(|row| (row[0].as_str().unwrap(), row[1].as_str().unwrap())).collect();
    assert_eq!(
        heads,
        [
            ("info", "slow query"),
            ("warn", "careful: grün"),
            ("error", "column \"no_such_column\" does not exist"),
            ("error", "duplicate key value violates unique constraint \"orders_pkey\""),
        ]
    );
    let json = |row: usize, column: usize| -> Value {
        serde_json::from_str(rows[row][column].as_str().unwrap()).unwrap()
    };
    for (row, _) in heads.iter().enumerate() {
        assert_eq!([&rows[row][2], &rows[row][3], &rows[row][4]], ["db", "production", &*hostname()]);
        assert_eq!(rows[row][7], 1, "{answer}");
        assert_eq!(json(row, 5)["database"], "postgres");
        let metadata = json(row, 6);
        assert!(metadata["pid"].is_u64() && metadata["sessionId"].is_string(), "{metadata}");
    }
    let slow = json(0, 5);
    assert!(slow["duration"].as_f64().unwrap() >= 150.0, "{slow}");
    assert_eq!(slow["statement"], "SELECT pg_sleep(0.15), 'slow one' AS answer");
    assert_eq!((&json(2, 5)["state"], &json(3, 5)["state"]), (&json!("42703"), &json!("23505")));
    assert_eq!(json(2, 5)["statement"], "SELECT no_such_column");
}

/// A cluster of one test's own, on a Unix socket.
struct Postgres {
    dir: PathBuf,
    bin: PathBuf,
    shell: Child,
}

impl Postgres {
    fn start(dir: &Path) -> Self {
        fs::create_dir(dir).unwrap();
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
        let is_root = rustix::process::geteuid().is_root();
        if is_root {
            std::os::unix::fs::chown(dir, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let bin = programs();
        let unprivileged = |program: &Path| {
            let mut command = Command::new(program);
            command.current_dir(dir).env("LC_ALL", "C");
            if is_root {
                command.uid(NOBODY).gid(NOBODY);
            }
            command
        };
        let mut initdb = unprivileged(&bin.join("initdb"));
        initdb.args(["--no-sync", "--auth=trust", "--username=servio", "--encoding=UTF8", "-D", "data"]);
        let output = initdb.output().unwrap();
        assert!(output.status.success(), "{}", crate::logweir::words(&output));
        // The shell stops the server, and waits for it, when the pipe from this process closes, however that ends.
        let mut command = unprivileged(Path::new("/bin/sh"));
        command
            .arg("-c")
            .arg(r#""$@" </dev/null >stdout 2>&1 & cat >/dev/null; kill -INT $!; wait $!"#)
            .arg("sh");
        command.arg(bin.join("postgres")).args(["-D", "data", "-c", "listen_addresses=", "-c", "fsync=off"]);
        command.arg("-c").arg(format!("unix_socket_directories={}", dir.display()));
        for setting in [
            "logging_collector=on",
            "log_destination=jsonlog",
            "log_file_mode=0644",
            "log_filename=servio.log",
            "log_timezone=UTC",
        ] {
            command.arg("-c").arg(setting);
        }
        command.arg("-c").arg(format!("log_directory={}", dir.display()));
        let shell = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let server = Self { dir: dir.to_owned(), bin, shell };
        let ready = || server.try_psql("", "SELECT 1").status.success();
        let waits = 3000;
        assert!(
            (0..waits).any(|_| ready() || {
                std::thread::sleep(std::time::Duration::from_millis(20));
                false
            }),
            "{}",
            fs::read_to_string(dir.join("stdout")).unwrap_or_default()
        );
        server
    }

    /// Statements, in one transaction each; that they fail is what some are for.
    fn psql(&self, sql: &str) {
        self.psql_with("", sql);
    }

    /// The same in a session with options.
    fn psql_with(&self, options: &str, sql: &str) {
        let output = self.try_psql(options, sql);
        let text = crate::logweir::words(&output);
        assert!(output.status.success() || text.contains("ERROR"), "{text}");
    }

    fn try_psql(&self, options: &str, sql: &str) -> std::process::Output {
        let mut command = Command::new(self.bin.join("psql"));
        command.arg("-X").arg("-h").arg(&self.dir).args(["-U", "servio", "-d", "postgres", "-c", sql]);
        command.env("PGAPPNAME", "servio-test").env("PGOPTIONS", options).output().unwrap()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// Where Debian has the newest PostgreSQL.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions
        .map(|entry| entry.path())
        .filter(|path| path.join("bin/initdb").is_file())
        .max_by_key(|path| version(path));
    newest.expect("PostgreSQL is not installed: run `make setup`").join("bin")
}
