//! Metrics of hard predictions: everything that follows from four weighted sums.

use serde::{Deserialize, Serialize};

use super::{Metric, Predictions, UndefinedReason, Value};

/// When a score is predicted positive, and what wrong predictions cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DecisionRule {
    /// The score at which a prediction becomes positive.
    pub threshold: f64,
    /// Whether a score equal to the threshold is positive.
    pub operator: ThresholdOperator,
    /// Costs of wrong predictions.
    pub costs: Costs,
}

impl Default for DecisionRule {
    fn default() -> Self {
        Self {
            threshold: 0.5,
            operator: ThresholdOperator::AtLeast,
            costs: Costs::default(),
        }
    }
}

impl DecisionRule {
    /// Whether `score` is predicted positive.
    #[must_use]
    pub fn is_positive(&self, score: f64) -> bool {
        match self.operator {
            ThresholdOperator::AtLeast => score >= self.threshold,
            ThresholdOperator::Above => score > self.threshold,
        }
    }
}

/// How a score is compared with the threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ThresholdOperator {
    /// A score equal to the threshold is positive.
    #[default]
    #[serde(rename = "ge")]
    AtLeast,
    /// A score equal to the threshold is negative, as in Spark and in scikit-learn's `predict`.
    #[serde(rename = "gt")]
    Above,
}

/// Cost of one wrong prediction of unit weight.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Costs {
    /// A negative row predicted positive.
    pub false_positive: f64,
    /// A positive row predicted negative.
    pub false_negative: f64,
}

impl Default for Costs {
    fn default() -> Self {
        Self {
            false_positive: 1.0,
            false_negative: 10.0,
        }
    }
}

/// Weighted sums of rows by label and prediction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Confusion {
    /// Positive rows predicted positive.
    pub true_positive: f64,
    /// Negative rows predicted positive.
    pub false_positive: f64,
    /// Positive rows predicted negative.
    pub false_negative: f64,
    /// Negative rows predicted negative.
    pub true_negative: f64,
}

impl Confusion {
    pub(crate) fn count(
        predictions: &Predictions<'_>,
        weights: &[f64],
        rule: &DecisionRule,
    ) -> Self {
        let mut sums = Self::default();
        for ((&label, &score), &weight) in predictions
            .labels
            .iter()
            .zip(predictions.scores)
            .zip(weights)
        {
            *sums.cell(label == 1, rule.is_positive(score)) += weight;
        }
        sums
    }

    /// The sum that a row with this label and prediction belongs to.
    pub(crate) fn cell(&mut self, positive: bool, predicted_positive: bool) -> &mut f64 {
        match (positive, predicted_positive) {
            (true, true) => &mut self.true_positive,
            (false, true) => &mut self.false_positive,
            (true, false) => &mut self.false_negative,
            (false, false) => &mut self.true_negative,
        }
    }

    /// Both classes scaled to a total of 1; a class without weight stays empty.
    #[must_use]
    pub fn balanced(&self) -> Self {
        let share = |part: f64, total: f64| if total > 0.0 { part / total } else { 0.0 };
        let (positives, negatives) = (self.positives(), self.negatives());
        Self {
            true_positive: share(self.true_positive, positives),
            false_negative: share(self.false_negative, positives),
            false_positive: share(self.false_positive, negatives),
            true_negative: share(self.true_negative, negatives),
        }
    }

    fn positives(&self) -> f64 {
        self.true_positive + self.false_negative
    }

    fn negatives(&self) -> f64 {
        self.false_positive + self.true_negative
    }

    fn total(&self) -> f64 {
        self.positives() + self.negatives()
    }

    /// A metric of hard predictions; a metric of another kind is undefined here and is never asked for.
    pub(crate) fn metric(&self, metric: Metric, costs: &Costs) -> Value {
        match metric {
            Metric::Accuracy => Value::ratio(
                self.true_positive + self.true_negative,
                self.total(),
                UndefinedReason::NoWeight,
            ),
            Metric::F1 => Value::ratio(
                2.0 * self.true_positive,
                2.0 * self.true_positive + self.false_positive + self.false_negative,
                UndefinedReason::NothingPositive,
            ),
            Metric::WeightedF1 => self.weighted_f1(),
            Metric::Precision => Value::ratio(
                self.true_positive,
                self.true_positive + self.false_positive,
                UndefinedReason::NoPredictedPositives,
            ),
            Metric::Recall => self.recall(),
            Metric::Mcc => self.mcc(),
            Metric::Cost => Value::ratio(
                costs.false_positive * self.false_positive
                    + costs.false_negative * self.false_negative,
                self.total(),
                UndefinedReason::NoWeight,
            ),
            Metric::RocAuc
            | Metric::AveragePrecision
            | Metric::AreaUnderPr
            | Metric::LogLoss
            | Metric::Brier
            | Metric::Ks => Value::Undefined(UndefinedReason::NoWeight),
        }
    }

    /// Recall is withheld, like the ranking metrics, when either class is empty: on such rows it separates nothing.
    fn recall(&self) -> Value {
        if self.negatives() > 0.0 {
            Value::ratio(
                self.true_positive,
                self.positives(),
                UndefinedReason::NoPositives,
            )
        } else if self.positives() > 0.0 {
            Value::Undefined(UndefinedReason::NoNegatives)
        } else {
            Value::Undefined(UndefinedReason::NoWeight)
        }
    }

    fn weighted_f1(&self) -> Value {
        let f1 = |hits: f64, misses: f64| {
            let denominator = 2.0 * hits + misses;
            if denominator > 0.0 {
                2.0 * hits / denominator
            } else {
                0.0
            }
        };
        let misses = self.false_positive + self.false_negative;
        Value::ratio(
            self.positives() * f1(self.true_positive, misses)
                + self.negatives() * f1(self.true_negative, misses),
            self.total(),
            UndefinedReason::NoWeight,
        )
    }

    fn mcc(&self) -> Value {
        if self.total() <= 0.0 {
            return Value::Undefined(UndefinedReason::NoWeight);
        }
        if self.positives() <= 0.0 {
            return Value::Undefined(UndefinedReason::NoPositives);
        }
        if self.negatives() <= 0.0 {
            return Value::Undefined(UndefinedReason::NoNegatives);
        }
        let predicted_positive = self.true_positive + self.false_positive;
        let predicted_negative = self.true_negative + self.false_negative;
        let spread = (predicted_positive * self.positives()).sqrt()
            * (predicted_negative * self.negatives()).sqrt();
        Value::ratio(
            self.true_positive * self.true_negative - self.false_positive * self.false_negative,
            spread,
            UndefinedReason::ConstantPrediction,
        )
    }
}
