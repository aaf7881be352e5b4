//! A ClickHouse server in a scratch directory, on a free port, for as long as a test lives.
//!
//! The server runs under a shell that waits on a pipe from the test process: when that process ends, however it ends,
//! the pipe closes, the shell kills the server and removes the directory.

use crate::http::{HttpAnswer, http_request};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
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
    dir: PathBuf,
    http_port: u16,
    https_port: Option<u16>,
    shell: Option<Child>,
    pid: u32,
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
        let dir =
            tempfile::Builder::new().prefix("logweir-clickhouse-").tempdir().expect("a scratch directory");
        let dir = dir.keep();
        let http_port = options.http_port.unwrap_or_else(crate::free_port);
        let https_port = options.tls.as_ref().map(|_| crate::free_port());
        std::fs::write(dir.join("config.xml"), config(&dir, http_port, https_port, options))
            .expect("config.xml");
        std::fs::write(dir.join("users.xml"), users(options)).expect("users.xml");
        let mut server = Self { dir, http_port, https_port, shell: None, pid: 0 };
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
        &self.dir
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
        self.end_process("-KILL");
    }

    /// Stops the server gracefully and keeps its data.
    pub fn stop(&mut self) {
        self.end_process("-TERM");
    }

    /// Starts a stopped server again, on the same port, with the same data.
    pub fn start_again(&mut self) {
        assert!(self.shell.is_none(), "the server is still running");
        self.run();
    }

    fn end_process(&mut self, signal: &str) {
        let Some(mut shell) = self.shell.take() else { return };
        // Keeps the watcher from killing what is stopping; the shell ends when the server has.
        let pipe = shell.stdin.take();
        let _ = Command::new("kill").args([signal, &self.pid.to_string()]).status();
        let _ = shell.wait();
        drop(pipe);
    }

    fn run(&mut self) {
        let program = program();
        // The watcher holds the pipe; the shell in front waits for the server.
        let script = r#"
            "$@" >"$0/stdout" 2>&1 </dev/null &
            server=$!
            echo $server
            exec 3<&0
            ( cat <&3 >/dev/null; kill -KILL $server 2>/dev/null && rm -rf "$0" ) >/dev/null &
            exec 0</dev/null 3<&-
            wait $server
        "#;
        let mut command = Command::new("sh");
        command.arg("-c").arg(script).arg(&self.dir).args(&program);
        command.arg(format!("--config-file={}", self.dir.join("config.xml").display()));
        command.current_dir(&self.dir).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut shell = command.spawn().expect("sh");
        let mut line = String::new();
        let stdout = shell.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("the server's process id");
        self.pid = line.trim().parse().expect("the server's process id");
        self.shell = Some(shell);
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
            let ended = self.shell.as_mut().is_some_and(|shell| matches!(shell.try_wait(), Ok(Some(_))));
            if ended || started.elapsed() > START_TIMEOUT {
                let log = std::fs::read_to_string(self.dir.join("server.err.log")).unwrap_or_default();
                panic!("clickhouse-server did not start: {log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for ClickHouse {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.dir);
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
        let (dir, pid) = (server.dir().to_owned(), server.pid);
        drop(server);
        assert!(!dir.exists());
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }
}
