//! The objective of a search: one number out of a trial's metrics, and what makes a trial acceptable.

use std::collections::{BTreeMap, BTreeSet};

use crate::expression::{EvaluationError, Expression};
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

    /// Judges the metrics of one trial.
    #[must_use]
    pub fn judge(&self, metrics: &BTreeMap<String, f64>) -> Judgement {
        let used = self.metrics();
        if let Some(reason) = used.iter().find_map(|name| unusable(name, metrics)) {
            return Judgement::Failed { reason };
        }
        let value = match self.formula.evaluate(metrics) {
            Ok(value) if value.is_finite() => value,
            Ok(value) => {
                let reason = format!(
                    "the objective must be a finite number, not {value}, with {}",
                    listed(&used, metrics)
                );
                return Judgement::Failed { reason };
            }
            Err(reason) => return Judgement::Failed { reason },
        };
        for constraint in &self.constraints {
            match constraint.condition(lookup(metrics)) {
                Ok(true) => {}
                Ok(false) => {
                    let measured = listed(
                        &constraint.variables().iter().map(String::as_str).collect(),
                        metrics,
                    );
                    return Judgement::Infeasible {
                        violated: format!("`{}` must hold; {measured}", constraint.source()),
                    };
                }
                Err(error) => {
                    return Judgement::Failed {
                        reason: format!("the constraint `{}`: {error}", constraint.source()),
                    };
                }
            }
        }
        Judgement::Feasible { value }
    }

    /// The metrics that the objective and its constraints are made of.
    #[must_use]
    pub fn metrics(&self) -> BTreeSet<&str> {
        let constraints = self
            .constraints
            .iter()
            .flat_map(Expression::variables)
            .map(String::as_str);
        match &self.formula {
            Formula::Metric(name) => constraints.chain([name.as_str()]).collect(),
            Formula::Expression(expression) => constraints
                .chain(expression.variables().iter().map(String::as_str))
                .collect(),
        }
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
            Self::Metric(name) => metrics
                .get(name)
                .copied()
                .ok_or_else(|| missing(name, metrics)),
            Self::Expression(expression) => expression
                .number(lookup(metrics))
                .map_err(|error| format!("the objective `{}`: {error}", expression.source())),
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
    let compiled = Expression::compile(source, None).and_then(|expression| {
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

fn lookup(metrics: &BTreeMap<String, f64>) -> impl Fn(&str) -> Option<ParameterValue> {
    |name| metrics.get(name).copied().map(ParameterValue::Real)
}

/// Why a metric that is needed cannot be used.
fn unusable(name: &str, metrics: &BTreeMap<String, f64>) -> Option<String> {
    match metrics.get(name) {
        None => Some(missing(name, metrics)),
        Some(value) if value.is_finite() => None,
        Some(value) => Some(format!(
            "the metric `{name}` must be a finite number, not {value}"
        )),
    }
}

fn missing(name: &str, metrics: &BTreeMap<String, f64>) -> String {
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
mod tests {
    use super::*;

    const FRAUD: &str = "recall > 0.8 ? 0.7 * auc + 0.3 * precision : 0.7 * auc";

    fn metrics(values: &[(&str, f64)]) -> BTreeMap<String, f64> {
        values
            .iter()
            .map(|&(name, value)| (name.to_owned(), value))
            .collect()
    }

    fn objective(source: ObjectiveSource, constraints: &[&str]) -> Objective {
        let constraints = constraints
            .iter()
            .map(|&constraint| constraint.to_owned())
            .collect();
        Objective::new(Direction::Maximize, source, Some(0.9), constraints).unwrap()
    }

    fn value(judgement: Judgement) -> f64 {
        match judgement {
            Judgement::Feasible { value } => value,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_metric_or_a_formula_is_the_objective() {
        let measured = metrics(&[("recall", 0.9), ("auc", 0.8), ("precision", 0.5)]);
        assert_eq!(
            value(objective(ObjectiveSource::Metric("auc".into()), &[]).judge(&measured)),
            0.8
        );
        let formula = objective(ObjectiveSource::Expression(FRAUD.into()), &[]);
        assert!((value(formula.judge(&measured)) - 0.71).abs() < 1e-12);
        let measured = metrics(&[("recall", 0.0), ("auc", 1.0), ("precision", 1.0)]);
        assert!((value(formula.judge(&measured)) - 0.7).abs() < 1e-12);
        assert_eq!(
            formula.metrics(),
            BTreeSet::from(["auc", "precision", "recall"])
        );
    }

    #[test]
    fn a_violated_constraint_is_told_with_its_metrics() {
        let judge = objective(
            ObjectiveSource::Metric("auc".into()),
            &["auc > 0", "gap <= 0.05"],
        );
        let judgement = judge.judge(&metrics(&[("auc", 0.9), ("gap", 0.08)]));
        assert_eq!(
            judgement,
            Judgement::Infeasible {
                violated: "`gap <= 0.05` must hold; `gap` is 0.08".into()
            }
        );
        assert_eq!(
            value(judge.judge(&metrics(&[("auc", 0.9), ("gap", 0.05)]))),
            0.9
        );
    }

    #[test]
    fn missing_and_infinite_numbers_are_failures_with_a_reason() {
        let reason = |objective: &Objective, values: &[(&str, f64)]| match objective
            .judge(&metrics(values))
        {
            Judgement::Failed { reason } => reason,
            other => panic!("{other:?}"),
        };
        let metric = objective(ObjectiveSource::Metric("auc".into()), &["gap < 1"]);
        assert_eq!(
            reason(&metric, &[("acc", 0.9), ("gap", 0.0)]),
            "the trial must report the metric `auc`; it reported `acc`, `gap`"
        );
        assert_eq!(
            reason(&metric, &[("auc", 0.9)]),
            "the trial must report the metric `gap`; it reported `auc`"
        );
        assert_eq!(
            reason(&metric, &[]),
            "the trial must report the metric `auc`; it reported nothing"
        );
        for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let told = reason(&metric, &[("auc", wrong), ("gap", 0.0)]);
            assert_eq!(
                told,
                format!("the metric `auc` must be a finite number, not {wrong}")
            );
        }
        let ratio = objective(ObjectiveSource::Expression("auc / cost".into()), &[]);
        assert_eq!(
            reason(&ratio, &[("auc", 0.5), ("cost", 0.0)]),
            "the objective must be a finite number, not inf, with `auc` is 0.5, `cost` is 0"
        );
    }

    #[test]
    fn targets_and_order_follow_the_direction() {
        let maximize = objective(ObjectiveSource::Metric("auc".into()), &[]);
        assert!(
            maximize.reaches_target(0.9)
                && maximize.reaches_target(0.95)
                && !maximize.reaches_target(0.89)
        );
        assert!(maximize.is_better(0.2, 0.1) && !maximize.is_better(0.1, 0.1));
        assert!(
            maximize.is_better(0.1, f64::NAN)
                && !maximize.is_better(f64::NAN, 0.1)
                && !maximize.reaches_target(f64::NAN)
        );
        let minimize = Objective::new(
            Direction::Minimize,
            ObjectiveSource::Metric("loss".into()),
            None,
            vec![],
        )
        .unwrap();
        assert!(minimize.is_better(0.1, 0.2) && !minimize.reaches_target(0.0));
    }

    #[test]
    fn every_problem_is_found_before_the_first_trial() {
        let source = ObjectiveSource::Expression("auc > 0.5".into());
        let constraints = vec!["auc >".to_owned(), "auc".to_owned(), "true".to_owned()];
        let problems =
            Objective::new(Direction::Maximize, source, Some(f64::NAN), constraints).unwrap_err();
        let written: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            written[0],
            "objective.expression: `expression` in `auc > 0.5`: must evaluate to a number, not to false"
        );
        assert_eq!(
            written[1],
            "objective.target: `target` must be a finite number, not NaN"
        );
        assert!(
            written[2]
                .starts_with("objective.constraints[0]: `constraints` must be a CEL expression")
        );
        assert_eq!(
            written[3],
            "objective.constraints[1]: `constraints` in `auc`: must evaluate to true or false, not to 0.5"
        );
        assert_eq!(
            written[4],
            "objective.constraints[2]: `constraints` must name at least one metric"
        );
        let problems = Objective::new(
            Direction::Maximize,
            ObjectiveSource::Metric(" ".into()),
            None,
            vec![],
        )
        .unwrap_err();
        assert_eq!(
            problems[0].to_string(),
            "objective.metric: `metric` must name a metric"
        );
    }
}
