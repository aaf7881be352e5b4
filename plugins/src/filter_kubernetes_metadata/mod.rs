//! `@type kubernetes_metadata`: adds what Kubernetes knows of the pod and the namespace that a record comes from
//! (fluent-plugin-kubernetes_metadata_filter 3.x).
//!
//! Tasks keep a copy of the node's pods and of the namespaces ([`watch`]), or ask for them by name ([`lookup`]), and tell a
//! bounded [`store`]. A stream asks the store once for each container that it comes from, and gets a [`plan`]: the fields
//! `docker` and `kubernetes`, encoded when they last changed, which are spliced into each record without decoding it. A record
//! waits for what is not known yet for [`shared::WAIT_MAX`] at most, and not at all while the server is known not to answer.

mod api;
mod backoff;
mod error;
mod health;
mod identity;
mod items;
mod lookup;
mod object;
mod pairs;
mod params;
mod plan;
mod pods;
mod questions;
mod recent;
mod server;
mod settings;
mod shared;
mod stats;
mod store;
mod stream;
mod watch;

use api::Api;
use identity::Identity;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::log_info;
use logweir_engine::plugin::{Build, BuildContext, Descriptor, Filter, FilterStep, Kind};
use params::PARAMS;
use questions::Question;
use settings::{Environment, Settings};
use shared::Shared;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::Resource;
use stream::AddMetadata;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use watch::Watcher;

/// `@type kubernetes_metadata`
pub static PLUGIN: Descriptor = Descriptor {
    params: PARAMS,
    ..Descriptor::new(
        Kind::Filter,
        "kubernetes_metadata",
        "Adds what Kubernetes knows of a record's pod and namespace",
        Build::Filter(build),
    )
};

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Box<dyn Filter>, Diagnostic> {
    build_in(params, context, &Environment::of_process())
}

fn build_in(
    params: &Params,
    context: &mut BuildContext<'_>,
    environment: &Environment,
) -> Result<Box<dyn Filter>, Diagnostic> {
    let settings = Settings::new(params, environment, &context.log)?;
    let api = match &settings.server {
        Some(server) => Some(Api::new(server).map_err(|error| params.error(error.parameter, error.message))?),
        None => None,
    };
    let (shared, questions) = Shared::new(settings, context.log.clone());
    let works = api.map(|api| Works { api: Arc::new(api), questions });
    Ok(Box::new(KubernetesMetadata { shared, works: Mutex::new(works) }))
}

struct KubernetesMetadata {
    shared: Arc<Shared>,
    /// What the tasks need, until they are started.
    works: Mutex<Option<Works>>,
}

struct Works {
    api: Arc<Api>,
    questions: mpsc::Receiver<Question>,
}

impl Filter for KubernetesMetadata {
    fn for_tag(&self, tag: &Tag) -> FilterStep {
        let settings = &self.shared.settings;
        let of_tag = Identity::of_tag(&settings.tag_regexp, tag.as_str());
        if of_tag.is_none() && !settings.lookup_from_k8s_field && settings.journal_regexp.is_none() {
            return FilterStep::Pass;
        }
        FilterStep::Stream(Arc::new(AddMetadata { shared: Arc::clone(&self.shared), of_tag }))
    }

    fn start(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        let Some(Works { api, questions }) = self.works.lock().unwrap_or_else(PoisonError::into_inner).take()
        else {
            return;
        };
        let settings = &self.shared.settings;
        if settings.watch {
            let mut resources = vec![Resource::Pods];
            if settings.shape.namespaces {
                resources.push(Resource::Namespaces);
            }
            for resource in resources {
                let watcher = Watcher::new(Arc::clone(&self.shared), Arc::clone(&api), resource);
                tasks.spawn(watcher.run(stop.clone()));
            }
        }
        if let Some(interval) = settings.stats_interval {
            tasks.spawn(log_stats(Arc::clone(&self.shared), interval, stop.clone()));
        }
        tasks.spawn(lookup::run(Arc::clone(&self.shared), api, questions, tasks.clone(), stop.clone()));
    }
}

async fn log_stats(shared: Arc<Shared>, interval: Duration, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(interval)).await.is_some() {
        let sizes = shared.store().sizes();
        if let Some(line) = shared.stats.line(sizes) {
            log_info!(shared.log, line);
        }
    }
}

#[cfg(test)]
mod tests;
