//! What must hold of a space before it can be searched.

use std::collections::{BTreeMap, BTreeSet};

use super::domain::{Domain, Scale};
use super::line::{FARTHEST, Line, reach};
use super::{Cardinality, Constraint, Parameter, ParameterConstraint, Space, SpaceError};
use crate::expression::{EvaluationError, Expression, Names};
use crate::random::Stream;
use crate::value::Configuration;

/// Whole numbers beyond this are not exact as real numbers.
const LARGEST_WHOLE: i64 = 1 << 53;

/// Draws with which conditions and constraints are tried out.
const TRIAL_DRAWS: u64 = 200;

/// Draws after which constraints count as impossible to meet where configurations cannot be counted.
pub(crate) const HOPELESS_DRAWS: u64 = 20_000;

/// Problems with names and domains.
pub(super) fn parameters(parameters: &[Parameter]) -> Vec<SpaceError> {
    let mut problems = Vec::new();
    if parameters.is_empty() {
        problems.push(SpaceError::new(
            "parameters",
            "`parameters` must list at least one parameter",
        ));
    }
    let mut first_places: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, parameter) in parameters.iter().enumerate() {
        let path = format!("parameters[{place}]");
        if let Some(message) = name_problem(&parameter.name) {
            problems.push(SpaceError::new(format!("{path}.name"), message));
        }
        if let Some(earlier) = first_places.get(parameter.name.as_str()) {
            let message = format!(
                "`name` must be unique; `parameters[{earlier}]` is already named `{}`",
                parameter.name
            );
            problems.push(SpaceError::new(format!("{path}.name"), message));
        } else {
            first_places.insert(&parameter.name, place);
        }
        let domain = format!("{path}.{}", parameter.domain.field());
        let found = domain_problems(&parameter.domain).into_iter();
        problems.extend(
            found.map(|(field, message)| SpaceError::new(format!("{domain}.{field}"), message)),
        );
    }
    problems
}

fn name_problem(name: &str) -> Option<String> {
    let mut characters = name.chars();
    let starts_well = characters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    if !starts_well || !characters.all(|other| other.is_ascii_alphanumeric() || other == '_') {
        return Some(format!(
            "`name` must be usable as an environment variable: letters, digits and underscores, not starting with a digit; `{name}` is not"
        ));
    }
    name.starts_with("PODIUM_")
        .then(|| format!("`name` must not start with `PODIUM_`, which is reserved; `{name}` does"))
}

type Problem = (String, String);

fn problem(field: &str, message: impl Into<String>) -> Problem {
    (field.to_owned(), message.into())
}

fn domain_problems(domain: &Domain) -> Vec<Problem> {
    match domain {
        Domain::Real {
            min,
            max,
            scale,
            step,
        } => {
            let mut problems = number_problems(Some(*min), Some(*max), *scale, *step);
            if problems.is_empty() && !(max - min).is_finite() {
                problems.push(problem(
                    "max",
                    "the distance from `min` to `max` must be a finite number",
                ));
            }
            if problems.is_empty()
                && step.is_some_and(|step| is_too_fine(step, min.abs().max(max.abs())))
            {
                problems.push(problem(
                    "step",
                    "`step` must be large enough to tell values from `min` to `max` apart",
                ));
            }
            problems
        }
        Domain::Integer {
            min,
            max,
            step,
            scale,
        } => {
            let mut problems = number_problems(
                Some(*min as f64),
                Some(*max as f64),
                *scale,
                step.map(|step| step as f64),
            );
            let step = step.unwrap_or(1);
            for (field, bound) in [("min", min), ("max", max), ("step", &step)] {
                if bound.unsigned_abs() > LARGEST_WHOLE.unsigned_abs() {
                    problems.push(problem(field, format!("`{field}` must lie between -{LARGEST_WHOLE} and {LARGEST_WHOLE}; {bound} does not")));
                }
            }
            problems
        }
        Domain::Categorical { values } | Domain::Ordinal { values } => text_problems(values),
        Domain::Normal {
            mean,
            deviation,
            min,
            max,
            step,
            scale,
        } => {
            let mut problems = number_problems(*min, *max, *scale, *step);
            if !mean.is_finite() {
                problems.push(problem(
                    "mean",
                    format!("`mean` must be a finite number, not {mean}"),
                ));
            }
            if !deviation.is_finite() || *deviation <= 0.0 {
                problems.push(problem(
                    "deviation",
                    format!("`deviation` must be a finite number above 0, not {deviation}"),
                ));
            }
            if !problems.is_empty() {
                return problems;
            }
            let far = reach(*mean, *deviation, *scale, 1.0);
            let largest = match (min, max) {
                (Some(min), Some(max)) => min.abs().max(max.abs()),
                _ => far,
            };
            if step.is_some_and(|step| is_too_fine(step, largest)) {
                let message = "`step` must be large enough to tell values around `mean` apart";
                return vec![problem("step", message)];
            }
            let line = Line::new(domain);
            if line.as_ref().is_some_and(Line::is_empty) {
                let message = "at least one multiple of `step` must lie between `min` and `max`";
                return vec![problem("step", message)];
            }
            if line.is_some_and(|line| line.mass() < 1e-12) {
                problems.push(problem("mean", format!("`mean` must not lie so many times `deviation` outside of `min` and `max`; {mean} with {deviation} does")));
            }
            problems
        }
    }
}

/// Whether real numbers so far from 0 do not tell neighbours at this distance apart.
fn is_too_fine(step: f64, distance: f64) -> bool {
    distance / step > FARTHEST as f64
}

fn number_problems(
    min: Option<f64>,
    max: Option<f64>,
    scale: Scale,
    step: Option<f64>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (field, bound) in [("min", min), ("max", max)] {
        let Some(bound) = bound else { continue };
        if !bound.is_finite() {
            problems.push(problem(
                field,
                format!("`{field}` must be a finite number, not {bound}"),
            ));
        } else if scale == Scale::Log && bound <= 0.0 {
            problems.push(problem(
                field,
                format!("`{field}` must be above 0 when `scale` is `Log`; {bound} is not"),
            ));
        }
    }
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        problems.push(problem(
            "min",
            format!("`min` must not be above `max`; {min} is above {max}"),
        ));
    }
    if let Some(step) = step
        && (!step.is_finite() || step <= 0.0)
    {
        problems.push(problem(
            "step",
            format!("`step` must be a finite number above 0, not {step}"),
        ));
    }
    problems
}

fn text_problems(values: &[String]) -> Vec<Problem> {
    if values.is_empty() {
        return vec![problem("values", "`values` must list at least one text")];
    }
    let mut seen = BTreeSet::new();
    let mut problems = Vec::new();
    for (place, value) in values.iter().enumerate() {
        let field = format!("values[{place}]");
        if value.is_empty() {
            problems.push((
                field,
                "each of `values` must have at least one character".to_owned(),
            ));
        } else if !seen.insert(value) {
            problems.push((
                field,
                format!("`values` must be different from each other; `{value}` is listed twice"),
            ));
        }
    }
    problems
}

/// The compiled `when` of each parameter.
pub(super) fn compile_conditions(
    parameters: &[Parameter],
    names: Names<'_>,
    problems: &mut Vec<SpaceError>,
) -> Vec<Option<Expression>> {
    let mut compile = |(place, parameter): (usize, &Parameter)| {
        let source = parameter.when.as_ref()?;
        compile(
            source,
            names,
            "when",
            &format!("parameters[{place}].when"),
            problems,
        )
    };
    parameters.iter().enumerate().map(&mut compile).collect()
}

/// The compiled constraints.
pub(super) fn compile_constraints(
    constraints: Vec<ParameterConstraint>,
    names: Names<'_>,
    problems: &mut Vec<SpaceError>,
) -> Vec<Constraint> {
    let mut compile = |(place, constraint): (usize, ParameterConstraint)| {
        let path = format!("parameterConstraints[{place}].expression");
        let expression = compile(&constraint.expression, names, "expression", &path, problems)?;
        let message = match constraint.message.is_empty() {
            true => format!("`{}` must hold", constraint.expression),
            false => constraint.message,
        };
        Some(Constraint {
            expression,
            message,
        })
    };
    constraints
        .into_iter()
        .enumerate()
        .filter_map(&mut compile)
        .collect()
}

fn compile(
    source: &str,
    names: Names<'_>,
    field: &str,
    path: &str,
    problems: &mut Vec<SpaceError>,
) -> Option<Expression> {
    let compiled = Expression::compile(source, names).and_then(|expression| {
        if expression.variables().is_empty() {
            Err("must name at least one parameter".to_owned())
        } else {
            Ok(expression)
        }
    });
    match compiled {
        Ok(expression) => Some(expression),
        Err(message) => {
            problems.push(SpaceError::new(path, format!("`{field}` {message}")));
            None
        }
    }
}

/// Problems that only show when conditions and constraints are evaluated.
pub(super) fn trial_draws(space: &Space) -> Vec<SpaceError> {
    let mut stream = Stream::new(0, &[]);
    let draws: Vec<Configuration> = (0..TRIAL_DRAWS).map(|_| space.draw(&mut stream)).collect();
    let mut problems: Vec<SpaceError> = expressions(space)
        .filter_map(|(path, expression)| {
            let message = draws.iter().find_map(|draw| impossible(expression, draw))?;
            Some(SpaceError::new(
                path,
                format!("in `{}`: {message}", expression.source()),
            ))
        })
        .collect();
    if problems.is_empty() && !can_be_met(space, &draws, &mut stream) {
        problems.push(SpaceError::new(
            "parameterConstraints",
            "at least one configuration must meet all `parameterConstraints`; none was found",
        ));
    }
    problems
}

fn expressions(space: &Space) -> impl Iterator<Item = (String, &Expression)> {
    let conditions = space
        .dimensions
        .iter()
        .enumerate()
        .filter_map(|(place, dimension)| {
            dimension
                .when
                .as_ref()
                .map(|when| (format!("parameters[{place}].when"), when))
        });
    let constraints = space
        .constraints
        .iter()
        .enumerate()
        .map(|(place, constraint)| {
            (
                format!("parameterConstraints[{place}].expression"),
                &constraint.expression,
            )
        });
    conditions.chain(constraints)
}

fn impossible(expression: &Expression, draw: &Configuration) -> Option<String> {
    match expression.condition(|name| draw.get(name).cloned()) {
        Err(EvaluationError::Impossible(message)) => Some(message),
        Ok(_) | Err(EvaluationError::Absent(_)) => None,
    }
}

fn can_be_met(space: &Space, draws: &[Configuration], stream: &mut Stream) -> bool {
    let met = |draw: &Configuration| space.violated(draw).is_none();
    space.constraints.is_empty()
        || draws.iter().any(met)
        || match space.cardinality() {
            Cardinality::Finite(count) => count > 0,
            Cardinality::AtMost(_) | Cardinality::Infinite => {
                (0..HOPELESS_DRAWS).any(|_| met(&space.draw(stream)))
            }
        }
}
