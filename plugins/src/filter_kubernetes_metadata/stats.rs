//! Counters that the log shows from time to time, named as the original names them.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! stats {
    ($($variant:ident $name:literal)*) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug)]
        pub(super) enum Stat { $($variant),* }

        const NAMES: &[&str] = &[$($name),*];
    };
}

stats! {
    IdCacheMiss "id_cache_miss"
    IdCacheOrphanedRecord "id_cache_orphaned_record"
    IdCachePodNotFoundNamespace "id_cache_pod_not_found_namespace"
    PodCacheApiUpdates "pod_cache_api_updates"
    PodCacheApiNilError "pod_cache_api_nil_error"
    PodCacheHostUpdates "pod_cache_host_updates"
    PodCacheWatchUpdates "pod_cache_watch_updates"
    PodCacheWatchMisses "pod_cache_watch_misses"
    PodCacheWatchIgnored "pod_cache_watch_ignored"
    PodCacheWatchDeleteIgnored "pod_cache_watch_delete_ignored"
    PodWatchGoneNotices "pod_watch_gone_notices"
    PodWatchFailures "pod_watch_failures"
    NamespaceCacheApiUpdates "namespace_cache_api_updates"
    NamespaceCacheApiNilError "namespace_cache_api_nil_error"
    NamespaceCacheHostUpdates "namespace_cache_host_updates"
    NamespaceCacheWatchUpdates "namespace_cache_watch_updates"
    NamespaceCacheWatchMisses "namespace_cache_watch_misses"
    NamespaceCacheWatchIgnored "namespace_cache_watch_ignored"
    NamespaceCacheWatchDeletesIgnored "namespace_cache_watch_deletes_ignored"
    NamespaceWatchGoneNotices "namespace_watch_gone_notices"
    NamespaceWatchFailures "namespace_watch_failures"
}

/// See the module.
pub(super) struct Stats {
    counts: [AtomicU64; NAMES.len()],
    /// Streams since the last line.
    streams: AtomicU64,
}

impl Default for Stats {
    fn default() -> Self {
        Self { counts: [const { AtomicU64::new(0) }; NAMES.len()], streams: AtomicU64::new(0) }
    }
}

impl Stats {
    pub(super) fn bump(&self, stat: Stat) {
        self.counts[stat as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stream_seen(&self) {
        self.streams.fetch_add(1, Ordering::Relaxed);
    }

    /// The line, with how many pods and namespaces are remembered, if records have passed since the last one.
    pub(super) fn line(&self, (pods, namespaces): (usize, usize)) -> Option<String> {
        if self.streams.swap(0, Ordering::Relaxed) == 0 {
            return None;
        }
        let counts =
            NAMES.iter().zip(&self.counts).map(|(name, count)| (name, count.load(Ordering::Relaxed)));
        let mut parts: Vec<String> =
            counts.filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name}: {count}")).collect();
        parts.push(format!("pod_cache_size: {pods}"));
        parts.push(format!("namespace_cache_size: {namespaces}"));
        Some(format!("stats - {}", parts.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_only_if_something_happened() {
        let stats = Stats::default();
        assert_eq!(stats.line((0, 0)), None);
        stats.stream_seen();
        stats.bump(Stat::IdCacheMiss);
        stats.bump(Stat::IdCacheMiss);
        stats.bump(Stat::NamespaceWatchFailures);
        assert_eq!(
            stats.line((3, 2)).as_deref(),
            Some(
                "stats - id_cache_miss: 2, namespace_watch_failures: 1, pod_cache_size: 3, namespace_cache_size: 2"
            )
        );
        assert_eq!(stats.line((3, 2)), None);
    }
}
