//! The status of a search, made anew from its trials every time.

use super::tuning_job::Observed;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use podium_api::Trial;
use podium_api::convert::{is_own_condition, name_of, to_time, with_conditions};
use podium_api::tuning_job::{BestTrial, RecentTrial, TrialCounts, TuningJobStatus};
use podium_core::time::Timestamp;
use podium_core::tuning::TuningReport;
use podium_core::tuning::conditions::conditions;
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
    started: Timestamp,
    now: Timestamp,
) -> TuningJobStatus {
    let generation = observed.job.metadata.generation;
    let number = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    let counts = report.counts;
    TuningJobStatus {
        observed_generation: generation,
        phase: Some(name_of(report.phase)),
        conditions: with_conditions(&before.conditions, &conditions(report), generation, now),
        start_time: Some(to_time(started)),
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
        tracking: None,
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
