//! What goes wrong between Logweir and ClickHouse: lost answers, dead servers, refusals. A scripted server stands for what
//! Debian's cannot be made to do.

use super::plugin::{chunk, database, plugin, written};
use logweir_engine::clickhouse::frame::unframe;
use logweir_engine::plugin::WriteError;
use logweir_testing::{ClickHouse, Cut, Proxy, free_port};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// An answer of the scripted server: status and body.
pub(super) type Answer = (u16, String);
/// A request: target and body.
pub(super) type Request = (String, Vec<u8>);

/// A server that answers each request as a function says: from the query and the body.
pub(super) struct Scripted {
    pub(super) port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Scripted {
    pub(super) fn start(answer: impl Fn(&str, &[u8]) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_with(answer, None)
    }

    /// One that leaves the connections of inserts to `inserts`, once it has read the head.
    pub(super) fn start_with(
        answer: impl Fn(&str, &[u8]) -> Answer + Send + Sync + 'static,
        inserts: Option<fn(TcpStream)>,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let seen = Arc::clone(&requests);
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &seen, &*answer, inserts));
            }
        });
        Self { port, requests }
    }

    /// How many requests came that said so.
    pub(super) fn asked(&self, text: &str) -> usize {
        let said =
            |(target, body): &&Request| target.contains(text) || String::from_utf8_lossy(body).contains(text);
        self.requests.lock().unwrap().iter().filter(said).count()
    }

    /// The queries that came, inserts only.
    pub(super) fn inserts(&self) -> Vec<Request> {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|(target, _)| target.contains("INSERT")).cloned().collect()
    }
}

fn serve(
    stream: TcpStream,
    seen: &Mutex<Vec<Request>>,
    answer: &dyn Fn(&str, &[u8]) -> Answer,
    inserts: Option<fn(TcpStream)>,
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut head = String::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line == "\r\n" {
                break;
            }
            head.push_str(&line);
        }
        if let Some(inserts) = inserts
            && head.contains("INSERT")
        {
            return inserts(stream);
        }
        let lower = head.to_ascii_lowercase();
        let mut body = Vec::new();
        if lower.contains("transfer-encoding: chunked") {
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let size = usize::from_str_radix(line.trim(), 16).unwrap();
                let mut piece = vec![0; size + 2];
                reader.read_exact(&mut piece).unwrap();
                if size == 0 {
                    break;
                }
                body.extend_from_slice(&piece[..size]);
            }
        } else if let Some(length) = lower.split("content-length: ").nth(1) {
            body.resize(length.lines().next().unwrap().trim().parse().unwrap(), 0);
            reader.read_exact(&mut body).unwrap();
        }
        let target = head.split(' ').nth(1).unwrap().replace('+', " ").replace("%60", "`");
        seen.lock().unwrap().push((target.clone(), body.clone()));
        let query = if target.contains("query=") {
            target.clone()
        } else {
            String::from_utf8_lossy(&body).into_owned()
        };
        let (status, text) = answer(&query, &body);
        let tag = if text.contains("__exception__") {
            "X-ClickHouse-Exception-Tag: abcdefghijklmnop\r\n"
        } else {
            ""
        };
        let answer = format!("HTTP/1.1 {status} X\r\n{tag}Content-Length: {}\r\n\r\n{text}", text.len());
        if (&stream).write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// What a current server says of a table `n UInt32, day Date` partitioned by day; `None` for inserts.
pub(super) fn described(query: &str) -> Option<Answer> {
    let data = if query.starts_with("SELECT version") {
        json!([["26.5.1.1", "UTC"]])
    } else if query.contains("system.columns") {
        json!([["n", "UInt32", ""], ["day", "Date", ""]])
    } else if query.contains("system.tables") {
        let full = "MergeTree PARTITION BY day ORDER BY n SETTINGS non_replicated_deduplication_window = 100";
        json!([["MergeTree", full, "day"]])
    } else {
        return None;
    };
    Some((200, json!({ "data": data }).to_string()))
}

/// The rows of a body of `n UInt32, day Date`.
pub(super) fn rows(body: &[u8]) -> Vec<(u32, u16)> {
    let body = unframe(body).unwrap();
    let (count, start) = match body[1..] {
        [low, high, ..] if low >= 0x80 => (usize::from(low & 0x7f) | usize::from(high) << 7, 3),
        [low, ..] => (usize::from(low), 2),
        [] => panic!("a block"),
    };
    let values = start + b"\x01n\x06UInt32".len();
    let days = values + 4 * count + b"\x03day\x04Date".len();
    let number = |n: usize| u32::from_le_bytes(body[values + 4 * n..][..4].try_into().unwrap());
    let day = |n: usize| u16::from_le_bytes(body[days + 2 * n..][..2].try_into().unwrap());
    (0..count).map(|n| (number(n), day(n))).collect()
}

pub(super) fn parameter<'a>(target: &'a str, name: &str) -> Option<&'a str> {
    target.split(['?', '&']).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

#[tokio::test]
async fn an_insert_whose_answer_is_lost_is_stored_once_by_a_server_that_cannot_deduplicate() {
    let server = ClickHouse::shared();
    database(server, "lost");
    server.query("CREATE TABLE lost.t (n UInt32) ENGINE = MergeTree ORDER BY n");
    let cut = |head: &str| if head.contains("query=INSERT") { Cut::BeforeAnswer } else { Cut::Nothing };
    let proxy = Proxy::start(server.port(), cut);
    let (plugin, _) = plugin(&format!(
        "urls [\"http://127.0.0.1:{}\"]\ndatabase lost\ntable t\nmax_insert_rows 10",
        proxy.port()
    ));
    let records: Vec<Value> = (0..25).map(|n| json!({"n": n})).collect();
    let chunk = chunk(&records);
    let mut attempts = 0;
    while let Err(error) = plugin.write(&chunk).await {
        attempts += 1;
        assert!(attempts < 100, "{error:?}");
        match error {
            WriteError::Later { pause, .. } => tokio::time::sleep(pause).await,
            error => assert!(matches!(error, WriteError::Retry { .. }), "{error:?}"),
        }
    }
    // Three inserts, of each of which the first answer was lost. One that is still running is asked after again.
    assert!(attempts >= 3, "{attempts}");
    assert_eq!(server.query("SELECT count(), sum(n) FROM lost.t"), "25\t300");
}

#[tokio::test]
async fn a_chunk_of_the_process_before_is_not_stored_again() {
    let server = ClickHouse::shared();
    database(server, "before");
    server.query("CREATE TABLE before.t (n UInt32) ENGINE = MergeTree ORDER BY n");
    let lines = format!("port {}\ndatabase before\ntable t", server.port());
    let chunk = chunk(&[json!({"n": 1})]);
    let (first, _) = plugin(&lines);
    first.write(&chunk).await.unwrap();
    // The process died before the chunk was purged.
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let (second, _) = plugin(&lines);
    written(&*second, &chunk).await;
    assert_eq!(server.query("SELECT count() FROM before.t"), "1");
}

#[tokio::test]
async fn inserts_say_their_name_and_the_settings_they_rely_on() {
    let server = Scripted::start(|query, _| described(query).unwrap_or((200, String::new())));
    let (plugin, _) =
        plugin(&format!("port {}\ntable t\n<settings>\nasync_insert 1\n</settings>", server.port));
    let chunk = chunk(&[json!({"n": 1, "day": "2024-01-15"})]);
    plugin.write(&chunk).await.unwrap();
    let [(target, body)] = &server.inserts()[..] else { panic!("one insert") };
    let id = chunk.id().hex();
    for (name, value) in [
        ("insert_deduplication_token", id.as_str()),
        ("query_id", &id),
        ("async_insert", "1"),
        ("wait_for_async_insert", "1"),
        ("decompress", "1"),
        ("query", "INSERT INTO `default`.`t` (`n`%2C `day`) FORMAT Native"),
    ] {
        let found = parameter(target, name).map(|value| value.replace("%28", "(").replace("%29", ")"));
        assert_eq!(found.as_deref(), Some(value), "{target}");
    }
    assert_eq!(rows(body), [(1, 19_737)]);
}

#[tokio::test]
async fn retries_send_the_same_bytes_under_the_same_name_to_the_next_server() {
    let busy = Scripted::start(|query, _| {
        described(query)
            .unwrap_or((500, "Code: 202. DB::Exception: Too many simultaneous queries".to_owned()))
    });
    let well = Scripted::start(|query, _| described(query).unwrap_or((200, String::new())));
    let dead = free_port();
    let (plugin, _) =
        plugin(&format!("host 127.0.0.1:{dead},127.0.0.1:{},127.0.0.1:{}\ntable t", busy.port, well.port));
    // Which server is first is up to the id of the chunk.
    let mut written = 0;
    while busy.inserts().is_empty() && written < 1000 {
        plugin.write(&chunk(&[json!({"n": written, "day": "2024-01-15"})])).await.unwrap();
        written += 1;
    }
    assert_eq!(well.inserts().len(), written);
    for (target, body) in busy.inserts() {
        let token = parameter(&target, "insert_deduplication_token");
        let same = well
            .inserts()
            .into_iter()
            .find(|(other, _)| parameter(other, "insert_deduplication_token") == token);
        assert_eq!(same.expect("the same insert").1, body);
    }
    assert!(!busy.inserts().is_empty());
}

#[tokio::test]
async fn an_exception_after_the_status_200_is_a_failure() {
    let text = "\r\n__exception__\r\nabcdefghijklmnop\r\nCode: 241. DB::Exception: Memory limit exceeded\n";
    let tail = format!("{text}{} abcdefghijklmnop\r\n__exception__\r\n", text.len() - 17 - 18);
    for tail in
        [tail, "Code: 241. DB::Exception: Memory limit exceeded (version 24.1 (official build))\n".to_owned()]
    {
        let server = Scripted::start(move |query, _| described(query).unwrap_or((200, tail.clone())));
        let (plugin, _) = plugin(&format!("port {}\ntable t", server.port));
        let outcome = plugin.write(&chunk(&[json!({"n": 1})])).await;
        assert!(
            matches!(&outcome, Err(WriteError::Retry { message, .. }) if message.contains("241")),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn rows_that_the_server_refuses_are_found_and_the_others_stored() {
    let server = Scripted::start(|query, body| {
        described(query).unwrap_or_else(|| {
            if rows(body).iter().any(|(n, _)| matches!(n, 7 | 90)) {
                (400, "Code: 469. DB::Exception: Constraint `c` for table default.t is violated".to_owned())
            } else {
                (200, String::new())
            }
        })
    });
    let (plugin, driver) = plugin(&format!("port {}\ntable t", server.port));
    let records: Vec<Value> = (0..100).map(|n| json!({"n": n, "day": "2024-01-15"})).collect();
    plugin.write(&chunk(&records)).await.unwrap();
    assert_eq!(driver.errors.count(), 2);
    let mut stored: Vec<u32> = Vec::new();
    let mut tokens = std::collections::HashSet::new();
    for (target, body) in server.inserts() {
        assert!(
            tokens.insert(parameter(&target, "insert_deduplication_token").unwrap().to_owned()),
            "{target}"
        );
        let numbers: Vec<u32> = rows(&body).into_iter().map(|(n, _)| n).collect();
        if !numbers.iter().any(|n| matches!(n, 7 | 90)) {
            stored.extend(numbers);
        }
    }
    stored.sort_unstable();
    assert_eq!(stored, (0..100).filter(|n| !matches!(n, 7 | 90)).collect::<Vec<u32>>());
}

#[tokio::test]
async fn a_chunk_whose_every_row_is_refused_is_given_up() {
    let server = Scripted::start(|query, _| {
        described(query).unwrap_or((400, "Code: 469. DB::Exception: Constraint is violated".to_owned()))
    });
    let (plugin, _) = plugin(&format!("port {}\ntable t", server.port));
    let records: Vec<Value> = (0..5000).map(|n| json!({"n": n})).collect();
    let outcome = plugin.write(&chunk(&records)).await;
    assert!(
        matches!(&outcome, Err(WriteError::Reject { message, .. }) if message.contains("469")),
        "{outcome:?}"
    );
    assert!(server.inserts().len() < 600);
}

#[tokio::test]
async fn an_insert_for_too_many_partitions_is_divided_by_them() {
    let server = Scripted::start(|query, body| {
        described(query).unwrap_or_else(|| {
            let days: std::collections::HashSet<u16> = rows(body).into_iter().map(|(_, day)| day).collect();
            if days.len() > 100 {
                (
                    500,
                    "Code: 252. DB::Exception: Too many partitions for single INSERT block (more than 100)"
                        .to_owned(),
                )
            } else {
                (200, String::new())
            }
        })
    });
    let (plugin, _) = plugin(&format!("port {}\ntable t", server.port));
    // 300 days, each in every part of the chunk.
    let records: Vec<Value> = (0..6000).map(|n| json!({"n": n, "day": 10_000 + (n * 7) % 300})).collect();
    plugin.write(&chunk(&records)).await.unwrap();
    let accepted: Vec<Vec<(u32, u16)>> = server.inserts().iter().map(|(_, body)| rows(body)).collect();
    let accepted: Vec<_> = accepted
        .into_iter()
        .filter(|rows| rows.iter().map(|(_, day)| day).collect::<std::collections::HashSet<_>>().len() <= 100)
        .collect();
    assert!(accepted.len() <= 8, "{}", accepted.len());
    let mut numbers: Vec<u32> = accepted.into_iter().flatten().map(|(n, _)| n).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..6000).collect::<Vec<u32>>());
}

#[tokio::test]
async fn a_setting_that_the_server_lacks_is_left_out() {
    let server = Scripted::start(|query, _| {
        described(query).unwrap_or_else(|| match parameter(query, "wait_for_async_insert") {
            Some(_) => (404, "Code: 115. DB::Exception: Unknown setting 'wait_for_async_insert'".to_owned()),
            None => (200, String::new()),
        })
    });
    let (plugin, _) = plugin(&format!("port {}\ntable t", server.port));
    plugin.write(&chunk(&[json!({"n": 1})])).await.unwrap();
    plugin.write(&chunk(&[json!({"n": 2})])).await.unwrap();
    assert_eq!(server.inserts().len(), 3);
}
