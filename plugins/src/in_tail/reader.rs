//! One file's turn: bytes are read, lines become events, events are emitted, the rest is kept.

use super::commits::{Settlement, Settlements};
use super::events::Events;
use super::file::{Group, Opened, Refused, TailedFile};
use super::group::Groups;
use super::handle::is_out_of_files;
use super::lines::{LINE_BYTES_MAX, LineBuffer, Lines, READ_BYTES, read_long_line};
use super::settings::Settings;
use logweir_engine::delivery::{EmitError, Origin, Receipt};
use logweir_engine::event::EventStream;
use logweir_engine::fault;
use logweir_engine::plugin::{FollowedFiles, InputContext};
use logweir_engine::telemetry::{Shown, inspect};
use logweir_engine::{log_debug, log_error, log_warn};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// After a stop, an emit that waits for room is given up after this; its lines are read again after the restart.
const EMIT_AFTER_STOP: Duration = Duration::from_secs(5);

/// Without format_firstline, joined lines are parsed again with each line, up to this size.
const PARSE_AGAIN_BYTES_MAX: usize = 1 << 20;

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// There is more to read now.
    More,
    /// Read to the end.
    End,
    /// It may not go on now: a limit, a full buffer.
    Wait,
    /// Its place has another file, or none.
    Gone,
    /// It has other content than that which its offset is of.
    Replaced,
    /// The process may not open more files.
    OutOfFiles,
}

/// What all files of a source share while they are read.
pub(super) struct Reader {
    pub(super) settings: Arc<Settings>,
    pub(super) context: InputContext,
    pub(super) handle: Handle,
    pub(super) settlements: Settlements,
    pub(super) groups: Option<Groups>,
    /// For monitoring.
    pub(super) followed: Arc<FollowedFiles>,
    buffer: LineBuffer,
    events: Events,
    /// When an emit first waited after the stop.
    stopped: Option<Instant>,
}

impl Reader {
    pub(super) fn new(
        settings: Arc<Settings>,
        context: InputContext,
        handle: Handle,
        settlements: Settlements,
        groups: Option<Groups>,
        followed: Arc<FollowedFiles>,
    ) -> Self {
        let events = Events::new(settings.clone(), context.log.clone());
        Self {
            settings,
            context,
            handle,
            settlements,
            groups,
            followed,
            buffer: LineBuffer::new(),
            events,
            stopped: None,
        }
    }

    /// Reads at most one buffer full.
    pub(super) fn turn(&mut self, file: &mut TailedFile) -> Turn {
        if let Some(refused) = file.refused.take()
            && !self.emit(file, refused.stream, refused.end)
        {
            return Turn::Wait;
        }
        file.used = Instant::now();
        match file.open(&self.followed) {
            Ok(Opened::Open) => {}
            Ok(_) => return Turn::Gone,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Turn::Gone,
            Err(error) if is_out_of_files(&error) => {
                file.at_end = false;
                return Turn::OutOfFiles;
            }
            Err(error) => return self.trouble(file, "cannot open a file; it is tried again", &error),
        }
        let turn = self.read(file);
        if self.settings.open_on_every_update {
            file.handle = None;
        }
        match turn {
            Ok(turn) => {
                file.has_trouble = false;
                turn
            }
            Err(error) => {
                file.handle = None;
                self.trouble(file, "cannot read a file; it is tried again", &error)
            }
        }
    }

    /// What lasts is said once.
    fn trouble(&self, file: &mut TailedFile, message: &str, error: &io::Error) -> Turn {
        if !std::mem::replace(&mut file.has_trouble, true) {
            log_error!(self.context.log, message, path = file.place, error = error.to_string());
        }
        file.at_end = false;
        Turn::Wait
    }

    fn read(&mut self, file: &mut TailedFile) -> io::Result<Turn> {
        let now = Instant::now();
        let mut lines_allowed = u64::MAX;
        if let Some(allowance) = self.groups.as_mut().and_then(|groups| groups.allowance(&file.path, now)) {
            lines_allowed = allowance;
        }
        let bytes_allowed = file.throttle.allowance(now).unwrap_or(u64::MAX);
        if lines_allowed == 0 || bytes_allowed == 0 {
            log_debug!(self.context.log, "Reading Limit exceeded", path = file.path);
            self.followed.throttled.fetch_add(1, Ordering::Relaxed);
            file.at_end = false;
            return Ok(Turn::Wait);
        }
        match file.verify(self.settings.source)? {
            Opened::Open => {}
            Opened::Elsewhere => return Ok(Turn::Gone),
            Opened::Replaced => return Ok(Turn::Replaced),
        }
        if file.seen >= READ_BYTES as u64 {
            return self.read_long(file, bytes_allowed, now);
        }
        let limit =
            usize::try_from(file.seen.saturating_add(bytes_allowed)).unwrap_or(READ_BYTES).min(READ_BYTES);
        let Some(handle) = &file.handle else { return Ok(Turn::Gone) };
        let read = self.buffer.fill(handle.file(), file.offset, limit)?;
        let new = (read as u64).saturating_sub(file.seen);
        file.at_end = read < limit;
        if new == 0 {
            return Ok(if file.at_end { Turn::End } else { Turn::More });
        }
        file.throttle.took(new, now);
        let held = std::mem::replace(&mut self.buffer, LineBuffer::new_empty());
        let (used, taken_all) = self.take_lines(file, held.held(), lines_allowed, now);
        file.seen = if taken_all { (read - used) as u64 } else { 0 };
        self.buffer = held;
        if !taken_all {
            file.at_end = false;
            let must_wait = file.refused.is_some() || lines_allowed != u64::MAX;
            return Ok(if must_wait { Turn::Wait } else { Turn::More });
        }
        Ok(if file.at_end { Turn::End } else { Turn::More })
    }

    /// A line that fills the buffer: its end is looked for; only then it is read as a whole, if it may be so long.
    fn read_long(&mut self, file: &mut TailedFile, bytes_allowed: u64, now: Instant) -> io::Result<Turn> {
        let limit = usize::try_from(bytes_allowed).unwrap_or(READ_BYTES).min(READ_BYTES);
        let Some(handle) = &file.handle else { return Ok(Turn::Gone) };
        let read = self.buffer.fill(handle.file(), file.read_at(), limit)?;
        file.throttle.took(read as u64, now);
        file.at_end = read < limit;
        let Some(end) = memchr::memchr(b'\n', self.buffer.held()) else {
            file.seen += read as u64;
            return Ok(if file.at_end { Turn::End } else { Turn::More });
        };
        file.at_end = false;
        let len = file.seen + end as u64 + 1;
        if len > self.line_bytes_max() as u64 {
            self.warn_too_long();
            file.offset += len;
            file.seen = 0;
            let (stream, end) = (self.events.take(file.tag.clone()), file.settled());
            let taken = self.emit(file, stream, end);
            return Ok(if taken { Turn::More } else { Turn::Wait });
        }
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let line = read_long_line(handle.file(), file.offset, len)?;
        if line.len() < len {
            // It was truncated under our hands, which the next look at it shows.
            return Ok(Turn::End);
        }
        file.seen = 0;
        self.take_lines(file, &line, 1, now);
        Ok(if file.refused.is_some() { Turn::Wait } else { Turn::More })
    }

    fn line_bytes_max(&self) -> usize {
        self.settings.max_line_size.unwrap_or(LINE_BYTES_MAX).min(LINE_BYTES_MAX)
    }

    /// Emits the lines of `held`, batch by batch. Answers how many bytes were used, and whether that was all lines.
    fn take_lines(
        &mut self,
        file: &mut TailedFile,
        held: &[u8],
        allowed: u64,
        now: Instant,
    ) -> (usize, bool) {
        let mut given = 0;
        let mut lines = Lines::new(held);
        loop {
            let batch_limit = (self.settings.read_lines_limit as u64).min(allowed - given);
            let cut = file.next_cut();
            let count = self.take_batch(file, &mut lines, batch_limit, cut);
            if count == 0 {
                return (lines.taken(), true);
            }
            given += count;
            if let Some(groups) = &mut self.groups {
                groups.took(&file.path, count, now);
            }
            let end = file.settled();
            let stream = self.events.take(file.tag.clone());
            if !self.emit(file, stream, end) || given >= allowed {
                let used = lines.taken();
                let all = memchr::memchr(b'\n', &held[used..]).is_none() && file.refused.is_none();
                return (used, all);
            }
        }
    }

    /// Parses lines up to a limit or a cut; answers how many.
    fn take_batch(
        &mut self,
        file: &mut TailedFile,
        lines: &mut Lines<'_>,
        limit: u64,
        cut: Option<u64>,
    ) -> u64 {
        let mut count = 0;
        while count < limit {
            let Some(line) = lines.next() else { break };
            let start = file.offset;
            file.offset += line.len() as u64;
            count += 1;
            if line.len() > self.line_bytes_max() {
                self.warn_too_long();
            } else {
                let converted = self.settings.conversion.map(|conversion| conversion.convert(line));
                self.line(file, converted.as_deref().unwrap_or(line), start);
            }
            if cut == Some(file.offset) {
                // Batches have ended here before: so does the event.
                self.end_group(file);
                break;
            }
        }
        count
    }

    fn line(&mut self, file: &mut TailedFile, line: &[u8], start: u64) {
        if self.settings.parser.multiline().is_none() {
            self.events.add(line, &file.path);
            return;
        }
        let parser = self.settings.parser.clone();
        let Some(multiline) = parser.multiline() else { return };
        let now = Instant::now();
        if !multiline.has_firstline() {
            let group = file.group.get_or_insert_with(|| Group { text: Vec::new(), start, since: now });
            group.text.extend_from_slice(line);
            group.since = now;
            if self.events.try_add(&group.text, &file.path) {
                file.group = None;
            } else if group.text.len() > PARSE_AGAIN_BYTES_MAX {
                self.end_group(file);
            }
            return;
        }
        if multiline.is_firstline(line) {
            if let Some(group) = file.group.take() {
                self.events.add(&group.text, &file.path);
            }
            file.group = Some(Group { text: line.to_vec(), start, since: now });
        } else if let Some(group) = &mut file.group {
            group.text.extend_from_slice(line);
            group.since = now;
            if group.text.len() > LINE_BYTES_MAX {
                self.end_group(file);
            }
        } else {
            let text = inspect(&String::from_utf8_lossy(line));
            if self.settings.emit_unmatched_lines {
                self.events.add(line, &file.path);
            }
            let message =
                format!("got incomplete line before first line from {}: {text}", file.path.display());
            log_warn!(self.context.log, message);
        }
    }

    /// Emits the joined lines that wait, because no more came for a while or because reading ends.
    pub(super) fn flush_group(&mut self, file: &mut TailedFile) {
        if file.group.is_none() || file.refused.is_some() {
            return;
        }
        self.end_group(file);
        let stream = self.events.take(file.tag.clone());
        let end = file.offset;
        self.emit(file, stream, end);
    }

    /// Makes an event of the joined lines that wait.
    fn end_group(&mut self, file: &mut TailedFile) {
        let Some(group) = file.group.take() else { return };
        if !self.events.try_add(&group.text, &file.path) {
            let text = super::lines::chomp(&group.text);
            self.events.add_unmatched(text, &file.path);
            let line = inspect(&String::from_utf8_lossy(text));
            log_warn!(
                self.context.log,
                format!("got incomplete line at shutdown from {}: {line}", file.path.display())
            );
        }
    }

    /// Emits a batch that ends at `end`. `false` if it was refused and waits in the file.
    fn emit(&mut self, file: &mut TailedFile, stream: EventStream, end: u64) -> bool {
        let receipt = if stream.is_empty() {
            None
        } else {
            let origin = file.identity.map_or(Origin::None, |identity| Origin::Tail { file: identity, end });
            let mut receipt = Receipt::patient(origin);
            match self.emit_now(stream.clone(), &mut receipt) {
                Ok(()) => {
                    fault!("lines-emitted");
                    Some(receipt)
                }
                Err(error) if may_be_repeated(&error) => {
                    file.refused = Some(Refused { stream, end });
                    return false;
                }
                // Fluentd's in_tail goes on; what happened has been logged.
                Err(_) => None,
            }
        };
        self.settlements.push(Settlement::Advance {
            reading: file.reading,
            path: file.path.clone(),
            inode: file.inode.number,
            offset: end,
            receipt,
            has_entry: file.has_entry,
            unsettled: file.unsettled.clone(),
        });
        if file.has_entry {
            file.entry_end = end;
        }
        true
    }

    fn emit_now(&mut self, stream: EventStream, receipt: &mut Receipt) -> Result<(), EmitError> {
        let stop = self.context.stop.clone();
        let stopped = &mut self.stopped;
        self.handle.block_on(async {
            tokio::select! {
                result = self.context.emit(stream, receipt) => result,
                () = async {
                    stop.cancelled().await;
                    // Of all files together.
                    let until = *stopped.get_or_insert_with(Instant::now) + EMIT_AFTER_STOP;
                    tokio::time::sleep_until(until.into()).await;
                } => Err(EmitError::Shutdown),
            }
        })
    }

    fn warn_too_long(&self) {
        let max = self.line_bytes_max();
        log_warn!(self.context.log, format!("received line length is longer than {max}"), limit = Shown(max));
    }
}

/// A full buffer, a disk that refuses, the end of the program: the lines are offered again, now or after the restart.
fn may_be_repeated(error: &EmitError) -> bool {
    matches!(error, EmitError::BufferOverflow | EmitError::Shutdown)
        || error.class() == EmitError::BufferOverflow.class()
}
