//! What stands in the status of a policy.

use kube::ResourceExt;
use podium_api::champion_policy::{
    ChampionPolicyStatus, ChampionStatus, HoldoutUse, InFlightStatus, LastEvaluation,
    PendingDecision, RejectedStatus,
};
use podium_api::convert::{name_of, to_time, with_conditions};
use podium_api::{ChampionPolicy, Evaluation};
use podium_core::champion::conditions::conditions;
use podium_core::champion::{ChampionRecord, Decision, Memory, Phase, Plan, Policy, RegistryView};
use podium_core::time::Timestamp;
use podium_core::tuning::conditions::{Condition, Status};

const KEPT: usize = 20;

/// What is to be shown of a policy.
pub(super) enum Shown {
    /// Its specification cannot be carried out.
    Invalid { conditions: Vec<Condition> },
    /// It was planned.
    Planned(Box<Planned>),
}

pub(super) struct Planned {
    plan: Plan,
    conditions: Vec<Condition>,
    challenger: Option<String>,
    evaluation: Option<Evaluation>,
}

impl Shown {
    pub(super) fn invalid(message: &str) -> Self {
        let condition = |kind, status| Condition {
            kind,
            status,
            reason: "InvalidSpec".to_string(),
            message: message.to_string(),
        };
        Self::Invalid {
            conditions: vec![
                condition("Ready", Status::False),
                condition("Stalled", Status::True),
            ],
        }
    }

    pub(super) fn planned(
        policy: &Policy,
        plan: &Plan,
        registry: Option<&RegistryView>,
        evaluation: Option<&Evaluation>,
    ) -> Self {
        let challenger = registry.and_then(|view| view.aliases.get(&policy.aliases.challenger));
        Self::Planned(Box::new(Planned {
            plan: plan.clone(),
            conditions: conditions(plan, registry, &policy.aliases.champion),
            challenger: challenger.cloned(),
            evaluation: evaluation.cloned(),
        }))
    }
}

/// The status after a plan; what others wrote before stays.
pub(super) fn status_of(
    object: &ChampionPolicy,
    shown: &Shown,
    now: Timestamp,
) -> ChampionPolicyStatus {
    let before = object.status.clone().unwrap_or_default();
    let generation = object.metadata.generation;
    match shown {
        Shown::Invalid { conditions } => ChampionPolicyStatus {
            observed_generation: generation,
            phase: Some("Blocked".to_string()),
            conditions: with_conditions(&before.conditions, conditions, generation, now),
            ..before
        },
        Shown::Planned(planned) => {
            let memory = &planned.plan.memory;
            ChampionPolicyStatus {
                observed_generation: generation,
                phase: Some(name_of(planned.plan.phase)),
                conditions: with_conditions(
                    &before.conditions,
                    &planned.conditions,
                    generation,
                    now,
                ),
                champion: memory.champion.as_ref().map(champion_status),
                challenger: planned.challenger.clone(),
                previous: memory.previous.clone(),
                pending_decision: pending(planned),
                in_flight: memory.in_flight.as_ref().map(|f| InFlightStatus {
                    decision_id: f.decision.clone(),
                    from: f.from.clone(),
                    to: f.to.clone(),
                    origin: name_of(f.origin),
                    evidence: f.evidence.clone(),
                }),
                rejected: rejected(&before, planned),
                holdout_use: holdout_use(object, memory),
                history: history(&before, memory),
                last_evaluation: last_evaluation(&before, planned),
            }
        }
    }
}

fn champion_status(record: &ChampionRecord) -> ChampionStatus {
    ChampionStatus {
        version: record.version.clone(),
        since: to_time(record.since),
        decision_id: record.decision.clone(),
        origin: name_of(record.origin),
    }
}

fn pending(planned: &Planned) -> Option<PendingDecision> {
    let waits = planned.plan.phase == Phase::AwaitingApproval;
    let evaluation = planned.evaluation.as_ref().filter(|_| waits)?;
    Some(PendingDecision {
        id: evaluation.name_any(),
        version: evaluation.spec.challenger.version.clone(),
        evidence_digest: format!(
            "{} {}",
            evaluation.spec.champion.digest, evaluation.spec.challenger.digest
        ),
    })
}

fn rejected(before: &ChampionPolicyStatus, planned: &Planned) -> Vec<RejectedStatus> {
    let mut rejected = before.rejected.clone();
    if let (Some(Decision::Hold { sentence, .. }), Some(evaluation)) =
        (&planned.plan.decision, &planned.evaluation)
    {
        let version = evaluation.spec.challenger.version.clone();
        rejected.retain(|r| r.version != version);
        rejected.insert(
            0,
            RejectedStatus {
                version,
                reason: sentence.clone(),
            },
        );
        rejected.truncate(KEPT);
    }
    rejected
}

fn holdout_use(object: &ChampionPolicy, memory: &Memory) -> Option<HoldoutUse> {
    let holdout = object.spec.evidence.holdout.as_ref()?;
    Some(HoldoutUse {
        name: holdout.name.clone(),
        evaluations: i32::try_from(memory.holdout_evaluations).unwrap_or(i32::MAX),
    })
}

fn history(before: &ChampionPolicyStatus, memory: &Memory) -> Vec<ChampionStatus> {
    let mut history = before.history.clone();
    if let Some(champion) = memory.champion.as_ref().map(champion_status)
        && history.first() != Some(&champion)
    {
        history.insert(0, champion);
        history.truncate(KEPT);
    }
    history
}

fn last_evaluation(before: &ChampionPolicyStatus, planned: &Planned) -> Option<LastEvaluation> {
    let decided = planned
        .plan
        .decision
        .as_ref()
        .zip(planned.evaluation.as_ref());
    match decided {
        Some((decision, evaluation)) => Some(LastEvaluation {
            name: evaluation.name_any(),
            verdict: evaluation
                .status
                .as_ref()
                .and_then(|s| s.verdict.clone())
                .unwrap_or_default(),
            sentence: decision.sentence().to_string(),
        }),
        None => before.last_evaluation.clone(),
    }
}
