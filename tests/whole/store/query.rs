//! `logweir query` with a real store.

use super::Store;
use crate::logweir::{BINARY, logweir, words};
use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

#[test]
fn answers_in_a_pipe() {
    let Some(store) = Store::start() else { return };
    let url = format!("http://127.0.0.1:{}", store.port());
    let ask = |args: &[&str]| {
        let output = logweir(&[&["query"], args].concat());
        assert!(output.status.success(), "{args:?}: {}", words(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(ask(&["SELECT 1, 'a'", "--url", &url]), "1\ta\n");
    assert_eq!(ask(&["--url", &url, "--format", "CSV", "SELECT 1, 'a'"]), "1,\"a\"\n");
    assert_eq!(ask(&["SELECT 1 FORMAT JSONEachRow", "--url", &url]), "{\"1\":1}\n");
    assert_eq!(ask(&["SELECT currentDatabase()", "--url", &url, "-d", "system"]), "system\n");
    let file = store.dir().join("all.sql");
    let sql = "-- makes a table\nCREATE TABLE t (a String) ENGINE = MergeTree ORDER BY a;\nINSERT INTO t VALUES (';'), ('x');\nSELECT a FROM t ORDER BY a;";
    fs::write(&file, sql).unwrap();
    assert_eq!(ask(&["-f", file.to_str().unwrap(), "--url", &url]), ";\nx\n");
    let conf = store.dir().join("fluent.conf");
    fs::write(
        &conf,
        format!("<match **>\n@type clickhouse\nhost 127.0.0.1\nport {}\ntable t\n</match>\n", store.port()),
    )
    .unwrap();
    assert_eq!(ask(&["-c", conf.to_str().unwrap(), "SELECT count() FROM t"]), "2\n");

    let failed = logweir(&["query", "SELECT nosuch", "--url", &url]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(words(&failed).starts_with("Code: 47. DB::Exception: "), "{}", words(&failed));
    let nobody = format!("http://127.0.0.1:{}", logweir_testing::free_port());
    let failed = logweir(&["query", "SELECT 1", "--url", &nobody]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(words(&failed).contains("Is the store running"), "{}", words(&failed));
    // A reader that wants no more is not an error.
    let script = format!(
        "{BINARY} query 'SELECT number FROM numbers(10000000)' --url {url} | head -n 2; exit ${{PIPESTATUS[0]}}"
    );
    let head = Command::new("bash").arg("-c").arg(script).output().unwrap();
    assert_eq!((head.status.code(), head.stdout.as_slice()), (Some(0), &b"0\n1\n"[..]), "{}", words(&head));
}

#[test]
fn a_prompt_in_a_terminal() {
    let Some(store) = Store::start() else { return };
    let state = store.dir().join("state");
    let command = format!("{BINARY} query --url http://127.0.0.1:{}", store.port());
    // script gives the program a terminal.
    let mut script = Command::new("script");
    script.args(["-qec", &command, "/dev/null"]).env("XDG_STATE_HOME", &state).env("TERM", "xterm");
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script");
    let (mut keyboard, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut said = Vec::new();
    // What is typed before there is a prompt is lost.
    let typed = [
        ("logweir> ", "SELECT 40 + 2\n"),
        ("-> ", "AS answer;\n"),
        ("logweir> ", "SELECT nosuch;\n"),
        ("logweir> ", "exit\n"),
    ];
    for (prompt, line) in typed {
        let before = said.len();
        let mut piece = [0; 4096];
        while !String::from_utf8_lossy(&said[before..]).contains(prompt) {
            let read = screen.read(&mut piece).unwrap();
            assert!(read > 0, "no prompt: {}", String::from_utf8_lossy(&said));
            said.extend_from_slice(&piece[..read]);
        }
        keyboard.write_all(line.as_bytes()).unwrap();
    }
    screen.read_to_end(&mut said).unwrap();
    let said = String::from_utf8_lossy(&said);
    assert!(child.wait().unwrap().success(), "{said}");
    assert!(said.contains("42 │") && said.contains("answer"), "{said}");
    assert!(said.contains("Code: 47. DB::Exception"), "{said}");
    let history = fs::read_to_string(state.join("logweir/query_history")).unwrap();
    assert!(history.contains("SELECT 40 + 2") && history.contains("SELECT nosuch;"), "{history}");
}
