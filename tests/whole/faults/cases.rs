//! Which points there are, and where Logweir comes to them.

use super::scene::Scene::{self, *};

/// One point.
pub(super) struct Case {
    pub(super) point: &'static str,
    /// On which pass Logweir ends: one run for each.
    pub(super) passes: &'static [u32],
    pub(super) scene: Scene,
    /// Where the process before it has ended, for points that only a start after that comes to.
    pub(super) before: Option<(&'static str, u32)>,
}

const fn case(point: &'static str, passes: &'static [u32], scene: Scene) -> Case {
    Case { point, passes, scene, before: None }
}

const fn after(before: &'static str, point: &'static str, scene: Scene) -> Case {
    Case { point, passes: &[1], scene, before: Some((before, 2)) }
}

/// Points in the order in which a record comes to them.
#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    // in_forward
    case("events-received", &[1, 7], ClickHouse),
    case("events-emitted", &[1, 7], ClickHouse),
    case("ack-sending", &[1, 3, 9], ClickHouse),
    case("ack-sent", &[1, 3, 9], ClickHouse),
    // in_tail
    case("lines-emitted", &[1, 5], ClickHouse),
    case("pos-entry-torn", &[1], ClickHouse),
    case("pos-entry-written", &[1], ClickHouse),
    case("pos-writing", &[1, 6], ClickHouse),
    case("pos-torn", &[1, 6], ClickHouse),
    case("pos-written", &[1, 6], ClickHouse),
    case("rotation-detected", &[1, 3], ClickHouse),
    case("file-handed-over", &[1, 2], ClickHouse),
    case("file-let-go", &[1, 2], ClickHouse),
    case("entry-switching", &[1, 2], ClickHouse),
    case("entry-switched", &[1, 2], ClickHouse),
    case("entry-unwatched", &[1], Unwatched),
    // The buffer takes records in
    case("chunk-created", &[1, 4], ClickHouse),
    case("chunk-header-written", &[1, 4], ClickHouse),
    case("chunk-written", &[1, 4], ClickHouse),
    case("frame-torn", &[1, 5], ClickHouse),
    case("frame-written", &[1, 5], ClickHouse),
    case("part-written", &[1, 4], ClickHouse),
    case("chunk-queueing", &[1, 5], ClickHouse),
    case("chunk-queued", &[1, 5], ClickHouse),
    case("files-syncing", &[1, 8], ClickHouse),
    case("files-synced", &[1, 8], ClickHouse),
    case("names-synced", &[1, 5], ClickHouse),
    case("commit-published", &[1, 8], ClickHouse),
    // An output writes
    case("chunk-taken", &[1, 5], ClickHouse),
    case("table-created", &[1], CreateTable),
    case("delivery-noted", &[1, 4], ClickHouse),
    case("insert-sending", &[1, 4], ClickHouse),
    case("insert-torn", &[1, 4], ClickHouse),
    case("insert-sent", &[1, 4], ClickHouse),
    case("insert-answered", &[1, 4], ClickHouse),
    case("part-stored", &[1, 4], ClickHouse),
    after("insert-answered", "doubt-found", ClickHouse),
    after("insert-sent", "doubt-settled", ClickHouse),
    case("chunk-delivered", &[1, 4], ClickHouse),
    case("chunk-purged", &[1, 4], ClickHouse),
    case("file-torn", &[1, 3], File),
    case("file-written", &[1, 3], File),
    case("forward-sending", &[1, 3], Forward),
    case("forward-sent", &[1, 3], Forward),
    case("forward-acked", &[1, 3], Forward),
    case("secondary-written", &[1, 2], Secondary),
    case("backup-written", &[1, 2], Backup),
    case("chunk-evacuated", &[1, 2], Evacuation),
    // The buffer lets records go
    case("replacement-torn", &[1, 4], ClickHouse),
    case("replacement-written", &[1, 4], ClickHouse),
    case("replacement-renamed", &[1, 4], ClickHouse),
    case("marks-saved", &[1, 4], ClickHouse),
    case("chunk-removed", &[1, 4], ClickHouse),
    case("removal-synced", &[1, 4], ClickHouse),
    case("fluentd-data-removed", &[1], FluentdsBuffer),
    case("fluentd-meta-removed", &[1], FluentdsBuffer),
    // A start
    case("buffer-locked", &[1], ClickHouse),
    after("frame-written", "buffer-recovered", ClickHouse),
    after("frame-torn", "tail-cut", ClickHouse),
    after("part-written", "frame-voided", ClickHouse),
    // A stop
    case("stop-begun", &[1], Stop),
    case("inputs-stopped", &[1], Stop),
    case("buffer-closed", &[1], Stop),
    case("outputs-stopped", &[1], Stop),
    case("reload-stopped", &[1], Reload),
];
