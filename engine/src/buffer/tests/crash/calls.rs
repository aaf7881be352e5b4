//! Each call of the file system fails once, in each way: nothing is acknowledged that is not safe, and the buffer recovers.

use super::*;
use crate::io::sim::FAULTS;

/// Calls that fail in their turn.
const CALLS: u64 = 200;

/// Call number `call` of the first life fails, and `count` - 1 calls after it. Then the power goes, at once or later, and
/// nothing survives that was not synced.
fn one(fault: Fault, call: u64, count: u64, goes_on: u64) -> Result<(), String> {
    // Always the same acts up to the call.
    let mut world = World::new(7);
    let clock = Arc::new(SimClock::new(7));
    let fs = SimFs::new(7);
    fs.fail_calls(fault, call, count);
    if let Ok(buffer) = (Life { fs: &fs, clock: &clock, acts: 0 }).begin(&world) {
        for _ in 0..2000 {
            if fs.calls() >= call + count + goes_on || world.is_done() {
                break;
            }
            world.act(&buffer);
        }
        kill(buffer);
    }
    world.crash();
    let fs = fs.power_cut_keeping_nothing();
    Life { fs: &fs, clock: &clock, acts: 5000 }.to_the_end(&mut world)?;
    world.check()
}

#[test]
fn a_call_that_fails_is_no_loss_and_no_repetition() {
    let cases: Vec<u64> = (0..CALLS * FAULTS.len() as u64 * 4).collect();
    let failed = run(&cases, one_case);
    assert!(failed.is_empty(), "{failed:?}");
}

fn one_case(case: u64) -> Result<(), String> {
    let (call, rest) = (case % CALLS, case / CALLS);
    let fault = FAULTS[rest as usize % FAULTS.len()];
    let (count, goes_on) = [(1, 0), (1, 60), (25, 0), (25, 60)][rest as usize / FAULTS.len()];
    one(fault, call, count, goes_on)
        .map_err(|what| format!("{fault:?}, {count} calls from {call} on: {what}"))
}

#[test]
#[ignore = "for a developer: SEED=n, with the number that the test says"]
fn one_call() {
    one_case(number("SEED").unwrap_or(0)).unwrap();
}

/// While the device refuses, what is written is refused or not committed; afterwards the same buffer works again.
#[test]
fn after_a_failure_the_same_process_goes_on() {
    let cases: Vec<u64> = (0..CALLS * FAULTS.len() as u64).collect();
    let failed = run(&cases, |case| {
        let fault = FAULTS[(case / CALLS) as usize];
        let (mut world, clock, fs) = (World::new(9), Arc::new(SimClock::new(9)), SimFs::new(9));
        let life = Life { fs: &fs, clock: &clock, acts: 5000 };
        let buffer = life.begin(&world).map_err(|error| error.to_string())?;
        fs.fail_calls(fault, case % CALLS, 10);
        for _ in 0..5000 {
            if world.is_done() {
                break;
            }
            world.act(&buffer);
        }
        if !world.is_done() {
            return Err(format!("{fault:?}: it does not come to an end: {}", world.progress()));
        }
        life.drain(&mut world, &buffer).map_err(|what| format!("{fault:?}: {what}"))?;
        kill(buffer);
        world.check().map_err(|what| format!("{fault:?} from call {} on: {what}", case % CALLS))
    });
    assert!(failed.is_empty(), "{failed:?}");
}
