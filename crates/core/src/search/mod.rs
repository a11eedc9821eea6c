//! Search algorithms: which configuration to try next.
//!
//! A suggestion is a pure function of the space, the seed, the finished trials and the pending ones.

use serde::{Deserialize, Serialize};

use crate::random::Stream;
use crate::space::Space;
use crate::value::Configuration;

/// Whether a larger or a smaller objective is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// Larger is better.
    Maximize,
    /// Smaller is better.
    Minimize,
}

/// Settings of [`Algorithm::Hyperopt`]; the defaults are those of hyperopt 0.3.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HyperoptSettings {
    /// Random trials before the model takes over (`n_startup_jobs`).
    pub startup_trials: u32,
    /// The best `gamma` times the square root of n trials count as good.
    pub gamma: f64,
    /// Draws among which the best is taken, per parameter (`n_EI_candidates`).
    pub candidates: u32,
    /// Weight of the prior against one observation.
    pub prior_weight: f64,
    /// Number of latest observations with full weight; older ones fade linearly.
    pub linear_forgetting: u32,
}

impl Default for HyperoptSettings {
    fn default() -> Self {
        Self {
            startup_trials: 20,
            gamma: 0.25,
            candidates: 24,
            prior_weight: 1.0,
            linear_forgetting: 25,
        }
    }
}

/// How configurations are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Algorithm {
    /// The best that Podium has for the space at hand.
    #[default]
    Auto,
    /// hyperopt's tree of Parzen estimators.
    Hyperopt(HyperoptSettings),
    /// Independent draws from the space.
    Random,
    /// Every point of a finite space once, in order.
    Grid,
    /// A scrambled Sobol sequence.
    Sobol,
}

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

/// An answer to [`suggest`].
#[derive(Clone, Debug, PartialEq)]
pub enum Suggestion {
    /// Try this next.
    Next {
        /// A configuration that no known trial has.
        configuration: Configuration,
        /// The algorithm that proposed it, as written in `Trial.spec.origin`.
        origin: &'static str,
    },
    /// Nothing is left to try.
    Exhausted {
        /// Why, in words.
        reason: String,
    },
}

/// The next configuration to try.
#[must_use]
pub fn suggest(space: &Space, _algorithm: &Algorithm, seed: u64, history: &History) -> Suggestion {
    let known = (history.finished.len() + history.pending.len()) as u64;
    Suggestion::Next {
        configuration: space.draw(&mut Stream::new(seed, &[known])),
        origin: "Random",
    }
}
