//! HTTP that lies.

use super::*;

const SOURCE: &str = "@type http
  bind 127.0.0.1
  keepalive_timeout 2s
  body_size_limit 8m
  decompression_size_limit 32m
  receive_memory_limit 32m";

#[test]
fn lengths_chunks_headers_and_bombs() {
    let mut target = Target::start(SOURCE);
    let post = |headers: &str, body: &[u8]| {
        let head =
            format!("POST /evil HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{headers}\r\n");
        [head.as_bytes(), body].concat()
    };
    let bomb = super::forward::gzip(&vec![b' '; 4 << 20]).repeat(20);
    let of = |body: &[u8], more: &str| post(&format!("Content-Length: {}\r\n{more}", body.len()), body);
    // What is sent, and how the answer begins; no answer where nothing is complete.
    let attacks: Vec<(&str, Vec<u8>, &str)> = vec![
        ("a body shorter than it says", post("Content-Length: 1000\r\n", b"{\"n\":1}"), "HTTP/1.1 408"),
        ("a length of 8 EiB", post("Content-Length: 9223372036854775807\r\n", b"{"), "HTTP/1.1 413"),
        ("a length that is none", post("Content-Length: -1\r\n", b"{}"), "HTTP/1.1 400"),
        ("two lengths", post("Content-Length: 2\r\nContent-Length: 7\r\n", b"{\"n\":1}"), "HTTP/1.1 400"),
        ("a chunk of 16 EiB", post("Transfer-Encoding: chunked\r\n", b"ffffffffffffffff\r\nx"), "HTTP/1.1 4"),
        (
            "a chunk size without end",
            post("Transfer-Encoding: chunked\r\n", &vec![b'0'; 1 << 20]),
            "HTTP/1.1 4",
        ),
        (
            "an extension without end",
            post("Transfer-Encoding: chunked\r\n", &[&b"1;"[..], &vec![b'x'; 4 << 20]].concat()),
            "HTTP/1.1 4",
        ),
        (
            "chunks without end",
            chunks(16 << 20, &post("Transfer-Encoding: chunked\r\n", b"")),
            "HTTP/1.1 413",
        ),
        ("a huge header", post(&format!("X: {}\r\n", "x".repeat(4 << 20)), b""), "HTTP/1.1 431"),
        ("a thousand headers", post(&"X: x\r\n".repeat(1000), b""), "HTTP/1.1 431"),
        ("a path without end", [b"GET /", &vec![b'x'; 1 << 20][..]].concat(), "HTTP/1.1 4"),
        ("a gzip bomb", of(&bomb, "Content-Encoding: gzip\r\n"), "HTTP/1.1 400"),
        ("a body above the limit", of(&vec![b' '; 9 << 20], ""), "HTTP/1.1 413"),
        // As with Fluentd: what is no JSON is no event, and no error.
        ("JSON without end", of(&b"[".repeat(4 << 20), ""), "HTTP/1.1 200"),
        ("garbage", vec![0xff; 1 << 20], "HTTP/1.1 400"),
    ];
    for (what, bytes, expected) in attacks {
        for round in 0..5 {
            let mut peer = Peer::connect(target.port);
            peer.try_send(&bytes);
            if round == 0 {
                honest(&mut target);
            }
            let said = String::from_utf8_lossy(&peer.closed()).into_owned();
            // A connection that is reset may take its answer with it.
            assert!(said.is_empty() || said.starts_with(expected), "{what}: {said}");
        }
    }
    // A head that never ends.
    let mut slow = Peer::connect(target.port);
    slow.send(b"POST /evil HTTP/1.1\r\nX-");
    honest(&mut target);
    slow.closed();
    for (reason, least) in [("decompression", 5), ("body_size_limit", 5), ("too_slow", 5), ("malformed", 10)]
    {
        assert!(target.closed(reason) >= least, "{reason}: {}", books(target.monitor));
    }
    target.complains(&["a request was refused"], 4);
    target.complains(&["fails to decode payload"], 1);
    target.finish(32 + 32 + 96);
}

fn honest(target: &mut Target) {
    let n = target.acknowledged.len() as u64;
    let body = format!("{{\"n\":{n}}}");
    let answer =
        http_request(target.port, "POST", "/honest", &["Content-Type: application/json"], body.as_bytes());
    assert_eq!(answer.unwrap().status, 200);
    target.acknowledged.insert(n);
}

/// `head` and a body of so many bytes, in chunks of a KiB.
fn chunks(bytes: usize, head: &[u8]) -> Vec<u8> {
    let chunk = [&b"400\r\n"[..], &[b' '; 1024], b"\r\n"].concat();
    [head, &chunk.repeat(bytes / 1024)].concat()
}
