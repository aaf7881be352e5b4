//! Inserts that may have been stored although no server said so, and which servers may have them.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// The doubts of one chunk's inserts, between attempts.
#[derive(Debug, Default)]
pub(crate) struct Doubts {
    /// The chunk is older than this process, which does not know whether it was sent before. For tables that recognise repeated
    /// inserts that only counts in how late they come.
    pub(crate) is_of_before: bool,
    /// Which delivery of the chunk is under way, once it has begun.
    pub(crate) delivery: Option<u16>,
    /// Since when it is known that any server may have any insert: an earlier process may have sent it.
    earlier: Option<Instant>,
    inserts: HashMap<String, Doubt>,
}

#[derive(Debug)]
struct Doubt {
    since: Instant,
    /// Servers to which it was sent without an answer that settles it, by URL.
    raised: HashSet<String>,
    /// Servers that were found not to have it.
    cleared: HashSet<String>,
    /// Of how many deliveries of the chunk a server will not store any more what they have sent.
    over: HashMap<String, u16>,
}

impl Doubts {
    /// An earlier process, or this one before it forgot, may have sent any of the inserts to any server.
    pub(crate) fn doubt_everything(&mut self) {
        self.earlier.get_or_insert_with(Instant::now);
    }

    /// Whether `server` may have the insert.
    pub(crate) fn has(&self, token: &str, server: &str) -> bool {
        match self.inserts.get(token) {
            Some(doubt) => {
                doubt.raised.contains(server) || (self.earlier.is_some() && !doubt.cleared.contains(server))
            }
            None => self.earlier.is_some(),
        }
    }

    /// For how long it has been known that the insert may have been stored somewhere; `None` if it is known since now or
    /// not at all.
    pub(crate) fn age(&self, token: &str) -> Option<Duration> {
        let doubt =
            self.inserts.get(token).filter(|doubt| self.earlier.is_some() || !doubt.raised.is_empty());
        doubt.map(|doubt| doubt.since.elapsed())
    }

    /// For how long it has been known that a server may have something of the chunk; `None` if none has.
    pub(crate) fn oldest(&self) -> Option<Duration> {
        let raised = self.inserts.values().filter(|doubt| !doubt.raised.is_empty());
        raised.map(|doubt| doubt.since).chain(self.earlier).min().map(|since| since.elapsed())
    }

    /// The insert is about to be sent to `server` in this delivery, if deliveries are counted.
    pub(crate) fn set_out(&mut self, token: &str, server: &str, delivery: Option<u16>) {
        self.raise(token, server);
        if let Some(delivery) = delivery
            && let Some(over) = self.of(token).over.get_mut(server)
        {
            *over = (*over).min(delivery.saturating_sub(1));
        }
    }

    /// Whether it is known that `server` may have the insert of an attempt of this process.
    pub(crate) fn is_raised(&self, token: &str, server: &str) -> bool {
        self.inserts.get(token).is_some_and(|doubt| doubt.raised.contains(server))
    }

    /// The insert may have been sent to `server`.
    pub(crate) fn raise(&mut self, token: &str, server: &str) {
        let doubt = self.of(token);
        if doubt.raised.is_empty() && !doubt.cleared.is_empty() {
            doubt.since = Instant::now();
        }
        doubt.raised.insert(server.to_owned());
    }

    /// `server` does not have the insert, and will not store what the first `deliveries` deliveries have sent.
    pub(crate) fn clear(&mut self, token: &str, server: &str, deliveries: u16) {
        let doubt = self.of(token);
        doubt.raised.remove(server);
        doubt.cleared.insert(server.to_owned());
        doubt.over.insert(server.to_owned(), deliveries);
    }

    /// `server` has answered: whatever it stored of what the first `deliveries` deliveries have sent, it will store no more.
    pub(crate) fn end(&mut self, token: &str, server: &str, deliveries: u16) {
        self.of(token).over.insert(server.to_owned(), deliveries);
    }

    /// Of how many deliveries it is known that `server` will store no more of what they have sent of the insert.
    pub(crate) fn over(&self, token: &str, server: &str) -> u16 {
        self.inserts.get(token).and_then(|doubt| doubt.over.get(server)).copied().unwrap_or(0)
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
            over: HashMap::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubt_is_about_the_servers_that_got_the_insert() {
        let mut doubts = Doubts::default();
        assert!(!doubts.has("t", "a") && doubts.age("t").is_none() && doubts.oldest().is_none());
        doubts.raise("t", "a");
        assert!(doubts.has("t", "a") && !doubts.has("t", "b") && !doubts.has("u", "a"));
        doubts.raise("t", "b");
        doubts.clear("t", "a", 1);
        assert!(!doubts.has("t", "a") && doubts.has("t", "b") && doubts.age("t").is_some());
        assert!(doubts.oldest().is_some());
        doubts.clear("t", "b", 1);
        assert!(doubts.age("t").is_none() && doubts.oldest().is_none());
        assert_eq!((doubts.over("t", "a"), doubts.over("t", "c"), doubts.over("u", "a")), (1, 0, 0));
        doubts.set_out("t", "a", Some(2));
        assert_eq!(doubts.over("t", "a"), 1);
        doubts.end("t", "a", 2);
        assert!(doubts.has("t", "a"), "it was stored in part, perhaps");
        assert_eq!(doubts.over("t", "a"), 2);
        doubts.set_out("t", "a", Some(2));
        assert_eq!(doubts.over("t", "a"), 1, "once more in the same delivery");
    }

    #[test]
    fn after_a_restart_each_server_may_have_each_insert_until_it_says_no() {
        let mut doubts = Doubts::default();
        doubts.doubt_everything();
        assert!(doubts.has("t", "a") && doubts.has("t", "b") && doubts.oldest().is_some());
        doubts.clear("t", "a", 3);
        assert!(!doubts.has("t", "a") && doubts.has("t", "b") && doubts.has("u", "a"));
        doubts.raise("t", "a");
        assert!(doubts.has("t", "a"), "it was sent again");
        assert_eq!(doubts.over("t", "a"), 3, "what was sent before is still over");
    }
}
