//! Asks for pods and namespaces by name, a few at a time.

use super::api::Api;
use super::error::ApiError;
use super::health::Action;
use super::object::{NamespaceJson, PodJson};
use super::questions::Question;
use super::shared::Shared;
use super::stats::Stat;
use logweir_engine::log_debug;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How many requests are on their way at a time.
const AT_ONCE: usize = 8;

/// Asks what comes out of `questions` until `stop`.
pub(super) async fn run(
    shared: Arc<Shared>,
    api: Arc<Api>,
    mut questions: mpsc::Receiver<Question>,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    while let Some(Some(question)) = stop.run_until_cancelled(questions.recv()).await {
        let Some(Ok(permit)) = stop.run_until_cancelled(Arc::clone(&room).acquire_owned()).await else {
            return;
        };
        let (shared, api, stop) = (Arc::clone(&shared), Arc::clone(&api), stop.clone());
        tasks.spawn(async move {
            stop.run_until_cancelled(ask(&shared, &api, &question)).await;
            drop(permit);
        });
    }
}

async fn ask(shared: &Shared, api: &Api, question: &Question) {
    // The server answers from its memory, not from its database.
    let path = match question {
        Question::Pod { namespace, name } => format!("/namespaces/{namespace}/pods/{name}?resourceVersion=0"),
        Question::Namespace { name } => format!("/namespaces/{name}?resourceVersion=0"),
    };
    let result = match api.object(&path).await {
        Ok(None) => {
            log_debug!(
                shared.log,
                "the Kubernetes API server does not have what a record names",
                path = path
            );
            shared.tell(|store| store.not_found(question, Instant::now()));
            Ok(())
        }
        Ok(Some(json)) => {
            tell(shared, question, &json).map_err(|error| ApiError::Broken(format!("GET {path}: {error}")))
        }
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => {
            if let Some(health) = &shared.health {
                health.answered(Action::Get);
            }
        }
        Err(error) => {
            let is_pod = matches!(question, Question::Pod { .. });
            shared.stats.bump(if is_pod {
                Stat::PodCacheApiNilError
            } else {
                Stat::NamespaceCacheApiNilError
            });
            if let Some(health) = &shared.health {
                health.failed(Action::Get, &error);
            }
            shared.tell(|store| store.failed(question, Instant::now()));
        }
    }
}

/// Tells the store the answer.
fn tell(shared: &Shared, question: &Question, json: &[u8]) -> serde_json::Result<()> {
    let shape = &shared.settings.shape;
    match question {
        Question::Pod { .. } => {
            let pod = serde_json::from_slice::<PodJson>(json)?.reduce(shape);
            shared.tell(|store| store.pod_fetched(pod, Instant::now()));
        }
        Question::Namespace { .. } => {
            let namespace = serde_json::from_slice::<NamespaceJson>(json)?.reduce(shape);
            shared.tell(|store| store.namespace_fetched(namespace, Instant::now()));
        }
    }
    Ok(())
}
