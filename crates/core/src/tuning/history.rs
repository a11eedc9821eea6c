//! What the search algorithm is told of the trials so far.

use super::trial::Phase;
use super::{ObservedTrial, Settings};
use crate::search::{Finished, Known, Outcome};
use crate::value::Configuration;

/// A trial that is over, with what came of it; `None` for one that is not.
pub(super) fn finished(trial: &ObservedTrial) -> Option<Finished> {
    Some(Finished {
        index: trial.index,
        configuration: trial.configuration.clone(),
        outcome: outcome_of(trial)?,
    })
}

/// Shows the model a trial, as finished or as pending.
pub(super) fn add(known: &mut Known<'_>, settings: &Settings, trial: &ObservedTrial) {
    match finished(trial) {
        Some(finished) => {
            known.add_finished(&settings.space, settings.objective.direction(), &finished);
        }
        None => known.add_pending(&settings.space, trial.index, &trial.configuration),
    }
}

fn outcome_of(trial: &ObservedTrial) -> Option<Outcome> {
    match (trial.record.phase, trial.record.objective) {
        (Phase::Pending | Phase::Queued | Phase::Running, _) => None,
        (Phase::Succeeded | Phase::StoppedEarly, Some(value)) => Some(Outcome::Value(value)),
        (Phase::Infeasible, _) => Some(Outcome::Infeasible),
        (Phase::Succeeded | Phase::StoppedEarly | Phase::Failed, _) => Some(Outcome::Failed),
    }
}

/// The configuration that the user wants as the `index`-th trial, unless it has been tried already.
pub(super) fn initial_trial(
    settings: &Settings,
    index: u32,
    known: &Known<'_>,
) -> Option<(Configuration, String)> {
    let position = usize::try_from(index).ok()?.checked_sub(1)?;
    let given = settings.initial_trials.get(position)?;
    let is_new = !known.has_seen(&settings.space, given);
    is_new.then(|| (given.clone(), "Initial".to_string()))
}
