//! Outputs that pass events on, and sockets of this machine.

use crate::logweir::Logweir;
use logweir_testing::free_port;
use rustix::process::Signal;
use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Logweir's own log lines are no events.
const NO_OWN_LOG: &str = "<label @FLUENT_LOG>\n <match **>\n @type null\n </match>\n</label>\n";

fn json_file(dir: &Path, name: &str, label: &str) -> String {
    let here = dir.display();
    format!(
        "<label {label}>\n<match **>\n @type file\n path {here}/{name}\n append true\n <format>\n @type json\n </format>\n\
         <inject>\n tag_key tag\n </inject>\n\
         <buffer []>\n @type file\n path {here}/{name}-buffer\n flush_mode interval\n flush_interval 1h\n </buffer>\n</match>\n</label>\n"
    )
}

fn lines(dir: &Path, name: &str) -> Vec<String> {
    let text = fs::read_to_string(dir.join(format!("{name}.log"))).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// `["TAG", TIME, {"n": N}]` for each number.
fn messages(tag: &str, numbers: std::ops::Range<u32>) -> String {
    numbers.map(|n| format!("[\"{tag}\",{},{{\"n\":{n}}}]\n", 1_700_000_000 + n)).collect()
}

#[test]
fn through_a_unix_socket_a_command_and_a_buffer() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().display();
    let config = format!(
        "<source>\n @type unix\n path {here}/run/fluent.sock\n</source>\n\
         <source>\n @type debug_agent\n</source>\n\
         <match app.**>\n @type buffer\n @label @FILTER\n <buffer>\n path {here}/waiting\n flush_interval 1s\n </buffer>\n</match>\n\
         <label @FILTER>\n<match **>\n @type exec_filter\n @label @OUT\n command sed -u 's/\"n\":/\"m\":/'\n\
         <format>\n @type json\n </format>\n <inject>\n tag_key t\n </inject>\n <parse>\n @type json\n </parse>\n\
         <extract>\n tag_key t\n </extract>\n <buffer>\n flush_interval 0.2s\n </buffer>\n</match>\n</label>\n\
         {}{NO_OWN_LOG}",
        json_file(dir.path(), "out", "@OUT")
    );
    let mut logweir = Logweir::start(dir.path(), &config);
    assert!(logweir.log().contains("'debug_agent' does nothing here"), "{}", logweir.log());
    let socket = dir.path().join("run/fluent.sock");
    let mut peer = UnixStream::connect(&socket).unwrap();
    peer.write_all(messages("app.a", 0..100).as_bytes()).unwrap();
    logweir.wait("the events", |logweir| {
        logweir.signal(Signal::USR1);
        lines(dir.path(), "out").len() >= 100
    });
    // What is still on its way at the stop arrives as well: out_buffer's file buffer is not flushed then, the rest is.
    assert_eq!(logweir.stop().code(), Some(0), "{}", logweir.log());
    assert!(!socket.exists());
    let expected: Vec<String> = (0..100).map(|n| format!(r#"{{"m":{n},"tag":"app.a"}}"#)).collect();
    let mut seen = lines(dir.path(), "out");
    seen.sort_by_key(|line| line.split([':', ',']).nth(1).unwrap().parse::<u32>().unwrap());
    assert_eq!(seen, expected);
}

/// What a command holds, and what waits for it in memory, goes on before the outputs behind it end.
#[test]
fn at_a_stop_a_command_finishes() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().display();
    let config = format!(
        "<source>\n @type unix\n path {here}/s\n</source>\n\
         <match app.**>\n @type exec_filter\n @label @OUT\n tag out\n command sort\n\
         <format>\n @type json\n </format>\n <parse>\n @type json\n </parse>\n <buffer>\n flush_interval 1h\n </buffer>\n</match>\n\
         {}{NO_OWN_LOG}",
        json_file(dir.path(), "out", "@OUT")
            .replace("flush_interval 1h", "flush_interval 1h\n flush_at_shutdown true")
    );
    let mut logweir = Logweir::start(dir.path(), &config);
    assert!((0..10).all(|number| send_acked(&dir.path().join("s"), number)), "{}", logweir.log());
    assert_eq!(logweir.stop().code(), Some(0), "{}", logweir.log());
    assert_eq!(lines(dir.path(), "out").len(), 10, "{}", logweir.log());
}

/// Kills between out_buffer's write and the removal of its chunk repeat nothing behind it.
#[test]
fn kills_repeat_nothing_behind_a_buffer() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().display();
    let config = format!(
        "<source>\n @type unix\n path {here}/s\n</source>\n\
         <match app.**>\n @type buffer\n @id waiting\n @label @OUT\n <buffer>\n path {here}/waiting\n flush_mode immediate\n </buffer>\n</match>\n\
         {}{NO_OWN_LOG}",
        json_file(dir.path(), "out", "@OUT")
    );
    let mut sent = 0;
    let mut logweir = Logweir::not_started(dir.path(), &config);
    for point in
        ["chunk-taken:2", "frame-written:4", "commit-published:5", "chunk-delivered:2", "chunk-purged:2"]
    {
        logweir.spawn(&[("LOGWEIR_FAULT", point)]);
        while logweir.ended().is_none() {
            match send_acked(&dir.path().join("s"), sent) {
                true => sent += 1,
                false => std::thread::sleep(Duration::from_millis(5)),
            }
            assert!(sent < 100_000, "{point} is not passed:\n{}", logweir.log());
        }
        assert!(
            logweir.log().contains(&format!("at {}\n", point.split(':').next().unwrap())),
            "{}",
            logweir.log()
        );
    }
    logweir.start_again();
    logweir.wait("the events", |logweir| {
        logweir.signal(Signal::USR1);
        lines(dir.path(), "out").len() as u32 >= sent
    });
    assert_eq!(logweir.stop().code(), Some(0));
    let mut numbers: Vec<u32> = lines(dir.path(), "out")
        .iter()
        .map(|line| line.split([':', ',']).nth(1).unwrap().parse().unwrap())
        .collect();
    let all = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    // The last one before each kill may be stored without its ack having come.
    assert!(
        all == numbers.len() && (0..sent).all(|n| numbers.binary_search(&n).is_ok()),
        "{sent} sent, {all} stored"
    );
}

/// Sends event `number`, again if it must, until it is acknowledged; `false` if the server is gone.
fn send_acked(socket: &Path, number: u32) -> bool {
    use std::io::Read;
    let Ok(mut peer) = UnixStream::connect(socket) else { return false };
    let message = format!(
        "[\"app.x\",[[{},{{\"n\":{number}}}]],{{\"chunk\":\"id{number}\"}}]\n",
        1_700_000_000 + number
    );
    if peer.write_all(message.as_bytes()).is_err() {
        return false;
    }
    let mut answer = Vec::new();
    let mut byte = [0];
    loop {
        match peer.read(&mut byte) {
            Ok(1) => answer.push(byte[0]),
            _ => return false,
        }
        if answer.ends_with(b"}") {
            return true;
        }
    }
}

/// A file_single buffer with the chunk key time: in its names is the tag, in its chunks the time.
#[test]
fn a_file_single_buffer_with_time_slices() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().display();
    let port = free_port();
    let config = format!(
        "<source>\n @type http\n bind 127.0.0.1\n port {port}\n</source>\n\
         <match **>\n @type file\n path {here}/out.%Y%m%d.${{tag}}\n append true\n <format>\n @type json\n </format>\n\
         <buffer tag,time>\n @type file_single\n path {here}/buffer\n timekey 1d\n timekey_use_utc true\n </buffer>\n</match>\n{NO_OWN_LOG}"
    );
    let mut logweir = Logweir::start(dir.path(), &config);
    for day in 0..2 {
        let body = format!(r#"{{"day":{day}}}"#);
        let path = format!("/app?time={}", 86400 * (365 + day));
        let json = ["Content-Type: application/json"];
        assert_eq!(
            logweir_testing::http_request(port, "POST", &path, &json, body.as_bytes()).unwrap().status,
            200
        );
    }
    logweir.kill();
    let names: Vec<String> = fs::read_dir(dir.path().join("buffer"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.'))
        .collect();
    assert!(names.len() == 2 && names.iter().all(|name| name.starts_with("fsb.app.")), "{names:?}");
    logweir.start_again();
    for (day, name) in ["out.19710101.app", "out.19710102.app"].into_iter().enumerate() {
        logweir.wait(name, |logweir| {
            logweir.signal(Signal::USR1);
            !lines(dir.path(), name).is_empty()
        });
        assert_eq!(lines(dir.path(), name), [format!(r#"{{"day":{day}}}"#)]);
    }
    assert!(logweir.stop().success());
}

/// What Fluentd left in a file_single buffer with time slices has no slice: it is written at once.
#[test]
fn chunks_of_fluentds_file_single_are_written_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().display();
    fs::create_dir(dir.path().join("buffer")).unwrap();
    // What Fluentd's out_stdout formats.
    let chunk = "2023-11-14 22:13:20.000000000 +0000 left.over: {\"i\":1}\n";
    fs::write(dir.path().join("buffer/fsb.left.over.b660ea087c069c0156a206a7dfc7d9983.buf"), chunk).unwrap();
    let config = format!(
        "<source>\n @type forward\n bind 127.0.0.1\n port {}\n</source>\n\
         <match **>\n @type stdout\n <buffer tag,time>\n @type file_single\n path {here}/buffer\n timekey 1d\n </buffer>\n</match>\n{NO_OWN_LOG}",
        free_port()
    );
    let mut logweir = Logweir::start(dir.path(), &config);
    logweir.wait("the event", |logweir| logweir.log().contains(r#"left.over: {"i":1}"#));
    assert!(logweir.stop().success());
}
