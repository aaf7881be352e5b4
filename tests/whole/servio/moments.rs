//! The moments at which a kill is worst: an insert is stored and nobody has heard of it, or it has begun and has no rows yet.
//!
//! A way to ClickHouse that can be stopped at either makes them come every time.

use super::*;
use std::io::Read;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

/// Where the next insert is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// ClickHouse has stored it and answers; the answer goes no further.
    Stored,
    /// Its head has arrived, its rows have not.
    Begun,
}

/// Who is killed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    /// Only the connection.
    Nobody,
    Logweir,
    ClickHouse,
    Both,
}

use Moment::{Begun, Stored};
use Victim::{Both, Nobody};

#[test]
fn kills_at_the_worst_moments() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = ClickHouse::start();
    make_table(&server);
    make_logs(&dir.path().join("servio"));
    let way = Way::to(server.port());
    let config =
        substituted("fluent.conf", dir.path(), way.port).replace("flush_interval 5s", "flush_interval 1s");
    let mut logweir = Logweir::start(dir.path(), &config);
    wait_for_files(&mut logweir, SERVICES.len());
    let cases = [
        (Stored, Nobody),
        (Stored, Victim::Logweir),
        (Stored, Victim::ClickHouse),
        (Stored, Both),
        (Begun, Nobody),
        (Begun, Victim::Logweir),
        (Begun, Both),
    ];
    let mut count = 0;
    for (moment, victim) in cases {
        way.stop_at(moment);
        // Two months, so two parts.
        let lines: String = (count..count + 50).map(|n| format!("{}\n", record("app", n))).collect();
        append(&dir.path().join("servio/app.log"), &lines);
        count += 50;
        logweir.wait("an insert", |_| way.is_stopped());
        if matches!(victim, Victim::Logweir | Both) {
            logweir.kill();
        }
        if matches!(victim, Victim::ClickHouse | Both) {
            server.kill();
        }
        way.go_on();
        if matches!(victim, Victim::ClickHouse | Both) {
            server.start_again();
        }
        if matches!(victim, Victim::Logweir | Both) {
            logweir.start_again();
        }
        wait_for_rows(&mut logweir, &server, &dir.path().join("fluentd-buffers/servio"), count);
        assert_eq!(rows(&server), count, "{moment:?}, {victim:?} killed:\n{}", logweir.log());
    }
    assert_eq!(logweir.stop().code(), Some(0));
    assert_stored_once(&server, &[("app", count)]);
    assert!(!logweir.log().contains("may be stored twice"), "{}", logweir.log());
}

/// A way to a server that can be stopped.
struct Way {
    port: u16,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// Shut for the next insert that comes to this moment.
    Wanted(Moment),
    /// An insert waits at it.
    Stopped,
}

impl Way {
    fn to(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let gate: Arc<Gate> = Arc::default();
        let gates = Arc::clone(&gate);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Without a server there is no connection.
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                let is_insert: Arc<Mutex<bool>> = Arc::default();
                let (ends, gate, noted) =
                    (clone(&client, &server), Arc::clone(&gates), Arc::clone(&is_insert));
                std::thread::spawn(move || gate.carry_request(ends, &noted));
                let (gate, ends) = (Arc::clone(&gates), (server, client));
                std::thread::spawn(move || gate.carry_answer(ends, &is_insert));
            }
        });
        Self { port, gate }
    }

    fn stop_at(&self, moment: Moment) {
        *self.gate.state.lock().unwrap() = State::Wanted(moment);
    }

    fn is_stopped(&self) -> bool {
        *self.gate.state.lock().unwrap() == State::Stopped
    }

    /// Ends the connection of the insert that was stopped.
    fn go_on(&self) {
        *self.gate.state.lock().unwrap() = State::Open;
        self.gate.changed.notify_all();
    }
}

impl Gate {
    /// Whether an insert that has come to a moment is stopped there; then this returns when the way goes on.
    fn stops(&self, moment: Moment) -> bool {
        let mut state = self.state.lock().unwrap();
        if *state != State::Wanted(moment) {
            return false;
        }
        *state = State::Stopped;
        drop(self.changed.wait_while(state, |state| *state == State::Stopped).unwrap());
        true
    }

    fn carry_request(&self, (mut from, mut to): (TcpStream, TcpStream), is_insert: &Mutex<bool>) {
        let mut buffer = [0; 65_536];
        while let Ok(size @ 1..) = from.read(&mut buffer) {
            let bytes = &buffer[..size];
            if let Some(at) = find(bytes, b"query=INSERT") {
                *is_insert.lock().unwrap() = true;
                let head = find(&bytes[at..], b"\r\n\r\n").map(|end| at + end + 4);
                let wanted = *self.state.lock().unwrap() == State::Wanted(Begun);
                if wanted && let Some(head) = head {
                    let _ = to.write_all(&bytes[..head]);
                    if self.stops(Begun) {
                        break;
                    }
                }
            }
            if to.write_all(bytes).is_err() {
                break;
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }

    fn carry_answer(&self, (mut from, mut to): (TcpStream, TcpStream), is_insert: &Mutex<bool>) {
        let mut buffer = [0; 65_536];
        while let Ok(size @ 1..) = from.read(&mut buffer) {
            if (*is_insert.lock().unwrap() && self.stops(Stored)) || to.write_all(&buffer[..size]).is_err() {
                break;
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }
}

fn clone(client: &TcpStream, server: &TcpStream) -> (TcpStream, TcpStream) {
    (client.try_clone().unwrap(), server.try_clone().unwrap())
}

fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text)
}
