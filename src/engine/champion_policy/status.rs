//! What stands in the status of a policy.

use super::Failure;
use super::publication::PUBLISHED;
use crate::engine::retraining;
use podium_api::ChampionPolicy;
use podium_api::champion_policy::{ChampionPolicyStatus, HoldoutStatus, LastEvaluation};
use podium_api::convert::{name_of, policy_status, stalled_conditions, with_conditions};
use podium_core::champion::conditions::conditions;
use podium_core::champion::{ChampionInput, Conclusion, EvaluationState, Plan, challengers};
use podium_core::time::Timestamp;
use podium_core::tuning::conditions::{Condition, Status};

/// Holdouts that are shown.
const HOLDOUTS_SHOWN: usize = 20;

/// What is to be shown of a policy.
pub(super) enum StatusInput {
    /// It could not be planned, or its plan could not be carried out: the phase and the conditions.
    Failed(&'static str, Vec<Condition>),
    /// It was planned.
    Planned(Box<PolicyView>),
}

pub(super) struct PolicyView {
    plan: Plan,
    conditions: Vec<Condition>,
    challenger: Option<String>,
    holdouts: Vec<HoldoutStatus>,
    owner: Option<String>,
}

impl StatusInput {
    /// Nothing is done until somebody changes something.
    pub(super) fn failed(reason: &str, message: &str) -> Self {
        Self::Failed("Blocked", stalled_conditions(reason, message))
    }

    /// What a failure says. One that heals by itself is no reason to call somebody, and is tried again.
    pub(super) fn of_failure(failure: &Failure) -> Self {
        let error = failure.error();
        if !error.is_transient() {
            return Self::failed(error.reason.unwrap_or("CannotCarryOut"), &error.message);
        }
        let condition = |kind, status| Condition {
            kind,
            status,
            reason: "Unavailable".to_string(),
            message: error.message.clone(),
        };
        let mut conditions = vec![
            condition("Ready", Status::False),
            condition("Reconciling", Status::True),
        ];
        if matches!(failure, Failure::Registry(_)) {
            conditions.push(condition("RegistryReachable", Status::False));
        }
        Self::Failed("Degraded", conditions)
    }

    pub(super) fn planned(input: &ChampionInput<'_>, plan: &Plan, object: &ChampionPolicy) -> Self {
        let proposed = plan
            .pending
            .as_ref()
            .map(|pending| pending.wanted.to.clone());
        let newest = challengers(input).pop();
        let alias = &input.policy.aliases.champion;
        let owner = input.ledger.ok().and_then(|ledger| ledger.owner_of(alias));
        Self::Planned(Box::new(PolicyView {
            plan: plan.clone(),
            conditions: conditions(plan, input),
            challenger: proposed
                .or_else(|| plan.memory.in_flight.as_ref().map(|f| f.to.clone()))
                .or_else(|| plan.held_back.clone())
                .or(newest)
                .or_else(|| {
                    let aliases = &input.registry?.aliases;
                    aliases.get(&input.policy.aliases.challenger).cloned()
                }),
            holdouts: holdouts(input, object),
            owner: owner.map(|owner| owner.policy.clone()),
        }))
    }

    /// The same with further conditions.
    pub(super) fn saying(mut self, conditions: impl IntoIterator<Item = Condition>) -> Self {
        match &mut self {
            Self::Failed(_, said) => said.extend(conditions),
            Self::Planned(view) => view.conditions.extend(conditions),
        }
        self
    }

    /// The status after a plan; what it does not say stays as it was.
    pub(super) fn status_of(
        &self,
        object: &ChampionPolicy,
        now: Timestamp,
    ) -> ChampionPolicyStatus {
        let before = object.status.clone().unwrap_or_default();
        let generation = object.metadata.generation;
        retraining::kept(self.status_after(before.clone(), generation, now), &before)
    }

    fn status_after(
        &self,
        before: ChampionPolicyStatus,
        generation: Option<i64>,
        now: Timestamp,
    ) -> ChampionPolicyStatus {
        match self {
            Self::Failed(phase, said) => {
                let mut conditions = with_conditions(&before.conditions, said, generation, now);
                // Without a plan nothing is published and nothing withdrawn, so what was said of that holds.
                let published = before.conditions.iter().find(|c| c.type_ == PUBLISHED);
                conditions.extend(published.cloned());
                ChampionPolicyStatus {
                    observed_generation: generation,
                    phase: Some((*phase).to_string()),
                    conditions,
                    ..before
                }
            }
            Self::Planned(view) => ChampionPolicyStatus {
                observed_generation: generation,
                phase: Some(name_of(view.plan.phase)),
                conditions: with_conditions(&before.conditions, &view.conditions, generation, now),
                challenger: view.challenger.clone(),
                holdouts: merged(view.holdouts.clone(), &before.holdouts),
                owner: view.owner.clone(),
                last_evaluation: last_evaluation(&before, view.plan.conclusion.as_ref()),
                ..policy_status(&view.plan.memory, view.plan.pending.as_ref())
            },
        }
    }
}

/// How often the holdouts of the comparisons at hand have been looked at.
fn holdouts(input: &ChampionInput<'_>, object: &ChampionPolicy) -> Vec<HoldoutStatus> {
    let Ok(ledger) = input.ledger else {
        return Vec::new();
    };
    let name = object
        .spec
        .evidence
        .holdout
        .as_ref()
        .map(|holdout| holdout.name.clone());
    let mut holdouts: Vec<HoldoutStatus> = Vec::new();
    for evaluation in input.evaluations {
        let EvaluationState::Compared(compared) = &evaluation.state else {
            continue;
        };
        if holdouts
            .iter()
            .any(|holdout| holdout.fingerprint == compared.holdout)
        {
            continue;
        }
        let looks = ledger.ordinal(u64::MAX, &compared.holdout, &compared.sketch) - 1;
        holdouts.push(HoldoutStatus {
            name: name.clone(),
            fingerprint: compared.holdout.clone(),
            looks: i32::try_from(looks).unwrap_or(i32::MAX),
            spent: (1..=looks)
                .map(|look| input.policy.reuse.error_at(look))
                .sum(),
        });
    }
    holdouts
}

fn merged(mut newest: Vec<HoldoutStatus>, before: &[HoldoutStatus]) -> Vec<HoldoutStatus> {
    let known: Vec<String> = newest
        .iter()
        .map(|holdout| holdout.fingerprint.clone())
        .collect();
    let older = before
        .iter()
        .filter(|holdout| !known.contains(&holdout.fingerprint));
    newest.extend(older.cloned());
    newest.truncate(HOLDOUTS_SHOWN);
    newest
}

fn last_evaluation(
    before: &ChampionPolicyStatus,
    conclusion: Option<&Conclusion>,
) -> Option<LastEvaluation> {
    let Some(conclusion) = conclusion else {
        return before.last_evaluation.clone();
    };
    let last = before.last_evaluation.as_ref();
    let name = conclusion
        .evaluation
        .clone()
        .or_else(|| Some(last?.name.clone()))?;
    let verdict = conclusion
        .verdict
        .map(str::to_string)
        .or_else(|| Some(last?.verdict.clone()))?;
    Some(LastEvaluation {
        name,
        verdict,
        sentence: conclusion.sentence.chars().take(4096).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Timestamp = Timestamp(1_767_225_600_000);

    fn notified(reason: &str) -> Condition {
        Condition {
            kind: "Notified",
            status: Status::False,
            reason: reason.to_string(),
            message: "why".to_string(),
        }
    }

    #[test]
    fn a_failure_leaves_what_is_said_of_the_champion_that_was_published() {
        let said = |kind: &str, reason: &str| {
            json!({
                "type": kind, "status": "True", "reason": reason, "message": "why",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        };
        let object: ChampionPolicy = serde_json::from_value(json!({
            "apiVersion": "podium.dev/v1alpha1", "kind": "ChampionPolicy",
            "metadata": {"name": "fraud", "generation": 2},
            "spec": {
                "registryRef": {"name": "mlflow"}, "model": "fraud",
                "evidence": {"predictions": {
                    "uri": "s3://a/$(version)", "columns": {"id": "i", "label": "l", "score": "s"},
                }},
            },
            "status": {"conditions": [
                said("Ready", "UpToDate"), said("Published", "Published"), said("Notified", "Notifying"),
            ]},
        }))
        .unwrap();
        let failed = StatusInput::failed("InvalidSpec", "it is");
        let failed = failed.saying([notified("Undelivered")]);
        let conditions = failed.status_of(&object, NOW).conditions;
        let conditions: Vec<(&str, &str)> = conditions
            .iter()
            .map(|c| (c.type_.as_str(), c.reason.as_str()))
            .collect();
        let expected = [
            ("Ready", "InvalidSpec"),
            ("Stalled", "InvalidSpec"),
            ("Notified", "Undelivered"),
            ("Published", "Published"),
        ];
        assert_eq!(conditions, expected);
    }
}
