//! The conditions of a `ChampionPolicy`, derived from its plan.

use super::{Phase, Plan, RegistryView};
use crate::tuning::conditions::{Condition, Status};

/// The conditions that go with a plan, in a fixed order. Abnormal ones are absent instead of false.
#[must_use]
pub fn conditions(
    plan: &Plan,
    registry: Option<&RegistryView>,
    champion_alias: &str,
) -> Vec<Condition> {
    let holds = |yes: bool| if yes { Status::True } else { Status::False };
    let present = registry.is_some_and(|view| view.aliases.contains_key(champion_alias));
    let blocked = plan.phase == Phase::Blocked;
    let missing_evidence = matches!(
        plan.reason,
        "EvidenceMissing" | "EvaluationFailed" | "HoldoutUsedUp"
    );
    let in_sync = plan.reason != "AliasMovedByOthers" && plan.memory.in_flight.is_none();
    let always = [
        ("Ready", holds(!blocked)),
        ("RegistryReachable", Status::True),
        ("ChampionPresent", holds(present)),
        ("AliasInSync", holds(in_sync)),
        (
            "EvidenceComplete",
            holds(!missing_evidence && plan.phase != Phase::Evaluating),
        ),
        (
            "PromotionAllowed",
            holds(matches!(plan.phase, Phase::Watching | Phase::Promoting)),
        ),
    ];
    let stalled = blocked.then_some(("Stalled", Status::True));
    always
        .into_iter()
        .chain(stalled)
        .map(|(kind, status)| Condition {
            kind,
            status,
            reason: plan.reason.to_string(),
            message: plan.message.clone(),
        })
        .collect()
}
