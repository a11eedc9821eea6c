//! Student's t distribution: shares and positions that invert each other for every error above 0, without iterations that may not end.

use statrs::function::beta::checked_beta_reg;

use crate::normal;

/// From this many degrees of freedom on, the expansion about the normal position is exact to 1e-10 for errors above 1e-9.
const MANY: f64 = 200.0;

/// With fewer degrees of freedom than this, every position is as good as 0: the distribution has almost all of its mass beyond any number.
const NONE: f64 = 1e-3;

/// Positions beyond this have no normal share above them that a double can hold.
const FARTHEST: f64 = 38.0;

/// The share of Student's distribution with `freedom` degrees above `position`; 1 half without a degree of freedom.
///
/// Below 200 degrees by the regularised incomplete beta function (Abramowitz and Stegun 26.7.1), from 200 on by inverting the
/// expansion of [`position_above`].
pub(super) fn share_above(position: f64, freedom: f64) -> f64 {
    if position.is_nan() || freedom.is_nan() || freedom < NONE {
        return 0.5;
    }
    if position < 0.0 {
        return 1.0 - share_above(-position, freedom);
    }
    if freedom < MANY {
        let within = freedom / (freedom + position * position);
        return 0.5 * checked_beta_reg(0.5 * freedom, 0.5, within).unwrap_or(1.0);
    }
    normal::share_above(root(0.0, FARTHEST, |z| expansion(z, freedom) >= position))
}

/// The position with a share of `error` above it: 0 for errors from 1 half on; infinite without a degree of freedom or an error.
///
/// From 200 degrees on by the expansion about the normal position (Abramowitz and Stegun 26.7.5), which takes no iterations.
pub(super) fn position_above(error: f64, freedom: f64) -> f64 {
    if error.is_nan() || error <= 0.0 || freedom.is_nan() || freedom < NONE {
        return f64::INFINITY;
    }
    if error >= 0.5 {
        return 0.0;
    }
    if freedom >= MANY {
        return expansion(normal::position_above(error), freedom);
    }
    let reached = |position: f64| share_above(position, freedom) <= error;
    let mut high = 1.0;
    while !reached(high) {
        high *= 2.0;
        if !f64::is_finite(high) {
            return f64::INFINITY;
        }
    }
    let low = if high > 1.0 { 0.5 * high } else { 0.0 };
    root(low, high, reached)
}

/// Where a condition that holds at `high` begins to hold, between `low` and `high`, to the last bit but for positions near 0.
fn root(mut low: f64, mut high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    // Each step halves the distance: 60 reach the last bit of positions above 0.01.
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if holds(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

/// Student's position that has the same share above it as the normal position `z`.
fn expansion(z: f64, freedom: f64) -> f64 {
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

#[cfg(test)]
mod tests {
    use super::*;
    use statrs::distribution::{ContinuousCDF, StudentsT};

    #[test]
    fn student_positions_agree_with_r_and_do_not_jump() {
        // R: qt(0.975, c(1, 30.7085, 199, 200, 1e6)), in full precision.
        for (freedom, expected) in [
            (1.0, 12.706_204_736_174_7),
            (30.0, 2.042_272_456_301_24),
            (199.0, 1.971_956_544_249_4),
        ] {
            assert!(
                (position_above(0.025, freedom) - expected).abs() < 1e-9,
                "{freedom}"
            );
        }
        let exact = StudentsT::new(0.0, 1.0, 200.0).unwrap().inverse_cdf(0.975);
        assert!((position_above(0.025, 200.0) - exact).abs() < 1e-10);
        assert!((position_above(0.025, 1e9) - 1.959_963_984_5).abs() < 1e-8);
        assert_eq!(position_above(0.025, 0.0), f64::INFINITY);
    }

    #[test]
    fn shares_and_positions_invert_each_other() {
        for freedom in [0.5, 1.0, 7.3, 49.0, 150.0, 199.99, 200.0, 1_000.0, 1e6] {
            for error in [0.49, 0.2, 0.025, 0.0152, 1e-3, 1e-6, 1e-12] {
                let position = position_above(error, freedom);
                let again = share_above(position, freedom);
                assert!(
                    (again / error - 1.0).abs() < 1e-9,
                    "{freedom} {error}: {again}"
                );
                assert!((share_above(-position, freedom) - (1.0 - again)).abs() < 1e-15);
            }
            assert_eq!(position_above(0.0, freedom), f64::INFINITY);
            assert!(share_above(f64::INFINITY, freedom) < 1e-300);
            assert!((share_above(0.0, freedom) - 0.5).abs() < 1e-12);
        }
    }

    #[test]
    fn the_expansion_agrees_with_the_exact_share_where_both_apply() {
        for position in [0.1, 1.0, 1.96, 2.2, 3.5, 5.0] {
            let exact = StudentsT::new(0.0, 1.0, 220.0).unwrap().sf(position);
            let found = share_above(position, 220.0);
            assert!(
                (found / exact - 1.0).abs() < 1e-7,
                "{position}: {found} {exact}"
            );
        }
    }

    #[test]
    fn no_argument_ends_badly() {
        let numbers = [
            f64::NEG_INFINITY,
            -1.0,
            0.0,
            f64::from_bits(1),
            1e-300,
            1e-3,
            0.1,
            0.5,
            1.0,
            199.0,
            200.0,
            1e300,
            f64::INFINITY,
            f64::NAN,
        ];
        for freedom in numbers {
            for value in numbers {
                assert!(position_above(value, freedom) >= 0.0, "{value} {freedom}");
                let share = share_above(value, freedom);
                assert!((0.0..=1.0).contains(&share), "{value} {freedom}: {share}");
            }
        }
    }
}
