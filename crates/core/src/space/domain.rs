//! What one parameter may be.

use serde::{Deserialize, Serialize};

/// On which scale a number is searched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scale {
    /// Equal differences matter equally.
    #[default]
    Linear,
    /// Equal ratios matter equally; every value must be above 0.
    Log,
}

/// The values that one parameter may take.
#[derive(Clone, Debug, PartialEq)]
pub enum Domain {
    /// Real numbers from `min` to `max`, both included.
    Real {
        /// Smallest value.
        min: f64,
        /// Largest value.
        max: f64,
        /// On which scale values are searched.
        scale: Scale,
        /// Only `min`, `min` + `step`, `min` + 2 `step` and so on.
        step: Option<f64>,
    },
    /// Whole numbers from `min` to `max`, both included.
    Integer {
        /// Smallest value.
        min: i64,
        /// Largest value.
        max: i64,
        /// Distance of neighbours; 1 when not given.
        step: Option<i64>,
        /// On which scale values are searched.
        scale: Scale,
    },
    /// One of some texts without an order.
    Categorical {
        /// The texts, all different.
        values: Vec<String>,
    },
    /// One of some texts, listed from low to high.
    Ordinal {
        /// The texts, all different.
        values: Vec<String>,
    },
    /// A number with a normal prior (hyperopt's `normal`, `qnormal`, `lognormal`, `qlognormal`), truncated where bounds are given.
    Normal {
        /// Mean of the prior; on the log scale, of the natural logarithm of the value.
        mean: f64,
        /// Standard deviation of the prior; on the log scale, of the natural logarithm of the value.
        deviation: f64,
        /// Smallest value.
        min: Option<f64>,
        /// Largest value.
        max: Option<f64>,
        /// Distance of neighbours, counted from `min`, or from 0 when there is no `min`.
        step: Option<f64>,
        /// On which scale the prior is normal.
        scale: Scale,
    },
}
