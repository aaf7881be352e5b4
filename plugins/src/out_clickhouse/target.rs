//! The tables that chunks go into, as far as they are known.

use super::cluster::{Cluster, ClusterError};
use super::config::Config;
use super::create_table::{statements, ttl_is_ignored};
use super::describe::{TableName, describe, is_missing};
use super::layout::{Absent, Layout, LayoutError};
use super::table::{Deduplication, Table};
use super::type_name::Type;
use logweir_engine::fault;
use logweir_engine::telemetry::PluginLog;
use logweir_engine::{log_info, log_warn};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// So many tables are remembered; placeholders can name any number.
const TABLES_MAX: usize = 1000;
/// So many warnings about a table's fields and columns are written.
const WARNINGS_MAX: usize = 200;

/// A table and how rows get into it.
pub(crate) struct Target {
    /// Its name.
    pub(crate) name: TableName,
    /// Its description.
    pub(crate) table: Table,
    /// How rows get into it.
    pub(crate) layout: Layout,
    /// Whether a column is of type JSON.
    pub(crate) has_json: bool,
    read_at: Instant,
}

/// Why there is no target.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    /// No server, or none that says what the table is like.
    #[error("{0}")]
    Cluster(#[from] ClusterError),
    /// Table and configuration do not fit.
    #[error("{name}: {error}")]
    Layout {
        /// The table.
        name: TableName,
        /// What does not fit.
        error: LayoutError,
    },
}

/// See the module.
pub(crate) struct Targets {
    cluster: Arc<Cluster>,
    known: Mutex<HashMap<TableName, Arc<Target>>>,
    warned: Mutex<HashSet<String>>,
    log: PluginLog,
}

impl Targets {
    /// None known yet.
    pub(crate) fn new(cluster: Arc<Cluster>, log: PluginLog) -> Self {
        Self { cluster, known: Mutex::default(), warned: Mutex::default(), log }
    }

    /// The table of this name: as it was last described, or described anew if that is too long ago.
    pub(crate) async fn get(&self, name: &TableName, config: &Config) -> Result<Arc<Target>, TargetError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        match known {
            Some(target) if target.read_at.elapsed() < config.refresh => Ok(target),
            _ => self.refresh(name, config).await,
        }
    }

    /// The table of this name, described anew; made, if it is missing and is to be made.
    pub(crate) async fn refresh(
        &self,
        name: &TableName,
        config: &Config,
    ) -> Result<Arc<Target>, TargetError> {
        let table = match (describe(&self.cluster, name).await, &config.create) {
            (Err(error), Some(_)) if is_missing(&error) => {
                self.create(name, config).await?;
                describe(&self.cluster, name).await?
            }
            (described, _) => described?,
        };
        let zone = config.zone.as_ref().unwrap_or(&table.zone);
        let mut skipped = Vec::new();
        let layout = Layout::new(&table, &config.columns, zone, |column| {
            skipped.push(format!("{:?} ({})", column.name, column.type_name));
        })
        .map_err(|error| TargetError::Layout { name: name.clone(), error })?;
        for column in skipped {
            self.warn_once(&format!(
                "{name}: column {column} has a type that is not written and gets its default"
            ));
        }
        self.warn_of_duplicates(name, &table.deduplication, config.deduplicate);
        let has_json = layout.columns.iter().any(|column| matches!(column.kind.bare(), Type::Json));
        let target =
            Arc::new(Target { name: name.clone(), table, layout, has_json, read_at: Instant::now() });
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= TABLES_MAX {
            known.clear();
        }
        known.insert(name.clone(), Arc::clone(&target));
        Ok(target)
    }

    /// The description is out of date.
    pub(crate) fn forget(&self, name: &TableName) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Says something once.
    pub(crate) fn warn_once(&self, message: &str) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.len() < WARNINGS_MAX && warned.insert(message.to_owned()) {
            log_warn!(self.log, message);
        }
    }

    /// Says that a column stays empty because chunks do not know their tag.
    pub(crate) fn warn_of_tag(&self, target: &Target) {
        let column = target.layout.columns.iter().find(|column| column.absent == Absent::Tag);
        if let Some(column) = column {
            self.warn_once(&format!(
                "{}: column {:?} stays empty where records have no such field, because chunks do not know their tag; \
                 write `tag_column {}`, or <buffer tag>",
                target.name, column.name, column.name
            ));
        }
    }

    async fn create(&self, name: &TableName, config: &Config) -> Result<(), ClusterError> {
        let Some(options) = &config.create else { return Ok(()) };
        let (endpoint, version) = self.cluster.query("SELECT version()", "TabSeparated").await?;
        endpoint.learn_version(String::from_utf8_lossy(&version).trim());
        let version = endpoint.version().unwrap_or((0, 0));
        if ttl_is_ignored(options, version) {
            self.warn_once(&format!(
                "{name}: this server ({}.{}) has no TTL; rows stay until they are deleted",
                version.0, version.1
            ));
        }
        for statement in statements(name, options, version) {
            endpoint
                .query(&statement, "TabSeparated")
                .await
                .map_err(|failure| ClusterError { url: endpoint.url().to_owned(), failure })?;
        }
        fault!("table-created");
        log_info!(self.log, "created table", table = name.to_string(), url = endpoint.url());
        Ok(())
    }

    fn warn_of_duplicates(&self, name: &TableName, deduplication: &Deduplication, wanted: bool) {
        if !wanted {
            return;
        }
        match deduplication {
            Deduplication::Off { remedy } => self.warn_once(&format!(
                "{name} does not recognise a repeated insert; one whose answer is lost may be stored twice. \
                 To prevent it: {remedy}"
            )),
            Deduplication::Unsupported => self.warn_once(&format!(
                "{name}: this server cannot recognise a repeated insert into such a table; when an answer is lost, \
                 it is asked whether the insert was stored"
            )),
            Deduplication::Engine | Deduplication::Unknown => {}
        }
    }
}
