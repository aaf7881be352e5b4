//! Inputs beside forward and tail: what they promise outlives a kill, and a reload.

use crate::logweir::Logweir;
use logweir_testing::{free_port, http_request};
use rustix::process::Signal;
use std::fs;
use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::path::Path;

/// Logweir's own log lines are no events.
const NO_OWN_LOG: &str = "<label @FLUENT_LOG>\n <match **>\n @type null\n </match>\n</label>\n";

/// Everything that is in the files of the output, sorted.
fn lines(dir: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "log") {
            lines.extend(fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned));
        }
    }
    lines.sort();
    lines
}

#[test]
fn what_http_answered_with_200_outlives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let (here, port) = (dir.path().display(), free_port());
    fs::create_dir(dir.path().join("out")).unwrap();
    let config = format!(
        "<source>\n @type http\n bind 127.0.0.1\n port {port}\n</source>\n\
         <match **>\n @type file\n path {here}/out/events\n append true\n\
         <format>\n @type json\n </format>\n\
         <buffer>\n @type file\n path {here}/buffer\n flush_mode lazy\n timekey 1d\n </buffer>\n</match>\n{NO_OWN_LOG}"
    );
    let mut logweir = Logweir::start(dir.path(), &config);
    let mut expected = Vec::new();
    for round in 0..3 {
        for n in 10..30 {
            let body = format!(r#"{{"round":{round},"n":{n}}}"#);
            let answer =
                http_request(port, "POST", "/app.log", &["Content-Type: application/json"], body.as_bytes());
            assert_eq!(answer.unwrap().status, 200);
            expected.push(body);
        }
        logweir.kill();
        logweir.start_again();
    }
    assert!(lines(&dir.path().join("out")).is_empty(), "nothing is flushed by itself");
    logweir.signal(Signal::USR1);
    logweir.wait("the events", |_| lines(&dir.path().join("out")).len() >= expected.len());
    assert_eq!(lines(&dir.path().join("out")), expected, "each once");
    assert!(logweir.stop().success());
}

#[test]
fn inputs_listen_again_after_a_reload() {
    let dir = tempfile::tempdir().unwrap();
    let [http, tcp, udp, syslog, monitor] = [(); 5].map(|()| free_port());
    let config = format!(
        "<source>\n @type http\n bind 127.0.0.1\n port {http}\n</source>\n\
         <source>\n @type tcp\n bind 127.0.0.1\n port {tcp}\n tag tcp\n <parse>\n @type none\n </parse>\n</source>\n\
         <source>\n @type udp\n bind 127.0.0.1\n port {udp}\n tag udp\n <parse>\n @type none\n </parse>\n</source>\n\
         <source>\n @type syslog\n bind 127.0.0.1\n port {syslog}\n tag sys\n</source>\n\
         <source>\n @type monitor_agent\n bind 127.0.0.1\n port {monitor}\n</source>\n\
         <filter **>\n @type record_transformer\n <record>\n seen yes\n </record>\n</filter>\n\
         <match **>\n @type stdout\n</match>\n{NO_OWN_LOG}"
    );
    let mut logweir = Logweir::start(dir.path(), &config);
    let mut open = Vec::new();
    for round in ["before", "after"] {
        let body = format!(r#"{{"http":"{round}"}}"#);
        let answer = http_request(http, "POST", "/h", &["Content-Type: application/json"], body.as_bytes());
        assert_eq!(answer.unwrap().status, 200);
        let mut connection = TcpStream::connect(("127.0.0.1", tcp)).unwrap();
        connection.write_all(format!("tcp {round}\n").as_bytes()).unwrap();
        // Stays open over the reload, which must not wait for it.
        open.push(connection);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(format!("udp {round}").as_bytes(), ("127.0.0.1", udp)).unwrap();
        let message = format!("<6>Feb 28 00:00:12 h a: syslog {round}");
        socket.send_to(message.as_bytes(), ("127.0.0.1", syslog)).unwrap();
        for text in [
            format!(r#""http":"{round}""#),
            format!("tcp {round}"),
            format!("udp {round}"),
            format!("syslog {round}"),
        ] {
            logweir.wait(&text, |process| process.log().contains(&text));
        }
        for plugin in ["stdout", "record_transformer"] {
            let path = format!("/api/plugins.json?@type={plugin}");
            let plugins = http_request(monitor, "GET", &path, &[], b"").unwrap();
            assert!(plugins.text().contains(r#""emit_records":4"#), "{}", plugins.text());
        }
        if round == "before" {
            logweir.signal(Signal::HUP);
            logweir.wait("the reload", |process| process.log().contains("the new configuration is running"));
        }
    }
    assert!(logweir.stop().success());
}
