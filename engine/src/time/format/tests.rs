use super::*;

fn written(format: &str, sec: i64, nsec: u32, zone: &str) -> String {
    let zone = if zone == "UTC" { Zone::UTC } else { Zone::parse(zone).unwrap() };
    TimeFormat::new(format).format_to_string(EventTime { sec, nsec }, &zone)
}

/// What Ruby 3.1 answers for 2023-11-04 09:08:07.123456789 and a zone.
#[test]
fn as_ruby_formats() {
    let cases = include_str!("cases.tsv");
    let mut count = 0;
    let mut wrong = Vec::new();
    for line in cases.lines() {
        let mut columns = line.split('\t');
        let mut next = || columns.next().unwrap();
        let (sec, nsec, zone, source, expected) = (next(), next(), next(), next(), next());
        let expected = expected.replace("\\n", "\n").replace("\\t", "\t");
        let given = written(source, sec.parse().unwrap(), nsec.parse().unwrap(), zone);
        if given != expected {
            wrong.push(format!("{source} of {sec}.{nsec} in {zone}: {given:?}, Ruby: {expected:?}"));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 200);
}

#[test]
fn the_local_zone_has_a_name() {
    let time = EventTime::from_secs(1_700_000_000);
    let local = TimeFormat::new("%Z").format_to_string(time, &Zone::local());
    assert!(!local.is_empty());
}

#[test]
fn directives_are_found_inside_of_others() {
    assert!(TimeFormat::new("a%Tb").has("S"));
    assert!(!TimeFormat::new("%Y%m%d").has("HMS"));
}

#[test]
fn a_huge_width_is_cut() {
    assert_eq!(written("%99999999999999999999d", 0, 0, "UTC").len(), WIDTH_MAX);
}
