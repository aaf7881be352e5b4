//! `logweir check --migrate`: reports on whole configurations. Those in `tests/migrate` are of the kinds that people have; the report on
//! each is beside it. With LOGWEIR_BLESS=1 in the environment the tests write the reports instead.

use crate::logweir::BINARY;
use crate::tables::root;
use std::fs;
use std::process::{Command, Stdio};

/// The report on a configuration in `tests/migrate`, and the exit status.
fn report(file: &str) -> (String, Option<i32>) {
    let output = Command::new(BINARY)
        .args(["check", "--migrate", file])
        .current_dir(root().join("tests/migrate"))
        .env_remove("NO_SUCH_VARIABLE")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

fn check(file: &str, status: i32) -> String {
    let (text, code) = report(file);
    let expected = root().join("tests/migrate").join(file).with_extension("report");
    if std::env::var_os("LOGWEIR_BLESS").is_some() {
        fs::write(&expected, &text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&expected).unwrap_or_default(), "{file}");
    assert_eq!(code, Some(status), "{file}: {text}");
    text
}

#[test]
fn a_tree_that_runs_as_it_is() {
    let text = check("as-it-is/fluent.conf", 0);
    assert!(text.contains("sources/nginx.conf") && text.contains(" 0 differently, 0 not at all"), "{text}");
}

#[test]
fn a_tree_with_plugins_that_are_not_there() {
    let text = check("elasticsearch/fluent.conf", 1);
    for expected in [
        "elasticsearch/fluent.conf:9  Unknown output plugin 'elasticsearch'",
        "elasticsearch/fluent.conf:21  Unknown output plugin 's3'",
        "conf.d/10-geoip.conf:2  Unknown filter plugin 'geoip'",
        "conf.d/20-grok.conf:5  Unknown parser plugin 'grock'",
        "instead: @type clickhouse stores events",
        "instead: did you mean 'grok'?",
    ] {
        assert!(text.contains(expected), "no {expected:?} in {text}");
    }
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn a_tree_that_runs_differently() {
    let text = check("differently/fluent.conf", 3);
    for expected in [
        "fluent.conf:4  'enable_jit' has no effect in Logweir",
        "fluent.conf:1  one process with threads does the work of all workers",
        "fluent.conf:12  parameter 'flush_interval' in <source> is not used",
        "fluent.conf:21  'reuse_record' has no effect in Logweir",
        "goes to no other server",
    ] {
        assert!(text.contains(expected), "no {expected:?} in {text}");
    }
}

#[test]
fn a_tree_with_ruby_and_labels_that_cannot_be() {
    let text = check("broken/fluent.conf", 1);
    for expected in
        ["fluent.conf:3", "fluent.conf:8", "fluent.conf:17  Unknown output plugin 'record_reformer'"]
    {
        assert!(text.contains(expected), "no {expected:?} in {text}");
    }
    // What only a build finds out is said once the text is in order.
    let (dir, file) = (tempfile::tempdir().unwrap(), "fluent.conf");
    let text = fs::read_to_string(root().join("tests/migrate/broken/fluent.conf")).unwrap();
    let text = text
        .replace("  port \"#{`cat /etc/port`.to_i}\"\n", "")
        .replace("  port \"#{Net::HTTP.get(URI('http://x/port'))}\"\n", "");
    fs::write(dir.path().join(file), text).unwrap();
    let (text, code) = report(&dir.path().join(file).display().to_string());
    for expected in ["Missing <match> sections in <label @IN> section", "@NOWHERE label not found"] {
        assert!(text.contains(expected), "no {expected:?} in {text}");
    }
    assert_eq!(code, Some(1));
}

#[test]
fn a_configuration_in_yaml() {
    let text = check("yaml/fluent.yaml", 1);
    assert!(text.contains("fluent.yaml:9  Unknown output plugin 'kafka2'"), "{text}");
}

#[test]
fn a_file_that_is_not_there() {
    let (text, code) = report("gone.conf");
    assert!(text.contains("cannot read the configuration file"), "{text}");
    assert_eq!(code, Some(1));
}
