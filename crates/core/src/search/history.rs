//! What is known about a search when the next configuration is chosen.

use std::collections::BTreeMap;

use super::Direction;
use crate::space::Space;
use crate::value::{Configuration, ParameterValue};

/// What came of a trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// It ended with this objective.
    Value(f64),
    /// It failed for a reason of its own.
    Failed,
    /// It ended, but violates a constraint of the objective.
    Infeasible,
}

/// A trial that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// Number of the trial within its search.
    pub index: u32,
    /// What it was given.
    pub configuration: Configuration,
    /// What came of it.
    pub outcome: Outcome,
}

/// A trial that is suggested, queued or running.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// Number of the trial within its search.
    pub index: u32,
    /// What it was given.
    pub configuration: Configuration,
}

/// All that is known about a search. The order of either list does not matter.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// Which objective is better.
    pub direction: Direction,
    /// Trials that are over.
    pub finished: Vec<Finished>,
    /// Trials that are not.
    pub pending: Vec<Pending>,
}

impl History {
    /// A search that has not begun.
    #[must_use]
    pub fn new(direction: Direction) -> Self {
        Self {
            direction,
            finished: Vec::new(),
            pending: Vec::new(),
        }
    }
}

/// A history prepared for the algorithms: in order of index, with losses to be minimised.
pub(super) struct Known {
    trials: Vec<KnownTrial>,
    seen: Seen,
    next_index: u64,
}

/// One trial as algorithms see it.
pub(super) struct KnownTrial {
    pub(super) configuration: Configuration,
    /// Smaller is better; `None` for a trial that is pending, failed or infeasible.
    pub(super) loss: Option<f64>,
}

impl Known {
    pub(super) fn new(space: &Space, history: &History) -> Self {
        let sign = match history.direction {
            Direction::Minimize => 1.0,
            Direction::Maximize => -1.0,
        };
        let finished = history.finished.iter().map(|trial| {
            let loss = match trial.outcome {
                Outcome::Value(value) if value.is_finite() => Some(sign * value),
                Outcome::Value(_) | Outcome::Failed | Outcome::Infeasible => None,
            };
            (trial.index, &trial.configuration, loss)
        });
        let pending = history
            .pending
            .iter()
            .map(|trial| (trial.index, &trial.configuration, None));
        let mut listed: Vec<(u32, &Configuration, Option<f64>)> = finished.chain(pending).collect();
        // Indices are unique in a search; the configuration settles the order should they not be.
        listed.sort_by(|left, right| left.0.cmp(&right.0).then_with(|| left.1.cmp(right.1)));
        let next_index = listed.last().map_or(0, |(index, ..)| u64::from(*index) + 1);
        let mut seen = Seen::default();
        for (_, configuration, _) in &listed {
            seen.insert(space, configuration);
        }
        let trials = listed
            .into_iter()
            .map(|(_, configuration, loss)| KnownTrial {
                configuration: configuration.clone(),
                loss,
            })
            .collect();
        Self {
            trials,
            seen,
            next_index,
        }
    }

    /// All trials in order of their index.
    pub(super) fn trials(&self) -> &[KnownTrial] {
        &self.trials
    }

    /// The index after the largest one, which names the stream of random numbers.
    pub(super) fn next_index(&self) -> u64 {
        self.next_index
    }

    /// Whether some trial has this configuration.
    pub(super) fn has_seen(&self, space: &Space, configuration: &Configuration) -> bool {
        self.seen.contains(space, configuration)
    }

    /// How many different configurations of the space were tried.
    pub(super) fn distinct(&self) -> u128 {
        self.seen.members
    }
}

/// Configurations by their exact values; continuous values are compared up to rounding, because a value may lose its last bit on
/// the way through text.
#[derive(Default)]
struct Seen {
    by_exact_part: BTreeMap<Configuration, Vec<Vec<f64>>>,
    members: u128,
}

impl Seen {
    fn insert(&mut self, space: &Space, configuration: &Configuration) {
        let admitted = space.admit(configuration);
        let is_member = admitted.is_ok();
        let (exact, continuous) = split(space, admitted.as_ref().unwrap_or(configuration));
        let alike = self.by_exact_part.entry(exact).or_default();
        if !alike.iter().any(|other| same(other, &continuous)) {
            alike.push(continuous);
            self.members += u128::from(is_member);
        }
    }

    fn contains(&self, space: &Space, configuration: &Configuration) -> bool {
        let (exact, continuous) = split(space, configuration);
        let alike = self.by_exact_part.get(&exact);
        alike.is_some_and(|alike| alike.iter().any(|other| same(other, &continuous)))
    }
}

/// The exact values, with an empty text in place of each continuous value; and the continuous values.
fn split(space: &Space, configuration: &Configuration) -> (Configuration, Vec<f64>) {
    let mut continuous = Vec::new();
    let exact = configuration
        .iter()
        .map(|(name, value)| {
            let number = value
                .as_number()
                .filter(|_| space.axis(name).is_some_and(|axis| axis.is_continuous()));
            let kept = match number {
                Some(number) => {
                    continuous.push(number);
                    ParameterValue::Text(String::new())
                }
                None => value.clone(),
            };
            (name.clone(), kept)
        })
        .collect();
    (exact, continuous)
}

/// Whether two configurations of a space are one, up to the rounding of continuous values.
#[must_use]
pub fn alike(space: &Space, left: &Configuration, right: &Configuration) -> bool {
    let (left, right) = (split(space, left), split(space, right));
    left.0 == right.0 && same(&left.1, &right.1)
}

fn same(left: &[f64], right: &[f64]) -> bool {
    left.iter()
        .zip(right)
        .all(|(left, right)| (left - right).abs() <= 1e-12 * left.abs().max(right.abs()))
}
