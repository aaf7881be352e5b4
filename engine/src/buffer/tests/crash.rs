//! The power goes at any step: nothing acknowledged is lost, nothing is delivered twice.
//!
//! Two tailed files, a forward sender and somebody who does not look back emit into one buffer; an output delivers chunks to
//! a destination that knows chunk ids. After each power cut the inputs repeat what was not committed, as they would. At the
//! end each record of the tailed files and of the forward sender must have been delivered exactly once, and no other record
//! more than once.

use super::*;
use crate::delivery::{CommitError, FileIdentity};
use crate::io::sim::{Dice, SimClock, SimFs};
use crate::telemetry::Level;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes of an entry `[0, {"i": u32}]`, and of a line of the tailed files.
const ENTRY_BYTES: usize = 10;
const TAIL_RECORDS: u32 = 60;
const FORWARD_CHUNKS: u32 = 25;

type Pending = BoxFuture<'static, Result<(), CommitError>>;

struct Tail {
    file: FileIdentity,
    first: u32,
    /// Lines committed, lines emitted.
    position: u32,
    read: u32,
    waiting: Vec<(u32, Pending)>,
}

struct World {
    dice: Dice,
    tails: [Tail; 2],
    /// Forward chunks acknowledged; the next one may be on its way.
    acknowledged: u32,
    sent: Option<Pending>,
    arrival: u64,
    others: u32,
    delivered: HashMap<ChunkId, Vec<u32>>,
}

fn entry(number: u32) -> [u8; ENTRY_BYTES] {
    let [a, b, c, d] = number.to_be_bytes();
    [0x92, 0, 0x81, 0xa1, b'i', 0xce, a, b, c, d]
}

/// The parts of a run of records, by three tags.
fn parts(numbers: std::ops::Range<u32>) -> Vec<Part> {
    let mut bodies: [Vec<u8>; 3] = Default::default();
    for number in numbers {
        bodies[(number.wrapping_mul(2_654_435_761) >> 16) as usize % 3].extend(entry(number));
    }
    let part = |(tag, body): (&str, Vec<u8>)| {
        let metadata = Metadata { tag: Some(Tag::new(tag)), ..Metadata::default() };
        let count = body.len() / ENTRY_BYTES;
        Part::entries(metadata, body.into(), count)
    };
    ["a", "b", "c"].into_iter().zip(bodies).map(part).collect()
}

impl World {
    fn new(seed: u64) -> Self {
        let tail = |ino: u64| Tail {
            file: FileIdentity { dev: 1_000_000 + seed, ino, head: 1 },
            first: 1_000_000 * ino as u32,
            position: 0,
            read: 0,
            waiting: Vec::new(),
        };
        Self {
            dice: Dice(seed),
            tails: [tail(1), tail(2)],
            acknowledged: 0,
            sent: None,
            arrival: 0,
            others: 0,
            delivered: HashMap::new(),
        }
    }

    /// What inputs and output do at random.
    fn act(&mut self, buffer: &Buffer) {
        match self.dice.below(10) {
            0..3 => self.tail(buffer),
            3 | 4 => self.forward(buffer),
            5 => {
                let number = 9_000_000 + self.others;
                self.others += 1;
                let mut receipt = Receipt::unwatched();
                let batch = buffer.batch(parts(number..number + 1), &mut receipt);
                let _ = buffer.append(&batch, &mut receipt, false);
            }
            6 => {
                let odd = self.dice.roll();
                buffer.enqueue_where(|chunk| (chunk.id().0[15] as u64 ^ odd).is_multiple_of(2));
            }
            7 | 8 => self.deliver(buffer),
            _ => {
                buffer.settle();
            }
        }
    }

    fn tail(&mut self, buffer: &Buffer) {
        let enqueue = self.dice.once_in(5);
        let (which, length) = (self.dice.below(2) as usize, self.dice.below(8) as u32 + 1);
        let tail = &mut self.tails[which];
        while let Some((end, commit)) = tail.waiting.first_mut() {
            match commit.now_or_never() {
                None => break,
                Some(Ok(())) => {
                    tail.position = *end;
                    drop(tail.waiting.remove(0));
                }
                Some(Err(_)) => {
                    tail.read = tail.position;
                    tail.waiting.clear();
                }
            }
        }
        let start = tail.read;
        let mut end = (start + length).min(TAIL_RECORDS);
        for point in replay::cut_points(tail.file) {
            let line = (point / ENTRY_BYTES as u64) as u32;
            if (start + 1..end).contains(&line) {
                end = line;
            }
        }
        if start == end {
            return;
        }
        let origin = Origin::Tail { file: tail.file, end: u64::from(end) * ENTRY_BYTES as u64 };
        let mut receipt = match self.dice.once_in(2) {
            true => Receipt::patient(origin),
            false => Receipt::durable(origin),
        };
        let batch = buffer.batch(parts(tail.first + start..tail.first + end), &mut receipt);
        let result = buffer.append(&batch, &mut receipt, enqueue);
        trace(format_args!("tail {which} {start}..{end} {result:?}"));
        if result.is_ok() {
            tail.read = end;
            tail.waiting.push((end, receipt.committed().boxed()));
        }
    }

    fn forward(&mut self, buffer: &Buffer) {
        if let Some(commit) = &mut self.sent {
            match commit.now_or_never() {
                None => return,
                Some(Ok(())) => {
                    self.sent = None;
                    self.acknowledged += 1;
                    self.arrival += 1;
                    // Half of the acknowledgements get lost: it is sent again.
                    if self.dice.once_in(2) {
                        self.acknowledged -= 1;
                        self.arrival -= 1;
                    }
                }
                Some(Err(_)) => self.sent = None,
            }
        }
        if self.acknowledged == FORWARD_CHUNKS {
            return;
        }
        let chunk = self.acknowledged;
        let origin = Origin::Forward {
            chunk: chunk.to_be_bytes().to_vec().into(),
            peer: "sender".into(),
            arrival: self.arrival,
        };
        let mut receipt = Receipt::durable(origin);
        let first = 5_000_000 + chunk * 10;
        let batch = buffer.batch(parts(first..first + 3), &mut receipt);
        if buffer.append(&batch, &mut receipt, false).is_ok() {
            self.sent = Some(receipt.committed().boxed());
        }
    }

    fn deliver(&mut self, buffer: &Buffer) {
        let Some(chunk) = buffer.take() else { return };
        let Ok(bytes) = chunk.read() else { return };
        let numbers: Vec<u32> = bytes
            .chunks(ENTRY_BYTES)
            .map(|entry| u32::from_be_bytes(entry[6..].try_into().unwrap()))
            .collect();
        if self.dice.once_in(4) {
            buffer.rollback(chunk.id());
            return;
        }
        trace(format_args!("delivered {:?} {numbers:?}", chunk.id()));
        let known = self.delivered.entry(chunk.id()).or_insert_with(|| numbers.clone());
        assert_eq!(*known, numbers, "a chunk that is delivered again is the same chunk");
        buffer.purge(chunk.id());
    }

    /// The process is gone, and what it had in memory.
    fn crash(&mut self) {
        for tail in &mut self.tails {
            tail.waiting.clear();
            tail.read = tail.position;
        }
        self.sent = None;
        // in_forward cannot know that the next chunk is a re-send.
        self.arrival += 1_000_000;
    }

    fn is_done(&self) -> bool {
        self.acknowledged == FORWARD_CHUNKS && self.tails.iter().all(|tail| tail.position == TAIL_RECORDS)
    }

    fn check(&self, seed: u64, sync_fails: u64) {
        let mut times: HashMap<u32, u32> = HashMap::new();
        for number in self.delivered.values().flatten() {
            *times.entry(*number).or_default() += 1;
        }
        let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "({seed}, {sync_fails}) delivered more than once: {twice:?}");
        let tailed = self.tails.iter().flat_map(|tail| tail.first..tail.first + TAIL_RECORDS);
        let forwarded = (0..FORWARD_CHUNKS).flat_map(|chunk| {
            let first = 5_000_000 + chunk * 10;
            first..first + 3
        });
        let lost: Vec<u32> = tailed.chain(forwarded).filter(|number| !times.contains_key(number)).collect();
        assert!(lost.is_empty(), "({seed}, {sync_fails}) lost: {lost:?}");
    }
}

/// One life of the buffer, until the power goes or everything is done.
fn live(world: &mut World, fs: &SimFs, clock: &Arc<SimClock>, limits: Limits, until_done: bool) {
    let quiet = (!is_traced()).then_some(Level::Fatal);
    let environment = Environment {
        fs: Arc::new(fs.clone()),
        clock: clock.clone(),
        log: PluginLog::new(None, quiet),
        ..environment()
    };
    let settings = Settings { limits, ..file_settings(Path::new("/")) };
    let Ok(buffer) = Buffer::open(settings, environment) else {
        assert!(!until_done);
        return;
    };
    for tag in ["a", "b", "c"] {
        let state = buffer.shared().lock();
        let chunks = state.stage.values().chain(&state.queue);
        for chunk in chunks.filter(|chunk| chunk.metadata().tag == Some(Tag::new(tag))) {
            trace(format_args!("found {:?} {}", chunk.id(), chunk.records()));
        }
    }
    trace(format_args!("points {:?}", world.tails.each_ref().map(|tail| replay::cut_points(tail.file))));
    for _ in 0..if until_done { 5000 } else { 400 } {
        world.act(&buffer);
        if !until_done && !fs.has_power() {
            break;
        }
        if world.is_done() {
            break;
        }
    }
    if until_done {
        assert!(world.is_done());
        fs.fail_syncs(0);
        buffer.enqueue_all();
        assert!(buffer.settle());
        while buffer.has_queued() {
            world.deliver(&buffer);
            assert!(buffer.settle());
        }
        buffer.close();
    } else {
        kill(buffer);
    }
}

fn lives(seed: u64, sync_fails: u64, full: bool) {
    let mut world = World::new(seed);
    let clock = Arc::new(SimClock::new(seed));
    let mut fs = SimFs::new(seed);
    let limits = Limits { chunk_bytes: 150, ..Limits::FILE };
    for _ in 0..6 {
        fs.cut_after(world.dice.below(150));
        fs.fail_syncs(sync_fails);
        fs.set_space(if full { world.dice.below(20_000) } else { u64::MAX });
        live(&mut world, &fs, &clock, limits, false);
        let positions = world.tails.each_ref().map(|tail| tail.position);
        trace(format_args!("power cut; committed {positions:?} forward {}", world.acknowledged));
        world.crash();
        fs = fs.power_cut();
    }
    fs.set_space(u64::MAX);
    live(&mut world, &fs, &clock, limits, true);
    world.check(seed, sync_fails);
}

/// For [`one_seed`].
fn trace(what: std::fmt::Arguments<'_>) {
    if is_traced() {
        eprintln!("{what}");
    }
}

fn is_traced() -> bool {
    std::env::var_os("SEED").is_some()
}

/// [`lives`], saying which seed it was that failed.
fn named(seed: u64, sync_fails: u64, full: bool) {
    if let Err(panic) = std::panic::catch_unwind(|| lives(seed, sync_fails, full)) {
        eprintln!("failed: SEED={seed} SYNC_FAILS={sync_fails} FULL={}", u8::from(full));
        std::panic::resume_unwind(panic);
    }
}

/// How many seeds each test tries; `CRASH_SEEDS` for more.
fn seeds(first: u64) -> std::ops::Range<u64> {
    let count = std::env::var("CRASH_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(150);
    first..first + count
}

#[test]
fn a_power_cut_at_any_step_loses_and_repeats_nothing() {
    seeds(0).for_each(|seed| named(seed, 0, false));
}

#[test]
fn a_device_that_fails_to_sync_makes_no_difference() {
    // Seeds that failed once, and some more.
    [1007, 1015, 1073, 1_000_255, 1_000_886]
        .into_iter()
        .chain(seeds(1_000_000))
        .for_each(|seed| named(seed, 8, false));
}

#[test]
fn a_full_disk_makes_no_difference() {
    seeds(2_000_000).for_each(|seed| named(seed, 0, true));
}

#[test]
#[ignore = "for a developer: SEED=n SYNC_FAILS=n FULL=n"]
fn one_seed() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    lives(number("SEED"), number("SYNC_FAILS"), number("FULL") == 1);
}
