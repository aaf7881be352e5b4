//! The parameters of fluent-plugin-kubernetes_metadata_filter 3.x, and the two of 2.x for journald.

use super::settings::{JOURNAL_REGEXP, TAG_REGEXP};
use logweir_engine::plugin::{Param, ParamKind};

pub(super) const PARAMS: &[Param] = &[
    Param::new(
        "kubernetes_url",
        ParamKind::String,
        "The API server; default: https://KUBERNETES_SERVICE_HOST:KUBERNETES_SERVICE_PORT/api. Without one, only names out of the tag are added",
    ),
    Param::new("apiVersion", ParamKind::String, "Version of the API").default("v1"),
    Param::new("client_cert", ParamKind::String, "Own certificate (PEM)"),
    Param::new("client_key", ParamKind::String, "Its key (PEM)"),
    Param::new(
        "ca_file",
        ParamKind::String,
        "Certificates to trust beside the system's (PEM); default: ca.crt of secret_dir",
    ),
    Param::new("verify_ssl", ParamKind::Bool, "Whether the API server's certificate is verified").default("true"),
    Param::new(
        "ssl_partial_chain",
        ParamKind::Bool,
        "Whether an intermediate CA in ca_file is enough, which it always is here",
    )
    .default("false"),
    Param::new(
        "bearer_token_file",
        ParamKind::String,
        "The file of the token, read anew for each request; default: token of secret_dir",
    ),
    Param::new("secret_dir", ParamKind::String, "Where a pod has its service account's token and CA")
        .default("/var/run/secrets/kubernetes.io/serviceaccount"),
    Param::new("open_timeout", ParamKind::Integer, "Seconds for a connection to be made").default("3"),
    Param::new("read_timeout", ParamKind::Integer, "Seconds for an answer, or for a piece of a long one").default("10"),
    Param::new("cache_size", ParamKind::Integer, "How many pods, namespaces and containers are remembered")
        .default("1000"),
    Param::new(
        "cache_ttl",
        ParamKind::Integer,
        "Seconds until what no watch keeps up to date is asked for again; negative: never",
    )
    .default("3600"),
    Param::new("watch", ParamKind::Bool, "Whether changes of pods and namespaces are followed").default("true"),
    Param::new("watch_retry_interval", ParamKind::Integer, "Seconds until a watch that failed is tried again")
        .default("1"),
    Param::new(
        "watch_retry_exponential_backoff_base",
        ParamKind::Integer,
        "By what that time grows with each failure, up to 30 seconds",
    )
    .default("2"),
    Param::new("watch_retry_max_times", ParamKind::Integer, "After how many failures in a row an error is logged; it goes on")
        .default("10"),
    Param::new(
        "tag_to_kubernetes_name_regexp",
        ParamKind::String,
        "How a tag names a container: the groups namespace, pod_name, container_name, and pod_uuid or docker_id",
    )
    .default(TAG_REGEXP),
    Param::new(
        "lookup_from_k8s_field",
        ParamKind::Bool,
        "Whether the fields kubernetes and docker of a record that has them name its container, instead of the tag",
    )
    .default("true"),
    Param::new(
        "use_journal",
        ParamKind::Bool,
        "Whether CONTAINER_NAME and CONTAINER_ID_FULL of Docker's journald driver name the container, as in version 2",
    )
    .default("false"),
    Param::new(
        "container_name_to_kubernetes_regexp",
        ParamKind::String,
        "How CONTAINER_NAME names it: the groups namespace, pod_name, container_name",
    )
    .default(JOURNAL_REGEXP),
    Param::new("annotation_match", ParamKind::Array, "Regular expressions: the annotations whose names match are added"),
    Param::new(
        "allow_orphans",
        ParamKind::Bool,
        "Whether a record whose pod and namespace are unknown goes to the orphaned namespace; else it keeps the names of its tag",
    )
    .default("true"),
    Param::new("orphaned_namespace_name", ParamKind::String, "Its name").default(".orphaned"),
    Param::new("orphaned_namespace_id", ParamKind::String, "Its id").default("orphaned"),
    Param::new("skip_labels", ParamKind::Bool, "Whether labels are left out").default("false"),
    Param::new("skip_pod_labels", ParamKind::Bool, "Whether labels of pods are left out").default("false"),
    Param::new("skip_namespace_labels", ParamKind::Bool, "Whether labels of namespaces are left out").default("false"),
    Param::new("skip_container_metadata", ParamKind::Bool, "Whether image and image id are left out").default("false"),
    Param::new("skip_master_url", ParamKind::Bool, "Whether the API server's URL is left out").default("false"),
    Param::new("skip_namespace_metadata", ParamKind::Bool, "Whether namespaces are not asked for").default("false"),
    Param::new("include_ownerrefs_metadata", ParamKind::Bool, "Whether kind and name of the pod's owners are added")
        .default("false"),
    Param::new("stats_interval", ParamKind::Integer, "Seconds between log lines about the cache; 0: none").default("30"),
];
