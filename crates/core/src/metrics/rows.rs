//! The rows metrics are computed on, and what must hold of each.

use serde::{Deserialize, Serialize};

/// One model's scores on labelled rows; all columns have one element per row.
#[derive(Clone, Copy, Debug)]
pub struct Predictions<'a> {
    /// 0 or 1.
    pub labels: &'a [u8],
    /// Finite; larger means more likely positive. Log loss and Brier score need probabilities.
    pub scores: &'a [f64],
    /// Finite and not negative; every row weighs 1 when absent.
    pub weights: Option<&'a [f64]>,
}

/// What is wrong with the rows, and in which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}{message}", row.map(|row| format!("row {row}: ")).unwrap_or_default())]
pub struct BadRow {
    /// Number of the row, the first data row being 1; absent when the columns as a whole are at fault.
    pub row: Option<usize>,
    /// What must hold, in words.
    pub message: String,
}

impl BadRow {
    /// A fault of the row at `index` (the first is 0).
    pub(crate) fn at(index: usize, message: impl Into<String>) -> Self {
        Self {
            row: Some(index + 1),
            message: message.into(),
        }
    }

    /// A fault of the columns as a whole.
    pub(crate) fn of_columns(message: impl Into<String>) -> Self {
        Self {
            row: None,
            message: message.into(),
        }
    }
}

impl Predictions<'_> {
    /// The weight of each row, scaled by a power of two so that the largest is near 1: no sum or product overflows
    /// or vanishes, and no metric changes, since each depends on ratios of weights only.
    pub(crate) fn scaled_weights(&self) -> Vec<f64> {
        match self.weights {
            None => vec![1.0; self.labels.len()],
            Some(weights) => scale_to_one(weights),
        }
    }

    pub(crate) fn check(&self) -> Result<(), BadRow> {
        check_length("score", self.scores.len(), self.labels.len())?;
        if let Some(weights) = self.weights {
            check_length("weight", weights.len(), self.labels.len())?;
        }
        for (index, (&label, &score)) in self.labels.iter().zip(self.scores).enumerate() {
            check_label(label).map_err(|message| BadRow::at(index, message))?;
            check_score("score", score).map_err(|message| BadRow::at(index, message))?;
            if let Some(&weight) = self.weights.and_then(|weights| weights.get(index)) {
                check_weight(weight).map_err(|message| BadRow::at(index, message))?;
            }
        }
        Ok(())
    }
}

pub(crate) fn check_length(column: &str, found: usize, expected: usize) -> Result<(), BadRow> {
    if found == expected {
        return Ok(());
    }
    Err(BadRow::of_columns(format!(
        "`{column}` must have one value per label; there are {found} values and {expected} labels"
    )))
}

pub(crate) fn check_label(label: u8) -> Result<(), String> {
    match label {
        0 | 1 => Ok(()),
        other => Err(format!("`label` must be 0 or 1; got {other}")),
    }
}

pub(crate) fn check_score(column: &str, score: f64) -> Result<(), String> {
    if score.is_finite() {
        Ok(())
    } else {
        Err(format!("`{column}` must be a finite number; got {score}"))
    }
}

pub(crate) fn check_weight(weight: f64) -> Result<(), String> {
    if weight.is_finite() && weight >= 0.0 {
        Ok(())
    } else {
        Err(format!(
            "`weight` must be a finite number of at least 0; got {weight}"
        ))
    }
}

/// `weights` times a power of two, the largest result lying from 1/2 to 1; unchanged when all are zero.
pub(crate) fn scale_to_one(weights: &[f64]) -> Vec<f64> {
    let largest = weights.iter().copied().fold(0.0, f64::max);
    let (_, exponent) = libm::frexp(largest);
    weights
        .iter()
        .map(|&weight| libm::ldexp(weight, -exponent))
        .collect()
}
