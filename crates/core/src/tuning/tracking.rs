//! What is logged of a search: a run for the search itself, and one below it for each trial.
//!
//! | a trial is | its run is |
//! |---|---|
//! | `Pending`, `Queued`, `Running` | `RUNNING` |
//! | `Succeeded`, `Infeasible` | `FINISHED` |
//! | `Failed` | `FAILED` |
//! | `StoppedEarly`, or gone | `KILLED` |
//!
//! | a search is | its run is |
//! |---|---|
//! | `Pending`, `Running`, `Suspended`, `Blocked` | `RUNNING` |
//! | `Succeeded` | `FINISHED` |
//! | `Failed` | `FAILED` |
//! | gone | `KILLED` |
//!
//! The trial's own program may log into its run, too. What it has logged stays: a parameter can be written once only, and a second value of a
//! metric would stand in its curve.

use super::{Phase, trial};
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// The status of a run, by the names of MLflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// It goes on.
    Running,
    /// It came to its end.
    Finished,
    /// It failed.
    Failed,
    /// It was ended.
    Killed,
    /// Somebody has deleted it, so that nothing can be logged there any more.
    Deleted,
}

impl RunStatus {
    /// The status of the run of a trial.
    #[must_use]
    pub fn of_trial(phase: trial::Phase) -> Self {
        match phase {
            trial::Phase::Pending | trial::Phase::Queued | trial::Phase::Running => Self::Running,
            trial::Phase::Succeeded | trial::Phase::Infeasible => Self::Finished,
            trial::Phase::Failed => Self::Failed,
            trial::Phase::StoppedEarly => Self::Killed,
        }
    }

    /// The status of the run of a search. One that is being deleted has it until it is gone.
    #[must_use]
    pub fn of_search(phase: Phase) -> Self {
        match phase {
            Phase::Pending
            | Phase::Running
            | Phase::Suspended
            | Phase::Blocked
            | Phase::Terminating => Self::Running,
            Phase::Succeeded => Self::Finished,
            Phase::Failed => Self::Failed,
        }
    }

    /// Whether nothing more is logged there.
    #[must_use]
    pub fn is_ended(self) -> bool {
        self != Self::Running
    }

    /// The name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Killed => "KILLED",
            Self::Deleted => "DELETED",
        }
    }

    /// Reads a name back.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let all = [
            Self::Running,
            Self::Finished,
            Self::Failed,
            Self::Killed,
            Self::Deleted,
        ];
        all.into_iter().find(|status| status.as_str() == name)
    }
}

/// A metric of a run: the last value of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunMetric {
    /// NaN and infinity are values, too.
    pub value: f64,
    /// When it was logged, by the clock of whoever did.
    pub at: Timestamp,
}

/// What stands in a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunContent {
    /// Parameters by name.
    pub params: BTreeMap<String, String>,
    /// Metrics by name.
    pub metrics: BTreeMap<String, RunMetric>,
}

/// What is to be logged in a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunLog {
    /// Parameters by name.
    pub params: BTreeMap<String, String>,
    /// Metrics by name; finite.
    pub metrics: BTreeMap<String, f64>,
    /// Tags by name; one that exists is replaced.
    pub tags: BTreeMap<String, String>,
    /// When the metrics were measured.
    pub at: Timestamp,
    /// At which step of the run.
    pub step: u32,
}

impl RunLog {
    /// Tags and nothing else.
    #[must_use]
    pub fn of_tags(tags: BTreeMap<String, String>) -> Self {
        Self {
            params: BTreeMap::new(),
            metrics: BTreeMap::new(),
            tags,
            at: Timestamp(0),
            step: 0,
        }
    }

    /// Its parameters and its metrics apart, without the tags.
    #[must_use]
    pub fn apart(&self) -> [Self; 2] {
        let only = |params, metrics| Self {
            params,
            metrics,
            tags: BTreeMap::new(),
            at: self.at,
            step: self.step,
        };
        [
            only(self.params.clone(), BTreeMap::new()),
            only(BTreeMap::new(), self.metrics.clone()),
        ]
    }

    /// The same without what stands there already.
    #[must_use]
    pub fn beside(mut self, there: &RunContent) -> Self {
        self.params
            .retain(|name, _| !there.params.contains_key(name));
        self.metrics
            .retain(|name, _| !there.metrics.contains_key(name));
        self
    }
}

impl RunContent {
    /// The metrics that were logged since then: a run of the trial that was lost has logged here before it.
    #[must_use]
    pub fn metrics_since(&self, since: Timestamp) -> BTreeMap<String, f64> {
        let metrics = self.metrics.iter();
        let new = metrics.filter(|(_, metric)| metric.at >= since);
        new.map(|(name, metric)| (name.clone(), metric.value))
            .collect()
    }
}

/// The uids of a run's search and trial, as its tags name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunOwner<'a> {
    /// Of the search.
    pub search: &'a str,
    /// Of the trial; `None` for the run of the search itself.
    pub trial: Option<&'a str>,
}

/// What an object says of its run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedRun {
    /// Id of the run that it names.
    pub id: Option<String>,
    /// Whether the object has ended, after which it names no other run.
    pub is_over: bool,
}

/// What a search and its trials say of their runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedRuns {
    /// The run of the search itself.
    pub search: NamedRun,
    /// Those of its trials, by uid.
    pub trials: BTreeMap<String, NamedRun>,
}

/// Why a run that goes on belongs to nobody any more; `None` when it does. `searches` has all of them by uid, as they are after the run was
/// seen. A request that arrived late has started a run that its object does not name.
#[must_use]
pub fn why_orphan(
    owner: RunOwner<'_>,
    run: &str,
    searches: &BTreeMap<String, NamedRuns>,
) -> Option<&'static str> {
    let named = searches
        .get(owner.search)
        .and_then(|search| match owner.trial {
            None => Some(&search.search),
            Some(trial) => search.trials.get(trial),
        });
    match named {
        None => Some("its object was deleted"),
        Some(named) if named.is_over && named.id.as_deref() != Some(run) => {
            Some("its object has ended and does not name it")
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for phase in [Phase::Running, Phase::Succeeded, Phase::Failed] {
            let status = RunStatus::of_search(phase);
            assert_eq!(RunStatus::parse(status.as_str()), Some(status));
        }
        let killed = RunStatus::of_trial(trial::Phase::StoppedEarly);
        assert_eq!(killed.as_str(), "KILLED");
        assert_eq!(RunStatus::parse("SCHEDULED"), None);
        let every = [
            trial::Phase::Succeeded,
            trial::Phase::StoppedEarly,
            trial::Phase::Infeasible,
            trial::Phase::Failed,
            trial::Phase::Pending,
            trial::Phase::Queued,
            trial::Phase::Running,
        ];
        for phase in every {
            let is_ended = RunStatus::of_trial(phase).is_ended();
            assert_eq!(is_ended, phase.is_finished(), "{phase:?}");
        }
    }

    #[test]
    fn what_a_program_logged_itself_stays() {
        let text = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            let pairs = pairs.iter();
            pairs
                .map(|(name, value)| ((*name).to_string(), (*value).to_string()))
                .collect()
        };
        let metric = |at| RunMetric {
            value: 0.5,
            at: Timestamp(at),
        };
        let there = RunContent {
            params: text(&[("depth", "5.0")]),
            metrics: BTreeMap::from([
                ("auc".to_string(), metric(7)),
                ("loss".to_string(), metric(3)),
            ]),
        };
        let log = RunLog {
            params: text(&[("depth", "5"), ("rate", "0.1")]),
            metrics: BTreeMap::from([("auc".to_string(), 0.9), ("f1".to_string(), 0.8)]),
            ..RunLog::of_tags(text(&[("podium.dev/phase", "Succeeded")]))
        };
        let beside = log.clone().beside(&there);
        assert_eq!(beside.params, text(&[("rate", "0.1")]));
        assert_eq!(beside.metrics.keys().collect::<Vec<_>>(), ["f1"]);
        assert_eq!(beside.tags, log.tags);
        let since = there.metrics_since(Timestamp(4));
        assert_eq!(since, BTreeMap::from([("auc".to_string(), 0.5)]));
    }

    #[test]
    fn a_run_belongs_to_its_search_and_its_trial() {
        let named = |id: &str, is_over| NamedRun {
            id: Some(id.to_string()).filter(|id| !id.is_empty()),
            is_over,
        };
        let trials = [
            ("begins", named("", false)),
            ("runs", named("2", false)),
            ("ended", named("3", true)),
            ("stopped", named("", true)),
        ];
        let search = |run, trials: &[(&str, NamedRun)]| NamedRuns {
            search: run,
            trials: trials
                .iter()
                .map(|(uid, run)| ((*uid).to_string(), run.clone()))
                .collect(),
        };
        let searches = BTreeMap::from([
            ("runs".to_string(), search(named("1", false), &trials)),
            ("ended".to_string(), search(named("9", true), &[])),
        ]);
        let gone = Some("its object was deleted");
        let unnamed = Some("its object has ended and does not name it");
        let cases = [
            ("runs", None, "1", None),
            // It may be about to be named.
            ("runs", None, "4", None),
            ("runs", Some("begins"), "4", None),
            ("runs", Some("runs"), "2", None),
            ("runs", Some("runs"), "4", None),
            ("runs", Some("ended"), "3", None),
            ("runs", Some("ended"), "4", unnamed),
            ("runs", Some("stopped"), "4", unnamed),
            ("runs", Some("gone"), "4", gone),
            ("ended", None, "9", None),
            ("ended", None, "4", unnamed),
            ("gone", None, "1", gone),
            ("gone", Some("runs"), "2", gone),
        ];
        for (search, trial, run, expected) in cases {
            let owner = RunOwner { search, trial };
            assert_eq!(
                why_orphan(owner, run, &searches),
                expected,
                "{owner:?} {run}"
            );
        }
    }
}
