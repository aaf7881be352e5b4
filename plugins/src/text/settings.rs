//! The `<parse>` section as parsers use it.

use super::convert::{Converter, Converters};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::EventTime;
use logweir_engine::json::{Watched, WatchedKey};
use logweir_engine::log_warn;
use logweir_engine::msgpack::{Kind, Reader, ValueRef};
use logweir_engine::plugin::{BuildContext, FieldPlace, ParseFailure, ParseOutput};
use logweir_engine::regexp::{Regexp, Spans};
use logweir_engine::telemetry::PluginLog;
use logweir_engine::time::{TimeParser, TimeSettings};
use std::sync::Arc;
use std::time::Duration;

use super::fields::Fields;
use super::map::{begin_map, end_map};

/// The parameters that all parsers take, ready for use.
pub(crate) struct ParseSettings {
    /// time_type, time_format, timezone, ...
    pub(crate) time: TimeSettings,
    /// Reads the field `time_key`.
    pub(crate) time_parser: TimeParser,
    pub(crate) time_key: Option<Box<[u8]>>,
    pub(crate) keep_time_key: bool,
    estimate_current_event: bool,
    pub(super) convert: Option<Converters>,
    timeout: Option<Duration>,
    log: PluginLog,
}

impl ParseSettings {
    /// From a section whose table has [`super::parse_params`].
    pub(crate) fn new(params: &Params, context: &BuildContext<'_>) -> Result<Self, Diagnostic> {
        Self::with_time(params, context, TimeSettings::from_params(params)?)
    }

    /// The same with time settings that the parser has changed.
    pub(crate) fn with_time(
        params: &Params,
        context: &BuildContext<'_>,
        time: TimeSettings,
    ) -> Result<Self, Diagnostic> {
        let time_parser = TimeParser::new(&time).map_err(|e| params.error("timezone", e))?;
        Ok(Self {
            time_parser,
            time_key: params.str("time_key").map(|key| key.as_bytes().into()),
            keep_time_key: params.bool("keep_time_key"),
            estimate_current_event: params.bool("estimate_current_event"),
            convert: Converters::from_params(params, &time)?,
            timeout: params.time("timeout"),
            log: context.log.clone(),
            time,
        })
    }

    /// The time of an event whose text has none.
    pub(crate) fn estimate(&self) -> Option<EventTime> {
        self.estimate_current_event.then(EventTime::now)
    }

    /// The time_key, for a reader that sees all keys.
    pub(crate) fn watched_key(&self) -> Option<WatchedKey> {
        self.time_key.as_deref().map(WatchedKey::new)
    }

    /// The conversion that `types` has for a field.
    pub(crate) fn converter(&self, key: &[u8]) -> Option<Arc<Converter>> {
        self.convert.as_ref()?.of(key).cloned()
    }

    /// Begins an entry of at most `fields_max` fields.
    pub(crate) fn begin<'p, 'o>(&'p self, out: &'o mut ParseOutput, fields_max: usize) -> Fields<'p, 'o> {
        Fields::begin(self, out, fields_max)
    }

    /// A time parser for a format of the parser's own.
    pub(crate) fn time_parser(&self, params: &Params, format: &str) -> Result<TimeParser, Diagnostic> {
        let settings = self.time.with(self.time.kind, Some(format));
        TimeParser::new(&settings).map_err(|e| params.error("time_format", e))
    }

    /// The pattern with the configured `timeout`.
    pub(crate) fn regexp(&self, params: &Params, regexp: Regexp) -> Result<Regexp, Diagnostic> {
        match self.timeout {
            Some(limit) => regexp.within(limit).map_err(|e| params.error_here(e.to_string())),
            None => Ok(regexp),
        }
    }

    /// Searches; a search that takes too long is logged and counts as no match.
    pub(crate) fn search(&self, regexp: &Regexp, text: &[u8], from: usize, spans: &mut Spans) -> bool {
        regexp.search(text, from, spans).unwrap_or_else(|_| {
            let text = String::from_utf8_lossy(text);
            log_warn!(self.log, format!("parsing timed out with {regexp}: text = {text}"));
            false
        })
    }

    /// Takes the time out of the record that was written into the open entry, converts its values, and ends the entry.
    /// What is no map is no event.
    pub(crate) fn finish_record(&self, out: &mut ParseOutput) -> Result<(), ParseFailure> {
        self.finish_watched(out, Watched::Unknown)
    }

    /// The same for a record whose reader has watched for the time_key ([`ParseSettings::watched_key`]).
    pub(crate) fn finish_watched(&self, out: &mut ParseOutput, watched: Watched) -> Result<(), ParseFailure> {
        let at = out.open_record_start();
        let result = self.record_time(out.buffer(), at, watched);
        match result {
            Ok(time) => {
                self.convert_record(out.buffer(), at);
                out.commit(time);
                Ok(())
            }
            Err(failure) => {
                out.abort();
                Err(failure)
            }
        }
    }

    /// The time of the record at `at`; its field goes, unless it is kept.
    fn record_time(
        &self,
        buffer: &mut Vec<u8>,
        at: usize,
        watched: Watched,
    ) -> Result<Option<EventTime>, ParseFailure> {
        if !matches!(buffer.get(at).copied().and_then(Kind::of), Some(Kind::Map)) {
            return Err(ParseFailure::Unmatched);
        }
        let Some(time_key) = &self.time_key else { return Ok(self.estimate()) };
        let Some(place) = FieldPlace::watched(&buffer[at..], at, time_key, watched) else {
            return Ok(self.estimate());
        };
        let value =
            ValueRef::read(&buffer[at..][place.value.clone()]).map_err(|_| ParseFailure::Unmatched)?;
        let time = self.time_parser.parse(value).map_err(ParseFailure::Invalid)?;
        if !self.keep_time_key {
            place.remove(buffer, at);
        }
        Ok(Some(time))
    }

    fn convert_record(&self, buffer: &mut Vec<u8>, at: usize) {
        let Some(convert) = &self.convert else { return };
        let raw = buffer.split_off(at);
        let mut reader = Reader::new(&raw);
        let count = reader.read_map_len().unwrap_or(0);
        let header = begin_map(buffer, count);
        let mut written = 0;
        for _ in 0..count {
            let (Ok(key), Ok(value)) = (reader.read_raw(), reader.read_raw()) else { break };
            buffer.extend_from_slice(key);
            let name = match ValueRef::read(key) {
                Ok(ValueRef::Str(name) | ValueRef::Bin(name)) => convert.of(name),
                _ => None,
            };
            convert.write_value(name.map(|name| &**name), value, buffer);
            written += 1;
        }
        end_map(buffer, header, written);
    }
}
