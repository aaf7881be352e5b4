use super::*;

fn settings(kind: TimeType, format: Option<&str>) -> TimeSettings {
    TimeSettings { kind, format: format.map(str::to_owned), local: true, ..TimeSettings::default() }
}

fn at(sec: i64, nsec: u32) -> Result<EventTime, String> {
    Ok(EventTime { sec, nsec })
}

#[test]
fn a_zone_in_the_text_wins_over_the_configured_one() {
    let tokyo = TimeSettings { zone: Zone::parse("Asia/Tokyo").ok(), ..settings(TimeType::String, None) };
    let parse = |format: &str, text: &str| {
        let settings = tokyo.with(TimeType::String, Some(format));
        TimeParser::new(&settings).unwrap().parse_text(text.as_bytes())
    };
    assert_eq!(parse("%Y-%m-%d %H:%M:%S", "2023-11-15 07:13:20"), at(1_700_000_000, 0));
    assert_eq!(parse("%Y-%m-%d %H:%M:%S %z", "2023-11-14 22:13:20 +0000"), at(1_700_000_000, 0));
    assert_eq!(parse("%F %T %Z", "2023-11-14 22:13:20 UTC"), at(1_700_000_000, 0));
    assert_eq!(
        parse("%FT%T%:z", "2023-11-15T07:13:20+00:00"),
        at(1_700_000_000, 0),
        "%:z is not seen as a zone"
    );
    assert_eq!(parse("%iso8601", "2023-11-14T22:13:20Z"), at(1_700_000_000, 0));
}

#[test]
fn utc() {
    let utc =
        TimeSettings { local: false, utc: true, ..settings(TimeType::String, Some("%Y-%m-%dT%H:%M:%S.%NZ")) };
    let parser = TimeParser::new(&utc).unwrap();
    assert_eq!(parser.parse_text(b"2023-11-14T22:13:20.123456789Z"), at(1_700_000_000, 123_456_789));
    let none = utc.with(TimeType::String, None);
    assert_eq!(TimeParser::new(&none).unwrap_err(), "specifying timezone requires time format");
}

#[test]
fn summer_and_winter() {
    let zone = Zone::parse("America/New_York").ok();
    let settings = TimeSettings { zone, ..settings(TimeType::String, Some("%Y-%m-%d %H:%M:%S")) };
    let parser = TimeParser::new(&settings).unwrap();
    assert_eq!(parser.parse_text(b"2023-07-14 12:00:00"), at(1_689_350_400, 0));
    assert_eq!(parser.parse_text(b"2023-12-14 12:00:00"), at(1_702_573_200, 0));
}

#[test]
fn numbers() {
    let float = TimeParser::new(&settings(TimeType::Float, None)).unwrap();
    assert_eq!(float.parse(ValueRef::F64(1_700_000_000.123_456_7)), at(1_700_000_000, 123_456_700));
    assert_eq!(float.parse(ValueRef::Int(5)), at(5, 0));
    assert_eq!(float.parse_text(b"1700000000.5"), at(1_700_000_000, 500_000_000));
    assert_eq!(float.parse_text(b"1.1234567899"), at(1, 123_456_789));
    assert_eq!(float.parse_text(b"2023-11-14T22:13:20Z"), at(2023, 0), "a year counts as seconds");
    assert_eq!(float.parse_text(b"x"), at(0, 0));
    assert_eq!(float.parse(ValueRef::Nil).unwrap_err(), "value must be a string or a number: (NilClass)");
    assert_eq!(
        float.parse(ValueRef::Map(&[0x81, 0xa1, b'a', 1])).unwrap_err(),
        "value must be a string or a number: {\"a\"=>1}(Hash)"
    );
    let unixtime = TimeParser::new(&settings(TimeType::Unixtime, None)).unwrap();
    assert_eq!(unixtime.parse_text(b" 1_7x"), at(17, 0));
    assert_eq!(unixtime.parse(ValueRef::F64(1.9)), at(1, 0));
    assert!(unixtime.parse(ValueRef::F64(f64::NAN)).unwrap_err().contains("FloatDomainError"));
}

#[test]
fn mixed() {
    let settings = TimeSettings {
        fallbacks: vec!["unixtime".into(), "%d/%b/%Y:%H:%M:%S %z".into()],
        ..settings(TimeType::Mixed, Some("%iso8601"))
    };
    let parser = TimeParser::new(&settings).unwrap();
    assert_eq!(parser.parse_text(b"2023-11-14T22:13:20Z"), at(1_700_000_000, 0));
    assert_eq!(parser.parse_text(b"1700000000"), at(1_700_000_000, 0));
    assert_eq!(parser.parse(ValueRef::Int(1_700_000_000)), at(1_700_000_000, 0));
    assert_eq!(parser.parse_text(b"14/Nov/2023:22:13:20 +0000"), at(1_700_000_000, 0));
    assert_eq!(
        parser.parse_text(b"17x").unwrap_err(),
        "invalid time format: value = 17x, even though fallbacks: \
         Fluent::TimeParser,Fluent::NumericTimeParser,Fluent::TimeParser"
    );
}

#[test]
fn errors() {
    let parser = TimeParser::new(&settings(TimeType::String, Some("%Y-%m-%d"))).unwrap();
    assert_eq!(
        parser.parse_text(b"x").unwrap_err(),
        "invalid time format: value = x, error_class = ArgumentError, error = string doesn't match"
    );
    assert_eq!(parser.parse(ValueRef::Int(5)).unwrap_err(), "value must be string: 5");
}

#[test]
fn what_float_takes() {
    for text in ["1", "-1.5", " 1e3 ", "1_000"] {
        assert!(is_number(text.as_bytes()), "{text}");
    }
    for text in ["", "x", "1.", "_1", "1__0", "nan", "inf", "1x"] {
        assert!(!is_number(text.as_bytes()), "{text}");
    }
}

#[test]
fn a_time_that_comes_again_is_the_same() {
    type Texts<'t> = &'t [(&'t str, Option<i64>)];
    let formats: [(Option<&str>, Texts<'_>); 4] = [
        (
            Some("%d/%b/%Y:%H:%M:%S %z"),
            &[
                ("28/Feb/2013:12:00:00 +0900", Some(1_362_020_400)),
                ("28/Feb/2013:12:00:00 +0900", Some(1_362_020_400)),
                ("28/Feb/2013:12:00:00 +0000", Some(1_362_052_800)),
                ("28/Feb/2013:12:00:00", None),
                ("28/Feb/2013:12:00:00", None),
                ("28/FEBRUARY/2013:12:00:00 +0000", Some(1_362_052_800)),
                ("", None),
            ],
        ),
        (
            Some("%Y-%m-%d %H:%M:%S %z"),
            &[
                ("2013-02-28 12:00:00 +0000", Some(1_362_052_800)),
                ("2013-02-28 12:00:01 +0000", Some(1_362_052_801)),
                ("2013-02-28 12:00:00 +0000, and more", Some(1_362_052_800)),
            ],
        ),
        // The rest comes from the present.
        (Some("%H:%M"), &[("x", None), ("", None)]),
        (
            None,
            &[
                ("2013-02-28 12:00:00 UTC", Some(1_362_052_800)),
                ("2013-02-28 12:00:00 UTC", Some(1_362_052_800)),
            ],
        ),
    ];
    for (format, texts) in formats {
        let parser = TimeParser::new(&settings(TimeType::String, format)).unwrap();
        for (text, expected) in texts {
            let time = parser.parse_text(text.as_bytes()).ok().map(|time| time.sec);
            assert_eq!(time, *expected, "{format:?}: {text}");
        }
    }
}

fn is_remembered(format: &str) -> bool {
    let parser = TimeParser::new(&settings(TimeType::String, Some(format))).unwrap();
    matches!(parser.0, Kind::Format { last: Some(_), .. })
}

#[test]
fn what_a_text_says_to_the_second_is_remembered() {
    assert!(["%Y-%m-%dT%H:%M:%S%z", "%d/%b/%y", "%b %d %H:%M:%S"].into_iter().all(is_remembered));
    // No date, parts of a second, and what Ruby reads.
    assert!(!["%H:%M:%S", "%d %H", "%Y-%m-%d %H:%M:%S.%N", "%F %T"].into_iter().any(is_remembered));
}

#[test]
fn a_year_that_is_that_of_the_present_is_forgotten_with_it() {
    // 2023-12-31T23:59:59Z, and half a minute later.
    const BEFORE: fn() -> EventTime = || EventTime { sec: 1_704_067_199, nsec: 999_999_999 };
    const AFTER: fn() -> EventTime = || EventTime::from_secs(1_704_067_229);
    let texts = [("%b %d %H:%M:%S %z", "Dec 31 23:59:59 +0000"), ("%b %d %H:%M:%S", "Jun  7 03:00:00")];
    for (format, text) in texts {
        let new = || TimeParser::new(&settings(TimeType::String, Some(format))).unwrap();
        let remembering = new();
        for now in [BEFORE, BEFORE, AFTER, AFTER, BEFORE] {
            let known = remembering.parse_string(text.as_bytes(), now);
            assert_eq!(known, new().parse_string(text.as_bytes(), now), "{format}");
        }
    }
    let parser = TimeParser::new(&settings(TimeType::String, Some(texts[0].0))).unwrap();
    let second = |now| parser.parse_string(texts[0].1.as_bytes(), now).unwrap().sec;
    assert_eq!(second(AFTER) - second(BEFORE), 366 * 86_400, "2024 is a leap year");
}
