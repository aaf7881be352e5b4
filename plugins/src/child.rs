//! Commands that plugins run: what the shell starts ends with it.

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

/// After SIGTERM, for how long a command may go on before it is killed.
pub(crate) const END_WAIT_MAX: std::time::Duration = std::time::Duration::from_secs(5);

/// Tells a command which of Fluentd's workers has started it.
pub(crate) const WORKER_VARIABLE: &str = "SERVERENGINE_WORKER_ID";

/// `text` for /bin/sh, in a process group of its own.
pub(crate) fn shell(text: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(text).process_group(0).kill_on_drop(true);
    command
}

/// The processes of a command that [`shell`] made.
pub(crate) struct Group(Option<Pid>);

impl Group {
    /// Those of `child`.
    pub(crate) fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(id as i32)))
    }

    /// Nothing happens if all have ended.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, signal);
        }
    }
}
