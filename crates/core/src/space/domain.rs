//! What one parameter may be.

use std::fmt::Display;

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
        /// Only multiples of it, as hyperopt's `qnormal` rounds.
        step: Option<f64>,
        /// On which scale the prior is normal.
        scale: Scale,
    },
}

impl Domain {
    /// The field of a parameter that holds this kind of domain.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::Real { .. } => "real",
            Self::Integer { .. } => "integer",
            Self::Categorical { .. } => "categorical",
            Self::Ordinal { .. } => "ordinal",
            Self::Normal { .. } => "normal",
        }
    }

    /// The values from low to high, where they are texts with an order.
    #[must_use]
    pub fn order(&self) -> Option<&[String]> {
        match self {
            Self::Ordinal { values } => Some(values),
            _ => None,
        }
    }

    /// The values in words, as in "must be a whole number from 1 to 9".
    #[must_use]
    pub fn in_words(&self) -> String {
        match self {
            Self::Real { min, max, step, .. } => {
                format!("a number from {min} to {max}{}", steps(*step))
            }
            Self::Integer { min, max, step, .. } => {
                format!("a whole number from {min} to {max}{}", steps(*step))
            }
            Self::Categorical { values } | Self::Ordinal { values } => {
                format!("one of {}", values.join(", "))
            }
            Self::Normal { min, max, step, .. } => {
                let low = min.map_or_else(String::new, |min| format!(" from {min}"));
                let high = max.map_or_else(String::new, |max| format!(" up to {max}"));
                match step {
                    Some(step) => format!("a multiple of {step}{low}{high}"),
                    None => format!("a number{low}{high}"),
                }
            }
        }
    }
}

fn steps(step: Option<impl Display>) -> String {
    step.map_or_else(String::new, |step| format!(" in steps of {step}"))
}
