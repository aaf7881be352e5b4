//! Plugins that hold events back: what is incomplete comes out after its time, and at the end.

use crate::logweir::Logweir;
use logweir_testing::free_port;
use std::io::Write;
use std::net::TcpStream;

#[test]
fn parts_and_traces_come_out_after_their_time_and_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let config = format!(
        "<source>\n @type tcp\n bind 127.0.0.1\n port {port}\n tag cri.app\n <parse>\n @type cri\n </parse>\n</source>\n\
         <filter cri.**>\n @type concat\n key message\n use_partial_cri_logtag true\n partial_cri_logtag_key logtag\n\
         stream_identity_key stream\n partial_cri_stream_key none\n separator \"\"\n flush_interval 3\n\
         timeout_label @LATE\n</filter>\n\
         <match cri.**>\n @type detect_exceptions\n remove_tag_prefix cri\n force_line_breaks true\n\
         stream stream\n multiline_flush_interval 3\n</match>\n\
         <match app>\n @type stdout\n</match>\n\
         <label @LATE>\n <match **>\n @type stdout\n </match>\n</label>\n\
         <label @FLUENT_LOG>\n <match **>\n @type null\n </match>\n</label>\n"
    );
    let mut logweir = Logweir::start(dir.path(), &config);
    let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut send = |lines: &[&str]| {
        let lines: String =
            lines.iter().map(|line| format!("2016-10-06T00:17:09.669794202Z {line}\n")).collect();
        connection.write_all(lines.as_bytes()).unwrap();
    };
    send(&[
        "stdout P the first ",
        "stderr F another stream",
        "stdout P and the second ",
        "stdout F and the last",
        "stdout F a.b.Error: no stock",
        "stdout P \tat a.b.",
        "stdout F c(d.java:1)",
        "stdout F after it",
    ]);
    for text in [
        r#" app: {"stream":"stderr","message":"another stream","#,
        r#" app: {"stream":"stdout","message":"the first and the second and the last","#,
        r#" app: {"stream":"stdout","message":"a.b.Error: no stock\n\tat a.b.c(d.java:1)","#,
        r#" app: {"stream":"stdout","message":"after it","#,
    ] {
        logweir.wait(text, |process| process.log().contains(text));
    }
    // Neither has an end.
    send(&["stdout F x.Error: open", "stdout F \tat x", "stdout P half a line"]);
    for text in [
        r#" app: {"stream":"stdout","message":"x.Error: open\n\tat x","#,
        r#" cri.app: {"stream":"stdout","logtag":"P","message":"half a line""#,
    ] {
        logweir.wait(text, |process| process.log().contains(text));
    }
    // Lines of one connection keep their order: when the last is out, those before it are held, or were given up.
    send(&["stderr P half at the end", "stdout F y.Error: at the end", "stdout F \tat y", "other F marker"]);
    logweir.wait("the marker", |process| process.log().contains("\"marker\""));
    drop(connection);
    let status = logweir.stop();
    assert!(status.success());
    let log = logweir.log();
    for text in ["half at the end", r"y.Error: at the end\n\tat y"] {
        assert_eq!(log.matches(text).count(), 1, "{text}:\n{log}");
    }
}
