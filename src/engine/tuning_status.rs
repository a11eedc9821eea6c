//! The status of a search, made anew from its trials every time.

use super::tuning_job::Observed;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt;
use podium_api::Trial;
use podium_api::convert::{from_time, is_own_condition, name_of, to_time, with_conditions};
use podium_api::tuning_job::{BestTrial, RecentTrial, TrialCounts, TuningJobStatus};
use podium_core::time::Timestamp;
use podium_core::tuning::conditions::conditions;
use podium_core::tuning::{Phase, TuningReport};
use std::sync::Arc;

pub(super) const RECENT_TRIALS: usize = 5;

/// What a report changes in a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing that is worth a write.
    None,
    /// Counts moved.
    Counts,
    /// The search came to another state.
    State,
}

/// How long a search has been at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SearchClock {
    /// When it was first acted on.
    pub(super) started: Timestamp,
    /// For how many milliseconds it was suspended since, not counting the present suspension.
    suspended: u64,
    /// Since when it is suspended.
    suspended_since: Option<Timestamp>,
}

impl SearchClock {
    /// Of a search that is acted on first now.
    pub(super) fn begin(now: Timestamp) -> Self {
        Self {
            started: now,
            suspended: 0,
            suspended_since: None,
        }
    }

    /// As its status tells.
    pub(super) fn of(status: &TuningJobStatus, now: Timestamp) -> Self {
        let suspended = status.conditions.iter().find(|c| c.type_ == "Suspended");
        let suspended_since = suspended
            .filter(|condition| condition.status == "True")
            .map(|condition| from_time(&condition.last_transition_time));
        let seconds = u64::try_from(status.suspended_seconds.unwrap_or(0)).unwrap_or(0);
        Self {
            started: status.start_time.as_ref().map_or(now, end_of_second),
            suspended: seconds.saturating_mul(1000),
            suspended_since,
        }
    }

    /// For how many milliseconds it was suspended until now.
    pub(super) fn suspended_until(&self, now: Timestamp) -> u64 {
        let present = self
            .suspended_since
            .map(|since| now.milliseconds_since(since));
        let present = u64::try_from(present.unwrap_or(0)).unwrap_or(0);
        self.suspended.saturating_add(present)
    }

    /// What is recorded of it; a suspension is added when it is over.
    fn recorded(&self, is_suspended: bool, now: Timestamp) -> Option<i64> {
        let milliseconds = match is_suspended {
            true => self.suspended,
            false => self.suspended_until(now),
        };
        let seconds = i64::try_from(milliseconds / 1000).unwrap_or(i64::MAX);
        (seconds > 0).then_some(seconds)
    }
}

/// The last moment of the second that a status names: no deadline comes early for what the status leaves out.
pub(super) fn end_of_second(time: &Time) -> Timestamp {
    Timestamp(from_time(time).0.saturating_add(999))
}

/// How much differs; an estimate that moves with the clock is no difference.
pub(super) fn change(before: &TuningJobStatus, after: &TuningJobStatus) -> Change {
    let state = |status: &TuningJobStatus| {
        let conditions: Vec<_> = status
            .conditions
            .iter()
            .filter(|condition| is_own_condition(&condition.type_))
            .map(
                |Condition {
                     type_,
                     status,
                     reason,
                     ..
                 }| { (type_.clone(), status.clone(), reason.clone()) },
            )
            .collect();
        (
            status.phase.clone(),
            conditions,
            status.observed_generation,
            status.registered.clone(),
            status.tracking.clone(),
        )
    };
    if state(before) != state(after) {
        return Change::State;
    }
    let estimated = TuningJobStatus {
        estimated_completion_time: before.estimated_completion_time.clone(),
        ..after.clone()
    };
    // What somebody else says of the search is not Podium's to write.
    let mut before = before.clone();
    before
        .conditions
        .retain(|condition| is_own_condition(&condition.type_));
    if estimated == before {
        Change::None
    } else {
        Change::Counts
    }
}

pub(super) fn status_of(
    observed: &Observed,
    before: &TuningJobStatus,
    report: &TuningReport,
    clock: &SearchClock,
    now: Timestamp,
) -> TuningJobStatus {
    let generation = observed.job.metadata.generation;
    let number = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    let counts = report.counts;
    TuningJobStatus {
        observed_generation: generation,
        phase: Some(name_of(report.phase)),
        conditions: with_conditions(&before.conditions, &conditions(report), generation, now),
        start_time: Some(to_time(clock.started)),
        suspended_seconds: clock.recorded(report.phase == Phase::Suspended, now),
        // A search that goes on after its end has not ended.
        completion_time: report.finished.then(|| {
            before
                .completion_time
                .clone()
                .unwrap_or_else(|| to_time(now))
        }),
        trials: Some(TrialCounts {
            total: number(counts.total),
            pending: number(counts.pending),
            queued: number(counts.queued),
            running: number(counts.running),
            succeeded: number(counts.succeeded),
            stopped_early: number(counts.stopped_early),
            infeasible: number(counts.infeasible),
            failed: number(counts.failed),
            retried: number(counts.retried),
        }),
        progress: Some(report.progress.clone()),
        best: report.best.as_ref().map(|best| BestTrial {
            trial: best.trial.clone(),
            objective: best.objective,
            metrics: best.metrics.clone(),
            parameters: best.parameters.clone(),
            interval: None,
            indistinguishable: Vec::new(),
        }),
        importance: Vec::new(),
        recent_trials: recent(&observed.view.latest(RECENT_TRIALS)),
        estimated_completion_time: report.estimated_completion.map(to_time),
        tracking: before.tracking.clone(),
        registered: before.registered.clone(),
    }
}

fn recent(trials: &[Arc<Trial>]) -> Vec<RecentTrial> {
    trials
        .iter()
        .map(|t| RecentTrial {
            name: t.name_any(),
            phase: t
                .status
                .as_ref()
                .and_then(|s| s.phase.clone())
                .unwrap_or_default(),
            objective: t.status.as_ref().and_then(|s| s.objective),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_of_somebody_else_is_no_reason_to_write() {
        let after = TuningJobStatus::default();
        let foreign: Condition = serde_json::from_value(
            serde_json::json!({"type": "example.com/Seen", "status": "True",
            "reason": "Seen", "message": "", "lastTransitionTime": "2026-11-25T10:00:00Z"}),
        )
        .unwrap();
        let before = TuningJobStatus {
            conditions: vec![foreign],
            ..after.clone()
        };
        assert_eq!(change(&before, &after), Change::None);
    }

    #[test]
    fn a_stored_start_is_never_before_the_moment_it_stands_for() {
        for moment in [0, 1, 499, 500, 999, 1_000, 1_764_191_723_456].map(Timestamp) {
            let known = end_of_second(&to_time(moment));
            assert!(known >= moment && known.milliseconds_since(moment) < 1_000);
            assert_eq!(
                to_time(known),
                to_time(moment),
                "what is written stays the same"
            );
        }
    }

    #[test]
    fn a_clock_stands_while_its_search_is_suspended() {
        let at = |seconds: i64| Timestamp(1_764_000_000_000 + seconds * 1000);
        let suspended: Condition = serde_json::from_value(serde_json::json!({
            "type": "Suspended", "status": "True", "reason": "SuspendedByUser", "message": "",
            "lastTransitionTime": to_time(at(100)),
        }))
        .unwrap();
        let mut status = TuningJobStatus {
            start_time: Some(to_time(at(0))),
            suspended_seconds: Some(20),
            conditions: vec![suspended],
            ..TuningJobStatus::default()
        };
        let clock = SearchClock::of(&status, at(130));
        assert_eq!(clock.suspended_until(at(130)), 50_000);
        assert_eq!(clock.recorded(true, at(130)), Some(20));
        assert_eq!(clock.recorded(false, at(130)), Some(50));
        status.conditions[0].status = "False".to_string();
        let clock = SearchClock::of(&status, at(130));
        assert_eq!(clock.suspended_until(at(130)), 20_000);
        assert_eq!(SearchClock::begin(at(1)).recorded(false, at(9)), None);
    }

    #[test]
    fn a_write_is_worth_what_changed() {
        let before = TuningJobStatus {
            phase: Some("Running".to_string()),
            progress: Some("1/3".to_string()),
            ..TuningJobStatus::default()
        };
        let mut after = before.clone();
        assert_eq!(change(&before, &after), Change::None);
        after.estimated_completion_time = Some(to_time(Timestamp(5_000)));
        assert_eq!(change(&before, &after), Change::None);
        after.progress = Some("2/3".to_string());
        assert_eq!(change(&before, &after), Change::Counts);
        after.phase = Some("Succeeded".to_string());
        assert_eq!(change(&before, &after), Change::State);
    }
}
