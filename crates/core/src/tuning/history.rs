//! What the search algorithm is told of the trials so far.

use super::trial::Phase;
use super::{ObservedTrial, Settings};
use crate::objective::Objective;
use crate::search::{Algorithm, Finished, History, Outcome, Pending, Suggestion, suggest};
use crate::value::Configuration;

/// Finished trials with their outcome, unfinished ones as pending.
pub(super) fn history_of(objective: &Objective, trials: &[&ObservedTrial]) -> History {
    let mut history = History {
        direction: objective.direction(),
        finished: Vec::new(),
        pending: Vec::new(),
    };
    for trial in trials {
        match outcome_of(trial) {
            Some(outcome) => history.finished.push(Finished {
                index: trial.index,
                configuration: trial.configuration.clone(),
                outcome,
            }),
            None => add_pending(&mut history, trial.index, &trial.configuration),
        }
    }
    history
}

fn outcome_of(trial: &ObservedTrial) -> Option<Outcome> {
    match (trial.record.phase, trial.record.objective) {
        (Phase::Pending | Phase::Queued | Phase::Running, _) => None,
        (Phase::Succeeded | Phase::StoppedEarly, Some(value)) => Some(Outcome::Value(value)),
        (Phase::Infeasible, _) => Some(Outcome::Infeasible),
        (Phase::Succeeded | Phase::StoppedEarly | Phase::Failed, _) => Some(Outcome::Failed),
    }
}

/// Shows the model a configuration that is being tried.
pub(super) fn add_pending(history: &mut History, index: u32, configuration: &Configuration) {
    history.pending.push(Pending {
        index,
        configuration: configuration.clone(),
    });
}

/// The configuration of the `index`-th trial where the user gave one: the given parameters, the rest suggested.
///
/// A given configuration that has been tried already, or cannot be completed to one inside the space, is skipped.
pub(super) fn initial_trial(
    settings: &Settings,
    index: u32,
    history: &History,
) -> Option<(Configuration, String)> {
    let position = usize::try_from(index).ok()?.checked_sub(1)?;
    let given = settings.initial_trials.get(position)?;
    (0..COMPLETION_ATTEMPTS)
        .filter_map(|attempt| complete(settings, given, attempt))
        .find(|candidate| settings.space.contains(candidate) && !known(history, candidate))
        .map(|configuration| (configuration, "Initial".to_string()))
}

/// Constraints and conditions may refuse a completion; another draw may fit.
const COMPLETION_ATTEMPTS: u32 = 64;

fn complete(settings: &Settings, given: &Configuration, attempt: u32) -> Option<Configuration> {
    if attempt == 0 && settings.space.contains(given) {
        return Some(given.clone());
    }
    let empty = History {
        direction: settings.objective.direction(),
        finished: Vec::new(),
        pending: Vec::new(),
    };
    let seed = super::seed_for(settings, super::Purpose::Completion, attempt);
    match suggest(&settings.space, &Algorithm::Random, seed, &empty) {
        Suggestion::Next {
            mut configuration, ..
        } => {
            configuration.extend(given.clone());
            Some(configuration)
        }
        Suggestion::Exhausted { .. } => None,
    }
}

fn known(history: &History, candidate: &Configuration) -> bool {
    history
        .finished
        .iter()
        .any(|t| &t.configuration == candidate)
        || history
            .pending
            .iter()
            .any(|t| &t.configuration == candidate)
}
