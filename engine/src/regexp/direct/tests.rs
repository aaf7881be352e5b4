use super::finder::Finder;
use super::set::{Bytes, CharSet};
use super::*;
use crate::regexp::class::set;
use crate::regexp::parse::parse;
use crate::regexp::{BacktrackLimit, Regexp, RegexpFlags, Spans, fuzz_direct};

const NGINX: &str = r#"^(?<remote>[^ ]*) (?<host>[^ ]*) (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^\"]*?)(?: +\S*)?)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>[^\"]*)" "(?<agent>[^\"]*)"(?:\s+\"?(?<http_x_forwarded_for>[^\"]*)\"?)?)?$"#;
const NGINX_LINE: &str = r#"93.184.216.34 - alice [28/Feb/2024:12:00:00 +0000] "GET /api/v1/items/12345?page=3 HTTP/1.1" 200 5316 "https://example.com/items" "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0""#;
const ESCAPES: &str = r#"^"(?<a>(?:[^\"]|\\")*)" "(?<b>(?:[^\"]|\\")*?)"$"#;

fn direct(pattern: &str) -> Option<Direct> {
    Direct::compile(&parse(pattern, RegexpFlags::default()).unwrap().node)
}

/// How many steps a search takes.
fn steps(pattern: &str, text: &str) -> usize {
    let direct = direct(pattern).unwrap();
    let enough =
        |steps: &usize| !matches!(direct.search_within(text, 0, &mut [None; 64], *steps), Outcome::GaveUp(_));
    (0..100_000).find(enough).unwrap()
}

#[test]
fn what_is_taken() {
    let taken = [
        NGINX,
        ESCAPES,
        r"\A(?:a|bc)+?\z",
        "^a++(?>b|c)(?=d)(?!e)(?<!f)$",
        r"(?<a>[[:alpha:]]{2,300}) \b(?i:k)?",
        "",
    ];
    for pattern in taken {
        assert!(direct(pattern).is_some(), "{pattern}");
    }
    let refused =
        [r"(a)\1", r"(?<a>x\g<a>?)", "(a)?(?(1)b|c)", r"a\Kb", r"\Ga", "(?<=ab)c", "(a*)*", "(?:a?|b)+"];
    for pattern in refused {
        assert!(direct(pattern).is_none(), "{pattern}");
    }
    assert!(direct(&"(?:ab){9}".repeat(60)).is_none(), "too many operations");
}

/// The speed is in what is not done: bytes of a run are not steps, and nothing is tried in vain.
#[test]
fn a_line_takes_few_steps() {
    assert!(steps(NGINX, NGINX_LINE) < 100, "{} steps", steps(NGINX, NGINX_LINE));
    let escapes = format!(r#""{}" "{}""#, "a".repeat(400) + r#"\"b"#, r#"c\"d"#.repeat(2));
    assert!(steps(ESCAPES, &escapes) < 200, "{} steps", steps(ESCAPES, &escapes));
    let last_word = format!("{} end", "word ".repeat(100));
    assert!(steps("^(.*) (.*)$", &last_word) < 150, "{} steps", steps("^(.*) (.*)$", &last_word));
}

/// Patterns that backtrack without end, and some that merely do so for long.
#[test]
fn no_text_makes_it_slow() {
    let many = |text: &str| text.repeat(3000);
    let cases = [
        ("^(?:a+)+b", many("a")),
        ("^(?:a|aa)+$", many("a") + "b"),
        ("^(?:x+x+)+y", many("x")),
        ("^(.*?,){11}P", many("1,") + "1"),
        ("^(.*)(.*)(.*)(.*)(.*)z", many("ab")),
        ("^(?:.*?a.*?)+?b$", many("a c")),
        ("(?<a>[^ ]*)(?<b> )x", many("ab")),
        ("(?:a+?b??)+?c", many("ab")),
        // Each round is a choice to come back to: memory has its limit, too.
        ("^(?:ab|a|b)*$", many("abab")),
    ];
    for (pattern, text) in cases {
        let compiled = direct(pattern).unwrap();
        let outcome = compiled.search(&text, 0, &mut [None; 32]);
        assert!(matches!(outcome, Outcome::GaveUp(_)), "{pattern}: {outcome:?}");
        let regexp = Regexp::new(pattern, RegexpFlags::default()).unwrap();
        let mut expected = Spans::new();
        expected.reset(regexp.groups());
        let is_found = regexp.inner.program.search_automaton(&text, 0, &mut expected).unwrap();
        let mut spans = Spans::new();
        assert_eq!(regexp.search(text.as_bytes(), 0, &mut spans), Ok(is_found), "{pattern}");
        if is_found {
            assert_eq!(spans.slots, expected.slots, "{pattern}");
        }
        assert_eq!(regexp.is_match(text.as_bytes()), is_found, "{pattern}");
    }
}

#[test]
fn other_engines_go_on_where_it_gave_up() {
    let text = "a".repeat(30) + "\n" + &"a".repeat(20) + "b";
    let compiled = direct("^(a+)+b").unwrap();
    assert_eq!(compiled.search_within(&text, 0, &mut [None; 4], 50), Outcome::GaveUp(0));
    let behind = "x\n".repeat(40) + &text;
    assert_eq!(compiled.search_within(&behind, 0, &mut [None; 4], 200), Outcome::GaveUp(80));
    // With atomic groups it is the backtracking engine, whose limit is the user's.
    let regexp = Regexp::new("^(?:(?>a)+a*)+c", RegexpFlags::default()).unwrap();
    let mut spans = Spans::new();
    assert_eq!(regexp.search("a".repeat(400).as_bytes(), 0, &mut spans), Err(BacktrackLimit));
}

#[test]
fn a_pattern_that_gives_up_often_is_left_alone_for_a_while() {
    let compiled = direct("^(?:a|aa)+$").unwrap();
    let (bad, good) = ("a".repeat(300) + "b", "aaa");
    assert_eq!(compiled.search(good, 0, &mut []), Outcome::Found);
    for _ in 0..GIVEN_UP_MAX / GIVING_UP {
        assert_eq!(compiled.search(&bad, 0, &mut []), Outcome::GaveUp(0));
    }
    assert_eq!(compiled.search(good, 0, &mut []), Outcome::GaveUp(0), "it is not tried");
    assert_eq!(compiled.search(good, 0, &mut []), Outcome::Found, "it is tried again");
}

#[test]
fn groups_are_those_of_the_last_way() {
    for (pattern, text) in [
        (r"^(?:(a)|b)*c", "abac"),
        (r"^(?:(a)x|(a)b)+", "abaxab"),
        (r"^(a(b)?)+?$", "aba"),
        (r"^(?=(a))(?!(b))(?>(a)|(ab))b", "ab"),
        (r"^(?!(a)b)a", "ac"),
        (r"(?<a>é+?)(?<b>[^x]*)x", "aéé漢x"),
        (r"^(?<a>\S*)(?<b>é.)", "aéééb"),
    ] {
        assert_eq!(
            fuzz_direct(pattern, &[text, "", "aa", text.trim_end_matches('c')], RegexpFlags::default()),
            4
        );
    }
}

#[test]
fn sets_of_characters() {
    let all = CharSet::new(&set(&[('a', 'c'), ('\u{80}', '\u{d7ff}'), ('\u{e000}', char::MAX)]));
    assert!(all.is_bytewise() && !all.is_ascii());
    let most = CharSet::new(&set(&[('\0', '\u{d7fe}'), ('\u{e000}', char::MAX)]));
    assert!(!most.is_bytewise());
    let ascii = CharSet::new(&set(&[('0', '9')]));
    assert!(ascii.is_bytewise() && ascii.is_ascii());
    let text = "a\u{d7ff}é7";
    let step = |set: &CharSet| [0, 1, 4, 6, 7].map(|at| set.step(text, at));
    assert_eq!(step(&all), [Some(1), Some(4), Some(6), None, None]);
    assert_eq!(step(&most), [Some(1), None, Some(6), Some(7), None]);
    assert_eq!(step(&ascii), [None, None, None, Some(7), None]);
    let behind = |set: &CharSet| [0, 1, 4, 6, 7].map(|at| set.is_behind(text, at));
    assert_eq!(behind(&all), [false, true, true, true, false]);
    assert_eq!(behind(&most), [false, true, false, true, true]);
    assert_eq!(behind(&ascii), [false, false, false, false, true]);
}

#[test]
fn finders() {
    for bytes in ["", " ", " x", " xy", " xyz"] {
        let mut set = Bytes::default();
        bytes.bytes().for_each(|byte| set.add(byte));
        let finder = Finder::new(set);
        for length in 0..70 {
            let text = "a".repeat(length);
            assert_eq!(finder.find(text.as_bytes()), length);
            for byte in bytes.chars() {
                assert_eq!(finder.find(format!("{text}{byte}a x").as_bytes()), length);
            }
        }
    }
}
