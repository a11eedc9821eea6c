//! What people are told of comparisons as events: of one that begins on itself, of its end and of its troubles on its policy.

use super::events::note;
use crate::ports::EventRecord;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Resource, ResourceExt};
use podium_api::convert::settled_condition;
use podium_api::evaluation::EvaluationStatus;
use podium_api::{ChampionPolicy, Evaluation};

/// A run of a comparison was begun.
pub(super) fn run_begun(
    evaluation: &Evaluation,
    policy: &ChampionPolicy,
    number: u32,
) -> EventRecord {
    let (champion, challenger) = (&evaluation.spec.champion, &evaluation.spec.challenger);
    EventRecord {
        regarding: evaluation.object_ref(&()),
        related: Some(related(policy)),
        warning: false,
        reason: "RunStarted".to_string(),
        action: "Compare",
        note: note(&format!(
            "run {number} was started: version {} is compared with {}",
            challenger.version, champion.version
        )),
        took: None,
    }
}

/// The comparison came to this status, whose reason was not that of the one before.
pub(super) fn changed(
    evaluation: &Evaluation,
    policy: &ChampionPolicy,
    status: &EvaluationStatus,
) -> Option<EventRecord> {
    let (_, reason, message) = settled_condition(&status.conditions, "Ready")?;
    let before = evaluation.status.as_ref();
    let before = before.and_then(|before| settled_condition(&before.conditions, "Ready"));
    if before.is_some_and(|(_, before, _)| before == reason) {
        return None;
    }
    let warning = status.phase.as_deref() == Some(super::evaluation::FAILED);
    Some(EventRecord {
        regarding: policy.object_ref(&()),
        related: Some(related(evaluation)),
        warning,
        reason: reason.to_string(),
        action: "Compare",
        note: note(&format!("{}: {message}", evaluation.name_any())),
        took: None,
    })
}

/// The report of a comparison that has just been made was not written.
pub(super) fn report_not_written(
    evaluation: &Evaluation,
    policy: &ChampionPolicy,
    status: &EvaluationStatus,
) -> Option<EventRecord> {
    let before = evaluation.status.as_ref();
    let before = before.and_then(|before| before.report_message.as_ref());
    let why = status.report_message.as_ref();
    let why = why.filter(|why| before != Some(*why))?;
    Some(EventRecord {
        regarding: policy.object_ref(&()),
        related: Some(related(evaluation)),
        warning: true,
        reason: "ReportNotWritten".to_string(),
        action: "Compare",
        note: note(&format!("{}: {why}", evaluation.name_any())),
        took: None,
    })
}

/// With its version every change of an object would look like one of another object.
fn related(object: &impl Resource<DynamicType = ()>) -> ObjectReference {
    ObjectReference {
        resource_version: None,
        ..object.object_ref(&())
    }
}
