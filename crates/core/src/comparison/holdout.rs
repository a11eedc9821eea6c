//! The rows two models are compared on, and what must hold of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::metrics::BadRow;

/// Labelled rows with the scores of both models, aligned by id; all columns have one element per row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Holdout {
    /// 0 or 1.
    pub labels: Vec<u8>,
    /// Finite and not negative; every row weighs 1 when absent.
    pub weights: Option<Vec<f64>>,
    /// Scores of the model in production.
    pub champion: Vec<f64>,
    /// Scores of the model that wants to replace it.
    pub challenger: Vec<f64>,
    /// Which rows belong together, such as a hash of the customer; each row stands alone when absent.
    pub clusters: Option<Vec<u64>>,
    /// A number per row that does not depend on the order of rows, such as a hash of the id; the row's index when absent.
    pub unit_keys: Option<Vec<u64>>,
    /// Rows that belong to each named slice.
    pub slices: BTreeMap<String, Vec<bool>>,
}

/// The holdout or the settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}", describe(.problems, *.omitted))]
pub struct Refusal {
    /// The first problems found, in the order of rows.
    pub problems: Vec<BadRow>,
    /// Number of further problems that are not listed.
    pub omitted: usize,
}

fn describe(problems: &[BadRow], omitted: usize) -> String {
    let mut lines: Vec<String> = problems.iter().map(BadRow::to_string).collect();
    if omitted > 0 {
        lines.push(format!("and {omitted} more"));
    }
    lines.join("; ")
}
