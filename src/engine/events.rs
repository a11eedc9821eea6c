//! What people are told of a search and its trials, as events: each change once.

use crate::ports::EventRecord;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Resource, ResourceExt};
use podium_api::convert::{parameters_text, settled_condition};
use podium_api::tuning_job::TuningJobStatus;
use podium_api::{Trial, TuningJob};
use podium_core::significant::four_digits;
use podium_core::tuning::trial::{Phase, TrialRecord};
use std::time::Duration;

/// Kubernetes refuses notes of more than 1,024 bytes.
const NOTE_BYTES: usize = 1024;

/// A run of a trial was started.
pub(super) fn run_started(trial: &Trial, attempt: u32) -> EventRecord {
    EventRecord {
        regarding: trial.object_ref(&()),
        related: None,
        warning: false,
        reason: "RunStarted".to_string(),
        action: "StartRun",
        note: note(&format!(
            "run {attempt} was started with {}",
            parameters_text(&trial.spec.parameters)
        )),
        took: None,
    }
}

/// A trial ended, waits for something, or is run again: said of its search.
pub(super) fn trial_changed(
    job: &TuningJob,
    trial: &Trial,
    before: &TrialRecord,
    record: &TrialRecord,
) -> Option<EventRecord> {
    let name = trial.name_any();
    let because = record.reason.map_or("", |reason| reason.as_str());
    let (warning, reason, text) = match record.phase {
        Phase::Succeeded => (
            false,
            "TrialSucceeded",
            match record.objective {
                Some(objective) => format!(
                    "{name} ended with {} for {}",
                    four_digits(objective),
                    parameters_text(&trial.spec.parameters)
                ),
                None => format!("{name} ended well"),
            },
        ),
        Phase::StoppedEarly => (false, "TrialStopped", format!("{name}: {}", record.message)),
        Phase::Infeasible => (
            false,
            "TrialInfeasible",
            format!("{name}: {}", record.message),
        ),
        Phase::Failed => (
            true,
            "TrialFailed",
            format!("{name}: {because}: {}", record.message),
        ),
        Phase::Queued | Phase::Running
            if record.reason.is_some() && before.reason != record.reason =>
        {
            (
                true,
                "TrialWaits",
                format!("{name}: {because}: {}", record.message),
            )
        }
        Phase::Pending
            if record.attempts.len() > before.attempts.len() || before.phase != Phase::Pending =>
        {
            (true, "TrialRetried", format!("{name}: {}", record.message))
        }
        Phase::Pending | Phase::Queued | Phase::Running => return None,
    };
    Some(EventRecord {
        regarding: job.object_ref(&()),
        related: Some(related(trial)),
        warning,
        reason: reason.to_string(),
        action: "JudgeTrial",
        note: note(&text),
        took: took(record),
    })
}

/// The search itself came to another state.
pub(super) fn job_changed(
    job: &TuningJob,
    before: &TuningJobStatus,
    after: &TuningJobStatus,
) -> Option<EventRecord> {
    fn state(status: &TuningJobStatus) -> Option<(&str, &str)> {
        let (_, reason, _) = settled_condition(&status.conditions, "Ready")?;
        Some((status.phase.as_deref()?, reason))
    }
    let (phase, reason) = state(after)?;
    if state(before) == Some((phase, reason)) {
        return None;
    }
    let (_, _, message) = settled_condition(&after.conditions, "Ready")?;
    Some(EventRecord {
        regarding: job.object_ref(&()),
        related: None,
        warning: matches!(phase, "Failed" | "Blocked"),
        reason: reason.to_string(),
        action: "PlanSearch",
        note: note(message),
        took: None,
    })
}

/// From the start of a trial's first run to its end.
fn took(record: &TrialRecord) -> Option<Duration> {
    let milliseconds = record.completion?.milliseconds_since(record.start?);
    u64::try_from(milliseconds).ok().map(Duration::from_millis)
}

fn related(trial: &Trial) -> ObjectReference {
    ObjectReference {
        // With it every change of a trial would look like one of another object.
        resource_version: None,
        ..trial.object_ref(&())
    }
}

/// A text, cut where Kubernetes would refuse it.
pub(super) fn note(text: &str) -> String {
    let mut end = NOTE_BYTES.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_string()
}
