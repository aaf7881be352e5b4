//! The server's connections: one thread each, HTTP/1.1 in TLS.

use super::State;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

type Tls = StreamOwned<ServerConnection, TcpStream>;

/// A listening socket and its connections.
pub(crate) struct Serving {
    port: u16,
    is_over: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

/// A request: `GET`, path, the pairs of the query.
struct Request {
    path: String,
    query: Vec<(String, String)>,
    authorization: Option<String>,
}

/// An answer that has an end.
struct Answer {
    status: &'static str,
    body: Value,
}

impl Serving {
    pub(crate) fn start(port: u16, tls: Arc<ServerConfig>, state: Arc<State>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the server's port");
        let port = listener.local_addr().expect("a bound socket").port();
        let is_over = Arc::<AtomicBool>::default();
        let connections = Arc::<Mutex<Vec<TcpStream>>>::default();
        let serving = Self { port, is_over: Arc::clone(&is_over), connections: Arc::clone(&connections) };
        std::thread::spawn(move || {
            for tcp in listener.incoming() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(tcp) = tcp else { continue };
                let Ok(other) = tcp.try_clone() else { continue };
                connections.lock().expect("no thread panics").push(other);
                let (tls, state, is_over) = (Arc::clone(&tls), Arc::clone(&state), Arc::clone(&is_over));
                std::thread::spawn(move || {
                    let Ok(connection) = ServerConnection::new(tls) else { return };
                    let closer = tcp.try_clone();
                    let _ = serve(StreamOwned::new(connection, tcp), &state, &is_over);
                    // Dropping it would not close it: there is a clone in the list.
                    let _ = closer.map(|tcp| tcp.shutdown(Shutdown::Both));
                });
            }
        });
        serving
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the listener, which then closes its socket.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        for tcp in self.connections.lock().expect("no thread panics").drain(..) {
            let _ = tcp.shutdown(Shutdown::Both);
        }
        // The port can be taken again when the listener is gone.
        while TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn serve(tls: Tls, state: &State, is_over: &AtomicBool) -> io::Result<()> {
    let mut reader = BufReader::new(tls);
    while let Some(request) = request(&mut reader)? {
        {
            let mut objects = state.objects();
            objects.requests.push(request.shown());
            while objects.is_holding && !is_over.load(Ordering::SeqCst) {
                objects = state.wait(objects);
            }
        }
        let has_certificate = reader.get_ref().conn.peer_certificates().is_some();
        if let Some(refusal) = refusal(&request, has_certificate, state) {
            answer(reader.get_mut(), &refusal)?;
        } else if request.value("watch") == Some("true") {
            if !watch(reader.get_mut(), &request, state, is_over)? {
                return Ok(());
            }
        } else {
            let found = found(&request, state);
            answer(reader.get_mut(), &found)?;
        }
    }
    Ok(())
}

impl Request {
    fn value(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn node(&self) -> Option<&str> {
        self.value("fieldSelector")?.strip_prefix("spec.nodeName=")
    }

    fn shown(&self) -> String {
        let query: Vec<String> = self.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("GET {}?{}", self.path, query.join("&"))
    }

    /// `list pods`
    fn action(&self) -> String {
        let parts: Vec<&str> = self.path.trim_start_matches("/api/v1/").split('/').collect();
        match (&parts[..], self.value("watch")) {
            ([resource], Some("true")) => format!("watch {resource}"),
            ([resource], _) => format!("list {resource}"),
            ([_, _], _) => "get namespaces".to_owned(),
            _ => "get pods".to_owned(),
        }
    }
}

fn request(reader: &mut BufReader<Tls>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let target = line.split(' ').nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = pairs.map(|(name, value)| (name.to_owned(), unquoted(value))).collect();
    let mut request = Request { path: path.to_owned(), query, authorization: None };
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            return Ok(Some(request));
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("authorization")
        {
            request.authorization = Some(value.trim().to_owned());
        }
    }
}

fn unquoted(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digits: Vec<u8> = bytes.by_ref().take(2).collect();
                let digits = String::from_utf8_lossy(&digits).into_owned();
                out.push(u8::from_str_radix(&digits, 16).expect("two digits"));
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8(out).expect("UTF-8")
}

fn refusal(request: &Request, has_certificate: bool, state: &State) -> Option<Answer> {
    let objects = state.objects();
    let token = request.authorization.as_deref().and_then(|text| text.strip_prefix("Bearer "));
    if !has_certificate && !token.is_some_and(|token| objects.tokens.iter().any(|known| known == token)) {
        return Some(failure("401 Unauthorized", 401, "Unauthorized"));
    }
    let action = request.action();
    if objects.forbidden.contains(&action) {
        let (verb, resource) = action.split_once(' ').unwrap_or_default();
        let message = format!(
            "{resource} is forbidden: User \"system:serviceaccount:kube-system:logweir\" cannot {verb} resource \"{resource}\" \
             in API group \"\" at the cluster scope"
        );
        return Some(failure("403 Forbidden", 403, &message));
    }
    let version = request.value("resourceVersion").and_then(|text| text.parse().ok()).unwrap_or(0);
    let is_gone = request.value("watch") == Some("true") && objects.is_forgotten(version);
    (is_gone && objects.gone_as_status).then(|| failure("410 Gone", 410, &too_old(version)))
}

fn too_old(version: u64) -> String {
    format!("too old resource version: {version}")
}

fn failure(status: &'static str, code: u16, message: &str) -> Answer {
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "code": code});
    Answer { status, body }
}

/// A list, or an object.
fn found(request: &Request, state: &State) -> Answer {
    let objects = state.objects();
    let parts: Vec<&str> = request.path.trim_start_matches("/api/v1/").split('/').collect();
    let object = match parts[..] {
        [resource @ ("pods" | "namespaces")] => {
            let kind = kind(resource);
            return Answer {
                status: "200 OK",
                body: json!({
                    "kind": format!("{kind}List"), "apiVersion": "v1",
                    "metadata": {"resourceVersion": objects.version().to_string()},
                    "items": objects.list(kind, request.node()),
                }),
            };
        }
        ["namespaces", name] => objects.get("Namespace", "", name),
        ["namespaces", namespace, "pods", name] => objects.get("Pod", namespace, name),
        _ => None,
    };
    match object {
        Some(object) => Answer { status: "200 OK", body: object.clone() },
        None => failure("404 Not Found", 404, &format!("{} not found", request.path)),
    }
}

fn kind(resource: &str) -> &'static str {
    if resource == "pods" { "Pod" } else { "Namespace" }
}

/// In chunks, which a list of a real server is sent in too.
fn answer(tls: &mut Tls, answer: &Answer) -> io::Result<()> {
    head(tls, answer.status)?;
    for piece in answer.body.to_string().as_bytes().chunks(1000) {
        chunk(tls, piece)?;
    }
    chunk(tls, b"")
}

fn head(tls: &mut Tls, status: &str) -> io::Result<()> {
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
    tls.write_all(head.as_bytes())?;
    tls.flush()
}

/// An empty one is the end.
fn chunk(tls: &mut Tls, bytes: &[u8]) -> io::Result<()> {
    tls.write_all(format!("{:x}\r\n", bytes.len()).as_bytes())?;
    tls.write_all(bytes)?;
    tls.write_all(b"\r\n")?;
    tls.flush()
}

/// Sends events until the client goes, the time is over, or watches are ended. Answers whether the connection is good for another
/// request.
fn watch(tls: &mut Tls, request: &Request, state: &State, is_over: &AtomicBool) -> io::Result<bool> {
    let number = |name: &str| request.value(name).and_then(|text| text.parse::<u64>().ok());
    let mut version = number("resourceVersion").unwrap_or(0);
    let bookmarks = request.value("allowWatchBookmarks") == Some("true");
    let until = number("timeoutSeconds").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let kind = kind(request.path.trim_start_matches("/api/v1/"));
    head(tls, "200 OK")?;
    let mut objects = state.objects();
    if objects.is_forgotten(version) {
        drop(objects);
        let event = json!({"type": "ERROR", "object": failure("", 410, &too_old(version)).body});
        chunk(tls, format!("{event}\n").as_bytes())?;
        return chunk(tls, b"").map(|()| true);
    }
    objects.watches += 1;
    let (ended, mut sent_before) = (objects.ended, objects.sent.len());
    let result = loop {
        let (mut lines, to) = objects.lines_after(version, kind, request.node(), bookmarks);
        lines.splice(0..0, objects.sent[sent_before..].iter().cloned());
        sent_before = objects.sent.len();
        let is_end = objects.ended != ended || until.is_some_and(|until| Instant::now() >= until);
        version = to;
        drop(objects);
        let sent = lines.iter().try_for_each(|line| {
            // An event may come in pieces.
            let line = format!("{line}\n");
            let (one, two) = line.as_bytes().split_at(line.len() / 2);
            chunk(tls, one)?;
            chunk(tls, two)
        });
        if let Err(error) = sent {
            break Err(error);
        }
        if is_end {
            break Ok(true);
        }
        if is_over.load(Ordering::SeqCst) || has_gone(tls.get_ref()) {
            break Ok(false);
        }
        objects = state.wait(state.objects());
    };
    // Before the client can begin another.
    state.change(|objects| objects.watches -= 1);
    let is_good = result?;
    if is_good {
        chunk(tls, b"")?;
    }
    Ok(is_good)
}

/// Whether the client has closed: it has nothing to say during a watch.
fn has_gone(tcp: &TcpStream) -> bool {
    if tcp.set_nonblocking(true).is_err() {
        return true;
    }
    let gone = !matches!(tcp.peek(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
    tcp.set_nonblocking(false).is_err() || gone
}
