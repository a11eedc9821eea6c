//! What a reader should know before trusting a verdict.

use super::paired::ROC_AUC_ON_ALL_ROWS;
use super::questions::Question;
use super::result::{Class, Comparison, Interval, Outcome, Role, Warning};
use super::rows::Rows;
use crate::metrics::{Metric, Value};

/// Below this effective number of rows of a class, intervals are rough.
const FEW_ROWS: f64 = 200.0;
/// A ROC AUC above this is more often a leaked label than a good model.
const TOO_GOOD: f64 = 0.995;
/// Share of a class's weight that one row should not exceed.
const HEAVY_SHARE: f64 = 0.05;
/// Relative difference of standard errors that a cross-check should not exceed.
const CLOSE: f64 = 0.1;

/// Warnings that follow from the rows and the metrics on all of them.
pub(super) fn of_rows(rows: &Rows<'_>, comparison: &Comparison) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for class in [Class::Positive, Class::Negative] {
        let number = match class {
            Class::Positive => comparison.effective_positives,
            Class::Negative => comparison.effective_negatives,
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
        (false, &comparison.champion),
        (true, &comparison.challenger),
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
    warnings
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

/// Warnings that follow from the outcomes.
pub(super) fn of_outcomes(comparison: &Comparison, questions: &[Question]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for (question, metric) in questions.iter().zip(&comparison.metrics) {
        if !question.decides() {
            continue;
        }
        let kinds: Vec<_> = metric
            .intervals
            .iter()
            .filter(|&(_, &interval)| shows(question, interval) != shows_outcome(metric.outcome))
            .map(|(&kind, _)| kind)
            .collect();
        if !kinds.is_empty() {
            warnings.push(Warning::IntervalDisagreement {
                metric: metric.metric,
                slice: metric.slice.clone(),
                kinds,
            });
        }
    }
    warnings.extend(cross_check(comparison, questions));
    warnings
}

fn cross_check(comparison: &Comparison, questions: &[Question]) -> Option<Warning> {
    let delong = comparison.cross_check?;
    let (question, metric) = questions
        .iter()
        .zip(&comparison.metrics)
        .find(|(question, _)| question.measure == ROC_AUC_ON_ALL_ROWS)?;
    let bootstrap = metric.standard_error?;
    let far =
        (delong.standard_error - bootstrap).abs() > CLOSE * bootstrap.max(delong.standard_error);
    let decides_otherwise = question.role == Role::Primary
        && shows(question, delong.interval) != shows_outcome(metric.outcome);
    (far || decides_otherwise).then_some(Warning::CrossCheckDisagreement {
        delong: delong.standard_error,
        bootstrap,
    })
}

fn shows(question: &Question, interval: Interval) -> bool {
    shows_outcome(question.outcome(interval))
}

fn shows_outcome(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Better | Outcome::NotWorse)
}
