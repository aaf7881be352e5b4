//! Instructions per record under callgrind, which are the same on a busy machine: a regression shows in them at once.
//!
//! Each kernel runs twice in a process of its own, with different numbers of rounds; the difference is what the records
//! cost, without the start of the process and what is done once.

use crate::kernels::{KERNELS, RECORDS};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Rounds of the two runs. The first rounds fill caches and grow buffers.
const ROUNDS: [usize; 2] = [2, 6];
/// More than this over the committed figure is a failure.
const REGRESSION: f64 = 0.05;

/// Counts all kernels and compares with the figures in `baseline`, or writes them there.
pub(crate) fn run(baseline: &Path, write: bool) -> Result<(), String> {
    let shown = baseline.display();
    let before: BTreeMap<String, f64> = match std::fs::read(baseline) {
        Ok(text) => serde_json::from_slice(&text).map_err(|e| format!("{shown}: {e}"))?,
        Err(_) if write => BTreeMap::new(),
        Err(error) => return Err(format!("{shown}: {error} (bench counts --write makes it)")),
    };
    let mut counted = BTreeMap::new();
    let mut worse = Vec::new();
    println!("{:<14} {:>20} {:>10} {:>8}", "kernel", "instructions/record", "committed", "change");
    for kernel in KERNELS {
        let count = (count(kernel.name)? * 10.0).round() / 10.0;
        let change = before.get(kernel.name).map(|old| count / old - 1.0);
        let old = before.get(kernel.name).map_or("-".to_owned(), |old| format!("{old:.1}"));
        let percent = change.map_or("-".to_owned(), |change| format!("{:+.1} %", change * 100.0));
        println!("{:<14} {count:>20.1} {old:>10} {percent:>8}   {}", kernel.name, kernel.about);
        if change.is_some_and(|change| change > REGRESSION) {
            worse.push(kernel.name);
        }
        counted.insert(kernel.name, count);
    }
    if write {
        let text = serde_json::to_string_pretty(&counted).unwrap_or_default() + "\n";
        return std::fs::write(baseline, text).map_err(|e| format!("{shown}: {e}"));
    }
    if worse.is_empty() {
        return Ok(());
    }
    Err(format!(
        "more than {:.0} % more instructions than in {shown}: {} (if that is meant: bench counts --write)",
        REGRESSION * 100.0,
        worse.join(", ")
    ))
}

fn count(kernel: &str) -> Result<f64, String> {
    let [few, many] = ROUNDS;
    let difference = instructions(kernel, many)? as f64 - instructions(kernel, few)? as f64;
    Ok(difference / ((many - few) * RECORDS) as f64)
}

/// Instructions of a run, start of the process and all.
fn instructions(kernel: &str, rounds: usize) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["kernel", kernel, &rounds.to_string()])
        .output()
        .map_err(|e| format!("valgrind: {e} (Debian: apt-get install valgrind)"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let count = text.lines().find_map(|line| line.split("Collected :").nth(1)?.trim().parse().ok());
    count.filter(|_| output.status.success()).ok_or_else(|| format!("{kernel} under valgrind failed: {text}"))
}
