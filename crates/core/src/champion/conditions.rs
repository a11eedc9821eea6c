//! The conditions of a `ChampionPolicy`, derived from its plan.

use super::checks::exists;
use super::plan::Plan;
use super::reason::{Phase, Reason};
use super::{ChampionInput, Exclusivity};
use crate::tuning::conditions::{Condition, Status};

/// The conditions that go with a plan, in a fixed order. `Stalled` is abnormal, and absent instead of false.
#[must_use]
pub fn conditions(plan: &Plan, input: &ChampionInput<'_>) -> Vec<Condition> {
    let (policy, registry) = (input.policy, input.registry);
    let holds = |yes: bool| if yes { Status::True } else { Status::False };
    let champion = registry.and_then(|view| view.aliases.get(&policy.aliases.champion));
    let recorded = plan.memory.champion.as_ref().map(|c| &c.version);
    let blocked = plan.phase == Phase::Blocked;
    let missing = matches!(
        plan.reason,
        Reason::EvidenceMissing
            | Reason::EvaluationFailed
            | Reason::EvaluationNotOurs
            | Reason::EvidenceChanged
            | Reason::EvidenceUnconfirmed
            | Reason::HoldoutUsedUp
    );
    let owned = plan.reason != Reason::AliasOwnedByOther;
    let allowed = matches!(plan.phase, Phase::Watching | Phase::Promoting);
    let condition = |kind, status| Condition {
        kind,
        status,
        reason: plan.reason.name().to_string(),
        message: plan.message.clone(),
    };
    let mut conditions = vec![
        condition("Ready", holds(!blocked)),
        condition("RegistryReachable", Status::True),
        condition(
            "ChampionPresent",
            holds(champion.is_some_and(|version| exists(input, version))),
        ),
        condition(
            "AliasInSync",
            holds(plan.memory.in_flight.is_none() && champion == recorded),
        ),
        condition(
            "EvidenceComplete",
            holds(!missing && plan.phase != Phase::Evaluating),
        ),
        condition("PromotionAllowed", holds(allowed)),
    ];
    conditions.push(match policy.exclusivity {
        Exclusivity::Ledger => condition("ExclusiveOwner", holds(owned)),
        Exclusivity::Guarded => Condition {
            kind: "ExclusiveOwner",
            status: holds(false),
            reason: "Guarded".to_string(),
            message: guarded(input.ledger_denied),
        },
    });
    if blocked {
        conditions.push(condition("Stalled", Status::True));
    }
    conditions
}

fn guarded(ledger_denied: Option<&str>) -> String {
    let why = match ledger_denied {
        Some(why) => format!("no ledger can be kept: {why}"),
        None => "`promotion.exclusivity` is Guarded".to_string(),
    };
    format!("{why}; nothing is claimed, so another cluster could move the alias too")
}
