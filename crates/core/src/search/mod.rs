//! Search algorithms: which configuration to try next.
//!
//! A suggestion is a pure function of the space, the seed, the finished trials and the pending ones.

mod grid;
mod history;
mod hyperopt;
mod initial;
mod novelty;
mod parzen;
mod random;
mod sobol;

use serde::{Deserialize, Serialize};

pub use self::history::{Explored, Finished, History, Known, Outcome, Pending, alike};
pub use self::hyperopt::HyperoptSettings;
pub use self::initial::initial_trials;
use crate::random::Stream;
use crate::space::{Space, SpaceError};
use crate::value::Configuration;

/// Whether a larger or a smaller objective is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// Larger is better.
    Maximize,
    /// Smaller is better.
    Minimize,
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

/// The next configuration to try; never one that a known trial has.
///
/// The same arguments give the same suggestion, on any machine and in whatever order trials are listed.
#[must_use]
pub fn suggest(space: &Space, algorithm: &Algorithm, seed: u64, history: &History) -> Suggestion {
    let none = Explored::default();
    let mut known = Known::after(&none);
    known.add_history(space, history);
    suggest_next(space, algorithm, seed, &known)
}

/// What [`suggest`] gives, for whoever keeps what is known.
#[must_use]
pub fn suggest_next(
    space: &Space,
    algorithm: &Algorithm,
    seed: u64,
    known: &Known<'_>,
) -> Suggestion {
    let mut stream = Stream::new(seed, &[known.next_index()]);
    match algorithm.resolve() {
        Algorithm::Grid => grid::suggest(space, known),
        Algorithm::Sobol => sobol::suggest(space, known, seed, &mut stream),
        Algorithm::Random => random::suggest(space, known, &mut stream),
        Algorithm::Hyperopt(settings) => hyperopt::suggest(space, known, &settings, &mut stream),
        Algorithm::Auto => {
            hyperopt::suggest(space, known, &HyperoptSettings::default(), &mut stream)
        }
    }
}

impl Algorithm {
    /// The algorithm that `Auto` stands for; others stand for themselves.
    #[must_use]
    pub fn resolve(&self) -> Self {
        match self {
            Self::Auto => Self::Hyperopt(HyperoptSettings::default()),
            other => *other,
        }
    }

    /// Checks the settings, and whether the algorithm can search `space` at all.
    ///
    /// # Errors
    /// Every problem found, with its path relative to `spec`, such as `algorithm.hyperopt.gamma` or `parameters[2].real`.
    pub fn check(&self, space: &Space) -> Result<(), Vec<SpaceError>> {
        let problems = match self {
            Self::Grid => grid::problems(space),
            Self::Hyperopt(settings) => settings.problems(),
            Self::Auto | Self::Random | Self::Sobol => Vec::new(),
        };
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems)
        }
    }
}

#[cfg(test)]
mod tests;
