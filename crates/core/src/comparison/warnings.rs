//! What a reader should know before trusting a verdict.

use super::boundary;
use super::result::{MetricComparison, Warning};
use super::rows::Rows;
use super::settings::IntervalKind;
use super::statistics::{Class, Interval, MetricStatistics, Role, Statistics};
use crate::metrics::{Metric, Value};
use crate::normal::position_above;

/// Below this effective number of rows of a class, intervals are rough.
const FEW_ROWS: f64 = 200.0;
/// A ROC AUC above this is more often a leaked label than a good model.
const TOO_GOOD: f64 = 0.995;
/// Share of a class's weight that one row should not exceed.
const HEAVY_SHARE: f64 = 0.05;
/// Relative difference of standard errors that a cross-check should not exceed.
const CLOSE: f64 = 0.1;
/// Draws that an error must leave outside before quantiles at this error say anything.
const FEWEST_OUTSIDE: f64 = 10.0;

/// Warnings that follow from the rows and the metrics on all of them.
pub(super) fn of_rows(rows: &Rows<'_>, statistics: &Statistics) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for class in [Class::Positive, Class::Negative] {
        let number = match class {
            Class::Positive => statistics.effective_positives,
            Class::Negative => statistics.effective_negatives,
        };
        if number < FEW_ROWS {
            warnings.push(Warning::FewEffectiveRows {
                class,
                effective: number,
            });
        }
        warnings.extend(heaviest(rows, class));
    }
    for (challenger, metrics) in [
        (false, &statistics.champion),
        (true, &statistics.challenger),
    ] {
        if let Some(&Value::Defined(roc_auc)) = metrics.get(&Metric::RocAuc)
            && roc_auc > TOO_GOOD
        {
            warnings.push(Warning::SuspectedLeakage {
                challenger,
                roc_auc,
            });
        }
    }
    if score_alike(rows) {
        warnings.push(Warning::IdenticalScores);
    }
    warnings
}

/// Whether both models give every row that carries weight the same score.
fn score_alike(rows: &Rows<'_>) -> bool {
    let mut weighing = (0..rows.labels.len())
        .filter(|&row| rows.weights[row] > 0.0)
        .peekable();
    weighing.peek().is_some() && weighing.all(|row| rows.champion[row] == rows.challenger[row])
}

fn heaviest(rows: &Rows<'_>, class: Class) -> Option<Warning> {
    let label = u8::from(class == Class::Positive);
    let members = || (0..rows.labels.len()).filter(|&row| rows.labels[row] == label);
    let total: f64 = members().map(|row| rows.weights[row]).sum();
    let row =
        members().max_by(|&left, &right| rows.weights[left].total_cmp(&rows.weights[right]))?;
    let share = rows.weights[row] / total;
    (share > HEAVY_SHARE && members().nth(1).is_some()).then_some(Warning::HeavyWeight {
        row: row + 1,
        share,
    })
}

/// Warnings that follow from the outcomes at a one-sided `error`.
pub(super) fn of_outcomes(
    statistics: &Statistics,
    outcomes: &[MetricComparison],
    error: f64,
) -> Vec<Warning> {
    let deciding = statistics.settings.deciding_interval();
    let pairs = || {
        statistics
            .metrics
            .iter()
            .zip(outcomes)
            .filter(|(metric, _)| metric.role.decides())
    };
    let mut warnings: Vec<Warning> = pairs()
        .filter_map(|(metric, outcome)| {
            let kinds = disagreeing(metric, outcome, statistics, error);
            (!kinds.is_empty()).then(|| Warning::IntervalDisagreement {
                metric: metric.metric,
                slice: metric.slice.clone(),
                kinds,
            })
        })
        .collect();
    warnings.extend(cross_check(statistics, outcomes, error));
    warnings.extend(
        pairs()
            .filter(|(metric, _)| boundary::is_near(metric, deciding, error, statistics.resamples))
            .map(|(metric, _)| Warning::NearBoundary {
                metric: metric.metric,
                slice: metric.slice.clone(),
            }),
    );
    warnings
}

/// The kinds of interval that would have decided otherwise at this error.
fn disagreeing(
    metric: &MetricStatistics,
    outcome: &MetricComparison,
    statistics: &Statistics,
    error: f64,
) -> Vec<IntervalKind> {
    let deciding = statistics.settings.deciding_interval();
    let enough_draws = error * f64::from(statistics.resamples) >= FEWEST_OUTSIDE;
    metric
        .p_values
        .iter()
        .filter(|&(&kind, _)| kind != deciding)
        .filter(|&(&kind, _)| enough_draws || kind == IntervalKind::NormalT)
        .filter(|&(_, &p)| (p <= error) != outcome.outcome.is_shown())
        .map(|(&kind, _)| kind)
        .collect()
}

fn cross_check(
    statistics: &Statistics,
    outcomes: &[MetricComparison],
    error: f64,
) -> Option<Warning> {
    let delong = statistics.cross_check?;
    let (metric, outcome) = statistics
        .metrics
        .iter()
        .zip(outcomes)
        .find(|(metric, _)| metric.metric == Metric::RocAuc && metric.slice.is_none())?;
    let bootstrap = metric.standard_error?;
    let far =
        (delong.standard_error - bootstrap).abs() > CLOSE * bootstrap.max(delong.standard_error);
    let interval = Interval::about(
        delong.difference,
        position_above(error) * delong.standard_error,
    );
    let decides_otherwise = metric.role == Role::Primary
        && metric.outcome(interval).is_shown() != outcome.outcome.is_shown();
    (far || decides_otherwise).then_some(Warning::CrossCheckDisagreement {
        delong: delong.standard_error,
        bootstrap,
    })
}
