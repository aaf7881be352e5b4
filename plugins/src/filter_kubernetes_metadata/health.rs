//! What the log says about the API server: each kind of trouble once, and when it is over.

use super::error::{ApiError, ErrorKind};
use super::server::ServerSettings;
use logweir_engine::telemetry::PluginLog;
use logweir_engine::{log_debug, log_info, log_warn};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is done when trouble is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Action {
    ListPods,
    ListNamespaces,
    Get,
}

/// See the module.
pub(super) struct Health {
    log: PluginLog,
    url: String,
    ca_file: String,
    token_file: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    troubles: HashMap<Trouble, Since>,
    /// A record has waited in vain; until the server answers, none waits.
    is_slow: bool,
}

/// What a connection needs is one trouble for all actions; what the server refuses is one for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Trouble {
    kind: ErrorKind,
    action: Option<Action>,
}

struct Since {
    said: Instant,
    count: u64,
    is_over: bool,
}

/// A trouble that comes and goes is told of at most this often.
const SAY_AGAIN: Duration = Duration::from_secs(60);

impl Health {
    pub(super) fn new(log: PluginLog, server: &ServerSettings) -> Self {
        let file = |path: Option<String>| path.unwrap_or_else(|| "none".to_owned());
        Self {
            log,
            url: server.url.clone(),
            ca_file: file(server.ca_file.clone()),
            token_file: file(server.token_file.as_ref().map(|path| path.display().to_string())),
            state: Mutex::default(),
        }
    }

    /// Whether a record that waits may soon have an answer.
    pub(super) fn is_well(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        !state.is_slow
            && !state.troubles.iter().any(|(trouble, since)| trouble.action.is_none() && !since.is_over)
    }

    /// A record has waited for so long without an answer.
    pub(super) fn waited_in_vain(&self, waited: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut state.is_slow, true) {
            log_warn!(
                self.log,
                "the Kubernetes API server does not answer in time; until it does, records go on with what is known",
                url = self.url,
                waited_seconds = waited.as_secs()
            );
        }
    }

    pub(super) fn failed(&self, action: Action, error: &ApiError) {
        let kind = error.kind();
        let is_general = !matches!(kind, ErrorKind::Forbidden | ErrorKind::Other);
        let trouble = Trouble { kind, action: (!is_general).then_some(action) };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_general {
            self.is_reached(&mut state);
        }
        let now = Instant::now();
        let known = state.troubles.get_mut(&trouble);
        if let Some(since) = known
            && (!since.is_over || now.duration_since(since.said) < SAY_AGAIN)
        {
            since.is_over = false;
            since.count += 1;
            log_debug!(self.log, "the Kubernetes API server fails again", error = error.to_string());
            return;
        }
        state.troubles.insert(trouble, Since { said: now, count: 1, is_over: false });
        drop(state);
        self.say(action, error);
    }

    /// The server has answered as it should.
    pub(super) fn answered(&self, action: Action) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_slow = false;
        self.is_reached(&mut state);
        self.is_over(&mut state, Some(action));
    }

    fn is_reached(&self, state: &mut State) {
        self.is_over(state, None);
    }

    fn is_over(&self, state: &mut State, action: Option<Action>) {
        for (trouble, since) in &mut state.troubles {
            if trouble.action == action && !std::mem::replace(&mut since.is_over, true) {
                let kind = format!("{:?}", trouble.kind).to_lowercase();
                log_info!(
                    self.log,
                    "the Kubernetes API server answers again",
                    url = self.url,
                    trouble = kind,
                    failures = since.count
                );
            }
        }
    }

    fn say(&self, action: Action, error: &ApiError) {
        let text = error.to_string();
        match error.kind() {
            ErrorKind::Unreachable => log_warn!(
                self.log,
                "the Kubernetes API server cannot be reached; records go on with what is known, and it is tried again",
                url = self.url,
                error = text
            ),
            ErrorKind::Certificate => log_warn!(
                self.log,
                "the certificate of the Kubernetes API server is not trusted; records go on without metadata. \
                 ca_file must have the certificate of its CA, and kubernetes_url a name that the certificate has \
                 (verify_ssl false takes any certificate)",
                url = self.url,
                ca_file = self.ca_file,
                error = text
            ),
            ErrorKind::Token => log_warn!(
                self.log,
                "the token for the Kubernetes API server cannot be read; it is tried again",
                bearer_token_file = self.token_file,
                error = text
            ),
            ErrorKind::Unauthorized => log_warn!(
                self.log,
                "the Kubernetes API server does not accept the token; its file is read again for each request",
                url = self.url,
                bearer_token_file = self.token_file,
                error = text
            ),
            ErrorKind::Forbidden => log_warn!(
                self.log,
                "the Kubernetes API server refuses: the service account needs a ClusterRole with get, list and watch of \
                 pods and namespaces",
                action = what(action),
                error = text
            ),
            ErrorKind::Other => log_warn!(
                self.log,
                "the Kubernetes API server does not answer as it should; it is tried again",
                action = what(action),
                url = self.url,
                error = text
            ),
        }
    }
}

fn what(action: Action) -> &'static str {
    match action {
        Action::ListPods => "list and watch pods",
        Action::ListNamespaces => "list and watch namespaces",
        Action::Get => "get a pod or a namespace",
    }
}
