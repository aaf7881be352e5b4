//! `@type clickhouse`: chunks into ClickHouse tables, exactly once.
//!
//! ```text
//! chunk ---encode--> Native blocks ---sender--> one of several servers
//!            ^                            |
//!       layout: table + configuration     '--> divided, retried, or rows to @ERROR
//! ```
//!
//! | question | file |
//! |---|---|
//! | What are the parameters? | [`config`] |
//! | How does a value become a column's bytes? | [`column`], one file a family of types |
//! | Which field goes into which column? | [`layout`], [`keys`], [`rows`] |
//! | What does an insert look like on the wire? | [`cells`], [`logweir_engine::clickhouse::frame`] |
//! | Which inserts does a chunk need? | [`encode`], [`writer`] |
//! | What happens when one fails? | [`writer`], [`sender`], [`server_error`] |
//! | Was an insert stored whose answer is lost? | [`doubts`], [`session`], [`trace`] |
//! | What does the table look like, and who makes it? | [`describe`], [`table`], [`create_table`], [`target`] |
//! | Who runs the embedded store? | [`embedded`] |

mod cells;
mod cluster;
mod column;
mod config;
mod create_table;
mod describe;
mod doubts;
mod embedded;
mod encode;
mod endpoint;
mod fault;
#[cfg(feature = "fuzz")]
mod fuzz;
mod kernel;
mod keys;
mod layout;
mod progress;
#[cfg(any(test, feature = "fuzz"))]
mod reader;
mod refused;
mod rows;
mod sender;
mod server_error;
mod session;
mod source;
mod table;
mod tagged;
mod target;
#[cfg(test)]
mod tests;
mod trace;
mod type_name;
mod value_at;
mod writer;

#[cfg(feature = "fuzz")]
pub use fuzz::fuzz;
pub use kernel::block_of;

use config::{Config, PARAMS, SECTIONS};
use embedded::{Embedded, StoreOptions};
use futures_util::future::BoxFuture;
use logweir_engine::buffer::Chunk;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::plugin::{
    BufferDefaults, BufferSupport, BufferedOutput, Build, BuildContext, ChunkFormatter, Compat, Descriptor,
    Kind, OutputPlugin, StartError, WriteError, WriteFuture,
};
use logweir_engine::telemetry::PluginLog;
use std::sync::{Arc, Mutex, PoisonError};
use tagged::Tagged;
use writer::Writer;

/// `@type clickhouse`
pub static PLUGIN: Descriptor = Descriptor {
    aliases: &["clickhousejson", "clickhouse-output"],
    params: PARAMS,
    sections: SECTIONS,
    compat: &[Compat::Buffer],
    buffer: BUFFER,
    ..Descriptor::new(
        Kind::Output,
        "clickhouse",
        "Stores records in ClickHouse: a column for each field, large inserts, each once",
        Build::Output(build),
    )
};

/// ClickHouse likes few large inserts, and its users like to see their logs soon.
const BUFFER: BufferSupport = BufferSupport::Always(BufferDefaults {
    chunk_keys: &[],
    params: &[
        ("flush_interval", "5s"),
        ("chunk_limit_size", "64m"),
        ("flush_thread_burst_interval", "0.1"),
        ("retry_max_interval", "10s"),
    ],
});

/// A counter that appears with the first trouble has not risen, for Prometheus.
const COUNTED_FROM_THE_START: &[&str] = &[
    "logweir_clickhouse_doubtful_inserts_total",
    "logweir_clickhouse_late_retries_total",
    "logweir_clickhouse_refused_rows_total",
    "logweir_clickhouse_replaced_values_total",
    "logweir_clickhouse_unknown_fields_total",
];

struct ClickHouse {
    writer: Arc<Writer>,
    formatter: Option<Tagged>,
    /// The store that this process runs, from the start to the shutdown.
    store: Mutex<Option<Arc<Embedded>>>,
    store_options: Option<StoreOptions>,
    log: PluginLog,
    /// The first look at the table.
    looking: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<OutputPlugin, Diagnostic> {
    let keys = context.chunk_keys(params, BUFFER)?;
    let config = Config::new(params, &keys, &context.log)?;
    let formatter = config.keeps_tag.then_some(Tagged);
    let store_options = config.embedded.clone();
    for name in COUNTED_FROM_THE_START {
        metrics::counter!(*name, "plugin_id" => context.id.text.to_string()).increment(0);
    }
    let writer = Writer::new(config, context.errors.clone(), context.log.clone(), context.id.text.clone());
    Ok(OutputPlugin::Buffered(Box::new(ClickHouse {
        writer: Arc::new(writer),
        formatter,
        store: Mutex::default(),
        store_options,
        log: context.log.clone(),
        looking: Mutex::default(),
    })))
}

impl BufferedOutput for ClickHouse {
    fn formatter(&self) -> Option<&dyn ChunkFormatter> {
        self.formatter.as_ref().map(|tagged| tagged as &dyn ChunkFormatter)
    }

    fn write<'a>(&'a self, chunk: &'a Chunk) -> WriteFuture<'a> {
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(async move {
            if let Some(store) = store
                && !store.ready().await
            {
                return Err(WriteError::retry("ClickHouse::StoreError", store.is_away()));
            }
            self.writer.write(chunk).await
        })
    }

    fn is_in_doubt(&self, chunk: &Chunk) -> bool {
        self.writer.is_in_doubt(chunk)
    }

    fn given_up(&self, chunk: &Chunk) {
        self.writer.given_up(chunk);
    }

    fn start(&self) -> BoxFuture<'_, Result<(), StartError>> {
        let store = match &self.store_options {
            Some(options) => match Embedded::start(options, &self.log) {
                Ok(store) => Some(store),
                Err(error) => return Box::pin(std::future::ready(Err(error))),
            },
            None => None,
        };
        *self.store.lock().unwrap_or_else(PoisonError::into_inner) = store.clone();
        let writer = Arc::clone(&self.writer);
        let task = tokio::spawn(async move {
            if let Some(store) = store
                && !store.ready().await
            {
                return;
            }
            writer.look_ahead().await;
        });
        *self.looking.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        Box::pin(std::future::ready(Ok(())))
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        let looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner).take();
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner).take();
        Box::pin(async move {
            if let Some(looking) = looking {
                looking.abort();
                // It holds the store, too.
                let _ = looking.await;
            }
            if let Some(store) = store {
                Embedded::release(store).await;
            }
        })
    }
}
