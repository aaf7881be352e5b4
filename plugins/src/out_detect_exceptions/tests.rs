//! Traces of each language, between lines that are of none; and what the original's code does besides.

use super::PLUGIN;
use crate::testing::Routed;
use std::time::Duration;

const TRACES: &[(&str, &str)] = &[
    (
        "java",
        "Exception in thread \"main\" java.lang.IllegalStateException: no stock\n\
         \tat shop.Basket.add(Basket.java:50)\n\
         \tat java.base/java.lang.Thread.run(Thread.java:748)\n\
         Caused by: java.sql.SQLException: closed\n\
         \tat shop.Store.load(Store.java:7)\n\
         \t... 12 more\n\
         \tSuppressed: java.io.IOException: late\n\
         \tat shop.Store.close(Store.java:9)\n\
         \t... 27 common frames omitted",
    ),
    (
        "java",
        "java.lang.RuntimeException: javax.mail.SendFailedException: Invalid Addresses;\n\
         \x20 nested exception is:\n\
         com.sun.mail.smtp.SMTPAddressFailedException: 550 relaying denied\n\
         \n\
         \tat shop.Mail.send(Mail.java:236)",
    ),
    (
        "js",
        "ReferenceError: basket is not defined\n\
         \x20   at next (/app/router.js:256:14)\n\
         \x20   at /app/router.js:615:15\n\
         \x20   at Layer.handle [as handle_request] (/app/layer.js:95:5)",
    ),
    (
        "csharp",
        "System.InvalidOperationException: outer ---> System.InvalidOperationException: inner\n\
         \x20 at Shop.Basket.Add (System.String item) [0x00000] in <filename unknown>:0\n\
         \x20 --- End of inner exception stack trace ---\n\
         \x20 at Shop.Basket+<Run>c__async0.MoveNext () [0x00000] in <filename unknown>:0\n\
         --- End of stack trace from previous location where exception was thrown ---\n\
         \x20 at Shop.Main.Main () [0x00000] in <filename unknown>:0",
    ),
    (
        "python",
        "Traceback (most recent call last):\n\
         \x20 File \"/app/main.py\", line 3, in <module>\n\
         \x20   shop.run()\n\
         \x20 File \"/app/shop.py\", line 9, in run\n\
         \x20   raise ValueError('no stock')\n\
         ValueError: no stock",
    ),
    (
        "php",
        "exception 'RuntimeException' with message 'no stock' in /app/shop.php:7\n\
         Stack trace:\n\
         #0 /app/main.php(12): Shop->run()\n\
         #1 {main}\n\
         \x20 thrown in /app/shop.php on line 7",
    ),
    (
        "go",
        "panic: no stock\n\
         \n\
         goroutine 12 [running]:\n\
         main.add(0x1000, 0xf8400605c0)\n\
         \t/app/main.go:17 +0x40\n\
         created by main.main\n\
         \t/app/main.go:26 +0x1b\n\
         \n\
         goroutine 2 [runnable]:\n\
         main.f()\n\
         \t/app/main.go:7",
    ),
    (
        "go",
        "panic: runtime error: invalid memory address or nil pointer dereference\n\
         [signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x44]\n\
         \n\
         goroutine 1 [running]:\n\
         main.main()\n\
         \t/app/main.go:10 +0x1",
    ),
    (
        "go",
        "2024/01/01 http: panic serving [::1]:60000: no stock\ngoroutine 24 [running]:\nnet/http.f(0x1)\n\t/go/server.go:1",
    ),
    (
        "ruby",
        " NoMethodError (undefined method `add' for nil:NilClass):\n\
         \x20 app/controllers/shop.rb:10:in `index'\n\
         \x20 /usr/lib/rack.rb:5:in `call'",
    ),
    (
        "dart",
        "Unhandled exception:\n\
         Instance of 'NoStock'\n\
         #0      add (file:///app/main.dart:16:19)\n\
         <asynchronous suspension>\n\
         #1      main (file:///app/main.dart:7:3)",
    ),
    (
        "dart",
        "Unhandled exception:\n\
         'file:///app/main.dart': malformed type: line 7 pos 3\n\
         \x20 X x;\n\
         \x20 ^\n\
         \n\
         \n\
         #0      main (file:///app/main.dart:7:3)",
    ),
    (
        "dart",
        "Unhandled exception:\n\
         FormatException: Invalid radix-10 number (at character 1)\n\
         x1\n\
         ^\n\
         \n\
         #0      main (file:///app/main.dart:7:3)",
    ),
    (
        "dart",
        "Unhandled exception:\n\
         NoSuchMethodError: No method 'add'\n\
         Receiver: Instance of 'A'\n\
         Tried calling: add()\n\
         Found: sub()\n\
         #0      main (file:///app/main.dart:7:3)",
    ),
    (
        "rust",
        "thread 'main' panicked at src/main.rs:2:5:\n\
         assertion `left == right` failed\n\
         \x20 left: 1\n\
         \x20right: 2\n\
         stack backtrace:\n\
         \x20  0: rust_begin_unwind\n\
         \x20            at /rustc/90b35a6/library/std/src/panicking.rs:689:5\n\
         \x20  1: shop::main\n\
         \x20            at ./src/main.rs:2:5\n\
         note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.",
    ),
    (
        "rust",
        "thread 'tokio-runtime-worker' panicked at 'no stock', src/main.rs:2:5\n\
         note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
    ),
];

fn json(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// Feeds lines, one event each; the answer is the texts that come out.
async fn joined(text: &str, lines: &[&str]) -> Vec<String> {
    let routed = Routed::new(&PLUGIN, &format!("remove_tag_prefix raw\nforce_line_breaks true\n{text}"));
    for line in lines {
        routed.feed("raw.app", &[(1, &format!("{{\"message\":{}}}", json(line)))]).await;
    }
    let mut seen = routed.seen();
    seen.extend(routed.stop().await);
    let text = |seen: &String| {
        let record = seen.strip_prefix("app 1 ").unwrap_or(seen);
        let record: serde_json::Value = serde_json::from_str(record).unwrap();
        record["message"].as_str().unwrap().to_owned()
    };
    seen.iter().map(text).collect()
}

#[tokio::test]
async fn traces_of_all_languages() {
    for (language, trace) in TRACES {
        let mut lines = vec!["before"];
        lines.extend(trace.split('\n'));
        lines.push("after it");
        lines.push("last");
        for languages in ["", &format!("languages {language}")] {
            assert_eq!(
                joined(languages, &lines).await,
                ["before", *trace, "after it", "last"],
                "{language} {languages}"
            );
        }
    }
}

#[tokio::test]
async fn traces_one_behind_the_other() {
    let java = "a.BException: x\n\tat a.B.c(B.java:1)";
    let python = TRACES.iter().find(|(language, _)| *language == "python").unwrap().1;
    for (first, second) in [(java, java), (java, python), (python, java), (python, python)] {
        let lines: Vec<&str> = first.split('\n').chain(second.split('\n')).collect();
        assert_eq!(joined("", &lines).await, [first, second]);
    }
    // Of a language that is not asked for, lines stay alone.
    let lines: Vec<&str> = python.split('\n').collect();
    assert_eq!(joined("languages java, go", &lines).await, lines);
}

#[tokio::test]
async fn fields_tags_and_times_are_those_of_the_first_line() {
    let routed = Routed::new(&PLUGIN, "remove_tag_prefix raw\nstream id");
    let event = |id: u32, n: u32, text: &str| format!(r#"{{"n":{n},"log":{},"id":{id}}}"#, json(text));
    routed
        .feed(
            "raw.a.b",
            &[
                (1, &event(1, 1, "x.Error: a\n")),
                (2, &event(2, 2, "x.Error: b\n")),
                (3, &event(1, 3, "\tat a\n")),
                (4, &event(2, 4, "\tat b\n")),
                (5, &event(1, 5, "done")),
                (6, r#"{"id":2,"other":true}"#),
            ],
        )
        .await;
    assert_eq!(
        routed.seen(),
        [
            r#"a.b 1 {"n":1,"log":"x.Error: a\n\tat a\n","id":1}"#,
            r#"a.b 5 {"n":5,"log":"done","id":1}"#,
            r#"a.b 2 {"n":2,"log":"x.Error: b\n\tat b\n","id":2}"#,
            r#"a.b 6 {"id":2,"other":true}"#,
        ]
    );
    let routed = Routed::new(&PLUGIN, "remove_tag_prefix x\nmessage text\n@label @NEXT");
    routed
        .feed(
            "a.x",
            &[(1, r#"{"text":"a.Error: b"}"#), (2, r#"{"text":"\tat c"}"#), (3, r#"{"message":"m"}"#)],
        )
        .await;
    assert_eq!(
        routed.seen(),
        [r#"@NEXT a.x 1 {"text":"a.Error: b\tat c"}"#, r#"@NEXT a.x 3 {"message":"m"}"#]
    );
}

#[tokio::test]
async fn limits() {
    let lines = ["a.Error: x", "\tat a", "\tat b", "\tat c", "end"];
    assert_eq!(joined("max_lines 2", &lines).await, ["a.Error: x\n\tat a", "\tat b", "\tat c", "end"]);
    assert_eq!(joined("max_bytes 16", &lines).await, ["a.Error: x\n\tat a", "\tat b", "\tat c", "end"]);
    assert_eq!(joined("max_lines 0", &lines).await, ["a.Error: x\n\tat a\n\tat b\n\tat c", "end"]);
}

#[tokio::test(start_paused = true)]
async fn a_trace_that_goes_on_for_too_long() {
    let routed = Routed::new(&PLUGIN, "remove_tag_prefix raw\nmultiline_flush_interval 5");
    routed.start().await;
    routed.feed("raw.a", &[(1, r#"{"message":"a.Error: x"}"#), (2, r#"{"message":"\tat a"}"#)]).await;
    tokio::time::sleep(Duration::from_millis(4900)).await;
    assert_eq!(routed.seen(), [""; 0]);
    tokio::time::sleep(Duration::from_millis(1600)).await;
    assert_eq!(routed.seen(), [r#"a 1 {"message":"a.Error: x\tat a"}"#]);
    routed.feed("raw.a", &[(3, r#"{"message":"\tat b"}"#), (4, r#"{"message":"a.Error: y"}"#)]).await;
    assert_eq!(routed.seen(), [r#"a 3 {"message":"\tat b"}"#], "the trace is over");
    assert_eq!(routed.stop().await, [r#"a 4 {"message":"a.Error: y"}"#]);
    routed.feed("raw.a", &[(5, r#"{"message":"a.Error: z"}"#)]).await;
    assert_eq!(routed.seen(), [r#"a 5 {"message":"a.Error: z"}"#], "nothing is held after the end");
}

#[test]
fn unknown_languages_are_refused() {
    let error = Routed::try_new(&PLUGIN, "remove_tag_prefix a\nlanguages java, cobol").err().unwrap();
    assert!(error.starts_with("Unknown language: cobol (known are java, "), "{error}");
    assert!(Routed::try_new(&PLUGIN, "").is_err(), "remove_tag_prefix is required");
}
