//! What the API server is asked for by name, and what became of it: a question is asked once at a time, and one that had
//! no answer is asked again later and later.

use super::recent::Recent;
use std::time::{Duration, Instant};

/// Something to ask for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Question {
    Pod { namespace: Box<str>, name: Box<str> },
    Namespace { name: Box<str> },
}

/// What is to be done about something that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advice {
    /// Ask; whether a record should wait for the answer.
    Ask { wait: bool },
    /// It has been asked for.
    Asked { wait: bool },
    /// Nothing before that moment.
    Later(Instant),
}

/// How long a question without an answer rests, the first time and at most. A server that does not know a pod may learn of it.
const NOT_FOUND_REST: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));
const FAILED_REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// See the module.
pub(super) struct Questions {
    asked: Recent<Question, Asked>,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    state: State,
    /// How often there was no answer.
    vain: u32,
}

#[derive(Clone, Copy, Debug)]
enum State {
    InFlight,
    Resting(Instant),
}

impl Questions {
    pub(super) fn new(len_max: usize) -> Self {
        Self { asked: Recent::new(len_max) }
    }

    /// What to do now; an advice to ask counts as asked.
    pub(super) fn advise(&mut self, question: &Question, now: Instant) -> Advice {
        let Some(asked) = self.asked.get(question) else {
            self.asked.insert(question.clone(), Asked { state: State::InFlight, vain: 0 });
            return Advice::Ask { wait: true };
        };
        match asked.state {
            State::InFlight => Advice::Asked { wait: asked.vain == 0 },
            State::Resting(until) if now < until => Advice::Later(until),
            State::Resting(_) => {
                asked.state = State::InFlight;
                Advice::Ask { wait: false }
            }
        }
    }

    /// It could not be asked, or is answered.
    pub(super) fn forget(&mut self, question: &Question) {
        self.asked.remove(question);
    }

    /// The server does not have it.
    pub(super) fn not_found(&mut self, question: &Question, now: Instant) {
        self.rest(question, now, NOT_FOUND_REST);
    }

    /// There was no answer.
    pub(super) fn failed(&mut self, question: &Question, now: Instant) {
        self.rest(question, now, FAILED_REST);
    }

    fn rest(&mut self, question: &Question, now: Instant, (first, most): (Duration, Duration)) {
        let vain = self.asked.peek(question).map_or(0, |asked| asked.vain);
        let rest = first.saturating_mul(1 << vain.min(10)).min(most);
        let asked = Asked { state: State::Resting(now + rest), vain: vain + 1 };
        self.asked.insert(question.clone(), asked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_later_and_later() {
        let mut questions = Questions::new(10);
        let pod = Question::Pod { namespace: "n".into(), name: "p".into() };
        let start = Instant::now();
        assert_eq!(questions.advise(&pod, start), Advice::Ask { wait: true });
        assert_eq!(questions.advise(&pod, start), Advice::Asked { wait: true });
        questions.failed(&pod, start);
        let second = Duration::from_secs(1);
        assert_eq!(questions.advise(&pod, start), Advice::Later(start + second));
        assert_eq!(questions.advise(&pod, start + second), Advice::Ask { wait: false });
        assert_eq!(questions.advise(&pod, start + second), Advice::Asked { wait: false });
        questions.failed(&pod, start);
        assert_eq!(questions.advise(&pod, start), Advice::Later(start + 2 * second));
        for _ in 0..100 {
            questions.not_found(&pod, start);
        }
        assert_eq!(questions.advise(&pod, start), Advice::Later(start + NOT_FOUND_REST.1));
        questions.forget(&pod);
        assert_eq!(questions.advise(&pod, start), Advice::Ask { wait: true });
    }
}
