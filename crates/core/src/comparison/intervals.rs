//! Intervals and p-values from the resamples of a difference.

use std::collections::BTreeMap;

use super::settings::IntervalKind;
use super::statistics::Interval;
use super::student;
use crate::normal::{position_above, share_above};

/// What the resamples of one difference say.
pub(super) struct Spread {
    /// The difference on all rows.
    pub(super) estimate: f64,
    /// Differences of the resamples, rising.
    draws: Vec<f64>,
    /// Standard deviation of the draws, with their number less one in the denominator.
    pub(super) standard_error: f64,
    /// Degrees of freedom of Student's distribution.
    freedom: f64,
    /// Efron's acceleration; see [`acceleration`].
    acceleration: f64,
}

impl Spread {
    /// The spread of `draws` about `estimate`; absent with fewer than two draws.
    ///
    /// `freedom` is the number of degrees of freedom of Student's distribution, `acceleration` that of [`acceleration`].
    pub(super) fn of(
        estimate: f64,
        mut draws: Vec<f64>,
        freedom: f64,
        acceleration: f64,
    ) -> Option<Self> {
        if draws.len() < 2 {
            return None;
        }
        draws.sort_unstable_by(f64::total_cmp);
        let number = draws.len() as f64;
        let mean = draws.iter().sum::<f64>() / number;
        let squares: f64 = draws.iter().map(|draw| (draw - mean) * (draw - mean)).sum();
        Some(Self {
            estimate,
            draws,
            standard_error: (squares / (number - 1.0)).sqrt(),
            freedom,
            acceleration,
        })
    }

    /// Intervals with `alpha` outside at each end, of every kind that has finite ends.
    pub(super) fn intervals(&self, alpha: f64) -> BTreeMap<IntervalKind, Interval> {
        let percentile = Interval {
            low: quantile(&self.draws, alpha),
            high: quantile(&self.draws, 1.0 - alpha),
        };
        let basic = Interval {
            low: 2.0 * self.estimate - percentile.high,
            high: 2.0 * self.estimate - percentile.low,
        };
        let mut intervals = BTreeMap::from([
            (
                IntervalKind::NormalT,
                student_interval(self.estimate, self.standard_error, self.freedom, alpha),
            ),
            (IntervalKind::Percentile, percentile),
            (IntervalKind::Basic, basic),
            (IntervalKind::BCa, self.bias_corrected(alpha)),
        ]);
        intervals.retain(|_, interval| interval.is_finite());
        intervals
    }

    /// One-sided p-values by every kind of interval, against differences up to `bound` when `rising`, else from `bound` upwards.
    ///
    /// A p-value is at most an error exactly when the interval of its kind that leaves this error outside at one end excludes
    /// `bound`; for quantiles, to within one draw. Student's is absent without a degree of freedom.
    pub(super) fn p_values(&self, bound: f64, rising: bool) -> BTreeMap<IntervalKind, f64> {
        let number = self.draws.len() as f64;
        let tail = |count: usize| (1.0 + count as f64) / (number + 1.0);
        let beyond = self.up_to(bound, rising);
        let mirrored = {
            let mirror = |draw: f64| 2.0 * self.estimate - draw;
            if rising {
                self.draws.len() - self.draws.partition_point(|&draw| mirror(draw) > bound)
            } else {
                self.draws.partition_point(|&draw| mirror(draw) >= bound)
            }
        };
        let mut p_values = BTreeMap::from([
            (IntervalKind::Percentile, tail(beyond)),
            (IntervalKind::Basic, tail(mirrored)),
            (IntervalKind::BCa, self.bias_corrected_p(beyond, rising)),
        ]);
        if self.freedom > 0.0 {
            let excess = if rising {
                self.estimate - bound
            } else {
                bound - self.estimate
            };
            p_values.insert(
                IntervalKind::NormalT,
                student_p(excess, self.standard_error, self.freedom),
            );
        }
        p_values
    }

    /// Number of draws at or below `bound` when `rising`, else at or above it.
    fn up_to(&self, bound: f64, rising: bool) -> usize {
        if rising {
            self.draws.partition_point(|&draw| draw <= bound)
        } else {
            self.draws.len() - self.draws.partition_point(|&draw| draw < bound)
        }
    }

    /// The normal position of a share of the draws, half a draw away from 0 and 1, where it would be infinite.
    fn position_of(&self, share: f64) -> f64 {
        let half = 0.5 / self.draws.len() as f64;
        -position_above(share.clamp(half, 1.0 - half))
    }

    /// Efron's `z0`: the normal position of the share of draws below the estimate, ties counting half.
    fn bias(&self) -> f64 {
        let below = self.draws.partition_point(|&draw| draw < self.estimate) as f64;
        let up_to = self.draws.partition_point(|&draw| draw <= self.estimate) as f64;
        self.position_of(0.5 * (below + up_to) / self.draws.len() as f64)
    }

    /// Efron's bias-corrected and accelerated interval: quantiles at `Phi(z0 + (z0 + z) / (1 - a (z0 + z)))`.
    fn bias_corrected(&self, alpha: f64) -> Interval {
        let bias = self.bias();
        let end = |position: f64| {
            let shifted = bias + position;
            let corrected = bias + shifted / (1.0 - self.acceleration * shifted);
            quantile(&self.draws, share_above(-corrected))
        };
        let position = position_above(alpha);
        Interval {
            low: end(-position),
            high: end(position),
        }
    }

    /// The error at which the end of [`Self::bias_corrected`] meets a bound that has `beyond` draws on its far side: the formula
    /// solved for `z`, `z = w / (1 + a w) - z0` with `w = z_G - z0` and `z_G` the normal position of the share of those draws.
    fn bias_corrected_p(&self, beyond: usize, rising: bool) -> f64 {
        // Differences that should fall are mirrored: bias and acceleration change their signs.
        let sign = if rising { 1.0 } else { -1.0 };
        let (bias, acceleration) = (sign * self.bias(), sign * self.acceleration);
        let distance = self.position_of(beyond as f64 / self.draws.len() as f64) - bias;
        let scale = 1.0 + acceleration * distance;
        if scale <= 0.0 {
            // No error moves the end as far as the bound.
            return if distance < 0.0 { 0.0 } else { 1.0 };
        }
        share_above(bias - distance / scale)
    }
}

/// Estimate plus and minus Student's position times the standard error, with `error` outside at each end; infinite without a degree
/// of freedom.
pub(super) fn student_interval(
    estimate: f64,
    standard_error: f64,
    freedom: f64,
    error: f64,
) -> Interval {
    Interval::about(
        estimate,
        student::position_above(error, freedom) * standard_error,
    )
}

/// The share of Student's distribution above `excess` standard errors; 0 or 1 when the difference does not vary at all.
pub(super) fn student_p(excess: f64, standard_error: f64, freedom: f64) -> f64 {
    if standard_error > 0.0 {
        student::share_above(excess / standard_error, freedom)
    } else if excess > 0.0 {
        0.0
    } else {
        1.0
    }
}

/// Linear interpolation between the order statistics, as `numpy.quantile` does; `sorted` is not empty.
pub(super) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let below = position.floor();
    let (low, high) = (sorted[below as usize], sorted[position.ceil() as usize]);
    low + (position - below) * (high - low)
}

/// Efron's acceleration from the values with one group of units left out each (delete-group jackknife):
/// `sum L^3 / (6 (sum L^2)^1.5)` with `L` the mean less each value.
pub(super) fn acceleration(without_group: &[f64]) -> f64 {
    let mean = without_group.iter().sum::<f64>() / without_group.len().max(1) as f64;
    let influences = || without_group.iter().map(|value| mean - value);
    let squares: f64 = influences().map(|value| value * value).sum();
    let cubes: f64 = influences().map(|value| value * value * value).sum();
    if squares > 0.0 {
        cubes / (6.0 * squares.powf(1.5))
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    #[test]
    fn quantiles_interpolate_as_numpy_does() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(quantile(&sorted, 0.0), 1.0);
        assert_eq!(quantile(&sorted, 0.5), 3.0);
        assert!((quantile(&sorted, 0.975) - 7.7).abs() < 1e-12);
        assert_eq!(quantile(&sorted, 1.0), 8.0);
    }

    #[test]
    fn equal_draws_give_a_point_and_no_p_value_below_one() {
        let spread = Spread::of(0.0, vec![0.0; 100], 30.0, 0.0).unwrap();
        for interval in spread.intervals(0.025).values() {
            assert_eq!((interval.low, interval.high), (0.0, 0.0));
        }
        for (kind, p) in spread.p_values(0.0, true) {
            assert!(p > 0.99, "{kind:?} {p}");
        }
        assert_eq!(spread.p_values(0.0, true)[&IntervalKind::Percentile], 1.0);
        assert_eq!(spread.p_values(-0.1, true)[&IntervalKind::NormalT], 0.0);
        assert!(Spread::of(0.0, vec![0.0], 30.0, 0.0).is_none());
    }

    /// The mean of ten numbers, whose leave-one-out values are known: scipy.stats.bootstrap's acceleration is
    /// `sum d^3 / (6 (sum d^2)^1.5)` of the deviations.
    #[test]
    fn acceleration_of_a_mean_is_its_skewness() {
        let rows = [1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 6.0, 9.0, 15.0, 30.0];
        let total: f64 = rows.iter().sum();
        let without: Vec<f64> = rows.iter().map(|row| (total - row) / 9.0).collect();
        let deviations = || rows.iter().map(|row| row - total / 10.0);
        let expected = deviations().map(|value| value.powi(3)).sum::<f64>()
            / (6.0
                * deviations()
                    .map(|value| value.powi(2))
                    .sum::<f64>()
                    .powf(1.5));
        assert!((acceleration(&without) - expected).abs() < 1e-12);
        assert!(expected > 0.05);
    }

    #[test]
    fn acceleration_moves_both_ends_of_the_interval_towards_the_skew() {
        let draws: Vec<f64> = (0..2001)
            .map(|draw| f64::from(draw) / 1000.0 - 1.0)
            .collect();
        let interval = |acceleration| {
            let spread = Spread::of(0.0, draws.clone(), 1e9, acceleration).unwrap();
            spread.intervals(0.025)[&IntervalKind::BCa]
        };
        let (plain, skewed) = (interval(0.0), interval(0.1));
        assert!((plain.low + 0.95).abs() < 1e-3 && (plain.high - 0.95).abs() < 1e-3);
        assert!(skewed.low > plain.low && skewed.high > plain.high);
    }
    /// Skewed draws about a random estimate, and a random bound near them.
    fn random_spread(seed: u64) -> (Spread, f64) {
        let mut stream = Stream::new(seed, &[]);
        let estimate = 0.02 * stream.normal();
        let skew = stream.uniform();
        let draws = (0..1_999)
            .map(|_| {
                let z = stream.normal();
                estimate + 0.01 * (z + 0.2 * skew * (z * z - 1.0) + 0.1 * skew)
            })
            .collect();
        let freedom = [10.0, 49.3, 199.5, 5_000.0][(seed % 4) as usize];
        let acceleration = 0.2 * (stream.uniform() - 0.5);
        let bound = estimate + 0.03 * stream.normal();
        (
            Spread::of(estimate, draws, freedom, acceleration).unwrap(),
            bound,
        )
    }

    #[test]
    fn a_p_value_is_at_most_an_error_exactly_when_the_interval_excludes_the_bound() {
        for seed in 0..400 {
            let (spread, bound) = random_spread(seed);
            for rising in [true, false] {
                let p_values = spread.p_values(bound, rising);
                for error in [0.2, 0.05, 0.025, 0.0152, 0.004] {
                    for (kind, interval) in spread.intervals(error) {
                        let excludes = if rising {
                            interval.low > bound
                        } else {
                            interval.high < bound
                        };
                        let p = p_values[&kind];
                        // A quantile lies between two draws: which of both is the end is not known to less than a draw or two.
                        let near = match kind {
                            IntervalKind::NormalT => 0.0,
                            IntervalKind::Percentile | IntervalKind::Basic => 2.0 / 2_000.0,
                            IntervalKind::BCa => 6.0 / 2_000.0,
                        };
                        assert!(
                            excludes == (p <= error) || (p - error).abs() < near,
                            "seed {seed}, {kind:?}, rising {rising}: p {p}, error {error}, {interval:?}, bound {bound}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_difference_that_should_fall_has_the_p_values_of_its_mirror() {
        for seed in 0..50 {
            let (spread, bound) = random_spread(seed);
            let mirror = Spread::of(
                -spread.estimate,
                spread.draws.iter().map(|draw| -draw).collect(),
                spread.freedom,
                -spread.acceleration,
            )
            .unwrap();
            let (falling, rising) = (spread.p_values(bound, false), mirror.p_values(-bound, true));
            for (kind, p) in falling {
                assert!((p - rising[&kind]).abs() < 1e-12, "{kind:?} {p}");
            }
        }
    }
}
