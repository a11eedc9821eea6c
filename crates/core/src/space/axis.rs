//! One coordinate of the unit cube: a parameter's values, numbered or continuous.

use super::domain::Domain;
use super::line::Line;
use crate::value::ParameterValue;

/// The values of one parameter, ready for sampling, encoding and enumeration.
#[derive(Clone, Debug)]
pub(crate) enum Axis {
    /// Texts, each with an equal share.
    Texts(Vec<String>),
    /// Numbers.
    Numbers(Line),
}

impl Axis {
    pub(super) fn new(domain: &Domain) -> Self {
        match domain {
            Domain::Categorical { values } | Domain::Ordinal { values } => {
                Self::Texts(values.clone())
            }
            _ => Line::new(domain).map_or_else(|| Self::Texts(Vec::new()), Self::Numbers),
        }
    }

    /// Whether values come without gaps, so that two of them are the same only up to rounding.
    pub(crate) fn is_continuous(&self) -> bool {
        matches!(self, Self::Numbers(line) if line.is_continuous())
    }

    /// How many values there are; `None` when infinitely many.
    pub(crate) fn count(&self) -> Option<u128> {
        match self {
            Self::Texts(values) => Some(values.len() as u128),
            Self::Numbers(line) => line.count(),
        }
    }

    /// The value numbered `number`, from 0, in the order of the domain.
    pub(crate) fn nth(&self, number: u128) -> ParameterValue {
        match self {
            Self::Texts(values) => {
                let last = values.len().saturating_sub(1);
                let place = usize::try_from(number).unwrap_or(last).min(last);
                ParameterValue::Text(values.get(place).cloned().unwrap_or_default())
            }
            Self::Numbers(line) => line.nth(number),
        }
    }

    /// The place of a text among the domain's values.
    pub(crate) fn place(&self, value: &ParameterValue) -> Option<usize> {
        match (self, value) {
            (Self::Texts(values), ParameterValue::Text(text)) => {
                values.iter().position(|value| value == text)
            }
            _ => None,
        }
    }

    /// `value` as the domain writes it (`64` for `64.0`), if it is one of the domain's values.
    pub(crate) fn admit(&self, value: &ParameterValue) -> Option<ParameterValue> {
        match (self, value) {
            (Self::Texts(_), ParameterValue::Text(_)) => self.place(value).map(|_| value.clone()),
            (Self::Numbers(line), _) => line.admit(value),
            (Self::Texts(_), _) => None,
        }
    }

    /// Coordinate of a value in the unit interval; the centre of its cell where values are separate.
    pub(super) fn unit(&self, value: &ParameterValue) -> f64 {
        match self {
            Self::Texts(values) => self
                .place(value)
                .map_or(0.5, |place| (place as f64 + 0.5) / values.len() as f64),
            Self::Numbers(line) => value.as_number().map_or(0.5, |number| line.unit(number)),
        }
    }

    /// The value at a coordinate of the unit interval.
    pub(crate) fn at_unit(&self, unit: f64) -> ParameterValue {
        match self {
            Self::Texts(values) => self.nth((unit.clamp(0.0, 1.0) * values.len() as f64) as u128),
            Self::Numbers(line) => line.at_unit(unit),
        }
    }
}
