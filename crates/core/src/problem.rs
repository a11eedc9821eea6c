//! What is wrong with a specification, and where.

use serde::Serialize;
use thiserror::Error;

/// One thing that must be changed in a specification before it can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Error)]
#[error("{path}: {message}")]
pub struct SpecProblem {
    /// Field path relative to `spec`, such as `parameters[2].real.min`.
    pub path: String,
    /// What must hold, in words, field names in back-quotes.
    pub message: String,
}

impl SpecProblem {
    /// A problem at `path` with the message `message`.
    #[must_use]
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }
}

/// All problems in one line, each with its path.
#[must_use]
pub fn in_one_line(problems: &[SpecProblem]) -> String {
    let problems: Vec<String> = problems.iter().map(SpecProblem::to_string).collect();
    problems.join("; ")
}
