//! What a comparison decided, and why.

use serde::{Deserialize, Serialize};

use super::measurement::MeasurementComparison;
use super::settings::IntervalKind;
use super::statistics::{Class, Role, Statistics};
use crate::metrics::{Metric, Value};

/// What follows from the statistics of one holdout, given the error that is allowed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// Whether the challenger may replace the champion.
    pub verdict: Verdict,
    /// The one-sided error that was allowed: the largest probability of finding an improvement where none is.
    pub allowed_error: f64,
    /// What was decided of each metric, in the order of the statistics.
    pub metrics: Vec<MetricComparison>,
    /// What was decided of each measurement, in the order they were given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measurements: Vec<MeasurementComparison>,
    /// The true improvement of the primary metric that would have been found with 80% probability, `minImprovement` included; absent
    /// when the difference does not vary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_detectable_effect: Option<f64>,
    /// What a reader should know before trusting the verdict; holds the warnings of the statistics.
    pub warnings: Vec<Warning>,
    /// What was measured.
    pub statistics: Statistics,
}

impl Comparison {
    /// The two-sided confidence of the intervals that decided: `1 - 2 allowedError` for Student's, that of the settings for the others.
    #[must_use]
    pub fn confidence(&self) -> f64 {
        let settings = &self.statistics.settings;
        match settings.deciding_interval() {
            IntervalKind::NormalT => 1.0 - 2.0 * self.allowed_error,
            IntervalKind::Percentile | IntervalKind::Basic | IntervalKind::BCa => {
                settings.confidence
            }
        }
    }

    /// The metric on which the challenger must be better; absent under [`Method::SeparateIntervals`](super::Method).
    #[must_use]
    pub fn primary(&self) -> Option<&MetricComparison> {
        self.metrics
            .iter()
            .find(|metric| metric.role == Role::Primary)
    }

    /// The lower bound of the improvement of the primary metric; the lowest number when it has none, as under separate intervals.
    #[must_use]
    pub fn least_improvement(&self) -> f64 {
        self.primary()
            .and_then(|primary| {
                if primary.metric.higher_is_better() {
                    primary.low
                } else {
                    primary.high.map(|high| -high)
                }
            })
            .unwrap_or(f64::NEG_INFINITY)
    }
}

/// One metric of both models and what was shown of it.
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<f64>,
    /// Lower end of the deciding interval of the difference; absent when it is not finite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Upper end of the deciding interval of the difference; absent when it is not finite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// Improvement that must be exceeded (primary) or regression that must be excluded (guardrail); absent when nothing is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// One-sided p-value against the margin, by the deciding kind of interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
    /// Standard deviation of the difference over the resamples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
    /// What was shown.
    pub outcome: MetricOutcome,
}

/// What was shown of one metric, or of one measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MetricOutcome {
    /// The improvement exceeds the margin.
    Better,
    /// A regression beyond the margin is excluded.
    NotWorse,
    /// The challenger is worse (primary) or worse than allowed (guardrail, measurement).
    Worse,
    /// Neither was shown.
    Inconclusive,
    /// There is no value for one of the models.
    Undefined,
}

/// Whether the challenger may replace the champion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Verdict {
    /// Better on the primary metric, and not worse than allowed on every guardrail and by every measurement.
    Superior,
    /// Worse on the primary metric, or surely worse than allowed on a guardrail or by a measurement.
    Inferior,
    /// Neither was shown.
    Inconclusive,
    /// The holdout cannot answer the question.
    NotComparable {
        /// Why.
        reason: NotComparableReason,
    },
}

impl Verdict {
    /// The verdict in one word, as in its JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Superior => "Superior",
            Self::Inferior => "Inferior",
            Self::Inconclusive => "Inconclusive",
            Self::NotComparable { .. } => "NotComparable",
        }
    }
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
    /// A measurement cannot be compared.
    UndefinedMeasurement {
        /// Its name.
        name: String,
        /// What must hold of it.
        reason: String,
    },
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
    /// Both models give every row that carries weight the same score, so that no difference can be found.
    IdenticalScores,
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
    /// A metric lies so near its boundary that other resamples might have decided otherwise.
    NearBoundary {
        /// The metric.
        metric: Metric,
        /// The slice, or all rows.
        slice: Option<String>,
    },
    /// The separate-interval rule finds almost no true improvement.
    WeakMethod,
}
