//! Trials that ended, added up: nothing of them changes any more, so a plan need not go over them again.

use super::report::{Best, Counts};
use super::trial::{Phase, Reason};
use super::{ObservedTrial, Settings, history};
use crate::objective::Objective;
use crate::search::Explored;
use std::collections::BTreeSet;

/// The finished trials of one search, whose space and objective stay the same.
#[derive(Clone, Debug, Default)]
pub struct FinishedTrials {
    pub(super) summary: Summary,
    pub(super) explored: Explored,
    pub(super) taken: Taken,
}

impl FinishedTrials {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a trial that ended. The order in which trials are taken in does not matter.
    pub fn add(&mut self, settings: &Settings, trial: &ObservedTrial) {
        self.summary.add(&settings.objective, trial);
        self.taken.add(trial.index);
        let direction = settings.objective.direction();
        if let Some(finished) = history::finished(trial) {
            self.explored
                .add_finished(&settings.space, direction, &finished);
        }
    }
}

/// What a report says of trials.
#[derive(Clone, Debug, Default)]
pub(super) struct Summary {
    pub(super) counts: Counts,
    best: Option<(u32, Best)>,
    /// The newest trial that failed: its index, and what went wrong.
    last_failed: Option<(u32, String)>,
    /// Milliseconds that trials took, and how many trials.
    took: (i64, i64),
    pub(super) last_index: u32,
    /// Whether trials were stopped because the search had ended.
    cut_short: bool,
}

impl Summary {
    pub(super) fn add(&mut self, objective: &Objective, trial: &ObservedTrial) {
        let record = &trial.record;
        self.counts.add(trial);
        self.last_index = self.last_index.max(trial.index);
        self.cut_short |= record.reason == Some(Reason::SearchEnded);
        if let (Some(start), Some(completion)) = (record.start, record.completion) {
            let (sum, count) = self.took;
            let took = completion.milliseconds_since(start);
            self.took = (sum.saturating_add(took), count + 1);
        }
        if record.phase == Phase::Failed {
            let newest = self
                .last_failed
                .as_ref()
                .is_none_or(|(index, _)| *index <= trial.index);
            if newest {
                let what = format!("{}: {}", trial.name, record.message);
                self.last_failed = Some((trial.index, what));
            }
        }
        if let (Phase::Succeeded, Some(value)) = (record.phase, record.objective)
            && self.is_better(objective, trial.index, value)
        {
            self.best = Some((trial.index, Best::new(trial, value)));
        }
    }

    /// Of equal ones the earliest is the best.
    fn is_better(&self, objective: &Objective, index: u32, value: f64) -> bool {
        self.best.as_ref().is_none_or(|(best_index, best)| {
            objective.is_better(value, best.objective)
                || (!objective.is_better(best.objective, value) && index < *best_index)
        })
    }

    pub(super) fn best(&self) -> Option<&Best> {
        self.best.as_ref().map(|(_, best)| best)
    }

    pub(super) fn last_failed(&self) -> Option<&str> {
        self.last_failed.as_ref().map(|(_, what)| what.as_str())
    }

    /// Whether the search had ended before its trials did: the budget was not spent by trials that came to their own end.
    pub(super) fn was_cut_short(&self) -> bool {
        self.cut_short
    }

    /// The mean of what trials took, in milliseconds.
    pub(super) fn mean_duration(&self) -> Option<i64> {
        let (sum, count) = self.took;
        sum.checked_div(count)
    }
}

/// The places of a search that are taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Taken {
    /// All from 1 up to here.
    all_up_to: u32,
    beyond: BTreeSet<u32>,
}

impl Taken {
    pub(super) fn add(&mut self, index: u32) {
        if index > self.all_up_to {
            self.beyond.insert(index);
        }
        while self.beyond.remove(&self.all_up_to.saturating_add(1)) {
            self.all_up_to += 1;
        }
    }

    /// The free places up to `last`, in order.
    pub(super) fn free(&self, last: u32) -> impl Iterator<Item = u32> {
        let after = self.all_up_to.saturating_add(1);
        (after..=last).filter(|index| !self.beyond.contains(index))
    }
}
