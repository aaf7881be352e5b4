//! A Prometheus server and its `promtool` (Debian's package `prometheus`).

use crate::free_port;
use crate::http::http_request;
use crate::process::Process;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to answer.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A running server.
pub struct Prometheus {
    process: Process,
    port: u16,
}

impl Prometheus {
    /// Runs `config` with these other files beside it, each a name and a text, and waits until it answers.
    pub fn start(config: &str, files: &[(&str, &str)]) -> Self {
        let program = program("prometheus");
        let mut process = Process::new("logweir-prometheus-");
        let dir = process.dir().to_owned();
        for (name, text) in files.iter().chain([&("prometheus.yml", config)]) {
            std::fs::write(dir.join(name), text).expect(name);
        }
        let port = free_port();
        process.start(&[
            program,
            format!("--config.file={}", dir.join("prometheus.yml").display()),
            format!("--storage.tsdb.path={}", dir.join("data").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--log.level=warn".to_owned(),
        ]);
        let mut server = Self { process, port };
        let started = Instant::now();
        while server.get("/-/ready").is_none() {
            if server.process.has_ended() || started.elapsed() > START_TIMEOUT {
                panic!("prometheus did not start: {}", server.said());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// What an expression gives now: labels and value of each series.
    pub fn query(&self, expression: &str) -> Vec<(Value, f64)> {
        let escaped: String = expression.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let answer = self.get(&format!("/api/v1/query?query={escaped}"));
        let answer = answer.unwrap_or_else(|| panic!("no answer to {expression}: {}", self.said()));
        let series = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        let value = |series: &Value| series["value"][1].as_str().and_then(|text| text.parse().ok());
        series.iter().filter_map(|series| Some((series["metric"].clone(), value(series)?))).collect()
    }

    /// The only series that an expression gives now, if it gives one.
    pub fn value(&self, expression: &str) -> Option<f64> {
        match self.query(expression).as_slice() {
            [] => None,
            [(_, value)] => Some(*value),
            many => panic!("{expression} has several series: {many:?}"),
        }
    }

    /// The labels of alerts that fire now.
    pub fn firing(&self) -> Vec<Value> {
        let answer = self.get("/api/v1/alerts").unwrap_or_default();
        let alerts = answer["data"]["alerts"].as_array().cloned().unwrap_or_default();
        alerts
            .into_iter()
            .filter(|alert| alert["state"] == "firing")
            .map(|alert| alert["labels"].clone())
            .collect()
    }

    /// The one target's state, and what is wrong with it.
    pub fn target(&self) -> String {
        self.get("/api/v1/targets").map_or_else(|| "no answer".to_owned(), |answer| answer.to_string())
    }

    /// An answer in JSON (or null for one that is not), if there is one.
    fn get(&self, target: &str) -> Option<Value> {
        let answer = http_request(self.port, "GET", target, &[], b"").ok()?;
        (answer.status == 200).then(|| serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.process.dir().join("stdout")).unwrap_or_default()
    }
}

/// Runs `promtool` in `dir`, with `input` on its standard input.
pub fn promtool(dir: &Path, args: &[&str], input: &[u8]) -> Output {
    use std::io::Write;
    let mut child = Command::new(program("promtool"))
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool");
    // It may end without reading all of it.
    let _ = child.stdin.take().expect("its standard input").write_all(input);
    child.wait_with_output().expect("promtool")
}

fn program(name: &str) -> String {
    let places = ["/usr/bin", "/usr/local/bin"].map(|dir| format!("{dir}/{name}"));
    let place = places.into_iter().find(|path| Path::new(path).is_file());
    place.expect("these tests need Prometheus: apt-get install prometheus")
}
