//! Named points at which a test ends the process, as a crash there would.
//!
//! `LOGWEIR_FAULT=frame-written:3` aborts the process on its third pass of `fault!("frame-written")`. Builds without debug
//! assertions, and so the released program, have no such points. `tests/whole/faults` passes each of them.

use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A point at which the process may be made to end; nothing in a release build. The second form first does what a crash
/// may leave half done.
#[macro_export]
macro_rules! fault {
    ($name:literal) => {
        #[cfg(debug_assertions)]
        if $crate::io::fault::is_due($name) {
            $crate::io::fault::end($name);
        }
    };
    ($name:literal, $half:expr) => {
        #[cfg(debug_assertions)]
        if $crate::io::fault::is_due($name) {
            let _ = $half;
            $crate::io::fault::end($name);
        }
    };
}

/// The point that ends this process, and how many passes are left.
struct Armed {
    name: String,
    left: AtomicU64,
}

/// Counts a pass of `name`; whether it is the one that ends the process.
pub fn is_due(name: &str) -> bool {
    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
    let armed = ARMED.get_or_init(|| std::env::var("LOGWEIR_FAULT").ok().and_then(|text| parse(&text)));
    armed.as_ref().is_some_and(|armed| armed.pass(name))
}

/// Ends the process without a chance to put anything in order.
pub fn end(name: &str) -> ! {
    // One write, or a line of the log may come between its parts.
    let _ = std::io::stderr().write_all(format!("ended by LOGWEIR_FAULT at {name}\n").as_bytes());
    std::process::abort()
}

impl Armed {
    fn pass(&self, name: &str) -> bool {
        self.name == name && self.left.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

fn parse(text: &str) -> Option<Armed> {
    let (name, passes) = text.split_once(':')?;
    let left = AtomicU64::new(passes.parse().ok()?);
    Some(Armed { name: name.to_owned(), left })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_that_pass_of_that_point_counts() {
        let armed = parse("frame-written:3").unwrap();
        let passes = ["frame-written", "frame-torn", "frame-written", "frame-written", "frame-written"];
        assert_eq!(passes.map(|name| armed.pass(name)), [false, false, false, true, false]);
        assert!(parse("frame-written").is_none() && parse("frame-written:often").is_none());
    }
}
