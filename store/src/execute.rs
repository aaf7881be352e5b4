//! One query on one connection, on a thread of its own.

use crate::engine::{Engine, Session};
use crate::error::Exception;
use crate::library::Statistics;
use crate::pool::{MARK, Ticket};
use crate::session::{self, Lease};
use crate::spool::Spool;
use crate::statement::{Insert, Statement};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

/// A query, ready to run.
pub(crate) struct Work {
    pub(crate) engine: Arc<Engine>,
    pub(crate) session: Option<Lease>,
    /// All of the text, but for an insert's data.
    pub(crate) text: Vec<u8>,
    pub(crate) statement: Statement,
    /// An insert's data.
    pub(crate) data: Option<Spool>,
    pub(crate) database: Option<String>,
    /// From the URL.
    pub(crate) settings: Vec<(String, Vec<u8>)>,
    /// Whether it may only read: it came with GET, or its user may.
    pub(crate) readonly: bool,
    pub(crate) format: String,
}

/// The setting by whose value clients find their query in `system.processes`, where the engine gives it an id of its own.
const COMMENT: &str = "log_comment";
const TOKEN: &str = "insert_deduplication_token";
const DEDUPLICATE: &str = "insert_deduplicate";
const READONLY: &str = "readonly";

impl Work {
    /// Runs it; its output goes into `output`, which is closed at the end.
    pub(crate) fn run(mut self, ticket: &Ticket, output: OwnedFd) -> Result<Statistics, Exception> {
        if let Some(mut session) = self.session.take() {
            let connection = session.connection().ok_or_else(session::stopping)?;
            return self.run_in_session(connection, ticket, output);
        }
        let mut connection = self.engine.connect().ok_or_else(session::stopping)?;
        let settings = self.settings(ticket, false)?;
        self.prepare(&mut connection, &settings)?;
        self.execute(&mut connection, ticket, output)
    }

    /// In a session the URL's settings are for this query only, so they are put back. A session cannot be made read-only and
    /// come back from it, so what may only read is looked at here.
    fn run_in_session(
        &self,
        connection: &mut Session,
        ticket: &Ticket,
        output: OwnedFd,
    ) -> Result<Statistics, Exception> {
        let readonly =
            self.readonly || self.settings.iter().any(|(name, value)| name == READONLY && value != b"0");
        if readonly && !matches!(self.statement, Statement::Output { .. }) {
            return Err(Exception::readonly("Cannot execute query in readonly mode"));
        }
        let settings = self.settings(ticket, true)?;
        let names: Vec<String> = settings.iter().map(|(name, _)| format!("'{name}'")).collect();
        let before = format!(
            "SELECT arrayStringConcat(groupArray(concat(name, ' = \\'', replaceAll(replaceAll(value, '\\\\', '\\\\\\\\'), \
             '\\'', '\\\\\\''), '\\'')), ', ') FROM system.settings WHERE name IN ({})",
            names.join(", ")
        );
        let before = query(connection, before.as_bytes(), "TSVRaw")?.0;
        let outcome =
            self.prepare(connection, &settings).and_then(|()| self.execute(connection, ticket, output));
        let restore = [b"SET ", before.trim_ascii_end()].concat();
        if before.trim_ascii_end().is_empty() || query(connection, &restore, "Null").is_ok() {
            return outcome;
        }
        outcome.and_then(|_| {
            Err(Exception::new(1002, "UNKNOWN_EXCEPTION", "cannot put back the session's settings"))
        })
    }

    /// What to `SET`, in order.
    fn settings(&self, ticket: &Ticket, in_session: bool) -> Result<Vec<(String, Vec<u8>)>, Exception> {
        let given = |name: &str| self.settings.iter().any(|(given, _)| given == name);
        let mut settings = Vec::with_capacity(self.settings.len() + 4);
        let known = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.')
        };
        for (name, value) in &self.settings {
            if !known(name) {
                return Err(Exception::new(115, "UNKNOWN_SETTING", format!("Unknown setting '{name}'")));
            }
            if name != MARK && name != READONLY {
                settings.push((name.clone(), value.clone()));
            }
        }
        settings.push((MARK.to_owned(), ticket.query().mark.clone().into_bytes()));
        if !given(COMMENT) {
            settings.push((COMMENT.to_owned(), ticket.query().id.clone().into_bytes()));
        }
        // Tables remember inserts, but only those with a name: two equal ones without are two.
        let named = given(TOKEN) || contains(&self.text, TOKEN.as_bytes());
        if named && !given(DEDUPLICATE) {
            settings.push((DEDUPLICATE.to_owned(), b"1".to_vec()));
        }
        if !in_session {
            let wanted =
                self.settings.iter().rfind(|(name, _)| name == READONLY).map(|(_, value)| value.clone());
            let wanted = wanted.filter(|value| !self.readonly || value != b"0");
            if let Some(value) = wanted.or_else(|| self.readonly.then(|| b"2".to_vec())) {
                settings.push((READONLY.to_owned(), value));
            }
        }
        Ok(settings)
    }

    fn prepare(&self, connection: &mut Session, settings: &[(String, Vec<u8>)]) -> Result<(), Exception> {
        if let Some(database) = &self.database {
            let name = database.replace('\\', "\\\\").replace('`', "\\`");
            query(connection, format!("USE `{name}`").as_bytes(), "Null")?;
        }
        let mut sql = b"SET ".to_vec();
        for (at, (name, value)) in settings.iter().enumerate() {
            sql.extend_from_slice(if at == 0 { b"" } else { b", " });
            sql.extend_from_slice(name.as_bytes());
            sql.extend_from_slice(b" = ");
            sql.extend_from_slice(&literal(value));
        }
        query(connection, &sql, "Null").map(|_| ())
    }

    fn execute(
        &self,
        connection: &mut Session,
        ticket: &Ticket,
        output: OwnedFd,
    ) -> Result<Statistics, Exception> {
        if ticket.query().is_cancelled() {
            return Err(Exception::new(394, "QUERY_WAS_CANCELLED", "Query was cancelled"));
        }
        match &self.statement {
            Statement::Insert(insert) => self.insert(connection, insert),
            Statement::Output { at, .. } => {
                let into = format!(" INTO OUTFILE '/proc/self/fd/{}' TRUNCATE ", output.as_raw_fd());
                let sql = [&self.text[..*at], into.as_bytes(), &self.text[*at..]].concat();
                match query(connection, &sql, &self.format) {
                    // Without the clause the error is about the client's text; and what does not take the clause is run.
                    Err(error) if error.code == 62 && error.message.starts_with("Syntax error") => {
                        self.whole(connection, output)
                    }
                    other => other.map(|(_, statistics)| statistics),
                }
            }
            Statement::Other => self.whole(connection, output),
        }
    }

    fn insert(&self, connection: &mut Session, insert: &Insert) -> Result<Statistics, Exception> {
        let Some(data) = &self.data else { return Err(Exception::bad_arguments("an INSERT without data")) };
        let infile = format!(" FROM INFILE '{}' ", data.path());
        let format = format!(" FORMAT {}", insert.format);
        let sql = [&insert.head[..], infile.as_bytes(), &insert.settings, format.as_bytes()].concat();
        let (_, mut statistics) = query(connection, &sql, &self.format)?;
        // What an insert reads is its data.
        statistics.read_rows = statistics.read_rows.max(statistics.result_rows);
        statistics.read_bytes = statistics.read_bytes.max(statistics.result_bytes);
        (statistics.result_rows, statistics.result_bytes) =
            (statistics.written_rows, statistics.written_bytes);
        Ok(statistics)
    }

    /// Runs it as it is. The output is in memory; such statements answer little.
    fn whole(&self, connection: &mut Session, output: OwnedFd) -> Result<Statistics, Exception> {
        let (bytes, statistics) = query(connection, &self.text, &self.format)?;
        // An error means that nobody reads any more.
        let _ = File::from(output).write_all(&bytes);
        Ok(statistics)
    }
}

fn query(connection: &mut Session, sql: &[u8], format: &str) -> Result<(Vec<u8>, Statistics), Exception> {
    connection.query(sql, format).map_err(|text| Exception::from_engine(&text))
}

fn contains(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|window| window.eq_ignore_ascii_case(what))
}

/// A value as SQL takes it.
fn literal(value: &[u8]) -> Vec<u8> {
    let mut out = vec![b'\''];
    for byte in value {
        if matches!(byte, b'\'' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'\'');
    out
}
