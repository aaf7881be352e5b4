//! A proxy between a client and an HTTP server that cuts connections at chosen moments: what a network does, and what leaves
//! a client in doubt.
//!
//! Each request is taken in whole before it goes on, so that the moment is exact.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cut {
    /// It is answered.
    Nothing,
    /// Both connections end when half of the body has passed.
    MidBody,
    /// Both connections end when the whole request has passed.
    AfterBody,
    /// The server answers; the client's connection ends before it gets a byte of that.
    BeforeAnswer,
    /// The same after the first byte.
    AfterFirstByte,
    /// The same after half of the answer's head.
    MidAnswer,
    /// The server answers; the client hears nothing for so long, and then the answer.
    Late(Duration),
    /// The client's connection ends; the whole request gets to the server so much later, as from a socket that nobody had read.
    Delayed(Duration),
}

/// A running proxy.
pub struct Proxy {
    port: u16,
    cuts: Arc<Mutex<BTreeMap<Cut, u64>>>,
    stop: Arc<AtomicBool>,
}

impl Proxy {
    /// A proxy for the server on port `upstream` of 127.0.0.1. `decide` is shown the head of each request.
    pub fn start(upstream: u16, decide: impl Fn(&str) -> Cut + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port on 127.0.0.1");
        let port = listener.local_addr().expect("the port of a bound socket").port();
        let proxy = Self { port, cuts: Arc::default(), stop: Arc::default() };
        let (cuts, stop, decide) = (Arc::clone(&proxy.cuts), Arc::clone(&proxy.stop), Arc::new(decide));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let (cuts, decide) = (Arc::clone(&cuts), Arc::clone(&decide));
                std::thread::spawn(move || {
                    // An end of either side ends both.
                    let _ = serve(&client, upstream, &*decide, &cuts);
                    let _ = client.shutdown(Shutdown::Both);
                });
            }
        });
        proxy
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How often each cut was made. One that is delayed is made when the server has answered.
    pub fn cuts(&self) -> BTreeMap<Cut, u64> {
        self.cuts.lock().expect("a proxy that did not panic").clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(
    client: &TcpStream,
    upstream: u16,
    decide: &dyn Fn(&str) -> Cut,
    cuts: &Mutex<BTreeMap<Cut, u64>>,
) -> io::Result<()> {
    let mut requests = BufReader::new(client.try_clone()?);
    let server = TcpStream::connect(("127.0.0.1", upstream))?;
    let mut answers = BufReader::new(server.try_clone()?);
    while let Some(request) = Message::read(&mut requests, false)? {
        let cut = decide(&String::from_utf8_lossy(&request.bytes[..request.head]));
        if let Cut::Delayed(time) = cut {
            client.shutdown(Shutdown::Both)?;
            std::thread::sleep(time);
            // The server may have closed the connection, on which nothing came.
            let server = TcpStream::connect(("127.0.0.1", upstream))?;
            (&server).write_all(&request.bytes)?;
            Message::read(&mut BufReader::new(&server), true)?;
            count(cuts, cut);
            return Ok(());
        }
        let half = request.head + (request.bytes.len() - request.head) / 2;
        (&server).write_all(if cut == Cut::MidBody { &request.bytes[..half] } else { &request.bytes })?;
        if matches!(cut, Cut::MidBody | Cut::AfterBody) {
            count(cuts, cut);
            server.shutdown(Shutdown::Both)?;
            return Ok(());
        }
        let Some(answer) = Message::read(&mut answers, true)? else { return Ok(()) };
        count(cuts, cut);
        let shown = match cut {
            Cut::BeforeAnswer => 0,
            Cut::AfterFirstByte => 1,
            Cut::MidAnswer => answer.head / 2,
            _ => answer.bytes.len(),
        };
        if let Cut::Late(time) = cut {
            std::thread::sleep(time);
        }
        let mut client = client;
        client.write_all(&answer.bytes[..shown])?;
        if shown < answer.bytes.len() || request.is_last() || answer.is_last() {
            return Ok(());
        }
    }
    Ok(())
}

fn count(cuts: &Mutex<BTreeMap<Cut, u64>>, cut: Cut) {
    *cuts.lock().expect("a proxy that did not panic").entry(cut).or_default() += 1;
}

/// A request or an answer as it was sent.
struct Message {
    bytes: Vec<u8>,
    /// Bytes of the head.
    head: usize,
}

impl Message {
    /// `None` at the end of the connection. An answer without a length goes on until there.
    fn read(from: &mut impl BufRead, is_answer: bool) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            if from.read_until(b'\n', &mut bytes)? == 0 {
                return Ok(None);
            }
        }
        let head = bytes.len();
        let lower = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        let length = lower.split("content-length:").nth(1).and_then(|rest| rest.lines().next());
        if lower.contains("transfer-encoding: chunked") {
            while read_piece(from, &mut bytes)? {}
        } else if let Some(length) = length.and_then(|length| length.trim().parse().ok()) {
            from.take(length).read_to_end(&mut bytes)?;
        } else if is_answer {
            from.read_to_end(&mut bytes)?;
        }
        Ok(Some(Self { bytes, head }))
    }

    /// Whether the connection ends with it.
    fn is_last(&self) -> bool {
        String::from_utf8_lossy(&self.bytes[..self.head]).to_ascii_lowercase().contains("connection: close")
    }
}

/// Reads a chunk of a chunked body; `false` after the last one.
fn read_piece(from: &mut impl BufRead, bytes: &mut Vec<u8>) -> io::Result<bool> {
    let start = bytes.len();
    from.read_until(b'\n', bytes)?;
    let line = String::from_utf8_lossy(&bytes[start..]);
    let Ok(size) = u64::from_str_radix(line.trim(), 16) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    from.take(size + 2).read_to_end(bytes)?;
    Ok(size > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http_request;

    /// A server that answers each request with its length, and counts them.
    fn server() -> (u16, Arc<Mutex<Vec<usize>>>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let requests = Arc::clone(&seen);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let mut reader = BufReader::new(client.try_clone().unwrap());
                while let Ok(Some(request)) = Message::read(&mut reader, false) {
                    let length = (request.bytes.len() - request.head).to_string();
                    requests.lock().unwrap().push(request.bytes.len() - request.head);
                    let answer =
                        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{length}", length.len());
                    if (&client).write_all(answer.as_bytes()).is_err() {
                        break;
                    }
                }
            }
        });
        (port, seen)
    }

    #[test]
    fn each_cut_leaves_the_client_with_what_it_says() {
        let (port, seen) = server();
        let late = Cut::Late(Duration::from_millis(20));
        let delayed = Cut::Delayed(Duration::from_millis(20));
        let cuts = [
            Cut::Nothing,
            late,
            delayed,
            Cut::BeforeAnswer,
            Cut::AfterFirstByte,
            Cut::MidAnswer,
            Cut::MidBody,
        ];
        for cut in cuts {
            let proxy =
                Proxy::start(port, move |head| if head.starts_with("POST /t") { cut } else { Cut::Nothing });
            let answer = http_request(proxy.port(), "POST", "/t", &[], &[7; 1000]);
            let is_answered = matches!(cut, Cut::Nothing | Cut::Late(_));
            assert_eq!(answer.is_ok_and(|answer| answer.body == b"1000"), is_answered, "{cut:?}");
            while proxy.cuts().is_empty() {
                std::thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(proxy.cuts(), BTreeMap::from([(cut, 1)]));
        }
        assert_eq!(seen.lock().unwrap()[..6], [1000; 6], "all but the one whose body was cut");
    }
}
