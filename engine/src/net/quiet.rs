//! Keeps the log readable, and the disk free, when peers send rubbish.

use crate::log_warn;
use crate::telemetry::PluginLog;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Log lines about bad input in each [`WINDOW`]: what peers send must not fill the disk with log.
const LINES_MAX: u32 = 50;
/// See [`LINES_MAX`].
const WINDOW: Duration = Duration::from_secs(10);

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
}

impl Default for Quiet {
    fn default() -> Self {
        Self { window: Mutex::new(Window { begin: Instant::now(), lines: 0, left_out: 0 }) }
    }
}

impl Quiet {
    /// Whether one more line may be logged now. Says how many were left out when the next window begins.
    pub fn allows(&self, log: &PluginLog) -> bool {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.begin.elapsed() >= WINDOW {
            let left_out = window.left_out;
            *window = Window { begin: Instant::now(), lines: 0, left_out: 0 };
            if left_out > 0 {
                log_warn!(log, "messages about bad input were left out of the log", count = left_out);
            }
        }
        if window.lines < LINES_MAX {
            window.lines += 1;
            return true;
        }
        window.left_out += 1;
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
}
