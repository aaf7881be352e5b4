//! `initialized` and `<initlabels>`: label sets that are there, with zero, before the first record.

use super::labels::{LabelText, Labels};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::telemetry::prometheus::LabelValues;
use std::collections::BTreeMap;

/// The label sets of a `<metric>` with `initialized true`.
pub(super) fn label_sets(metric: &Params, labels: &Labels) -> Result<Vec<LabelValues>, Diagnostic> {
    let name = metric.string("name");
    let constants: BTreeMap<&str, Option<String>> =
        labels.0.iter().map(|(label, text)| (label.as_str(), text.constant())).collect();
    let mut sets = Vec::new();
    for section in metric.sections("initlabels") {
        let mut values = constants.clone();
        for (key, value) in section.attrs() {
            let refuse = |message: String| Err(section.error(key, message));
            let Some((label, own)) = labels.0.get_key_value(key) else {
                let message =
                    format!("Key {key} in <initlabels> is non existent in <labels> for metric {name}");
                return refuse(message);
            };
            if ["$.", "$[", "${"].iter().any(|start| value.starts_with(start)) {
                return refuse(format!(
                    "Cannot use RecordAccessor or placeholder {value} (key {key}) in a <initlabels> in metric {name}"
                ));
            }
            if own.constant().is_some() {
                return refuse(format!(
                    "Cannot set <initlabels> on non RecordAccessor/Placeholder key {key} (value {value}) in metric \
                     {name}: its value is always the same"
                ));
            }
            values.insert(label, Some(value.to_owned()));
        }
        sets.push((section, values));
    }
    if sets.is_empty() {
        sets.push((metric, constants));
    }
    let mut all = Vec::new();
    for (section, values) in sets {
        if let Some((key, _)) = values.iter().find(|(_, value)| value.is_none()) {
            let written = labels.0.get(*key).map_or(String::new(), LabelText::written);
            let message = format!(
                "RecordAccessor/Placeholder key {key} with value {written} has not been set in a <initlabels> for \
                 initialized metric {name}"
            );
            return Err(section.error_here(message));
        }
        all.push(LabelValues::of(values.values().map(|value| value.as_deref().unwrap_or_default())));
    }
    Ok(all)
}
