//! From outcomes to a verdict, and why there may be none.

use super::effective::Effective;
use super::questions::Question;
use super::result::{Class, MetricComparison, NotComparableReason, Outcome, Role, Verdict};
use super::rows::Rows;
use super::settings::Settings;
use crate::metrics::Value;

/// Better on the primary metric and not worse than allowed on every guardrail (an intersection-union test: each at its own level).
pub(super) fn of_outcomes(metrics: &[MetricComparison]) -> Verdict {
    let with = |role: Role, outcome: Outcome| {
        metrics
            .iter()
            .any(|metric| metric.role == role && metric.outcome == outcome)
    };
    let guarded = metrics
        .iter()
        .filter(|metric| metric.role == Role::Guardrail)
        .all(|metric| metric.outcome == Outcome::NotWorse);
    if with(Role::Primary, Outcome::Worse) || with(Role::Guardrail, Outcome::Worse) {
        Verdict::Inferior
    } else if with(Role::Primary, Outcome::Better) && guarded {
        Verdict::Superior
    } else {
        Verdict::Inconclusive
    }
}

/// More metrics better than worse, or the reverse.
pub(super) fn of_votes(metrics: &[MetricComparison]) -> Verdict {
    let count = |outcome: Outcome| {
        metrics
            .iter()
            .filter(|metric| metric.outcome == outcome)
            .count()
    };
    match count(Outcome::Better).cmp(&count(Outcome::Worse)) {
        std::cmp::Ordering::Greater => Verdict::Superior,
        std::cmp::Ordering::Less => Verdict::Inferior,
        std::cmp::Ordering::Equal => Verdict::Inconclusive,
    }
}

/// Why the rows cannot answer, before anything is drawn.
pub(super) fn obstacle(
    rows: &Rows<'_>,
    questions: &[Question],
    metrics: &[MetricComparison],
    settings: &Settings,
) -> Option<NotComparableReason> {
    let too_few = |slice: Option<usize>, name: &Option<String>| {
        let effective = Effective::of(rows, slice);
        [Class::Positive, Class::Negative]
            .into_iter()
            .find(|&class| effective.of_class(class) < settings.minimum_positives)
            .map(|class| NotComparableReason::InsufficientData {
                class,
                slice: name.clone(),
                effective: effective.of_class(class),
                needed: settings.minimum_positives,
            })
    };
    let sliced = questions
        .iter()
        .filter(|question| question.decides() && question.measure.slice.is_some());
    let too_few_clusters = rows
        .clusters
        .filter(|&clusters| clusters < settings.minimum_clusters)
        .map(|clusters| NotComparableReason::TooFewClusters {
            clusters,
            needed: settings.minimum_clusters,
        });
    too_few(None, &None)
        .or(too_few_clusters)
        .or_else(|| {
            sliced
                .into_iter()
                .find_map(|question| too_few(question.measure.slice, &question.slice))
        })
        .or_else(|| {
            questions
                .iter()
                .zip(metrics)
                .filter(|(question, _)| question.decides())
                .find_map(|(_, metric)| undefined(metric))
        })
}

fn undefined(metric: &MetricComparison) -> Option<NotComparableReason> {
    [
        ("champion", metric.champion),
        ("challenger", metric.challenger),
    ]
    .into_iter()
    .find_map(|(model, value)| match value {
        Value::Defined(_) => None,
        Value::Undefined(reason) => Some(NotComparableReason::UndefinedMetric {
            metric: metric.metric,
            slice: metric.slice.clone(),
            reason: format!("for the {model}, {reason}"),
        }),
    })
}
