//! What systemd is told, on a socket of the test's.

use crate::logweir::Logweir;
use rustix::process::Signal;
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::Receiver;
use std::time::Duration;

const CONFIG: &str = "<source>\n @type sample\n tag t\n</source>\n<match **>\n @type null\n</match>\n";

/// Only a program that hangs is waited for so long.
const PATIENCE: Duration = Duration::from_secs(180);

/// The next message that is none of the watchdog's.
fn next(messages: &Receiver<String>) -> String {
    loop {
        let text = messages.recv_timeout(PATIENCE).unwrap();
        if text != "WATCHDOG=1\n" {
            return text;
        }
    }
}

/// What arrives, read at once: the kernel keeps ten messages, and what comes then is lost.
fn read_all(socket: UnixDatagram) -> Receiver<String> {
    let (sender, messages) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 1000];
        while let Ok(length) = socket.recv(&mut bytes) {
            let text = String::from_utf8(bytes[..length].to_vec()).unwrap();
            if sender.send(text).is_err() {
                return;
            }
        }
    });
    messages
}

#[test]
fn ready_reloading_stopping_and_the_watchdog() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let messages = read_all(UnixDatagram::bind(&path).unwrap());
    let mut process = Logweir::not_started(dir.path(), CONFIG);
    process.spawn(&[("NOTIFY_SOCKET", &path.to_string_lossy()), ("WATCHDOG_USEC", "1000000")]);
    let ready = next(&messages);
    assert!(ready.starts_with("READY=1\n"), "{ready}");
    assert!(ready.contains(&format!("MAINPID={}\n", process.pid())), "{ready}");
    for _ in 0..2 {
        assert_eq!(messages.recv_timeout(PATIENCE).unwrap(), "WATCHDOG=1\n");
    }
    process.signal(Signal::HUP);
    let reloading = next(&messages);
    assert!(reloading.starts_with("RELOADING=1\n") && reloading.contains("\nMONOTONIC_USEC="), "{reloading}");
    assert!(next(&messages).starts_with("READY=1\n"));
    process.signal(Signal::TERM);
    assert!(next(&messages).starts_with("STOPPING=1\n"));
    process.wait_for_end();
}

#[test]
fn a_manager_that_is_not_there_or_does_not_read_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = Logweir::not_started(dir.path(), CONFIG);
    process.spawn(&[("NOTIFY_SOCKET", "/no/such/socket")]);
    process.wait_until_running();
    assert_eq!(process.stop().code(), Some(0));
    assert!(process.log().contains("cannot reach NOTIFY_SOCKET"), "{}", process.log());
    let path = dir.path().join("notify");
    let _never_read = UnixDatagram::bind(&path).unwrap();
    process.spawn(&[("NOTIFY_SOCKET", &path.to_string_lossy()), ("WATCHDOG_USEC", "200")]);
    process.wait_until_running();
    assert_eq!(process.stop().code(), Some(0));
}
