//! Metrics of scores that are probabilities.

use super::{Predictions, UndefinedReason, Value};

/// Weighted sums of the losses of all rows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Losses {
    /// Sum of weights.
    pub(crate) weight: f64,
    /// Weighted sum of negative log-likelihoods.
    pub(crate) log: f64,
    /// Weighted sum of squared errors.
    pub(crate) squared: f64,
    /// Whether all scores lie from 0 to 1.
    pub(crate) probabilities: bool,
}

impl Losses {
    pub(crate) fn of(predictions: &Predictions<'_>, weights: &[f64]) -> Self {
        let mut sums = Self {
            probabilities: predictions.scores.iter().copied().all(is_probability),
            ..Self::default()
        };
        for ((&label, &score), &weight) in predictions
            .labels
            .iter()
            .zip(predictions.scores)
            .zip(weights)
        {
            sums.weight += weight;
            if sums.probabilities {
                sums.log += weight * log_loss_of(label, score);
                sums.squared += weight * squared_error_of(label, score);
            }
        }
        sums
    }

    pub(crate) fn log_loss(&self) -> Value {
        self.mean(self.log)
    }

    pub(crate) fn brier(&self) -> Value {
        self.mean(self.squared)
    }

    fn mean(&self, sum: f64) -> Value {
        if self.probabilities {
            Value::ratio(sum, self.weight, UndefinedReason::NoWeight)
        } else {
            Value::Undefined(UndefinedReason::NotProbabilities)
        }
    }
}

/// Whether a score lies from 0 to 1.
pub(crate) fn is_probability(score: f64) -> bool {
    (0.0..=1.0).contains(&score)
}

/// Negative log-likelihood of `label` under the probability `score`, clipped at the machine epsilon.
pub(crate) fn log_loss_of(label: u8, score: f64) -> f64 {
    let score = score.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
    if label == 1 {
        -libm::log(score)
    } else {
        -libm::log(1.0 - score)
    }
}

/// Squared distance of the probability `score` from `label`.
pub(crate) fn squared_error_of(label: u8, score: f64) -> f64 {
    let error = score - f64::from(label);
    error * error
}
