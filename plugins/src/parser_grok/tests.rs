//! The cases of the original plugin's README, and what its code does beyond them.

use super::expand::{Patterns, Series};
use crate::text::testing::{parse_one, parser, try_parser};

const ACCESS: &str = r#"127.0.0.1 192.168.0.1 - [28/Feb/2013:12:00:00 +0900] "GET / HTTP/1.1" 200 777"#;

#[test]
fn one_pattern() {
    let grok = parser(
        "@type grok\ngrok_pattern %{IPORHOST:clientip} %{WORD:verb} took %{INT:took:integer}ms|%{NUMBER:n:float}",
    );
    assert_eq!(
        parse_one(&*grok, "10.0.0.1 GET took 12ms"),
        r#"now {"clientip":"10.0.0.1","verb":"GET","took":12}"#
    );
    assert_eq!(parse_one(&*grok, "x 1.5"), r#"now {"n":1.5}"#);
    assert_eq!(parse_one(&*grok, "no"), r#"now {"message":"no"}"#, "what does not match is an event too");
}

#[test]
fn access_logs() {
    let grok = parser("@type grok\ngrok_pattern %{COMMONAPACHELOG}");
    assert_eq!(
        parse_one(&*grok, ACCESS),
        r#"now {"clientip":"127.0.0.1","ident":"192.168.0.1","auth":"-","timestamp":"28/Feb/2013:12:00:00 +0900","verb":"GET","request":"/","httpversion":"1.1","response":"200","bytes":"777"}"#
    );
    let combined = parser(
        "@type grok\n<grok>\npattern %{COMBINEDAPACHELOG}\ntime_key timestamp\ntime_format %d/%b/%Y:%H:%M:%S %z\n</grok>",
    );
    let seen = parse_one(&*combined, format!("{ACCESS} \"-\" \"Opera/12.0\""));
    assert!(
        seen.starts_with("1362020400 {") && seen.ends_with(r#""referrer":"\"-\"","agent":"\"Opera/12.0\""}"#),
        "{seen}"
    );
}

#[test]
fn several_patterns() {
    let grok = parser(
        "@type grok\ngrok_name_key which\ngrok_failure_key failed\n\
         <grok>\nname web\npattern %{IP:ip} %{GREEDYDATA:rest}\n</grok>\n\
         <grok>\npattern %{TIMESTAMP_ISO8601:time} %{LOGLEVEL:level}\ntime_format %Y-%m-%dT%H:%M:%S%z\nkeep_time_key true\n</grok>\n\
         <grok>\npattern d=%{YEAR:d:time:%Y}\n</grok>",
    );
    assert_eq!(parse_one(&*grok, "::1 hello"), r#"now {"ip":"::1","rest":"hello","which":"web"}"#);
    assert_eq!(
        parse_one(&*grok, "2020-01-02T03:04:05Z WARN"),
        r#"1577934245 {"time":"2020-01-02T03:04:05Z","level":"WARN","which":1}"#
    );
    assert_eq!(
        parse_one(&*grok, "nothing"),
        r#"now {"message":"nothing","failed":"No grok pattern matched"}"#
    );
    assert!(parse_one(&*grok, "d=2020").ends_with(r#""which":2}"#));
}

#[test]
fn patterns_of_files() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a"), "# mine\nORDER #%{INT:order:integer}\nWORD [a-z]+\n").unwrap();
    std::fs::write(dir.path().join("b"), "SHOP shop-%{WORD}\n").unwrap();
    let text = format!(
        "@type grok\ncustom_pattern_path {}\ngrok_pattern %{{SHOP:shop}} %{{ORDER}}",
        dir.path().display()
    );
    assert_eq!(parse_one(&*parser(&text), "shop-a #7"), r#"now {"shop":"shop-a","order":7}"#);
    let text = format!("@type grok\ncustom_pattern_path {}/a\ngrok_pattern %{{ORDER}}", dir.path().display());
    assert_eq!(parse_one(&*parser(&text), "#7"), r#"now {"order":7}"#);
    let error = try_parser("@type grok\ncustom_pattern_path /nowhere\ngrok_pattern %{INT:n}").err().unwrap();
    assert!(error.starts_with("/nowhere cannot be read: "), "{error}");
}

#[test]
fn several_lines() {
    let text = "@type multiline_grok\ngrok_pattern %{IP:ip}%{GREEDYDATA:rest}\nmultiline_start_regexp /^\\d/";
    let grok = parser(text);
    let lines = grok.multiline().unwrap();
    assert!(lines.has_firstline() && lines.is_firstline(b"1.2.3.4 a") && !lines.is_firstline(b" b"));
    assert_eq!(parse_one(&*grok, "1.2.3.4 a\n b"), r#"now {"ip":"1.2.3.4","rest":" a\n b"}"#);
    assert!(parser("@type grok\ngrok_pattern %{INT:n}").multiline().is_none());
}

/// Every pattern that is there compiles, and takes what it is for.
#[test]
fn patterns_that_are_there() {
    for (series, name) in [(Series::Legacy, "legacy"), (Series::EcsV1, "ecs-v1")] {
        let patterns = Patterns::built_in(series);
        let mut refused = Vec::new();
        for pattern in patterns.names() {
            let text = format!("@type grok\ngrok_pattern_series {name}\ngrok_pattern %{{{pattern}:x}}");
            refused.extend(try_parser(&text).err());
        }
        assert!(refused.is_empty(), "{name}: {refused:#?}");
        assert!(patterns.names().len() > 300, "{name}");
    }
    for (name, text) in [
        ("EMAILADDRESS", "a.b+c@example.com"),
        ("NUMBER", "-1.5"),
        ("BASE16NUM", "0xdeadBEEF"),
        ("QUOTEDSTRING", r#""a \" b""#),
        ("UUID", "123e4567-e89b-12d3-a456-426614174000"),
        ("MAC", "00:1b:44:11:3a:b7"),
        ("IPV4", "192.168.255.1"),
        ("IPV6", "2001:db8::ff00:42:8329"),
        ("IPV6", "::ffff:10.0.0.1"),
        ("IPV6", "1:2:3:4:5:6:7:8"),
        ("IPV6", "::"),
        ("HOSTNAME", "web-1.example.com"),
        ("HOSTPORT", "web-1:8080"),
        ("UNIXPATH", "/var/log/a b".split(' ').next().unwrap()),
        ("WINPATH", r"C:\dir\file.txt"),
        ("URI", "https://user@example.com:8080/a/b?c=d&e=[f]"),
        ("DATE", "12/31/2020"),
        ("DATE", "31.12.2020"),
        ("TIME", "23:59:60.123"),
        ("TIMESTAMP_ISO8601", "2020-12-31T23:59:59.123+01:00"),
        ("DATESTAMP_RFC2822", "Thu, 31 Dec 2020 23:59:59 +0100"),
        ("HTTPDATE", "31/Dec/2020:23:59:59 +0100"),
        ("LOGLEVEL", "WARNING"),
        ("SYSLOGTIMESTAMP", "Dec  1 23:59:59"),
        ("SYSLOGPROG", "sshd[123]"),
        ("JAVACLASS", "com.example.Basket$Item"),
        ("JAVASTACKTRACEPART", "\tat a.B.<init>(B.java:7)"),
    ] {
        let grok = parser(&format!("@type grok\ngrok_pattern \\A(?:%{{{name}:x}})\\z"));
        let seen = parse_one(&*grok, text);
        assert!(seen.contains(r#""x":"#), "{name} does not take {text}: {seen}");
    }
    for (name, text) in
        [("IPV4", "256.1.1.1"), ("UUID", "123e4567"), ("POSINT", "0"), ("TIME", "24:61"), ("IPV6", "1:2:3")]
    {
        let grok = parser(&format!("@type grok\ngrok_pattern \\A(?:%{{{name}:x}})\\z"));
        assert_eq!(parse_one(&*grok, text), format!("now {{\"message\":\"{text}\"}}"), "{name}");
    }
    let syslog = parser("@type grok\ngrok_pattern %{SYSLOGLINE}");
    assert_eq!(
        parse_one(&*syslog, "Dec  1 23:59:59 web-1 sshd[123]: Failed password for root"),
        r#"now {"timestamp":"Dec  1 23:59:59","logsource":"web-1","program":"sshd","pid":"123","message":"Failed password for root"}"#
    );
}

/// The cases of logstash-patterns-core's own tests, in part.
#[test]
fn patterns_of_the_elastic_common_schema() {
    let parsed = |pattern: &str, text: &str| {
        let config = format!("@type grok\ngrok_pattern_series ecs-v1\ngrok_pattern %{{{pattern}}}");
        parse_one(&*parser(&config), text)
    };
    assert_eq!(
        parsed("COMBINEDAPACHELOG", &format!("{ACCESS} \"-\" \"Opera/12.0\"")),
        r#"now {"source.address":"127.0.0.1","apache.access.user.identity":"192.168.0.1","timestamp":"28/Feb/2013:12:00:00 +0900","http.request.method":"GET","url.original":"/","http.version":"1.1","http.response.status_code":200,"http.response.body.bytes":777,"user_agent.original":"Opera/12.0"}"#
    );
    assert_eq!(
        parsed("SYSLOGLINE", "Dec  1 23:59:59 web-1 sshd[123]: Failed password for root"),
        r#"now {"timestamp":"Dec  1 23:59:59","host.hostname":"web-1","process.name":"sshd","process.pid":123,"message":"Failed password for root"}"#
    );
    let redis = parsed("REDISMONLOG", r#"1339518083.107412 [0 127.0.0.1:60866] "keys" "*""#);
    assert!(
        redis.contains(r#""redis.database.id":"0""#) && redis.contains(r#""client.port":60866"#),
        "{redis}"
    );
    let error = try_parser("@type grok\ngrok_pattern_series v9\ngrok_pattern %{INT:n}").err().unwrap();
    assert!(error.contains("legacy,ecs-v1"), "{error}");
}

/// Patterns that only the vendors' sets have, under their old names.
#[test]
fn patterns_of_vendors() {
    let parsed = |pattern: &str, text: &str| {
        parse_one(&*parser(&format!("@type grok\ngrok_pattern %{{{pattern}}}")), text)
    };
    let elb = r#"2014-02-15T23:39:43.945958Z my-test-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.000073 0.001048 0.000057 200 200 0 29 "GET http://www.example.com:80/ HTTP/1.1""#;
    let seen = parsed("ELB_ACCESS_LOG", elb);
    assert!(seen.contains(r#""elb":"my-test-loadbalancer","clientip":"192.168.131.39""#), "{seen}");
    let bind = "17-Feb-2018 23:06:56.326 queries: info: client 172.26.0.1#12345 (test.example.com): query: test.example.com IN A +E(0)K (172.26.0.3)";
    let seen = parsed("BIND9", bind);
    assert!(seen.contains(r#""clientip":"172.26.0.1","clientport":"12345""#), "{seen}");
    let seen = parsed(
        "CISCOFW106001",
        "Inbound TCP connection denied from 192.168.1.1/80 to 10.0.0.1/8080 flags SYN on interface outside",
    );
    assert!(
        seen.contains(r#""src_ip":"192.168.1.1""#) && seen.contains(r#""interface":"outside""#),
        "{seen}"
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    let error = |text: &str| try_parser(&format!("@type grok\n{text}")).err().expect("an error");
    assert_eq!(error(""), "no grok patterns. Check configuration, e.g. typo, configuration syntax, etc");
    assert_eq!(error("grok_pattern %{NOBODY:x}"), "grok pattern not found: %{NOBODY} in %{NOBODY:x}");
    assert!(
        error("grok_pattern (%{INT:x}").starts_with("(%{INT:x}: "),
        "{}",
        error("grok_pattern (%{INT:x}")
    );
    assert!(error("<grok>\npattern %{INT}\n</grok>").contains("No named captures"));
}
