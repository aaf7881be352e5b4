use super::*;

fn noon() -> EventTime {
    EventTime { sec: 1_700_000_000, nsec: 5 }
}

/// `seconds.nanoseconds` on the clock of the text's zone, or the class of the error.
fn wall(parse: &TimeParse, text: &str) -> String {
    match parse.parse_at(text.as_bytes(), noon) {
        Ok(parsed) => format!("{}.{:09}", parsed.time.sec + i64::from(parsed.offset), parsed.time.nsec),
        Err(error) => error.class.to_owned(),
    }
}

/// What the strptime gem, or Ruby 3.1 where the gem refuses the format, make of texts.
#[test]
fn as_ruby_reads() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in include_str!("cases.tsv").lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [format, text, expected] = columns[..] else { panic!("{line}") };
        let given = wall(&TimeParse::new(format), text);
        if given != expected {
            wrong.push(format!("{format:?} of {text:?}: {given}, Ruby: {expected}"));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 200);
}

#[test]
fn missing_parts_are_those_of_now() {
    // Only differences of days and less are looked at, since the local zone is not known here.
    let at = |format: &str, text: &str| TimeParse::new(format).parse_at(text.as_bytes(), noon).unwrap().time;
    let clock = |format: &str, text: &str| {
        let parsed = TimeParse::new(format).parse_at(text.as_bytes(), noon).unwrap();
        (parsed.time.sec + i64::from(parsed.offset)).rem_euclid(86_400)
    };
    assert_eq!(clock("%H:%M", "12:13"), 12 * 3600 + 13 * 60);
    assert_eq!(clock("%b %d", "Nov 14"), 0);
    assert_eq!(at(".%N", ".5"), EventTime { sec: 1_700_000_000, nsec: 500_000_000 });
    assert_eq!(at("%H:%M:%S %z", "22:13:20 +0000").sec, 1_700_000_000);
    assert_eq!(at("%b %d %H:%M:%S %z", "Nov 14 22:13:20 +0000").sec, 1_700_000_000);
}

#[test]
fn errors_say_what_ruby_says() {
    let error =
        |format: &str, text: &str| TimeParse::new(format).parse(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(error("%Y", "x"), "string doesn't match");
    assert_eq!(error("%FT%T", "x"), "invalid date or strptime format - `x' `%FT%T'");
    assert_eq!(error("%a", "Tue"), "no time information in \"Tue\"");
}

#[test]
fn bytes_never_panic() {
    for format in ["%Y-%m-%dT%H:%M:%S.%N%z", "%c %Z", "%G-W%V-%u", "%s %Q", "%j %U %W %C%y %p %I", "%", "%%%"]
    {
        let parse = TimeParse::new(format);
        for text in
            [&b""[..], b"\xff\xfe", b"2023-11-14T22:13:20.\xff", b"99999999999999999999", b"-", b"+", b"\0"]
        {
            let _ = parse.parse(text);
        }
    }
}
