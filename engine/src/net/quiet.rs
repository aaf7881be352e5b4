//! Keeps the log readable, and the disk free, when peers send rubbish.

use crate::log_warn;
use crate::telemetry::PluginLog;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Log lines about bad input in each [`WINDOW`]: what peers send must not fill the disk with log.
const LINES_MAX: u32 = 50;
/// See [`LINES_MAX`].
const WINDOW: Duration = Duration::from_secs(10);
/// The same complaint about the same peer is not repeated sooner.
const REPEAT_AFTER: Duration = Duration::from_secs(60);
/// Complaints that are remembered; beyond, only [`LINES_MAX`] holds.
const COMPLAINTS_MAX: usize = 4096;

/// Decides whether a line about bad input may be logged.
#[derive(Debug)]
pub struct Quiet {
    window: Mutex<Window>,
}

#[derive(Debug)]
struct Window {
    begin: Instant,
    lines: u32,
    left_out: u64,
    complaints: HashMap<(IpAddr, &'static str), Complaint>,
}

#[derive(Debug)]
struct Complaint {
    logged: Instant,
    repeated: u64,
}

impl Default for Quiet {
    fn default() -> Self {
        let window = Window { begin: Instant::now(), lines: 0, left_out: 0, complaints: HashMap::new() };
        Self { window: Mutex::new(window) }
    }
}

impl Quiet {
    /// Whether one more line may be logged now. Says how many were left out when the next window begins.
    pub fn allows(&self, log: &PluginLog) -> bool {
        self.window.lock().unwrap_or_else(PoisonError::into_inner).allows(log)
    }

    /// The same for a line about `peer`; `what` is the same for all lines that say the same. The first is logged, then
    /// one a minute, and before that how often it happened in between.
    pub fn allows_about(&self, log: &PluginLog, peer: IpAddr, what: &'static str) -> bool {
        let peer = peer.to_canonical();
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(complaint) = window.complaints.get_mut(&(peer, what)) {
            if now.duration_since(complaint.logged) < REPEAT_AFTER {
                complaint.repeated += 1;
                return false;
            }
            let repeated = complaint.repeated;
            *complaint = Complaint { logged: now, repeated: 0 };
            if repeated > 0 && window.allows(log) {
                log_warn!(
                    log,
                    "this peer did the same again in the last minutes",
                    host = peer.to_string(),
                    what = what,
                    count = repeated
                );
            }
            return window.allows(log);
        }
        if window.complaints.len() >= COMPLAINTS_MAX {
            window.complaints.retain(|_, complaint| now.duration_since(complaint.logged) < REPEAT_AFTER);
        }
        let allowed = window.allows(log);
        if allowed && window.complaints.len() < COMPLAINTS_MAX {
            window.complaints.insert((peer, what), Complaint { logged: now, repeated: 0 });
        }
        allowed
    }
}

impl Window {
    fn allows(&mut self, log: &PluginLog) -> bool {
        if self.begin.elapsed() >= WINDOW {
            let left_out = std::mem::take(&mut self.left_out);
            (self.begin, self.lines) = (Instant::now(), 0);
            if left_out > 0 {
                log_warn!(log, "messages about bad input were left out of the log", count = left_out);
            }
        }
        if self.lines < LINES_MAX {
            self.lines += 1;
            return true;
        }
        self.left_out += 1;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_lines_is_cut() {
        let quiet = Quiet::default();
        let log = PluginLog::program();
        let logged = (0..10_000).filter(|_| quiet.allows(&log)).count();
        assert_eq!(logged, LINES_MAX as usize);
        quiet.window.lock().unwrap().begin = Instant::now().checked_sub(WINDOW).unwrap();
        assert!(quiet.allows(&log));
    }

    #[test]
    fn a_peer_is_named_once_for_each_thing_that_it_does() {
        let quiet = Quiet::default();
        let log = PluginLog::program();
        let peer = |last: u8| IpAddr::from([10, 0, 0, last]);
        let about = |peer, what| (0..1000).filter(|_| quiet.allows_about(&log, peer, what)).count();
        assert_eq!(about(peer(1), "garbage"), 1);
        assert_eq!(about(peer(1), "a bomb"), 1);
        assert_eq!(about("::ffff:10.0.0.1".parse().unwrap(), "a bomb"), 0, "the same peer");
        assert_eq!(about(peer(2), "garbage"), 1);
        let total = (3..=255).filter(|last| quiet.allows_about(&log, peer(*last), "garbage")).count();
        assert_eq!(total, LINES_MAX as usize - 3, "many peers do not fill the log either");
    }
}
