//! The paired Poisson bootstrap: both models, all metrics and all slices on the same counts.

use super::counts::{Poisson, WithoutGroup};
use super::cross_check::delong;
use super::effective::Effective;
use super::intervals::{Spread, acceleration};
use super::questions::Question;
use super::resampler::{Measure, Resampler, Resamples};
use super::result::{
    Comparison, Interval, MetricComparison, NotComparableReason, Outcome, Role, Verdict, Warning,
};
use super::rows::Rows;
use super::{verdict, warnings};
use crate::metrics::Metric;
use crate::normal::position_above;
use crate::random::mix;

/// Resamples are doubled no further than this.
const MOST_RESAMPLES: u32 = 50_000;

/// Groups of units that are left out, one at a time, to find the skewness of a metric.
const JACKKNIFE_GROUPS: usize = 256;

/// Probability of finding a true difference as large as the minimum detectable effect.
const POWER: f64 = 0.8;

/// Fills in intervals, outcomes, the verdict and warnings of `comparison`, whose rows can be compared.
pub(super) fn compare(rows: &Rows<'_>, questions: &[Question], comparison: &mut Comparison) {
    let alpha = 0.5 * (1.0 - comparison.settings.confidence);
    let measures: Vec<Measure> = questions.iter().map(|question| question.measure).collect();
    let resampler = Resampler::new(rows, measures, comparison.settings.decision);
    let accelerations = accelerations(rows, &resampler);
    let freedoms: Vec<f64> = questions
        .iter()
        .map(|question| Effective::of(rows, question.measure.slice).degrees_of_freedom())
        .collect();

    let draw = Poisson::new(comparison.seed, &rows.unit_keys, 1.0);
    let mut resamples = Resamples::default();
    let mut wanted = comparison.settings.resamples;
    let near_boundary = loop {
        resamples.extend(resampler.run(&draw, comparison.resamples as usize..wanted as usize));
        comparison.resamples = wanted;
        comparison.empty_resamples = resamples.empty;
        for (index, question) in questions.iter().enumerate() {
            let differences = resamples.values[index].differences();
            if let Some(reason) = unstable(question, wanted, differences.len()) {
                comparison.verdict = Verdict::NotComparable { reason };
                return;
            }
            let metric = &mut comparison.metrics[index];
            let spread = metric
                .difference
                .and_then(|estimate| Spread::of(estimate, differences));
            match spread {
                Some(spread) => fill(
                    metric,
                    question,
                    &spread,
                    spread.intervals(alpha, freedoms[index], accelerations[index]),
                    comparison.settings.interval,
                ),
                None => metric.outcome = Outcome::Undefined,
            }
        }
        let near = near_boundary(&comparison.metrics, alpha, wanted);
        if near.is_empty() || wanted >= MOST_RESAMPLES {
            break near;
        }
        wanted = wanted.saturating_mul(2).min(MOST_RESAMPLES);
    };

    comparison.minimum_detectable_effect = comparison.metrics[0]
        .standard_error
        .map(|error| (position_above(alpha) + position_above(1.0 - POWER)) * error);
    if questions
        .iter()
        .any(|question| question.measure == ROC_AUC_ON_ALL_ROWS)
    {
        comparison.cross_check = delong(rows, alpha);
    }
    comparison.verdict = verdict::of_outcomes(&comparison.metrics);
    let mut found = warnings::of_outcomes(comparison, questions);
    found.extend(
        near_boundary
            .into_iter()
            .map(|index| Warning::NearBoundary {
                metric: questions[index].metric(),
                slice: questions[index].slice.clone(),
            }),
    );
    comparison.warnings.extend(found);
}

pub(super) const ROC_AUC_ON_ALL_ROWS: Measure = Measure {
    metric: Metric::RocAuc,
    slice: None,
};

fn fill(
    metric: &mut MetricComparison,
    question: &Question,
    spread: &Spread,
    intervals: std::collections::BTreeMap<super::IntervalKind, Interval>,
    deciding: super::IntervalKind,
) {
    let interval = intervals[&deciding];
    metric.low = Some(interval.low);
    metric.high = Some(interval.high);
    metric.standard_error = Some(spread.standard_error);
    metric.p_value = question.margin.map(|_| {
        if metric.metric.higher_is_better() {
            spread.p_above(question.bound())
        } else {
            spread.p_below(-question.bound())
        }
    });
    metric.outcome = question.outcome(interval);
    metric.intervals = intervals;
}

/// A deciding metric that is undefined in more than one of a thousand resamples; an observed one is reported on the others.
fn unstable(question: &Question, resamples: u32, defined: usize) -> Option<NotComparableReason> {
    let undefined = resamples - defined as u32;
    (question.decides() && u64::from(undefined) * 1000 > u64::from(resamples)).then(|| {
        NotComparableReason::UnstableResamples {
            metric: question.metric(),
            slice: question.slice.clone(),
            undefined,
            resamples,
        }
    })
}

/// Deciding metrics whose p-value is nearer to the level than three of its Monte Carlo standard errors.
fn near_boundary(metrics: &[MetricComparison], alpha: f64, resamples: u32) -> Vec<usize> {
    let near = |p: f64| (p - alpha).abs() < 3.0 * (p * (1.0 - p) / f64::from(resamples)).sqrt();
    metrics
        .iter()
        .enumerate()
        .filter(|(_, metric)| matches!(metric.role, Role::Primary | Role::Guardrail))
        .filter(|(_, metric)| metric.p_value.is_some_and(near))
        .map(|(index, _)| index)
        .collect()
}

/// The acceleration of each measure's difference by leaving out groups of units, as many as [`JACKKNIFE_GROUPS`].
fn accelerations(rows: &Rows<'_>, resampler: &Resampler) -> Vec<f64> {
    let groups = rows.unit_keys.len().min(JACKKNIFE_GROUPS);
    // Units take turns in an order of their own keys, so that the order of rows has no influence.
    let mut order: Vec<usize> = (0..rows.unit_keys.len()).collect();
    order.sort_unstable_by_key(|&unit| mix(rows.unit_keys[unit]));
    let mut group_of = vec![0; order.len()];
    for (turn, unit) in order.into_iter().enumerate() {
        group_of[unit] = (turn % groups) as u16;
    }
    resampler
        .run(&WithoutGroup { groups: &group_of }, 0..groups)
        .values
        .iter()
        .map(|values| acceleration(&values.differences()))
        .collect()
}
