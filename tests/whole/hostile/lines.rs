//! Lines without end, over TCP, syslog and UDP.

use super::*;
use std::net::UdpSocket;

#[test]
fn a_line_without_end_over_tcp() {
    endless(
        "@type tcp\n  bind 127.0.0.1\n  tag lines\n  message_length_limit 64k\n  <parse>\n    @type json\n  </parse>",
        b"",
        160,
    );
}

#[test]
fn a_line_without_end_over_syslog() {
    endless(
        "@type syslog\n  bind 127.0.0.1\n  tag lines
  <transport tcp>\n  </transport>\n  <parse>\n    @type json\n  </parse>",
        b"<6>",
        320,
    );
}

/// A peer that sends 256 MiB without a line end, while another sends lines.
fn endless(source: &str, begin: &[u8], memory_mib: u64) {
    let mut target = Target::start(source);
    let port = target.port;
    let evil = std::thread::spawn(move || {
        let mut peer = Peer::connect(port);
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..256 {
            if peer.0.write_all(&piece).is_err() {
                return;
            }
        }
    });
    let mut honest = Peer::connect(target.port);
    for n in 0..100 {
        honest.send(&[begin, format!("{{\"n\":{n}}}\n").as_bytes()].concat());
        target.acknowledged.insert(n);
    }
    let out = target.dir.path().join("out.log");
    target.logweir.wait("the honest lines", |_| numbers(&out).len() >= 100);
    evil.join().unwrap();
    honest.send(&[begin, b"{\"n\":100}\n"].concat());
    target.acknowledged.insert(100);
    target.logweir.wait("the last line", |_| numbers(&out).len() >= 101);
    let monitor = target.monitor;
    target.logweir.wait("the counter", |_| {
        books(monitor)["connections_closed"]["in"]["message_length_limit"].as_u64() >= Some(1)
    });
    target.complains(&["message_length_limit"], 2);
    drop(honest);
    target.finish(memory_mib);
}

#[test]
fn datagrams_of_garbage() {
    let source = "@type udp\n  bind 127.0.0.1\n  tag lines\n  <parse>\n    @type json\n  </parse>";
    let mut target = Target::start(source);
    let (evil, honest) = (UdpSocket::bind("127.0.0.2:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let out = target.dir.path().join("out.log");
    for n in 0..50 {
        for _ in 0..20 {
            let _ = evil.send_to(&vec![b'['; 60_000], ("127.0.0.1", target.port));
        }
        let text = format!("{{\"n\":{n}}}");
        // UDP may lose datagrams that nobody has read yet, so each is waited for.
        let seen = || numbers(&out).len() as u64 > n;
        while !seen() {
            honest.send_to(text.as_bytes(), ("127.0.0.1", target.port)).unwrap();
            for _ in 0..50 {
                if !seen() {
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        }
        target.acknowledged.insert(n);
    }
    assert!(target.lines("pattern not matched") <= 200, "the log is not filled");
    target.finish(192);
}
