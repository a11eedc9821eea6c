//! What a trial reports: metrics, perhaps in parts, each with a weight.
//!
//! ```json
//! {"metrics": {"auc_fold_1": 0.93, "auc_fold_2": 0.91, "loss": [0.2, 0.3]}, "weights": {"fold_1": 900, "fold_2": 1100, "loss": [1, 3]}}
//! ```
//!
//! Parts of a metric are named `NAME_fold_K` or `NAME_shard_K`, or listed in an array. They are combined by the weighted mean,
//! with weights under the part's own name, or under `fold_K` or `shard_K` for all metrics at once; without weights all parts
//! count the same. A metric that is also reported whole keeps that value, since not every metric is the mean of its parts.

mod combination;
mod distinct;
mod message;

use std::collections::BTreeMap;

use thiserror::Error;

pub use self::distinct::Distinct;
pub use self::message::{KEPT_BYTES, Reported, TerminationMessage, parse_termination_message};

/// Metrics, objectives and sums of weights lie between this and its negative: what records them has no place for more.
pub const LARGEST_NUMBER: f64 = 1e18;
/// Metrics that a trial may report.
pub const MOST_METRICS: usize = 200;
/// Characters of a metric's name.
pub const LONGEST_METRIC_NAME: usize = 250;
/// Parts from which a metric may be combined.
pub const MOST_PARTS: u32 = 100_000;

/// Why a report cannot be used, in words for the trial's author.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ReportError {
    /// What must hold, naming the metric where there is one.
    pub message: String,
}

impl ReportError {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

/// Metrics and weights as reported. Values may be NaN or infinite; [`Report::combine`] refuses them by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Metric, or part of a metric, to its values; more than one where an array was reported.
    pub metrics: BTreeMap<String, Vec<f64>>,
    /// Weights by the same names.
    pub weights: BTreeMap<String, Vec<f64>>,
}

/// One metric after its parts were combined.
#[derive(Clone, Debug, PartialEq)]
pub struct CombinedMetric {
    /// Name without the part's suffix.
    pub name: String,
    /// The value reported whole, or else the weighted mean of the parts; finite.
    pub value: f64,
    /// The weight reported for the whole, or else the sum of the parts' weights, 1 each where none was reported; finite, above 0.
    pub weight: f64,
    /// How many parts there were; 1 for a metric that was only reported whole.
    pub parts: u32,
}

impl Report {
    /// Combines the parts of each metric by their weights; metrics come in order of their names.
    ///
    /// # Errors
    /// Names the metric whose value or weight cannot be used.
    pub fn combine(&self) -> Result<Vec<CombinedMetric>, ReportError> {
        combination::combine(self)
    }
}

#[cfg(test)]
mod tests;
