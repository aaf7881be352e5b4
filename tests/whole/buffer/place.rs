//! Directories with buffers, for the tests of `logweir buffer`.

use crate::logweir::{Logweir, logweir, words};
use crate::pieces::tail_json;
use logweir_testing::free_port;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

/// A directory with a configuration that tails `in.log` into an out_forward whose server is not there.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Writes a file in which `DIR/` stands for this directory.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text.replace("DIR/", &self.text(""))).unwrap();
    }

    pub(crate) fn start(&self, buffer: &str, keys: &str) -> Logweir {
        let output = format!(
            "<match app>
  @type forward
  @id out
  <server>
    host 127.0.0.1
    port {}
  </server>
  <buffer {keys}>
    {buffer}
  </buffer>
</match>
",
            free_port()
        );
        self.write("in.log", "");
        let config = tail_json(self.dir.path(), "app") + &output.replace("DIR/", &self.text(""));
        Logweir::start(self.dir.path(), &config)
    }

    /// Appends lines and waits until they are in the buffer.
    pub(crate) fn write_lines(&self, process: &mut Logweir, numbers: std::ops::Range<u64>) {
        append(&self.path("in.log"), &numbers.map(line_of).collect::<String>());
        let length = fs::metadata(self.path("in.log")).unwrap().len();
        process.wait("the lines", |_| {
            let text = fs::read_to_string(self.path("in.pos")).unwrap_or_default();
            let position = text.split('\t').nth(1).and_then(|hex| u64::from_str_radix(hex, 16).ok());
            position == Some(length)
        });
    }

    /// Starts a Logweir whose buffer is the directory `dir`, waits until it has delivered `count` records and emptied the
    /// directory, and answers the numbers of these records, sorted.
    pub(crate) fn delivered(&self, dir: &str, buffer: &str, keys: &str, count: usize) -> Vec<u64> {
        let port = free_port();
        let config = format!(
            "<source>
  @type forward
  port {port}
  bind 127.0.0.1
</source>
<match app>
  @type file
  path DIR/result
  append true
  <format>
    @type json
  </format>
  <buffer []>
    @type memory
    flush_mode immediate
  </buffer>
</match>
<match nothing>
  @type forward
  <server>
    host 127.0.0.1
    port {port}
  </server>
  <buffer {keys}>
    {buffer}
    path DIR/{dir}
    flush_interval 0.1s
    retry_wait 0.1s
  </buffer>
</match>
"
        );
        let target = self.path("target");
        fs::create_dir(&target).unwrap();
        let mut process = Logweir::start(&target, &config.replace("DIR/", &self.text("")));
        let records = || objects(&fs::read(self.path("result.log")).unwrap_or_default());
        process.wait("all records", |_| records().len() >= count);
        process.wait("an empty buffer", |_| files(&self.path(dir)).keys().all(|name| name.starts_with('.')));
        assert_eq!(process.stop().code(), Some(0));
        let mut numbers: Vec<u64> = records().iter().map(|record| record["i"].as_u64().unwrap()).collect();
        numbers.sort_unstable();
        numbers
    }
}

pub(crate) fn line_of(i: u64) -> String {
    format!("{{\"i\":{i},\"user\":\"u{}\"}}\n", i % 2)
}

pub(crate) fn append(path: &Path, text: &str) {
    use std::io::Write;
    fs::OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// The buffer that the real Fluentd left behind in a case of tests/conformance.
pub(crate) fn case(name: &str) -> PathBuf {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/cases/buffer_output");
    cases.join(name).join("files/buf")
}

/// Names and contents.
pub(crate) fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        // What is delivered meanwhile is not there any more.
        if let Ok(bytes) = fs::read(&path) {
            found.insert(path.file_name().unwrap().to_str().unwrap().to_owned(), bytes);
        }
    }
    found
}

pub(crate) fn cat(args: &[&str]) -> Vec<Value> {
    let output = logweir(&[&["buffer", "cat", "--json"][..], args].concat());
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    objects(&output.stdout)
}

pub(crate) fn objects(lines: &[u8]) -> Vec<Value> {
    let text = String::from_utf8(lines.to_vec()).unwrap();
    // The last line may be half written.
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

pub(crate) fn json_of(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", words(output));
    serde_json::from_slice(&output.stdout).unwrap()
}
