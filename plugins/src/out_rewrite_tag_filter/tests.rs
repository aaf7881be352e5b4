//! The cases of the original plugin's README, and what its code does beyond them.

use super::{PLUGIN, hostname};
use crate::testing::Routed;

/// A `<rule>`.
fn rule(key: &str, pattern: &str, tag: &str, more: &str) -> String {
    format!("<rule>\nkey {key}\npattern {pattern}\ntag {tag}\n{more}\n</rule>\n")
}

/// The tags that records get, in the order in which they come out.
async fn tags(text: &str, tag: &str, records: &[&str]) -> Vec<String> {
    let routed = Routed::new(&PLUGIN, text);
    let events: Vec<(i64, &str)> = records.iter().map(|record| (1, *record)).collect();
    routed.feed(tag, &events).await;
    let tag = |seen: String| seen.split_once(" 1 {").map_or(seen.clone(), |(tag, _)| tag.to_owned());
    routed.seen().into_iter().map(tag).collect()
}

async fn tag(text: &str, given: &str, record: &str) -> String {
    tags(text, given, &[record]).await.join(" ")
}

#[tokio::test]
async fn the_example_of_the_readme() {
    let text = format!(
        "capitalize_regex_backreference yes\n{}{}{}{}{}{}",
        rule("path", r"/\.(gif|jpe?g|png|pdf|zip)$/", "clear", ""),
        rule("status", "/^200$/", "clear", "invert true"),
        rule("domain", r"/^.+\.com$/", "clear", "invert true"),
        rule("domain", r"/^maps\.example\.com$/", "site.ExampleMaps", ""),
        rule("domain", r"/^(mail)\.(example)\.com$/", "site.$2$1", ""),
        rule("domain", "/.+/", "site.unmatched", ""),
    );
    for (record, expected) in [
        (r#"{"path":"/a.gif","status":200,"domain":"maps.example.com"}"#, "clear"),
        (r#"{"path":"/","status":404,"domain":"maps.example.com"}"#, "clear"),
        (r#"{"path":"/","status":200,"domain":"maps.example.net"}"#, "clear"),
        (r#"{"path":"/","status":200,"domain":"maps.example.com"}"#, "site.ExampleMaps"),
        (r#"{"path":"/","status":"200","domain":"mail.example.com"}"#, "site.ExampleMail"),
        (r#"{"path":"/","status":200,"domain":"x.com"}"#, "site.unmatched"),
        // No status is not 200.
        (r#"{"domain":"x.com"}"#, "clear"),
    ] {
        assert_eq!(tag(&text, "td.apache.access", record).await, expected, "{record}");
    }
}

#[tokio::test]
async fn placeholders() {
    let mail = r#"{"domain":"mail.example.com"}"#;
    let pattern = r"^(mail)\.(example)\.com$";
    let one = |tag: &str, more: &str| format!("{more}\n{}", rule("domain", pattern, tag, ""));
    for (new, more, given, expected) in [
        (
            "rewritten.${tag}.$2$1",
            "remove_tag_prefix apache",
            "apache.access",
            "rewritten.access.examplemail",
        ),
        (
            "rewritten.__TAG__.$2",
            "remove_tag_regexp /^apache\\./",
            "apache.access",
            "rewritten.access.example",
        ),
        (
            "http.${tag}",
            "remove_tag_regexp /^input\\.(apache|nginx)\\./",
            "input.nginx.access.log",
            "http.access.log",
        ),
        ("rewritten.${tag_parts[1]}.__TAG_PARTS[2]__", "", "app.game.pool.activity", "rewritten.game.pool"),
        ("a.${hostname}.__HOSTNAME__", "hostname_command echo web-1", "x", "a.web-1.web-1"),
        ("a.${tag_parts[7]}.${nothing}.$9.$0|", "", "x", "a....|"),
        ("a.${TAG}.$x.$", "", "x", "a.${TAG}.$x.$"),
    ] {
        assert_eq!(tag(&one(new, more), given, mail).await, expected, "{new} {more}");
    }
    // With invert there are no groups.
    let text = rule("domain", "/^(x)/", "no.$1", "invert true");
    assert_eq!(tag(&text, "t", mail).await, "no.$1");
}

#[tokio::test]
async fn nested_fields() {
    let record = r#"{"kubernetes":{"namespace_name":"default"}}"#;
    for key in ["$.kubernetes.namespace_name", "$['kubernetes']['namespace_name']"] {
        let text = rule(key, "^(.+)$", "$1.${tag}", "");
        assert_eq!(tag(&text, "kubernetes.var.log", record).await, "default.kubernetes.var.log");
    }
}

#[tokio::test]
async fn what_no_rule_takes_ends_here() {
    let plain = rule("domain", "/.*/", "out", "");
    assert_eq!(tags(&plain, "t", &[r#"{"x":1}"#, r#"{"domain":""}"#, r#"{"domain":null}"#]).await, [""; 0]);
    let all = rule("domain", "/(?!)/", "out", "invert true");
    assert_eq!(tags(&all, "t", &[r#"{"x":1}"#, r#"{"domain":"a"}"#]).await, ["out", "out"]);
    let same = rule("a", "/./", "${tag}", "");
    assert_eq!(tags(&same, "t", &[r#"{"a":1}"#]).await, [""; 0], "it would come back for ever");
    let other = rule("a", "/./", "${tag}", "label @OTHER");
    assert_eq!(tags(&other, "t", &[r#"{"a":1}"#]).await, ["@OTHER t"]);
}

#[tokio::test]
async fn labels() {
    let text = format!(
        "@label @ALL\n{}{}",
        rule("domain", r"^www\.example\.com$", "web.${tag}", ""),
        rule("domain", r"^(.*)\.example\.com$", "other.$1", "label @OTHER"),
    );
    let records = [
        r#"{"domain":"api.example.com"}"#,
        r#"{"domain":"www.example.com"}"#,
        r#"{"domain":"db.example.com"}"#,
        r#"{"domain":"api.example.com","n":2}"#,
    ];
    assert_eq!(
        tags(&text, "apache.access", &records).await,
        ["@OTHER other.api", "@OTHER other.api", "@OTHER other.db", "@ALL web.apache.access"]
    );
    let record = format!("emit_mode record\n{text}");
    assert_eq!(
        tags(&record, "apache.access", &records).await,
        ["@OTHER other.api", "@ALL web.apache.access", "@OTHER other.db", "@OTHER other.api"]
    );
}

#[tokio::test]
async fn values_that_are_no_text() {
    let text = rule("v", "/^(.*)$/", "x.$1", "");
    assert_eq!(tag(&text, "t", r#"{"v":404}"#).await, "x.404");
    assert_eq!(tag(&text, "t", r#"{"v":false}"#).await, "x.false");
    assert_eq!(tag(&text, "t", r#"{"v":["a"]}"#).await, r#"x.["a"]"#);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let refused = |text: &str| Routed::try_new(&PLUGIN, text).err().expect("an error");
    let one = rule("a", "/b/", "c", "");
    assert_eq!(refused(""), "missing rewriterules");
    assert_eq!(refused(&format!("{one}{one}")), "duplicated rewriterules found: a /b/ c");
    assert_eq!(
        refused("rewriterule1 a b c"),
        "\"rewriterule<num>\" support has been dropped. Use <rule> section instead."
    );
    assert_eq!(
        refused(&format!("remove_tag_prefix a\nremove_tag_regexp /b/\n{one}")),
        "remove_tag_prefix and remove_tag_regexp are exclusive"
    );
    assert!(
        refused(&rule("a", "/b/", "x.${tag_parts[0..2]}", "")).contains("does not support range specify")
    );
    assert!(refused(&format!("hostname_command curl x\n{one}")).starts_with("`curl x` is not run"));
    assert!(Routed::try_new(&PLUGIN, &format!("{one}{}", rule("a", "/b/", "c", "invert true"))).is_ok());
}

#[test]
fn hostnames() {
    for (command, expected) in [
        ("hostname", Some("web.example.com")),
        ("hostname -s", Some("web")),
        ("/bin/hostname  --short", Some("web")),
        ("hostname -f", Some("web.example.com")),
        ("hostname -d", Some("example.com")),
        ("rm -rf /", None),
    ] {
        assert_eq!(hostname(command, "web.example.com").ok().as_deref(), expected, "{command}");
    }
    assert!(hostname("hostname -f", "web").is_err(), "it is not known");
}
