//! Transcripts that cannot pass yet, and why. The list only shrinks: one that passes must be taken off it.

use std::collections::{BTreeMap, BTreeSet};

use crate::lanes::Outcome;

/// The list of `pending.txt`: a line `area/name  # reason` for each.
#[derive(Debug, Default)]
pub struct Pending {
    reasons: BTreeMap<String, String>,
}

/// The list is not well-formed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PendingError {
    /// A line is not `area/name  # reason`.
    #[error("line {0} is not `area/name  # reason`")]
    Form(usize),
    /// A reason is none of those that count.
    #[error("line {line}: `{reason}` is no reason; those are {}", REASONS.join(", "))]
    Reason {
        /// Where.
        line: usize,
        /// What stands there.
        reason: String,
    },
    /// A transcript is listed twice.
    #[error("line {0} names a transcript again")]
    Twice(usize),
}

/// What an outcome means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It passed, as it must.
    Passed,
    /// It differs, as the list says.
    Pending,
    /// It differs and is not on the list.
    Failed,
    /// It passes now and has to be taken off the list.
    PassesNow,
}

/// What a server may lack to be given time.
const REASONS: [&str; 4] = ["client results", "streams", "uploads", "values"];

impl Pending {
    /// Reads the list. Empty lines and lines that begin with `#` say nothing.
    ///
    /// # Errors
    ///
    /// It is not well-formed.
    pub fn read(text: &str) -> Result<Self, PendingError> {
        let mut reasons = BTreeMap::new();
        let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
        for (at, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let (name, reason) = line.split_once('#').ok_or(PendingError::Form(at))?;
            let (name, reason) = (name.trim(), reason.trim());
            if !name.contains('/') {
                return Err(PendingError::Form(at));
            }
            if !REASONS.contains(&reason) {
                return Err(PendingError::Reason { line: at, reason: reason.to_owned() });
            }
            if reasons.insert(name.to_owned(), reason.to_owned()).is_some() {
                return Err(PendingError::Twice(at));
            }
        }
        Ok(Self { reasons })
    }

    /// Those on the list that are no transcript.
    pub fn unknown<'a>(&'a self, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        let known: BTreeSet<&str> = names.into_iter().collect();
        self.reasons.keys().map(String::as_str).filter(|name| !known.contains(name)).collect()
    }

    /// How many are on it.
    pub fn len(&self) -> usize {
        self.reasons.len()
    }

    /// Whether nothing is pending.
    pub fn is_empty(&self) -> bool {
        self.reasons.is_empty()
    }

    /// What an outcome means.
    pub fn judge(&self, outcome: &Outcome) -> Verdict {
        match (outcome.differences.is_empty(), self.reasons.contains_key(&outcome.name)) {
            (true, false) => Verdict::Passed,
            (false, true) => Verdict::Pending,
            (false, false) => Verdict::Failed,
            (true, true) => Verdict::PassesNow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Difference;

    fn outcome(name: &str, differs: bool) -> Outcome {
        let difference = Difference { event: 0, what: "differs".to_owned() };
        Outcome { name: name.to_owned(), differences: differs.then_some(difference).into_iter().collect() }
    }

    #[test]
    fn listed_transcripts_must_differ_and_others_must_not() {
        let pending = Pending::read("# later\n\nlp/first  # streams\n").unwrap();
        assert_eq!(pending.judge(&outcome("lp/first", true)), Verdict::Pending);
        assert_eq!(pending.judge(&outcome("lp/first", false)), Verdict::PassesNow);
        assert_eq!(pending.judge(&outcome("ws/batch", true)), Verdict::Failed);
        assert_eq!(pending.judge(&outcome("ws/batch", false)), Verdict::Passed);
        assert_eq!(pending.unknown(["ws/batch"]), ["lp/first"]);
        assert_eq!(pending.len(), 1);
    }

    #[test]
    fn a_line_without_a_known_reason_is_an_error() {
        assert_eq!(Pending::read("lp/first").unwrap_err(), PendingError::Form(1));
        assert_eq!(Pending::read("\nfirst # sse").unwrap_err(), PendingError::Form(2));
        let reason = "because".to_owned();
        assert_eq!(Pending::read("lp/first # because").unwrap_err(), PendingError::Reason { line: 1, reason });
        assert_eq!(Pending::read("lp/a # streams\nlp/a # streams").unwrap_err(), PendingError::Twice(2));
    }
}
