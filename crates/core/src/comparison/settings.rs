//! What is compared, how, and what counts as better.

use serde::{Deserialize, Serialize};

use crate::metrics::{DecisionRule, Metric};

/// Settings of one comparison. The defaults are those of `ChampionPolicy.spec.test`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// The rule that turns scores into a verdict.
    pub method: Method,
    /// Number of resamples to begin with; doubled up to 50,000 while a deciding metric lies too near its boundary to be trusted.
    pub resamples: u32,
    /// Two-sided confidence of the intervals, between 0 and 1; each decision is one-sided at half of the rest.
    pub confidence: f64,
    /// The interval that decides; all kinds are reported.
    pub interval: IntervalKind,
    /// What a row's weight means.
    pub weights: WeightRole,
    /// Threshold and costs of hard predictions.
    pub decision: DecisionRule,
    /// Effective number of rows of each class below which nothing is decided.
    pub minimum_positives: f64,
    /// Number of clusters below which nothing is decided.
    pub minimum_clusters: usize,
    /// The metric on which the challenger must be better.
    pub primary: Primary,
    /// Metrics on which the challenger must not be worse than allowed.
    pub guardrails: Vec<Guardrail>,
    /// Metrics that are reported with intervals but decide nothing.
    pub observed: Vec<Metric>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            method: Method::PairedBootstrap,
            resamples: 2000,
            confidence: 0.95,
            interval: IntervalKind::NormalT,
            weights: WeightRole::Importance,
            decision: DecisionRule::default(),
            minimum_positives: 50.0,
            minimum_clusters: 40,
            primary: Primary::default(),
            guardrails: Vec::new(),
            observed: Vec::new(),
        }
    }
}

impl Settings {
    /// The one-sided error that the confidence leaves: what is allowed to a comparison that is the only one on its holdout.
    #[must_use]
    pub fn one_sided_error(&self) -> f64 {
        0.5 * (1.0 - self.confidence)
    }

    /// The kind of interval that decides.
    #[must_use]
    pub fn deciding_interval(&self) -> IntervalKind {
        match self.method {
            Method::PairedBootstrap => self.interval,
            Method::SeparateIntervals(_) => IntervalKind::Percentile,
        }
    }
}

/// The rule that turns scores into a verdict.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Method {
    /// Poisson bootstrap of the difference over all rows, both models on the same counts.
    #[default]
    PairedBootstrap,
    /// Intervals of each model from small samples of its own, overlap, and a vote: kept for migration only, since it finds almost nothing.
    SeparateIntervals(SeparateIntervals),
}

/// Settings of [`Method::SeparateIntervals`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SeparateIntervals {
    /// Samples per model and metric.
    pub resamples: u32,
    /// Expected share of the rows in a sample.
    pub fraction: f64,
    /// The metrics that vote.
    pub metrics: Vec<Metric>,
}

impl Default for SeparateIntervals {
    fn default() -> Self {
        Self {
            resamples: 10,
            fraction: 0.01,
            metrics: vec![Metric::RocAuc, Metric::Accuracy, Metric::WeightedF1],
        }
    }
}

/// How an interval of the difference is made from its resamples.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum IntervalKind {
    /// Estimate plus and minus Student's quantile times the standard deviation of the resamples.
    #[default]
    NormalT,
    /// Quantiles of the resamples.
    Percentile,
    /// Quantiles of the resamples, mirrored at the estimate.
    Basic,
    /// Bias-corrected and accelerated quantiles.
    #[serde(rename = "BCa")]
    BCa,
}

/// What a row's weight means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WeightRole {
    /// A fixed importance, such as an inverse sampling probability.
    #[default]
    Importance,
    /// A whole number of identical independent rows.
    Frequency,
    /// A constant per class.
    Class,
    /// Both classes weigh the same in every resample; given weights count within a class.
    Balanced,
}

/// The metric on which the challenger must be better.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Primary {
    /// The metric.
    pub metric: Metric,
    /// The lower end of the interval must exceed this improvement; at least 0.
    #[serde(default)]
    pub min_improvement: f64,
}

impl Default for Primary {
    fn default() -> Self {
        Self {
            metric: Metric::RocAuc,
            min_improvement: 0.0,
        }
    }
}

/// A metric on which the challenger must not be worse than allowed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Guardrail {
    /// The metric.
    pub metric: Metric,
    /// Name of the slice it is computed on; all rows when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<String>,
    /// The interval must exclude a regression of this size; above 0.
    pub max_regression: f64,
}
