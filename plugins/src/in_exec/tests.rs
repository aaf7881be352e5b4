//! Real commands.

use super::*;
use crate::socket::testing::events_of;
use crate::testing::{Pipeline, build_error, with_params};
use std::time::Duration;

struct Running(Pipeline);

impl Running {
    fn start(parameters: &str) -> Self {
        let command = with_params(&PLUGIN, parameters, configured).unwrap_or_else(|error| panic!("{error}"));
        let pipeline = Pipeline::new();
        pipeline.context.tasks.spawn(run(command, pipeline.context.clone()));
        Self(pipeline)
    }

    async fn events(&self, count: usize) -> Vec<String> {
        events_of(&self.0.sink, count).await
    }
}

#[tokio::test]
async fn what_is_printed_becomes_events() {
    let exec =
        Running::start("command printf '1\\ta\\n2\\tb'\ntag t\n<parse>\nkeys n,s\ntypes n:integer\n</parse>");
    assert_eq!(exec.events(2).await, [r#"t now {"n":1,"s":"a"}"#, r#"t now {"n":2,"s":"b"}"#]);
    exec.0.stop().await;
}

#[tokio::test]
async fn tag_and_time_are_extracted() {
    let printf =
        r#"command printf '{"t":"my.tag","ts":1500000000,"time":"x","a":1}\n{"a":2,"ts":1500000001}'"#;
    let exec = Running::start(&format!(
        "{printf}\nrun_interval 0.05\ntag dflt\n<parse>\n@type json\n</parse>\n\
         <extract>\ntag_key t\ntime_key ts\ntime_type unixtime\n</extract>"
    ));
    let first = r#"my.tag 1500000000 {"time":"x","a":1}"#;
    // The command runs more than once.
    assert_eq!(exec.events(3).await[..3], [first, r#"dflt 1500000001 {"a":2}"#, first]);
    exec.0.stop().await;
    let texts = "command printf '1971\\tx\\n'\ntag t\n<parse>\nkeys at,s\n</parse>\n\
                 <extract>\ntime_key at\ntime_format %Y\n</extract>";
    let exec = Running::start(texts);
    assert_eq!(exec.events(1).await, [r#"t 31536000 {"s":"x"}"#]);
    exec.0.stop().await;
    let parsed =
        "command printf '1971\\tx\\n'\ntag t\n<parse>\nkeys at,s\ntime_key at\ntime_format %Y\n</parse>";
    let exec = Running::start(parsed);
    assert_eq!(exec.events(1).await, [r#"t 31536000 {"s":"x"}"#]);
    exec.0.stop().await;
}

#[tokio::test]
async fn standard_error_is_read_if_that_is_wanted() {
    let command = "command echo out; echo err >&2\ntag t\n<parse>\n@type none\n</parse>";
    let exec = Running::start(&format!("{command}\nconnect_mode read_with_stderr"));
    assert_eq!(exec.events(2).await, [r#"t now {"message":"out"}"#, r#"t now {"message":"err"}"#]);
    exec.0.stop().await;
    let exec = Running::start(command);
    exec.events(1).await;
    exec.0.context.tasks.close();
    exec.0.context.tasks.wait().await;
    assert_eq!(exec.0.stop().await.events().len(), 1);
}

#[tokio::test]
async fn texts_are_binary_without_an_encoding() {
    let command = "command printf '\\351\\n'\ntag t\n<parse>\n@type none\n</parse>";
    let exec = Running::start(command);
    assert_eq!(exec.0.sink.wait_for(1).await[0].1[11..], *b"\x81\xa7message\xc4\x01\xe9");
    exec.0.stop().await;
    let exec = Running::start(&format!("{command}\nencoding iso-8859-1"));
    assert_eq!(exec.0.sink.wait_for(1).await[0].1[11..], *b"\x81\xa7message\xa2\xc3\xa9");
    exec.0.stop().await;
}

#[tokio::test]
async fn a_stop_ends_the_command_and_what_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let command = format!("sleep 1000 & echo $! > {0}.tmp; mv {0}.tmp {0}; echo up; wait", pids.display());
    let exec = Running::start(&format!("command {command}\ntag t\n<parse>\n@type none\n</parse>"));
    exec.events(1).await;
    let pid: i32 = std::fs::read_to_string(&pids).unwrap().trim().parse().unwrap();
    exec.0.stop().await;
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    for _ in 0..1000 {
        // A process that has ended may wait for somebody to ask how.
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the command's child goes on");
}

#[tokio::test]
async fn commands_that_fail_stop_nothing() {
    let exec =
        Running::start("command echo one; exit 3\nrun_interval 0.05\ntag t\n<parse>\n@type none\n</parse>");
    exec.events(3).await;
    exec.0.stop().await;
    let exec =
        Running::start("command /no/such/command\nrun_interval 0.05\ntag t\n<parse>\n@type none\n</parse>");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(exec.0.stop().await.events().is_empty());
    let bad = "command printf '{\"a\":1} nonsense'; sleep 1000\ntag t\n<parse>\n@type json\n</parse>";
    let exec = Running::start(bad);
    exec.events(1).await;
    exec.0.context.tasks.close();
    tokio::time::timeout(Duration::from_secs(20), exec.0.context.tasks.wait())
        .await
        .expect("the command is ended");
    exec.0.stop().await;
}

#[test]
fn mistakes() {
    let error = |text: &str| build_error(&PLUGIN, text).unwrap_or_default();
    let none = "<parse>\n@type none\n</parse>";
    for (text, message) in [
        (format!("tag t\n{none}"), "'command' parameter is required"),
        (format!("command x\n{none}"), "'tag' or 'tag_key' option is required on exec input"),
        (format!("command x\ntag t\nrun_interval 0\n{none}"), "'run_interval' must be more than 0"),
        (format!("command x\ntag t\nencoding no-such\n{none}"), "unknown encoding name - no-such"),
        ("command x\ntag t".to_owned(), "'keys' parameter is required"),
    ] {
        assert!(error(&text).contains(message), "{text}: {}", error(&text));
    }
    assert!(error(&format!("command x\n{none}\n<extract>\ntag_key t\n</extract>")).is_empty());
}
