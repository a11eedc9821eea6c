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
    /// The interval that decides; all are reported. Default `NormalT`; the others need `reuse.spending: None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<IntervalKind>,
    /// What the weight of a row means.
    #[serde(default)]
    pub weights: WeightRole,
    /// Scores at or above it are positive.
    #[serde(default = "half")]
    #[schemars(range(min = -1e18, max = 1e18))]
    pub threshold: f64,
    /// Whether a score equal to `threshold` is negative, as in Spark and in scikit-learn's `predict`.
    #[serde(default)]
    pub above_threshold: bool,
    /// What wrong rows cost, for the metric `cost`. Default 1 and 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub costs: Option<CostsSpec>,
    /// Effective positives, and negatives, below which nothing is decided.
    #[serde(default = "fifty")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub minimum_positives: i32,
    /// Clusters below which nothing is decided. Default 40.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 1_000_000))]
    pub minimum_clusters: Option<i32>,
    /// The metric that must be better. Default `rocAuc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<PrimarySpec>,
    /// Metrics and measurements that must not be worse than allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    pub guardrails: Vec<GuardrailSpec>,
    /// Metrics that are reported with intervals and decide nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "set"))]
    pub observe: Vec<MetricName>,
    /// How the use of one holdout for many comparisons is paid for. Default `spending: Harmonic`.
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
            interval: None,
            weights: WeightRole::default(),
            threshold: half(),
            above_threshold: false,
            costs: None,
            minimum_positives: fifty(),
            minimum_clusters: None,
            primary: None,
            guardrails: Vec::new(),
            observe: Vec::new(),
            reuse: None,
        }
    }
}

fn confidence() -> f64 {
    0.95
}

/// What wrong rows cost.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CostsSpec {
    /// Of a negative row that is predicted positive.
    #[schemars(range(min = 0.0, max = 1e9))]
    pub false_positive: f64,
    /// Of a positive row that is predicted negative.
    #[schemars(range(min = 0.0, max = 1e9))]
    pub false_negative: f64,
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

/// A metric or a measurement that must not be worse than allowed.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.metric) != has(self.measurement)").message("exactly one of `metric` and `measurement` must be set"),
    validation = Rule::new("has(self.metric) == has(self.maxRegression)").message("`maxRegression` goes with `metric`, and only with it"),
    validation = Rule::new("has(self.measurement) == has(self.maxIncreasePercent)").message("`maxIncreasePercent` goes with `measurement`, and only with it"),
    validation = Rule::new("!has(self.slice) || has(self.metric)").message("`slice` goes with `metric` only: a measurement is of the whole model"),
)]
pub struct GuardrailSpec {
    /// A metric of the predictions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<MetricName>,
    /// On which part of the holdout; without it on all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub slice: Option<String>,
    /// By how much the metric may be worse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1e18))]
    #[x_kube(validation = Rule::new("self > 0.0").message("`maxRegression` must be greater than 0: no finite holdout can show that a metric did not fall at all"))]
    pub max_regression: Option<f64>,
    /// A number that the scorer left in its termination message, such as `latency_p99_ms`; lower is better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub measurement: Option<String>,
    /// By how many percent of the champion's the challenger's measurement may be higher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1e6))]
    pub max_increase_percent: Option<f64>,
}

/// How the use of one holdout for many comparisons is paid for.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReuseSpec {
    /// How the error is spread over the looks at a holdout.
    #[serde(default)]
    pub spending: Spending,
    /// For a holdout that was also tuned on: the share of it, chosen by a hash of the rows' ids (or clusters), on which alone
    /// versions are compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.1, max = 0.9))]
    pub confirm_fraction: Option<f64>,
}

/// How the error is spread over the looks at a holdout.
#[derive(
    schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize,
)]
pub enum Spending {
    /// Each look may use the whole error: after twenty looks one equal challenger in six has won. Looks are still counted.
    None,
    /// The error at look k is 6/(pi^2 k^2) of the whole, without an end.
    #[default]
    Harmonic,
    /// The error is the same at each of `evidence.holdout.maxEvaluations` looks.
    Bonferroni,
}
