//! What the search algorithm is told of the trials so far.

use super::trial::Phase;
use super::{ObservedTrial, Settings};
use crate::objective::Objective;
use crate::search::{Finished, History, Outcome, Pending, Suggestion, complete};
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
/// One that has been tried already, or that cannot be completed inside the space, is skipped.
pub(super) fn initial_trial(
    settings: &Settings,
    index: u32,
    history: &History,
) -> Option<(Configuration, String)> {
    let position = usize::try_from(index).ok()?.checked_sub(1)?;
    let given = settings.initial_trials.get(position)?;
    match complete(&settings.space, given, settings.seed, history) {
        Suggestion::Next { configuration, .. } => Some((configuration, "Initial".to_string())),
        Suggestion::Exhausted { .. } => None,
    }
}
