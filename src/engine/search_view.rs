//! What is kept of a search between two looks at it: trials that ended are added up once and not looked at again.

use super::trial::{belongs_to, is_deleted};
use super::tuning_job::observed_trial;
use kube::ResourceExt;
use podium_api::convert::record_of;
use podium_api::{Trial, TuningJob};
use podium_core::tuning::{FinishedTrials, REFIT_ORIGIN, Settings};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The trials of one search as they were last seen.
#[derive(Debug, Default)]
pub(super) struct SearchView {
    /// Uid and generation of the search.
    made_of: (Option<String>, Option<i64>),
    seen: Vec<Arc<Trial>>,
    /// Places in `seen` of the trials that may change.
    open: BTreeSet<usize>,
    finished: FinishedTrials,
    /// The last ones of those that are added up.
    latest: Vec<Arc<Trial>>,
    added_up: usize,
}

impl SearchView {
    /// Takes in what changed since the last look.
    pub(super) fn take_in(
        &mut self,
        job: &TuningJob,
        settings: &Settings,
        trials: &[Arc<Trial>],
        latest: usize,
    ) {
        let made_of = (job.uid(), job.metadata.generation);
        if self.made_of != made_of || !self.goes_on_as(trials) {
            *self = Self {
                made_of,
                ..Self::default()
            };
        }
        for (place, trial) in trials.iter().enumerate() {
            match self.seen.get_mut(place) {
                Some(seen) if Arc::ptr_eq(seen, trial) => {}
                Some(seen) => {
                    *seen = Arc::clone(trial);
                    // What else changed says nothing new of the search.
                    if self.open.contains(&place) {
                        self.sort_in(job, settings, place, trial, latest);
                    }
                }
                None => {
                    self.seen.push(Arc::clone(trial));
                    self.sort_in(job, settings, place, trial, latest);
                }
            }
        }
    }

    /// Whether nothing but open trials changed, or what is said of others beside their record, and nothing was deleted.
    fn goes_on_as(&self, trials: &[Arc<Trial>]) -> bool {
        let mut seen = self.seen.iter().zip(trials).enumerate();
        trials.len() >= self.seen.len()
            && seen.all(|(place, (seen, trial))| {
                Arc::ptr_eq(seen, trial)
                    || (seen.metadata.uid == trial.metadata.uid
                        && (self.open.contains(&place) || is_alike(seen, trial)))
            })
    }

    fn sort_in(
        &mut self,
        job: &TuningJob,
        settings: &Settings,
        place: usize,
        trial: &Arc<Trial>,
        latest: usize,
    ) {
        self.open.remove(&place);
        // One that is deleted is seen to be gone when it is.
        if !belongs_to(trial, job) || is_deleted(trial.as_ref()) {
            return;
        }
        let record = record_of(trial.status.as_ref());
        if !record.phase.is_finished() || trial.spec.origin == REFIT_ORIGIN {
            self.open.insert(place);
            return;
        }
        let observed = observed_trial(trial, settings, record);
        self.finished.add(settings, &observed);
        self.added_up += 1;
        self.latest.push(Arc::clone(trial));
        sort_latest(&mut self.latest, latest);
    }

    /// The trials that are not added up, by index.
    pub(super) fn open(&self) -> Vec<Arc<Trial>> {
        let open = self.open.iter().filter_map(|place| self.seen.get(*place));
        let mut open: Vec<Arc<Trial>> = open.cloned().collect();
        open.sort_by_key(|trial| trial.spec.index);
        open
    }

    /// The trials that are added up.
    pub(super) fn finished(&self) -> &FinishedTrials {
        &self.finished
    }

    /// Whether the search has any trial.
    pub(super) fn has_trials(&self) -> bool {
        self.added_up > 0 || !self.open.is_empty()
    }

    /// The last `count` trials that ended, the newest first.
    pub(super) fn latest(&self, count: usize) -> Vec<Arc<Trial>> {
        let has_ended = |trial: &Arc<Trial>| {
            trial
                .status
                .as_ref()
                .is_some_and(|status| status.completion_time.is_some())
        };
        let mut latest = self.latest.clone();
        latest.extend(self.open().into_iter().filter(has_ended));
        sort_latest(&mut latest, count);
        latest
    }
}

/// Whether two looks at a trial say the same of it as far as its search is concerned, such as before and after its end was logged.
fn is_alike(one: &Trial, other: &Trial) -> bool {
    let record = |trial: &Trial| record_of(trial.status.as_ref());
    is_deleted(one) == is_deleted(other) && record(one) == record(other)
}

fn sort_latest(trials: &mut Vec<Arc<Trial>>, count: usize) {
    trials.sort_by_key(|trial| {
        let time = trial
            .status
            .as_ref()
            .and_then(|s| s.completion_time.as_ref());
        std::cmp::Reverse((time.map(|time| time.0), trial.spec.index))
    });
    trials.truncate(count);
}
