//! Configurations: Logweir's are made from the scenario; a peer's are files with the same placeholders.

use crate::scenario::{Filter, Input, Output, Scenario};
use std::path::Path;

/// What a configuration must know of a run.
pub(crate) struct Places<'a> {
    /// Where the program listens.
    pub(crate) port: u16,
    /// Where it sends to: the sink's port or ClickHouse's HTTP port.
    pub(crate) out_port: u16,
    /// Scratch directory: `in/*.log`, buffers, positions.
    pub(crate) dir: &'a Path,
    /// Where a peer's configurations are, for what they include.
    pub(crate) configs: &'a Path,
}

/// Fills in `@PORT@`, `@OUT_PORT@`, `@DIR@` and `@CONFIGS@`.
pub(crate) fn fill(template: &str, places: &Places<'_>) -> String {
    template
        .replace("@PORT@", &places.port.to_string())
        .replace("@OUT_PORT@", &places.out_port.to_string())
        .replace("@DIR@", &places.dir.display().to_string())
        .replace("@CONFIGS@", &places.configs.display().to_string())
}

/// Logweir's configuration (which is also Fluentd's, for a peer of that name).
pub(crate) fn fluentd(scenario: &Scenario) -> String {
    let source = match scenario.input {
        Input::Forward(_) => {
            "<source>\n  @type forward\n  port @PORT@\n  bind 127.0.0.1\n</source>\n".to_owned()
        }
        Input::Tail(lines) => format!(
            "<source>\n  @type tail\n  path @DIR@/in/*.log\n  pos_file @DIR@/pos\n  tag servio.*\n  \
             read_from_head true\n  refresh_interval 1s\n  <parse>\n    @type {}\n  </parse>\n</source>\n",
            lines.parser()
        ),
    };
    let filter = filter(scenario.filter);
    let buffer = if scenario.buffer {
        "  <buffer>\n    @type file\n    path @DIR@/buffer\n    chunk_limit_size 256m\n    flush_mode interval\n    flush_interval 1s\n  </buffer>\n"
    } else {
        ""
    };
    let output = match scenario.output {
        Output::Null => format!("  @type null\n{buffer}"),
        Output::Forward => format!(
            "  @type forward\n  require_ack_response true\n  heartbeat_type none\n  <server>\n    host 127.0.0.1\n    \
             port @OUT_PORT@\n  </server>\n{buffer}"
        ),
        Output::ClickHouse => format!(
            "  @type clickhouse\n  host 127.0.0.1\n  port @OUT_PORT@\n  database servio_logs\n  table logs\n{buffer}"
        ),
    };
    // Not `**`, which would have the program's own log events among the records.
    format!("{source}{filter}<match servio.**>\n{output}</match>\n")
}

fn filter(filter: Filter) -> String {
    let (plugin, body) = match filter {
        Filter::None => return String::new(),
        Filter::Transformer => (
            "record_transformer",
            "  <record>\n    hostname \"#{Socket.gethostname}\"\n    environment \"#{ENV['ENVIRONMENT'] || 'development'}\"\n  \
             </record>\n",
        ),
        Filter::Grep => ("grep", "  <regexp>\n    key level\n    pattern /^(info|warn)$/\n  </regexp>\n"),
        Filter::Parser => (
            "parser",
            "  key_name log\n  reserve_data true\n  remove_key_name_field true\n  <parse>\n    @type json\n  </parse>\n",
        ),
        Filter::Mask => ("mask", "  action partial\n"),
        Filter::Ruby => (
            "record_transformer",
            "  enable_ruby true\n  <record>\n    email ${record[\"context\"][\"email\"]}\n    severity \
             ${record[\"level\"].upcase}\n    source ${tag}/${record[\"service\"]}\n  </record>\n",
        ),
    };
    format!("<filter servio.**>\n  @type {plugin}\n{body}</filter>\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::SCENARIOS;
    use std::fs;

    fn peer(name: &str, scenario: &str) -> String {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name).join(format!("{scenario}.conf"));
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// The peers have no plugin for these; Fluent Bit would need Lua for what Ruby does.
    fn is_ours(scenario: &Scenario) -> bool {
        scenario.filter == Filter::Mask
    }

    fn has(name: &str, scenario: &Scenario) -> bool {
        !(is_ours(scenario) || name == "fluent-bit" && scenario.filter == Filter::Ruby)
    }

    #[test]
    fn fluentd_gets_the_configuration_of_logweir_where_it_has_the_plugins() {
        for scenario in SCENARIOS.iter().filter(|scenario| !is_ours(scenario)) {
            // No ClickHouse output and no cri parser are built into Fluentd.
            let differs = scenario.output == Output::ClickHouse || scenario.name.contains("cri");
            assert_eq!(peer("fluentd", scenario.name) == fluentd(scenario), !differs, "{}", scenario.name);
        }
    }

    #[test]
    fn nothing_is_left_to_fill_in_in_a_peers_configuration() {
        let here = Path::new("/here");
        for scenario in SCENARIOS {
            for name in ["fluentd", "fluent-bit"].into_iter().filter(|name| has(name, scenario)) {
                let config = fill(
                    &peer(name, scenario.name),
                    &Places { port: 1111, out_port: 2222, dir: here, configs: here },
                );
                assert!(!config.contains("@PORT@") && !config.contains("@DIR@"), "{config}");
                assert_eq!(config.contains("2222"), scenario.output != Output::Null, "{config}");
                assert_eq!(config.contains("/here/buffer"), scenario.buffer, "{config}");
            }
        }
    }
}
