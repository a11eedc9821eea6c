//! What the search algorithm is told of the trials so far.

use super::trial::Phase;
use super::{ObservedTrial, Settings};
use crate::objective::Objective;
use crate::search::{Finished, History, Outcome, Pending, alike};
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

/// The configuration that the user wants as the `index`-th trial, unless it has been tried already.
pub(super) fn initial_trial(
    settings: &Settings,
    index: u32,
    history: &History,
) -> Option<(Configuration, String)> {
    let position = usize::try_from(index).ok()?.checked_sub(1)?;
    let given = settings.initial_trials.get(position)?;
    let finished = history.finished.iter().map(|trial| &trial.configuration);
    let pending = history.pending.iter().map(|trial| &trial.configuration);
    let is_new = finished
        .chain(pending)
        .all(|tried| !alike(&settings.space, tried, given));
    is_new.then(|| (given.clone(), "Initial".to_string()))
}
