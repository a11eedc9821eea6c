//! Values of hyper-parameters, and configurations made of them.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One value of one parameter, written in JSON and YAML as a plain number or text.
///
/// `Display` writes what a trial finds in its environment: `120`, `0.05`, `gini`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged, expecting = "must be a number or a text")]
pub enum ParameterValue {
    /// A whole number.
    Integer(i64),
    /// A real number; finite in every value that Podium makes.
    Real(f64),
    /// One of the declared values of a categorical or ordinal parameter.
    Text(String),
}

/// What a trial is given: parameter name to value. Inactive conditional parameters are absent.
pub type Configuration = BTreeMap<String, ParameterValue>;

impl ParameterValue {
    /// The number held, or `None` for text.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Integer(number) => Some(*number as f64),
            Self::Real(number) => Some(*number),
            Self::Text(_) => None,
        }
    }

    /// The text held, or `None` for a number.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Integer(_) | Self::Real(_) => None,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Integer(_) => 0,
            Self::Real(_) => 1,
            Self::Text(_) => 2,
        }
    }
}

impl fmt::Display for ParameterValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => write!(formatter, "{number}"),
            Self::Real(number) => write!(formatter, "{number}"),
            Self::Text(text) => formatter.write_str(text),
        }
    }
}

/// Integers before reals before texts; reals by IEEE total order, so that sorting never depends on input order.
impl Ord for ParameterValue {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Integer(left), Self::Integer(right)) => left.cmp(right),
            (Self::Real(left), Self::Real(right)) => left.total_cmp(right),
            (Self::Text(left), Self::Text(right)) => left.cmp(right),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for ParameterValue {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ParameterValue {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for ParameterValue {}

impl From<i64> for ParameterValue {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<f64> for ParameterValue {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

impl From<&str> for ParameterValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_the_kind_of_number() {
        let configuration: Configuration =
            serde_json::from_str(r#"{"a": 3, "b": 3.5, "c": "3"}"#).unwrap();
        assert_eq!(configuration["a"], ParameterValue::Integer(3));
        assert_eq!(configuration["b"], ParameterValue::Real(3.5));
        assert_eq!(configuration["c"], ParameterValue::Text("3".into()));
        assert_eq!(
            serde_json::to_string(&configuration).unwrap(),
            r#"{"a":3,"b":3.5,"c":"3"}"#
        );
    }

    #[test]
    fn text_for_a_trial_is_plain() {
        let written: Vec<String> = [
            ParameterValue::from(120),
            ParameterValue::from(0.05),
            ParameterValue::from("gini"),
        ]
        .iter()
        .map(ToString::to_string)
        .collect();
        assert_eq!(written, ["120", "0.05", "gini"]);
    }
}
