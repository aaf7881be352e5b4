//! What the user probably meant.

use super::check::kind_word;
use super::{Diagnostic, gems};
use crate::plugin::{Kind, ParamKind, Registry};

/// The candidate that is nearest to `word`, if it is near enough to be a slip: a third of its length at most.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let distance = edit_distance(word, candidate);
            (distance <= limit).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// Names what to use in place of a plugin that is not built in, the plugin that was meant, or all there are.
pub(super) fn plugin(error: Diagnostic, kind: Kind, name: &str, registry: &Registry) -> Diagnostic {
    let help = instead(kind, name, registry);
    match gems::gem(kind, name) {
        Some(gem) => {
            error.note(format!("'{name}' is of the gem {}; Logweir runs no Ruby gems", gem.gem)).help(help)
        }
        None => error.help(help),
    }
}

/// What to use in place of the plugin `name`, in one sentence.
pub fn instead(kind: Kind, name: &str, registry: &Registry) -> String {
    let of_kind = |wanted: Kind| registry.iter().filter(move |plugin| plugin.kind == wanted);
    let elsewhere = KINDS.into_iter().find(|other| *other != kind && registry.find(*other, name).is_some());
    let word = kind_word(kind);
    if let Some(gem) = gems::gem(kind, name).filter(|gem| !gem.instead.is_empty()) {
        return gem.instead.to_owned();
    }
    if let Some(other) = elsewhere {
        return format!("'{name}' is {} here, not {}", with_article(kind_word(other)), with_article(word));
    }
    if let Some(near) = nearest(name, of_kind(kind).map(|plugin| plugin.name)) {
        return format!("did you mean '{near}'?");
    }
    // Who has the same plugin of another kind in a gem has the same need.
    if let Some(gem) = gems::gems().iter().find(|gem| gem.name == name && !gem.instead.is_empty()) {
        return gem.instead.to_owned();
    }
    let mut names: Vec<&str> = of_kind(kind).map(|plugin| plugin.name).collect();
    names.sort_unstable();
    if names.is_empty() {
        return format!("Logweir runs no Ruby gems, and this build has no {word} plugins");
    }
    format!("Logweir runs no Ruby gems; its {word} plugins are: {}", names.join(", "))
}

const KINDS: [Kind; 5] = [Kind::Input, Kind::Filter, Kind::Output, Kind::Parser, Kind::Formatter];

/// Says what a value of that type looks like.
pub(super) fn value(error: Diagnostic, kind: ParamKind, text: &str) -> Diagnostic {
    match kind {
        ParamKind::Bool => match text.to_ascii_lowercase().as_str() {
            "on" | "1" | "true" | "yes" | "enable" | "enabled" => error.help("write true"),
            "off" | "0" | "false" | "no" | "disable" | "disabled" => error.help("write false"),
            _ => error.help("a bool is true, yes, false or no"),
        },
        ParamKind::Enum(words) => match nearest(&text.to_ascii_lowercase(), words.iter().copied()) {
            Some(near) => error.help(format!("did you mean {near}?")),
            None => error,
        },
        ParamKind::Size => error.help("a size is a number of bytes, or a number followed by k, m, g or t"),
        ParamKind::Time => error.help("a time is a number of seconds, or a number followed by s, m, h or d"),
        _ => error,
    }
}

fn with_article(word: &str) -> String {
    let article = if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {word}")
}

/// Insertions, deletions, substitutions and swaps of neighbours that lead from one word to the other (optimal string
/// alignment).
fn edit_distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().take(WORD_MAX).collect();
    let to: Vec<char> = to.chars().take(WORD_MAX).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (row, left) in from.iter().enumerate() {
        let mut line = vec![row + 1];
        for (column, right) in to.iter().enumerate() {
            let substituted = above[column] + usize::from(left != right);
            let mut best = substituted.min(above[column + 1] + 1).min(line[column] + 1);
            let swapped = row > 0 && column > 0 && *left == to[column - 1] && from[row - 1] == *right;
            if swapped {
                best = best.min(before[column - 1] + 1);
            }
            line.push(best);
        }
        before = std::mem::replace(&mut above, line);
    }
    above.last().copied().unwrap_or(0)
}

/// Names are compared up to this length; the comparison takes time in proportion to its square.
const WORD_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_one_edit_each() {
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("abc", ""), 3);
        assert_eq!(edit_distance("fowrard", "forward"), 1);
        assert_eq!(edit_distance("flush_intervall", "flush_interval"), 1);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
    }

    #[test]
    fn only_near_words_are_suggested() {
        assert_eq!(nearest("fowrard", ["forward", "file"]), Some("forward"));
        assert_eq!(nearest("elasticsearch", ["forward", "file"]), None);
        assert_eq!(nearest("tal", ["tail", "null"]), Some("tail"));
    }
}
