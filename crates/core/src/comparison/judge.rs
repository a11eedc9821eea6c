//! From statistics to a verdict.

use std::cmp::Ordering;

use super::intervals::student_interval;
use super::measurement::{Measurement, MeasurementComparison};
use super::result::{Comparison, MetricComparison, MetricOutcome, Verdict};
use super::settings::{IntervalKind, Method, Settings};
use super::statistics::{Interval, MetricStatistics, Role, Statistics};
use super::{student, warnings};
use crate::normal;

/// Probability of finding a true difference as large as the minimum detectable effect.
const POWER: f64 = 0.8;

/// The relative distance within which two errors are the same number.
const ROUNDING: f64 = 1e-9;

/// What follows from `statistics` and `measurements` when a one-sided error of `allowed_error` is allowed. It is defined for every
/// argument; an error that is no number from 0 to 1 half is taken as the nearest such number (NaN as 0, with which nothing is shown).
///
/// The primary metric must be better and every guardrail not worse than allowed: an intersection-union test (Berger 1982), each metric
/// at the whole error. With [`IntervalKind::NormalT`] the deciding interval of every metric is `difference ± t(1 - error, df) se`.
/// With the other kinds the intervals of the statistics decide, which belong to the confidence of the settings; at a smaller error
/// than that of the confidence, an improvement also needs a p-value of at most this error. [`Method::SeparateIntervals`] counts votes by
/// the intervals of the statistics, whatever the error.
#[must_use]
pub fn judge(
    statistics: &Statistics,
    measurements: &[Measurement],
    allowed_error: f64,
) -> Comparison {
    let error = if allowed_error.is_nan() {
        0.0
    } else {
        allowed_error.clamp(0.0, 0.5)
    };
    let metrics: Vec<MetricComparison> = statistics
        .metrics
        .iter()
        .map(|metric| judge_metric(metric, statistics, error))
        .collect();
    let compared: Vec<MeasurementComparison> =
        measurements.iter().map(Measurement::compared).collect();
    let obstacle = statistics
        .obstacle
        .clone()
        .or_else(|| measurements.iter().find_map(Measurement::obstacle));
    let verdict = match obstacle {
        Some(reason) => Verdict::NotComparable { reason },
        None if compared
            .iter()
            .any(|measurement| measurement.outcome == MetricOutcome::Worse) =>
        {
            Verdict::Inferior
        }
        None => match statistics.settings.method {
            Method::PairedBootstrap => of_outcomes(&metrics),
            Method::SeparateIntervals(_) => of_votes(&metrics),
        },
    };
    let mut warnings = statistics.warnings.clone();
    if statistics.obstacle.is_none() {
        warnings.extend(warnings::of_outcomes(statistics, &metrics, error));
    }
    Comparison {
        verdict,
        allowed_error: error,
        metrics,
        measurements: compared,
        minimum_detectable_effect: statistics
            .metrics
            .iter()
            .find(|metric| metric.role == Role::Primary)
            .and_then(|primary| minimum_detectable_effect(primary, error)),
        warnings,
        statistics: statistics.clone(),
    }
}

fn judge_metric(
    metric: &MetricStatistics,
    statistics: &Statistics,
    error: f64,
) -> MetricComparison {
    let settings = &statistics.settings;
    let deciding = settings.deciding_interval();
    let interval = deciding_interval(metric, deciding, error);
    let p_value = metric.p_values.get(&deciding).copied();
    let outcome = match interval {
        _ if metric.difference.is_none() => MetricOutcome::Undefined,
        Some(interval) => limited(metric.outcome(interval), p_value, settings, error),
        // No resample had a value, although the holdout is no obstacle.
        None if statistics.obstacle.is_none() && metric.intervals.is_empty() => {
            MetricOutcome::Undefined
        }
        None => MetricOutcome::Inconclusive,
    };
    MetricComparison {
        metric: metric.metric,
        slice: metric.slice.clone(),
        role: metric.role,
        champion: metric.champion,
        challenger: metric.challenger,
        difference: metric.difference,
        low: interval.map(|interval| interval.low),
        high: interval.map(|interval| interval.high),
        margin: metric.margin,
        p_value,
        standard_error: metric.standard_error,
        outcome,
    }
}

/// The interval of the deciding kind, when it has finite ends.
fn deciding_interval(
    metric: &MetricStatistics,
    deciding: IntervalKind,
    error: f64,
) -> Option<Interval> {
    match deciding {
        IntervalKind::NormalT => metric
            .difference
            .zip(metric.standard_error)
            .map(|(difference, standard_error)| {
                student_interval(difference, standard_error, metric.degrees_of_freedom, error)
            })
            .filter(|interval| interval.is_finite()),
        IntervalKind::Percentile | IntervalKind::Basic | IntervalKind::BCa => {
            metric.intervals.get(&deciding).copied()
        }
    }
}

/// An outcome by an interval of the nominal confidence shows nothing at a smaller error that its p-value exceeds.
fn limited(
    outcome: MetricOutcome,
    p_value: Option<f64>,
    settings: &Settings,
    error: f64,
) -> MetricOutcome {
    let is_nominal_interval = settings.deciding_interval() != IntervalKind::NormalT;
    let is_smaller_error = error < settings.one_sided_error() * (1.0 - ROUNDING);
    if outcome.is_shown()
        && is_nominal_interval
        && is_smaller_error
        && p_value.is_some_and(|p| p > error)
    {
        MetricOutcome::Inconclusive
    } else {
        outcome
    }
}

impl MetricOutcome {
    /// Whether what the metric must show was shown.
    pub(super) fn is_shown(self) -> bool {
        matches!(self, Self::Better | Self::NotWorse)
    }
}

/// The true improvement that is found with a probability of [`POWER`]: `margin + (t(1 - error, df) + z(0.8)) se`.
fn minimum_detectable_effect(primary: &MetricStatistics, error: f64) -> Option<f64> {
    let standard_error = primary.standard_error.filter(|&error| error > 0.0)?;
    let reach = student::position_above(error, primary.degrees_of_freedom)
        + normal::position_above(1.0 - POWER);
    Some(primary.bound() + reach * standard_error).filter(|effect| effect.is_finite())
}

/// Better on the primary metric and not worse than allowed on every guardrail.
fn of_outcomes(metrics: &[MetricComparison]) -> Verdict {
    let with = |role: Role, outcome: MetricOutcome| {
        metrics
            .iter()
            .any(|metric| metric.role == role && metric.outcome == outcome)
    };
    let guarded = metrics
        .iter()
        .filter(|metric| metric.role == Role::Guardrail)
        .all(|metric| metric.outcome == MetricOutcome::NotWorse);
    if with(Role::Primary, MetricOutcome::Worse) || with(Role::Guardrail, MetricOutcome::Worse) {
        Verdict::Inferior
    } else if with(Role::Primary, MetricOutcome::Better) && guarded {
        Verdict::Superior
    } else {
        Verdict::Inconclusive
    }
}

/// More metrics better than worse, or the reverse.
fn of_votes(metrics: &[MetricComparison]) -> Verdict {
    let count = |outcome: MetricOutcome| {
        metrics
            .iter()
            .filter(|metric| metric.outcome == outcome)
            .count()
    };
    match count(MetricOutcome::Better).cmp(&count(MetricOutcome::Worse)) {
        Ordering::Greater => Verdict::Superior,
        Ordering::Less => Verdict::Inferior,
        Ordering::Equal => Verdict::Inconclusive,
    }
}
