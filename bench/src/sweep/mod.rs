//! Sweeps: one thing grows from step to step, everything else stays the same. What should be flat is seen to be flat, or not.

mod buffered;
mod files;
mod forward;
mod points;
mod stand;

use crate::arguments::Options;
pub(crate) use points::{Points, Swept};
use std::fs;

/// One of them.
struct Sweep {
    name: &'static str,
    title: &'static str,
    /// What grows.
    x: &'static str,
    run: fn(&Options, &[String], &mut Points) -> Result<(), String>,
}

const SWEEPS: &[Sweep] = &[
    Sweep {
        name: "connections",
        title: "Connections (PackedForward, 100 records a message, ack)",
        x: "connections",
        run: forward::connections,
    },
    Sweep {
        name: "tags",
        title: "Distinct tags (PackedForward, 10 records a message, ack; the tags come in turns)",
        x: "tags",
        run: forward::tags,
    },
    Sweep {
        name: "record-size",
        title: "Record sizes (as MessagePack; forward messages of 290 kB)",
        x: "bytes of a record",
        run: forward::record_size,
    },
    Sweep { name: "files", title: "Tailed files (JSON lines -> null)", x: "files", run: files::files },
    Sweep {
        name: "buffered",
        title: "Buffered bytes (PackedForward, ack -> file buffer, synced; the destination is down)",
        x: "GB in the buffer",
        run: buffered::buffered,
    },
];

/// Names of all.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    SWEEPS.iter().map(|sweep| sweep.name)
}

/// Runs those that `options` name, and prints each step.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    for name in &options.sweeps {
        if !names().any(|known| known == name) {
            let known: Vec<_> = names().collect();
            return Err(format!("no sweep is called {name}; there are {}", known.join(", ")));
        }
    }
    let logweir = fs::canonicalize(&options.logweir)
        .map_err(|e| format!("{}: {e} (cargo build --release)", options.logweir.display()))?;
    let command = [logweir.display().to_string(), "-q".to_owned(), "-c".to_owned()];
    let mut all = Vec::new();
    for sweep in SWEEPS.iter().filter(|sweep| options.sweeps.iter().any(|name| name == sweep.name)) {
        println!("\n{}", sweep.title);
        let mut points = Points::new(sweep.x);
        (sweep.run)(options, &command, &mut points)?;
        all.push(points.into_swept(sweep.name, sweep.title));
        if let Some(path) = &options.json {
            fs::write(path, points::json(&all)).map_err(|e| format!("{}: {e}", path.display()))?;
        }
    }
    Ok(())
}
