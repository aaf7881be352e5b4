//! Disks, directories and limits as they are met in the world: full, read-only, somebody else's, already in use, too few
//! descriptors. The simulated ones (engine/src/io/sim) fail at every call; these are real.

mod sender;

use crate::logweir::{BINARY, Logweir, logweir, words};
use crate::machine::{INSIDE, in_a_machine_of_its_own};
use logweir_testing::free_port;
use sender::{Sender, numbers_in};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

/// A forward input whose events stay in the file buffer `dir`/buf, because the next server is not there.
fn config(dir: &Path, port: u16) -> String {
    format!(
        "<source>
  @type forward
  port {port}
  bind 127.0.0.1
</source>
<match app>
  @type forward
  @id out
  <server>
    host 127.0.0.1
    port {}
  </server>
  <buffer>
    @type file
    path {}/buf
    flush_interval 1h
    retry_wait 1h
    chunk_limit_size 64k
  </buffer>
</match>
",
        free_port(),
        dir.display()
    )
}

/// Runs it until it ends by itself.
fn refused(dir: &Path, prepare: impl FnOnce(&mut Command)) -> Output {
    fs::write(dir.join("fluent.conf"), config(dir, free_port())).unwrap();
    let mut command = Command::new("timeout");
    command.arg("60").arg(BINARY).arg("-c").arg(dir.join("fluent.conf"));
    prepare(&mut command);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    output
}

fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", words(&output));
}

#[test]
fn a_second_process_on_a_buffer_refuses_and_says_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Logweir::start(dir.path(), &config(dir.path(), free_port()));
    let text = words(&refused(dir.path(), |_| {}));
    assert!(text.contains(&format!("is in use by logweir, process {}, plugin out", first.pid())), "{text}");
    assert_eq!(first.stop().code(), Some(0));
}

#[test]
fn a_directory_of_somebody_else_is_an_error_that_names_it() {
    if !rustix::process::geteuid().is_root() {
        return; // only root can make such a directory and be somebody else
    }
    let dir = tempfile::Builder::new().prefix("logweir").tempdir_in("/tmp").unwrap();
    fs::create_dir(dir.path().join("buf")).unwrap();
    let program = dir.path().join("logweir");
    fs::copy(BINARY, &program).unwrap();
    run("chmod", &["755", dir.path().to_str().unwrap()]);
    fs::write(dir.path().join("fluent.conf"), config(dir.path(), free_port())).unwrap();
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "timeout", "60"];
    let mut command = Command::new("setpriv");
    let output = command.args(nobody).arg(&program).arg("-c").arg(dir.path().join("fluent.conf")).output();
    let output = output.unwrap();
    let text = words(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(&format!("{}/buf", dir.path().display())), "{text}");
    assert!(text.contains("ermission denied") || text.contains("not writable"), "{text}");
}

#[test]
fn a_read_only_file_system_is_an_error_that_names_the_directory() {
    if std::env::var_os(INSIDE).is_none() {
        in_a_machine_of_its_own("disk::a_read_only_file_system_is_an_error_that_names_the_directory");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let buffer = dir.path().join("buf");
    fs::create_dir(&buffer).unwrap();
    run("mount", &["-t", "tmpfs", "-o", "ro", "tmpfs", buffer.to_str().unwrap()]);
    let text = words(&refused(dir.path(), |_| {}));
    assert!(text.contains(buffer.to_str().unwrap()) && text.contains("ead-only"), "{text}");
}

/// Acks stop when the disk is full, nothing that was acknowledged is lost, and when there is room again the same process
/// goes on.
#[test]
fn a_full_disk_takes_nothing_that_it_cannot_keep() {
    if std::env::var_os(INSIDE).is_none() {
        in_a_machine_of_its_own("disk::a_full_disk_takes_nothing_that_it_cannot_keep");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let buffer = dir.path().join("buf");
    let place = buffer.to_str().unwrap();
    fs::create_dir(&buffer).unwrap();
    run("mount", &["-t", "tmpfs", "-o", "size=2m", "tmpfs", place]);
    let port = free_port();
    let mut process = Logweir::start(dir.path(), &config(dir.path(), port));
    let mut sender = Sender::new(port, Duration::from_secs(5));
    let mut refusals = 0;
    while refusals < 3 {
        refusals += usize::from(!sender.send(200));
        assert!(sender.sent() < 100_000, "the disk does not become full");
    }
    let acknowledged = sender.acknowledged().len();
    assert!(acknowledged > 1000, "{acknowledged}");
    run("mount", &["-o", "remount,size=16m", place]);
    (0..10).for_each(|_| assert!(sender.send_until_acknowledged(200), "{}", process.log()));
    process.kill();
    process.start_again();
    assert!(sender.send_until_acknowledged(200));
    assert_eq!(process.stop().code(), Some(0));
    sender.check(&numbers_in(&logweir(&["buffer", "cat", "--json", place])));
}

/// Connections take all descriptors while events go into new chunks; the buffer keeps what it acknowledged, once.
#[test]
fn a_lack_of_descriptors_loses_nothing_and_repeats_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut process = Logweir::start_with(dir.path(), &config(dir.path(), port), Some(64), |_| {});
    let mut sender = Sender::new(port, Duration::from_secs(2));
    for round in 0..6 {
        let crowd: Vec<_> = (0..80).map(|_| std::net::TcpStream::connect(("127.0.0.1", port))).collect();
        (0..20).for_each(|_| {
            sender.send(200);
        });
        drop(crowd);
        assert!(sender.send_until_acknowledged(50), "round {round}: {}", process.log());
    }
    process.kill();
    process.start_again();
    assert!(sender.send_until_acknowledged(50));
    assert_eq!(process.stop().code(), Some(0));
    sender.check(&numbers_in(&logweir(&[
        "buffer",
        "cat",
        "--json",
        dir.path().join("buf").to_str().unwrap(),
    ])));
}
