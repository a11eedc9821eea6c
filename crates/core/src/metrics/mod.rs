//! Weighted metrics of one model's scores on labelled rows. A metric that has no value on the given rows says so, and why.

mod confusion;
mod probability;
mod ranking;
mod rows;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use confusion::{Confusion, Costs, DecisionRule, ThresholdOperator};
pub use rows::{BadRow, Predictions};

pub(crate) use probability::{is_probability, log_loss_of, squared_error_of};
pub(crate) use ranking::{RankGroup, rank};
pub(crate) use rows::{check_label, check_length, check_score, check_weight, scale_to_one};

use probability::Losses;

/// A weighted metric of a binary classifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Metric {
    /// Area under the ROC curve: the weighted share of pairs of a positive and a negative that are ranked right, a tie counting half.
    RocAuc,
    /// Sum of precision times gain in recall over the distinct scores (scikit-learn's `average_precision_score`).
    AveragePrecision,
    /// Trapezoid under the precision-recall curve, which starts at recall 0 with the precision of the highest score (Spark's `areaUnderPR`).
    #[serde(rename = "areaUnderPR")]
    AreaUnderPr,
    /// Weighted share of rows predicted right.
    Accuracy,
    /// F1 of the positive class, `2 TP / (2 TP + FP + FN)`.
    F1,
    /// Mean of the F1 of both classes, weighted by the classes' shares (Spark's `f1`).
    WeightedF1,
    /// `TP / (TP + FP)`.
    Precision,
    /// `TP / (TP + FN)`.
    Recall,
    /// Matthews correlation coefficient.
    Mcc,
    /// Mean negative log-likelihood; probabilities are clipped at the machine epsilon, as scikit-learn does.
    LogLoss,
    /// Mean squared error of the probability.
    Brier,
    /// Kolmogorov-Smirnov distance: the largest difference of the two classes' cumulative shares over the distinct scores.
    Ks,
    /// Mean cost of wrong predictions per unit of weight.
    Cost,
}

impl Metric {
    /// Every metric, in the order in which reports list them.
    pub const ALL: [Self; 13] = [
        Self::RocAuc,
        Self::AveragePrecision,
        Self::AreaUnderPr,
        Self::Accuracy,
        Self::F1,
        Self::WeightedF1,
        Self::Precision,
        Self::Recall,
        Self::Mcc,
        Self::LogLoss,
        Self::Brier,
        Self::Ks,
        Self::Cost,
    ];

    /// The name in manifests and reports, such as `areaUnderPR`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RocAuc => "rocAuc",
            Self::AveragePrecision => "averagePrecision",
            Self::AreaUnderPr => "areaUnderPR",
            Self::Accuracy => "accuracy",
            Self::F1 => "f1",
            Self::WeightedF1 => "weightedF1",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::Mcc => "mcc",
            Self::LogLoss => "logLoss",
            Self::Brier => "brier",
            Self::Ks => "ks",
            Self::Cost => "cost",
        }
    }

    /// The name inside a sentence, such as `weighted F1`.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::RocAuc => "ROC AUC",
            Self::AveragePrecision => "average precision",
            Self::AreaUnderPr => "area under the precision-recall curve",
            Self::Accuracy => "accuracy",
            Self::F1 => "F1",
            Self::WeightedF1 => "weighted F1",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::Mcc => "Matthews correlation",
            Self::LogLoss => "log loss",
            Self::Brier => "Brier score",
            Self::Ks => "KS distance",
            Self::Cost => "cost",
        }
    }

    /// Whether a larger value is a better model; false for losses and costs.
    #[must_use]
    pub const fn higher_is_better(self) -> bool {
        !matches!(self, Self::LogLoss | Self::Brier | Self::Cost)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A name that is no metric.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {names}; got `{0}`", names = Metric::ALL.map(Metric::name).join(", "))]
pub struct UnknownMetric(pub String);

impl FromStr for Metric {
    type Err = UnknownMetric;

    fn from_str(name: &str) -> Result<Self, UnknownMetric> {
        Self::ALL
            .into_iter()
            .find(|metric| metric.name() == name)
            .ok_or_else(|| UnknownMetric(name.to_owned()))
    }
}

/// What a metric is on the given rows: a finite number, or no number and the reason.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A finite number.
    Defined(f64),
    /// No number exists.
    Undefined(UndefinedReason),
}

impl Value {
    /// The number, when there is one.
    #[must_use]
    pub const fn defined(self) -> Option<f64> {
        match self {
            Self::Defined(value) => Some(value),
            Self::Undefined(_) => None,
        }
    }

    /// `numerator / denominator`, undefined for `reason` when the denominator is zero.
    pub(crate) fn ratio(numerator: f64, denominator: f64, reason: UndefinedReason) -> Self {
        if denominator > 0.0 {
            Self::Defined(numerator / denominator)
        } else {
            Self::Undefined(reason)
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defined(value) => value.fmt(formatter),
            Self::Undefined(reason) => write!(formatter, "undefined ({reason})"),
        }
    }
}

/// Why a metric has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum UndefinedReason {
    /// All weights are zero, or there are no rows.
    #[error("no row carries weight")]
    NoWeight,
    /// No positive row carries weight.
    #[error("no positive row carries weight")]
    NoPositives,
    /// No negative row carries weight.
    #[error("no negative row carries weight")]
    NoNegatives,
    /// No row is predicted positive.
    #[error("no row is predicted positive")]
    NoPredictedPositives,
    /// All rows are predicted alike, so a correlation does not exist.
    #[error("all rows are predicted alike")]
    ConstantPrediction,
    /// No row is positive and none is predicted positive.
    #[error("no row is positive and none is predicted positive")]
    NothingPositive,
    /// A score lies outside the interval from 0 to 1, so it is no probability.
    #[error("scores are not probabilities")]
    NotProbabilities,
}

/// Every metric of one model on `predictions`.
///
/// # Errors
/// The first row whose label is not 0 or 1, whose score is not finite, or whose weight is negative or not finite;
/// columns of different lengths are refused as well.
pub fn evaluate(
    predictions: &Predictions<'_>,
    rule: &DecisionRule,
) -> Result<BTreeMap<Metric, Value>, BadRow> {
    predictions.check()?;
    Ok(evaluate_checked(predictions, rule))
}

/// Weighted sums of rows by label and prediction, in the unit of the given weights.
///
/// # Errors
/// As [`evaluate`].
pub fn confusion(predictions: &Predictions<'_>, rule: &DecisionRule) -> Result<Confusion, BadRow> {
    predictions.check()?;
    Ok(match predictions.weights {
        Some(weights) => Confusion::count(predictions, weights, rule),
        None => Confusion::count(predictions, &predictions.scaled_weights(), rule),
    })
}

/// As [`evaluate`], for predictions that are known to be sound.
pub(crate) fn evaluate_checked(
    predictions: &Predictions<'_>,
    rule: &DecisionRule,
) -> BTreeMap<Metric, Value> {
    let weights = predictions.scaled_weights();
    let confusion = Confusion::count(predictions, &weights, rule);
    let curve = ranking::Curve::trace(&rank(predictions.labels, predictions.scores, &weights));
    let losses = Losses::of(predictions, &weights);
    Metric::ALL
        .into_iter()
        .map(|metric| (metric, value_of(metric, &confusion, &curve, &losses, rule)))
        .collect()
}

fn value_of(
    metric: Metric,
    confusion: &Confusion,
    curve: &ranking::Curve,
    losses: &Losses,
    rule: &DecisionRule,
) -> Value {
    match metric {
        Metric::RocAuc => curve.roc_auc(),
        Metric::AveragePrecision => curve.average_precision(),
        Metric::AreaUnderPr => curve.area_under_pr(),
        Metric::Ks => curve.ks(),
        Metric::LogLoss => losses.log_loss(),
        Metric::Brier => losses.brier(),
        Metric::Accuracy
        | Metric::F1
        | Metric::WeightedF1
        | Metric::Precision
        | Metric::Recall
        | Metric::Mcc
        | Metric::Cost => confusion.metric(metric, &rule.costs),
    }
}
