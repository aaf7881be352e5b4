//! The power goes at any step: nothing acknowledged is lost, nothing is delivered twice.
//!
//! | module | traces | power cuts |
//! |---|---|---|
//! | here | by chance, from a seed | by chance, several in a row, also in the middle of recovery |
//! | [`exhaustive`] | all short ones | at every step, every state that may be found |
//! | [`calls`] | one | after each call that fails in each way |
//! | [`repeated`] | an append that fails and is repeated with more | by chance |
//! | [`backups`] | a start that finds damage | at every step, every state that may be found |
//! | [`unread`] | as here, but files cannot be read at the start | the same; what comes twice is no failure there |
//! | [`checker`] | by chance, on a file system that lies | the check must notice |
//!
//! `make crash SEEDS=n` runs more seeds. One that fails is printed and written to `seeds.txt`, which every run repeats.

mod backups;
mod calls;
mod checker;
mod exhaustive;
mod repeated;
mod unread;
mod world;

use super::*;
use crate::io::sim::{Choices, Dice, Fault, Lie, SimClock, SimFs};
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use world::{Life, World, trace};

/// Seeds of a run; `CRASH_SEEDS` for more.
const SEEDS: u64 = 2000;
/// Seeds that failed once, one a line; what follows a `#` says why.
const PINNED: &str = include_str!("../seeds.txt");

/// Six lives that end with a power cut, and a last one in which everything must be delivered.
fn lives(seed: u64, lie: Option<Lie>) -> Result<(), String> {
    lives_of(World::new(seed), seed, lie, |_, _| {})
}

/// The same, with `trouble` before each start but the last one.
fn lives_of(
    mut world: World,
    seed: u64,
    lie: Option<Lie>,
    trouble: impl Fn(&SimFs, &mut Dice),
) -> Result<(), String> {
    let clock = Arc::new(SimClock::new(seed));
    let mut fs = SimFs::new(seed);
    if let Some(lie) = lie {
        fs.lie(lie);
    }
    for _ in 0..6 {
        fs.cut_after(world.dice.below(150));
        // Which kind of trouble there is is a matter of the seed, so that each has its share.
        match seed % 4 {
            1 => fs.fail_syncs(8),
            2 => fs.set_space(world.dice.below(20_000)),
            3 => {
                let fault = [Fault::TooManyFiles, Fault::Full][world.dice.below(2) as usize];
                fs.fail_calls(fault, world.dice.below(200), 1 + world.dice.below(30));
            }
            _ => {}
        }
        trouble(&fs, &mut world.dice);
        let life = Life { fs: &fs, clock: &clock, acts: 400 };
        life.until_power_cut(&mut world, |dice| {
            // Not before: see [`unread`].
            if seed % 8 == 3 {
                fs.fail_calls(Fault::Io, dice.below(200), 1 + dice.below(30));
            }
        });
        trace(format_args!("power cut; {}", world.progress()));
        world.crash();
        fs = fs.power_cut();
    }
    Life { fs: &fs, clock: &clock, acts: 5000 }.to_the_end(&mut world)?;
    world.check()
}

/// Runs seeds on all cores; answers what went wrong, by seed.
pub(super) fn run(seeds: &[u64], one: impl Fn(u64) -> Result<(), String> + Sync) -> Vec<(u64, String)> {
    let (next, failed) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| one(*seed)));
                    if let Err(what) = result.unwrap_or_else(|_| Err("a panic".to_owned())) {
                        eprintln!("failed: SEED={seed}: {what}");
                        failed.lock().unwrap().push((*seed, what));
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort();
    failed
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn a_power_cut_at_any_step_loses_and_repeats_nothing() {
    let (first, count) = (number("CRASH_FIRST").unwrap_or(0), number("CRASH_SEEDS").unwrap_or(SEEDS));
    let pinned = PINNED.lines().filter_map(|line| line.split('#').next()?.trim().parse().ok());
    let seeds: Vec<u64> = pinned.chain(first..first + count).collect();
    let failed = run(&seeds, |seed| lives(seed, None));
    if number("CRASH_SEEDS").is_some() {
        pin(&failed);
    }
    assert!(failed.is_empty(), "{} of {} seeds: {failed:?}", failed.len(), seeds.len());
}

/// Writes seeds that failed to the file, so that every run repeats them from now on.
fn pin(failed: &[(u64, String)]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/buffer/tests/seeds.txt");
    let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    for (seed, what) in failed {
        writeln!(file, "{seed} # {}", what.split('\n').next().unwrap_or_default()).unwrap();
    }
}

#[test]
#[ignore = "for a developer: SEED=n"]
fn one_seed() {
    lives(number("SEED").unwrap_or(0), None).unwrap();
}
