//! All short traces, all power cuts in them, all states that may be found afterwards.
//!
//! A trace is a sequence of the six [`Op`]s, in which each input waits for its commit before it goes on, as long as it changes the disk in at most [`STEPS`] steps (a write, a sync, a
//! new name, ...). Each is cut at each step of its last operation (earlier ones are those of shorter traces), and for each cut
//! the buffer is started once on each state that the contract of [`Fs`] allows ([`SimFs::each_power_cut`]). Then the inputs
//! repeat what was not committed to them, and everything must be delivered once.

use super::*;

/// Steps of a trace. `CRASH_STEPS` for another number; each one more takes some four times as long.
const STEPS: u64 = 12;

#[derive(Clone, Copy, Debug)]
enum Op {
    /// A line of a tailed file: one frame.
    Line,
    /// A forward chunk of two tags: an append of two parts.
    Forward,
    /// Everything is synced, and what was delivered removed.
    Settle,
    /// All staged chunks are queued.
    Enqueue,
    /// A chunk is taken, that its delivery begins is noted, and it is put back.
    Note,
    /// A chunk is taken, written and purged.
    Deliver,
}

const OPS: [Op; 6] = [Op::Line, Op::Forward, Op::Settle, Op::Enqueue, Op::Note, Op::Deliver];

#[derive(Debug, Default)]
struct Counts {
    traces: u64,
    cuts: u64,
    /// States after power cuts, and how many of them are different.
    states: u64,
    distinct: u64,
}

/// A trace that was performed.
struct Performed {
    world: World,
    fs: SimFs,
    /// Steps before and after the last operation.
    steps: (u64, u64),
    /// Whether the last operation did anything.
    is_new: bool,
}

fn life<'a>(fs: &'a SimFs, clock: &'a Arc<SimClock>) -> Life<'a> {
    Life { fs, clock, acts: 0 }
}

fn perform(trace: &[Op], cut: Option<u64>) -> Performed {
    let (mut world, clock, fs) = (World::new(3), Arc::new(SimClock::new(3)), SimFs::new(3));
    (world.records, world.forward_chunks, world.tags, world.notes) = (6, 2, 2, false);
    let buffer = life(&fs, &clock).begin(&world).unwrap();
    assert!(buffer.settle());
    let begin = fs.steps();
    fs.cut_after(cut.unwrap_or(u64::MAX));
    let (mut before, mut known) = (0, 0);
    for op in trace {
        (before, known) = (fs.steps() - begin, world.delivered_chunks());
        match op {
            Op::Line if world.tails[0].read > world.tails[0].position => {}
            Op::Line => world.tail(&buffer, 0, 1, false),
            Op::Forward => world.forward(&buffer),
            Op::Settle => {
                buffer.settle();
            }
            Op::Enqueue => buffer.enqueue_all(),
            Op::Note => world.note(&buffer),
            Op::Deliver => world.deliver(&buffer, false),
        }
        world.hear();
    }
    let steps = (before, fs.steps() - begin);
    kill(buffer);
    let is_new = steps.0 < steps.1 || known < world.delivered_chunks();
    Performed { world, fs, steps, is_new }
}

/// Starts on one state and lets everything come to its end.
fn recover(world: &World, fs: &SimFs) -> Result<(), String> {
    let mut world = world.after_crash();
    let clock = Arc::new(SimClock::new(4));
    let buffer = life(fs, &clock).begin(&world).map_err(|error| error.to_string())?;
    for _ in 0..100 {
        world.tail(&buffer, 0, 9, false);
        world.tail(&buffer, 1, 9, false);
        world.forward(&buffer);
        buffer.settle();
        world.hear();
        if world.is_done() {
            break;
        }
    }
    if !world.is_done() {
        return Err(format!("it does not come to an end: {}", world.progress()));
    }
    life(fs, &clock).drain(&mut world, &buffer)?;
    kill(buffer);
    world.check()
}

/// The trace and all that begin with it and have at most so many operations.
fn explore(trace: &mut Vec<Op>, steps_max: u64, ops_max: usize, counts: &mut Counts) -> Result<(), String> {
    let performed = perform(trace, None);
    if !performed.is_new {
        return Ok(());
    }
    counts.traces += 1;
    let (before, after) = performed.steps;
    for cut in before + 1..=after.min(steps_max) {
        let Performed { world, fs, .. } = perform(trace, Some(cut));
        counts.cuts += 1;
        let mut wrong = None;
        counts.states += fs.each_power_cut(|state| {
            counts.distinct += 1;
            if wrong.is_none()
                && let Err(what) = recover(&world, &state)
            {
                wrong = Some(what);
            }
        });
        if let Some(what) = wrong {
            return Err(format!("{trace:?} cut at step {cut}: {what}"));
        }
    }
    if after < steps_max && trace.len() < ops_max {
        for op in OPS {
            trace.push(op);
            explore(trace, steps_max, ops_max, counts)?;
            trace.pop();
        }
    }
    Ok(())
}

#[test]
fn every_state_after_every_short_trace_is_recovered() {
    let steps = number("CRASH_STEPS").unwrap_or(STEPS);
    let starts: Vec<u64> = (0..OPS.len() as u64 * OPS.len() as u64).collect();
    let totals = Mutex::new(Counts::default());
    // Traces of one operation come last, all others in the threads.
    let failed = run(&starts, |start| {
        let (first, second) = (OPS[start as usize / OPS.len()], OPS[start as usize % OPS.len()]);
        if !perform(&[first], None).is_new {
            return Ok(());
        }
        let mut counts = Counts::default();
        let result = explore(&mut vec![first, second], steps, usize::MAX, &mut counts);
        let mut totals = totals.lock().unwrap();
        totals.traces += counts.traces;
        totals.cuts += counts.cuts;
        totals.states += counts.states;
        totals.distinct += counts.distinct;
        result
    });
    assert!(failed.is_empty(), "{failed:#?}");
    let mut totals = totals.into_inner().unwrap();
    for op in OPS {
        explore(&mut vec![op], steps, 1, &mut totals).unwrap();
    }
    eprintln!("{totals:?}");
    assert!(totals.traces > 500 && totals.distinct > 10_000, "{totals:?}");
}
