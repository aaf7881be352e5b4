//! What is understood and works otherwise than in Fluentd, or deserves a word before a migration. `docs/compatibility.md` has each.

use logweir_engine::config::Element;

/// How much a difference matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// The directive behaves otherwise.
    Differs,
    /// It behaves as in Fluentd, and looks otherwise from outside.
    Note,
}

/// A difference.
pub(super) struct Difference {
    pub(super) weight: Weight,
    /// Whether it is about this directive or section.
    pub(super) concerns: fn(&Element) -> bool,
    pub(super) what: &'static str,
}

pub(super) const DIFFERENCES: &[Difference] = &[
    Difference {
        weight: Weight::Differs,
        concerns: |element| {
            let workers = element.text("workers").and_then(|number| number.parse::<u32>().ok());
            (element.name == "system" && workers.is_some_and(|number| number > 1)) || element.name == "worker"
        },
        what: "one process with threads does the work of all workers; buffers that workers left behind are taken over",
    },
    Difference {
        weight: Weight::Differs,
        concerns: |element| {
            element.name == "source"
                && matches!(element.plugin_type(), Some("debug_agent" | "gc_stat" | "object_space"))
        },
        what: "there is no Ruby process to look into, so this input does nothing",
    },
    Difference {
        weight: Weight::Differs,
        concerns: |element| {
            element.plugin_type() == Some("forward")
                && ["match", "store"].contains(&element.name.as_str())
                && element.text("require_ack_response").is_some_and(|value| value != "false")
        },
        what: "a chunk whose ack was not read goes to no other server before `doubt_wait` has passed, so that it is not stored twice",
    },
    Difference {
        weight: Weight::Note,
        concerns: |element| {
            element.name == "buffer" && matches!(element.plugin_type(), Some("file" | "file_single"))
        },
        what: "a chunk is one self-describing file, without a .meta beside it; Fluentd's chunks are taken over at the start, and \
               `logweir buffer export` writes them back",
    },
];
