//! The objective of a search: one number out of a trial's metrics, and what makes a trial acceptable.

use std::collections::{BTreeMap, BTreeSet};

use crate::expression::{EvaluationError, Expression, Names};
use crate::problem::SpecProblem;
pub use crate::search::Direction;
use crate::value::ParameterValue;

/// Where the number comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum ObjectiveSource {
    /// A metric by name.
    Metric(String),
    /// CEL over the trial's metrics.
    Expression(String),
}

/// A checked objective.
#[derive(Clone, Debug)]
pub struct Objective {
    direction: Direction,
    formula: Formula,
    target: Option<f64>,
    constraints: Vec<Expression>,
}

#[derive(Clone, Debug)]
enum Formula {
    Metric(String),
    Expression(Expression),
}

/// What the objective says about one trial's metrics.
#[derive(Clone, Debug, PartialEq)]
pub enum Judgement {
    /// All constraints hold.
    Feasible {
        /// The objective; always finite.
        value: f64,
    },
    /// The trial has an objective, but a constraint does not hold.
    Infeasible {
        /// The constraint and the metrics that it names, in words.
        violated: String,
    },
    /// There is no objective.
    Failed {
        /// Why, in words.
        reason: String,
    },
}

/// Stand-ins for metrics with which formulas are tried out; metrics are mostly shares, and 1 and 0 meet both sides of thresholds.
const TRIAL_METRICS: [f64; 4] = [0.5, 1.0, 0.0, 0.125];

impl Objective {
    /// Checks an objective.
    ///
    /// # Errors
    /// Every problem found, with its path relative to `spec`, such as `objective.expression`.
    pub fn new(
        direction: Direction,
        source: ObjectiveSource,
        target: Option<f64>,
        constraints: Vec<String>,
    ) -> Result<Self, Vec<SpecProblem>> {
        let mut problems = Vec::new();
        let formula = match source {
            ObjectiveSource::Metric(name) if name.trim().is_empty() => {
                problems.push(SpecProblem::new(
                    "objective.metric",
                    "`metric` must name a metric",
                ));
                None
            }
            ObjectiveSource::Metric(name) => Some(Formula::Metric(name)),
            ObjectiveSource::Expression(source) => {
                let evaluate = |expression: &Expression, metric: f64| {
                    expression.number(|_| Some(metric.into())).map(drop)
                };
                compile(
                    &source,
                    "expression",
                    "objective.expression",
                    evaluate,
                    &mut problems,
                )
                .map(Formula::Expression)
            }
        };
        if let Some(target) = target.filter(|target| !target.is_finite()) {
            problems.push(SpecProblem::new(
                "objective.target",
                format!("`target` must be a finite number, not {target}"),
            ));
        }
        let mut compile_constraint = |(place, source): (usize, String)| {
            let evaluate = |expression: &Expression, metric: f64| {
                expression.condition(|_| Some(metric.into())).map(drop)
            };
            compile(
                &source,
                "constraints",
                &format!("objective.constraints[{place}]"),
                evaluate,
                &mut problems,
            )
        };
        let constraints = constraints
            .into_iter()
            .enumerate()
            .filter_map(&mut compile_constraint)
            .collect();
        match formula {
            Some(formula) if problems.is_empty() => Ok(Self {
                direction,
                formula,
                target,
                constraints,
            }),
            _ => Err(problems),
        }
    }

    /// Judges the metrics of one trial. Only metrics that the value depends on must be there: those of a branch that is not
    /// taken may be left out.
    #[must_use]
    pub fn judge(&self, metrics: &BTreeMap<String, f64>) -> Judgement {
        let value = match self.formula.evaluate(metrics) {
            Ok(value) if value.is_finite() => value,
            Ok(value) => {
                let reason = format!(
                    "the objective must be a finite number, not {value}, with {}",
                    listed(&self.formula.metrics(), metrics)
                );
                return Judgement::Failed { reason };
            }
            Err(reason) => return Judgement::Failed { reason },
        };
        for constraint in &self.constraints {
            match constraint.condition(lookup(metrics)) {
                Ok(true) => {}
                Ok(false) => {
                    let measured = listed(&names_in(constraint), metrics);
                    return Judgement::Infeasible {
                        violated: format!("`{}` must hold; {measured}", constraint.source()),
                    };
                }
                Err(error) => {
                    let reason = no_value("constraint", constraint, error, metrics);
                    return Judgement::Failed { reason };
                }
            }
        }
        Judgement::Feasible { value }
    }

    /// The metrics that the objective and its constraints name.
    #[must_use]
    pub fn metrics(&self) -> BTreeSet<&str> {
        let mut metrics = self.formula.metrics();
        metrics.extend(self.constraints.iter().flat_map(names_in));
        metrics
    }

    /// Which objective is better.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Whether `value` is at least as good as the target; never without a target, nor for NaN.
    #[must_use]
    pub fn reaches_target(&self, value: f64) -> bool {
        self.target
            .is_some_and(|target| value == target || self.is_better(value, target))
    }

    /// Whether `left` is strictly better than `right`; any number is better than NaN.
    #[must_use]
    pub fn is_better(&self, left: f64, right: f64) -> bool {
        self.direction.is_better(left, right)
    }
}

impl Direction {
    /// Whether `left` is strictly better than `right`; any number is better than NaN.
    #[must_use]
    pub fn is_better(self, left: f64, right: f64) -> bool {
        match self {
            _ if left.is_nan() => false,
            _ if right.is_nan() => true,
            Self::Maximize => left > right,
            Self::Minimize => left < right,
        }
    }
}

impl Formula {
    fn evaluate(&self, metrics: &BTreeMap<String, f64>) -> Result<f64, String> {
        match self {
            Self::Metric(name) => usable(name, metrics).ok_or_else(|| unusable(name, metrics)),
            Self::Expression(expression) => expression
                .number(lookup(metrics))
                .map_err(|error| no_value("objective", expression, error, metrics)),
        }
    }

    fn metrics(&self) -> BTreeSet<&str> {
        match self {
            Self::Metric(name) => BTreeSet::from([name.as_str()]),
            Self::Expression(expression) => names_in(expression),
        }
    }
}

fn compile(
    source: &str,
    field: &str,
    path: &str,
    evaluate: impl Fn(&Expression, f64) -> Result<(), EvaluationError>,
    problems: &mut Vec<SpecProblem>,
) -> Option<Expression> {
    let compiled = Expression::compile(source, Names::Metrics).and_then(|expression| {
        if expression.variables().is_empty() {
            return Err("must name at least one metric".to_owned());
        }
        match TRIAL_METRICS
            .iter()
            .find_map(|metric| evaluate(&expression, *metric).err())
        {
            Some(error) => Err(format!("in `{source}`: {error}")),
            None => Ok(expression),
        }
    });
    compiled
        .map_err(|message| problems.push(SpecProblem::new(path, format!("`{field}` {message}"))))
        .ok()
}

fn names_in(expression: &Expression) -> BTreeSet<&str> {
    expression.variables().iter().map(String::as_str).collect()
}

fn lookup(metrics: &BTreeMap<String, f64>) -> impl Fn(&str) -> Option<ParameterValue> {
    |name| usable(name, metrics).map(ParameterValue::Real)
}

/// The value of a metric that was reported; one that is not finite says nothing.
fn usable(name: &str, metrics: &BTreeMap<String, f64>) -> Option<f64> {
    metrics.get(name).copied().filter(|value| value.is_finite())
}

/// Why an expression has no value for these metrics.
fn no_value(
    what: &str,
    expression: &Expression,
    error: EvaluationError,
    metrics: &BTreeMap<String, f64>,
) -> String {
    match error {
        EvaluationError::Absent(name) => {
            let begun = metrics.keys().find(|reported| {
                let rest = reported.strip_prefix(&name);
                rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric()))
                    && reported
                        .contains(|other: char| !other.is_ascii_alphanumeric() && other != '_')
            });
            let hint = begun.map_or_else(String::new, |reported| {
                format!("; in an expression that name is written `metrics[{reported:?}]`")
            });
            format!("{}{hint}", unusable(&name, metrics))
        }
        error @ EvaluationError::Impossible(_) => {
            format!("the {what} `{}`: {error}", expression.source())
        }
    }
}

/// Why a metric that is needed cannot be used.
fn unusable(name: &str, metrics: &BTreeMap<String, f64>) -> String {
    if let Some(value) = metrics.get(name) {
        return format!("the metric `{name}` must be a finite number, not {value}");
    }
    let reported: Vec<String> = metrics.keys().map(|name| format!("`{name}`")).collect();
    let reported = if reported.is_empty() {
        "nothing".to_owned()
    } else {
        reported.join(", ")
    };
    format!("the trial must report the metric `{name}`; it reported {reported}")
}

fn listed(names: &BTreeSet<&str>, metrics: &BTreeMap<String, f64>) -> String {
    let measured = names
        .iter()
        .filter_map(|name| Some(format!("`{name}` is {}", metrics.get(*name)?)));
    measured.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
