//! What was promised, against what is there.

use std::collections::BTreeMap;
use std::fmt;

/// How many records each source was promised: its numbers from 0 on.
pub(crate) type Promised = BTreeMap<String, u64>;
/// A record that was found: its source and number.
pub(crate) type Found = (String, u64);

/// The difference, as ranges of numbers.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) missing: Vec<String>,
    pub(crate) repeated: Vec<String>,
    /// Nobody sent these.
    pub(crate) foreign: Vec<String>,
}

impl Account {
    /// Every record once, and no other.
    pub(crate) fn is_exact(&self) -> bool {
        self.is_complete() && self.repeated.is_empty()
    }

    /// Every record at least once, and no other.
    pub(crate) fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.foreign.is_empty()
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "missing {:?}, repeated {:?}, foreign {:?}", self.missing, self.repeated, self.foreign)
    }
}

/// Compares.
pub(crate) fn account(promised: &Promised, found: impl IntoIterator<Item = Found>) -> Account {
    let mut counts: BTreeMap<&str, Vec<u32>> =
        promised.iter().map(|(source, count)| (source.as_str(), vec![0; *count as usize])).collect();
    let mut account = Account::default();
    for (source, n) in found {
        match counts.get_mut(source.as_str()).and_then(|counts| counts.get_mut(n as usize)) {
            Some(count) => *count += 1,
            None => account.foreign.push(format!("{source} {n}")),
        }
    }
    for (source, counts) in counts {
        account.missing.extend(ranges(source, &counts, |count| count == 0));
        account.repeated.extend(ranges(source, &counts, |count| count > 1));
    }
    account
}

fn ranges(source: &str, counts: &[u32], is: impl Fn(u32) -> bool) -> Vec<String> {
    let mut ranges = Vec::new();
    let mut at = 0;
    while let Some(start) = (at..counts.len()).find(|n| is(counts[*n])) {
        at = (start..counts.len()).find(|n| !is(counts[*n])).unwrap_or(counts.len());
        ranges.push(format!("{source} {start}..{at}"));
    }
    ranges
}

#[test]
fn what_is_missing_repeated_and_foreign_is_named() {
    let promised = Promised::from([("a".to_owned(), 5), ("b".to_owned(), 2)]);
    let found = |numbers: &[u64]| numbers.iter().map(|n| ("a".to_owned(), *n)).collect::<Vec<_>>();
    let account =
        account(&promised, [found(&[0, 3, 3, 7]), vec![("b".to_owned(), 1), ("b".to_owned(), 0)]].concat());
    assert_eq!(account.missing, ["a 1..3", "a 4..5"]);
    assert_eq!(account.repeated, ["a 3..4"]);
    assert_eq!(account.foreign, ["a 7"]);
    assert!(!account.is_complete() && !account.is_exact());
}
