//! The replaced system's rule: an interval per model from small samples of its own, overlap, and a vote.

use std::collections::BTreeMap;

use super::counts::Poisson;
use super::intervals::quantile;
use super::questions::Question;
use super::resampler::Resampler;
use super::result::Warning;
use super::rows::Rows;
use super::settings::{IntervalKind, SeparateIntervals};
use super::statistics::{Interval, Statistics};
use crate::random::mix;

/// Fills in the gap between the models' intervals as the interval of the difference: it lies above 0 exactly when the challenger's
/// interval lies above the champion's.
pub(super) fn draw(
    rows: &Rows<'_>,
    questions: &[Question],
    separate: &SeparateIntervals,
    statistics: &mut Statistics,
) {
    let alpha = statistics.settings.one_sided_error();
    for (index, (question, metric)) in questions.iter().zip(&mut statistics.metrics).enumerate() {
        let resampler = Resampler::new(rows, vec![question.measure], statistics.settings.decision);
        let samples = |model: u64| {
            let key = mix(statistics.seed ^ mix(2 * index as u64 + model));
            let draw = Poisson::new(key, &rows.unit_keys, separate.fraction);
            resampler
                .run(&draw, 0..separate.resamples as usize)
                .values
                .swap_remove(0)
        };
        let champion = interval(samples(0).champion, alpha);
        let challenger = interval(samples(1).challenger, alpha);
        if let (Some(champion), Some(challenger)) = (champion, challenger) {
            let gap = Interval {
                low: challenger.low - champion.high,
                high: challenger.high - champion.low,
            };
            metric.intervals = BTreeMap::from([(IntervalKind::Percentile, gap)]);
        }
    }
    statistics.resamples = separate.resamples;
    statistics.warnings.push(Warning::WeakMethod);
}

/// The interval of the samples in which the metric is defined, when there is any.
fn interval(mut samples: Vec<f64>, alpha: f64) -> Option<Interval> {
    samples.retain(|sample| !sample.is_nan());
    samples.sort_unstable_by(f64::total_cmp);
    (!samples.is_empty()).then(|| Interval {
        low: quantile(&samples, alpha),
        high: quantile(&samples, 1.0 - alpha),
    })
}
