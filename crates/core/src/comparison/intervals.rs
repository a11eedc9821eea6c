//! Intervals and p-values from the resamples of a difference.

use std::collections::BTreeMap;

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::result::Interval;
use super::settings::IntervalKind;
use crate::normal::{position_above, share_above};

/// What the resamples of one difference say.
pub(super) struct Spread {
    /// The difference on all rows.
    pub(super) estimate: f64,
    /// Differences of the resamples, rising.
    draws: Vec<f64>,
    /// Standard deviation of the draws, with their number less one in the denominator.
    pub(super) standard_error: f64,
}

impl Spread {
    /// The spread of `draws` about `estimate`; absent with fewer than two draws.
    pub(super) fn of(estimate: f64, mut draws: Vec<f64>) -> Option<Self> {
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
        })
    }

    /// Intervals of every kind with `alpha` outside at each end.
    ///
    /// `freedom` is the number of degrees of freedom of Student's distribution, `acceleration` that of [`acceleration`].
    pub(super) fn intervals(
        &self,
        alpha: f64,
        freedom: f64,
        acceleration: f64,
    ) -> BTreeMap<IntervalKind, Interval> {
        let percentile = Interval {
            low: quantile(&self.draws, alpha),
            high: quantile(&self.draws, 1.0 - alpha),
        };
        let reach = student_position(alpha, freedom) * self.standard_error;
        BTreeMap::from([
            (
                IntervalKind::NormalT,
                Interval {
                    low: self.estimate - reach,
                    high: self.estimate + reach,
                },
            ),
            (IntervalKind::Percentile, percentile),
            (
                IntervalKind::Basic,
                Interval {
                    low: 2.0 * self.estimate - percentile.high,
                    high: 2.0 * self.estimate - percentile.low,
                },
            ),
            (IntervalKind::BCa, self.bias_corrected(alpha, acceleration)),
        ])
    }

    /// Efron's bias-corrected and accelerated interval: quantiles at `Phi(z0 + (z0 + z) / (1 - a (z0 + z)))`.
    fn bias_corrected(&self, alpha: f64, acceleration: f64) -> Interval {
        let number = self.draws.len() as f64;
        let below = self.draws.partition_point(|&draw| draw < self.estimate) as f64;
        let up_to = self.draws.partition_point(|&draw| draw <= self.estimate) as f64;
        // Half a draw away from 0 and 1, where the bias would be infinite.
        let share = (0.5 * (below + up_to) / number).clamp(0.5 / number, 1.0 - 0.5 / number);
        let bias = -position_above(share);
        let end = |position: f64| {
            let shifted = bias + position;
            let corrected = bias + shifted / (1.0 - acceleration * shifted);
            quantile(&self.draws, share_above(-corrected))
        };
        let position = position_above(alpha);
        Interval {
            low: end(-position),
            high: end(position),
        }
    }

    /// `(1 + number of draws at or below margin) / (number of draws + 1)`, one-sided against differences up to `margin`.
    pub(super) fn p_above(&self, margin: f64) -> f64 {
        let at_or_below = self.draws.partition_point(|&draw| draw <= margin);
        (1.0 + at_or_below as f64) / (self.draws.len() as f64 + 1.0)
    }

    /// The same against differences from `margin` upwards.
    pub(super) fn p_below(&self, margin: f64) -> f64 {
        let at_or_above = self.draws.len() - self.draws.partition_point(|&draw| draw < margin);
        (1.0 + at_or_above as f64) / (self.draws.len() as f64 + 1.0)
    }
}

/// Student's position with `alpha` above it; infinite without a degree of freedom.
///
/// From 200 degrees on by the expansion about the normal position (Abramowitz and Stegun 26.7.5), whose error is below 1e-12 there
/// and which takes no iterations.
fn student_position(alpha: f64, freedom: f64) -> f64 {
    if freedom < 200.0 {
        return StudentsT::new(0.0, 1.0, freedom)
            .map(|student| student.inverse_cdf(1.0 - alpha))
            .unwrap_or(f64::INFINITY);
    }
    let z = position_above(alpha);
    let square = z * z;
    let terms = [
        (square + 1.0) / 4.0,
        ((5.0 * square + 16.0) * square + 3.0) / 96.0,
        (((3.0 * square + 19.0) * square + 17.0) * square - 15.0) / 384.0,
        ((((79.0 * square + 776.0) * square + 1482.0) * square - 1920.0) * square - 945.0)
            / 92_160.0,
    ];
    z * terms
        .iter()
        .rev()
        .fold(0.0, |sum, term| (sum + term) / freedom)
        + z
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

    #[test]
    fn quantiles_interpolate_as_numpy_does() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(quantile(&sorted, 0.0), 1.0);
        assert_eq!(quantile(&sorted, 0.5), 3.0);
        assert!((quantile(&sorted, 0.975) - 7.7).abs() < 1e-12);
        assert_eq!(quantile(&sorted, 1.0), 8.0);
    }

    #[test]
    fn student_positions_agree_with_r_and_do_not_jump() {
        // R: qt(0.975, c(1, 30.7085, 199, 200, 1e6)), in full precision.
        for (freedom, expected) in [
            (1.0, 12.706_204_736_174_7),
            (30.0, 2.042_272_456_301_24),
            (199.0, 1.971_956_544_249_4),
        ] {
            assert!(
                (student_position(0.025, freedom) - expected).abs() < 1e-9,
                "{freedom}"
            );
        }
        let exact = StudentsT::new(0.0, 1.0, 200.0).unwrap().inverse_cdf(0.975);
        assert!((student_position(0.025, 200.0) - exact).abs() < 1e-10);
        assert!((student_position(0.025, 1e9) - 1.959_963_984_5).abs() < 1e-8);
        assert_eq!(student_position(0.025, 0.0), f64::INFINITY);
    }

    #[test]
    fn equal_draws_give_a_point_and_no_p_value_below_one() {
        let spread = Spread::of(0.0, vec![0.0; 100]).unwrap();
        for interval in spread.intervals(0.025, 30.0, 0.0).values() {
            assert_eq!((interval.low, interval.high), (0.0, 0.0));
        }
        assert_eq!(spread.p_above(0.0), 1.0);
        assert!(Spread::of(0.0, vec![0.0]).is_none());
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
        let spread = Spread::of(0.0, draws).unwrap();
        let plain = spread.intervals(0.025, 1e9, 0.0)[&IntervalKind::BCa];
        let skewed = spread.intervals(0.025, 1e9, 0.1)[&IntervalKind::BCa];
        assert!((plain.low + 0.95).abs() < 1e-3 && (plain.high - 0.95).abs() < 1e-3);
        assert!(skewed.low > plain.low && skewed.high > plain.high);
    }
}
