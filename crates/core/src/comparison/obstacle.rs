//! Why a holdout may not be able to answer.

use super::effective::Effective;
use super::questions::Question;
use super::result::NotComparableReason;
use super::rows::Rows;
use super::settings::Settings;
use super::statistics::{Class, MetricStatistics};
use crate::metrics::Value;

/// Why the rows cannot answer, before anything is drawn.
pub(super) fn of(
    rows: &Rows<'_>,
    questions: &[Question],
    metrics: &[MetricStatistics],
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
        .filter(|question| question.role.decides() && question.measure.slice.is_some());
    let too_few_clusters = rows
        .clusters
        .filter(|&clusters| clusters < settings.minimum_clusters)
        .map(|clusters| NotComparableReason::TooFewClusters {
            clusters,
            needed: settings.minimum_clusters,
        });
    // Few clusters leave few effective rows too, so that they are the reason to name.
    too_few_clusters
        .or_else(|| too_few(None, &None))
        .or_else(|| {
            sliced
                .into_iter()
                .find_map(|question| too_few(question.measure.slice, &question.slice))
        })
        .or_else(|| {
            questions
                .iter()
                .zip(metrics)
                .filter(|(question, _)| question.role.decides())
                .find_map(|(_, metric)| undefined(metric))
        })
}

fn undefined(metric: &MetricStatistics) -> Option<NotComparableReason> {
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
