//! Search spaces: what a configuration may be.
//!
//! A space is checked once, by [`Space::new`]; afterwards nothing about it can fail. Each parameter is one coordinate of
//! the unit cube. Values that stand apart (whole numbers, steps, texts) own cells of the cube and are encoded as the
//! centre of their cell, so rounding favours no value.

mod axis;
mod checks;
mod counting;
mod dependencies;
mod domain;
mod line;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::OnceLock;

use crate::expression::{Expression, Names};
use crate::random::Stream;
use crate::value::{Configuration, ParameterValue};

pub(crate) use self::axis::Axis;
pub(crate) use self::checks::HOPELESS_DRAWS;
pub use self::domain::{Domain, Scale};
pub(crate) use self::line::Line;
pub use crate::problem::SpecProblem as SpaceError;

/// One named dimension of a search space.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Name of the parameter, also of the environment variable that a trial finds it in.
    pub name: String,
    /// What it may be.
    pub domain: Domain,
    /// A CEL condition over other parameters; the parameter exists only where it holds.
    /// It does not hold where it names an inactive parameter.
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
    /// A finite number, too large to be counted against conditions and constraints; at most this many.
    /// `u128::MAX` stands for more than that.
    AtMost(u128),
    /// Some parameter is continuous or unbounded.
    Infinite,
}

/// A checked search space.
#[derive(Clone, Debug)]
pub struct Space {
    parameters: Vec<Parameter>,
    dimensions: Vec<Dimension>,
    /// Places of parameters, each after those that its condition names.
    order: Vec<usize>,
    constraints: Vec<Constraint>,
    cardinality: OnceLock<Cardinality>,
}

/// What is compiled from one parameter.
#[derive(Clone, Debug)]
struct Dimension {
    axis: Axis,
    when: Option<Expression>,
}

#[derive(Clone, Debug)]
struct Constraint {
    expression: Expression,
    message: String,
}

impl Space {
    /// Checks parameters and constraints.
    ///
    /// # Errors
    /// Every problem found, each with its field path relative to `spec`, such as `parameters[2].real.min`.
    pub fn new(
        parameters: Vec<Parameter>,
        constraints: Vec<ParameterConstraint>,
    ) -> Result<Self, Vec<SpaceError>> {
        let mut problems = checks::parameters(&parameters);
        let names: BTreeMap<&str, Option<&[String]>> = parameters
            .iter()
            .map(|parameter| (parameter.name.as_str(), parameter.domain.order()))
            .collect();
        let names = Names::Known(&names);
        let conditions = checks::compile_conditions(&parameters, names, &mut problems);
        let constraints = checks::compile_constraints(constraints, names, &mut problems);
        let order = dependencies::order(&parameters, &conditions).unwrap_or_else(|cycle| {
            problems.push(cycle);
            Vec::new()
        });
        if !problems.is_empty() {
            return Err(problems);
        }
        let dimensions = parameters
            .iter()
            .zip(conditions)
            .map(|(parameter, when)| Dimension {
                axis: Axis::new(&parameter.domain),
                when,
            })
            .collect();
        let space = Self {
            parameters,
            dimensions,
            order,
            constraints,
            cardinality: OnceLock::new(),
        };
        let problems = checks::trial_draws(&space);
        if problems.is_empty() {
            Ok(space)
        } else {
            Err(problems)
        }
    }

    /// The parameters, in the order given.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// How many configurations there are, with inactive branches and constraints taken into account.
    #[must_use]
    pub fn cardinality(&self) -> Cardinality {
        *self.cardinality.get_or_init(|| counting::cardinality(self))
    }

    /// Whether a configuration has exactly the active parameters, each with one of its values, and meets all constraints.
    #[must_use]
    pub fn contains(&self, configuration: &Configuration) -> bool {
        self.admit(configuration).is_ok()
    }

    /// The configuration as this space writes it (`64` for `64.0` where numbers are whole).
    ///
    /// # Errors
    /// Every reason why it is not in the space; paths are names of parameters, or empty for a constraint.
    pub fn admit(&self, configuration: &Configuration) -> Result<Configuration, Vec<SpaceError>> {
        let admitted = self.admit_partial(configuration)?;
        let mut problems = Vec::new();
        for &place in &self.order {
            let name = &self.parameters[place].name;
            match (
                self.is_active(place, &admitted),
                admitted.contains_key(name),
            ) {
                (true, false) => {
                    problems.push(SpaceError::new(name, format!("`{name}` must be given")))
                }
                (false, true) => {
                    problems.push(not_active(&self.parameters[place]));
                }
                _ => {}
            }
        }
        problems.extend(
            self.violated(&admitted)
                .map(|message| SpaceError::new("", message)),
        );
        if problems.is_empty() {
            Ok(admitted)
        } else {
            Err(problems)
        }
    }

    /// The given part of a configuration as this space writes it; parameters may be missing.
    ///
    /// # Errors
    /// Names that do not exist and values that their parameters do not have; paths are names of parameters.
    pub fn admit_partial(&self, given: &Configuration) -> Result<Configuration, Vec<SpaceError>> {
        let mut admitted = Configuration::new();
        let mut problems = Vec::new();
        for (name, value) in given {
            let Some(place) = self.place(name) else {
                problems.push(SpaceError::new(
                    name,
                    format!("`{name}` must be one of the `parameters`"),
                ));
                continue;
            };
            match self.dimensions[place].axis.admit(value) {
                Some(value) => _ = admitted.insert(name.clone(), value),
                None => {
                    let values = self.parameters[place].domain.in_words();
                    problems.push(SpaceError::new(
                        name,
                        format!("`{name}` must be {values}, not {value}"),
                    ));
                }
            }
        }
        if problems.is_empty() {
            Ok(admitted)
        } else {
            Err(problems)
        }
    }

    /// Why no configuration has all the given values, as far as they alone say so; paths as in [`Space::admit`].
    #[must_use]
    pub(crate) fn contradictions(&self, given: &Configuration) -> Vec<SpaceError> {
        let decided = |expression: &Expression| {
            let value = expression.condition(|name| given.get(name).cloned());
            value == Ok(false)
        };
        let inactive = self.parameters.iter().zip(&self.dimensions);
        let inactive = inactive.filter(|(parameter, dimension)| {
            given.contains_key(&parameter.name) && dimension.when.as_ref().is_some_and(decided)
        });
        let inactive = inactive.map(|(parameter, _)| not_active(parameter));
        let broken = self
            .constraints
            .iter()
            .filter(|one| decided(&one.expression));
        let broken = broken.map(|constraint| {
            let values: Vec<String> = constraint
                .expression
                .variables()
                .iter()
                .filter_map(|name| Some(format!("`{name}` is {}", given.get(name)?)))
                .collect();
            let message = format!("{}; {}", constraint.message, values.join(", "));
            SpaceError::new("", message)
        });
        inactive.chain(broken).collect()
    }

    /// The message of the first constraint that a configuration does not meet.
    #[must_use]
    pub fn violated(&self, configuration: &Configuration) -> Option<&str> {
        self.constraints
            .iter()
            .find(|constraint| !constraint.holds(configuration))
            .map(|constraint| constraint.message.as_str())
    }

    /// Coordinates in the unit cube, one per parameter in the order given; 0.5 where the parameter is inactive.
    #[must_use]
    pub fn encode(&self, configuration: &Configuration) -> Vec<f64> {
        self.parameters
            .iter()
            .zip(&self.dimensions)
            .map(|(parameter, dimension)| {
                configuration
                    .get(&parameter.name)
                    .map_or(0.5, |value| dimension.axis.unit(value))
            })
            .collect()
    }

    /// The configuration whose cell holds a point of the unit cube; constraints are not looked at.
    /// Coordinates of inactive parameters do not matter; missing coordinates count as 0.5.
    #[must_use]
    pub fn decode(&self, point: &[f64]) -> Configuration {
        self.assemble(|place, axis, _| axis.at_unit(point.get(place).copied().unwrap_or(0.5)))
    }

    /// A draw from the prior; constraints are not looked at.
    pub(crate) fn draw(&self, stream: &mut Stream) -> Configuration {
        self.assemble(|_, axis, _| axis.at_unit(stream.uniform()))
    }

    /// Chooses the active parameters one by one, each after those that its condition names.
    pub(crate) fn assemble(
        &self,
        mut choose: impl FnMut(usize, &Axis, &Configuration) -> ParameterValue,
    ) -> Configuration {
        let mut configuration = Configuration::new();
        for &place in &self.order {
            if self.is_active(place, &configuration) {
                let value = choose(place, &self.dimensions[place].axis, &configuration);
                configuration.insert(self.parameters[place].name.clone(), value);
            }
        }
        configuration
    }

    /// Visits every configuration of a finite space that meets the constraints, the last parameter varying fastest.
    /// Values of infinite domains are not visited. At most `budget` partial configurations are looked at.
    pub(crate) fn visit(
        &self,
        budget: u64,
        visitor: &mut dyn FnMut(&Configuration) -> ControlFlow<()>,
    ) -> Visit {
        let all: Vec<usize> = self.order.clone();
        counting::Walk::new(self, &all, budget).run(visitor)
    }

    /// The axis of a parameter.
    pub(crate) fn axis(&self, name: &str) -> Option<&Axis> {
        self.place(name).map(|place| &self.dimensions[place].axis)
    }

    fn is_active(&self, place: usize, configuration: &Configuration) -> bool {
        let when = self
            .dimensions
            .get(place)
            .and_then(|dimension| dimension.when.as_ref());
        when.is_none_or(|when| {
            when.condition(|name| configuration.get(name).cloned())
                .unwrap_or(false)
        })
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.parameters
            .iter()
            .position(|parameter| parameter.name == name)
    }
}

fn not_active(parameter: &Parameter) -> SpaceError {
    let Parameter { name, when, .. } = parameter;
    let when = when.as_deref().unwrap_or_default();
    SpaceError::new(name, format!("`{name}` must be left out unless `{when}`"))
}

/// How a visit to all configurations ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visit {
    /// All were visited.
    Complete,
    /// The visitor had enough.
    Stopped,
    /// The budget was used up.
    Curtailed,
}

impl Constraint {
    /// A constraint that names an inactive parameter holds; one that cannot be evaluated does not.
    fn holds(&self, configuration: &Configuration) -> bool {
        use crate::expression::EvaluationError;
        match self
            .expression
            .condition(|name| configuration.get(name).cloned())
        {
            Ok(holds) => holds,
            Err(EvaluationError::Absent(_)) => true,
            Err(EvaluationError::Impossible(_)) => false,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
