//! The state machine that tells which lines belong to a stack trace.

use super::rules::{RULES, Rule};
use logweir_engine::regexp::{Regexp, RegexpFlags};

/// The compiled rules of some languages.
pub(super) struct Rules {
    /// For each state what may follow, in order.
    by_state: Vec<Vec<(Regexp, State)>>,
}

/// A number of a state; [`START`] is outside of every trace.
pub(super) type State = usize;

/// Outside of every trace.
pub(super) const START: State = 0;

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Of no trace.
    Other,
    /// The first of a trace.
    First,
    /// Of the trace that goes on.
    Inside,
    /// The last of it.
    Last,
}

impl Rules {
    /// Of these languages; all if there are none.
    pub(super) fn of(languages: &[String]) -> Result<Self, String> {
        let mut chosen: Vec<&Rule> = Vec::new();
        let names: Vec<String> = languages.iter().map(|name| name.trim().to_lowercase()).collect();
        for name in &names {
            if name == "all" {
                chosen.extend(RULES.iter().flat_map(|language| language.rules));
                continue;
            }
            let Some(language) = RULES.iter().find(|language| language.names.contains(&name.as_str())) else {
                let known: Vec<&str> = RULES.iter().flat_map(|language| language.names).copied().collect();
                return Err(format!("Unknown language: {name} (known are {} and all)", known.join(", ")));
            };
            chosen.extend(language.rules);
        }
        if names.is_empty() {
            chosen.extend(RULES.iter().flat_map(|language| language.rules));
        }
        let mut states = vec!["start"];
        let mut by_state: Vec<Vec<(Regexp, State)>> = vec![Vec::new()];
        let mut number = |name: &'static str, by_state: &mut Vec<Vec<(Regexp, State)>>| -> State {
            states.iter().position(|known| *known == name).unwrap_or_else(|| {
                states.push(name);
                by_state.push(Vec::new());
                states.len() - 1
            })
        };
        for rule in chosen {
            let to = number(rule.to, &mut by_state);
            let pattern = Regexp::new(rule.pattern, RegexpFlags::default())
                .map_err(|error| format!("the rule {}: {error}", rule.pattern))?;
            for from in rule.from {
                let from = number(from, &mut by_state);
                let targets = &mut by_state[from];
                if !targets.iter().any(|(known, state)| *state == to && *known == pattern) {
                    targets.push((pattern.clone(), to));
                }
            }
        }
        Ok(Self { by_state })
    }

    /// Takes a line: the new state, and what the line is.
    pub(super) fn step(&self, state: State, line: &[u8]) -> (State, Line) {
        match self.next(state, line) {
            Some(START) => (START, if state == START { Line::Other } else { Line::Last }),
            Some(next) => (next, if state == START { Line::First } else { Line::Inside }),
            // It may be the first line of another trace.
            None if state != START => match self.next(START, line) {
                Some(next) if next != START => (next, Line::First),
                _ => (START, Line::Other),
            },
            None => (START, Line::Other),
        }
    }

    fn next(&self, state: State, line: &[u8]) -> Option<State> {
        self.by_state.get(state)?.iter().find(|(pattern, _)| pattern.is_match(line)).map(|(_, to)| *to)
    }
}
