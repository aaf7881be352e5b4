//! What Ruby 3.1 answers, pattern by pattern.

use super::*;

fn regexp(source: &str) -> Regexp {
    Regexp::new(source, RegexpFlags::default()).unwrap_or_else(|e| panic!("{e}"))
}

/// The whole match, or none.
fn found<'t>(source: &str, text: &'t str) -> Option<&'t str> {
    let regexp = regexp(source);
    let captures = regexp.captures(text.as_bytes());
    assert_eq!(captures.is_some(), regexp.is_match(text.as_bytes()), "{source} on {text:?}");
    captures.map(|c| std::str::from_utf8(c.get(0).unwrap()).unwrap())
}

fn error(source: &str) -> String {
    Regexp::new(source, RegexpFlags::default()).unwrap_err().to_string()
}

#[test]
fn line_anchors() {
    let places = [
        (r"^$", "a\n", None),
        (r"^\s*$", "a\n", None),
        (r"^$", "", Some(0)),
        (r"^$", "\n", Some(0)),
        (r"$", "a\n", Some(1)),
        (r"\n$", "a\n", Some(1)),
        (r"a$", "a\nb", Some(0)),
        (r"^b", "a\nb", Some(2)),
        (r"^$", "a\n\n", Some(2)),
        (r"^.*b$", "a\nb\n", Some(2)),
        (r"a\Z", "a\n", Some(0)),
        (r"a\z", "a\n", None),
        (r"\Ab", "a\nb", None),
        (r"(^|x)$", "a\n", None),
        (r"(?=^)$", "a\n", None),
    ];
    for (source, text, place) in places {
        let regexp = regexp(source);
        let start = regexp.captures(text.as_bytes()).and_then(|c| c.span(0)).map(|span| span.start);
        assert_eq!(start, place, "/{source}/ on {text:?}");
        assert_eq!(regexp.is_match(text.as_bytes()), place.is_some(), "/{source}/ on {text:?}");
    }
}

#[test]
fn syntax_as_ruby_reads_it() {
    let matches = [
        (r"a{,3}b", "aab", Some("aab")),
        (r"a{2}?b", "b", Some("b")),
        (r"a{2,3}+b", "aaaaaab", Some("aaaaaab")),
        (r"a{b", "a{b", Some("a{b")),
        (r"a{,}", "a{,}", Some("a{,}")),
        (r"[]a]", "]", Some("]")),
        (r"[^]a]", "]b", Some("b")),
        (r"[[:alpha:]]+", "éa1", Some("éa")),
        (r"[[:^alpha:]]+", "éa1", Some("1")),
        (r"\w+", "éa1", Some("a1")),
        (r"\ba", "éa1", None),
        (r"(?a)\ba", "éa1", Some("a")),
        (r"\p{Alpha}\p{^Digit}\P{L}", "éa1", Some("éa1")),
        (r"\p{Han}\p{Hiragana}\p{Lu}\p{Letter}", "漢ひAb", Some("漢ひAb")),
        (r"^*a", "a", Some("a")),
        (r"a{1,2}{3}", "aaaaaaaa", Some("aaaaaa")),
        (r"(?i:a)B", "AB", Some("AB")),
        (r"(?i:a)B", "Ab", None),
        (r"a(?i)b|c", "C", None),
        (r"a(?i)b|c", "aC", Some("aC")),
        (r"(a(?i)b)c", "aBC", None),
        (r"\xc3\xa9", "é", Some("é")),
        (r"\u00e9\u{e9 41}+", "ééAA", Some("ééAA")),
        (r"[\u{e9 41}-C]+", "éBC", Some("éBC")),
        (r"\101\0", "A\0", Some("A\0")),
        (r"(x)?(?(1)a|b)", "xa", Some("xa")),
        (r"(x)?(?(1)a|b)", "b", Some("b")),
        (r"[a&&b]", "a", None),
        (r"[a-z&&[^aeiou]]+", "abc", Some("bc")),
        (r"[\w&&[^\d]]-", "a-", Some("a-")),
        (r"[a-z-9]+", "-9", Some("-9")),
        (r"[-a]+-[a-]", "-a--", Some("-a--")),
        (r"[a~~b||+--d]+", "~|-", Some("~|-")),
        (r"\R\X", "\r\ne\u{301}", Some("\r\ne\u{301}")),
        (r"(?<n>a\g<n>?b)", "aabb", Some("aabb")),
        (r"foo\Kbar", "foobar", Some("bar")),
        (r"(?<!a|bc)d", "bcd xd", Some("d")),
        (r"\q\y\é\<\>", "qyé<>", Some("qyé<>")),
        (r"[[:word:]]", "é", Some("é")),
        (r"[[:punct:]]+", "$+<=>^`|~!", Some("$+<=>^`|~!")),
        (r"\d", "٣", None),
        (r"(?u)\d", "٣", Some("٣")),
        ("(?x) a b # c\n d", "abd", Some("abd")),
        (r"(?#abc\))a", "a", Some("a")),
        (r"\h+\H", "xbeefx", Some("beefx")),
        (r"a.c", "a\nc", None),
        (r"(?m)a.c", "a\nc", Some("a\nc")),
        (r"(?m:a.)c.", "a\nc\n", None),
        (r"a++a", "aaa", None),
        (r"(?>a|ab)c", "abc", None),
        (r"(?>(b+?)*)", "bbc", Some("bb")),
        (r"^(?>\[(?:[^\[\]]|\[\])*\])", "[a[]b]c", Some("[a[]b]")),
        (r#""(?<x>(?:[^"]|\\")*?)""#, r#""a\"b""#, Some(r#""a\""#)),
        (r"\s\S", "\x0b!", Some("\x0b!")),
        (r"\cA\C-a\M-a?", "\x01\x01", Some("\x01\x01")),
        (r"(.)\1\k<1>\k<-1>", "aaaa", Some("aaaa")),
        (r"(?i)(a)\1", "aA", Some("aA")),
        (r"(?<a>.)(?<a>b)?\k<a>", "xx", Some("xx")),
        (r"(a){0}b", "ab", Some("b")),
        (r"\ba?\b{2}\B*?b(?<=b)+(?=(c))?", "bc", Some("b")),
        (r"\bb(?<=b)+(?=(c))?\1", "bcc", Some("bc")),
        (r"a{1}{0}", "a", Some("")),
        (r"[\b]", "\x08", Some("\x08")),
        (r"(?i)[^k]", "\u{212a}K", None),
        (r"", "x", Some("")),
        (r"|a", "a", Some("")),
    ];
    for (source, text, expected) in matches {
        assert_eq!(found(source, text), expected, "/{source}/ on {text:?}");
    }
}

#[test]
fn errors_are_rubys() {
    let errors = [
        ("(?<1a>a)", "invalid group name <1a>: /(?<1a>a)/"),
        ("(?<-a>a)", "invalid group name <-a>: /(?<-a>a)/"),
        ("(?<>a)", "group name is empty: /(?<>a)/"),
        (r"(?<a>.)\1", r"numbered backref/call is not allowed. (use name): /(?<a>.)\1/"),
        ("[]", "empty char-class: /[]/"),
        (r"[a-\d]", r"char-class value at end of range: /[a-\d]/"),
        ("[[:foo:]]+", "invalid POSIX bracket type: /[[:foo:]]+/"),
        ("*a", "target of repeat operator is not specified: /*a/"),
        ("a|*", "target of repeat operator is not specified: /a|*/"),
        ("{1,2}a", "target of repeat operator is not specified: /{1,2}a/"),
        ("(?i)*", "target of repeat operator is not specified: /(?i)*/"),
        (r"\2(?<=a)", r"invalid backref number/name: /\2(?<=a)/"),
        ("a)", "unmatched close parenthesis: /a)/"),
        ("(a", "end pattern with unmatched parenthesis: /(a/"),
        (r"\x{41}", r"invalid hex escape: /\x{41}/"),
        ("(?(1)a)", "invalid backref number/name: /(?(1)a)/"),
        ("\\", "too short escape sequence: /\\/"),
        (r"\k<b>(?<a>.)", r"undefined name <b> reference: /\k<b>(?<a>.)/"),
        (r"(.)\2", r"invalid backref number/name: /(.)\2/"),
        ("[z-a]", "empty range in char class: /[z-a]/"),
        ("a{3,1}", "upper is smaller than lower in repeat range: /a{3,1}/"),
        ("(?:a){100001}", "too big number for repeat range: /(?:a){100001}/"),
        ("[a", "premature end of char-class: /[a/"),
        (r"\p{foo}", r"invalid character property name {foo}: /\p{foo}/"),
        ("(?~a)", "the absent operator (?~) is not supported: /(?~a)/"),
        ("(?y)", "undefined group option: /(?y)/"),
    ];
    for (source, expected) in errors {
        assert_eq!(error(source), expected);
    }
}

#[test]
fn named_groups() {
    let re = regexp(r"(?<a-b>a)(?<@t>b)(?<a b>c)(x)?(?<none>y)?(?'q'd)");
    let names: Vec<&str> = re.names().iter().map(GroupName::name).collect();
    assert_eq!(names, ["a-b", "@t", "a b", "none", "q"]);
    assert_eq!(re.groups(), 5, "the plain group does not capture");
    let captures = re.captures(b"-abcd").unwrap();
    assert_eq!(captures.name("a b"), Some(&b"c"[..]));
    assert_eq!(captures.name("none"), None);
    assert_eq!(captures.name("q"), Some(&b"d"[..]));
    assert_eq!((captures.pre_match(), captures.post_match()), (&b"-"[..], &b""[..]));
}

#[test]
fn a_name_given_twice_is_the_last_that_matched() {
    let last = |source: &str, text: &str| {
        regexp(source).captures(text.as_bytes()).unwrap().name("a").map(|a| a.to_vec())
    };
    assert_eq!(last("(?<a>.)(?<a>.)", "xy"), Some(b"y".to_vec()));
    assert_eq!(last("(?<a>.)|(?<a>b)y", "xy"), Some(b"x".to_vec()));
    assert_eq!(last("(?<a>.)(?<a>b)?", "xy"), Some(b"x".to_vec()));
}

#[test]
fn a_mistyped_name_is_a_plain_group() {
    let re = regexp(r"(?<time>a)( statusCode=($<status_code>\d+))?");
    assert_eq!(re.names().len(), 1);
    assert_eq!(re.captures(b"a statusCode=5").unwrap().get(0), Some(&b"a"[..]));
}

#[test]
fn literals_of_configurations() {
    let literal = |text: &str| Regexp::parse_literal(text).unwrap();
    assert_eq!(literal("/a/b/i").source(), "a/b");
    assert!(literal("/a/i").is_match(b"A"));
    assert!(literal("/a.b/m").is_match(b"a\nb"));
    assert!(literal("/A.B/im").flags().ignore_case);
    assert_eq!(literal("a/b").source(), "a/b");
    assert!(!literal("/a b/x").is_match(b"ab"), "x means nothing to Fluentd");
    assert_eq!(literal("/a/mi").to_string(), "/a/mi");
    let error = Regexp::parse_literal("/abc").unwrap_err().to_string();
    assert_eq!(error, "invalid regexp: missing right slash: /abc");
}

#[test]
fn engines() {
    assert_eq!(regexp("^(?<a>[^ ]*) (?<b>.*)$").engine(), Engine::Linear);
    assert_eq!(regexp("(?=a)").engine(), Engine::Backtracking);
    assert_eq!(regexp("a++").engine(), Engine::Backtracking);
}

#[test]
fn bytes_that_are_no_characters() {
    for source in ["^(?<a>.)(?<b>[^ ]*) (?<c>.*)$", "^(?<a>.)(?<b>[^ ]*+) (?<c>.*)$"] {
        let re = regexp(source);
        let text = b"\xffx\xe9y \xc3\xa9\xfe!";
        assert!(re.is_match(text));
        let captures = re.captures(text).unwrap();
        assert_eq!(captures.name("a"), Some(&b"\xff"[..]));
        assert_eq!(captures.name("b"), Some(&b"x\xe9y"[..]));
        assert_eq!(captures.name("c"), Some(&b"\xc3\xa9\xfe!"[..]));
    }
    assert!(!regexp(r"\w").is_match(b"\xff"));
    assert!(regexp(r"\xff").is_match(b"a\xff"));
    assert!(!regexp(r"\xff").is_match(b"a\xfe"));
    assert_eq!(regexp("b").captures_at(b"\xffb\xffb", 2).unwrap().span(0), Some(3..4));
}

#[test]
fn a_runaway_pattern_is_given_up() {
    let re = regexp(r"(?=((a+)(a+))+\2c)");
    let text = "a".repeat(40) + "bc";
    let mut spans = Spans::new();
    assert_eq!(re.search(text.as_bytes(), 0, &mut spans), Err(BacktrackLimit));
    assert!(!re.is_match(text.as_bytes()));
}

/// Written out, the first of them would be 800 MB.
#[test]
fn a_group_that_calls_itself_from_several_places_is_refused() {
    for source in [r"(?<v>\[(?:\g<v>(?:,\g<v>)*)?\])", r"(?<n>a\g<n>?b\g<n>?c\g<n>?d)"] {
        let error = error(source);
        assert!(error.starts_with("a group calls itself from several places"), "{error}");
    }
    assert_eq!(found(r"(?<n>\((?:[^()]|\g<n>)*\))", "a(b(c)d)e"), Some("(b(c)d)"));
}

#[test]
fn deep_patterns_are_refused() {
    assert!(error(&"(".repeat(10_000)).starts_with("too deep nest level"));
    assert!(error(&"[".repeat(10_000)).starts_with("too deep nest level"));
    assert!(error(&format!("a{}", "*".repeat(10_000))).starts_with("too deep nest level"));
    assert!(error("(?:a{1000}){1000}").contains("the pattern needs more than"));
}

#[test]
fn patterns_of_fluentds_own_parsers() {
    let re = regexp(
        r#"^(?<remote>[^ ]*) (?<host>[^ ]*) (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^\"]*?)(?: +\S*)?)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>[^\"]*)" "(?<agent>[^\"]*)"(?:\s+\"?(?<http_x_forwarded_for>[^\"]*)\"?)?)?$"#,
    );
    let line = br#"127.0.0.1 - - [28/Feb/2013:12:00:00 +0900] "GET / HTTP/1.1" 200 777 "-" "Opera/12.0" -"#;
    let captures = re.captures(line).unwrap();
    let fields: Vec<_> =
        captures.named().map(|(_, value)| value.map(|v| str::from_utf8(v).unwrap())).collect();
    let expected = [
        "127.0.0.1",
        "-",
        "-",
        "28/Feb/2013:12:00:00 +0900",
        "GET",
        "/",
        "200",
        "777",
        "-",
        "Opera/12.0",
        "-",
    ];
    assert_eq!(fields, expected.map(Some));
    let rfc5424 = r"(?<host>[!-~]{1,255}) (?<extradata>(?:\-|(?:\[.*?(?<!\\)\])+))(?: (?<message>.+))?\z";
    let re = Regexp::new(rfc5424, RegexpFlags { multi_line: true, ..RegexpFlags::default() }).unwrap();
    assert_eq!(re.engine(), Engine::Backtracking);
    let captures = re.captures(br#"h [a b="\]"] hi"#).unwrap();
    assert_eq!(captures.name("extradata"), Some(&br#"[a b="\]"]"#[..]));
}
