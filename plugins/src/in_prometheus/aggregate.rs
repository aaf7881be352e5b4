//! The metrics of several workers as one text: HELP and TYPE of each family once, then the samples of all.

use std::collections::BTreeMap;

/// Joins texts in Prometheus's format, of which each has its families whole. Samples of different workers differ in `worker_id`.
pub(super) fn merge(texts: &[String]) -> String {
    let mut families: BTreeMap<&str, Family<'_>> = BTreeMap::new();
    for text in texts {
        // Samples belong to the family whose comments they follow.
        let mut current = "";
        let mut is_known = false;
        for line in text.lines().filter(|line| !line.is_empty()) {
            match described(line) {
                Some(name) => {
                    if name != current {
                        current = name;
                        is_known = families.contains_key(name);
                    }
                    let family = families.entry(name).or_default();
                    if !is_known {
                        family.comments.push(line);
                    }
                }
                None if line.starts_with('#') => {}
                None => families.entry(current).or_default().samples.push(line),
            }
        }
    }
    let mut merged = String::new();
    for line in families.into_values().flat_map(|family| family.comments.into_iter().chain(family.samples)) {
        merged.push_str(line);
        merged.push('\n');
    }
    merged
}

#[derive(Default)]
struct Family<'t> {
    comments: Vec<&'t str>,
    samples: Vec<&'t str>,
}

/// The family that a HELP or TYPE line is about.
fn described(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE "))?;
    rest.split(' ').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_come_once_with_the_samples_of_all() {
        let text = |worker: u32, value: u32| {
            format!(
                "# HELP b_seconds B\n# TYPE b_seconds histogram\nb_seconds_bucket{{worker_id=\"{worker}\",le=\"+Inf\"}} {value}\n\
                 b_seconds_sum{{worker_id=\"{worker}\"}} {value}\n# HELP a A\n# TYPE a gauge\na{{worker_id=\"{worker}\"}} 1\n"
            )
        };
        let only_here = "# TYPE c gauge\n# a remark\nc 5\n";
        assert_eq!(
            merge(&[text(1, 10), text(0, 20), only_here.to_owned(), String::new()]),
            "# HELP a A\n# TYPE a gauge\na{worker_id=\"1\"} 1\na{worker_id=\"0\"} 1\n\
             # HELP b_seconds B\n# TYPE b_seconds histogram\n\
             b_seconds_bucket{worker_id=\"1\",le=\"+Inf\"} 10\nb_seconds_sum{worker_id=\"1\"} 10\n\
             b_seconds_bucket{worker_id=\"0\",le=\"+Inf\"} 20\nb_seconds_sum{worker_id=\"0\"} 20\n\
             # TYPE c gauge\nc 5\n"
        );
    }
}
