//! Sessions (`session_id`): a connection to the engine that outlives a request, with its temporary tables, its current
//! database and what `SET` set.

use crate::engine::{Engine, Session};
use crate::error::Exception;
use crate::request::SessionRequest;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// All sessions. They belong to the user who opened them.
pub(crate) struct Sessions {
    held: Mutex<HashMap<(String, String), Held>>,
    max: usize,
}

enum Held {
    Free { connection: Session, expires: Instant },
    Busy,
}

/// A session in use by one request, which gives it back when dropped.
pub(crate) struct Lease {
    sessions: Arc<Sessions>,
    key: (String, String),
    timeout: Duration,
    close: bool,
    connection: Option<Session>,
}

impl Sessions {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { held: Mutex::default(), max })
    }

    /// The session that a request of `user` names.
    pub(crate) fn take(
        self: &Arc<Self>,
        engine: &Engine,
        user: &str,
        request: &SessionRequest,
    ) -> Result<Lease, Exception> {
        let key = (user.to_owned(), request.id.clone());
        let now = Instant::now();
        let mut held = self.held();
        held.retain(|_, held| !matches!(held, Held::Free { expires, .. } if *expires <= now));
        let connection = match held.remove(&key) {
            Some(Held::Free { connection, .. }) => connection,
            Some(Held::Busy) => {
                held.insert(key, Held::Busy);
                let message = format!("Session {} is locked by a concurrent client", request.id);
                return Err(Exception::new(373, "SESSION_IS_LOCKED", message));
            }
            None if request.must_exist => {
                let message = format!("Session {} not found", request.id);
                return Err(Exception::new(372, "SESSION_NOT_FOUND", message));
            }
            None if held.len() >= self.max => {
                let message =
                    format!("{} sessions are open; close one, or ask without session_id", held.len());
                return Err(Exception::new(202, "TOO_MANY_SIMULTANEOUS_QUERIES", message));
            }
            None => engine.connect().ok_or_else(stopping)?,
        };
        held.insert(key.clone(), Held::Busy);
        drop(held);
        Ok(Lease {
            sessions: self.clone(),
            key,
            timeout: Duration::from_secs(request.timeout_s),
            close: request.close,
            connection: Some(connection),
        })
    }

    /// Closes those that are not in use.
    pub(crate) fn close_all(&self) {
        self.held().retain(|_, held| matches!(held, Held::Busy));
    }

    fn held(&self) -> MutexGuard<'_, HashMap<(String, String), Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    pub(crate) fn connection(&mut self) -> Option<&mut Session> {
        self.connection.as_mut()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut held = self.sessions.held();
        held.remove(&self.key);
        if let Some(connection) = self.connection.take().filter(|_| !self.close) {
            let expires = Instant::now() + self.timeout;
            held.insert(self.key.clone(), Held::Free { connection, expires });
        }
    }
}

/// The engine opens no connections any more.
pub(crate) fn stopping() -> Exception {
    Exception::new(236, "ABORTED", "the store is stopping")
}
