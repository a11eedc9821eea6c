//! The paired Poisson bootstrap: both models, all metrics and all slices on the same counts.

use std::ops::Range;

use super::boundary;
use super::counts::{LANES, Poisson, WithoutGroup};
use super::cross_check::delong;
use super::intervals::{Spread, acceleration};
use super::questions::Question;
use super::resampler::{Measure, Resampler, Resamples};
use super::result::NotComparableReason;
use super::rows::Rows;
use super::settings::{IntervalKind, Settings};
use super::statistics::{MetricStatistics, Statistics};
use crate::looks::Spending;
use crate::metrics::Metric;
use crate::random::mix;

/// Resamples are doubled no further than this.
const MOST_RESAMPLES: u32 = 50_000;

/// Groups of units that are left out, one at a time, to find the skewness of a metric.
const JACKKNIFE_GROUPS: usize = 256;

/// The measure that DeLong's formula checks.
pub(super) const ROC_AUC_ON_ALL_ROWS: Measure = Measure {
    metric: Metric::RocAuc,
    slice: None,
};

/// Draws resamples until no deciding metric lies too near its boundary, and fills in what they say of every metric. A deciding metric
/// that is too often undefined is an obstacle, and then nothing is filled in.
pub(super) fn draw(
    rows: &Rows<'_>,
    questions: &[Question],
    statistics: &mut Statistics,
    progress: &mut dyn FnMut(u32, u32),
) {
    let settings = statistics.settings.clone();
    let alpha = settings.one_sided_error();
    let measures: Vec<Measure> = questions.iter().map(|question| question.measure).collect();
    let resampler = Resampler::new(rows, measures, settings.decision);
    let accelerations = accelerations(rows, &resampler);
    let levels = levels(&settings);

    let draw = Poisson::new(statistics.seed, &rows.unit_keys, 1.0);
    let mut resamples = Resamples::default();
    let mut wanted = settings.resamples;
    loop {
        for chunk in chunks(statistics.resamples..wanted) {
            resamples.extend(resampler.run(&draw, chunk.start as usize..chunk.end as usize));
            progress(chunk.end, wanted);
        }
        statistics.resamples = wanted;
        statistics.empty_resamples = resamples.empty;
        let differences: Vec<Vec<f64>> = resamples
            .values
            .iter()
            .map(|values| values.differences())
            .collect();
        statistics.obstacle = questions
            .iter()
            .zip(&differences)
            .find_map(|(question, defined)| unstable(question, wanted, defined.len()));
        if statistics.obstacle.is_some() {
            return;
        }
        let mut near = false;
        for ((metric, differences), &acceleration) in statistics
            .metrics
            .iter_mut()
            .zip(differences)
            .zip(&accelerations)
        {
            fill(metric, differences, acceleration, alpha);
            near |= levels
                .iter()
                .any(|&level| boundary::is_near(metric, settings.interval, level, wanted));
        }
        if !near || wanted >= MOST_RESAMPLES {
            break;
        }
        wanted = wanted.saturating_mul(2).min(MOST_RESAMPLES);
    }
    if questions
        .iter()
        .any(|question| question.measure == ROC_AUC_ON_ALL_ROWS)
    {
        statistics.cross_check = delong(rows, alpha);
    }
}

/// The one-sided errors at which a decision must not depend on the resamples: that of the confidence and, for Student's interval, which
/// may be asked at other errors later, that of the first look at a holdout.
fn levels(settings: &Settings) -> Vec<f64> {
    let nominal = settings.one_sided_error();
    match settings.interval {
        IntervalKind::NormalT => vec![nominal, Spending::Harmonic.allowed_error(nominal, 1, 0)],
        IntervalKind::Percentile | IntervalKind::Basic | IntervalKind::BCa => vec![nominal],
    }
}

/// The resamples of `range` in pieces that keep every thread busy and end where blocks end.
fn chunks(range: Range<u32>) -> impl Iterator<Item = Range<u32>> {
    let step = (2 * LANES * rayon::current_num_threads()) as u32;
    let mut start = range.start;
    std::iter::from_fn(move || {
        (start < range.end).then(|| {
            let end = (start / step + 1).saturating_mul(step).min(range.end);
            let chunk = start..end;
            start = end;
            chunk
        })
    })
}

fn fill(metric: &mut MetricStatistics, differences: Vec<f64>, acceleration: f64, alpha: f64) {
    let spread = metric.difference.and_then(|estimate| {
        Spread::of(
            estimate,
            differences,
            metric.degrees_of_freedom,
            acceleration,
        )
    });
    let Some(spread) = spread else {
        return;
    };
    metric.standard_error = Some(spread.standard_error);
    metric.intervals = spread.intervals(alpha);
    if metric.margin.is_some() {
        let bound = metric.improvement(metric.bound());
        metric.p_values = spread.p_values(bound, metric.metric.higher_is_better());
    }
}

/// A deciding metric that is undefined in more than one of a thousand resamples; an observed one is reported on the others.
fn unstable(question: &Question, resamples: u32, defined: usize) -> Option<NotComparableReason> {
    let undefined = resamples - defined as u32;
    (question.role.decides() && u64::from(undefined) * 1000 > u64::from(resamples)).then(|| {
        NotComparableReason::UnstableResamples {
            metric: question.metric(),
            slice: question.slice.clone(),
            undefined,
            resamples,
        }
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_a_range_once_and_end_with_it() {
        for range in [0..2_000, 2_000..4_000, 0..1, 49_999..50_000, 7..7] {
            let mut next = range.start;
            for chunk in chunks(range.clone()) {
                assert_eq!(chunk.start, next);
                assert!(chunk.end > chunk.start);
                next = chunk.end;
            }
            assert_eq!(next, range.end);
        }
    }
}
