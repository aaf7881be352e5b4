//! Where Logweir sends what it receives, and what has arrived there.

use crate::load::{COLUMNS, Client, Dice, ENGINE, Found, Promised, Rotation, config};
use crate::logweir::{Logweir, logweir, words};
use crate::pieces::json_out;
use logweir_engine::msgpack::Entries;
use logweir_testing::{ClickHouse as Server, free_port};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// One configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scene {
    /// Into a table that recognises no repeated insert.
    ClickHouse,
    /// The same; files are rotated with a gap.
    Unwatched,
    /// The same; the table is made by Logweir.
    CreateTable,
    /// The same; Logweir is stopped, and writes out what it has.
    Stop,
    /// The same; Logweir reads its configuration anew.
    Reload,
    /// The same, from a buffer that has the form of Fluentd's.
    FluentdsBuffer,
    /// Into a file.
    File,
    /// To another Logweir, which acknowledges.
    Forward,
    /// To a secondary_file, because the table takes nothing.
    Secondary,
    /// To the backup directory, because the table takes nothing.
    Backup,
    /// To the backup directory, because the server is not there.
    Evacuation,
}

use Scene::*;

/// A directory, a database of the same server as all others, and perhaps a Logweir at the other end.
pub(super) struct Place {
    dir: tempfile::TempDir,
    server: &'static Server,
    database: String,
    receiver: Option<Receiver>,
}

struct Receiver {
    dir: tempfile::TempDir,
    port: u16,
    /// Ends with the test.
    _process: Logweir,
}

impl Place {
    pub(super) fn new(server: &'static Server, database: String) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), server, database, receiver: None }
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The chunk files that are left.
    pub(super) fn buffered(&self) -> Vec<PathBuf> {
        let is_chunk =
            |path: &PathBuf| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.'));
        files(&self.dir().join("buffer")).into_iter().filter(is_chunk).collect()
    }

    fn make_table(&self, columns: &str) {
        self.server.query(&format!("CREATE DATABASE {}", self.database));
        self.server.query(&format!("CREATE TABLE {}.t {columns} {ENGINE}", self.database));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.server.try_query(&format!("DROP DATABASE IF EXISTS {}", self.database));
    }
}

impl Scene {
    /// Makes what has to be there. Answers what is promised already.
    pub(super) fn set_up(self, place: &mut Place, dice: &mut Dice) -> Promised {
        match self {
            ClickHouse | Unwatched | Stop | Reload => place.make_table(COLUMNS),
            // No text goes into a column of numbers.
            Secondary | Backup => place.make_table(&COLUMNS.replace("text String", "text UInt8")),
            FluentdsBuffer => {
                place.make_table(COLUMNS);
                return fluentds_buffer(place, dice);
            }
            Forward => place.receiver = Some(receiver()),
            CreateTable | File | Evacuation => {}
        }
        Promised::new()
    }

    /// How services rotate their files.
    pub(super) fn rotation(self) -> Rotation {
        if self == Unwatched { Rotation::WithAGap } else { Rotation::Often }
    }

    /// What Logweir is sent once it has received something.
    pub(super) fn nudge(self) -> Option<Signal> {
        match self {
            Stop => Some(Signal::TERM),
            Reload => Some(Signal::USR2),
            _ => None,
        }
    }

    /// Whether a crash between a write and the note that it is done may repeat it: files cannot be asked what they have.
    pub(super) fn may_repeat(self) -> bool {
        matches!(self, File | Secondary)
    }

    /// The configuration of a Logweir that listens on `port`.
    pub(super) fn config(self, place: &Place, port: u16) -> String {
        let (output, buffer) = self.output(place);
        config::inputs(place.dir(), port) + &config::matched(place.dir(), &output, buffer)
    }

    fn output(self, place: &Place) -> (String, &'static str) {
        let dir = place.dir().display();
        let clickhouse = config::clickhouse(place.server.port(), &place.database);
        match self {
            ClickHouse | Unwatched | Reload | FluentdsBuffer => (clickhouse, ""),
            Stop => (clickhouse, "flush_at_shutdown true"),
            CreateTable => {
                let schema = "create_table true
  order_by (source, n)
  <schema>
    timestamp DateTime
    source String
    n UInt32
    text String
  </schema>";
                (format!("{clickhouse}\n  {schema}"), "")
            }
            Secondary => {
                let secondary = format!(
                    "on_row_error fail_chunk
  <secondary>
    @type secondary_file
    directory {dir}/given_up
  </secondary>"
                );
                (format!("{clickhouse}\n  {secondary}"), "")
            }
            Backup => (format!("{clickhouse}\n  on_row_error fail_chunk"), ""),
            Evacuation => (config::clickhouse(free_port(), &place.database), "retry_max_times 1"),
            File => {
                let file = format!(
                    "@type file\n  path {dir}/out.${{tag}}\n  append true\n  <format>\n    @type json\n  </format>"
                );
                (file, "")
            }
            Forward => {
                let port = place.receiver.as_ref().map_or(0, |receiver| receiver.port);
                let forward = format!(
                    "@type forward
  require_ack_response true
  ack_response_timeout 10s
  <server>
    host 127.0.0.1
    port {port}
  </server>"
                );
                (forward, "")
            }
        }
    }

    /// The records that have arrived.
    pub(super) fn found(self, place: &Place) -> Vec<Found> {
        match self {
            ClickHouse | Unwatched | CreateTable | Stop | Reload | FluentdsBuffer => rows(place),
            File => in_text(&texts(place.dir(), "out")),
            Forward => {
                in_text(&place.receiver.as_ref().map_or_else(Vec::new, |to| texts(to.dir.path(), "out")))
            }
            Secondary => in_chunks(&files(&place.dir().join("given_up"))),
            Backup => in_chunks(&files(&place.dir().join("root/backup"))),
            Evacuation => evacuated(&place.dir().join("root/buffer")),
        }
    }
}

/// Another Logweir, which writes into a file what it receives, and is not disturbed.
fn receiver() -> Receiver {
    let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
    let source = format!("<source>\n @type forward\n bind 127.0.0.1\n port {port}\n</source>\n");
    let process = Logweir::start(dir.path(), &(source + &json_out(dir.path(), "")));
    Receiver { dir, port, _process: process }
}

/// Fills a buffer and gives it Fluentd's form.
fn fluentds_buffer(place: &Place, dice: &mut Dice) -> Promised {
    let before = tempfile::tempdir().unwrap();
    let port = free_port();
    let nobody =
        format!("@type forward\n  <server>\n    host 127.0.0.1\n    port {}\n  </server>", free_port());
    let matched =
        config::matched(before.path(), &nobody, "").replace("flush_interval 0.1", "flush_interval 1h");
    let config = config::inputs(before.path(), port) + &matched;
    let mut process = Logweir::start(before.path(), &config);
    let mut client = Client::new("before", port);
    for _ in 0..6 {
        client.deliver("app.a", 1 + dice.below(60));
    }
    assert_eq!(process.stop().code(), Some(0));
    let from = before.path().join("buffer").display().to_string();
    let to = place.dir().join("buffer").display().to_string();
    let exported = logweir(&["buffer", "export", &from, "--to", &to]);
    assert_eq!(exported.status.code(), Some(0), "{}", words(&exported));
    Promised::from([client.promised()])
}

fn rows(place: &Place) -> Vec<Found> {
    let answer = place.server.try_query(&format!("SELECT source, n FROM {}.t", place.database));
    // Until Logweir has made it there is no such table.
    if answer.status != 200 {
        return Vec::new();
    }
    let text = answer.text();
    let row = |line: &str| line.split_once('\t').map(|(source, n)| (source.to_owned(), n.parse().unwrap()));
    text.lines().filter_map(row).collect()
}

/// Records in JSON. A write that was cut off, with another one behind it, shares a line with it.
fn in_text(texts: &[String]) -> Vec<Found> {
    let mut found = Vec::new();
    for text in texts {
        for piece in text.split("\"source\":\"").skip(1) {
            let Some((source, rest)) = piece.split_once("\",\"n\":") else { continue };
            let Some((n, _)) = rest.split_once(",\"text\"") else { continue };
            found.push((source.to_owned(), n.parse().unwrap()));
        }
    }
    found
}

/// Records in files of MessagePack entries.
fn in_chunks(files: &[PathBuf]) -> Vec<Found> {
    let mut found = Vec::new();
    for file in files {
        let bytes = fs::read(file).unwrap_or_default();
        for entry in Entries::new(&bytes) {
            found.push(found_in(&rmp_serde::from_slice(entry.record).unwrap()));
        }
    }
    found
}

/// Records in chunk files that were taken out of the buffer.
fn evacuated(dir: &Path) -> Vec<Found> {
    let mut found = Vec::new();
    for file in files(dir) {
        let output = logweir(&["buffer", "cat", "--json", &file.display().to_string()]);
        let lines = String::from_utf8(output.stdout).unwrap();
        let records = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        found.extend(records.map(|line| found_in(&line["record"])));
    }
    found
}

fn found_in(record: &Value) -> Found {
    (record["source"].as_str().unwrap().to_owned(), record["n"].as_u64().unwrap())
}

/// The texts of files whose names begin so.
fn texts(dir: &Path, prefix: &str) -> Vec<String> {
    let is_it =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
    let paths = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).filter(is_it);
    paths.map(|path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()).collect()
}

/// All files below a folder, which may not be there.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
