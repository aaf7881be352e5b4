//! An append fails, what it wrote may stay on the disk, and its input repeats it with more behind it: only one of them counts.

use super::*;

/// `calls` calls fail from the append on; then the power goes, before or after the buffer had time to mend what it can.
fn one(seed: u64, fault: Fault, calls: u64, mends: bool) -> Result<(), String> {
    let mut world = World::new(seed);
    world.tags = 1 + seed as usize % 3;
    let (clock, fs) = (Arc::new(SimClock::new(seed)), SimFs::new(seed));
    let buffer = Life { fs: &fs, clock: &clock, acts: 0 }.begin(&world).map_err(|error| error.to_string())?;
    world.tail(&buffer, 0, 2, false);
    buffer.settle();
    world.hear();
    fs.fail_calls(fault, 0, calls);
    world.tail(&buffer, 0, 2, false);
    world.forward(&buffer);
    fs.fail_calls(fault, 0, 0);
    world.tail(&buffer, 0, 7, false);
    world.forward(&buffer);
    if mends {
        buffer.settle();
        world.deliver(&buffer, false);
    }
    kill(buffer);
    world.crash();
    let fs = fs.power_cut();
    Life { fs: &fs, clock: &clock, acts: 5000 }.to_the_end(&mut world)?;
    world.check()
}

#[test]
fn of_an_append_that_failed_and_the_one_that_repeats_it_one_counts() {
    let cases: Vec<u64> = (0..1200).collect();
    let failed = run(&cases, |case| {
        let (seed, rest) = (case / 12, case % 12);
        let fault = [Fault::Io, Fault::Full][rest as usize % 2];
        let calls = [1, 2, 3][rest as usize / 2 % 3];
        one(seed, fault, calls, rest >= 6)
            .map_err(|what| format!("{fault:?}, {calls} calls, mends {}: {what}", rest >= 6))
    });
    assert!(failed.is_empty(), "{} of {}: {:?}", failed.len(), cases.len(), failed.first());
}
