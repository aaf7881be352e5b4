//! `@type systemd`: entries of the systemd journal (fluent-plugin-systemd 1.1), from where the last run stopped.
//!
//! | part | what it does |
//! |---|---|
//! | [`library`] | libsystemd, loaded when it is needed |
//! | [`reader`] | one thread a source: entries, batches, emit |
//! | [`entry`] | an entry becomes a record |
//! | [`cursor`] | what buffers remember of entries, so that none is stored twice |
//! | [`commits`] | the cursor moves on once its entries are safe in every buffer |
//! | [`storage`] | `<storage>`: the file that the cursor is kept in |
//!
//! Files that journald rotates, archives or removes meanwhile are libsystemd's business; entries that were removed before they
//! were read are gone, and reading goes on with the first one behind them.

mod commits;
mod cursor;
mod entry;
mod library;
mod reader;
mod settings;
mod storage;
#[cfg(test)]
mod tests;

use commits::Settlements;
use entry::Entries;
use futures_util::future::BoxFuture;
use library::Library;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::plugin::{Build, BuildContext, Descriptor, Input, InputContext, Kind, StartError};
use reader::Reader;
use settings::Settings;
use std::sync::Arc;
use storage::Storage;

/// `@type systemd`
pub static PLUGIN: Descriptor = Descriptor {
    params: settings::PARAMS,
    sections: settings::SECTIONS,
    ..Descriptor::new(Kind::Input, "systemd", "Reads the systemd journal", Build::Input(build))
};

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Box<dyn Input>, Diagnostic> {
    let (settings, mutator) = Settings::new(params, context)?;
    Ok(Box::new(Systemd { settings: Arc::new(settings), entries: Some(Entries::new(mutator)) }))
}

struct Systemd {
    settings: Arc<Settings>,
    entries: Option<Entries>,
}

impl Input for Systemd {
    fn start(&mut self, context: InputContext) -> BoxFuture<'_, Result<(), StartError>> {
        Box::pin(async move {
            let Some(entries) = self.entries.take() else { return Ok(()) };
            let library = Library::get().map_err(|error| StartError::new("LoadError", error.to_string()))?;
            let storage = Storage::open(self.settings.storage.clone(), context.log.clone())?;
            self.settings.warn_of_unreadable_files(&context.log);
            let handle = tokio::runtime::Handle::current();
            let settlements = Settlements::start(&handle, storage, context.log.clone());
            let tasks = context.tasks.clone();
            let settings = Arc::clone(&self.settings);
            let reader = Reader::new(library, settings, entries, context, handle, settlements);
            tasks.spawn_blocking(move || reader.run());
            Ok(())
        })
    }
}
