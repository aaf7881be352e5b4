//! One file's turn: bytes are read, lines become events, events are emitted, the rest is kept.

use super::commits::{Settlement, Settlements};
use super::events::Events;
use super::file::{Group, Refused, TailedFile};
use super::group::Groups;
use super::lines::{LineBuffer, Lines, READ_BYTES};
use super::settings::Settings;
use logweir_engine::delivery::{EmitError, Origin, Receipt};
use logweir_engine::event::EventStream;
use logweir_engine::plugin::InputContext;
use logweir_engine::telemetry::{Shown, inspect};
use logweir_engine::{log_debug, log_error, log_warn};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// After a stop, an emit that waits for room is given up after this; its lines are read again after the restart.
const EMIT_AFTER_STOP: Duration = Duration::from_secs(5);

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// There is more to read now.
    More,
    /// Read to the end.
    End,
    /// It may not go on now: a limit, a full buffer.
    Wait,
    /// The path does not lead to this file any more.
    Gone,
}

/// What all files of a source share while they are read.
pub(super) struct Reader {
    pub(super) settings: Arc<Settings>,
    pub(super) context: InputContext,
    pub(super) handle: Handle,
    pub(super) settlements: Settlements,
    pub(super) groups: Option<Groups>,
    buffer: LineBuffer,
    events: Events,
}

impl Reader {
    pub(super) fn new(
        settings: Arc<Settings>,
        context: InputContext,
        handle: Handle,
        settlements: Settlements,
        groups: Option<Groups>,
    ) -> Self {
        let events = Events::new(settings.clone(), context.log.clone());
        Self { settings, context, handle, settlements, groups, buffer: LineBuffer::new(), events }
    }

    /// Reads at most one buffer full.
    pub(super) fn turn(&mut self, file: &mut TailedFile) -> Turn {
        if let Some(refused) = file.refused.take()
            && !self.emit(file, refused.stream, refused.end)
        {
            return Turn::Wait;
        }
        match file.open() {
            Ok(true) => {}
            Ok(false) => return Turn::Gone,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Turn::Gone,
            Err(error) => {
                log_warn!(
                    self.context.log,
                    "cannot open a file; it is tried again",
                    path = file.path,
                    error = error.to_string()
                );
                return Turn::Wait;
            }
        }
        let turn = self.read(file);
        if self.settings.open_on_every_update {
            file.handle = None;
        }
        match turn {
            Ok(turn) => turn,
            Err(error) => {
                log_error!(
                    self.context.log,
                    "cannot read a file; it is tried again",
                    path = file.path,
                    error = error.to_string()
                );
                file.handle = None;
                Turn::Wait
            }
        }
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
            return Ok(Turn::Wait);
        }
        self.buffer.begin(&file.partial);
        let limit = usize::try_from(bytes_allowed).unwrap_or(READ_BYTES).min(READ_BYTES);
        let Some(handle) = &file.handle else { return Ok(Turn::Gone) };
        let read = self.buffer.fill(handle, file.read_at(), limit)?;
        file.throttle.took(read as u64, now);
        file.at_end = read < limit;
        if read == 0 {
            return Ok(Turn::End);
        }
        let held = std::mem::replace(&mut self.buffer, LineBuffer::new_empty());
        let (used, taken_all) = self.take_lines(file, held.held(), lines_allowed, now);
        if taken_all {
            file.keep_partial(&held.held()[used..], self.settings.max_line_size);
        } else {
            file.partial = Vec::new();
            file.at_end = false;
        }
        self.buffer = held;
        if !taken_all {
            return Ok(if file.refused.is_some() || lines_allowed != u64::MAX {
                Turn::Wait
            } else {
                Turn::More
            });
        }
        Ok(if file.at_end { Turn::End } else { Turn::More })
    }

    /// Emits the lines of `held`, batch by batch. Answers how many bytes were used, and whether that was all lines.
    fn take_lines(
        &mut self,
        file: &mut TailedFile,
        held: &[u8],
        allowed: u64,
        now: Instant,
    ) -> (usize, bool) {
        let mut used = 0;
        if file.skipped > 0 {
            match memchr::memchr(b'\n', held) {
                Some(end) => {
                    self.warn_too_long();
                    file.offset += file.skipped + end as u64 + 1;
                    file.skipped = 0;
                    used = end + 1;
                }
                None => return (0, true),
            }
        }
        let mut given = 0;
        let mut lines = Lines::new(&held[used..]);
        loop {
            let batch_limit = (self.settings.read_lines_limit as u64).min(allowed - given);
            let cut = file.next_cut();
            let before = lines.taken();
            let count = self.take_batch(file, &mut lines, batch_limit, cut);
            if count == 0 {
                used += lines.taken();
                return (used, true);
            }
            debug_assert!(lines.taken() > before);
            given += count;
            if let Some(groups) = &mut self.groups {
                groups.took(&file.path, count, now);
            }
            let end = file.settled();
            let stream = self.events.take(file.tag.clone());
            if !self.emit(file, stream, end) || given >= allowed {
                used += lines.taken();
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
            if self.settings.max_line_size.is_some_and(|max| line.len() > max) {
                self.warn_too_long();
            } else {
                let converted = self.settings.conversion.map(|conversion| conversion.convert(line));
                self.line(file, converted.as_deref().unwrap_or(line), start);
            }
            if cut == Some(file.offset) {
                break;
            }
        }
        count
    }

    fn line(&mut self, file: &mut TailedFile, line: &[u8], start: u64) {
        let parser = self.settings.parser.clone();
        let Some(multiline) = parser.multiline() else {
            self.events.add(line, &file.path);
            return;
        };
        let now = Instant::now();
        if !multiline.has_firstline() {
            let group = file.group.get_or_insert_with(|| Group { text: Vec::new(), start, since: now });
            group.text.extend_from_slice(line);
            group.since = now;
            if self.events.try_add(&group.text, &file.path) {
                file.group = None;
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
        let stream = self.events.take(file.tag.clone());
        let end = file.offset;
        self.emit(file, stream, end);
    }

    /// Emits a batch that ends at `end`. `false` if it was refused and waits in the file.
    fn emit(&mut self, file: &mut TailedFile, stream: EventStream, end: u64) -> bool {
        let receipt = if stream.is_empty() {
            None
        } else {
            let origin = Origin::Tail { file: file.identity, end };
            let mut receipt = Receipt::durable(origin);
            match self.emit_now(stream.clone(), &mut receipt) {
                Ok(()) => Some(receipt),
                Err(EmitError::BufferOverflow | EmitError::Shutdown) => {
                    file.refused = Some(Refused { stream, end });
                    return false;
                }
                // Fluentd's in_tail goes on; what happened has been logged.
                Err(_) => None,
            }
        };
        if file.has_entry {
            self.settlements.push(Settlement::Advance {
                reading: file.reading,
                path: file.path.clone(),
                inode: file.identity.ino,
                offset: end,
                receipt,
            });
        }
        true
    }

    fn emit_now(&self, stream: EventStream, receipt: &mut Receipt) -> Result<(), EmitError> {
        let stop = self.context.stop.clone();
        self.handle.block_on(async {
            tokio::select! {
                result = self.context.emit(stream, receipt) => result,
                () = async { stop.cancelled().await; tokio::time::sleep(EMIT_AFTER_STOP).await } => {
                    Err(EmitError::Shutdown)
                }
            }
        })
    }

    fn warn_too_long(&self) {
        let max = self.settings.max_line_size.unwrap_or(super::lines::LINE_BYTES_MAX);
        log_warn!(self.context.log, format!("received line length is longer than {max}"), limit = Shown(max));
    }
}
