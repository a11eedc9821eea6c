//! How two versions are compared.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// How two versions are compared.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestSpec {
    /// The rule.
    #[serde(default)]
    pub method: Method,
    /// Resamples; doubled by itself near the boundary. Default 2000, or 10 for `SeparateIntervals`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 50_000))]
    pub resamples: Option<i32>,
    /// Share of rows of a resample; for `SeparateIntervals` only. Default 0.01.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0001, max = 1.0))]
    pub fraction: Option<f64>,
    /// Of the two-sided intervals.
    #[serde(default = "confidence")]
    #[schemars(range(min = 0.5, max = 0.9999))]
    pub confidence: f64,
    /// The interval that decides; all are reported.
    #[serde(default)]
    pub interval: IntervalKind,
    /// What the weight of a row means.
    #[serde(default)]
    pub weights: WeightRole,
    /// Scores at or above it are positive.
    #[serde(default = "half")]
    #[schemars(range(min = -1e18, max = 1e18))]
    pub threshold: f64,
    /// Effective positives below which nothing is decided.
    #[serde(default = "fifty")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub minimum_positives: i32,
    /// The metric that must be better.
    #[serde(default)]
    pub primary: PrimarySpec,
    /// Metrics that must not be worse than allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    pub guardrails: Vec<GuardrailSpec>,
    /// How the use of one holdout for many comparisons is paid for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reuse: Option<ReuseSpec>,
}

impl Default for TestSpec {
    fn default() -> Self {
        Self {
            method: Method::default(),
            resamples: None,
            fraction: None,
            confidence: confidence(),
            interval: IntervalKind::default(),
            weights: WeightRole::default(),
            threshold: half(),
            minimum_positives: fifty(),
            primary: PrimarySpec::default(),
            guardrails: Vec::new(),
            reuse: None,
        }
    }
}

fn confidence() -> f64 {
    0.95
}

fn half() -> f64 {
    0.5
}

fn fifty() -> i32 {
    50
}

/// The rule of a comparison.
#[derive(
    schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize,
)]
pub enum Method {
    /// One bootstrap for both models and all metrics, on all rows.
    #[default]
    PairedBootstrap,
    /// Separate intervals of each model, their overlap, a vote; for migration.
    SeparateIntervals,
}

/// The kind of an interval.
#[derive(
    schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize,
)]
pub enum IntervalKind {
    /// Estimate and t quantile times bootstrap standard error.
    #[default]
    NormalT,
    /// Quantiles of the resamples.
    Percentile,
    /// Mirrored quantiles of the resamples.
    Basic,
    /// Bias-corrected and accelerated quantiles.
    BCa,
}

/// What the weight of a row means.
#[derive(
    schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize,
)]
pub enum WeightRole {
    /// Its importance.
    #[default]
    Importance,
    /// How many identical rows it stands for.
    Frequency,
    /// The weight of its class.
    Class,
    /// Given by Podium, so that both classes weigh the same.
    Balanced,
}

/// A metric of a binary classifier.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MetricName {
    /// Area under the ROC curve.
    RocAuc,
    /// Average precision, as in scikit-learn.
    AveragePrecision,
    /// Area under the precision-recall curve, as in Spark.
    #[serde(rename = "areaUnderPR")]
    AreaUnderPr,
    /// Share of rows that are right.
    Accuracy,
    /// F1 of the positive class.
    F1,
    /// Mean of the F1 of both classes by their weight, as in Spark.
    WeightedF1,
    /// Share of predicted positives that are positive.
    Precision,
    /// Share of positives that are found.
    Recall,
    /// Matthews correlation coefficient.
    Mcc,
    /// Logarithmic loss.
    LogLoss,
    /// Brier score.
    Brier,
    /// Kolmogorov-Smirnov distance of the classes.
    Ks,
    /// Mean cost of wrong rows.
    Cost,
}

/// The metric that must be better.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrimarySpec {
    /// Which one.
    #[serde(default = "roc_auc")]
    pub metric: MetricName,
    /// By how much more than this.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1e18))]
    pub min_improvement: f64,
}

impl Default for PrimarySpec {
    fn default() -> Self {
        Self {
            metric: roc_auc(),
            min_improvement: 0.0,
        }
    }
}

fn roc_auc() -> MetricName {
    MetricName::RocAuc
}

/// A metric that must not be worse than allowed.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GuardrailSpec {
    /// Which one.
    pub metric: MetricName,
    /// On which part of the holdout; without it on all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub slice: Option<String>,
    /// By how much it may be worse.
    #[schemars(range(min = 0.0, max = 1e18))]
    #[x_kube(validation = Rule::new("self > 0.0").message("`maxRegression` must be greater than 0: no finite holdout can show that a metric did not fall at all"))]
    pub max_regression: f64,
}

/// How the use of one holdout for many comparisons is paid for.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReuseSpec {
    /// How the error is spread over comparisons.
    #[serde(default)]
    pub spending: Spending,
    /// Share of the holdout kept for confirmation.
    #[serde(default = "half")]
    #[schemars(range(min = 0.1, max = 0.9))]
    pub confirm_fraction: f64,
}

/// How the error is spread over comparisons.
#[derive(
    schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize,
)]
pub enum Spending {
    /// Not at all.
    None,
    /// Little at first.
    #[default]
    OBrienFleming,
    /// Less for each comparison, without an end.
    InverseSquare,
}
