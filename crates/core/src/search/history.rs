//! What is known about a search when the next configuration is chosen.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::Direction;
use crate::space::Space;
use crate::value::{Configuration, ParameterValue};

/// Continuous values that differ by no more than this share of them are the same.
const ROUNDING: f64 = 1e-12;

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

/// Trials as algorithms see them, in order of index, with losses to be minimised. It grows trial by trial, so that whoever keeps it need
/// not go over all of them for every suggestion.
#[derive(Clone, Debug, Default)]
pub struct Explored {
    trials: Vec<KnownTrial>,
    seen: Seen,
}

/// One trial as algorithms see it.
#[derive(Clone, Debug)]
pub(super) struct KnownTrial {
    index: u32,
    pub(super) configuration: Configuration,
    /// Smaller is better; `None` for a trial that is pending, failed or infeasible.
    pub(super) loss: Option<f64>,
}

impl KnownTrial {
    /// Indices are unique in a search; the configuration settles the order should they not be.
    fn order(&self, other: &Self) -> Ordering {
        let by_index = self.index.cmp(&other.index);
        by_index.then_with(|| self.configuration.cmp(&other.configuration))
    }
}

impl Explored {
    /// Takes in a trial that is over. The order in which trials are taken in does not matter.
    pub fn add_finished(&mut self, space: &Space, direction: Direction, trial: &Finished) {
        let sign = match direction {
            Direction::Minimize => 1.0,
            Direction::Maximize => -1.0,
        };
        let loss = match trial.outcome {
            Outcome::Value(value) if value.is_finite() => Some(sign * value),
            Outcome::Value(_) | Outcome::Failed | Outcome::Infeasible => None,
        };
        self.add(space, trial.index, &trial.configuration, loss);
    }

    fn add(&mut self, space: &Space, index: u32, configuration: &Configuration, loss: Option<f64>) {
        self.seen.insert(space, configuration);
        let trial = KnownTrial {
            index,
            configuration: configuration.clone(),
            loss,
        };
        let place = self
            .trials
            .partition_point(|known| known.order(&trial) == Ordering::Less);
        self.trials.insert(place, trial);
    }
}

/// All that is known when a configuration is chosen: what is kept of finished trials, and the others on top of it.
#[derive(Debug)]
pub struct Known<'a> {
    kept: &'a Explored,
    more: Explored,
}

impl<'a> Known<'a> {
    /// Nothing but what is kept.
    #[must_use]
    pub fn after(kept: &'a Explored) -> Self {
        Self {
            kept,
            more: Explored::default(),
        }
    }

    /// Takes in a whole history.
    pub(super) fn add_history(&mut self, space: &Space, history: &History) {
        for trial in &history.finished {
            self.add_finished(space, history.direction, trial);
        }
        for trial in &history.pending {
            self.add_pending(space, trial.index, &trial.configuration);
        }
    }

    /// Takes in a trial that is over.
    pub fn add_finished(&mut self, space: &Space, direction: Direction, trial: &Finished) {
        self.more.add_finished(space, direction, trial);
    }

    /// Takes in a trial that is suggested, queued or running.
    pub fn add_pending(&mut self, space: &Space, index: u32, configuration: &Configuration) {
        self.more.add(space, index, configuration, None);
    }

    /// All trials in order of their index.
    pub(super) fn trials(&self) -> Vec<&KnownTrial> {
        let (kept, more) = (&self.kept.trials, &self.more.trials);
        let mut all: Vec<&KnownTrial> = kept.iter().chain(more).collect();
        // Two runs in order, which the sort finds.
        all.sort_by(|left, right| left.order(right));
        all
    }

    /// How many trials there are.
    pub(super) fn count(&self) -> usize {
        self.kept.trials.len() + self.more.trials.len()
    }

    /// The index after the largest one, which names the stream of random numbers.
    pub(super) fn next_index(&self) -> u64 {
        let last = [self.kept.trials.last(), self.more.trials.last()];
        let last = last.into_iter().flatten().map(|trial| trial.index).max();
        last.map_or(0, |index| u64::from(index) + 1)
    }

    /// Whether some trial has this configuration.
    #[must_use]
    pub fn has_seen(&self, space: &Space, configuration: &Configuration) -> bool {
        self.kept.seen.contains(space, configuration)
            || self.more.seen.contains(space, configuration)
    }

    /// How many different configurations of the space were tried.
    pub(super) fn distinct(&self) -> u128 {
        self.kept
            .seen
            .members
            .saturating_add(self.more.seen.members_beside(&self.kept.seen))
    }
}

/// Configurations by their exact values; continuous values are compared up to rounding, because a value may lose its last bit on
/// the way through text.
#[derive(Clone, Debug, Default)]
struct Seen {
    by_exact_part: BTreeMap<Configuration, Alike>,
    members: u128,
}

/// The continuous values of configurations that agree in the others, by the first of them.
type Alike = BTreeMap<InOrder, Vec<(Vec<f64>, bool)>>;

/// A number by which can be searched.
#[derive(Clone, Copy, Debug)]
struct InOrder(f64);

impl PartialEq for InOrder {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for InOrder {}

impl PartialOrd for InOrder {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for InOrder {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Seen {
    fn insert(&mut self, space: &Space, configuration: &Configuration) {
        let admitted = space.admit(configuration);
        let is_member = admitted.is_ok();
        let (exact, continuous) = split(space, admitted.as_ref().unwrap_or(configuration));
        let alike = self.by_exact_part.entry(exact).or_default();
        if !holds(alike, &continuous) {
            let entry = alike.entry(first(&continuous)).or_default();
            entry.push((continuous, is_member));
            self.members += u128::from(is_member);
        }
    }

    fn contains(&self, space: &Space, configuration: &Configuration) -> bool {
        let (exact, continuous) = split(space, configuration);
        let alike = self.by_exact_part.get(&exact);
        alike.is_some_and(|alike| holds(alike, &continuous))
    }

    /// How many configurations of the space are here and not in `other`.
    fn members_beside(&self, other: &Self) -> u128 {
        let mut members = 0;
        for (exact, alike) in &self.by_exact_part {
            let there = other.by_exact_part.get(exact);
            for (continuous, is_member) in alike.values().flatten() {
                let is_there = there.is_some_and(|there| holds(there, continuous));
                members += u128::from(*is_member && !is_there);
            }
        }
        members
    }
}

fn first(continuous: &[f64]) -> InOrder {
    InOrder(continuous.first().copied().unwrap_or(0.0))
}

/// Whether these continuous values are among `alike`, up to rounding.
fn holds(alike: &Alike, continuous: &[f64]) -> bool {
    let InOrder(first) = first(continuous);
    let reach = 2.0 * ROUNDING * first.abs();
    let near = alike.range(InOrder(first - reach)..=InOrder(first + reach));
    let mut near = near.flat_map(|(_, listed)| listed);
    near.any(|(other, _)| same(other, continuous))
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
        .all(|(left, right)| (left - right).abs() <= ROUNDING * left.abs().max(right.abs()))
}
