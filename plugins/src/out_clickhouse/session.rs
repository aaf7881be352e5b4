//! An insert that comes too late is refused: each goes in a session of its own, which was opened before and soon ends.
//!
//! An insert whose connection was lost may still be on its way: in a socket that the server has not read yet, or in a proxy.
//! Nobody sees it there, so what a server has of it is no answer to what it will have. But a request with `session_check=1` is
//! refused once its session is over. And a session is in use from the moment at which the server has read the head of a request:
//! that is before the list of processes shows it.
//!
//! ```text
//! SELECT 1   session_id=TOKEN.1&session_timeout=5                    opens it
//! INSERT     session_id=TOKEN.1&session_timeout=1&session_check=1    refused if it is over
//! SELECT 1   session_id=TOKEN.1&session_timeout=1&session_check=1    over (372), in use (373), or idle: it may still come
//! ```
//!
//! The number is that of the chunk's delivery, so that no session is opened twice: what an earlier delivery has sent does not get in.

use super::endpoint::{Endpoint, Failure};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Code of a request whose session is over.
pub(crate) const SESSION_NOT_FOUND: u32 = 372;
/// Code of a request whose session is in use by another.
pub(crate) const SESSION_IS_LOCKED: u32 = 373;
/// Code of a server that does not know what a session is.
const UNKNOWN_SETTING: u32 = 115;

/// How long a session lasts that was opened and that nobody uses. The head of an insert, which follows at once, gets there sooner,
/// or comes in vain.
const OPENED_SECONDS: u64 = 5;
/// How long it lasts after an insert or a question.
const USED_SECONDS: u64 = 1;
/// Servers look for sessions that are over once a second.
const SLACK: Duration = Duration::from_millis(2500);
/// Servers before this one go by the time that the last request asked for, later ones by that of the first.
const FIRST_TIME_COUNTS_SINCE: (u32, u32) = (20, 1);

/// What a server says of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Session {
    /// What was to come in them is refused.
    Over,
    /// It may still come.
    Idle,
    /// It is here.
    Busy,
}

/// The session of an insert in a delivery.
pub(crate) fn name(token: &str, delivery: u16) -> String {
    format!("{token}.{delivery}")
}

/// The settings of an insert in an open session.
pub(crate) fn settings(name: &str) -> [(&'static str, String); 3] {
    [
        ("session_id", name.to_owned()),
        ("session_timeout", USED_SECONDS.to_string()),
        ("session_check", "1".to_owned()),
    ]
}

/// Opens a session. `false` if the server has none. The insert must follow within [`patience`].
pub(crate) async fn open(endpoint: &Endpoint, name: &str) -> Result<bool, Failure> {
    let settings = [("session_id", name.to_owned()), ("session_timeout", OPENED_SECONDS.to_string())];
    match endpoint.query_with("SELECT 1", "TabSeparated", &settings).await {
        Ok(_) => Ok(true),
        Err(Failure::Refused(error)) if error.code == Some(UNKNOWN_SETTING) => Ok(false),
        // Nothing but the question can have been lost.
        Err(Failure::Lost(message)) => Err(Failure::Unreached(message)),
        Err(failure) => Err(failure),
    }
}

/// How long after [`open`] an insert may set out.
pub(crate) fn patience() -> Duration {
    Duration::from_secs(OPENED_SECONDS) / 2
}

/// Asks for the sessions of an insert in these deliveries; the answer is about the one that is most alive.
pub(crate) async fn ask(
    endpoint: &Endpoint,
    token: &str,
    deliveries: RangeInclusive<u16>,
) -> Result<Session, Failure> {
    let mut most = Session::Over;
    for delivery in deliveries {
        let settings = settings(&name(token, delivery));
        let state = match endpoint.query_with("SELECT 1", "TabSeparated", &settings).await {
            Ok(_) => Session::Idle,
            Err(Failure::Refused(error)) => match error.code {
                Some(SESSION_NOT_FOUND) => Session::Over,
                Some(SESSION_IS_LOCKED) => Session::Busy,
                _ => return Err(Failure::Refused(error)),
            },
            Err(failure) => return Err(failure),
        };
        most = most.max(state);
    }
    Ok(most)
}

/// How long after [`ask`] a session that was idle is over, if nobody used it meanwhile.
pub(crate) fn over_after(version: Option<(u32, u32)>) -> Duration {
    let is_old = version.is_some_and(|version| version < FIRST_TIME_COUNTS_SINCE);
    Duration::from_secs(if is_old { USED_SECONDS } else { OPENED_SECONDS }) + SLACK
}
