//! The replaced system's rule: an interval per model from small samples of its own, overlap, and a vote.

use super::counts::Poisson;
use super::intervals::quantile;
use super::questions::Question;
use super::resampler::Resampler;
use super::result::{Comparison, Interval, Outcome, Warning};
use super::rows::Rows;
use super::settings::SeparateIntervals;
use super::verdict;
use crate::random::mix;

/// Fills in outcomes and the verdict of `comparison`. A difference's interval is the gap between the models' intervals:
/// it lies above 0 exactly when the challenger's interval lies above the champion's.
pub(super) fn compare(
    rows: &Rows<'_>,
    questions: &[Question],
    separate: &SeparateIntervals,
    comparison: &mut Comparison,
) {
    let alpha = 0.5 * (1.0 - comparison.settings.confidence);
    for (index, (question, metric)) in questions.iter().zip(&mut comparison.metrics).enumerate() {
        let resampler = Resampler::new(rows, vec![question.measure], comparison.settings.decision);
        let samples = |model: u64| {
            let key = mix(comparison.seed ^ mix(2 * index as u64 + model));
            let draw = Poisson::new(key, &rows.unit_keys, separate.fraction);
            resampler
                .run(&draw, 0..separate.resamples as usize)
                .values
                .swap_remove(0)
        };
        let champion = interval(samples(0).champion, alpha);
        let challenger = interval(samples(1).challenger, alpha);
        metric.outcome = Outcome::Undefined;
        if let (Some(champion), Some(challenger)) = (champion, challenger) {
            let gap = Interval {
                low: challenger.low - champion.high,
                high: challenger.high - champion.low,
            };
            metric.low = Some(gap.low);
            metric.high = Some(gap.high);
            metric.outcome = question.outcome(gap);
        }
    }
    comparison.resamples = separate.resamples;
    comparison.verdict = verdict::of_votes(&comparison.metrics);
    comparison.warnings.push(Warning::WeakMethod);
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
