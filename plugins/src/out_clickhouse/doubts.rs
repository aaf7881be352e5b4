//! Inserts that may have been stored although no server said so, and which servers may have them.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// The doubts of one chunk's inserts, between attempts.
#[derive(Debug, Default)]
pub(crate) struct Doubts {
    /// Any server may have any insert: an earlier process may have sent it.
    pub(crate) everything: bool,
    inserts: HashMap<String, Doubt>,
}

#[derive(Debug)]
struct Doubt {
    since: Instant,
    /// Servers to which it was sent without an answer that settles it, by URL.
    raised: HashSet<String>,
    /// Servers that are known not to have it.
    cleared: HashSet<String>,
}

impl Doubts {
    /// Whether `server` may have the insert.
    pub(crate) fn has(&self, token: &str, server: &str) -> bool {
        match self.inserts.get(token) {
            Some(doubt) => {
                doubt.raised.contains(server) || (self.everything && !doubt.cleared.contains(server))
            }
            None => self.everything,
        }
    }

    /// For how long it has been known that the insert may have been stored somewhere; `None` if it is known since now or
    /// not at all.
    pub(crate) fn age(&self, token: &str) -> Option<Duration> {
        let doubt = self.inserts.get(token).filter(|doubt| self.everything || !doubt.raised.is_empty());
        doubt.map(|doubt| doubt.since.elapsed())
    }

    /// The insert is about to be sent to `server`, or may have been.
    pub(crate) fn raise(&mut self, token: &str, server: &str) {
        self.of(token).raised.insert(server.to_owned());
    }

    /// `server` does not have the insert.
    pub(crate) fn clear(&mut self, token: &str, server: &str) {
        let everything = self.everything;
        let doubt = self.of(token);
        doubt.raised.remove(server);
        if everything {
            doubt.cleared.insert(server.to_owned());
        } else if doubt.raised.is_empty() {
            self.inserts.remove(token);
        }
    }

    /// The insert is stored: it is not sent again.
    pub(crate) fn settle(&mut self, token: &str) {
        self.inserts.remove(token);
    }

    fn of(&mut self, token: &str) -> &mut Doubt {
        self.inserts.entry(token.to_owned()).or_insert_with(|| Doubt {
            since: Instant::now(),
            raised: HashSet::new(),
            cleared: HashSet::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubt_is_about_the_servers_that_got_the_insert() {
        let mut doubts = Doubts::default();
        assert!(!doubts.has("t", "a") && doubts.age("t").is_none());
        doubts.raise("t", "a");
        assert!(doubts.has("t", "a") && !doubts.has("t", "b") && !doubts.has("u", "a"));
        doubts.raise("t", "b");
        doubts.clear("t", "a");
        assert!(!doubts.has("t", "a") && doubts.has("t", "b") && doubts.age("t").is_some());
        doubts.clear("t", "b");
        assert!(doubts.inserts.is_empty());
    }

    #[test]
    fn after_a_restart_each_server_may_have_each_insert_until_it_says_no() {
        let mut doubts = Doubts { everything: true, ..Doubts::default() };
        assert!(doubts.has("t", "a") && doubts.has("t", "b"));
        doubts.clear("t", "a");
        assert!(!doubts.has("t", "a") && doubts.has("t", "b") && doubts.has("u", "a"));
        doubts.raise("t", "a");
        assert!(doubts.has("t", "a"), "it was sent again");
    }
}
