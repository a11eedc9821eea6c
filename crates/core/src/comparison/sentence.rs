//! One plain sentence for a verdict.

use super::{Comparison, Verdict};

/// The words a sentence uses for the models and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Naming<'a> {
    /// The champion, such as `v1`.
    pub champion: &'a str,
    /// The challenger, such as `v2`.
    pub challenger: &'a str,
    /// Plural noun for rows, such as `transactions`.
    pub rows: &'a str,
}

/// The verdict of `comparison` in plain words, ending in a full stop.
#[must_use]
pub fn sentence(comparison: &Comparison, naming: &Naming<'_>) -> String {
    match comparison.verdict {
        Verdict::Superior => format!("{} is better.", naming.challenger),
        Verdict::Inferior => format!("{} is worse.", naming.challenger),
        Verdict::Inconclusive => format!("{} was not shown to be better.", naming.challenger),
        Verdict::NotComparable { .. } => {
            format!("{} could not be compared.", naming.challenger)
        }
    }
}
