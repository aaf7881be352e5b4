//! `@type prometheus_tail_monitor`: `fluentd_tail_file_*`, the files that `tail` follows (fluent-plugin-prometheus 2.2).
//!
//! As in Fluentd, opened, closed, rotated and throttled count for the whole source, and each of its files shows the same number.

use crate::prometheus::{Board, MONITOR_SECTIONS, Monitor, Shown};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, FollowedFiles, Input, Kind, PluginInfo, PluginState,
};
use logweir_engine::telemetry::prometheus::MetricKind::Gauge;
use std::sync::atomic::Ordering;

/// `@type prometheus_tail_monitor`
pub static PLUGIN: Descriptor = Descriptor {
    params: &[Board::INTERVAL],
    sections: MONITOR_SECTIONS,
    ..Descriptor::new(
        Kind::Input,
        "prometheus_tail_monitor",
        "Metrics of the files that tail inputs follow",
        Build::Input(build),
    )
};

const LABELS: &[&str] = &["plugin_id", "type", "path"];

#[rustfmt::skip] // one line a metric
const METRICS: &[Shown] = &[
    Shown { name: "fluentd_tail_file_position", kind: Gauge, help: "Current position of file." },
    Shown { name: "fluentd_tail_file_inode", kind: Gauge, help: "Current inode of file." },
    Shown { name: "fluentd_tail_file_closed", kind: Gauge, help: "Number of files closed." },
    Shown { name: "fluentd_tail_file_opened", kind: Gauge, help: "Number of files opened." },
    Shown { name: "fluentd_tail_file_rotated", kind: Gauge, help: "Number of files rotated." },
    Shown { name: "fluentd_tail_file_throttled", kind: Gauge, help: "Number of times files got throttled." },
];

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Box<dyn Input>, Diagnostic> {
    let board = Board::declare(params, context, LABELS, METRICS)?;
    Ok(Monitor::input(board, context, show))
}

fn show(info: &PluginInfo, board: &mut Board) {
    let PluginState::Input(counters) = &info.state else { return };
    if let Some(followed) = counters.followed.get() {
        show_files(&info.id.text, &info.type_name, followed, board);
    }
}

fn show_files(id: &str, type_name: &str, followed: &FollowedFiles, board: &mut Board) {
    for file in followed.list() {
        let path = file.path.to_string_lossy();
        let labels = [id, type_name, &*path];
        board.set("fluentd_tail_file_position", &labels, file.position as f64);
        board.set("fluentd_tail_file_inode", &labels, file.inode as f64);
        for (name, counter) in [
            ("fluentd_tail_file_closed", &followed.closed),
            ("fluentd_tail_file_opened", &followed.opened),
            ("fluentd_tail_file_rotated", &followed.rotated),
            ("fluentd_tail_file_throttled", &followed.throttled),
        ] {
            board.set(name, &labels, counter.load(Ordering::Relaxed) as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::with_params;
    use logweir_engine::plugin::FollowedFile;
    use logweir_engine::telemetry::prometheus::Exposition;
    use std::sync::Arc;

    #[test]
    fn each_file_is_shown_until_it_is_gone() {
        let files = Arc::new(std::sync::Mutex::new(vec!["/a", "/b"]));
        let listed = Arc::clone(&files);
        let followed = FollowedFiles::new(move || {
            let file = |path: &&str| FollowedFile { path: path.into(), inode: 7, position: 100 };
            listed.lock().unwrap().iter().map(file).collect()
        });
        followed.rotated.store(3, Ordering::Relaxed);
        let (first, second) = with_params(&PLUGIN, "", |params, context| {
            let mut board = Board::declare(params, context, LABELS, METRICS)?;
            let metrics = Arc::clone(&context.shared.metrics);
            let mut round = || {
                board.round(|board| show_files("t", "tail", &followed, board));
                let mut exposition = Exposition::default();
                metrics.show(&mut exposition);
                exposition.into_text()
            };
            let first = round();
            files.lock().unwrap().pop();
            Ok((first, round()))
        })
        .unwrap();
        let position = |path: &str| {
            format!("fluentd_tail_file_position{{plugin_id=\"t\",type=\"tail\",path=\"{path}\"}} 100\n")
        };
        assert!(first.contains(&position("/a")) && first.contains(&position("/b")), "{first}");
        assert!(second.contains(&position("/a")) && !second.contains("/b"), "{second}");
        assert!(second.contains("fluentd_tail_file_rotated{plugin_id=\"t\",type=\"tail\",path=\"/a\"} 3\n"));
        assert_eq!(second.matches("{plugin_id=").count(), METRICS.len());
    }
}
