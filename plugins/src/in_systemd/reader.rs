//! The thread that reads the journal: from the saved cursor on, in batches, for as long as the program runs.
//!
//! ```text
//! turn   open, matches, go to the cursor; then entry after entry until something is wrong
//! batch  entries of one series (see cursor.rs) up to a limit, emitted together; its end goes to commits.rs
//! ```
//!
//! A turn ends when a commit failed or libsystemd reports an error. Then everything under way is settled, and the next turn begins
//! behind the last entry that is safe. What buffers have beyond it they recognise by the numbers of the entries.

use super::commits::Settlements;
use super::cursor::Place;
use super::entry::{ENTRY_BYTES_MAX, Entries, FIELD_BYTES_MAX, Missing};
use super::library::{Journal, Library};
use super::settings::Settings;
use logweir_engine::buffer::replay::cut_points;
use logweir_engine::delivery::{EmitError, FileIdentity, Origin, Receipt};
use logweir_engine::event::EventStream;
use logweir_engine::net::Quiet;
use logweir_engine::plugin::InputContext;
use logweir_engine::telemetry::Account;
use logweir_engine::{fault, log_info, log_warn};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// Entries in a batch.
const BATCH_ENTRIES_MAX: usize = 1000;
/// A batch is emitted at this size.
const BATCH_BYTES_MAX: usize = 256 << 10;
/// How long libsystemd waits for news; a stop waits as long.
const WAIT: Duration = Duration::from_millis(250);
/// Before the next turn after an error, and before a batch is offered again.
const PAUSE: Duration = Duration::from_secs(1);
/// After a stop, an emit that waits for room is given up after this; its entries are read again after the restart.
const EMIT_AFTER_STOP: Duration = Duration::from_secs(5);

pub(super) struct Reader {
    library: &'static Library,
    settings: Arc<Settings>,
    context: InputContext,
    handle: Handle,
    settlements: Settlements,
    entries: Entries,
    turn: u64,
    /// The highest number that was emitted in this turn, of each series, and where batches must end.
    series: HashMap<FileIdentity, Series>,
    /// What was said last about an error that lasts.
    trouble: Option<String>,
    quiet: Quiet,
}

#[derive(Default)]
struct Series {
    last: Option<u64>,
    /// Numbers at which what buffers have begins or ends.
    cuts: Vec<u64>,
}

/// Entries that are emitted together.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    count: usize,
    /// The cursor of the last one.
    cursor: String,
    /// Its place; without one a replay of the batch is not recognised.
    place: Option<Place>,
}

/// Why reading ended.
enum End {
    /// The program stops.
    Stop,
    /// Something must be read again.
    Again,
}

impl Reader {
    pub(super) fn new(
        library: &'static Library,
        settings: Arc<Settings>,
        entries: Entries,
        context: InputContext,
        handle: Handle,
        settlements: Settlements,
    ) -> Self {
        Self {
            library,
            settings,
            context,
            handle,
            settlements,
            entries,
            turn: 0,
            series: HashMap::new(),
            trouble: None,
            quiet: Quiet::default(),
        }
    }

    /// Reads until the program stops.
    pub(super) fn run(mut self) {
        loop {
            match self.take_turn() {
                Ok(End::Stop) => break,
                Ok(End::Again) => {}
                Err(error) => self.complain(&error),
            }
            if self.pause(PAUSE) {
                break;
            }
        }
        self.settlements.finish(&self.handle);
    }

    fn take_turn(&mut self) -> io::Result<End> {
        self.turn += 1;
        self.series.clear();
        let mut journal = Journal::open(self.library, &self.settings.path)?;
        // One byte more, or it could not be told whether there is more.
        journal.limit_fields(FIELD_BYTES_MAX + 1)?;
        for (number, alternative) in self.settings.matches.iter().enumerate() {
            if number > 0 {
                journal.add_disjunction()?;
            }
            for text in alternative {
                journal.add_match(text.as_bytes())?;
            }
        }
        let mut is_at_entry = self.seek(&mut journal)?;
        if self.trouble.take().is_some() {
            log_info!(self.context.log, "the journal is read again", path = self.settings.path);
        }
        let mut batch = Batch::default();
        loop {
            if self.context.stop.is_cancelled() {
                self.emit(&mut batch);
                return Ok(End::Stop);
            }
            if self.settlements.has_failed(self.turn) {
                return Ok(End::Again);
            }
            if is_at_entry || journal.next()? {
                is_at_entry = false;
                if !self.add(&mut journal, &mut batch) {
                    return Ok(End::Stop);
                }
            } else if !self.emit(&mut batch) {
                return Ok(End::Stop);
            } else {
                journal.wait(WAIT)?;
            }
        }
    }

    /// Goes to where reading is to begin. Whether the entry that it is at then is the first that is to be read.
    fn seek(&self, journal: &mut Journal) -> io::Result<bool> {
        let Some(cursor) = self.settlements.settle() else { return self.seek_start(journal) };
        if journal.seek_cursor(&cursor).is_err() {
            let place =
                self.settings.storage.path.as_ref().map_or("memory".into(), |path| path.to_string_lossy());
            let start = if self.settings.read_from_head { "head" } else { "tail" };
            log_warn!(
                self.context.log,
                format!(
                    "Could not seek to cursor {cursor} found in position file: {place}, falling back to reading from {start}"
                )
            );
            return self.seek_start(journal);
        }
        // If its entry has been removed, the one behind it is the first that is new.
        Ok(journal.next()? && !journal.is_at(&cursor)?)
    }

    fn seek_start(&self, journal: &mut Journal) -> io::Result<bool> {
        if !self.settings.read_from_head {
            journal.seek_tail()?;
            // As the original, which begins with the last entry that there is. Behind the tail of nothing libsystemd never
            // finds anything, so where there is none the journal is read from its head.
            if journal.previous()? {
                return Ok(true);
            }
        }
        journal.seek_head()?;
        Ok(false)
    }

    /// Reads the entry that the journal is at. `false` if the program stops.
    fn add(&mut self, journal: &mut Journal, batch: &mut Batch) -> bool {
        let cursor = match journal.cursor() {
            Ok(cursor) => cursor,
            Err(error) => {
                self.pass_over("unknown", &error);
                return true;
            }
        };
        let place = self.place(&cursor);
        if batch.count > 0 && self.must_end(batch.place, place) && !self.emit(batch) {
            return false;
        }
        let before = batch.bytes.len();
        match self.entries.read(journal, &mut batch.bytes) {
            Ok(missing) => {
                batch.count += 1;
                self.say_missing(&cursor, missing);
            }
            Err(error) => {
                batch.bytes.truncate(before);
                self.pass_over(&cursor, &error);
            }
        }
        batch.cursor = cursor;
        batch.place = place;
        if let Some(Place { series, number }) = place {
            self.series.entry(series).or_default().last = Some(number);
        }
        let is_full = batch.count >= BATCH_ENTRIES_MAX || batch.bytes.len() >= BATCH_BYTES_MAX;
        !is_full || self.emit(batch)
    }

    /// An entry is damaged; those behind it may not be.
    fn pass_over(&self, cursor: &str, error: &io::Error) {
        self.context.not_emitted(Account::DroppedInvalid, 1);
        if self.quiet.allows(&self.context.log) {
            log_warn!(
                self.context.log,
                "cannot read an entry of the journal; it is passed over",
                cursor = cursor,
                error = error.to_string()
            );
        }
    }

    /// Where an entry is in its series. One whose number is not above those before it (libsystemd puts entries of several
    /// series in the order of their times, and clocks are set) gets none: a buffer would take it for a replay.
    fn place(&mut self, cursor: &str) -> Option<Place> {
        let place = Place::of(cursor, self.settings.source)?;
        let series = self
            .series
            .entry(place.series)
            .or_insert_with(|| Series { last: None, cuts: cut_points(place.series) });
        series.last.is_none_or(|last| last < place.number).then_some(place)
    }

    /// Whether a batch that ends at `last` must be emitted before `next` is added: all of a batch is of one series, and is known to
    /// a buffer as a whole or not at all.
    fn must_end(&self, last: Option<Place>, next: Option<Place>) -> bool {
        match (last, next) {
            (None, None) => false,
            (Some(last), Some(next)) if last.series == next.series => {
                let known = self.series.get(&next.series);
                known.is_some_and(|known| {
                    known.cuts.iter().any(|cut| (last.number..next.number).contains(cut))
                })
            }
            _ => true,
        }
    }

    /// Emits what is gathered, as often as it takes. `false` if the program stops and it was not taken.
    fn emit(&mut self, batch: &mut Batch) -> bool {
        let Batch { bytes, count, cursor, place } = std::mem::take(batch);
        if cursor.is_empty() {
            return true;
        }
        if count == 0 {
            self.settlements.emitted(self.turn, cursor, None);
            return true;
        }
        let origin =
            place.map_or(Origin::None, |place| Origin::Tail { file: place.series, end: place.number });
        let stream = EventStream::new(self.settings.tag.clone(), bytes.into(), count);
        loop {
            let mut receipt = Receipt::patient(origin.clone());
            let receipt = match self.emit_now(stream.clone(), &mut receipt) {
                Ok(()) => {
                    fault!("journal-emitted");
                    Some(receipt)
                }
                Err(EmitError::Shutdown) => return false,
                // A full buffer, a disk that refuses: it is offered again.
                Err(error) if error.class() == EmitError::BufferOverflow.class() => {
                    if self.pause(PAUSE) {
                        return false;
                    }
                    continue;
                }
                // What happened has been logged.
                Err(_) => None,
            };
            self.settlements.emitted(self.turn, cursor, receipt);
            return true;
        }
    }

    fn emit_now(&self, stream: EventStream, receipt: &mut Receipt) -> Result<(), EmitError> {
        let stop = &self.context.stop;
        self.handle.block_on(async {
            tokio::select! {
                result = self.context.emit(stream, receipt) => result,
                () = async {
                    stop.cancelled().await;
                    tokio::time::sleep(EMIT_AFTER_STOP).await;
                } => Err(EmitError::Shutdown),
            }
        })
    }

    fn say_missing(&self, cursor: &str, missing: Missing) {
        if missing != Missing::default() && self.quiet.allows(&self.context.log) {
            log_warn!(
                self.context.log,
                "an entry of the journal is too large: values were cut, fields left out",
                cursor = cursor,
                cut = missing.cut,
                value_bytes_max = FIELD_BYTES_MAX,
                left_out = missing.left_out,
                entry_bytes_max = ENTRY_BYTES_MAX
            );
        }
    }

    /// What lasts is said once.
    fn complain(&mut self, error: &io::Error) {
        let text = error.to_string();
        if self.trouble.as_ref() != Some(&text) {
            log_warn!(
                self.context.log,
                "cannot read the journal; it is tried again each second",
                path = self.settings.path,
                error = text
            );
            self.trouble = Some(text);
        }
    }

    /// Waits. Whether the program stops.
    fn pause(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        self.handle.block_on(async {
            tokio::select! {
                () = self.context.stop.cancelled() => true,
                () = tokio::time::sleep_until(until.into()) => false,
            }
        })
    }
}
