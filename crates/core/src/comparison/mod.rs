//! Compares a challenger with the champion on one holdout and gives a verdict.
//!
//! Formulas and settings follow published work: Poisson bootstrap (Chamandy et al. 2012), DeLong's variance (DeLong et al. 1988) with
//! weights and clusters, Efron's BCa interval (1987), intersection-union tests (Berger 1982), Kish's effective sample size (1965).

mod counts;
mod cross_check;
mod effective;
mod holdout;
mod intervals;
mod lanes;
mod paired;
mod questions;
mod resampler;
mod result;
mod rows;
mod sentence;
mod separate;
mod settings;
#[cfg(test)]
mod tests;
mod verdict;
mod warnings;

pub use holdout::{Holdout, Refusal};
pub use result::{
    Class, Comparison, CrossCheck, Interval, MetricComparison, NotComparableReason, Outcome, Role,
    Verdict, Warning,
};
pub use sentence::{Naming, sentence};
pub use settings::{
    Guardrail, IntervalKind, Method, Primary, SeparateIntervals, Settings, WeightRole,
};

use std::collections::BTreeMap;

use crate::metrics::{Metric, Value, evaluate_checked};
use effective::Effective;
use questions::Question;
use rows::Rows;

/// Compares two models on `holdout`. Equal arguments give equal bits, on any number of threads.
///
/// # Errors
/// Rows or settings that cannot be used, each with its row number or field.
pub fn compare(holdout: &Holdout, settings: &Settings, seed: u64) -> Result<Comparison, Refusal> {
    let rows = Rows::check(holdout, settings)?;
    let questions = questions::questions(holdout, settings);
    let mut comparison = describe(&rows, &questions, settings, seed);
    if let Some(reason) = verdict::obstacle(&rows, &questions, &comparison.metrics, settings) {
        comparison.verdict = Verdict::NotComparable { reason };
        return Ok(comparison);
    }
    match &settings.method {
        Method::PairedBootstrap => paired::compare(&rows, &questions, &mut comparison),
        Method::SeparateIntervals(separate) => {
            separate::compare(&rows, &questions, separate, &mut comparison);
        }
    }
    Ok(comparison)
}

/// Everything that is known of the rows before anything is drawn; the verdict is still open.
fn describe(rows: &Rows<'_>, questions: &[Question], settings: &Settings, seed: u64) -> Comparison {
    let metrics_of = |slice: Option<usize>| {
        let part = rows.part(slice);
        [part.champion(), part.challenger()]
            .map(|predictions| evaluate_checked(&predictions, &settings.decision))
    };
    let mut by_slice: BTreeMap<Option<usize>, [BTreeMap<Metric, Value>; 2]> = BTreeMap::new();
    let metrics = questions
        .iter()
        .map(|question| {
            let slice = question.measure.slice;
            let [champion, challenger] = by_slice.entry(slice).or_insert_with(|| metrics_of(slice));
            open_metric(
                question,
                champion[&question.metric()],
                challenger[&question.metric()],
            )
        })
        .collect();
    let [champion, challenger] = by_slice.remove(&None).unwrap_or_else(|| metrics_of(None));
    let effective = Effective::of(rows, None);
    let mut comparison = Comparison {
        verdict: Verdict::Inconclusive,
        metrics,
        champion,
        challenger,
        rows: rows.labels.len(),
        clusters: rows.clusters,
        positives: rows.labels.iter().filter(|&&label| label == 1).count(),
        effective_positives: effective.positives,
        effective_negatives: effective.negatives,
        resamples: 0,
        empty_resamples: 0,
        minimum_detectable_effect: None,
        cross_check: None,
        warnings: Vec::new(),
        seed,
        settings: settings.clone(),
    };
    comparison.warnings = warnings::of_rows(rows, &comparison);
    comparison
}

fn open_metric(question: &Question, champion: Value, challenger: Value) -> MetricComparison {
    let difference = challenger
        .defined()
        .zip(champion.defined())
        .map(|(challenger, champion)| challenger - champion);
    MetricComparison {
        metric: question.metric(),
        slice: question.slice.clone(),
        role: question.role,
        champion,
        challenger,
        difference,
        low: None,
        high: None,
        margin: question.margin,
        p_value: None,
        standard_error: None,
        outcome: if difference.is_some() {
            Outcome::Inconclusive
        } else {
            Outcome::Undefined
        },
        intervals: BTreeMap::new(),
    }
}
