//! Several challengers in one look: what error each is allowed, and which of the better ones is the best.

use std::cmp::Ordering;

use crate::comparison::{Measurement, MetricOutcome, Statistics, Verdict, judge};

/// The one-sided error that is allowed to each challenger of one look, by Holm's step-down (1979), which keeps the probability of any
/// wrong promotion within `error_of_the_look`.
///
/// `statistics` holds one element per challenger, all on the same holdout; `measurements` the measurements of each, none when it is
/// shorter. The p-value of a challenger is the largest of its deciding metrics (intersection-union). The challenger with the smallest
/// p-value of `m` is allowed `error / m`, the next `error / (m - 1)` and so on until one is not [`Verdict::Superior`]; the rest is
/// allowed the error of that one, so that [`judge`] with these errors finds exactly those superior that Holm rejects. Equal p-values
/// go by the order of the arguments.
///
/// A challenger that its holdout or its measurements refuse, whatever its metrics are, cannot be promoted: it does not count, and is
/// allowed the whole error.
#[must_use]
pub fn holm(
    statistics: &[&Statistics],
    measurements: &[Vec<Measurement>],
    error_of_the_look: f64,
) -> Vec<f64> {
    let measurements_of = |index: usize| measurements.get(index).map_or(&[][..], Vec::as_slice);
    let mut order: Vec<usize> = (0..statistics.len())
        .filter(|&index| {
            statistics[index].obstacle.is_none()
                && measurements_of(index)
                    .iter()
                    .all(|measurement| measurement.outcome() == MetricOutcome::NotWorse)
        })
        .collect();
    let p_values: Vec<f64> = statistics
        .iter()
        .map(|statistics| p_value(statistics))
        .collect();
    order.sort_by(|&left, &right| p_values[left].total_cmp(&p_values[right]));

    let mut allowed = vec![error_of_the_look; statistics.len()];
    let mut level = None;
    for (rank, &index) in order.iter().enumerate() {
        let error = level.unwrap_or(error_of_the_look / (order.len() - rank) as f64);
        allowed[index] = error;
        if level.is_none() {
            let comparison = judge(statistics[index], measurements_of(index), error);
            if comparison.verdict != Verdict::Superior {
                level = Some(error);
            }
        }
    }
    allowed
}

/// The p-value of "not superior": the largest of the deciding metrics, by the deciding interval; 1 without any.
fn p_value(statistics: &Statistics) -> f64 {
    let kind = statistics.settings.deciding_interval();
    statistics
        .metrics
        .iter()
        .filter(|metric| metric.role.decides())
        .map(|metric| metric.p_values.get(&kind).copied().unwrap_or(1.0))
        .max_by(f64::total_cmp)
        .unwrap_or(1.0)
}

/// The index of the best of several comparisons on one holdout: of those that are [`Verdict::Superior`], the one with the highest lower
/// bound of the improvement of its primary metric, and the first of equal ones; none when none is superior.
///
/// Each comparison is given by its verdict and that bound ([`crate::comparison::Comparison::least_improvement`]).
#[must_use]
pub fn best<'a>(comparisons: impl IntoIterator<Item = (&'a Verdict, f64)>) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (index, (verdict, bound)) in comparisons.into_iter().enumerate() {
        let is_better =
            best.is_none_or(|(_, highest)| bound.total_cmp(&highest) == Ordering::Greater);
        if *verdict == Verdict::Superior && is_better {
            best = Some((index, bound));
        }
    }
    best.map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::{Comparison, Role};
    use crate::comparison::{
        Guardrail, Holdout, IntervalKind, NotComparableReason, Settings, measure,
    };
    use crate::metrics::Metric;
    use crate::random::Stream;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    /// Statistics with a primary metric and a guardrail.
    static TEMPLATE: LazyLock<Statistics> = LazyLock::new(|| {
        let mut stream = Stream::new(1, &[]);
        let mut holdout = Holdout::default();
        for row in 0..400_u32 {
            let label = u8::from(row % 2 == 0);
            holdout.labels.push(label);
            for scores in [&mut holdout.champion, &mut holdout.challenger] {
                scores.push(f64::from(label) + stream.normal());
            }
        }
        let settings = Settings {
            resamples: 64,
            guardrails: vec![Guardrail {
                metric: Metric::F1,
                slice: None,
                max_regression: 0.02,
            }],
            ..Settings::default()
        };
        measure(&holdout, &settings, 1, &mut |_, _| {}).unwrap()
    });

    /// Statistics whose deciding metrics have these p-values, by the deciding interval.
    fn challenger(p_values: [f64; 2]) -> Statistics {
        let mut statistics = TEMPLATE.clone();
        for (metric, p) in statistics.metrics.iter_mut().zip(p_values) {
            // Many degrees of freedom: Student's position is the normal one.
            let bound = if metric.role == Role::Guardrail {
                -0.02
            } else {
                0.0
            };
            metric.degrees_of_freedom = 1e300;
            metric.standard_error = Some(0.01);
            metric.difference = Some(bound + 0.01 * crate::normal::position_above(p));
            metric.p_values.insert(IntervalKind::NormalT, p);
        }
        statistics
    }

    fn latency(challenger: f64) -> Vec<Measurement> {
        vec![Measurement {
            name: "latency_p99_ms".to_owned(),
            champion: 10.0,
            challenger,
            max_increase_percent: 10.0,
        }]
    }

    fn superior(
        statistics: &[Statistics],
        measurements: &[Vec<Measurement>],
        error: f64,
    ) -> Vec<bool> {
        let borrowed: Vec<&Statistics> = statistics.iter().collect();
        let allowed = holm(&borrowed, measurements, error);
        (0..statistics.len())
            .map(|index| {
                let measurements = measurements.get(index).cloned().unwrap_or_default();
                let comparison = judge(&statistics[index], &measurements, allowed[index]);
                comparison.verdict == Verdict::Superior
            })
            .collect()
    }

    /// Holm (1979): with the p-values in rising order, reject while the k-th is at most `error / (m - k + 1)`.
    fn textbook(p_values: &[f64], error: f64) -> Vec<bool> {
        let mut order: Vec<usize> = (0..p_values.len()).collect();
        order.sort_by(|&left, &right| p_values[left].total_cmp(&p_values[right]));
        let mut rejected = vec![false; p_values.len()];
        for (rank, &index) in order.iter().enumerate() {
            if p_values[index] > error / (p_values.len() - rank) as f64 {
                break;
            }
            rejected[index] = true;
        }
        rejected
    }

    fn any_p() -> impl Strategy<Value = f64> {
        prop_oneof![1e-6..0.999, 1e-4..0.03, 0.004..0.007]
    }

    proptest! {
        #[test]
        fn judging_with_the_allowed_errors_rejects_what_holm_rejects(
            p_values in prop::collection::vec([any_p(), any_p()], 0..9),
            error in 0.001..0.1,
        ) {
            let statistics: Vec<Statistics> = p_values.iter().map(|&p| challenger(p)).collect();
            let largest: Vec<f64> = p_values.iter().map(|[one, other]| one.max(*other)).collect();
            prop_assert_eq!(superior(&statistics, &[], error), textbook(&largest, error));
        }
    }

    #[test]
    fn a_single_challenger_is_allowed_the_whole_error() {
        let statistics = challenger([0.01, 0.01]);
        assert_eq!(holm(&[&statistics], &[], 0.015), [0.015]);
        assert!(holm(&[], &[], 0.015).is_empty());
    }

    #[test]
    fn the_steps_and_their_end_are_the_allowed_errors() {
        let statistics = [[0.2, 0.1], [0.001, 0.002], [0.003, 0.012], [0.001, 0.5]].map(challenger);
        let borrowed: Vec<&Statistics> = statistics.iter().collect();
        let allowed = holm(&borrowed, &[], 0.024);
        assert_eq!(allowed, [0.008, 0.006, 0.008, 0.008]);
    }

    #[test]
    fn equal_p_values_go_by_their_order() {
        let statistics = [challenger([0.02, 0.001]), challenger([0.02, 0.001])];
        let borrowed: Vec<&Statistics> = statistics.iter().collect();
        assert_eq!(holm(&borrowed, &[], 0.05), [0.025, 0.05]);
    }

    #[test]
    fn what_cannot_be_promoted_anyway_does_not_count() {
        let mut refused = challenger([1e-6, 1e-6]);
        refused.obstacle = Some(NotComparableReason::TooFewClusters {
            clusters: 3,
            needed: 40,
        });
        let statistics = [
            refused,
            challenger([1e-6, 1e-6]),
            challenger([1e-6, 1e-6]),
            challenger([0.01, 0.02]),
        ];
        let measurements = [
            latency(10.0),
            latency(12.0),
            latency(f64::NAN),
            latency(10.5),
        ];
        let borrowed: Vec<&Statistics> = statistics.iter().collect();
        assert_eq!(holm(&borrowed, &measurements, 0.025), [0.025; 4]);
        assert_eq!(
            superior(&statistics, &measurements, 0.025),
            [false, false, false, true]
        );
    }

    #[test]
    fn the_best_is_the_one_that_is_surely_better_by_most() {
        let judged = |p: f64, error: f64| judge(&challenger([p, 0.001]), &[], error);
        let best = |comparisons: &[Comparison]| {
            best(
                comparisons
                    .iter()
                    .map(|c| (&c.verdict, c.least_improvement())),
            )
        };
        let comparisons = [
            judged(0.5, 0.025),
            judged(0.01, 0.025),
            judged(0.001, 0.025),
            judged(0.001, 0.025),
        ];
        assert_eq!(best(&comparisons), Some(2));
        assert_eq!(best(&comparisons[..1]), None);
        // An improvement of the same size that was allowed a smaller error is known less surely.
        assert_eq!(best(&[judged(0.001, 0.002), judged(0.001, 0.025)]), Some(1));
        let mut losses = comparisons;
        for comparison in &mut losses {
            let primary = &mut comparison.metrics[0];
            primary.metric = Metric::LogLoss;
            (primary.low, primary.high) =
                (primary.high.map(|end| -end), primary.low.map(|end| -end));
        }
        losses[3].metrics[0].high = Some(-0.9);
        assert_eq!(best(&losses), Some(3));
    }
}
