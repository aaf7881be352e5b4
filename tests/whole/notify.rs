//! What systemd is told, on a socket of the test's.

use crate::logweir::Logweir;
use rustix::process::Signal;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

const CONFIG: &str = "<source>\n @type sample\n tag t\n</source>\n<match **>\n @type null\n</match>\n";

/// The next message that is none of the watchdog's.
fn next(socket: &UnixDatagram) -> String {
    loop {
        let text = receive(socket);
        if text != "WATCHDOG=1\n" {
            return text;
        }
    }
}

fn receive(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 1000];
    let length = socket.recv(&mut bytes).unwrap();
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

#[test]
fn ready_reloading_stopping_and_the_watchdog() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(180))).unwrap();
    let mut process = Logweir::not_started(dir.path(), CONFIG);
    process.spawn(&[("NOTIFY_SOCKET", &path.to_string_lossy()), ("WATCHDOG_USEC", "100000")]);
    let ready = next(&socket);
    assert!(ready.starts_with("READY=1\n"), "{ready}");
    assert!(ready.contains(&format!("MAINPID={}\n", process.pid())), "{ready}");
    assert_eq!(receive(&socket), "WATCHDOG=1\n");
    assert_eq!(receive(&socket), "WATCHDOG=1\n");
    process.signal(Signal::HUP);
    let reloading = next(&socket);
    assert!(reloading.starts_with("RELOADING=1\n") && reloading.contains("\nMONOTONIC_USEC="), "{reloading}");
    assert!(next(&socket).starts_with("READY=1\n"));
    process.signal(Signal::TERM);
    assert!(next(&socket).starts_with("STOPPING=1\n"));
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
