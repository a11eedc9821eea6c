//! Rows that are kept back from tuning, to confirm what tuning found.

use crate::random::mix;

/// Keeps the choice apart from the counts of the bootstrap and from the sketch, which hash the same keys.
const SALT: u64 = 0x434f_4e46_4952_4d31;

/// Whether the unit belongs to the part of a holdout that is kept for confirmation: `fraction` of all units in expectation.
///
/// `unit_key` is the number that names the row, such as a hash of its id, or its cluster's number when rows are clustered: all rows of
/// a cluster then fall on the same side. The answer depends on nothing else, neither on the order of rows nor on other rows, and
/// a unit that is kept at one fraction is kept at every larger one.
#[must_use]
pub fn is_confirmation_row(unit_key: u64, fraction: f64) -> bool {
    const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;
    ((mix(unit_key ^ SALT) >> 11) as f64) * UNIT < fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fraction_is_kept_and_larger_fractions_keep_the_same_units() {
        for fraction in [0.0, 0.1, 0.5, 0.9, 1.0] {
            let kept = (0..20_000)
                .filter(|&key| is_confirmation_row(key, fraction))
                .count();
            assert!((kept as f64 / 20_000.0 - fraction).abs() < 0.015, "{kept}");
        }
        assert!(
            (0..2_000).all(|key| !is_confirmation_row(key, 0.3) || is_confirmation_row(key, 0.4))
        );
        assert!(!is_confirmation_row(1, f64::NAN));
    }
}
