//! Names of chunk files without a configuration that says what they begin and end with.

use crate::buffer::files::{ChunkName, parse_id};
use crate::buffer::{ChunkId, ChunkState, SingleKey};
use std::ffi::OsString;

/// What the name of a file says, if it is that of a chunk.
pub(super) struct Guess<'a> {
    pub(super) prefix: &'a str,
    pub(super) suffix: &'a str,
    pub(super) single: Option<SingleKey>,
}

/// Fewer digits than Fluentd 0.12 writes are no id.
const DIGITS_MIN: usize = 12;
const DIGITS_MAX: usize = 32;

/// Takes apart `PREFIX.[KEY.]{b|q}ID[SUFFIX]`. Where a prefix ends and a key begins is only known of `buffer` and of
/// `fsb`, which are what names begin with unless `path` says something else.
pub(super) fn guess(name: &str) -> Option<Guess<'_>> {
    if name.starts_with('.') || name.ends_with(".meta") {
        return None;
    }
    let mut end = name.len();
    while let Some(dot) = name[..end].rfind('.') {
        if is_state_and_id(&name[dot + 1..end]) {
            let (before, suffix) = (&name[..dot], &name[end..]);
            return Some(match before.split_once('.').map_or(before, |(first, _)| first) {
                "fsb" if suffix == ".buf" && before.len() > 3 => {
                    Guess { prefix: "fsb", suffix, single: Some(SingleKey::Tag) }
                }
                "buffer" => Guess { prefix: "buffer", suffix, single: None },
                _ => Guess { prefix: before, suffix, single: None },
            });
        }
        end = dot;
    }
    None
}

/// The prefix of a name, by the lock file of its buffer (`.PREFIXSUFFIX.lock`) if that is among `beside`: of
/// `x.KEY.bID.buf` it tells that the key is none of the prefix.
pub(super) fn prefix_by_lock<'a>(guess: &Guess<'a>, beside: &[OsString]) -> &'a str {
    let locked = |name: &OsString| {
        let prefix = name.to_str()?.strip_prefix('.')?.strip_suffix(".lock")?.strip_suffix(guess.suffix)?;
        let rest = guess.prefix.strip_prefix(prefix)?;
        (rest.is_empty() || rest.starts_with('.')).then_some(prefix.len())
    };
    let longest = beside.iter().filter_map(locked).max();
    longest.map_or(guess.prefix, |length| &guess.prefix[..length])
}

/// The id that is somewhere in a name, as in those of the backup directory (`ID.log`, `ID.damaged`).
pub(super) fn any_id(name: &str) -> Option<ChunkName> {
    let ids = name.split('.').filter_map(ChunkId::from_hex);
    ids.map(|id| ChunkName { state: ChunkState::Queued, id, key: String::new() }).next()
}

fn is_state_and_id(word: &str) -> bool {
    let digits = word.strip_prefix(['b', 'q']).unwrap_or_default();
    (DIGITS_MIN..=DIGITS_MAX).contains(&digits.len()) && parse_id(digits).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "660ea087c069c0156a206a7dfc7d9983";

    #[test]
    fn names_of_chunks_are_told_from_others() {
        for (name, expected) in [
            (format!("buffer.b{HEX}.log"), Some(("buffer", ".log", false))),
            (format!("buffer.q{HEX}"), Some(("buffer", "", false))),
            (format!("x.y.q{HEX}.a.buf"), Some(("x.y", ".a.buf", false))),
            (format!("fsb.app.log.b{HEX}.buf"), Some(("fsb", ".buf", true))),
            (format!("fsb..b{HEX}.buf"), Some(("fsb", ".buf", true))),
            ("buffer.20240102.q513b61c9791029c2.log".to_owned(), Some(("buffer", ".log", false))),
            (format!("buffer.b{HEX}.log.meta"), None),
            (format!(".buffer.b{HEX}.log.new"), None),
            (format!("buffer.c{HEX}.log"), None),
            ("a.b.log".to_owned(), None),
            ("backup.bad.log".to_owned(), None),
        ] {
            let found = guess(&name).map(|found| (found.prefix, found.suffix, found.single.is_some()));
            assert_eq!(found, expected, "{name}");
        }
        for name in [format!("{HEX}.log"), format!("{HEX}.61-118.damaged")] {
            assert_eq!(any_id(&name).unwrap().id.hex(), HEX, "{name}");
        }
        assert!(any_id("app.log").is_none());
    }

    #[test]
    fn a_lock_file_tells_a_prefix_from_a_key() {
        let name = format!("x.y.app.b{HEX}.buf");
        let prefix = |locks: &[&str]| {
            let beside: Vec<OsString> = locks.iter().map(OsString::from).collect();
            prefix_by_lock(&guess(&name).unwrap(), &beside).to_owned()
        };
        assert_eq!(prefix(&[]), "x.y.app");
        assert_eq!(prefix(&[".x.buf.lock", ".z.buf.lock", "x.y.app.buf.lock"]), "x");
        assert_eq!(prefix(&[".x.buf.lock", ".x.y.buf.lock"]), "x.y");
        assert_eq!(prefix(&[".x.y.ap.buf.lock", ".x.y.log.lock"]), "x.y.app");
    }
}
