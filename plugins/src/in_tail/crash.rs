//! Pos file and buffer on one device whose power goes: each line is stored once.
//!
//! The files that are tailed are only thought of: what is under test is what is remembered of them. The reader does what
//! [`super::reader`] does: from its position on, batch by batch, none across a cut point; the position follows the commits.

use super::position::{Position, Positions};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use logweir_engine::buffer::{
    Buffer, ChunkFiles, ChunkId, Compression, Durability, Environment, FileSettings, Limits, Metadata, Part,
    Settings, Store, replay,
};
use logweir_engine::delivery::{CommitError, FileIdentity, Origin, Receipt};
use logweir_engine::io::sim::{Choices, Dice, SimClock, SimFs};
use logweir_engine::telemetry::{Level, PluginLog};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Lines of a file, and bytes of a line: offsets carry in all of their lower digits.
const LINES: u64 = 40;
const LINE_BYTES: u64 = 67;
const FILES: u64 = 12;
/// Seeds of a run; `CRASH_SEEDS` for another number.
const SEEDS: u64 = 400;
/// No two worlds have a file in common.
static DEVICES: AtomicU64 = AtomicU64::new(2_000_000_000);

struct Tailed {
    path: PathBuf,
    file: FileIdentity,
    read: u64,
    waiting: Vec<(u64, BoxFuture<'static, Result<(), CommitError>>)>,
}

struct World {
    dice: Dice,
    files: Vec<Tailed>,
    delivered: HashMap<ChunkId, Vec<u32>>,
}

fn log() -> PluginLog {
    PluginLog::new(None, Some(Level::Fatal))
}

fn buffer(fs: &SimFs, clock: &Arc<SimClock>) -> Option<Buffer> {
    let dir = Path::new("/var/spool/buf").to_owned();
    let (prefix, suffix) = ("buffer".to_owned(), ".log".to_owned());
    let files = FileSettings {
        files: ChunkFiles { dir, prefix, suffix, also: Vec::new(), single: None },
        file_mode: 0o644,
        dir_mode: 0o755,
        durability: Durability::Synced,
        flush_at_shutdown: false,
        count_records: true,
        found_text: None,
    };
    let settings = Settings {
        store: Store::File(files),
        limits: Limits { chunk_bytes: 300, ..Limits::FILE },
        compress: Compression::None,
        formatted: false,
        backup: None,
    };
    let environment = Environment {
        log: log(),
        owner: "test".into(),
        fs: Arc::new(fs.clone()),
        clock: clock.clone(),
        background: false,
    };
    Buffer::open(settings, environment).ok()
}

/// Lines `from..to` of a file, as entries `[0, {"i": number}]`.
fn part(file: u64, lines: std::ops::Range<u64>) -> Part {
    let mut body = Vec::new();
    for line in lines.clone() {
        body.extend_from_slice(&[0x92, 0, 0x81, 0xa1, b'i', 0xce]);
        body.extend_from_slice(&((file * 1000 + line) as u32).to_be_bytes());
    }
    Part::entries(Metadata::default(), body.into(), (lines.end - lines.start) as usize)
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let dev = DEVICES.fetch_add(1, Ordering::Relaxed);
        let files = (1..=FILES).map(|ino| Tailed {
            path: format!("/var/log/{}{ino}.log", "x".repeat(dice.below(40) as usize)).into(),
            file: FileIdentity { dev, ino, head: 1 },
            read: 0,
            waiting: Vec::new(),
        });
        let files = files.collect();
        Self { dice, files, delivered: HashMap::new() }
    }

    /// Where each file is read on.
    fn start(&mut self, positions: &Positions) {
        for tailed in &mut self.files {
            let known = positions.get(&tailed.path, tailed.file.ino);
            tailed.waiting.clear();
            if known.inode != tailed.file.ino {
                positions.set(&tailed.path, Position { offset: 0, inode: tailed.file.ino });
                tailed.read = 0;
            } else if known.offset > LINES * LINE_BYTES {
                // It was truncated, as far as the reader can see.
                replay::forget(tailed.file);
                tailed.read = 0;
            } else {
                tailed.read = known.offset.div_ceil(LINE_BYTES);
            }
        }
    }

    fn act(&mut self, positions: &Positions, buffer: &Buffer) {
        match self.dice.below(8) {
            0..4 => {
                let which = self.dice.below(FILES) as usize;
                let lines = 1 + self.dice.below(12);
                self.hear(positions);
                self.files[which].read_on(buffer, lines);
            }
            4 => buffer.enqueue_all(),
            5 | 6 => self.deliver(buffer),
            _ => {
                buffer.settle();
            }
        }
    }

    fn hear(&mut self, positions: &Positions) {
        for tailed in &mut self.files {
            while let Some((end, commit)) = tailed.waiting.first_mut() {
                match commit.now_or_never() {
                    None => break,
                    Some(Ok(())) => {
                        positions.advance(&tailed.path, tailed.file.ino, *end * LINE_BYTES);
                        drop(tailed.waiting.remove(0));
                    }
                    Some(Err(_)) => {
                        tailed.read = positions.get(&tailed.path, tailed.file.ino).offset / LINE_BYTES;
                        tailed.waiting.clear();
                    }
                }
            }
        }
    }

    fn deliver(&mut self, buffer: &Buffer) {
        let Some(chunk) = buffer.take() else { return };
        let Ok(bytes) = chunk.read() else {
            buffer.rollback(chunk.id());
            return;
        };
        let number = |entry: &[u8]| u32::from_be_bytes(entry[6..].try_into().unwrap());
        self.delivered.insert(chunk.id(), bytes.chunks(10).map(number).collect());
        buffer.purge(chunk.id());
    }

    fn is_read(&self) -> bool {
        self.files.iter().all(|tailed| tailed.read == LINES && tailed.waiting.is_empty())
    }

    fn check(&self) -> Result<(), String> {
        let mut found: Vec<u32> = self.delivered.values().flatten().copied().collect();
        found.sort_unstable();
        let line = |file: u64| (0..LINES).map(move |line| (file * 1000 + line) as u32);
        let expected: Vec<u32> = (1..=FILES).flat_map(line).collect();
        let twice: Vec<_> = found.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        let lost: Vec<_> = expected.iter().filter(|line| !found.contains(line)).collect();
        if twice.is_empty() && lost.is_empty() {
            Ok(())
        } else {
            Err(format!("lost {lost:?}, twice {twice:?}"))
        }
    }
}

impl Tailed {
    fn read_on(&mut self, buffer: &Buffer, lines: u64) {
        let (start, mut end) = (self.read, (self.read + lines).min(LINES));
        for point in replay::cut_points(self.file) {
            let line = point / LINE_BYTES;
            if (start + 1..end).contains(&line) {
                end = line;
            }
        }
        if start >= end {
            return;
        }
        let mut receipt = Receipt::durable(Origin::Tail { file: self.file, end: end * LINE_BYTES });
        let batch = buffer.batch(vec![part(self.file.ino, start..end)], &mut receipt);
        if buffer.append(&batch, &mut receipt, false).is_ok() {
            self.read = end;
            self.waiting.push((end, receipt.committed().boxed()));
        }
    }
}

/// Several lives, each of which ends with a power cut, and a last one.
fn lives(seed: u64) -> Result<(), String> {
    let (mut world, clock, mut fs) = (World::new(seed), Arc::new(SimClock::new(seed)), SimFs::new(seed));
    fs.put(Path::new("/var/spool/there"), b"");
    let open = |fs: &SimFs| {
        let path = Path::new("/var/spool/pos");
        Positions::open(Arc::new(fs.clone()), path, 0o644, false, log(), |_| true).ok()
    };
    for _ in 0..5 {
        fs.cut_after(world.dice.below(400));
        if seed % 3 == 1 {
            fs.fail_syncs(10);
        }
        if let (Some(buffer), Some(positions)) = (buffer(&fs, &clock), open(&fs)) {
            world.start(&positions);
            for _ in 0..600 {
                world.act(&positions, &buffer);
                if !fs.has_power() {
                    break;
                }
            }
            let after = fs.power_cut();
            drop(buffer);
            fs = after;
        } else {
            fs = fs.power_cut();
        }
    }
    let (Some(buffer), Some(positions)) = (buffer(&fs, &clock), open(&fs)) else {
        return Err("cannot start again".to_owned());
    };
    world.start(&positions);
    for _ in 0..20_000 {
        if world.is_read() {
            break;
        }
        world.act(&positions, &buffer);
        world.hear(&positions);
    }
    if !world.is_read() {
        return Err("it does not come to an end".to_owned());
    }
    buffer.enqueue_all();
    while buffer.settle() && buffer.has_queued() {
        world.deliver(&buffer);
    }
    world.check()
}

#[test]
fn a_power_cut_costs_no_line_and_repeats_none() {
    let count = std::env::var("CRASH_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
    let (next, failed) = (AtomicU64::new(0), std::sync::Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= count {
                        break;
                    }
                    if let Err(what) = lives(seed) {
                        eprintln!("failed: seed {seed}: {what}");
                        failed.lock().unwrap().push(seed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {count} seeds: {failed:?}", failed.len());
}
