//! The conditions of a `Trial`, by the same rules as those of its search.

use super::{Phase, TrialRecord};
use crate::tuning::conditions::{Condition, Status};

/// The conditions that go with a record, in a fixed order; those that are abnormal when true are absent instead of false.
#[must_use]
pub fn conditions(record: &TrialRecord) -> Vec<Condition> {
    use Status::{False, True, Unknown};
    let (ready, succeeded, finished, abnormal) = match record.phase {
        Phase::Pending | Phase::Queued => (False, Unknown, False, Some("Reconciling")),
        Phase::Running => (True, Unknown, False, None),
        Phase::Succeeded => (True, True, True, None),
        Phase::StoppedEarly | Phase::Infeasible => (True, False, True, None),
        Phase::Failed => (False, False, True, Some("Stalled")),
    };
    let reason = record
        .reason
        .map_or_else(|| record.phase.as_str(), super::Reason::as_str);
    [
        Some(("Ready", ready)),
        Some(("Succeeded", succeeded)),
        Some(("Finished", finished)),
        abnormal.map(|kind| (kind, True)),
    ]
    .into_iter()
    .flatten()
    .map(|(kind, status)| Condition {
        kind,
        status,
        reason: reason.to_string(),
        message: record.message.clone(),
    })
    .collect()
}
