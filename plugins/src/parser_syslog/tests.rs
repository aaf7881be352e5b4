use crate::text::testing::{parse_one, parser};

/// Messages of RFC 3164 have no year, so only what follows the time is looked at.
fn record(body: &str, text: &str) -> String {
    let line = parse_one(&*parser(&format!("@type syslog\n{body}")), text);
    line.split_once(' ')
        .filter(|(_, record)| record.starts_with('{'))
        .map_or(line.clone(), |(_, record)| record.into())
}

#[test]
fn rfc3164() {
    for (text, expected) in [
        (
            "Feb 28 12:00:00 192.168.0.1 fluentd[11111]: [error] Syslog test",
            r#"{"host":"192.168.0.1","ident":"fluentd","pid":"11111","message":"[error] Syslog test"}"#,
        ),
        ("Feb  5 17:32:18 host app: no pid", r#"{"host":"host","ident":"app","message":"no pid"}"#),
        (
            "Feb  5 17:32:18 host message without colon tag",
            r#"{"host":"host","ident":"message","message":"without colon tag"}"#,
        ),
        ("Feb  5 17:32:18 host", "unmatched"),
        ("oops", "unmatched"),
        (
            "Xyz  5 17:32:18 host a: b",
            "invalid time format: value = Xyz 5 17:32:18, error_class = ArgumentError, error = string doesn't match",
        ),
    ] {
        assert_eq!(record("", text), expected, "{text}");
    }
    assert_eq!(
        record("keep_time_key true", "Feb  5 17:32:18 host app: x\n"),
        r#"{"time":"Feb 5 17:32:18","host":"host","ident":"app","message":"x"}"#
    );
}

#[test]
fn the_year_is_the_present_one() {
    let line = parse_one(&*parser("@type syslog\nutc true"), "Feb 28 12:00:00 h a: m");
    let time: i64 = line.split_once(' ').unwrap().0.parse().unwrap();
    let day = time / 86_400;
    let now = logweir_engine::event::EventTime::now().sec / 86_400;
    assert!((now - day).abs() < 367 && time % 86_400 == 43_200, "{line}");
}

#[test]
fn with_priority() {
    for (text, expected) in [
        (
            "<6>Feb 28 12:00:00 192.168.0.1 fluentd[11111]: [error] Syslog test",
            r#"{"pri":6,"host":"192.168.0.1","ident":"fluentd","pid":"11111","message":"[error] Syslog test"}"#,
        ),
        ("<191>Feb 28 12:00:00 host a-b/c: x", r#"{"pri":191,"host":"host","ident":"a-b/c","message":"x"}"#),
        ("Feb 28 12:00:00 host a: none", "unmatched"),
        ("<1911>Feb 28 12:00:00 host a: x", "unmatched"),
        ("<>Feb 28 12:00:00 host a: x", "unmatched"),
    ] {
        assert_eq!(record("with_priority true", text), expected, "{text}");
    }
}

#[test]
fn rfc3164_by_string() {
    for (text, expected) in [
        (
            "<6>Sep 10 00:00:00 localhost logger: foo",
            r#"{"host":"localhost","pri":6,"ident":"logger","message":"foo"}"#,
        ),
        (
            "<6>Sep 10 00:00:00 host app[12]: a: b",
            r#"{"host":"host","pri":6,"ident":"app","pid":"12","message":"a: b"}"#,
        ),
        (
            "<6>Sep 10 00:00:00.5 host app[12] a\n",
            r#"{"host":"host","pri":6,"ident":"app","pid":"12","message":"a"}"#,
        ),
        (
            "<6>Sep 10 00:00:00 host no tag here",
            r#"{"host":"host","pri":6,"ident":"no","message":"tag here"}"#,
        ),
        ("<6>Sep 10 00:00:00 host word", r#"{"host":"host","pri":6,"message":"word"}"#),
        ("oops", "unmatched"),
        ("<6>Sep 10 00:00:00", "unmatched"),
        ("<6", "unmatched"),
    ] {
        assert_eq!(record("with_priority true\nparser_engine string", text), expected, "{text}");
    }
    assert_eq!(
        record("parser_engine string\nsupport_colonless_ident false", "Sep 10 00:00:00 host no tag here"),
        r#"{"host":"host","message":"no tag here"}"#
    );
    assert_eq!(
        record("parser_engine string\ntime_format %Y-%m-%d %H:%M:%S %z", "2023-11-14  22:13:20 +0000 h a: m"),
        r#"{"host":"h","ident":"a","message":"m"}"#
    );
}

#[test]
fn rfc5424() {
    let parser = parser("@type syslog\nmessage_format rfc5424\nwith_priority true");
    for (text, expected) in [
        (
            r#"<16>1 2017-02-06T13:14:15.003Z 192.168.0.1 fluentd 11111 ID24224 [exampleSDID@20224 iut="3" eventID="11211"] Hi, from Fluentd!"#,
            r#"1486386855.003000000 {"pri":16,"host":"192.168.0.1","ident":"fluentd","pid":"11111","msgid":"ID24224","extradata":"[exampleSDID@20224 iut=\"3\" eventID=\"11211\"]","message":"Hi, from Fluentd!"}"#,
        ),
        (
            "<16>1 2017-02-06T13:14:15Z - - - - - only text",
            r#"1486386855 {"pri":16,"host":"-","ident":"-","pid":"-","msgid":"-","extradata":"-","message":"only text"}"#,
        ),
        (
            r#"<16>1 2017-02-06T13:14:15.003+09:00 h a p m [a@1 x="y]\"z"][b@1] two elements"#,
            r#"1486354455.003000000 {"pri":16,"host":"h","ident":"a","pid":"p","msgid":"m","extradata":"[a@1 x=\"y]\\\"z\"][b@1]","message":"two elements"}"#,
        ),
        (
            "<16>1 2017-02-06T13:14:15.003Z h a p m - \u{feff}bom text",
            "1486386855.003000000 {\"pri\":16,\"host\":\"h\",\"ident\":\"a\",\"pid\":\"p\",\"msgid\":\"m\",\"extradata\":\"-\",\"message\":\"\u{feff}bom text\"}",
        ),
        (
            r#"<16>1 2017-02-06T13:14:15Z h a p m [x@1 k="v"]"#,
            r#"1486386855 {"pri":16,"host":"h","ident":"a","pid":"p","msgid":"m","extradata":"[x@1 k=\"v\"]"}"#,
        ),
        ("<16>1 2017-02-06T13:14:15Z h a p m", "unmatched"),
        ("2017-02-06T13:14:15Z h a p m - x", "unmatched"),
    ] {
        assert_eq!(parse_one(&*parser, text), expected, "{text}");
    }
}

#[test]
fn a_time_format_for_rfc5424() {
    let parser = parser(
        "@type syslog\nmessage_format rfc5424\nwith_priority true\nrfc5424_time_format %Y-%m-%dT%H:%M:%S%z",
    );
    assert_eq!(
        parse_one(&*parser, "<16>1 2017-02-06T13:14:15+0200 h a p m - x"),
        r#"1486379655 {"pri":16,"host":"h","ident":"a","pid":"p","msgid":"m","extradata":"-","message":"x"}"#
    );
}

#[test]
fn rfc5424_by_string() {
    let parser = parser(
        "@type syslog\nmessage_format rfc5424\nwith_priority true\nparser_engine string\nkeep_time_key true",
    );
    for (text, expected) in [
        (
            r#"<16>1 2017-02-06T13:14:15Z h a p m [x@1 k="\"v"] hi"#,
            r#"1486386855 {"host":"h","ident":"a","pid":"p","msgid":"m","pri":16,"extradata":"[x@1 k=\"\"v\"]","message":"hi","time":"2017-02-06T13:14:15Z"}"#,
        ),
        (
            "<16>1 2017-02-06T13:14:15Z h a p m [x] [y]",
            r#"1486386855 {"host":"h","ident":"a","pid":"p","msgid":"m","pri":16,"extradata":"[x]","message":"[y]","time":"2017-02-06T13:14:15Z"}"#,
        ),
        (
            "<16>1 2017-02-06T13:14:15Z h a p m -",
            r#"1486386855 {"host":"h","ident":"a","pid":"p","msgid":"m","pri":16,"extradata":"-","time":"2017-02-06T13:14:15Z"}"#,
        ),
        ("<16>1 2017-02-06T13:14:15Z h a p", "unmatched"),
    ] {
        assert_eq!(parse_one(&*parser, text), expected, "{text}");
    }
}

#[test]
fn auto() {
    let body = "message_format auto\nwith_priority true";
    for (text, expected) in [
        (
            "<6>Feb 28 12:00:00 192.168.0.1 fluentd[11111]: old style",
            r#"{"pri":6,"host":"192.168.0.1","ident":"fluentd","pid":"11111","message":"old style"}"#,
        ),
        (
            "<16>1 2017-02-06T13:14:15.003Z 192.168.0.1 fluentd 11111 ID24224 - new style",
            r#"{"pri":16,"host":"192.168.0.1","ident":"fluentd","pid":"11111","msgid":"ID24224","extradata":"-","message":"new style"}"#,
        ),
        (
            "<16>1 2017-02-06T13:14:15Z h a 1 i - no fraction",
            r#"{"pri":16,"host":"h","ident":"a","pid":"1","msgid":"i","extradata":"-","message":"no fraction"}"#,
        ),
    ] {
        assert_eq!(record(body, text), expected, "{text}");
    }
}
