//! What a holdout says about two models, before anybody decides.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::intervals::{student_interval, student_p};
use super::result::{MetricOutcome, NotComparableReason, Warning};
use super::settings::{IntervalKind, Settings};
use crate::metrics::{Metric, Value};

/// Everything that was measured of two models on one holdout. It holds no decision: [`judge`](super::judge) makes one from it and
/// from the error that is allowed, as often as needed and without the rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statistics {
    /// The primary metric first, then guardrails, then observed metrics.
    pub metrics: Vec<MetricStatistics>,
    /// Every metric of the champion on all rows.
    pub champion: BTreeMap<Metric, Value>,
    /// Every metric of the challenger on all rows.
    pub challenger: BTreeMap<Metric, Value>,
    /// Number of rows.
    pub rows: usize,
    /// Number of clusters, when rows are clustered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    /// Weighted DeLong interval of the difference of ROC AUC, when that metric was compared on all rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cross_check: Option<CrossCheck>,
    /// Why the holdout cannot answer the question, when it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<NotComparableReason>,
    /// What a reader should know of the rows, whatever is decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// The seed all counts follow from.
    pub seed: u64,
    /// The settings as used.
    pub settings: Settings,
}

/// One metric of both models, their difference, and how surely it is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricStatistics {
    /// The metric.
    pub metric: Metric,
    /// The slice; all rows when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<String>,
    /// What the metric is for in this comparison.
    pub role: Role,
    /// Improvement that must be exceeded (primary) or regression that must be excluded (guardrail); absent when nothing is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// The champion's value.
    pub champion: Value,
    /// The challenger's value.
    pub challenger: Value,
    /// Challenger minus champion; negative is an improvement when lower is better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<f64>,
    /// Standard deviation of the difference over the resamples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
    /// Degrees of freedom of Student's interval: the smaller effective number of rows of a class, less one.
    pub degrees_of_freedom: f64,
    /// The interval of the difference of every kind, at the confidence of the settings; kinds without finite ends are absent.
    /// Under [`Method::SeparateIntervals`](super::Method), the gap between the models' percentile intervals.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub intervals: BTreeMap<IntervalKind, Interval>,
    /// The one-sided p-value against the margin by every kind of interval: at most an error exactly when the interval that leaves
    /// this error outside at one end excludes the margin. Empty when the metric decides nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub p_values: BTreeMap<IntervalKind, f64>,
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

impl Role {
    /// Whether the verdict of a paired comparison depends on metrics of this role.
    #[must_use]
    pub const fn decides(self) -> bool {
        matches!(self, Self::Primary | Self::Guardrail)
    }
}

/// A class of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Class {
    /// Label 1.
    Positive,
    /// Label 0.
    Negative,
}

/// An interval of a difference, challenger minus champion.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// `middle - reach` to `middle + reach`.
    pub(super) fn about(middle: f64, reach: f64) -> Self {
        Self {
            low: middle - reach,
            high: middle + reach,
        }
    }

    pub(super) fn is_finite(self) -> bool {
        self.low.is_finite() && self.high.is_finite()
    }
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
    /// Interval at the confidence of the settings.
    pub interval: Interval,
}

impl MetricStatistics {
    /// Adds what follows from difference, standard error and degrees of freedom: Student's interval, with `error` outside at each end, and
    /// its p-value where the metric decides something. Both are the same, bit for bit, as where the rows were measured.
    pub fn add_student(&mut self, error: f64) {
        let (Some(difference), Some(standard_error)) = (self.difference, self.standard_error)
        else {
            return;
        };
        let freedom = self.degrees_of_freedom;
        let interval = student_interval(difference, standard_error, freedom, error);
        if interval.is_finite() {
            self.intervals.insert(IntervalKind::NormalT, interval);
        }
        if self.margin.is_some() && freedom > 0.0 {
            let bound = self.improvement(self.bound());
            let excess = if self.metric.higher_is_better() {
                difference - bound
            } else {
                bound - difference
            };
            let p_value = student_p(excess, standard_error, freedom);
            self.p_values.insert(IntervalKind::NormalT, p_value);
        }
    }

    /// The least improvement that the interval must exceed; below 0 for a guardrail.
    pub(super) fn bound(&self) -> f64 {
        let margin = self.margin.unwrap_or(0.0);
        match self.role {
            Role::Guardrail => -margin,
            Role::Primary | Role::Observed | Role::Vote => margin,
        }
    }

    /// The improvement below which the challenger is worse.
    pub(super) fn worse_bound(&self) -> f64 {
        match self.role {
            Role::Guardrail => self.bound(),
            Role::Primary | Role::Observed | Role::Vote => 0.0,
        }
    }

    /// A difference turned so that larger is better.
    pub(super) fn improvement(&self, difference: f64) -> f64 {
        if self.metric.higher_is_better() {
            difference
        } else {
            -difference
        }
    }

    /// What an interval of the difference shows.
    pub(super) fn outcome(&self, interval: Interval) -> MetricOutcome {
        let ends = [interval.low, interval.high].map(|end| self.improvement(end));
        let (low, high) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
        if low > self.bound() {
            match self.role {
                Role::Guardrail => MetricOutcome::NotWorse,
                Role::Primary | Role::Observed | Role::Vote => MetricOutcome::Better,
            }
        } else if high < self.worse_bound() {
            MetricOutcome::Worse
        } else {
            MetricOutcome::Inconclusive
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A metric that nothing was measured of.
    pub(in super::super) fn metric(metric: Metric, role: Role, margin: f64) -> MetricStatistics {
        MetricStatistics {
            metric,
            slice: None,
            role,
            margin: Some(margin),
            champion: Value::Defined(0.9),
            challenger: Value::Defined(0.9),
            difference: None,
            standard_error: None,
            degrees_of_freedom: 0.0,
            intervals: BTreeMap::new(),
            p_values: BTreeMap::new(),
        }
    }

    #[test]
    fn intervals_and_margins_decide_by_the_table() {
        use MetricOutcome::{Better, Inconclusive, NotWorse, Worse};
        let cases = [
            (Metric::RocAuc, Role::Primary, 0.0, 0.001, 0.02, Better),
            (Metric::RocAuc, Role::Primary, 0.0, 0.0, 0.02, Inconclusive),
            (
                Metric::RocAuc,
                Role::Primary,
                0.01,
                0.005,
                0.02,
                Inconclusive,
            ),
            (Metric::RocAuc, Role::Primary, 0.01, 0.011, 0.02, Better),
            (Metric::RocAuc, Role::Primary, 0.0, -0.02, -0.001, Worse),
            (Metric::LogLoss, Role::Primary, 0.0, -0.02, -0.001, Better),
            (Metric::LogLoss, Role::Primary, 0.0, 0.001, 0.02, Worse),
            (Metric::F1, Role::Guardrail, 0.01, -0.009, 0.0, NotWorse),
            (Metric::F1, Role::Guardrail, 0.01, -0.01, 0.0, Inconclusive),
            (Metric::F1, Role::Guardrail, 0.01, -0.03, -0.011, Worse),
            (Metric::Brier, Role::Guardrail, 0.01, 0.0, 0.009, NotWorse),
            (Metric::Brier, Role::Guardrail, 0.01, 0.011, 0.03, Worse),
        ];
        for (of, role, margin, low, high, expected) in cases {
            let found = metric(of, role, margin).outcome(Interval { low, high });
            assert_eq!(found, expected, "{of} {role:?} {margin} [{low}, {high}]");
        }
    }
}
