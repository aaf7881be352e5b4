//! Many connections into one buffer: what each of them sent stays in its order, and nothing is lost or doubled however
//! many threads flush.

use crate::logweir::Logweir;
use logweir_testing::free_port;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

const CONNECTIONS: usize = 6;
const MESSAGES: usize = 120;
const RECORDS: usize = 5;
const TAGS: [&str; 2] = ["app.a", "app.b"];
/// Messages that are sent before an ack is read.
const IN_FLIGHT: usize = 8;

/// Sends its messages, to both tags in turn, and reads an ack for each.
fn send(connection: usize, port: u16) {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut acks = 0;
    for message in 0..MESSAGES {
        let entries: Vec<Value> = (0..RECORDS)
            .map(|n| json!([1_700_000_000, {"connection": connection, "n": message * RECORDS + n}]))
            .collect();
        let chunk = format!("{connection:08}{message:08}");
        let value = json!([TAGS[message % 2], entries, {"chunk": chunk}]);
        socket.write_all(&rmp_serde::to_vec(&value).unwrap()).unwrap();
        while message + 1 - acks > IN_FLIGHT {
            acks = expect_ack(&mut socket, connection, acks);
        }
    }
    while acks < MESSAGES {
        acks = expect_ack(&mut socket, connection, acks);
    }
}

fn expect_ack(socket: &mut TcpStream, connection: usize, number: usize) -> usize {
    let expected = [b"\x81\xa3ack\xb0", format!("{connection:08}{number:08}").as_bytes()].concat();
    let mut ack = vec![0; expected.len()];
    socket.read_exact(&mut ack).unwrap();
    assert_eq!(ack, expected);
    number + 1
}

/// For each tag and connection, the numbers that arrived, in order.
fn arrived(out: &Path) -> HashMap<(String, u64), Vec<u64>> {
    let mut arrived: HashMap<_, Vec<u64>> = HashMap::new();
    for tag in TAGS {
        let text = fs::read_to_string(out.join(format!("{tag}.log"))).unwrap_or_default();
        for line in text.lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            let connection = record["connection"].as_u64().unwrap();
            arrived.entry((tag.to_owned(), connection)).or_default().push(record["n"].as_u64().unwrap());
        }
    }
    arrived
}

#[test]
fn what_a_connection_sends_to_a_tag_keeps_its_order() {
    for threads in [1, 4] {
        let dir = tempfile::tempdir().unwrap();
        let (here, port) = (dir.path().display(), free_port());
        // Chunks are full after a few messages, so that there are many of them.
        let config = format!(
            "<source>\n @type forward\n bind 127.0.0.1\n port {port}\n</source>\n\
             <match app.**>\n @type file\n path {here}/out/${{tag}}\n append true\n <format>\n @type json\n </format>\n\
             <buffer tag>\n @type file\n path {here}/buffer\n chunk_limit_size 2k\n flush_mode interval\n \
             flush_interval 1s\n flush_thread_count {threads}\n flush_thread_interval 0.05\n \
             flush_thread_burst_interval 0\n </buffer>\n</match>\n"
        );
        let mut logweir = Logweir::start(dir.path(), &config);
        let senders: Vec<_> = (0..CONNECTIONS).map(|n| std::thread::spawn(move || send(n, port))).collect();
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        let out = dir.path().join("out");
        logweir.wait("all records", |_| {
            arrived(&out).values().map(Vec::len).sum::<usize>() >= CONNECTIONS * MESSAGES * RECORDS
        });
        assert!(logweir.stop().success());
        for ((tag, connection), mut numbers) in arrived(&out) {
            let first = TAGS.iter().position(|known| *known == tag).unwrap();
            let sent: Vec<u64> = (first..MESSAGES)
                .step_by(2)
                .flat_map(|message| (0..RECORDS).map(move |n| (message * RECORDS + n) as u64))
                .collect();
            if threads > 1 {
                // Chunks overtake each other, as in Fluentd.
                numbers.sort_unstable();
            }
            assert_eq!(numbers, sent, "{threads} threads, {tag}, connection {connection}");
        }
    }
}
