//! How the error of a holdout is divided among the looks at it.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// How much of a holdout's one-sided error each look may spend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Spending {
    /// Every look spends the whole error: the probability of a wrong promotion grows with the number of looks.
    None,
    /// The `k`-th look spends `6 / (pi^2 k^2)` of it: 61% the first, 15% the second. The shares of all looks add up to 1, so there
    /// may be any number of them.
    #[default]
    Harmonic,
    /// Each of a number of looks that is fixed beforehand spends an equal part, and later ones nothing.
    Bonferroni,
}

impl Spending {
    /// The one-sided error of one look.
    ///
    /// `total` is the one-sided error of all looks together, `0.5 (1 - confidence)`; `look` counts from 1 (0 is taken as 1);
    /// `max_evaluations` is the number of looks that [`Spending::Bonferroni`] allows, and the others do not read it.
    #[must_use]
    pub fn allowed_error(self, total: f64, look: u32, max_evaluations: u32) -> f64 {
        let look = look.max(1);
        match self {
            Self::None => total,
            Self::Harmonic => total * 6.0 / (PI * f64::from(look)).powi(2),
            Self::Bonferroni if look <= max_evaluations => total / f64::from(max_evaluations),
            Self::Bonferroni => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_looks_cost_what_the_documentation_says() {
        let harmonic = |look| Spending::Harmonic.allowed_error(0.025, look, 20);
        assert!((harmonic(1) - 0.015_198_2).abs() < 1e-7);
        assert!((harmonic(2) - 0.003_799_5).abs() < 1e-7);
        assert!((harmonic(10) - 0.000_151_98).abs() < 1e-8);
        assert_eq!(harmonic(0), harmonic(1));
        assert_eq!(Spending::Bonferroni.allowed_error(0.025, 20, 20), 0.00125);
        assert_eq!(Spending::Bonferroni.allowed_error(0.025, 21, 20), 0.0);
        assert_eq!(Spending::Bonferroni.allowed_error(0.025, 1, 0), 0.0);
        assert_eq!(Spending::None.allowed_error(0.025, 99, 20), 0.025);
    }

    #[test]
    fn names_are_those_of_the_manifest() {
        for (spending, name) in [
            (Spending::None, "\"None\""),
            (Spending::Harmonic, "\"Harmonic\""),
            (Spending::Bonferroni, "\"Bonferroni\""),
        ] {
            assert_eq!(serde_json::to_string(&spending).unwrap(), name);
        }
    }

    proptest! {
        #[test]
        fn looks_never_cost_more_than_the_whole_error(
            total in 1e-9..0.5,
            looks in 1_u32..3_000,
            max_evaluations in 0_u32..200,
        ) {
            for spending in [Spending::Harmonic, Spending::Bonferroni] {
                let costs: Vec<f64> = (1..=looks)
                    .map(|look| spending.allowed_error(total, look, max_evaluations))
                    .collect();
                // A sum of equal parts may exceed the whole by its rounding.
                prop_assert!(costs.iter().sum::<f64>() <= total * (1.0 + 1e-12));
                prop_assert!(costs.is_sorted_by(|earlier, later| earlier >= later));
            }
        }
    }
}
