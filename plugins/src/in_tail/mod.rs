//! `@type tail`: lines of files, from where the last run stopped.
//!
//! | part | what it does |
//! |---|---|
//! | [`paths`] | which files there are: patterns, dates, exclusions |
//! | [`position`] | the pos file |
//! | [`scheduler`] | one thread a source: whose turn it is, when to look |
//! | [`rotation`], [`series`], [`refresh`] | what becomes of paths, and of the files that were there |
//! | [`identity`] | which file a file is |
//! | [`reader`] | one turn: bytes, lines, events, emit |
//! | [`commits`] | offsets go to the pos file once their lines are safe in every buffer |
//! | [`notify`], [`names`] | inotify, which makes it quick and tells where files went |
//!
//! However many files there are, there is one thread, one read buffer and one second-long timer a source.

mod commits;
#[cfg(test)]
#[cfg(debug_assertions)]
mod crash;
mod encoding;
mod events;
mod file;
mod glob;
mod group;
mod handle;
mod identity;
mod lines;
mod names;
mod notify;
mod params;
mod paths;
mod position;
mod reader;
mod refresh;
mod rotation;
mod scheduler;
mod series;
mod settings;
mod throttle;

use futures_util::future::BoxFuture;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::plugin::{
    Build, BuildContext, Compat, Descriptor, Input, InputContext, Kind, StartError,
};
use scheduler::Scheduler;
use settings::Settings;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use tokio::sync::oneshot;

/// `@type tail`
pub static PLUGIN: Descriptor = Descriptor {
    params: params::PARAMS,
    sections: params::SECTIONS,
    compat: &[Compat::Parser],
    ..Descriptor::new(Kind::Input, "tail", "Reads lines that are appended to files", Build::Input(build))
};

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Box<dyn Input>, Diagnostic> {
    Ok(Box::new(Tail { settings: Arc::new(Settings::read(params, context)?) }))
}

struct Tail {
    settings: Arc<Settings>,
}

impl Input for Tail {
    fn start(&mut self, context: InputContext) -> BoxFuture<'_, Result<(), StartError>> {
        let settings = self.settings.clone();
        Box::pin(async move {
            let handle = tokio::runtime::Handle::current();
            let (stop, mut waker) = wake_pipe()?;
            let cancelled = context.stop.clone();
            let tasks = context.tasks.clone();
            let scheduler = Scheduler::new(settings, context, handle, stop)?;
            tasks.spawn(async move {
                cancelled.cancelled().await;
                // The reader has ended already if nobody listens.
                let _ = waker.write_all(&[1]);
            });
            let (ready, is_ready) = oneshot::channel();
            tasks.spawn_blocking(move || scheduler.run(ready));
            // What is renamed from now on must not be missed.
            let _ = is_ready.await;
            Ok(())
        })
    }
}

/// The reader's end and the end that wakes it.
fn wake_pipe() -> Result<(UnixStream, UnixStream), StartError> {
    let failed = |error: std::io::Error| {
        StartError::new("Errno::EMFILE", format!("cannot make a socket pair: {error}"))
    };
    let (stop, waker) = UnixStream::pair().map_err(failed)?;
    stop.set_nonblocking(true).map_err(failed)?;
    Ok((stop, waker))
}
