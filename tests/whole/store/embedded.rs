//! `@type clickhouse` with a path and no host: Logweir runs the store itself.

use crate::logweir::Logweir;
use crate::pieces::tail_json;
use logweir_testing::{Libchdb, free_port, http_request};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

fn config(dir: &Path, port: u16, libchdb: &Path) -> String {
    let here = dir.display();
    let output = format!(
        "<match app>
  @type clickhouse
  path {here}/store
  port {port}
  libchdb {}
  memory 1g
  table app
  create_table true
  <buffer>
    @type file
    path {here}/buffer
    flush_mode interval
    flush_interval 0.05
    retry_wait 0.1
    retry_max_interval 0.5
  </buffer>
</match>
",
        libchdb.display()
    );
    tail_json(dir, "app") + &output
}

fn append(dir: &Path, numbers: std::ops::Range<u64>) {
    let mut file = OpenOptions::new().create(true).append(true).open(dir.join("in.log")).unwrap();
    for n in numbers {
        writeln!(file, "{{\"message\":\"line {n}\"}}").unwrap();
    }
}

/// The rows and the different ones among them.
fn counted(port: u16) -> Option<String> {
    let sql = b"SELECT count(), uniqExact(message) FROM app";
    let answer = http_request(port, "POST", "/", &[], sql).ok()?;
    (answer.status == 200).then(|| answer.text().trim().to_owned())
}

/// The store's process, of which Logweir tells.
fn store_pid(log: &str) -> Option<i32> {
    let line = log.lines().rfind(|line| line.contains("the embedded store is running"))?;
    line.split("pid=").nth(1)?.split_whitespace().next()?.parse().ok()
}

#[test]
fn logweir_runs_the_store_and_starts_it_again() {
    let Some(libchdb) = Libchdb::path() else { return };
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    append(dir.path(), 0..100);
    let mut logweir = Logweir::start(dir.path(), &config(dir.path(), port, &libchdb));
    logweir.wait("the first rows", |_| counted(port).as_deref() == Some("100\t100"));

    let pid = store_pid(&logweir.log()).expect("the store's pid in the log");
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    append(dir.path(), 100..200);
    logweir.wait("the rows of the new store", |_| counted(port).as_deref() == Some("200\t200"));
    assert!(
        logweir.log().contains("the embedded store has ended; records wait in the buffer"),
        "{}",
        logweir.log()
    );

    // What waits at the end is flushed into it before it is stopped.
    append(dir.path(), 200..300);
    logweir.wait("the last rows", |_| counted(port).as_deref() == Some("300\t300"));
    let pid = store_pid(&logweir.log()).unwrap();
    assert_eq!(logweir.stop().code(), Some(0));
    assert!(logweir.log().contains("the embedded store has stopped"), "{}", logweir.log());
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "the store is still there");

    logweir.start_again();
    logweir.wait("the store to be back", |_| counted(port).as_deref() == Some("300\t300"));
    // A Logweir that is killed takes its store along.
    let pid = store_pid(&logweir.log()).unwrap();
    logweir.kill();
    let started = std::time::Instant::now();
    while Path::new(&format!("/proc/{pid}")).exists() {
        assert!(started.elapsed().as_secs() < 60, "the store outlives its Logweir");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn without_the_engine_records_wait_and_one_sentence_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    append(dir.path(), 0..10);
    let missing = dir.path().join("libchdb.so");
    let mut logweir = Logweir::start(dir.path(), &config(dir.path(), port, &missing));
    let sentence = format!("--libchdb says {}, which does not exist", missing.display());
    logweir.wait("the sentence", |logweir| logweir.log().contains(&sentence));
    let buffer = dir.path().join("buffer");
    logweir.wait("the records in the buffer", |_| {
        fs::read_dir(&buffer)
            .is_ok_and(|files| files.flatten().any(|file| file.metadata().is_ok_and(|file| file.len() > 100)))
    });
    assert_eq!(logweir.stop().code(), Some(0));

    // Once it is there, they arrive.
    let Some(libchdb) = Libchdb::path() else { return };
    std::os::unix::fs::symlink(libchdb, &missing).unwrap();
    logweir.start_again();
    logweir.wait("the records", |_| counted(port).as_deref() == Some("10\t10"));
    assert_eq!(logweir.stop().code(), Some(0));
}

#[test]
fn another_server_on_the_port_gets_no_records() {
    let Some(libchdb) = Libchdb::path() else { return };
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), 0..10);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (asked, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let other = {
        let (asked, stop) = (asked.clone(), stop.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Acquire) {
                    return;
                }
                let mut stream = stream.unwrap();
                let mut head = [0; 1024];
                let read = stream.read(&mut head).unwrap_or(0);
                asked.lock().unwrap().push(
                    String::from_utf8_lossy(&head[..read]).lines().next().unwrap_or_default().to_owned(),
                );
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nOk.\n");
            }
        })
    };
    let mut logweir = Logweir::start(dir.path(), &config(dir.path(), port, &libchdb));
    logweir.wait("the store to say that it cannot listen", |logweir| {
        logweir.log().contains("cannot listen on 127.0.0.1")
    });
    stop.store(true, Ordering::Release);
    let _ = TcpStream::connect(("127.0.0.1", port));
    other.join().unwrap();
    let asked = std::mem::take(&mut *asked.lock().unwrap());
    assert!(!asked.is_empty() && asked.iter().all(|line| line == "GET /ping HTTP/1.1"), "{asked:?}");
    logweir.wait("the rows in the store", |_| counted(port).as_deref() == Some("10\t10"));
    assert_eq!(logweir.stop().code(), Some(0));
}
