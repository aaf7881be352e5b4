//! A real ClickHouse in trouble, and servers that are slow or lead elsewhere: nothing is lost, nothing stored twice, and the
//! message says what is wrong.

use super::misbehaving::{Scripted, described};
use super::plugin::{chunk, database, plugin, retry_message, written};
use logweir_engine::plugin::WriteError;
use logweir_testing::{ClickHouse, Options};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[tokio::test]
async fn too_many_parts_are_waited_for() {
    let server = ClickHouse::shared();
    database(server, "parts");
    server.query(
        "CREATE TABLE parts.t (n UInt32) ENGINE = MergeTree ORDER BY n \
         SETTINGS parts_to_delay_insert = 3, parts_to_throw_insert = 3, max_delay_to_insert = 1",
    );
    server.query("SYSTEM STOP MERGES parts.t");
    let (plugin, _) = plugin(&format!("port {}\ndatabase parts\ntable t", server.port()));
    let chunks: Vec<_> = (0..6).map(|n| chunk(&[json!({"n": n})])).collect();
    let mut refused = Vec::new();
    for chunk in &chunks {
        if let Err(error) = plugin.write(chunk).await {
            let message = retry_message(Err(error));
            assert!(message.contains("Code: 252") && message.contains("Too many parts"), "{message}");
            refused.push(chunk);
        }
    }
    assert!(refused.len() >= 2, "{}", refused.len());
    server.query("SYSTEM START MERGES parts.t");
    server.query("OPTIMIZE TABLE parts.t FINAL");
    for chunk in refused {
        written(&*plugin, chunk).await;
        server.query("OPTIMIZE TABLE parts.t FINAL");
    }
    assert_eq!(server.query("SELECT count(), uniqExact(n) FROM parts.t"), "6\t6");
}

#[tokio::test]
async fn a_server_without_memory_is_waited_for() {
    let server = ClickHouse::shared();
    database(server, "memory");
    server.query("CREATE TABLE memory.t (n UInt32, s String) ENGINE = MergeTree ORDER BY n");
    let lines = format!("port {}\ndatabase memory\ntable t\n", server.port());
    let chunk = chunk(&(0..2000).map(|n| json!({"n": n, "s": "x".repeat(500)})).collect::<Vec<_>>());
    let (starved, _) = plugin(&format!("{lines}<settings>\nmax_memory_usage 100000\n</settings>"));
    let message = retry_message(starved.write(&chunk).await);
    assert!(message.contains("Code: 241") && message.contains("emory limit"), "{message}");
    let (fed, _) = plugin(&lines);
    written(&*fed, &chunk).await;
    assert_eq!(server.query("SELECT count(), uniqExact(n) FROM memory.t"), "2000\t2000");
}

#[tokio::test]
async fn a_read_only_server_is_waited_for() {
    let server = ClickHouse::shared();
    database(server, "only_read");
    server.query("CREATE TABLE only_read.t (n UInt32) ENGINE = MergeTree ORDER BY n");
    let lines = format!("port {}\ndatabase only_read\ntable t\n", server.port());
    let chunk = chunk(&[json!({"n": 1})]);
    let (reader, _) = plugin(&format!("{lines}user reader"));
    let message = retry_message(reader.write(&chunk).await);
    assert!(message.contains("Code: 164") && message.contains("readonly"), "{message}");
    let (writer, _) = plugin(&lines);
    written(&*writer, &chunk).await;
    assert_eq!(server.query("SELECT count() FROM only_read.t"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_changed_all_the_time_gets_each_row_once() {
    let server = ClickHouse::shared();
    database(server, "under_way");
    server.query("CREATE TABLE under_way.t (n UInt32, s String) ENGINE = MergeTree ORDER BY n");
    static ENOUGH: AtomicBool = AtomicBool::new(false);
    let altering = std::thread::spawn(|| {
        let mut times = 0;
        while !ENOUGH.load(Ordering::Relaxed) {
            let statement = ["ADD COLUMN x UInt8", "MODIFY COLUMN x String", "DROP COLUMN x"][times % 3];
            // What is locked for too long is altered the next time.
            times +=
                usize::from(server.try_query(&format!("ALTER TABLE under_way.t {statement}")).status == 200);
        }
        times
    });
    let (plugin, _) = plugin(&format!("port {}\ndatabase under_way\ntable t", server.port()));
    let mut retried = 0;
    for part in 0..40 {
        let records: Vec<Value> =
            (0..50).map(|n| json!({"n": part * 50 + n, "s": "s", "x": n % 100})).collect();
        let chunk = chunk(&records);
        while let Err(error) = plugin.write(&chunk).await {
            retried += 1;
            assert!(retried < 2000);
            let pause = match error {
                WriteError::Later { pause, .. } => pause,
                error => {
                    retry_message(Err(error));
                    Duration::from_millis(5)
                }
            };
            tokio::time::sleep(pause).await;
        }
    }
    ENOUGH.store(true, Ordering::Relaxed);
    assert!(altering.join().unwrap() > 0);
    assert_eq!(server.query("SELECT count(), uniqExact(n) FROM under_way.t"), "2000\t2000");
}

#[tokio::test]
async fn a_table_that_is_dropped_and_made_again_gets_what_waits() {
    let server = ClickHouse::shared();
    database(server, "dropped");
    let make = "CREATE TABLE dropped.t (n UInt32) ENGINE = MergeTree ORDER BY n";
    server.query(make);
    let (plugin, _) = plugin(&format!("port {}\ndatabase dropped\ntable t", server.port()));
    plugin.write(&chunk(&[json!({"n": 1})])).await.unwrap();
    server.query("DROP TABLE dropped.t");
    let waiting = chunk(&[json!({"n": 2})]);
    for _ in 0..2 {
        let message = retry_message(plugin.write(&waiting).await);
        assert!(message.contains("dropped.t") && message.contains("create it"), "{message}");
    }
    server.query(make);
    plugin.write(&waiting).await.unwrap();
    assert_eq!(server.query("SELECT n FROM dropped.t"), "2");
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_not_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = |until| {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = until;
        params.self_signed(&key).unwrap()
    };
    let write = |name: &str, text: String| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let key_path = write("key.pem", key.serialize_pem());
    let old = write("old.pem", certificate(rcgen::date_time_ymd(2021, 1, 1)).pem());
    let server =
        ClickHouse::start_with(&Options { tls: Some((old.clone(), key_path)), ..Options::default() });
    server.query("CREATE TABLE t (n UInt32) ENGINE = MergeTree ORDER BY n");
    let (plugin, _) = plugin(&format!(
        "port {}\nscheme https\ntable t\nca_path {}",
        server.https_port().unwrap(),
        old.display()
    ));
    let message = retry_message(plugin.write(&chunk(&[json!({"n": 1})])).await);
    assert!(message.contains("certificate: Expired"), "{message}");
    assert_eq!(server.query("SELECT count() FROM t"), "0");
}

#[tokio::test]
async fn slow_servers_are_given_up_in_time() {
    /// Reads a byte a second.
    fn reads(mut client: TcpStream) {
        let mut byte = [0];
        while client.read(&mut byte).is_ok_and(|read| read == 1) {
            std::thread::sleep(Duration::from_secs(1));
        }
    }
    /// Reads everything and says nothing.
    fn is_silent(mut client: TcpStream) {
        while client.read(&mut [0; 65536]).is_ok_and(|read| read > 0) {}
    }
    /// Reads everything and answers a byte a second.
    fn answers(client: TcpStream) {
        let mut from = client.try_clone().unwrap();
        std::thread::spawn(move || while from.read(&mut [0; 65536]).is_ok_and(|read| read > 0) {});
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" {
            if (&client).write_all(&[*byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }
    let small = chunk(&[json!({"s": "x"})]);
    // More than the sockets' buffers take.
    let large = chunk(&vec![json!({"s": "x".repeat(1000)}); 20_000]);
    let ways: [(fn(TcpStream), _); 3] = [(reads, &large), (is_silent, &small), (answers, &small)];
    for (inserts, chunk) in ways {
        let answer = |query: &str, _: &[u8]| match query.contains("system.columns") {
            true => (200, json!({"data": [["s", "String", ""]]}).to_string()),
            false => described(query).unwrap_or((200, String::new())),
        };
        let server = Scripted::start_with(answer, Some(inserts));
        let times = "send_timeout 1s\nhttp_timeout 2s";
        let (plugin, _) = plugin(&format!("port {}\ntable t\n{times}\ncompress none", server.port));
        let message = retry_message(plugin.write(chunk).await);
        assert!(message.contains("in time") || message.contains("within"), "{message}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Scripted::start(|query, _| described(query).unwrap_or((200, String::new())));
    let away = format!("moved to http://127.0.0.1:{}/", elsewhere.port);
    let server = Scripted::start(move |query, _| described(query).unwrap_or((307, away.clone())));
    let (plugin, _) = plugin(&format!("port {}\ntable t", server.port));
    let message = retry_message(plugin.write(&chunk(&[json!({"n": 1})])).await);
    assert!(message.contains("moved to"), "{message}");
    assert!(elsewhere.inserts().is_empty());
}
