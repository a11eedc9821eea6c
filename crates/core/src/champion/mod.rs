//! Decides who is champion of a registered model, and plans how the alias moves.
//!
//! Every step is taken from what the registry and the stored record say now, so a crash between
//! any two steps is healed by planning again. No evidence is never a reason to promote.

pub mod conditions;
pub mod decision;
pub mod gates;
mod input;
mod outcome;
pub mod retrain;

#[cfg(test)]
mod tests;

pub use decision::{Decision, Outcome};
pub use gates::{Approvals, FirstChampion, Mode};
pub use input::{
    Aliases, ChampionInput, ChampionRecord, EvaluationState, EvaluationView, InFlight, Memory,
    OnExternalChange, Origin, Pin, Policy, Predictions, RegistryView,
};
pub use outcome::{Action, Phase, Plan};

use crate::time::Timestamp;

/// Plans the next step of a policy. Pure and total.
pub fn plan(input: &ChampionInput<'_>, now: Timestamp) -> Plan {
    let memory = input.memory;
    if input.policy.suspend {
        let message = "suspended; nothing is judged or moved".to_string();
        return Plan::say(memory, Phase::Suspended, "SuspendedByUser", message);
    }
    let Some(registry) = input.registry else {
        let message = format!(
            "the registered model {} does not exist yet",
            input.policy.model
        );
        return Plan::say(memory, Phase::Watching, "ModelNotFound", message);
    };
    if let Some(blocked) = dangling_alias(input, registry) {
        return blocked;
    }
    if let Some(change) = &memory.in_flight {
        return carry_on(input, registry, change, now);
    }
    let champion = registry.aliases.get(&input.policy.aliases.champion);
    if let Some(plan) = external_change(input, champion, now) {
        return plan;
    }
    if let Some(pin) = &input.policy.pin {
        return pinned(input, registry, champion, pin);
    }
    let Some(challenger) = registry.aliases.get(&input.policy.aliases.challenger) else {
        let message = format!(
            "no version carries the alias `{}`",
            input.policy.aliases.challenger
        );
        return Plan::say(memory, Phase::Watching, "NoChallenger", message);
    };
    match champion {
        None => first_champion(input, challenger),
        Some(champion) if champion == challenger => {
            let message = format!("v{champion} is champion; there is no other challenger");
            Plan::say(memory, Phase::Watching, "UpToDate", message)
        }
        Some(champion) => compare(input, registry, champion, challenger, now),
    }
}

/// An alias that points at nothing is somebody's mistake or a deletion: nothing may be built on it.
fn dangling_alias(input: &ChampionInput<'_>, registry: &RegistryView) -> Option<Plan> {
    let aliases = &input.policy.aliases;
    let (alias, version) = [&aliases.champion, &aliases.challenger]
        .into_iter()
        .filter_map(|alias| registry.aliases.get(alias).map(|version| (alias, version)))
        .find(|(_, version)| !registry.versions.contains_key(*version))?;
    let message = format!(
        "the alias `{alias}` of {} points at version {version}, which does not exist; point it at one of {}",
        input.policy.model,
        existing(registry)
    );
    Some(Plan::say(
        input.memory,
        Phase::Blocked,
        "VersionNotFound",
        message,
    ))
}

fn existing(registry: &RegistryView) -> String {
    match registry.versions.len() {
        0 => "the versions that exist: there is none".to_string(),
        _ => registry
            .versions
            .keys()
            .map(|v| format!("v{v}"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// Goes on with a move that was begun: the registry, not the memory, says how far it came.
fn carry_on(
    input: &ChampionInput<'_>,
    registry: &RegistryView,
    change: &InFlight,
    now: Timestamp,
) -> Plan {
    let aliases = &input.policy.aliases;
    let current = registry.aliases.get(&aliases.champion);
    if current == Some(&change.to) {
        return finish(input, registry, change, now);
    }
    if current == change.from.as_ref() && registry.versions.contains_key(&change.to) {
        let message = format!("v{} is becoming champion", change.to);
        let actions = vec![
            Action::TagVersion {
                version: change.to.clone(),
                change: change.clone(),
            },
            Action::MoveAlias {
                alias: aliases.champion.clone(),
                from: change.from.clone(),
                to: change.to.clone(),
            },
        ];
        let mut plan =
            Plan::say(input.memory, Phase::Promoting, "MovingAlias", message).with_actions(actions);
        plan.again = true;
        return plan;
    }
    let mut memory = input.memory.clone();
    memory.in_flight = None;
    let message = format!(
        "v{} was about to become champion, but the alias `{}` was moved by somebody else; the move was given up",
        change.to, aliases.champion
    );
    let mut plan = Plan::say(&memory, Phase::Watching, "AliasMovedByOthers", message);
    plan.again = true;
    plan
}

fn finish(
    input: &ChampionInput<'_>,
    registry: &RegistryView,
    change: &InFlight,
    now: Timestamp,
) -> Plan {
    let aliases = &input.policy.aliases;
    if let Some(from) = change
        .from
        .as_ref()
        .filter(|v| registry.versions.contains_key(*v))
        && registry.aliases.get(&aliases.previous) != Some(from)
    {
        let actions = vec![Action::MoveAlias {
            alias: aliases.previous.clone(),
            from: registry.aliases.get(&aliases.previous).cloned(),
            to: from.clone(),
        }];
        let message = format!(
            "v{} is champion; v{from} is being remembered as the previous one",
            change.to
        );
        let mut plan =
            Plan::say(input.memory, Phase::Promoting, "MovingAlias", message).with_actions(actions);
        plan.again = true;
        return plan;
    }
    let mut memory = input.memory.clone();
    memory.in_flight = None;
    memory.previous.clone_from(&change.from);
    memory.champion = Some(ChampionRecord {
        version: change.to.clone(),
        since: now,
        origin: change.origin,
        decision: Some(change.decision.clone()),
    });
    let message = format!("v{} is champion", change.to);
    let mut plan = Plan::say(&memory, Phase::Watching, "Promoted", message);
    plan.again = true;
    plan
}

fn external_change(
    input: &ChampionInput<'_>,
    champion: Option<&String>,
    now: Timestamp,
) -> Option<Plan> {
    let remembered = input.memory.champion.as_ref();
    if remembered.map(|r| &r.version) == champion {
        return None;
    }
    let alias = &input.policy.aliases.champion;
    let policy = if remembered.is_none() {
        OnExternalChange::Adopt
    } else {
        input.policy.on_external_change
    };
    match (policy, champion, remembered) {
        (OnExternalChange::Hold, _, Some(record)) => {
            let found = champion.map_or_else(|| "nothing".to_string(), |v| format!("v{v}"));
            let message = format!(
                "the alias `{alias}` was moved from v{} to {found} by somebody else; `onExternalChange` is Hold",
                record.version
            );
            Some(Plan::say(
                input.memory,
                Phase::Blocked,
                "AliasMovedByOthers",
                message,
            ))
        }
        (OnExternalChange::Revert, _, Some(record)) => {
            let change = InFlight {
                decision: format!("revert-to-{}", record.version),
                from: champion.cloned(),
                to: record.version.clone(),
                origin: record.origin,
                evidence: "onExternalChange: Revert".to_string(),
            };
            Some(begin(input.memory, change))
        }
        (_, Some(version), _) => {
            let mut memory = input.memory.clone();
            memory.previous = remembered.map(|r| r.version.clone());
            memory.champion = Some(ChampionRecord {
                version: version.clone(),
                since: now,
                origin: Origin::Adopted,
                decision: None,
            });
            let message =
                format!("v{version} carries the alias `{alias}` and was adopted as champion");
            let mut plan = Plan::say(&memory, Phase::Watching, "ChampionAdopted", message);
            plan.again = true;
            Some(plan)
        }
        (_, None, _) => {
            let mut memory = input.memory.clone();
            memory.previous = remembered.map(|r| r.version.clone());
            memory.champion = None;
            let message = format!("the alias `{alias}` was removed by somebody else");
            let mut plan = Plan::say(&memory, Phase::Watching, "ChampionRemoved", message);
            plan.again = true;
            Some(plan)
        }
    }
}

fn pinned(
    input: &ChampionInput<'_>,
    registry: &RegistryView,
    champion: Option<&String>,
    pin: &Pin,
) -> Plan {
    if champion == Some(&pin.version) {
        let message = format!("v{} is pinned as champion: {}", pin.version, pin.reason);
        return Plan::say(input.memory, Phase::Watching, "Pinned", message);
    }
    if !registry.versions.contains_key(&pin.version) {
        let message = format!(
            "`spec.pin.version` is {}, which does not exist; pin one of {}",
            pin.version,
            existing(registry)
        );
        return Plan::say(input.memory, Phase::Blocked, "VersionNotFound", message);
    }
    let change = InFlight {
        decision: format!("pin-{}", pin.version),
        from: champion.cloned(),
        to: pin.version.clone(),
        origin: Origin::Pinned,
        evidence: format!("pin: {}", pin.reason),
    };
    begin(input.memory, change)
}

/// Stores the intent first; the next plan carries it out.
fn begin(memory: &Memory, change: InFlight) -> Plan {
    let message = format!("v{} is becoming champion", change.to);
    let mut memory = memory.clone();
    memory.in_flight = Some(change);
    let mut plan = Plan::say(&memory, Phase::Promoting, "MovingAlias", message);
    plan.again = true;
    plan
}

fn first_champion(input: &ChampionInput<'_>, challenger: &str) -> Plan {
    let decision = decision::first(input, challenger);
    let change = InFlight {
        decision: format!("first-{challenger}"),
        from: None,
        to: challenger.to_string(),
        origin: Origin::First,
        evidence: "first champion".to_string(),
    };
    conclude(input, decision, change)
}

fn compare(
    input: &ChampionInput<'_>,
    registry: &RegistryView,
    champion: &str,
    challenger: &str,
    now: Timestamp,
) -> Plan {
    let memory = input.memory;
    let mut score = Vec::new();
    for version in [champion, challenger] {
        match input.predictions.get(version) {
            Some(Predictions::Present { .. } | Predictions::InProgress) => {}
            Some(Predictions::Unavailable(why)) => {
                let message =
                    format!("v{challenger} cannot be compared with v{champion}: {why}. Held.");
                return Plan::say(memory, Phase::Held, "EvidenceMissing", message);
            }
            Some(Predictions::Missing) | None => score.push(Action::Score {
                version: version.to_string(),
                source: registry.versions.get(version).cloned().unwrap_or_default(),
            }),
        }
    }
    let complete = [champion, challenger]
        .iter()
        .all(|v| matches!(input.predictions.get(*v), Some(Predictions::Present { .. })));
    if !complete {
        let message = format!("v{challenger} and v{champion} are being scored on the holdout");
        return Plan::say(memory, Phase::Evaluating, "Scoring", message).with_actions(score);
    }
    let Some(evaluation) = input.evaluation else {
        return evaluate(input, champion, challenger);
    };
    match &evaluation.state {
        EvaluationState::Pending => {
            let message = format!("v{challenger} is being compared with v{champion}");
            Plan::say(memory, Phase::Evaluating, "Comparing", message)
        }
        EvaluationState::Failed(why) => {
            let message =
                format!("v{challenger} could not be compared with v{champion}: {why}. Held.");
            Plan::say(memory, Phase::Held, "EvaluationFailed", message)
        }
        EvaluationState::Finished { outcome, sentence } => {
            let decision = decision::decide(input, *outcome, sentence, now);
            let change = InFlight {
                decision: evaluation.name.clone(),
                from: Some(champion.to_string()),
                to: challenger.to_string(),
                origin: Origin::Promoted,
                evidence: evaluation.evidence.clone(),
            };
            conclude(input, decision, change)
        }
    }
}

fn evaluate(input: &ChampionInput<'_>, champion: &str, challenger: &str) -> Plan {
    let memory = input.memory;
    if let Some(limit) = input
        .policy
        .max_evaluations
        .filter(|limit| memory.holdout_evaluations >= *limit)
    {
        let message = format!(
            "v{challenger} was not compared: the holdout has been used {} times and `holdout.maxEvaluations` is {limit}; use a fresh holdout. Held.",
            memory.holdout_evaluations
        );
        return Plan::say(memory, Phase::Held, "HoldoutUsedUp", message);
    }
    let message = format!("v{challenger} is being compared with v{champion}");
    Plan::say(memory, Phase::Evaluating, "Comparing", message).with_actions(vec![
        Action::Evaluate {
            champion: champion.to_string(),
            challenger: challenger.to_string(),
        },
    ])
}

fn conclude(input: &ChampionInput<'_>, decision: Decision, change: InFlight) -> Plan {
    let mut plan = match &decision {
        Decision::Promote { sentence } => {
            let mut plan = begin(input.memory, change);
            plan.message.clone_from(sentence);
            plan
        }
        Decision::AwaitApproval { sentence } => Plan::say(
            input.memory,
            Phase::AwaitingApproval,
            "ApprovalNeeded",
            sentence.clone(),
        ),
        Decision::Hold { reason, sentence } => {
            Plan::say(input.memory, Phase::Held, reason, sentence.clone())
        }
    };
    plan.decision = Some(decision);
    plan
}
