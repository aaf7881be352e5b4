//! What the parameters and the environment of a pod mean together.

use super::server::ServerSettings;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::regexp::{Regexp, RegexpFlags};
use logweir_engine::telemetry::PluginLog;
use logweir_engine::{log_error, log_warn};
use std::time::Duration;

macro_rules! dns_subdomain {
    () => {
        r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
    };
}

/// `NAMESPACE_POD_UID.CONTAINER.N.log` below /var/log/pods, `POD_NAMESPACE_CONTAINER-ID.log` below /var/log/containers; in
/// tags, slashes are dots.
pub(super) const TAG_REGEXP: &str = concat!(
    r"((var\.log\.pods)\.(?<namespace>[^_]+)_(?<pod_name>",
    dns_subdomain!(),
    r")_(?<pod_uuid>[a-z0-9-]*)\.(?<container_name>.+)\..*\.log$|(var\.log\.containers)\.(?<pod_name>",
    dns_subdomain!(),
    r")_(?<namespace>[^_]+)_(?<container_name>.+)-(?<docker_id>[a-z0-9]{64})\.log$)",
);

/// `k8s_CONTAINER.HASH_POD_NAMESPACE_UID_N`
pub(super) const JOURNAL_REGEXP: &str = concat!(
    r"^(?<name_prefix>[^_]+)_(?<container_name>[^\._]+)(\.(?<container_hash>[^_]+))?",
    r"_(?<pod_name>[^_]+)_(?<namespace>[^_]+)_[^_]+_[^_]+$",
);

/// What the program's environment says.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment {
    /// `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`
    pub(super) service: Option<(String, String)>,
    /// `K8S_NODE_NAME`
    pub(super) node: Option<String>,
}

impl Environment {
    pub(super) fn of_process() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        Self {
            service: variable("KUBERNETES_SERVICE_HOST").zip(variable("KUBERNETES_SERVICE_PORT")),
            node: variable("K8S_NODE_NAME"),
        }
    }
}

/// The configuration, checked.
pub(super) struct Settings {
    /// `None`: only what the tag says is added.
    pub(super) server: Option<ServerSettings>,
    pub(super) cache_size: usize,
    /// `None`: what is cached stays.
    pub(super) cache_ttl: Option<Duration>,
    pub(super) watch: bool,
    pub(super) node: Option<String>,
    pub(super) tag_regexp: Regexp,
    pub(super) journal_regexp: Option<Regexp>,
    pub(super) lookup_from_k8s_field: bool,
    pub(super) shape: Shape,
    /// `None`: without allow_orphans.
    pub(super) orphans: Option<Orphans>,
    pub(super) stats_interval: Option<Duration>,
    pub(super) retries: Retries,
}

/// What metadata consists of.
#[derive(Default)]
pub(super) struct Shape {
    pub(super) pod_labels: bool,
    pub(super) namespace_labels: bool,
    pub(super) containers: bool,
    pub(super) namespaces: bool,
    pub(super) owners: bool,
    pub(super) master_url: Option<String>,
    pub(super) annotations: Vec<Regexp>,
}

/// Where records belong of which neither pod nor namespace is known.
#[derive(Clone, Debug)]
pub(super) struct Orphans {
    pub(super) name: String,
    pub(super) id: String,
}

/// How a watch that failed is tried again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retries {
    pub(super) interval: Duration,
    pub(super) base: u32,
    /// After how many in a row an error is logged.
    pub(super) max_times: u32,
}

impl Settings {
    pub(super) fn new(
        params: &Params,
        environment: &Environment,
        log: &PluginLog,
    ) -> Result<Self, Diagnostic> {
        let server = ServerSettings::new(params, environment)?;
        let watch = params.bool("watch") && server.is_some();
        if watch && environment.node.is_none() {
            log_warn!(
                log,
                "the environment variable K8S_NODE_NAME is not set: the pods of the whole cluster are listed and watched, \
                 not those of this node alone"
            );
        }
        if params.bool("ssl_partial_chain") && server.as_ref().is_none_or(|server| server.ca_file.is_none()) {
            log_warn!(log, "ssl_partial_chain has no effect without a ca_file");
        }
        let cache_size = match params.int("cache_size").and_then(|size| usize::try_from(size).ok()) {
            Some(size) if size > 0 => size,
            _ => return Err(params.error("cache_size", "cache_size must be at least 1")),
        };
        let ttl = params.int("cache_ttl").and_then(|ttl| u64::try_from(ttl).ok()).filter(|ttl| *ttl > 0);
        let master_url = server.as_ref().map(|server| server.url.clone());
        let labels = !params.bool("skip_labels");
        let shape = Shape {
            pod_labels: labels && !params.bool("skip_pod_labels"),
            namespace_labels: labels && !params.bool("skip_namespace_labels"),
            containers: !params.bool("skip_container_metadata"),
            namespaces: !params.bool("skip_namespace_metadata"),
            owners: params.bool("include_ownerrefs_metadata"),
            master_url: master_url.filter(|_| !params.bool("skip_master_url")),
            annotations: annotations(params, log),
        };
        let names = ["namespace", "pod_name", "container_name"];
        let tag_regexp = regexp(params, "tag_to_kubernetes_name_regexp", &names)?;
        if !["pod_uuid", "docker_id"].iter().any(|name| has_group(&tag_regexp, name)) {
            let message = "needs a group named pod_uuid or docker_id: (?<docker_id>...)";
            return Err(params.error("tag_to_kubernetes_name_regexp", message));
        }
        let journal_regexp = match params.bool("use_journal") {
            true => Some(regexp(params, "container_name_to_kubernetes_regexp", &names)?),
            false => None,
        };
        let orphans = Orphans {
            name: params.string("orphaned_namespace_name"),
            id: params.string("orphaned_namespace_id"),
        };
        Ok(Self {
            server,
            cache_size,
            cache_ttl: ttl.map(Duration::from_secs),
            watch,
            node: environment.node.clone(),
            tag_regexp,
            journal_regexp,
            lookup_from_k8s_field: params.bool("lookup_from_k8s_field"),
            shape,
            orphans: params.bool("allow_orphans").then_some(orphans),
            stats_interval: at_least(params, "stats_interval", 1).map(Duration::from_secs),
            retries: Retries {
                interval: Duration::from_secs(at_least(params, "watch_retry_interval", 1).unwrap_or(1)),
                base: at_least(params, "watch_retry_exponential_backoff_base", 1).unwrap_or(1) as u32,
                max_times: at_least(params, "watch_retry_max_times", 1).unwrap_or(1) as u32,
            },
        })
    }
}

/// An integer that is not less than this, and not so large that sums overflow.
fn at_least(params: &Params, name: &str, least: u64) -> Option<u64> {
    let number = params.int(name).and_then(|number| u64::try_from(number).ok())?;
    (number >= least).then_some(number.min(u64::from(u32::MAX)))
}

fn regexp(params: &Params, name: &str, groups: &[&str]) -> Result<Regexp, Diagnostic> {
    let regexp = Regexp::new(&params.string(name), RegexpFlags::default())
        .map_err(|error| params.error(name, error.to_string()))?;
    match groups.iter().find(|group| !has_group(&regexp, group)) {
        Some(group) => Err(params.error(name, format!("needs a group named {group}: (?<{group}>...)"))),
        None => Ok(regexp),
    }
}

fn has_group(regexp: &Regexp, group: &str) -> bool {
    regexp.names().iter().any(|name| name.name() == group)
}

/// One that is no regular expression is left out with an error in the log, as the original does.
fn annotations(params: &Params, log: &PluginLog) -> Vec<Regexp> {
    let mut regexps = Vec::new();
    for source in params.array("annotation_match").unwrap_or_default() {
        match Regexp::new(&source, RegexpFlags::default()) {
            Ok(regexp) => regexps.push(regexp),
            Err(error) => log_error!(
                log,
                "invalid regular expression in annotation_match; it matches nothing",
                expression = source,
                error = error.to_string()
            ),
        }
    }
    regexps
}
