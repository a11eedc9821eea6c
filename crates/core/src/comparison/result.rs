//! What a comparison found.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::settings::{IntervalKind, Settings};
use crate::metrics::{Metric, Value};

/// The whole outcome of one comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// Whether the challenger may replace the champion.
    pub verdict: Verdict,
    /// The primary metric first, then guardrails, then observed metrics.
    pub metrics: Vec<MetricComparison>,
    /// Every metric of the champion on all rows.
    pub champion: BTreeMap<Metric, Value>,
    /// Every metric of the challenger on all rows.
    pub challenger: BTreeMap<Metric, Value>,
    /// Number of rows.
    pub rows: usize,
    /// Number of clusters, when rows are clustered.
    pub clusters: Option<usize>,
    /// Number of positive rows.
    pub positives: usize,
    /// Kish's effective number of positive rows, or of clusters with positive rows when that is smaller.
    pub effective_positives: f64,
    /// The same of negative rows.
    pub effective_negatives: f64,
    /// Number of resamples that were drawn.
    pub resamples: u32,
    /// Number of resamples in which a class was empty.
    pub empty_resamples: u32,
    /// The improvement of the primary metric that would have been found with 80% probability.
    pub minimum_detectable_effect: Option<f64>,
    /// Weighted DeLong interval of the difference of ROC AUC, when that metric was compared on all rows.
    pub cross_check: Option<CrossCheck>,
    /// What a reader should know before trusting the verdict.
    pub warnings: Vec<Warning>,
    /// The seed all counts follow from.
    pub seed: u64,
    /// The settings as used.
    pub settings: Settings,
}

/// Whether the challenger may replace the champion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Verdict {
    /// Better on the primary metric and not worse than allowed on every guardrail.
    Superior,
    /// Worse on the primary metric, or surely worse than allowed on a guardrail.
    Inferior,
    /// Neither was shown.
    Inconclusive,
    /// The holdout cannot answer the question.
    NotComparable {
        /// Why.
        reason: NotComparableReason,
    },
}

/// Why a holdout cannot answer the question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all_fields = "camelCase")]
pub enum NotComparableReason {
    /// Too few effective rows of one class, in all rows or in a slice.
    InsufficientData {
        /// Whether positive or negative rows are too few.
        class: Class,
        /// The slice, or all rows.
        slice: Option<String>,
        /// Effective number found.
        effective: f64,
        /// Effective number needed.
        needed: f64,
    },
    /// Too few clusters.
    TooFewClusters {
        /// Number found.
        clusters: usize,
        /// Number needed.
        needed: usize,
    },
    /// A deciding metric has no value for one of the models.
    UndefinedMetric {
        /// The metric.
        metric: Metric,
        /// The slice, or all rows.
        slice: Option<String>,
        /// Why it has none.
        reason: String,
    },
    /// A deciding metric had no value in more than one of a thousand resamples.
    UnstableResamples {
        /// The metric.
        metric: Metric,
        /// The slice, or all rows.
        slice: Option<String>,
        /// Number of resamples without a value.
        undefined: u32,
        /// Number of resamples.
        resamples: u32,
    },
}

/// A class of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Class {
    /// Label 1.
    Positive,
    /// Label 0.
    Negative,
}

/// One metric of both models, and their difference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricComparison {
    /// The metric.
    pub metric: Metric,
    /// The slice; all rows when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<String>,
    /// What the metric is for in this comparison.
    pub role: Role,
    /// The champion's value.
    pub champion: Value,
    /// The challenger's value.
    pub challenger: Value,
    /// Challenger minus champion; negative is an improvement when lower is better.
    pub difference: Option<f64>,
    /// Lower end of the deciding interval of the difference.
    pub low: Option<f64>,
    /// Upper end of the deciding interval of the difference.
    pub high: Option<f64>,
    /// Improvement that must be exceeded (primary) or regression that must be excluded (guardrail); absent when nothing is decided.
    pub margin: Option<f64>,
    /// One-sided p-value against the margin.
    pub p_value: Option<f64>,
    /// Standard deviation of the difference over the resamples.
    pub standard_error: Option<f64>,
    /// What was shown.
    pub outcome: Outcome,
    /// The interval of the difference of every kind.
    pub intervals: BTreeMap<IntervalKind, Interval>,
}

/// What a metric is for in a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// The challenger must be better.
    Primary,
    /// The challenger must not be worse than allowed.
    Guardrail,
    /// Reported only.
    Observed,
    /// One of the metrics that vote under separate intervals.
    Vote,
}

/// What was shown of one metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The improvement exceeds the margin.
    Better,
    /// A regression beyond the margin is excluded.
    NotWorse,
    /// The challenger is worse (primary) or worse than allowed (guardrail).
    Worse,
    /// Neither was shown.
    Inconclusive,
    /// The metric has no value for one of the models.
    Undefined,
}

/// An interval of a difference, challenger minus champion.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The same question answered by another formula, without resampling.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CrossCheck {
    /// Difference of ROC AUC, challenger minus champion.
    pub difference: f64,
    /// Weighted DeLong standard error; with clusters, of the clusters' sums.
    pub standard_error: f64,
    /// Difference in standard errors.
    pub z: f64,
    /// Two-sided p-value of no difference.
    pub p_value: f64,
    /// Interval of the same confidence.
    pub interval: Interval,
}

/// What a reader should know before trusting the verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all_fields = "camelCase")]
pub enum Warning {
    /// Fewer than 200 effective rows of a class: intervals are rough.
    FewEffectiveRows {
        /// The class.
        class: Class,
        /// Effective number.
        effective: f64,
    },
    /// A ROC AUC above 0.995 is more often a leaked label than a good model.
    SuspectedLeakage {
        /// Whether the challenger, rather than the champion, has it.
        challenger: bool,
        /// Its ROC AUC.
        roc_auc: f64,
    },
    /// Another kind of interval would have decided differently.
    IntervalDisagreement {
        /// The metric.
        metric: Metric,
        /// The slice, or all rows.
        slice: Option<String>,
        /// The kinds that would have.
        kinds: Vec<IntervalKind>,
    },
    /// One row carries more than 5% of the weight of its class.
    HeavyWeight {
        /// Number of the row, the first being 1.
        row: usize,
        /// Share of its class's weight.
        share: f64,
    },
    /// The DeLong standard error differs from the bootstrap's by more than 10%, or would have decided differently.
    CrossCheckDisagreement {
        /// DeLong standard error.
        delong: f64,
        /// Bootstrap standard error.
        bootstrap: f64,
    },
    /// A p-value still lies near its boundary with the largest number of resamples.
    NearBoundary {
        /// The metric.
        metric: Metric,
        /// The slice, or all rows.
        slice: Option<String>,
    },
    /// The separate-interval rule finds almost no true improvement.
    WeakMethod,
}
