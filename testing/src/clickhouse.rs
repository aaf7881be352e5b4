//! A ClickHouse server in a scratch directory, on a free port, for as long as a test lives.

use crate::http::{HttpAnswer, http_request};
use crate::process::Process;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long a server may take to answer its first ping.
const START_TIMEOUT: Duration = Duration::from_secs(180);

/// What a test may want of its server.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Certificate and key files (PEM): the server then also listens for HTTPS.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// The port of the HTTP interface; a free one, if not said.
    pub http_port: Option<u16>,
    /// Further elements of the server's configuration, as XML.
    pub config: String,
    /// Further elements of the default profile (settings), as XML.
    pub profile: String,
}

/// A running server. Users: `default` without a password, `writer` with the password `secret`, `reader` (readonly).
pub struct ClickHouse {
    process: Process,
    http_port: u16,
    https_port: Option<u16>,
}

impl ClickHouse {
    /// Starts a server and waits until it answers.
    pub fn start() -> Self {
        Self::start_with(&Options::default())
    }

    /// The server that all tests of this process share; they keep to tables of their own. It allows LowCardinality,
    /// which Debian's server counts as an experiment.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<ClickHouse> = OnceLock::new();
        SHARED.get_or_init(|| {
            let profile =
                "<allow_experimental_low_cardinality_type>1</allow_experimental_low_cardinality_type>";
            Self::start_with(&Options { profile: profile.to_owned(), ..Options::default() })
        })
    }

    /// Starts a server with options.
    pub fn start_with(options: &Options) -> Self {
        let process = Process::new("logweir-clickhouse-");
        let dir = process.dir();
        let http_port = options.http_port.unwrap_or_else(crate::free_port);
        let https_port = options.tls.as_ref().map(|_| crate::free_port());
        std::fs::write(dir.join("config.xml"), config(dir, http_port, https_port, options))
            .expect("config.xml");
        std::fs::write(dir.join("users.xml"), users(options)).expect("users.xml");
        let mut server = Self { process, http_port, https_port };
        server.run();
        server
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http_port)
    }

    /// The port of the HTTP interface.
    pub fn port(&self) -> u16 {
        self.http_port
    }

    /// The port of the HTTPS interface, if the options asked for one.
    pub fn https_port(&self) -> Option<u16> {
        self.https_port
    }

    /// The server's directory.
    pub fn dir(&self) -> &Path {
        self.process.dir()
    }

    /// Runs a statement and answers its output without the last line end; panics with the server's words on an error.
    pub fn query(&self, sql: &str) -> String {
        let answer = self.try_query(sql);
        assert!(answer.status == 200, "{sql}\n-> {} {}", answer.status, answer.text());
        answer.text().trim_end_matches('\n').to_owned()
    }

    /// Runs a statement.
    pub fn try_query(&self, sql: &str) -> HttpAnswer {
        http_request(self.http_port, "POST", "/", &[], sql.as_bytes()).expect("an answer from ClickHouse")
    }

    /// The server's major and minor version.
    pub fn version(&self) -> (u32, u32) {
        let text = self.query("SELECT version()");
        let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    }

    /// Kills the server (SIGKILL) and keeps its data; [`ClickHouse::start_again`] brings it back.
    pub fn kill(&mut self) {
        self.process.end("-KILL");
    }

    /// Stops the server gracefully and keeps its data.
    pub fn stop(&mut self) {
        self.process.end("-TERM");
    }

    /// Starts a stopped server again, on the same port, with the same data.
    pub fn start_again(&mut self) {
        assert!(!self.process.is_started(), "the server is still running");
        self.run();
    }

    fn run(&mut self) {
        let mut program = program();
        program.push(format!("--config-file={}", self.dir().join("config.xml").display()));
        self.process.start(&program);
        self.wait_until_ready();
    }

    fn wait_until_ready(&mut self) {
        let started = Instant::now();
        loop {
            if let Ok(answer) = http_request(self.http_port, "GET", "/ping", &[], b"")
                && answer.status == 200
            {
                return;
            }
            if self.process.has_ended() || started.elapsed() > START_TIMEOUT {
                let log = std::fs::read_to_string(self.dir().join("server.err.log")).unwrap_or_default();
                panic!("clickhouse-server did not start: {log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The server's command: `$CLICKHOUSE_SERVER`, Debian's path, or what is in PATH.
fn program() -> Vec<String> {
    if let Ok(program) = std::env::var("CLICKHOUSE_SERVER") {
        return program.split_whitespace().map(str::to_owned).collect();
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let mut places: Vec<&str> = path.split(':').collect();
    places.push("/usr/sbin");
    for place in places {
        if Path::new(place).join("clickhouse-server").is_file() {
            return vec![format!("{place}/clickhouse-server")];
        }
    }
    panic!(
        "these tests need a ClickHouse server: apt-get install clickhouse-server, or set CLICKHOUSE_SERVER"
    )
}

fn config(dir: &Path, http_port: u16, https_port: Option<u16>, options: &Options) -> String {
    let dir = dir.display();
    let tls = match (&options.tls, https_port) {
        (Some((cert, key)), Some(port)) => format!(
            "<https_port>{port}</https_port><openSSL><server><certificateFile>{}</certificateFile>\
             <privateKeyFile>{}</privateKeyFile><verificationMode>none</verificationMode></server></openSSL>",
            cert.display(),
            key.display()
        ),
        _ => String::new(),
    };
    format!(
        "<yandex>
  <logger><level>warning</level><log>{dir}/server.log</log><errorlog>{dir}/server.err.log</errorlog></logger>
  <http_port>{http_port}</http_port>
  {tls}
  <listen_host>127.0.0.1</listen_host>
  <keep_alive_timeout>3</keep_alive_timeout>
  <path>{dir}/data/</path><tmp_path>{dir}/data/tmp/</tmp_path><user_files_path>{dir}/data/user_files/</user_files_path>
  <users_config>{dir}/users.xml</users_config>
  <default_profile>default</default_profile><default_database>default</default_database>
  <mark_cache_size>16777216</mark_cache_size>
  <timezone>UTC</timezone>
  <query_log><database>system</database><table>query_log</table>
    <flush_interval_milliseconds>1000</flush_interval_milliseconds></query_log>
  {}
</yandex>",
        options.config
    )
}

fn users(options: &Options) -> String {
    let user = |name: &str, password: &str, profile: &str| {
        format!(
            "<{name}><password>{password}</password><networks><ip>::/0</ip></networks><profile>{profile}</profile>\
             <quota>default</quota></{name}>"
        )
    };
    format!(
        "<yandex>
  <profiles>
    <default><max_memory_usage>2000000000</max_memory_usage>{}</default>
    <readonly><readonly>1</readonly></readonly>
  </profiles>
  <users>{}{}{}</users>
  <quotas><default><interval><duration>3600</duration><queries>0</queries><errors>0</errors>
    <result_rows>0</result_rows><read_rows>0</read_rows><execution_time>0</execution_time></interval></default></quotas>
</yandex>",
        options.profile,
        user("default", "", "default"),
        user("writer", "secret", "default"),
        user("reader", "", "readonly"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_keeps_its_data_over_a_kill_and_leaves_nothing_behind() {
        let mut server = ClickHouse::start();
        server.query("CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a");
        server.query("INSERT INTO t VALUES (1), (2)");
        server.kill();
        server.start_again();
        assert_eq!(server.query("SELECT sum(a) FROM t"), "3");
        let (dir, pid) = (server.dir().to_owned(), server.process.pid());
        drop(server);
        assert!(!dir.exists());
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }
}
