//! The machine as expressions see it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Environment variables, host name and worker number.
#[derive(Clone, Debug)]
pub struct Host {
    hostname: String,
    worker_id: String,
    /// `None`: those of the process.
    variables: Option<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl Host {
    /// The machine and process that this is. `worker_id` is the number of the worker, or nothing outside of one.
    pub fn process(worker_id: Option<usize>) -> Self {
        let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let worker_id = worker_id.map_or_else(String::new, |id| id.to_string());
        Self { hostname, worker_id, variables: None }
    }

    /// A host of that name with these environment variables, for tests and for checking a configuration on another
    /// machine.
    pub fn fixed(hostname: &str, variables: &[(&str, &str)]) -> Self {
        let variables =
            variables.iter().map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec())).collect();
        Self { hostname: hostname.to_owned(), worker_id: String::new(), variables: Some(variables) }
    }

    /// The same host as a plugin in `<worker ID>` sees it.
    #[must_use]
    pub fn in_worker(&self, id: u32) -> Self {
        Self { worker_id: id.to_string(), ..self.clone() }
    }

    /// `Socket.gethostname`
    pub fn hostname(&self) -> &str {
        &self.hostname
    }

    /// The worker's number as text; empty outside of a worker.
    pub fn worker_id(&self) -> &str {
        &self.worker_id
    }

    /// An environment variable.
    pub(crate) fn variable(&self, name: &[u8]) -> Option<Vec<u8>> {
        if name == WORKER_VARIABLE && !self.worker_id.is_empty() {
            return Some(self.worker_id.clone().into_bytes());
        }
        if let Some(variables) = &self.variables {
            return variables.get(name).cloned();
        }
        // An empty name, `=` and NUL have no variable; the standard library panics on some of them.
        if name.is_empty() || name.contains(&b'=') || name.contains(&0) {
            return None;
        }
        std::env::var_os(OsStr::from_bytes(name)).map(OsStringExt::into_vec)
    }

    /// All environment variables.
    pub(crate) fn variables(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut variables: Vec<(Vec<u8>, Vec<u8>)> = match &self.variables {
            Some(variables) => variables.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
            None => std::env::vars_os().map(|(k, v)| (k.into_vec(), v.into_vec())).collect(),
        };
        if !self.worker_id.is_empty() {
            variables.retain(|(name, _)| name != WORKER_VARIABLE);
            variables.push((WORKER_VARIABLE.to_vec(), self.worker_id.clone().into_bytes()));
        }
        variables
    }
}

/// The environment variable that tells Fluentd's workers which of them they are.
const WORKER_VARIABLE: &[u8] = b"SERVERENGINE_WORKER_ID";
