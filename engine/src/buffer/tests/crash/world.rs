//! What inputs and an output do around a buffer, and what they know afterwards.
//!
//! Two tailed files, a forward sender and somebody who does not look back emit into one buffer; an output delivers chunks to
//! a destination that knows chunk ids. After each power cut the inputs repeat what was not committed, as they would. At the
//! end each record of the tailed files and of the forward sender must have been delivered exactly once, and no other record
//! more than once.

use super::*;
use crate::delivery::{CommitError, FileIdentity};
use crate::telemetry::Level;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::collections::HashMap;

/// Bytes of an entry `[0, {"i": u32}]`, and of a line of the tailed files.
const ENTRY_BYTES: usize = 10;
const TAIL_RECORDS: u32 = 60;
const FORWARD_CHUNKS: u32 = 25;
/// Uses of an id after a restart have numbers of their own.
const ARRIVALS: u64 = 1_000_000;
/// No two worlds have a tailed file in common: buffers of one process share what they know of those.
static WORLDS: AtomicU64 = AtomicU64::new(1_000_000);

type Pending = BoxFuture<'static, Result<(), CommitError>>;

pub(super) struct Tail {
    file: FileIdentity,
    first: u32,
    /// Lines committed, lines emitted.
    pub(super) position: u32,
    pub(super) read: u32,
    waiting: Vec<(u32, Pending)>,
}

pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) tails: [Tail; 2],
    /// How many records each file has, and how many chunks the sender.
    pub(super) records: u32,
    pub(super) forward_chunks: u32,
    /// How many tags there are.
    pub(super) tags: usize,
    /// Whether the output notes some of the deliveries that it begins.
    pub(super) notes: bool,
    /// Whether it is no failure if something is delivered more than once, or a chunk with other contents than before.
    pub(super) may_repeat: bool,
    /// Forward chunks acknowledged; the next one may be on its way.
    pub(super) acknowledged: u32,
    sent: Option<Pending>,
    arrival: u64,
    others: u32,
    delivered: HashMap<ChunkId, Vec<u32>>,
    /// How many deliveries of a chunk were begun, and noted.
    begun: HashMap<ChunkId, u16>,
    wrong: Option<String>,
}

fn entry(number: u32) -> [u8; ENTRY_BYTES] {
    let [a, b, c, d] = number.to_be_bytes();
    [0x92, 0, 0x81, 0xa1, b'i', 0xce, a, b, c, d]
}

impl Tail {
    fn hear(&mut self) {
        while let Some((end, commit)) = self.waiting.first_mut() {
            match commit.now_or_never() {
                None => break,
                Some(Ok(())) => {
                    self.position = *end;
                    drop(self.waiting.remove(0));
                }
                Some(Err(_)) => {
                    self.read = self.position;
                    self.waiting.clear();
                }
            }
        }
    }
}

/// The parts of a run of records, by up to three tags.
fn parts(numbers: std::ops::Range<u32>, tags: usize) -> Vec<Part> {
    let mut bodies: [Vec<u8>; 3] = Default::default();
    for number in numbers {
        bodies[(number.wrapping_mul(2_654_435_761) >> 16) as usize % tags].extend(entry(number));
    }
    let part = |(tag, body): (&str, Vec<u8>)| {
        let metadata = Metadata { tag: Some(Tag::new(tag)), ..Metadata::default() };
        let count = body.len() / ENTRY_BYTES;
        Part::entries(metadata, body.into(), count)
    };
    ["a", "b", "c"].into_iter().zip(bodies).map(part).collect()
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let dev = WORLDS.fetch_add(1, Ordering::Relaxed);
        let tail = |ino: u64| Tail {
            file: FileIdentity { dev, ino, head: 1 },
            first: 1_000_000 * ino as u32,
            position: 0,
            read: 0,
            waiting: Vec::new(),
        };
        Self {
            dice: Dice(seed),
            tails: [tail(1), tail(2)],
            records: TAIL_RECORDS,
            forward_chunks: FORWARD_CHUNKS,
            tags: 3,
            notes: true,
            may_repeat: false,
            acknowledged: 0,
            sent: None,
            arrival: 0,
            others: 0,
            delivered: HashMap::new(),
            begun: HashMap::new(),
            wrong: None,
        }
    }

    /// What inputs and output do at random.
    pub(super) fn act(&mut self, buffer: &Buffer) {
        match self.dice.below(10) {
            0..3 => {
                let enqueue = self.dice.once_in(5);
                let (which, length) = (self.dice.below(2) as usize, self.dice.below(8) as u32 + 1);
                self.tail(buffer, which, length, enqueue);
            }
            3 | 4 => self.forward(buffer),
            5 => {
                let number = 9_000_000 + self.others;
                self.others += 1;
                let mut receipt = Receipt::unwatched();
                let batch = buffer.batch(parts(number..number + 1, self.tags), &mut receipt);
                let _ = buffer.append(&batch, &mut receipt, false);
            }
            6 => {
                let odd = self.dice.roll();
                buffer.enqueue_where(|chunk| (chunk.id().0[15] as u64 ^ odd).is_multiple_of(2));
            }
            7 | 8 => {
                let fails = self.dice.once_in(4);
                self.deliver(buffer, fails);
            }
            _ => {
                buffer.settle();
            }
        }
    }

    /// A tailed file is read on, by up to so many lines.
    pub(super) fn tail(&mut self, buffer: &Buffer, which: usize, length: u32, enqueue: bool) {
        let records = self.records;
        let tail = &mut self.tails[which];
        tail.hear();
        let start = tail.read;
        let mut end = (start + length).min(records);
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
        let batch = buffer.batch(parts(tail.first + start..tail.first + end, self.tags), &mut receipt);
        let result = buffer.append(&batch, &mut receipt, enqueue);
        trace(format_args!("tail {which} {start}..{end} {result:?}"));
        if result.is_ok() {
            tail.read = end;
            tail.waiting.push((end, receipt.committed().boxed()));
        }
    }

    /// The inputs look for what was committed meanwhile.
    pub(super) fn hear(&mut self) {
        self.tails.iter_mut().for_each(Tail::hear);
        if let Some(commit) = &mut self.sent {
            match commit.now_or_never() {
                None => {}
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
    }

    /// The sender looks for its acknowledgement and sends the next chunk, or the same one.
    pub(super) fn forward(&mut self, buffer: &Buffer) {
        self.hear();
        if self.sent.is_some() {
            return;
        }
        if self.acknowledged == self.forward_chunks {
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
        let batch = buffer.batch(parts(first..first + 3, self.tags), &mut receipt);
        if buffer.append(&batch, &mut receipt, false).is_ok() {
            self.sent = Some(receipt.committed().boxed());
        }
    }

    /// The output takes a chunk, and perhaps notes that it begins; the destination has it, or (`fails`) has not.
    pub(super) fn deliver(&mut self, buffer: &Buffer, fails: bool) {
        let Some(chunk) = buffer.take() else { return };
        self.count_deliveries(&chunk);
        if self.notes && self.dice.once_in(2) && !self.begin(&chunk) {
            buffer.rollback(chunk.id());
            return;
        }
        let Ok(bytes) = chunk.read() else {
            buffer.rollback(chunk.id());
            return;
        };
        if bytes.len() % ENTRY_BYTES != 0 || bytes.is_empty() {
            self.wrong.get_or_insert(format!("chunk {:?} is nothing that was put in", chunk.id()));
        }
        let numbers: Vec<u32> = bytes
            .chunks_exact(ENTRY_BYTES)
            .map(|entry| u32::from_be_bytes(entry[6..].try_into().unwrap()))
            .collect();
        if fails {
            buffer.rollback(chunk.id());
            return;
        }
        trace(format_args!("delivered {:?} {numbers:?}", chunk.id()));
        let known = self.delivered.entry(chunk.id()).or_insert_with(|| numbers.clone());
        if *known != numbers && !self.may_repeat {
            let what = format!("chunk {:?} was {known:?} and is {numbers:?}", chunk.id());
            self.wrong.get_or_insert(what);
        }
        buffer.purge(chunk.id());
    }

    /// The output takes a chunk, notes that it begins, and comes no further.
    pub(super) fn note(&mut self, buffer: &Buffer) {
        let Some(chunk) = buffer.take() else { return };
        self.count_deliveries(&chunk);
        self.begin(&chunk);
        buffer.rollback(chunk.id());
    }

    fn begin(&mut self, chunk: &Chunk) -> bool {
        let Ok(number) = chunk.begin_delivery() else { return false };
        trace(format_args!("delivery {number} of {:?}", chunk.id()));
        self.begun.insert(chunk.id(), number);
        true
    }

    /// What was noted before is known.
    fn count_deliveries(&mut self, chunk: &Chunk) {
        let (noted, known) = (self.begun.get(&chunk.id()).copied().unwrap_or(0), chunk.deliveries());
        if known < noted && !self.may_repeat {
            let what = format!("{noted} deliveries of {:?} were noted, and {known} are known", chunk.id());
            self.wrong.get_or_insert(what);
        }
    }

    /// The process is gone, and what it had in memory.
    pub(super) fn crash(&mut self) {
        for tail in &mut self.tails {
            tail.waiting.clear();
            tail.read = tail.position;
        }
        self.sent = None;
        // in_forward cannot know that the next chunk is a re-send.
        self.arrival += ARRIVALS;
    }

    /// What is left of it after a crash, as often as it is wanted.
    pub(super) fn after_crash(&self) -> Self {
        let tails = self.tails.each_ref().map(|tail| Tail {
            file: tail.file,
            first: tail.first,
            position: tail.position,
            read: tail.position,
            waiting: Vec::new(),
        });
        Self {
            dice: self.dice.clone(),
            tails,
            sent: None,
            arrival: self.arrival + ARRIVALS,
            delivered: self.delivered.clone(),
            begun: self.begun.clone(),
            wrong: self.wrong.clone(),
            ..*self
        }
    }

    pub(super) fn delivered_chunks(&self) -> usize {
        self.delivered.len()
    }

    pub(super) fn is_done(&self) -> bool {
        self.acknowledged == self.forward_chunks
            && self.tails.iter().all(|tail| tail.position == self.records)
    }

    /// For [`trace`] and messages.
    pub(super) fn progress(&self) -> String {
        let positions = self.tails.each_ref().map(|tail| tail.position);
        format!("committed {positions:?} forward {}", self.acknowledged)
    }

    /// What the other end has seen.
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(wrong) = &self.wrong {
            return Err(wrong.clone());
        }
        let mut times: HashMap<u32, u32> = HashMap::new();
        for number in self.delivered.values().flatten() {
            *times.entry(*number).or_default() += 1;
        }
        let mut twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
        twice.sort();
        if !twice.is_empty() && !self.may_repeat {
            return Err(format!("delivered more than once: {twice:?}"));
        }
        let tailed = self.tails.iter().flat_map(|tail| tail.first..tail.first + self.records);
        let forwarded = (0..self.forward_chunks).flat_map(|chunk| {
            let first = 5_000_000 + chunk * 10;
            first..first + 3
        });
        let lost: Vec<u32> = tailed.chain(forwarded).filter(|number| !times.contains_key(number)).collect();
        if lost.is_empty() { Ok(()) } else { Err(format!("lost: {lost:?}")) }
    }
}

/// One life of the buffer.
pub(super) struct Life<'a> {
    pub(super) fs: &'a SimFs,
    pub(super) clock: &'a Arc<SimClock>,
    /// How much may happen in it.
    pub(super) acts: u32,
}

impl Life<'_> {
    /// Opens the buffer, if the file system lets it.
    pub(super) fn begin(&self, world: &World) -> Result<Buffer, OpenError> {
        let quiet = (!is_traced()).then_some(Level::Fatal);
        let environment = Environment {
            fs: Arc::new(self.fs.clone()),
            clock: self.clock.clone(),
            log: PluginLog::new(None, quiet),
            ..environment()
        };
        let limits = Limits { chunk_bytes: 150, ..Limits::FILE };
        let buffer =
            Buffer::open(Settings { limits, ..file_settings(Path::new("/var/spool")) }, environment)?;
        if is_traced() {
            show(&buffer, world);
        }
        Ok(buffer)
    }

    /// Acts until the power goes; `begun` is called once it has begun.
    pub(super) fn until_power_cut(&self, world: &mut World, begun: impl FnOnce(&mut Dice)) {
        let Ok(buffer) = self.begin(world) else { return };
        begun(&mut world.dice);
        for _ in 0..self.acts {
            world.act(&buffer);
            if !self.fs.has_power() || world.is_done() {
                break;
            }
        }
        kill(buffer);
    }

    /// Acts until everything is committed, and delivers it.
    pub(super) fn to_the_end(&self, world: &mut World) -> Result<(), String> {
        let buffer = self.begin(world).map_err(|error| format!("cannot start again: {error}"))?;
        for _ in 0..self.acts {
            if world.is_done() {
                break;
            }
            world.act(&buffer);
        }
        if !world.is_done() {
            return Err(format!("it does not come to an end: {}", world.progress()));
        }
        self.drain(world, &buffer)?;
        buffer.close();
        Ok(())
    }

    /// Delivers what is there.
    pub(super) fn drain(&self, world: &mut World, buffer: &Buffer) -> Result<(), String> {
        buffer.enqueue_all();
        for _ in 0..1000 {
            if !buffer.settle() {
                continue;
            }
            if !buffer.has_queued() {
                return Ok(());
            }
            world.deliver(buffer, false);
        }
        Err("the buffer cannot be emptied".to_owned())
    }
}

fn show(buffer: &Buffer, world: &World) {
    let state = buffer.shared().lock();
    for chunk in state.stage.values().chain(&state.queue) {
        trace(format_args!("found {:?} {:?} {}", chunk.id(), chunk.metadata().tag, chunk.records()));
    }
    drop(state);
    let points = world.tails.each_ref().map(|tail| replay::cut_points(tail.file));
    trace(format_args!("points {points:?}"));
}

/// For [`one_seed`](super::one_seed).
pub(super) fn trace(what: std::fmt::Arguments<'_>) {
    if is_traced() {
        eprintln!("{what}");
    }
}

pub(super) fn is_traced() -> bool {
    static IS_TRACED: std::sync::LazyLock<bool> =
        std::sync::LazyLock::new(|| std::env::var_os("SEED").is_some());
    *IS_TRACED
}
