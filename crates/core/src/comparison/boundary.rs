//! How near a metric lies to its boundary, in Monte Carlo standard errors of what decides.

use super::settings::IntervalKind;
use super::statistics::MetricStatistics;
use super::student;
use crate::normal;

/// Monte Carlo standard errors within which other resamples might decide otherwise.
const NEAR: f64 = 3.0;

/// Whether other resamples, `resamples` in number, might decide otherwise on a deciding metric at this one-sided `error`.
///
/// Student's interval decides by `t = (improvement - bound) / se`, whose Monte Carlo error is about `t / sqrt(2 B)`, that of `se`. The
/// others decide by a share of the draws: the Monte Carlo error is that of their p-value.
pub(super) fn is_near(
    metric: &MetricStatistics,
    deciding: IntervalKind,
    error: f64,
    resamples: u32,
) -> bool {
    if !metric.role.decides() {
        return false;
    }
    let resamples = f64::from(resamples);
    match deciding {
        IntervalKind::NormalT => {
            let (Some(difference), Some(standard_error)) =
                (metric.difference, metric.standard_error)
            else {
                return false;
            };
            let critical = student::position_above(error, metric.degrees_of_freedom);
            let near = |bound: f64, boundary: f64| {
                let t = (metric.improvement(difference) - bound) / standard_error;
                (t - boundary).abs() < NEAR * t.abs() / (2.0 * resamples).sqrt()
            };
            near(metric.bound(), critical) || near(metric.worse_bound(), -critical)
        }
        IntervalKind::Percentile | IntervalKind::Basic | IntervalKind::BCa => {
            let Some(&p) = metric.p_values.get(&deciding) else {
                return false;
            };
            let monte_carlo = (variance_of_one_draw(p, deciding) / resamples).sqrt();
            let near = |boundary: f64| (p - boundary).abs() < NEAR * monte_carlo;
            // The p-value is against the margin: it says whether the challenger is worse where that has the same bound.
            near(error) || (metric.bound() == metric.worse_bound() && near(1.0 - error))
        }
    }
}

/// The Monte Carlo variance of a p-value, times the number of resamples.
fn variance_of_one_draw(p: f64, kind: IntervalKind) -> f64 {
    let of_share = p * (1.0 - p);
    if kind != IntervalKind::BCa {
        return of_share;
    }
    // BCa's p-value is Phi(z_G - 2 z0) but for the acceleration, and the bias z0 is drawn too: by the delta method, with the
    // share of draws below the estimate near 1 half and r the ratio of the normal densities at p and there, the variance is
    // p (1 - p) + 4 r^2 / 4 - 4 r min(p, 1 - p) / 2.
    let position = normal::position_above(p);
    let ratio = libm::exp(-0.5 * position * position);
    of_share + ratio * ratio - 2.0 * ratio * p.min(1.0 - p)
}

#[cfg(test)]
mod tests {
    use super::super::intervals::Spread;
    use super::super::statistics::{Role, tests::metric};
    use super::*;
    use crate::metrics::Metric;
    use crate::random::Stream;

    /// The deciding quantities of many sets of draws of the same difference vary as much as `is_near` believes.
    #[test]
    fn monte_carlo_errors_are_those_of_many_sets_of_draws() {
        let (estimate, bound, resamples) = (2.0, 0.0, 1_000);
        let sets: Vec<_> = (0..600)
            .map(|seed| {
                let mut stream = Stream::new(seed, &[]);
                let draws = (0..resamples).map(|_| estimate + stream.normal()).collect();
                let spread = Spread::of(estimate, draws, 500.0, 0.0).unwrap();
                (
                    estimate / spread.standard_error,
                    spread.p_values(bound, true),
                )
            })
            .collect();
        let deviation = |value: &dyn Fn(usize) -> f64| {
            let mean = (0..sets.len()).map(value).sum::<f64>() / sets.len() as f64;
            let squares = (0..sets.len()).map(|set| (value(set) - mean).powi(2));
            (squares.sum::<f64>() / sets.len() as f64).sqrt()
        };
        let of_t = deviation(&|set| sets[set].0);
        let believed = estimate / (2.0 * f64::from(resamples)).sqrt();
        assert!((of_t / believed - 1.0).abs() < 0.1, "{of_t} {believed}");
        for kind in [
            IntervalKind::Percentile,
            IntervalKind::Basic,
            IntervalKind::BCa,
        ] {
            let of_p = deviation(&|set| sets[set].1[&kind]);
            let p = normal::share_above(estimate);
            let believed = (variance_of_one_draw(p, kind) / f64::from(resamples)).sqrt();
            assert!(
                (of_p / believed - 1.0).abs() < 0.1,
                "{kind:?} {of_p} {believed}"
            );
        }
    }

    #[test]
    fn the_deciding_interval_and_both_boundaries_count() {
        let near = |difference: f64, kind: IntervalKind, p: f64| {
            let mut metric = metric(Metric::RocAuc, Role::Primary, 0.01);
            metric.difference = Some(difference);
            metric.standard_error = Some(0.01);
            metric.degrees_of_freedom = 1e9;
            metric.p_values.insert(IntervalKind::Percentile, p);
            is_near(&metric, kind, 0.025, 2_000)
        };
        assert!(near(0.0296, IntervalKind::NormalT, 0.5));
        assert!(!near(0.0276, IntervalKind::NormalT, 0.025));
        assert!(!near(0.0316, IntervalKind::NormalT, 0.025));
        // Worse than the champion by 1.96 standard errors: the margin does not count there.
        assert!(near(-0.0196, IntervalKind::NormalT, 0.5));
        assert!(!near(-0.0096, IntervalKind::NormalT, 0.5));
        assert!(near(0.1, IntervalKind::Percentile, 0.03));
        assert!(!near(0.0296, IntervalKind::Percentile, 0.04));
        assert!(!near(0.0296, IntervalKind::Basic, 0.03));
    }

    #[test]
    fn what_does_not_vary_is_not_near() {
        let mut still = metric(Metric::RocAuc, Role::Primary, 0.0);
        still.difference = Some(0.0);
        still.standard_error = Some(0.0);
        still.degrees_of_freedom = 100.0;
        assert!(!is_near(&still, IntervalKind::NormalT, 0.025, 2_000));
    }
}
